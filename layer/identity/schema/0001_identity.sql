-- What proves who someone is (SYSTEM I2, I4, I5, I9). No person's name, session or key is within the application's reach: its
-- role has no right to any table here. What it may do for the caller, it does through the functions at the end, which take the
-- caller from the sealed context.
set role redoubt_keys;

create table identity.organization (
  id         uuid        primary key default gen_random_uuid(),
  name       text        not null check (length(name) between 1 and 100),
  active     boolean     not null default true,
  created_at timestamptz not null default now()
);

-- The provider owns name and e-mail; they are refreshed at every sign-in.
create table identity.person (
  id           uuid        primary key default gen_random_uuid(),
  issuer       text        not null check (length(issuer) between 1 and 500),
  subject      text        not null check (length(subject) between 1 and 255),
  email        text        not null default '' check (length(email) <= 320),
  name         text        not null default '' check (length(name) <= 200),
  created_at   timestamptz not null default now(),
  signed_in_at timestamptz,
  unique (issuer, subject)
);

-- A membership is a person's place in one organization. Its id is the profile's id, the author of what they write there.
create table identity.membership (
  organization_id uuid        not null references identity.organization,
  id              uuid        not null default gen_random_uuid(),
  person_id       uuid        not null references identity.person,
  role            text        not null default 'member' references redoubt.role check (role <> 'administrator'), -- SYSTEM I3: only the provider makes those
  scopes          text[]      not null default '{}' check (cardinality(scopes) <= 100), -- what was added to the role's, by a role of the organization's own
  active          boolean     not null default true,
  live            boolean     not null default false, -- active, in an active organization; kept by trigger
  may             text        not null default '', -- all their scopes, as a context has them; kept by trigger
  onboarded_at    timestamptz,
  created_at      timestamptz not null default now(),
  primary key (organization_id, id),
  unique (organization_id, person_id),
  unique (organization_id, id, person_id) -- so that a session or a key cannot be one person's in another's place
);
create index on identity.membership (person_id);

-- What redoubt.enter_session asks at each request is settled here when it changes. The locks let no membership be made while its
-- organization is being stopped, or its role changed, and miss it.
create function identity.settle() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  new.live := new.active and (select o.active from identity.organization o where o.id = new.organization_id for share);
  new.may := (select r.may from redoubt.role r where r.name = new.role for share) || redoubt.written(new.scopes);
  return new;
end $$;
create function identity.unsettle() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if tg_table_name = 'role' then
    update identity.membership m set may = m.may where m.role = new.name; -- settles each
  else
    update identity.membership m set live = m.live where m.organization_id = new.id;
  end if;
  return null;
end $$;
create trigger settle before insert or update on identity.membership for each row execute function identity.settle();
create trigger unsettle after update of active on identity.organization for each row execute function identity.unsettle();
create trigger unsettle after update of scopes on redoubt.role for each row execute function identity.unsettle();

create table identity.session (
  id               uuid        primary key default gen_random_uuid(),
  hash             bytea       not null unique check (length(hash) = 32), -- SHA-256 of the token; the token is nowhere
  organization_id  uuid        not null,
  profile_id       uuid        not null,
  person_id        uuid        not null references identity.person,
  administrator    boolean     not null, -- the database's copy; the claims below say it under a key that the database does not hold
  claims           bytea       not null check (length(claims) <= 65536),
  mac              bytea       not null check (length(mac) = 32),
  id_token         text        not null default '' check (length(id_token) <= 16384), -- a hint for signing out at the provider
  user_agent       text        not null default '' check (length(user_agent) <= 300),
  address          text        not null default '' check (length(address) <= 45),
  created_at       timestamptz not null default now(),
  seen_at          timestamptz not null default now(),
  idle             interval    not null check (idle > '0' and idle <= '1 day'),
  expires_at       timestamptz not null,
  revoked_at       timestamptz,
  foreign key (organization_id, profile_id, person_id) references identity.membership (organization_id, id, person_id)
);
create index on identity.session (person_id);

create table identity.api_key (
  id              uuid        primary key default redoubt.new_id(),
  hash            bytea       not null unique check (length(hash) = 32),
  organization_id uuid        not null,
  profile_id      uuid        not null,
  person_id       uuid        not null references identity.person,
  administrator   boolean     not null,
  name            text        not null check (length(name) between 1 and 100),
  hint            text        not null check (length(hint) <= 16), -- its first letters, to tell keys apart
  scopes          text[]      not null check (cardinality(scopes) between 1 and 100),
  mac             bytea       not null check (length(mac) = 32),
  created_at      timestamptz not null default now(),
  expires_at      timestamptz not null,
  last_used_at    timestamptz,
  revoked_at      timestamptz,
  foreign key (organization_id, profile_id, person_id) references identity.membership (organization_id, id, person_id)
);
create index on identity.api_key (organization_id, profile_id);

-- Deny by default, for the owner too; only these two roles pass, each within its grants.
do $$
declare t text;
begin
  foreach t in array array['organization', 'person', 'membership', 'session', 'api_key'] loop
    execute format('alter table identity.%I enable row level security, force row level security', t);
    execute format('create policy identity_only on identity.%I for all to redoubt_keys, redoubt_identity using (true) with check (true)', t);
  end loop;
end $$;
grant usage on schema identity to redoubt_identity, redoubt_owner;
grant select on identity.organization, identity.membership to redoubt_identity;
grant select, insert on identity.person to redoubt_identity;
grant update (email, name, signed_in_at) on identity.person to redoubt_identity;
grant select, insert on identity.session to redoubt_identity;
grant update (seen_at, revoked_at) on identity.session to redoubt_identity;
grant delete on identity.session to redoubt_identity; -- those that ended long ago
grant select on identity.api_key to redoubt_identity;
grant update (last_used_at, revoked_at) on identity.api_key to redoubt_identity;
grant references on identity.membership to redoubt_owner; -- an application's profile hangs on its membership

-- What has ended stays ended, by a trigger for everybody and by a policy for whoever has captured identity's role: it must be able to end a
-- session, and has no reason to revive one.
create function identity.ended_stays() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  raise exception 'redoubt: what has ended stays ended' using errcode = '42501';
end $$;
create trigger ended_stays before update on identity.session for each row
  when (old.revoked_at is not null and new.revoked_at is distinct from old.revoked_at) execute function identity.ended_stays();
create trigger ended_stays before update on identity.api_key for each row
  when (old.revoked_at is not null and new.revoked_at is distinct from old.revoked_at) execute function identity.ended_stays();
create policy living_update on identity.session as restrictive for update to redoubt_identity using (revoked_at is null) with check (true);
create policy living_update on identity.api_key as restrictive for update to redoubt_identity using (revoked_at is null) with check (true);

-- ---- What the application may ask for its caller ----

create function redoubt.my_sessions()
  returns table (id uuid, current boolean, user_agent text, address text, created_at timestamptz, seen_at timestamptz)
  stable security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
begin
  return query
    select s.id, s.id = redoubt.credential_id(), s.user_agent, s.address, s.created_at, s.seen_at
      from identity.session s
     where s.person_id = redoubt.person() and s.revoked_at is null and s.expires_at > now() and s.seen_at > now() - s.idle
     order by s.seen_at desc limit 100;
end $$;

create function redoubt.revoke_session(session uuid) returns boolean
  volatile security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
begin
  update identity.session s set revoked_at = now() where s.id = session and s.person_id = redoubt.person() and s.revoked_at is null;
  if not found then
    return false;
  end if;
  perform audit.append('credential', 'session.revoked', 'session', session::text);
  return true;
end $$;

create function redoubt.revoke_other_sessions() returns integer
  volatile security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
declare n integer;
begin
  update identity.session s set revoked_at = now()
   where s.person_id = redoubt.person() and s.id <> redoubt.credential_id() and s.revoked_at is null;
  get diagnostics n = row_count;
  perform audit.append('credential', 'session.revoked_others', 'session', '', jsonb_build_object('count', n));
  return n;
end $$;

create function redoubt.onboarded() returns void
  volatile security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
begin
  update identity.membership m set onboarded_at = now()
   where m.organization_id = redoubt.org() and m.id = redoubt.profile() and m.onboarded_at is null;
end $$;

create function redoubt.me()
  returns table (name text, email text, organization_name text, joined_at timestamptz)
  stable security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
begin
  return query
    select p.name, p.email, o.name, m.created_at
      from identity.membership m join identity.person p on p.id = m.person_id join identity.organization o on o.id = m.organization_id
     where m.organization_id = redoubt.org() and m.id = redoubt.profile();
end $$;

create function redoubt.members()
  returns table (id uuid, email text, name text, active boolean, joined_at timestamptz, signed_in_at timestamptz)
  stable security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
begin
  perform redoubt.require('members:read');
  return query
    select m.id, p.email, p.name, m.active, m.created_at, p.signed_in_at
      from identity.membership m join identity.person p on p.id = m.person_id
     where m.organization_id = redoubt.org();
end $$;

-- set_member_active stops or readmits a member of the caller's organization (SYSTEM I7). Stopping ends their sessions there;
-- their keys are refused for as long as they are stopped.
create function redoubt.set_member_active(member uuid, active boolean) returns boolean
  volatile security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
begin
  perform redoubt.require(case redoubt.credential_kind() when 'w' then 'scim:manage' else 'members:write' end); -- w: the provider's own word, 0008_scim.sql
  if member = redoubt.profile() then
    raise exception 'redoubt: nobody stops or readmits themselves' using errcode = 'RD409';
  end if;
  perform redoubt.outrank(member); -- 0006_organizations.sql
  update identity.membership m set active = set_member_active.active where m.organization_id = redoubt.org() and m.id = member;
  if not found then
    return false;
  end if;
  if not set_member_active.active then
    update identity.session s set revoked_at = now() where s.organization_id = redoubt.org() and s.profile_id = member and s.revoked_at is null;
  end if;
  perform audit.append('lifecycle', case when set_member_active.active then 'member.reactivated' else 'member.deactivated' end, 'member', member::text);
  return true;
end $$;

create function redoubt.my_api_keys()
  returns table (id uuid, name text, hint text, scopes text[], created_at timestamptz, expires_at timestamptz, last_used_at timestamptz, revoked_at timestamptz)
  stable security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
begin
  return query
    select k.id, k.name, k.hint, k.scopes, k.created_at, k.expires_at, k.last_used_at, k.revoked_at
      from identity.api_key k where k.organization_id = redoubt.org() and k.profile_id = redoubt.profile()
     order by k.created_at desc limit 200;
end $$;

-- add_api_key records a key that the caller has just been shown. It can do no more than its maker: an API key makes no keys,
-- and scopes beyond the caller's own are refused.
create function redoubt.add_api_key(id uuid, hash bytea, name text, hint text, scopes text[], administrator boolean, expires_at timestamptz, mac bytea) returns void
  volatile security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
declare s text;
begin
  perform redoubt.require('keys:write');
  if not redoubt.interactive() then
    raise exception 'redoubt: a key makes no keys' using errcode = 'RD403';
  end if;
  foreach s in array scopes loop
    perform redoubt.require(s);
  end loop;
  if administrator and not redoubt.administers() then
    raise exception 'redoubt: the caller is no administrator' using errcode = 'RD403';
  end if;
  if expires_at > now() + interval '366 days' or expires_at <= now() then
    raise exception 'redoubt: a key lives for up to a year' using errcode = 'RD409';
  end if;
  if (select count(*) from identity.api_key k where k.organization_id = redoubt.org() and k.profile_id = redoubt.profile() and k.revoked_at is null and k.expires_at > now()) >= 50 then
    raise exception 'redoubt: fifty living keys are enough' using errcode = 'RD409';
  end if;
  insert into identity.api_key (id, hash, organization_id, profile_id, person_id, administrator, name, hint, scopes, mac, expires_at)
  values (add_api_key.id, add_api_key.hash, redoubt.org(), redoubt.profile(), redoubt.person(), add_api_key.administrator, add_api_key.name, add_api_key.hint, add_api_key.scopes, add_api_key.mac, add_api_key.expires_at);
  perform audit.append('credential', 'api_key.created', 'api_key', add_api_key.id::text, jsonb_build_object('scopes', to_jsonb(add_api_key.scopes))); -- its name is its owner's word, and goes with them
end $$;

create function redoubt.revoke_api_key(key uuid) returns boolean
  volatile security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
begin
  perform redoubt.require('keys:write');
  update identity.api_key k set revoked_at = now()
   where k.id = key and k.organization_id = redoubt.org() and k.profile_id = redoubt.profile() and k.revoked_at is null;
  if not found then
    return false;
  end if;
  perform audit.append('credential', 'api_key.revoked', 'api_key', key::text);
  return true;
end $$;

grant execute on function redoubt.my_sessions(), redoubt.revoke_session(uuid), redoubt.revoke_other_sessions(), redoubt.onboarded(), redoubt.me(), redoubt.members(),
  redoubt.set_member_active(uuid, boolean), redoubt.my_api_keys(), redoubt.add_api_key(uuid, bytea, text, text, text[], boolean, timestamptz, bytea),
  redoubt.revoke_api_key(uuid) to redoubt_app;
reset role;
