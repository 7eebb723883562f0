-- What a session remembers of the provider at which it was opened (SYSTEM I1, I3, I5): its issuer, the provider's own name for it, the
-- chain of refresh tokens that it is a part of, and the last of them, sealed under a key that the database does not hold. Every column
-- here that decides something has its twin in the claims, which nobody can write without that key.
set role redoubt_keys;

-- Which issuers an organization believes. Without a row it believes every one that is configured. Whoever runs the program says so; no
-- administrator of an organization can, since a wrong word here locks everybody out or lets strangers in.
create table identity.organization_issuer (
  organization_id uuid        not null references identity.organization on delete cascade,
  issuer          text        not null check (length(issuer) between 1 and 500),
  created_at      timestamptz not null default now(),
  primary key (organization_id, issuer)
);

alter table identity.session
  add column issuer        text not null default '' check (length(issuer) <= 500),
  add column sid           text not null default '' check (length(sid) <= 255), -- the provider's name for its session
  add column family        uuid not null default gen_random_uuid(),             -- one sign-in, and what came of it by switching
  add column refresh_token bytea check (length(refresh_token) <= 40960),        -- sealed to this row
  add column refreshing_at timestamptz,                                         -- a request asks the provider since then
  add column seen_address  text not null default '' check (length(seen_address) <= 45);
update identity.session s set issuer = p.issuer from identity.person p where p.id = s.person_id;
create index on identity.session (issuer, sid) where sid <> '';
create index on identity.session (family);

-- A session that has ended is a line in a list. Nothing that opens anything elsewhere stays in it.
create function identity.forget_tokens() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  new.refresh_token := null;
  new.id_token := '';
  return new;
end $$;
create trigger forget_tokens before update on identity.session for each row
  when (old.revoked_at is null and new.revoked_at is not null) execute function identity.forget_tokens();

-- Logout tokens that were heeded (Back-Channel Logout 1.0 section 2.6): by their jti they are heeded once, by all processes together; by
-- their sid a sign-in that was under way when its session ended at the provider opens nothing here.
create table identity.logout (
  issuer     text        not null check (length(issuer) between 1 and 500),
  token_id   text        not null check (length(token_id) between 1 and 255),
  sid        text        not null default '' check (length(sid) <= 255),
  expires_at timestamptz not null,
  primary key (issuer, token_id)
);
create index on identity.logout (issuer, sid) where sid <> '';
create index on identity.logout (expires_at);

do $$
declare t text;
begin
  foreach t in array array['organization_issuer', 'logout'] loop
    execute format('alter table identity.%I enable row level security, force row level security', t);
    execute format('create policy identity_only on identity.%I for all to redoubt_keys, redoubt_identity using (true) with check (true)', t);
  end loop;
end $$;
grant select on identity.organization_issuer to redoubt_identity;
grant select, insert on identity.logout to redoubt_identity;
grant delete on identity.logout to redoubt_identity; -- those that would be refused by their age
grant update (refreshing_at, seen_address) on identity.session to redoubt_identity;

-- renew_session writes what the provider says now over what it said before, if the session still lives and the caller is the one that
-- has asked. Identity has no other way to change what a session entitles to.
create function identity.renew_session(digest bytea, asked timestamptz, administrator boolean, claims bytea, mac bytea, refresh_token bytea, id_token text) returns boolean
  volatile security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
begin
  update identity.session s
     set administrator = renew_session.administrator, claims = renew_session.claims, mac = renew_session.mac, refresh_token = renew_session.refresh_token,
         id_token = case when renew_session.id_token = '' then s.id_token else renew_session.id_token end, refreshing_at = null
   where s.hash = digest and s.refreshing_at = asked and s.revoked_at is null;
  return found;
end $$;
-- keep_refresh_token keeps a token that the provider gave without saying anything else. The session waits its half minute before it asks again.
create function identity.keep_refresh_token(digest bytea, asked timestamptz, refresh_token bytea) returns void
  volatile security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
begin
  update identity.session s set refresh_token = keep_refresh_token.refresh_token where s.hash = digest and s.refreshing_at = asked and s.revoked_at is null;
end $$;
grant execute on function identity.keep_refresh_token(bytea, timestamptz, bytea) to redoubt_identity;
grant execute on function identity.renew_session(bytea, timestamptz, boolean, bytea, bytea, bytea, text) to redoubt_identity;

-- ---- What the application may ask for its caller ----

drop function redoubt.my_sessions();
create function redoubt.my_sessions()
  returns table (id uuid, current boolean, user_agent text, address text, seen_address text, organization_name text, issuer text, created_at timestamptz, seen_at timestamptz, expires_at timestamptz)
  stable security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
begin
  return query
    select s.id, s.id = redoubt.credential_id(), s.user_agent, s.address, s.seen_address, o.name, s.issuer, s.created_at, s.seen_at, s.expires_at
      from identity.session s join identity.organization o on o.id = s.organization_id
     where s.person_id = redoubt.person() and s.revoked_at is null and s.expires_at > now() and s.seen_at > now() - s.idle
     order by s.id = redoubt.credential_id() desc, s.seen_at desc limit 100;
end $$;
grant execute on function redoubt.my_sessions() to redoubt_app;

-- revoke_session ends one of the caller's sessions with all that came of it by switching organizations: whoever has stolen its cookie
-- cannot be a step ahead. Everything that opens or ends several sessions of a person first locks the person, so that none is opened in between.
create or replace function redoubt.revoke_session(session uuid) returns boolean
  volatile security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
declare f uuid;
begin
  perform from identity.person p where p.id = redoubt.person() for update;
  select s.family into f from identity.session s where s.id = session and s.person_id = redoubt.person();
  update identity.session s set revoked_at = now() where s.family = f and s.person_id = redoubt.person() and s.revoked_at is null;
  if not found then
    return false;
  end if;
  perform audit.append('credential', 'session.revoked', 'session', session::text);
  return true;
end $$;

create or replace function redoubt.revoke_other_sessions() returns integer
  volatile security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
declare n integer;
begin
  perform from identity.person p where p.id = redoubt.person() for update;
  update identity.session s set revoked_at = now()
   where s.person_id = redoubt.person() and s.id <> redoubt.credential_id() and s.revoked_at is null;
  get diagnostics n = row_count;
  perform audit.append('credential', 'session.revoked_others', 'session', '', jsonb_build_object('count', n));
  return n;
end $$;
reset role;
