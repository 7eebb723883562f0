-- The guard: isolation comes on by itself, and a table that could leak is refused (SYSTEM D1, D4, D5). Event triggers belong
-- to the superuser, so that not even the owner of the tables can take them away. A tenant table is any table in a schema that
-- redoubt_owner owns. The floor binds migrations too, which have no credential: they see no rows. What has to see them all, as a
-- backfill or the validation of a foreign key, is a file of its own that says why, and runs as redoubt_maintenance.

-- Tables that belong to no organization, each with its reason; the application may only read them.
create table guard.global_table (
  name   text primary key,
  reason text not null check (length(reason) >= 10)
);

create function guard.tenant_schema(n oid) returns boolean stable language sql set search_path = pg_catalog, pg_temp as $$
  select exists (select from pg_namespace s where s.oid = n and pg_get_userbyid(s.nspowner) = 'redoubt_owner')
$$;

-- protect turns everything on for a new table, before the command that made it returns.
create function guard.protect(t regclass) returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if not exists (select from pg_attribute where attrelid = t and attname = 'organization_id' and atttypid = 'uuid'::regtype and attnotnull and not attisdropped) then
    raise exception 'redoubt: table % needs organization_id uuid NOT NULL', t
      using errcode = '42501', hint = 'Every tenant table has it; a table for everybody needs a row in guard.global_table with its reason.';
  end if;
  -- Restrictive: nothing that is added later can widen it. To public: it binds the owner too.
  execute format('create policy redoubt_floor on %s as restrictive for all to public using (organization_id = (select redoubt.org())) with check (organization_id = (select redoubt.org()))', t);
  execute format('create policy redoubt_open on %s for all to public using (true) with check (true)', t);
  if not exists (select from pg_trigger where tgrelid = t and tgname = 'audit_row') then -- a partition has its table's
    execute format('create trigger audit_row after insert or update or delete on %s for each row execute function audit.row()', t);
  end if;
  execute format('alter table %s alter organization_id set default redoubt.org(), enable row level security, force row level security', t);
end $$;

-- check_partition admits one level of partitions by hash or list of organization_id alone. Who asks the parent meets the parent's
-- policies; who asks a partition itself meets its floor, and nobody may but the owner, because the finer policies are the parent's.
create function guard.check_partition(t oid) returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  c pg_class;
  parent pg_class;
begin
  select * into c from pg_class where oid = t;
  if exists (select from pg_inherits i join pg_class k on k.oid = i.inhrelid where t in (i.inhrelid, i.inhparent) and not k.relispartition) then
    raise exception 'redoubt: % inherits: who asks a parent passes by the policies of its children', t::regclass using errcode = '42501';
  end if;
  if c.relkind = 'p' and (c.relispartition or not exists (
    select from pg_partitioned_table p join pg_attribute a on a.attrelid = t and a.attname = 'organization_id' and a.attnum = p.partattrs[0]
     where p.partrelid = t and p.partnatts = 1 and p.partstrat in ('h', 'l'))) then
    raise exception 'redoubt: % must be partitioned by hash or list of organization_id alone, on one level', t::regclass using errcode = '42501';
  end if;
  if c.relispartition then
    select k.* into parent from pg_inherits i join pg_class k on k.oid = i.inhparent where i.inhrelid = t;
    if parent.relowner <> c.relowner or not guard.tenant_schema(parent.relnamespace) or not parent.relforcerowsecurity then
      raise exception 'redoubt: % is a partition of a table that is not guarded, or of another owner', t::regclass using errcode = '42501';
    end if;
    if exists (select from aclexplode(c.relacl) a where a.grantee <> c.relowner and pg_get_userbyid(a.grantee) <> 'redoubt_backup')
      or exists (select from pg_attribute m, aclexplode(m.attacl) a where m.attrelid = t and a.grantee <> c.relowner and pg_get_userbyid(a.grantee) <> 'redoubt_backup') then
      raise exception 'redoubt: partition % must be granted to nobody but backup: its table''s own policies are not asked there', t::regclass using errcode = '42501';
    end if;
  end if;
end $$;

-- check_table refuses a tenant table whose isolation has a hole.
create function guard.check_table(t oid) returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  c pg_class;
  org int2;
  bad text;
begin
  select * into c from pg_class where oid = t;
  if c.oid is null then
    return;
  end if;
  if not guard.tenant_schema(c.relnamespace) then
    if exists (select from pg_policy where polrelid = t and polname = 'redoubt_floor') then
      raise exception 'redoubt: tenant table % must stay in a schema of redoubt_owner', t::regclass using errcode = '42501';
    end if;
    return;
  end if;
  if c.relkind in ('r', 'p', 'v') and pg_get_userbyid(c.relowner) <> 'redoubt_owner' then
    raise exception 'redoubt: % must belong to redoubt_owner', t::regclass using errcode = '42501';
  end if;
  if c.relkind in ('f', 'm') then
    raise exception 'redoubt: % has no row level security: foreign tables and materialized views may not hold tenant data', t::regclass using errcode = '42501';
  end if;
  if c.relkind = 'v' then
    if not coalesce('security_invoker=true' = any (c.reloptions) or 'security_invoker=on' = any (c.reloptions), false) then
      raise exception 'redoubt: view % needs WITH (security_invoker = true)', t::regclass using errcode = '42501';
    end if;
    return;
  end if;
  if c.relkind not in ('r', 'p') then
    return;
  end if;
  perform guard.check_partition(t);
  if exists (select from guard.global_table where name = t::regclass::text) then
    if c.relrowsecurity then
      raise exception 'redoubt: tenant table % cannot become a global one', t::regclass using errcode = '42501';
    end if;
    if exists (select from aclexplode(c.relacl) a where a.privilege_type <> 'SELECT' and a.grantee <> c.relowner)
      or exists (select from pg_attribute m, aclexplode(m.attacl) a where m.attrelid = t and a.privilege_type <> 'SELECT') then
      raise exception 'redoubt: global table % must be read-only for all but its owner', t::regclass using errcode = '42501';
    end if;
    return;
  end if;
  select attnum into org from pg_attribute where attrelid = t and attname = 'organization_id' and atttypid = 'uuid'::regtype and attnotnull and not attisdropped;
  if org is null then
    raise exception 'redoubt: table % needs organization_id uuid NOT NULL', t::regclass using errcode = '42501';
  end if;
  if not (c.relrowsecurity and c.relforcerowsecurity) then
    raise exception 'redoubt: % must have row level security enabled and forced', t::regclass using errcode = '42501';
  end if;
  if not exists (
    select from pg_policy p where p.polrelid = t and p.polname = 'redoubt_floor' and not p.polpermissive and p.polcmd = '*' and p.polroles = '{0}'
       and pg_get_expr(p.polqual, t) = '(organization_id = ( SELECT redoubt.org() AS org))'
       and pg_get_expr(p.polwithcheck, t) = '(organization_id = ( SELECT redoubt.org() AS org))') then
    raise exception 'redoubt: the floor policy of % is missing or changed', t::regclass using errcode = '42501';
  end if;
  if not exists (select from pg_trigger where tgrelid = t and tgname = 'audit_row' and tgenabled in ('O', 'A') and tgfoid = 'audit.row()'::regprocedure
       and tgtype = 29 and tgqual is null and cardinality(tgattr::int2[]) = 0) then -- 29: after insert, update or delete, for each row
    raise exception 'redoubt: the audit trigger of % is missing, disabled or changed', t::regclass using errcode = '42501';
  end if;
  select i.indexrelid::regclass::text into bad from pg_index i left join pg_constraint k on k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x')
   where i.indrelid = t and (i.indisunique or i.indisexclusion)
     and ((i.indkey::int2[])[0] is distinct from org or i.indisexclusion and k.conexclop[1] is distinct from 'pg_catalog.=(uuid,uuid)'::regoperator) limit 1;
  if bad is not null then
    raise exception 'redoubt: unique or exclusive index % must begin with organization_id', bad
      using errcode = '42501', hint = 'A unique index over all organizations tells one of them what another has.';
  end if;
  select k.conname into bad from pg_constraint k join pg_class f on f.oid = k.confrelid
   where k.conrelid = t and k.contype = 'f'
     and exists (select from pg_attribute a where a.attrelid = f.oid and a.attname = 'organization_id' and not a.attisdropped)
     and not exists (
       select from generate_subscripts(k.conkey, 1) i join pg_attribute a on a.attrelid = k.confrelid and a.attnum = k.confkey[i]
        where k.conkey[i] = org and a.attname = 'organization_id')
   limit 1;
  if bad is not null then
    raise exception 'redoubt: foreign key % of % must pair organization_id with organization_id', bad, t::regclass using errcode = '42501';
  end if;
  select k.conname into bad from pg_constraint k where k.conrelid = t and to_jsonb(k) ->> 'conenforced' = 'false' limit 1; -- from PostgreSQL 18 on
  if bad is not null then
    raise exception 'redoubt: constraint % of % must be enforced', bad, t::regclass using errcode = '42501';
  end if;
  perform guard.check_grants(t);
end $$;

-- check_grants refuses a right on a tenant table that its holder has no use for.
create function guard.check_grants(t oid) returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  r text;
  bad text;
begin
  foreach r in array array['redoubt_app', 'redoubt_worker', 'redoubt_webhook', 'redoubt_analytics'] loop
    if has_table_privilege(r, t, 'TRUNCATE, REFERENCES, TRIGGER') or has_column_privilege(r, t, 'organization_id', 'UPDATE') then
      raise exception 'redoubt: % may not truncate % nor move its rows to another organization', r, t::regclass using errcode = '42501';
    end if;
  end loop;
  foreach r in array array['redoubt_analytics', 'redoubt_backup'] loop
    if has_any_column_privilege(r, t, 'INSERT, UPDATE, REFERENCES') or has_table_privilege(r, t, 'DELETE, TRUNCATE, TRIGGER') then
      raise exception 'redoubt: % may only read %', r, t::regclass using errcode = '42501';
    end if;
  end loop;
  -- A right that a later PostgreSQL invents, as 17 did MAINTAIN, is nobody's until this line says whose.
  select a.privilege_type into bad from pg_class c, aclexplode(c.relacl) a
   where c.oid = t and a.grantee <> c.relowner and a.privilege_type not in ('SELECT', 'INSERT', 'UPDATE', 'DELETE') limit 1;
  if bad is not null then
    raise exception 'redoubt: % on % is for its owner alone', bad, t::regclass using errcode = '42501';
  end if;
  -- Whoever else can log in has no business here, and everybody least of all.
  select case a.grantee when 0 then 'everybody' else pg_get_userbyid(a.grantee) end into bad
    from (select relacl as acl from pg_class where oid = t union all select attacl from pg_attribute where attrelid = t) x, aclexplode(x.acl) a
   where a.grantee = 0 or pg_get_userbyid(a.grantee) in ('redoubt_identity', 'redoubt_auditor', 'redoubt_keys', 'redoubt_audit', 'redoubt_migrator', 'redoubt_maintenance') limit 1;
  if bad is not null then
    raise exception 'redoubt: % must not be granted to %', t::regclass, bad using errcode = '42501';
  end if;
end $$;

-- personal says which columns of a tenant table hold something personal: the audit trail records that they changed, and not what they
-- say. Applications call it from their migrations.
create function guard.personal(t regclass, variadic columns text[]) returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare c text;
begin
  if not guard.tenant_schema((select relnamespace from pg_class where oid = t)) then
    raise exception 'redoubt: % is no tenant table', t using errcode = '42501';
  end if;
  foreach c in array columns loop
    if c in ('organization_id', 'id') or not exists (select from pg_attribute where attrelid = t and attname = c and attnum > 0 and not attisdropped) then
      raise exception 'redoubt: % has no column % that could be personal', t, c using errcode = '42703';
    end if;
  end loop;
  execute format('create or replace trigger audit_row after insert or update or delete on %s for each row execute function audit.row(%s)', t,
    (select string_agg(quote_literal(x), ', ') from unnest(columns) x));
end $$;

-- check_all looks at every tenant table again: after each file of a migration, in its transaction, and in tests. It is the
-- catalogs' word, whatever commands came before. The migrator may ask, and learns nothing but which table is at fault.
create function guard.check_all() returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare t oid;
begin
  for t in select c.oid from pg_class c join pg_namespace s on s.oid = c.relnamespace
            where c.relkind in ('r', 'p', 'v', 'm', 'f')
              and (pg_get_userbyid(s.nspowner) = 'redoubt_owner' or exists (select from pg_policy where polrelid = c.oid and polname = 'redoubt_floor')) loop
    perform guard.check_table(t);
  end loop;
end $$;

create function guard.on_command() returns event_trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  r record;
  t oid;
begin
  for r in select * from pg_event_trigger_ddl_commands() loop
    if r.command_tag in ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO') and r.object_type = 'table' then
      select c.oid into t from pg_class c where c.oid = r.objid and guard.tenant_schema(c.relnamespace) and not c.relrowsecurity
         and not exists (select from guard.global_table where name = c.oid::regclass::text);
      if t is not null then
        perform guard.protect(t);
      end if;
    end if;
    if r.command_tag in ('GRANT', 'REVOKE', 'ALTER DEFAULT PRIVILEGES', 'ALTER SCHEMA') then
      perform guard.check_all();
    elsif r.object_type in ('table', 'view', 'materialized view', 'foreign table', 'table column', 'table constraint') then
      perform guard.check_table(r.objid);
    elsif r.object_type = 'index' then
      perform guard.check_table(indrelid) from pg_index where indexrelid = r.objid;
    elsif r.object_type in ('policy', 'trigger') then
      t := coalesce((select polrelid from pg_policy where oid = r.objid), (select tgrelid from pg_trigger where oid = r.objid));
      if (select relrowsecurity from pg_class where oid = t) then -- protect itself passes here before it has finished
        perform guard.check_table(t);
      end if;
    elsif r.object_type = 'rule' then
      if exists (select from pg_rewrite w join pg_class c on c.oid = w.ev_class where w.oid = r.objid and w.rulename <> '_RETURN' and guard.tenant_schema(c.relnamespace)) then
        raise exception 'redoubt: rules rewrite statements behind the policies'' back; use a trigger' using errcode = '42501';
      end if;
    elsif r.object_type in ('function', 'procedure') then
      if exists (select from pg_proc p where p.oid = r.objid and p.prosecdef and guard.tenant_schema(p.pronamespace) and not coalesce(p.proconfig::text ~ 'search_path=', false)) then
        raise exception 'redoubt: SECURITY DEFINER function % needs SET search_path', r.object_identity using errcode = '42501';
      end if;
    end if;
  end loop;
end $$;

create function guard.on_drop() returns event_trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare r record;
begin
  for r in select * from pg_event_trigger_dropped_objects() where original loop
    if (r.object_type = 'policy' and r.address_names[3] = 'redoubt_floor') or (r.object_type = 'trigger' and r.address_names[3] = 'audit_row') then
      raise exception 'redoubt: % of % cannot be dropped', r.address_names[3], r.address_names[2] using errcode = '42501';
    end if;
  end loop;
end $$;

create event trigger redoubt_command on ddl_command_end execute function guard.on_command();
create event trigger redoubt_drop on sql_drop when tag in ('DROP POLICY', 'DROP TRIGGER') execute function guard.on_drop();
revoke all on all functions in schema guard from public;
grant usage on schema guard to redoubt_migrator, redoubt_owner;
grant execute on function guard.check_all() to redoubt_migrator, redoubt_maintenance;
grant execute on function guard.personal(regclass, text[]) to redoubt_owner;
grant select on guard.global_table to redoubt_backup;
