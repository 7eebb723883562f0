-- The credential context (SYSTEM D2). A role that serves callers says nothing about who it works for: it presents the caller's own
-- credential to redoubt.enter, which looks it up by its hash and keeps what it found for this transaction, where nobody but
-- enter can write. Policies ask for it each time they are evaluated, so a context that was overwritten, copied from another
-- transaction or invented is refused at the moment of use. How it is kept is 0004_keeping.sql's business.
set role redoubt_keys;

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

-- A context is one line of letters, digits, underscores and commas (a parameter of the server takes no more):
--   organization (32) profile (32) person (32) credential (32) kind (1) , scopes , visit
-- Ids are hexadecimal, all zeros for none. Kinds: s session, k API key, j job, w webhook endpoint. A scope posts:read-all is written
-- posts0read_all, and a comma follows each. The visit is the hexadecimal of its UTF-8.

-- enter verifies a credential and keeps what it stands for until the transaction ends. Which login role may present which kind is
-- decided here: a job grant is worth nothing to whoever stole the application's password, and a session nothing to the worker.
-- visit is the application's word about where the request came from ("203.0.113.7 01J9…", address and request id); it is recorded,
-- never decided on.
create function redoubt.enter(credential text, visit text default '', read_only boolean default false) returns void
  volatile security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
declare
  kind text := left(credential, 4);
  digest bytea := sha256(convert_to(credential, 'UTF8'));
  who text;
  may text[];
begin
  if kind = 'rds_' and session_user = 'redoubt_app' then
    select s.organization_id::text || s.profile_id::text || s.person_id::text || s.id::text || 's', r.scopes into who, may
      from identity.session s
      join identity.membership m on m.organization_id = s.organization_id and m.id = s.profile_id
      join identity.organization o on o.id = s.organization_id
      join redoubt.role r on r.name = case when s.administrator then 'administrator' else m.role end
     where s.hash = digest and s.revoked_at is null
       and s.expires_at > statement_timestamp() and s.seen_at > statement_timestamp() - s.idle
       and m.active and o.active;
  elsif kind = 'rdk_' and session_user in ('redoubt_app', 'redoubt_analytics') then
    select a.organization_id::text || a.profile_id::text || a.person_id::text || a.id::text || 'k',
           array(select unnest(a.scopes) intersect select unnest(r.scopes) order by 1) into who, may
      from identity.api_key a
      join identity.membership m on m.organization_id = a.organization_id and m.id = a.profile_id
      join identity.organization o on o.id = a.organization_id
      join redoubt.role r on r.name = case when a.administrator then 'administrator' else m.role end
     where a.hash = digest and a.revoked_at is null and a.expires_at > statement_timestamp()
       and m.active and o.active;
  elsif kind = 'rdj_' and session_user = 'redoubt_worker' then
    select f.who, f.may into who, may from redoubt.redeem_job(digest) f;
  elsif kind = 'rdw_' and session_user = 'redoubt_webhook' then
    select e.organization_id::text || repeat('0', 64) || e.id::text || 'w', e.scopes into who, may
      from identity.endpoint e join identity.organization o on o.id = e.organization_id
     where e.hash = digest and e.revoked_at is null and o.active;
  end if;
  if who is null then
    raise exception 'redoubt: credential refused' using errcode = '28000';
  end if;
  perform redoubt.keep(translate(who, '-', '') || ',' || translate(array_to_string(may || array[''], ','), ':-', '0_')
    || encode(convert_to(left(visit, 120), 'UTF8'), 'hex'));
  if read_only then
    perform set_config('transaction_read_only', 'on', true);
  end if;
end $$;

-- What the context says. Each asks redoubt.verified for it, which refuses if there is none.
create function redoubt.org() returns uuid stable parallel restricted language plpgsql as $$
begin return pg_catalog.substr(redoubt.verified(), 1, 32)::pg_catalog.uuid; end $$;
-- Null for an endpoint, which is nobody's.
create function redoubt.profile() returns uuid stable parallel restricted language plpgsql as $$
declare id pg_catalog.text := pg_catalog.substr(redoubt.verified(), 33, 32);
begin return case when id operator(pg_catalog.<>) '00000000000000000000000000000000' then id::pg_catalog.uuid end; end $$;
create function redoubt.person() returns uuid stable parallel restricted language plpgsql as $$
declare id pg_catalog.text := pg_catalog.substr(redoubt.verified(), 65, 32);
begin return case when id operator(pg_catalog.<>) '00000000000000000000000000000000' then id::pg_catalog.uuid end; end $$;
create function redoubt.credential_id() returns uuid stable parallel restricted language plpgsql as $$
begin return pg_catalog.substr(redoubt.verified(), 97, 32)::pg_catalog.uuid; end $$;
create function redoubt.credential_kind() returns text stable parallel restricted language plpgsql as $$
begin return pg_catalog.substr(redoubt.verified(), 129, 1); end $$;
create function redoubt.interactive() returns boolean stable parallel restricted language plpgsql as $$
begin return redoubt.credential_kind() operator(pg_catalog.=) 's'; end $$;
create function redoubt.visit() returns text stable parallel restricted language plpgsql as $$
begin
  return pg_catalog.convert_from(pg_catalog.decode(pg_catalog.split_part(redoubt.verified(), ',', -1), 'hex'), 'UTF8');
end $$;
create function redoubt.has(scope text) returns boolean stable parallel restricted language plpgsql as $$
begin
  return pg_catalog.strpos(pg_catalog.substr(redoubt.verified(), 130),
    pg_catalog.concat(',', pg_catalog.translate(scope, ':-,', '0_'), ',')) operator(pg_catalog.>) 0;
end $$;

-- require is the third gate's question (SYSTEM A3). It answers with the caller's profile, or refuses.
create function redoubt.require(scope text) returns uuid stable language plpgsql as $$
begin
  if not redoubt.has(scope) then
    raise exception 'redoubt: the caller lacks a scope' using errcode = 'RD403';
  end if;
  return redoubt.profile();
end $$;

-- Policies call these for whoever reads a table, so everyone may: without a context they only refuse.
grant usage on schema redoubt to redoubt_app, redoubt_worker, redoubt_webhook, redoubt_analytics, redoubt_owner, redoubt_audit;
grant execute on function redoubt.org(), redoubt.profile(), redoubt.person(), redoubt.credential_id(), redoubt.credential_kind(),
  redoubt.interactive(), redoubt.visit(), redoubt.has(text) to public;
grant execute on function redoubt.enter(text, text, boolean), redoubt.require(text)
  to redoubt_app, redoubt_worker, redoubt_webhook, redoubt_analytics;
grant execute on function redoubt.allow(text, text[]) to redoubt_owner;
reset role;
