-- The credential context (SYSTEM D2). A role that serves callers says nothing about who it works for: it presents the caller's own
-- credential to redoubt.enter, which looks it up by its hash and keeps what it found for this transaction, where nobody but
-- enter can write. Policies ask for it each time they are evaluated, so a context that was overwritten, copied from another
-- transaction or invented is refused at the moment of use. How it is kept is 0002_keeping.sql's business.
set role redoubt_keys;

-- written is a list of scopes as a context has it: posts:read-all is posts0read_all, and a comma follows each.
create function redoubt.written(scopes text[]) returns text immutable parallel safe language sql as $$
  select pg_catalog.translate(pg_catalog.array_to_string(scopes operator(pg_catalog.||) array['']::pg_catalog.text[], ','), ':-', '0_')
$$;

-- What each role of a member may do (SYSTEM I4); administrator is no role that a row could give, but what the provider calls somebody
-- (SYSTEM I3). The database's own list, not the application's: the application has another (SYSTEM A4).
create table redoubt.role (
  name   text   primary key check (name ~ '^[a-z]{1,32}$'),
  scopes text[] not null check (cardinality(scopes) <= 100),
  may    text   not null generated always as (redoubt.written(scopes)) stored
);
insert into redoubt.role values ('owner', '{}'), ('admin', '{}'), ('member', '{}'), ('guest', '{}'), ('administrator', '{}');

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
-- Ids are hexadecimal, all zeros for none. Kinds: s session, k API key, m machine, j job, w webhook endpoint. The visit is the
-- hexadecimal of its UTF-8.
--
-- What makes and reads it are SQL expressions that the planner puts in their callers' place: a function in PL/pgSQL costs ten
-- microseconds at its first call in a transaction, and these are called by every statement. What is put in place is parsed
-- under the caller's search_path, so every name and operator is qualified.
create function redoubt.context(organization uuid, profile uuid, person uuid, credential uuid, kind text, written text, visit text) returns text
  stable parallel safe language sql as $$
  select pg_catalog.concat(pg_catalog.translate(pg_catalog.concat(organization, profile, person, credential), '-', ''), kind, ',', written,
    pg_catalog.encode(pg_catalog.convert_to(pg_catalog.left(visit, 120), 'UTF8'), 'hex'))
$$;

-- enter verifies a credential and keeps what it stands for until the transaction ends. Which login role may present which kind is
-- decided here: a job grant is worth nothing to whoever stole the application's password, and a session nothing to the worker.
-- visit is the application's word about where the request came from ("203.0.113.7 01J9…", address and request id); it is recorded,
-- never decided on. Each kind is one statement, which keeps the context if it finds its row.

-- enter_session is the part of it on the way of nearly every request. It looks at two rows; membership.live and membership.may are
-- kept by triggers (layer/identity/schema/0001_identity.sql). It has no SET clause, which costs ten microseconds a call, so every name
-- and operator is qualified.
create function redoubt.enter_session(credential text, visit text default '', read_only boolean default false) returns void
  volatile security definer language plpgsql as $$
declare
  kept pg_catalog.text;
begin
  select redoubt.keep(redoubt.context(s.organization_id, s.profile_id, s.person_id, s.id, 's',
           case when s.administrator then pg_catalog.concat(m.may, (select d.may from redoubt.role d where d.name operator(pg_catalog.=) 'administrator')) else m.may end,
           visit), read_only) into kept
    from identity.session s
    join identity.membership m on m.organization_id operator(pg_catalog.=) s.organization_id and m.id operator(pg_catalog.=) s.profile_id
   where s.hash operator(pg_catalog.=) pg_catalog.sha256(pg_catalog.convert_to(credential, 'UTF8')) and s.revoked_at is null
     and s.expires_at operator(pg_catalog.>) pg_catalog.statement_timestamp()
     and s.seen_at operator(pg_catalog.>) (pg_catalog.statement_timestamp() operator(pg_catalog.-) s.idle)
     and m.live;
  if kept is null then
    raise exception 'redoubt: credential refused' using errcode = '28000';
  end if;
end $$;

create function redoubt.enter(credential text, visit text default '', read_only boolean default false) returns void
  volatile security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
declare
  kept text;
begin
  if starts_with(credential, 'rds_') and session_user = 'redoubt_app' then
    perform redoubt.enter_session(credential, visit, read_only);
    return;
  elsif starts_with(credential, 'rdk_') and session_user in ('redoubt_app', 'redoubt_analytics') then
    select redoubt.keep(redoubt.context(a.organization_id, a.profile_id, a.person_id, a.id, 'k', redoubt.among(a.scopes, m.may, a.administrator), visit), read_only) into kept
      from identity.api_key a
      join identity.membership m on m.organization_id = a.organization_id and m.id = a.profile_id
     where a.hash = sha256(convert_to(credential, 'UTF8')) and a.revoked_at is null and a.expires_at > statement_timestamp() and m.live;
  elsif starts_with(credential, 'rdm_') and session_user = 'redoubt_app' then
    select redoubt.keep(redoubt.context(t.organization_id, '00000000-0000-0000-0000-000000000000', '00000000-0000-0000-0000-000000000000', t.id, 'm',
             redoubt.written(array(select g from unnest(t.scopes) g where g = any (f.scopes))), visit), read_only) into kept
      from identity.machine_token t
      join identity.federation f on f.id = t.federation_id and f.organization_id = t.organization_id
      join identity.organization o on o.id = t.organization_id
     where t.hash = sha256(convert_to(credential, 'UTF8')) and t.expires_at > statement_timestamp()
       and f.revoked_at is null and (f.expires_at is null or f.expires_at > statement_timestamp()) and o.active;
  elsif starts_with(credential, 'rdj_') and session_user = 'redoubt_worker' then
    select redoubt.keep(redoubt.context(g.organization_id, g.profile_id, g.person_id, g.id, 'j', g.may, visit), read_only) into kept
      from redoubt.redeem_job(sha256(convert_to(credential, 'UTF8'))) g where g.id is not null;
  elsif starts_with(credential, 'rdw_') and session_user = 'redoubt_webhook' then
    select redoubt.keep(redoubt.context(e.organization_id, '00000000-0000-0000-0000-000000000000', '00000000-0000-0000-0000-000000000000', e.id, 'w', redoubt.written(e.scopes), visit), read_only) into kept
      from identity.endpoint e join identity.organization o on o.id = e.organization_id
     where e.hash = sha256(convert_to(credential, 'UTF8')) and e.revoked_at is null and o.active;
  end if;
  if kept is null then
    raise exception 'redoubt: credential refused' using errcode = '28000';
  end if;
end $$;

-- among is what a key or grant still may, as a context has it: what it was given, of what its member has now.
create function redoubt.among(given text[], may text, administrator boolean) returns text
  stable language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  has text := ',' || may || case when administrator then (select d.may from redoubt.role d where d.name = 'administrator') else '' end;
begin
  return redoubt.written(array(select g from unnest(given) g where strpos(has, ',' || redoubt.written(array[g])) > 0));
end $$;

-- What the context says. Each asks redoubt.verified for it, which refuses if there is none.
create function redoubt.org() returns uuid stable parallel restricted language sql as $$
  select pg_catalog.substr(redoubt.verified(), 1, 32)::pg_catalog.uuid
$$;
-- Profile and person are null for an endpoint and for a machine, which are nobody. (NULLIF finds its operator by search_path; array_remove does not.)
create function redoubt.profile() returns uuid stable parallel restricted language sql as $$
  select (pg_catalog.array_remove(array[pg_catalog.substr(redoubt.verified(), 33, 32)::pg_catalog.uuid], '00000000-0000-0000-0000-000000000000'))[1]
$$;
create function redoubt.person() returns uuid stable parallel restricted language sql as $$
  select (pg_catalog.array_remove(array[pg_catalog.substr(redoubt.verified(), 65, 32)::pg_catalog.uuid], '00000000-0000-0000-0000-000000000000'))[1]
$$;
create function redoubt.credential_id() returns uuid stable parallel restricted language sql as $$
  select pg_catalog.substr(redoubt.verified(), 97, 32)::pg_catalog.uuid
$$;
create function redoubt.credential_kind() returns text stable parallel restricted language sql as $$
  select pg_catalog.substr(redoubt.verified(), 129, 1)
$$;
create function redoubt.interactive() returns boolean stable parallel restricted language sql as $$
  select redoubt.credential_kind() operator(pg_catalog.=) 's'
$$;
create function redoubt.visit() returns text stable parallel restricted language sql as $$
  select pg_catalog.convert_from(pg_catalog.decode(pg_catalog.split_part(redoubt.verified(), ',', -1), 'hex'), 'UTF8')
$$;
create function redoubt.has(scope text) returns boolean stable parallel restricted language sql as $$
  select pg_catalog.strpos(pg_catalog.substr(redoubt.verified(), 130), pg_catalog.concat(',', pg_catalog.translate(scope, ':-,', '0_'), ',')) operator(pg_catalog.>) 0
$$;

-- An id says whose it is (SYSTEM A5, D1): the ids of an organization's rows are of version 8 (RFC 9562 section 5.8) and begin with 32 bits
-- that stand for the organization, so that the program can tell from an answer alone that the policies let another's row through.
-- The other 90 bits are random. Outside a context, as in a migration, an id is of version 4 and says nothing.
create function redoubt.new_id(organization uuid) returns uuid volatile parallel safe language sql as $$
  select pg_catalog.overlay(pg_catalog.overlay(pg_catalog.gen_random_uuid()::pg_catalog.text,
    pg_catalog.left(pg_catalog.encode(pg_catalog.sha256(pg_catalog.uuid_send(organization)), 'hex'), 8), 1), '8', 15)::pg_catalog.uuid
$$;
create function redoubt.new_id() returns uuid volatile parallel restricted language sql as $$
  select case when redoubt.entered() then redoubt.new_id(redoubt.org()) else pg_catalog.gen_random_uuid() end
$$;

-- require is the third gate's question (SYSTEM A3). It answers with the caller's profile, or refuses.
create function redoubt.lacking() returns uuid stable language plpgsql as $$
begin
  raise exception 'redoubt: the caller lacks a scope' using errcode = 'RD403';
end $$;
create function redoubt.require(scope text) returns uuid stable language sql as $$
  select case when redoubt.has(scope) then redoubt.profile() else redoubt.lacking() end
$$;

-- Policies call these for whoever reads a table, so everyone may: without a context they only refuse.
grant usage on schema redoubt to redoubt_app, redoubt_worker, redoubt_webhook, redoubt_analytics, redoubt_auditor, redoubt_owner, redoubt_audit;
grant execute on function redoubt.org(), redoubt.profile(), redoubt.person(), redoubt.credential_id(), redoubt.credential_kind(),
  redoubt.interactive(), redoubt.visit(), redoubt.has(text), redoubt.new_id(), redoubt.new_id(uuid) to public;
grant execute on function redoubt.enter_session(text, text, boolean) to redoubt_app;
grant execute on function redoubt.enter(text, text, boolean), redoubt.require(text), redoubt.lacking()
  to redoubt_app, redoubt_worker, redoubt_webhook, redoubt_analytics;
grant execute on function redoubt.allow(text, text[]) to redoubt_owner;
reset role;
