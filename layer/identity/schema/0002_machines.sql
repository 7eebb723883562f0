-- Who is nobody at a browser and holds no key: a job that a caller has left behind, and an endpoint at which another system delivers
-- (SYSTEM D2, K3, W1). Each has a credential of its own, known here by its hash alone.
set role redoubt_keys;

-- An endpoint belongs to its organization and not to whoever made it: it delivers when they have gone.
create table identity.endpoint (
  id              uuid        primary key default redoubt.new_id(),
  hash            bytea       not null unique check (length(hash) = 32),
  organization_id uuid        not null references identity.organization,
  made_by         uuid, -- a profile; null once they have been deleted
  name            text        not null check (length(name) between 1 and 100),
  scopes          text[]      not null check (cardinality(scopes) between 1 and 100),
  mac             bytea       not null check (length(mac) = 32),
  created_at      timestamptz not null default now(),
  revoked_at      timestamptz,
  foreign key (organization_id, made_by) references identity.membership (organization_id, id)
);
create index on identity.endpoint (organization_id);
create index on identity.endpoint (organization_id, made_by);

-- A job grant lets the worker act once, for whoever enqueued the job, with no more than they had.
create table identity.job_grant (
  id              uuid        primary key default redoubt.new_id(),
  hash            bytea       not null unique check (length(hash) = 32),
  organization_id uuid        not null references identity.organization,
  profile_id      uuid, -- null for an endpoint's
  person_id       uuid        references identity.person,
  administrator   boolean     not null,
  granted_by      uuid        not null, -- the session, key or endpoint that was presented when it, or the first of a chain of jobs, was enqueued
  job             text        not null check (length(job) between 1 and 100),
  scopes          text[]      not null check (cardinality(scopes) between 1 and 100),
  mac             bytea       not null check (length(mac) = 32),
  created_at      timestamptz not null default now(),
  expires_at      timestamptz not null,
  redeemed_at     timestamptz,
  check ((profile_id is null) = (person_id is null)),
  foreign key (organization_id, profile_id) references identity.membership (organization_id, id)
);
create index on identity.job_grant (organization_id, profile_id) where redeemed_at is null;
create index on identity.job_grant (person_id);
create index on identity.job_grant (granted_by);
create index on identity.job_grant (expires_at);

do $$
declare t text;
begin
  foreach t in array array['endpoint', 'job_grant'] loop
    execute format('alter table identity.%I enable row level security, force row level security', t);
    execute format('create policy identity_only on identity.%I for all to redoubt_keys, redoubt_identity using (true) with check (true)', t);
  end loop;
end $$;
grant select on identity.endpoint, identity.job_grant to redoubt_identity;
grant delete on identity.job_grant to redoubt_identity; -- those that were redeemed or expired long ago

-- add_job_grant records a grant in the transaction that enqueues its job: rolled back with it, good only once it has committed. Its
-- maker can be a person, a key, an endpoint, or a job that goes on in another; its scopes are among the maker's.
create function redoubt.add_job_grant(id uuid, hash bytea, job text, scopes text[], administrator boolean, expires_at timestamptz, mac bytea) returns void
  volatile security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
declare s text;
begin
  foreach s in array scopes loop
    perform redoubt.require(s);
  end loop;
  if administrator and not redoubt.administers() then
    raise exception 'redoubt: the caller is no administrator' using errcode = 'RD403';
  end if;
  if expires_at > now() + interval '7 days' or expires_at <= now() then
    raise exception 'redoubt: a job grant lives for up to a week' using errcode = 'RD409';
  end if;
  if (select count(*) from (select from identity.job_grant g where g.organization_id = redoubt.org() and g.profile_id is not distinct from redoubt.profile()
        and g.redeemed_at is null and g.expires_at > now() limit 1000) living) >= 1000 then
    raise exception 'redoubt: a thousand waiting jobs of one caller are enough' using errcode = 'RD409';
  end if;
  insert into identity.job_grant (id, hash, organization_id, profile_id, person_id, administrator, granted_by, job, scopes, mac, expires_at)
  values (add_job_grant.id, add_job_grant.hash, redoubt.org(), redoubt.profile(), redoubt.person(), add_job_grant.administrator,
    coalesce((select g.granted_by from identity.job_grant g where g.id = redoubt.credential_id()), redoubt.credential_id()),
    add_job_grant.job, add_job_grant.scopes, add_job_grant.mac, add_job_grant.expires_at);
end $$;

-- administers reports whether the presented credential is an administrator's.
create function redoubt.administers() returns boolean
  stable security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
begin
  return case redoubt.credential_kind()
    when 's' then (select i.administrator from identity.session i where i.id = redoubt.credential_id())
    when 'k' then (select k.administrator from identity.api_key k where k.id = redoubt.credential_id())
    when 'j' then (select g.administrator from identity.job_grant g where g.id = redoubt.credential_id())
    else false end;
end $$;

-- redeem_job is redoubt.enter's: it takes a grant, and gives it back if the job's transaction is rolled back. A member or an
-- organization that was stopped, and a key, an endpoint or a machine's trust that was revoked since, leave nothing to redeem; a session that has
-- ended does, since people sign out while their jobs wait.
create function redoubt.redeem_job(digest bytea, out organization_id uuid, out profile_id uuid, out person_id uuid, out id uuid, out may text)
  volatile language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  update identity.job_grant g set redeemed_at = statement_timestamp()
    from identity.organization o
   where g.hash = digest and g.redeemed_at is null and g.expires_at > statement_timestamp()
     and o.id = g.organization_id and o.active
     and (g.profile_id is null or exists (select from identity.membership m where m.organization_id = g.organization_id and m.id = g.profile_id and m.live))
     and not exists (select from identity.api_key k where k.id = g.granted_by and k.revoked_at is not null)
     and not exists (select from identity.endpoint e where e.id = g.granted_by and e.revoked_at is not null)
     and not exists (select from identity.machine_token t join identity.federation f on f.id = t.federation_id where t.id = g.granted_by and f.revoked_at is not null)
  returning g.organization_id, coalesce(g.profile_id, '00000000-0000-0000-0000-000000000000'), coalesce(g.person_id, '00000000-0000-0000-0000-000000000000'), g.id,
    case when g.profile_id is null then redoubt.written(g.scopes) else
      (select redoubt.among(g.scopes, m.may, g.administrator) from identity.membership m where m.organization_id = g.organization_id and m.id = g.profile_id) end
    into organization_id, profile_id, person_id, id, may;
end $$;

-- ---- What the application may ask for its caller ----

-- add_endpoint records an endpoint whose credential the caller has just been shown.
create function redoubt.add_endpoint(id uuid, hash bytea, name text, scopes text[], mac bytea) returns void
  volatile security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
declare s text;
begin
  perform redoubt.require('endpoints:write');
  if not redoubt.interactive() then
    raise exception 'redoubt: only a person makes endpoints' using errcode = 'RD403';
  end if;
  foreach s in array scopes loop
    perform redoubt.require(s);
  end loop;
  if (select count(*) from identity.endpoint e where e.organization_id = redoubt.org() and e.revoked_at is null) >= 100 then
    raise exception 'redoubt: a hundred endpoints are enough' using errcode = 'RD409';
  end if;
  insert into identity.endpoint (id, hash, organization_id, made_by, name, scopes, mac)
  values (add_endpoint.id, add_endpoint.hash, redoubt.org(), redoubt.profile(), add_endpoint.name, add_endpoint.scopes, add_endpoint.mac);
  perform audit.append('credential', 'endpoint.created', 'endpoint', add_endpoint.id::text, jsonb_build_object('name', add_endpoint.name, 'scopes', to_jsonb(add_endpoint.scopes)));
end $$;

create function redoubt.endpoints()
  returns table (id uuid, name text, scopes text[], created_at timestamptz, revoked_at timestamptz)
  stable security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
begin
  perform redoubt.require('endpoints:write');
  return query
    select e.id, e.name, e.scopes, e.created_at, e.revoked_at from identity.endpoint e where e.organization_id = redoubt.org()
     order by e.created_at desc limit 200;
end $$;

create function redoubt.revoke_endpoint(endpoint uuid) returns boolean
  volatile security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
begin
  perform redoubt.require('endpoints:write');
  update identity.endpoint e set revoked_at = now() where e.id = endpoint and e.organization_id = redoubt.org() and e.revoked_at is null;
  if not found then
    return false;
  end if;
  perform audit.append('credential', 'endpoint.revoked', 'endpoint', endpoint::text);
  return true;
end $$;

grant execute on function redoubt.add_job_grant(uuid, bytea, text, text[], boolean, timestamptz, bytea) to redoubt_app, redoubt_worker, redoubt_webhook;
grant execute on function redoubt.add_endpoint(uuid, bytea, text, text[], bytea), redoubt.endpoints(), redoubt.revoke_endpoint(uuid) to redoubt_app;
reset role;
