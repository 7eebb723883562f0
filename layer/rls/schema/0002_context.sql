-- The credential context (SYSTEM D2). The application role says nothing about who it works for: it presents the caller's own
-- credential to redoubt.enter, which looks it up by its hash and seals what it found for this backend and this transaction.
-- Policies verify the seal each time they are evaluated, so a context that was overwritten, copied from another transaction
-- or invented is refused at the moment of use.
set role redoubt_keys;

-- What seals. Readable by nobody but the functions below.
create table redoubt.seal_key (
  kid        text        primary key check (kid ~ '^[0-9]{2}$'),
  key        bytea       not null check (length(key) = 32),
  created_at timestamptz not null default now()
);
insert into redoubt.seal_key (kid, key) values ('01', extension.gen_random_bytes(32));

-- What each role of a member may do. The database's own list, not the application's: the application has another (SYSTEM A4).
create table redoubt.role (
  name   text   primary key check (name ~ '^[a-z]{1,32}$'),
  scopes text[] not null check (cardinality(scopes) <= 100)
);
insert into redoubt.role values ('member', '{}'), ('administrator', '{}');

-- allow adds scopes to a role. Applications call it from their migrations, as redoubt_owner.
create function redoubt.allow(role text, variadic added text[]) returns void
  volatile security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
begin
  if exists (select from unnest(added) a where a !~ '^[a-z][a-z-]{0,30}:[a-z][a-z-]{0,30}$') then
    raise exception 'redoubt: a scope reads like posts:write';
  end if;
  update redoubt.role r set scopes = array(select distinct unnest(r.scopes || added) order by 1) where r.name = allow.role;
  if not found then
    raise exception 'redoubt: there is no role %', role;
  end if;
end $$;

-- A context is: seal (64 hex) | kid (2) | organization (36) | profile (36) | person (36) | credential id (36) | kind (1)
-- and then, each after a "|": scopes, visit. The seal is an HMAC over all that follows it, the backend and the transaction; the
-- last two are not written down but put in again by whoever verifies, so that there is nothing to compare but the seal.

-- enter verifies a credential and seals it for this transaction. visit is the application's word about where the request came
-- from ("203.0.113.7 01J9…", address and request id); it is recorded, never decided on.
create function redoubt.enter(credential text, visit text default '', read_only boolean default false) returns void
  volatile security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
declare
  who record;
  payload text;
  digest bytea := sha256(convert_to(credential, 'UTF8'));
begin
  if left(credential, 4) = 'rds_' then
    select s.organization_id::text || s.profile_id::text || s.person_id::text || s.id::text || 's' as ids,
           array_to_string(r.scopes, ',') as scopes, k.kid, k.key into who
      from identity.session s
      join identity.membership m on m.organization_id = s.organization_id and m.id = s.profile_id
      join identity.organization o on o.id = s.organization_id
      join redoubt.role r on r.name = case when s.administrator then 'administrator' else m.role end
      cross join lateral (select kid, key from redoubt.seal_key order by kid desc limit 1) k
     where s.hash = digest and s.revoked_at is null
       and s.expires_at > statement_timestamp() and s.seen_at > statement_timestamp() - s.idle
       and m.active and o.active;
  elsif left(credential, 4) = 'rdk_' then
    select a.organization_id::text || a.profile_id::text || a.person_id::text || a.id::text || 'k' as ids,
           array_to_string(array(select unnest(a.scopes) intersect select unnest(r.scopes) order by 1), ',') as scopes, k.kid, k.key into who
      from identity.api_key a
      join identity.membership m on m.organization_id = a.organization_id and m.id = a.profile_id
      join identity.organization o on o.id = a.organization_id
      join redoubt.role r on r.name = case when a.administrator then 'administrator' else m.role end
      cross join lateral (select kid, key from redoubt.seal_key order by kid desc limit 1) k
     where a.hash = digest and a.revoked_at is null and a.expires_at > statement_timestamp()
       and m.active and o.active;
  else
    raise exception 'redoubt: credential refused' using errcode = '28000';
  end if;
  if who.ids is null then
    raise exception 'redoubt: credential refused' using errcode = '28000';
  end if;
  payload := who.kid || who.ids || '|' || who.scopes || '|' || left(translate(visit, '|', ' '), 120);
  perform set_config('redoubt.context', encode(extension.hmac(
    convert_to(payload || pg_backend_pid()::text, 'UTF8') || timestamptz_send(transaction_timestamp()), who.key, 'sha256'), 'hex') || payload, true);
  if read_only then
    perform set_config('transaction_read_only', 'on', true);
  end if;
end $$;

-- verified returns the context if its seal is that of this backend and this transaction, and refuses otherwise. It is on the path
-- of every row, so it is short: one key read, one HMAC, one comparison. It has no SET clause, which would cost a settings frame on
-- every call; every name and operator is qualified instead, so search_path cannot matter. The comparison may end early: a seal
-- that is right in a vector register's first half tells so to nobody who has fewer than 2^64 tries in one transaction.
create function redoubt.verified() returns text
  stable parallel restricted security definer language plpgsql as $$
declare
  c text := pg_catalog.current_setting('redoubt.context', true);
  p text := pg_catalog.substr(c, 65);
  k bytea;
begin
  select s.key into k from redoubt.seal_key s where s.kid operator(pg_catalog.=) pg_catalog.substr(p, 1, 2);
  if pg_catalog.left(c, 64) operator(pg_catalog.=) pg_catalog.encode(extension.hmac(
       pg_catalog.convert_to(p operator(pg_catalog.||) pg_catalog.pg_backend_pid()::pg_catalog.text, 'UTF8')
         operator(pg_catalog.||) pg_catalog.timestamptz_send(pg_catalog.transaction_timestamp()), k, 'sha256'), 'hex')
  then
    return p;
  elsif c is null or c operator(pg_catalog.=) '' then
    raise exception 'redoubt: no credential was presented in this transaction' using errcode = '28000';
  end if;
  raise exception 'redoubt: the context was not sealed for this transaction' using errcode = '28000';
end $$;

-- What the context says. Each verifies.
create function redoubt.org() returns uuid stable parallel restricted language plpgsql as $$
begin return pg_catalog.substr(redoubt.verified(), 3, 36)::pg_catalog.uuid; end $$;
create function redoubt.profile() returns uuid stable parallel restricted language plpgsql as $$
begin return pg_catalog.substr(redoubt.verified(), 39, 36)::pg_catalog.uuid; end $$;
create function redoubt.person() returns uuid stable parallel restricted language plpgsql as $$
begin return pg_catalog.substr(redoubt.verified(), 75, 36)::pg_catalog.uuid; end $$;
create function redoubt.credential_id() returns uuid stable parallel restricted language plpgsql as $$
begin return pg_catalog.substr(redoubt.verified(), 111, 36)::pg_catalog.uuid; end $$;
create function redoubt.interactive() returns boolean stable parallel restricted language plpgsql as $$
begin return pg_catalog.substr(redoubt.verified(), 147, 1) operator(pg_catalog.=) 's'; end $$;
create function redoubt.visit() returns text stable parallel restricted language plpgsql as $$
begin return pg_catalog.split_part(redoubt.verified(), '|', 3); end $$;
create function redoubt.has(scope text) returns boolean stable parallel restricted language plpgsql as $$
begin
  return scope operator(pg_catalog.=) any (pg_catalog.string_to_array(pg_catalog.split_part(redoubt.verified(), '|', 2), ','));
end $$;

-- require is the third gate's question (SYSTEM A3). It answers with the caller's profile, or refuses.
create function redoubt.require(scope text) returns uuid stable language plpgsql as $$
begin
  if not redoubt.has(scope) then
    raise exception 'redoubt: the caller lacks a scope' using errcode = 'RD403';
  end if;
  return redoubt.profile();
end $$;

-- Policies call these for whoever reads a table, so everyone may: without a sealed context they only refuse.
grant usage on schema redoubt to redoubt_app, redoubt_owner, redoubt_audit;
grant execute on function redoubt.verified(), redoubt.org(), redoubt.profile(), redoubt.person(), redoubt.credential_id(),
  redoubt.interactive(), redoubt.visit(), redoubt.has(text) to public;
grant execute on function redoubt.enter(text, text, boolean), redoubt.require(text) to redoubt_app;
grant execute on function redoubt.allow(text, text[]) to redoubt_owner;
reset role;
