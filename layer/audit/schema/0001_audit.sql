-- The audit trail (SYSTEM U1, U2): one table that everybody may only add to, through functions that take the actor from the
-- sealed context and not from the application's word. Its owner cannot log in.
set role redoubt_audit;

create table audit.log (
  organization_id uuid, -- null for what happened before an organization was known, as a refused sign-in
  id              bigint      generated always as identity primary key,
  at              timestamptz not null default clock_timestamp(),
  actor           uuid, -- the profile; null for a stranger or the system
  credential      uuid, -- the session or API key that was used
  visit           text        not null default '', -- address and request id, by the application's word
  db_role         text        not null default session_user,
  category        text        not null check (category in ('row', 'lifecycle', 'state', 'credential', 'payment', 'system', 'security')),
  action          text        not null check (length(action) between 1 and 100),
  entity          text        not null check (length(entity) <= 100),
  entity_id       text        not null check (length(entity_id) <= 100),
  changes         jsonb       not null default '{}'
);
create index on audit.log (organization_id, id desc);

create function audit.refuse() returns trigger language plpgsql as $$
begin
  raise exception 'redoubt: the audit trail is append-only' using errcode = '42501';
end $$;
create trigger no_change before update or delete on audit.log for each row execute function audit.refuse();
create trigger no_truncate before truncate on audit.log for each statement execute function audit.refuse();
alter table audit.log enable always trigger no_change, enable always trigger no_truncate; -- also under replication

-- Readers see their own organization, and only with the scope; the auditor, who has no other right, sees all; the owner's functions
-- may add.
alter table audit.log enable row level security, force row level security;
create policy add on audit.log for insert to redoubt_audit with check (true);
create policy floor on audit.log as restrictive for select to public using (
  case when (select current_user = 'redoubt_auditor') then true
       else organization_id = (select redoubt.org()) and (select redoubt.has('audit:read')) end);
create policy read on audit.log for select to public using (true);

-- row records what a statement did to a row of a tenant table. The guard attaches it to every one of them. The trigger's arguments
-- are the columns that hold something personal: that they changed is recorded, and not what they say, because what is written
-- here cannot be taken back when a person is deleted (SYSTEM I8, U5).
create function audit.row() returns trigger security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
declare
  o jsonb := case when tg_op <> 'INSERT' then to_jsonb(old) end;
  n jsonb := case when tg_op <> 'DELETE' then to_jsonb(new) end;
  changed jsonb := coalesce(n, o);
  maintained boolean := session_user = 'redoubt_maintenance'; -- a migration, which nobody in an organization asked for
begin
  if tg_op = 'UPDATE' then
    select jsonb_object_agg(k, case when k = any (tg_argv) then '["[personal]", "[personal]"]' else jsonb_build_array(o -> k, n -> k) end)
      into changed from jsonb_object_keys(n) k where o -> k is distinct from n -> k;
    if changed is null then
      return null;
    end if;
  elsif tg_nargs > 0 then
    select jsonb_object_agg(k, case when k = any (tg_argv) and v <> 'null' then '"[personal]"' else v end) into changed from jsonb_each(changed) e(k, v);
  end if;
  insert into audit.log (organization_id, actor, credential, visit, category, action, entity, entity_id, changes)
  values ((coalesce(n, o) ->> 'organization_id')::uuid, case when not maintained then redoubt.profile() end, case when not maintained then redoubt.credential_id() end,
          case when maintained then '' else redoubt.visit() end, 'row', lower(tg_op),
          case when pg_partition_root(tg_relid) is null then tg_table_schema || '.' || tg_table_name
            else (select n.nspname || '.' || c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = pg_partition_root(tg_relid)) end,
          coalesce(coalesce(n, o) ->> 'id', ''), changed);
  return null;
end $$;

-- append records an application's event in the caller's own transaction.
create function audit.append(category text, action text, entity text, entity_id text, changes jsonb default '{}') returns void
  volatile security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
begin
  if category = 'row' then
    raise exception 'redoubt: row changes are recorded by triggers alone' using errcode = '42501';
  end if;
  insert into audit.log (organization_id, actor, credential, visit, category, action, entity, entity_id, changes)
  values (redoubt.org(), redoubt.profile(), redoubt.credential_id(), redoubt.visit(), append.category, append.action, append.entity, append.entity_id, append.changes);
end $$;

-- append_identity records what package identity saw before any context could exist: sign-ins and their refusals.
create function audit.append_identity(organization_id uuid, actor uuid, credential uuid, visit text, category text, action text, entity text, entity_id text, changes jsonb default '{}') returns void
  volatile security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
begin
  if category not in ('credential', 'security') then
    raise exception 'redoubt: identity records only sign-ins and refusals' using errcode = '42501';
  end if;
  insert into audit.log (organization_id, actor, credential, visit, category, action, entity, entity_id, changes)
  values (append_identity.organization_id, append_identity.actor, append_identity.credential, left(append_identity.visit, 120), append_identity.category,
          append_identity.action, append_identity.entity, append_identity.entity_id, append_identity.changes);
end $$;

grant usage on schema audit to redoubt_app, redoubt_worker, redoubt_webhook, redoubt_identity, redoubt_keys, redoubt_owner, redoubt_auditor;
grant select on audit.log to redoubt_auditor;
grant select (organization_id, id, at, actor, credential, visit, category, action, entity, entity_id, changes) on audit.log to redoubt_app;
grant execute on function audit.append(text, text, text, text, jsonb) to redoubt_app, redoubt_worker, redoubt_webhook, redoubt_keys, redoubt_owner;
grant execute on function audit.append_identity(uuid, uuid, uuid, text, text, text, text, text, jsonb) to redoubt_identity, redoubt_keys;
-- A partition gets its table's triggers in the name of whoever makes it. The owner can do no more with it than have changes of its own
-- tables recorded once more.
grant execute on function audit.row() to redoubt_owner;
reset role;
