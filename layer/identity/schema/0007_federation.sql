-- Machines that prove who they are by the word of their own provider, and hold no secret of ours for longer than a quarter of an hour
-- (SYSTEM I9); and the networks that keys are used from, so that a key which turns up somewhere else is noticed.
set role redoubt_keys;

-- A trust: whoever an issuer calls by a subject that fits may act for the organization, with these scopes. It belongs to the
-- organization and not to whoever made it, as an endpoint does. The application seals it (mac): a row that was changed is not believed.
create table identity.federation (
  id              uuid        primary key default redoubt.new_id(),
  organization_id uuid        not null references identity.organization,
  made_by         uuid, -- a profile; null once they have been deleted
  name            text        not null check (length(name) between 1 and 100),
  issuer          text        not null check (length(issuer) between 1 and 500),
  audience        text        not null check (length(audience) between 1 and 500),
  -- Segments between : and /, none of them empty. The first two are named in full: the second is who owns the rest, at an issuer that
  -- serves everybody, and a pattern without it would let in everybody who has an account there.
  subject_pattern text        not null check (octet_length(subject_pattern) <= 255 and subject_pattern ~ '^[^:/*]+([:/][^:/*]+([:/][^:/*]*[*]?[^:/*]*)*)?$'
                                and subject_pattern !~ '[:/]([:/]|$)' and subject_pattern !~ '[[:cntrl:]]'),
  scopes          text[]      not null check (cardinality(scopes) between 1 and 100),
  uses            integer     not null check (uses between 1 and 1000), -- how often one token of the issuer's may be exchanged
  mac             bytea       not null check (length(mac) = 32),
  created_at      timestamptz not null default now(),
  expires_at      timestamptz, -- null for a trust that lasts until it is revoked
  last_used_at    timestamptz,
  revoked_at      timestamptz,
  unique (organization_id, id),
  foreign key (organization_id, made_by) references identity.membership (organization_id, id) on delete set null (made_by)
);
create index on identity.federation (organization_id, issuer);
create index on identity.federation (organization_id, made_by);

-- What a machine was given for its token. It is worth what its trust is worth: enter asks for both.
create table identity.machine_token (
  id              uuid        primary key default gen_random_uuid(),
  hash            bytea       not null unique check (length(hash) = 32),
  organization_id uuid        not null references identity.organization,
  federation_id   uuid        not null,
  subject         text        not null check (length(subject) between 1 and 255),
  scopes          text[]      not null check (cardinality(scopes) between 1 and 100),
  mac             bytea       not null check (length(mac) = 32),
  created_at      timestamptz not null default now(),
  expires_at      timestamptz not null check (expires_at <= created_at + interval '16 minutes'), -- fifteen, and what two clocks differ by
  foreign key (organization_id, federation_id) references identity.federation (organization_id, id)
);
create index on identity.machine_token (organization_id);
create index on identity.machine_token (federation_id, expires_at);
create index on identity.machine_token (expires_at);

-- Which tokens of issuers were exchanged, and how often, until they have expired: a token that leaks with a log is worth nothing.
create table identity.federation_exchange (
  hash       bytea       primary key check (length(hash) = 32), -- SHA-256 of what the issuer signed
  uses       integer     not null check (uses >= 1),
  expires_at timestamptz not null
);
create index on identity.federation_exchange (expires_at);

create table identity.api_key_network (
  api_key_id uuid        not null references identity.api_key on delete cascade,
  network    cidr        not null check (masklen(network) = case family(network) when 4 then 24 else 48 end),
  first_seen timestamptz not null default now(),
  last_seen  timestamptz not null default now(),
  suspect    boolean     not null, -- not the first that the key was used from
  primary key (api_key_id, network)
);

do $$
declare t text;
begin
  foreach t in array array['federation', 'machine_token', 'federation_exchange', 'api_key_network'] loop
    execute format('alter table identity.%I enable row level security, force row level security', t);
    execute format('create policy identity_only on identity.%I for all to redoubt_keys, redoubt_identity using (true) with check (true)', t);
  end loop;
end $$;
grant select on identity.federation, identity.machine_token, identity.federation_exchange, identity.api_key_network to redoubt_identity;
grant update (last_used_at) on identity.federation to redoubt_identity;
grant insert on identity.machine_token, identity.federation_exchange to redoubt_identity;
grant update (uses) on identity.federation_exchange to redoubt_identity;
grant delete on identity.machine_token, identity.federation_exchange to redoubt_identity; -- those that expired long ago

-- ---- What identity may do before a tenant is known ----

-- use_api_key records that a key was used, now, from this network; null for one that is not known. The first network that a key is used
-- from is its home, and every later new one an event for its organization. Fifty are remembered, and of more the latest: one that was
-- forgotten is new again.
create function identity.use_api_key(key uuid, network cidr, visit text) returns void
  volatile security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
declare
  k identity.api_key;
  home boolean;
begin
  update identity.api_key a set last_used_at = now() where a.id = key and a.revoked_at is null returning * into k; -- one use at a time
  if k.id is null or network is null then
    return;
  end if;
  home := not exists (select from identity.api_key_network n where n.api_key_id = key);
  insert into identity.api_key_network (api_key_id, network, suspect) values (key, use_api_key.network, not home)
    on conflict on constraint api_key_network_pkey do nothing;
  if not found then
    update identity.api_key_network n set last_seen = now() where n.api_key_id = key and n.network = use_api_key.network;
    return;
  end if;
  delete from identity.api_key_network n where n.api_key_id = key and n.network in (
    select o.network from identity.api_key_network o where o.api_key_id = key and o.network <> use_api_key.network order by o.last_seen desc, o.network offset 49);
  if not home then
    perform audit.append_identity(k.organization_id, k.profile_id, k.id, visit, 'security', 'api_key.new_network', 'api_key', k.id::text);
  end if;
end $$;
grant execute on function identity.use_api_key(uuid, cidr, text) to redoubt_identity;

-- ---- What the application may ask for its caller ----

create function redoubt.my_api_key_networks()
  returns table (key_id uuid, network text, first_seen timestamptz, last_seen timestamptz, suspect boolean)
  stable security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
begin
  return query
    select n.api_key_id, n.network::text, n.first_seen, n.last_seen, n.suspect
      from identity.api_key_network n join identity.api_key k on k.id = n.api_key_id
     where k.organization_id = redoubt.org() and k.profile_id = redoubt.profile();
end $$;

-- add_federation records a trust, which only a person makes, and which can do no more than they can.
create function redoubt.add_federation(id uuid, name text, issuer text, audience text, subject_pattern text, scopes text[], uses integer, expires_at timestamptz, mac bytea) returns void
  volatile security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
declare s text;
begin
  perform redoubt.require('machines:write');
  if not redoubt.interactive() then
    raise exception 'redoubt: only a person trusts machines' using errcode = 'RD403';
  end if;
  foreach s in array scopes loop
    perform redoubt.require(s);
  end loop;
  if expires_at <= now() then
    raise exception 'redoubt: a trust ends in the future' using errcode = 'RD409';
  end if;
  perform from identity.organization o where o.id = redoubt.org() for no key update; -- one trust at a time, so that a hundred are a hundred
  if (select count(*) from identity.federation f where f.organization_id = redoubt.org() and f.revoked_at is null and (f.expires_at is null or f.expires_at > now())) >= 100 then
    raise exception 'redoubt: a hundred living trusts are enough' using errcode = 'RD409';
  end if;
  insert into identity.federation (id, organization_id, made_by, name, issuer, audience, subject_pattern, scopes, uses, expires_at, mac)
  values (add_federation.id, redoubt.org(), redoubt.profile(), add_federation.name, add_federation.issuer, add_federation.audience, add_federation.subject_pattern,
    add_federation.scopes, add_federation.uses, add_federation.expires_at, add_federation.mac);
  perform audit.append('credential', 'federation.created', 'federation', add_federation.id::text, jsonb_build_object('issuer', add_federation.issuer,
    'subject_pattern', add_federation.subject_pattern, 'scopes', to_jsonb(add_federation.scopes), 'uses', add_federation.uses, 'expires_at', add_federation.expires_at));
end $$;

create function redoubt.federations()
  returns table (id uuid, name text, issuer text, audience text, subject_pattern text, scopes text[], uses integer, created_at timestamptz, expires_at timestamptz, last_used_at timestamptz, revoked_at timestamptz)
  stable security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
begin
  perform redoubt.require('machines:write');
  return query
    select f.id, f.name, f.issuer, f.audience, f.subject_pattern, f.scopes, f.uses, f.created_at, f.expires_at, f.last_used_at, f.revoked_at
      from identity.federation f where f.organization_id = redoubt.org()
     order by f.created_at desc, f.id limit 200;
end $$;

-- revoke_federation ends a trust, and with it every token that was given for it, at the next statement.
create function redoubt.revoke_federation(federation uuid) returns boolean
  volatile security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
begin
  perform redoubt.require('machines:write');
  update identity.federation f set revoked_at = now() where f.id = federation and f.organization_id = redoubt.org() and f.revoked_at is null;
  if not found then
    return false;
  end if;
  perform audit.append('credential', 'federation.revoked', 'federation', federation::text);
  return true;
end $$;

grant execute on function redoubt.my_api_key_networks(), redoubt.federations(), redoubt.revoke_federation(uuid),
  redoubt.add_federation(uuid, text, text, text, text, text[], integer, timestamptz, bytea) to redoubt_app;
reset role;
