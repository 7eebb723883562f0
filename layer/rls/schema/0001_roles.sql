-- Every role, and every right that a role has outside an application's own tables, in one file: read it from top to bottom.
-- Runs once per database as a superuser; roles belong to the whole server, so each is made only where it is missing.
-- SYSTEM D3: least privilege and none superuser. Two have BYPASSRLS: as the one nobody can log in, the other can only read.

-- Roles belong to the whole server, an advisory lock to one database: this lock keeps the migration of another database out.
lock table pg_catalog.pg_authid in share row exclusive mode;

-- 1. Nobody can log in as one of these.
--
-- redoubt_keys        owns what proves who someone is: sealing keys, sessions, hashes, memberships; and the functions that read them
-- redoubt_owner       owns the application's tables
-- redoubt_audit       owns the audit trail
-- redoubt_maintenance BYPASSRLS: changes rows of every organization, in a migration that says why; while one is applied, and then alone,
--                     it may log in, with a password that only the program that migrates knows. The migrator is not a member of it
do $$
declare r text;
begin
  foreach r in array array['redoubt_keys', 'redoubt_owner', 'redoubt_audit', 'redoubt_maintenance'] loop
    if not exists (select from pg_catalog.pg_roles where rolname = r) then
      execute pg_catalog.format('create role %I nologin noinherit', r);
    end if;
  end loop;
end $$;
alter role redoubt_maintenance bypassrls inherit;

-- 2. Who may log in, once somebody gives them a password: the program that provisions, never this file.
--
-- redoubt_migrator    changes the application's tables, by an explicit SET ROLE redoubt_owner; cannot touch keys or audit, sees no row
-- redoubt_app         serves requests; sees a row only through the session or API key of a caller
-- redoubt_worker      runs jobs; sees a row only through a job grant, once
-- redoubt_webhook     takes what other systems send; sees a row only through the credential of an endpoint
-- redoubt_analytics   reads, through an API key; it is granted nothing that changes a row
-- redoubt_identity    opens and finds sessions before a tenant is known; sees no tenant data
-- redoubt_auditor     reads the audit trail of every organization, and nothing else
-- redoubt_backup      BYPASSRLS: reads every table but the sealing keys, and may do nothing else
do $$
declare r text;
begin
  foreach r in array array['redoubt_migrator', 'redoubt_app', 'redoubt_worker', 'redoubt_webhook', 'redoubt_analytics',
                           'redoubt_identity', 'redoubt_auditor', 'redoubt_backup'] loop
    if not exists (select from pg_catalog.pg_roles where rolname = r) then
      execute pg_catalog.format('create role %I login noinherit nocreatedb nocreaterole connection limit 200', r);
    end if;
  end loop;
  -- No statement outlives the request, the job or the report that it is for.
  foreach r in array array['redoubt_app', 'redoubt_identity', 'redoubt_webhook'] loop
    execute pg_catalog.format('alter role %I set statement_timeout = ''5s''', r);
    execute pg_catalog.format('alter role %I set lock_timeout = ''2s''', r);
    execute pg_catalog.format('alter role %I set idle_in_transaction_session_timeout = ''10s''', r);
  end loop;
  foreach r in array array['redoubt_worker', 'redoubt_analytics', 'redoubt_auditor'] loop
    execute pg_catalog.format('alter role %I set statement_timeout = ''60s''', r);
    execute pg_catalog.format('alter role %I set lock_timeout = ''5s''', r);
    execute pg_catalog.format('alter role %I set idle_in_transaction_session_timeout = ''60s''', r);
  end loop;
  -- A seat belt; what these may not write is decided by their grants.
  foreach r in array array['redoubt_analytics', 'redoubt_auditor', 'redoubt_backup'] loop
    execute pg_catalog.format('alter role %I set default_transaction_read_only = on', r);
  end loop;
end $$;
alter role redoubt_backup bypassrls connection limit 5;
grant redoubt_owner to redoubt_migrator;
grant redoubt_owner to redoubt_maintenance; -- to validate a constraint over rows that it must see

-- 3. The database and its public schema: nothing for everybody. The rights on a database are no part of its dump, nor of a copy made
-- with it as the template: whoever restores or copies one calls close_database again. rls.Open refuses a database that is open.
create schema guard; -- owned by the superuser: whoever changes tables cannot change the guard
create function guard.close_database() returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  execute format('revoke all on database %I from public', current_database()); -- CONNECT and TEMP
  execute format('grant connect on database %I to redoubt_migrator, redoubt_app, redoubt_worker, redoubt_webhook, redoubt_analytics,
    redoubt_identity, redoubt_auditor, redoubt_backup, redoubt_maintenance', current_database());
  -- A schema that the owner of the tables makes is guarded like the first one.
  execute format('grant create on database %I to redoubt_owner', current_database());
  execute format('alter database %I set log_parameter_max_length = 0', current_database());
  execute format('alter database %I set log_parameter_max_length_on_error = 0', current_database());
end $$;
select guard.close_database();
revoke all on schema public from public;

create schema extension;
create extension pgcrypto schema extension;
grant usage on schema extension to redoubt_keys;

create schema redoubt authorization redoubt_keys; -- the credential context
create schema identity authorization redoubt_keys;
create schema audit authorization redoubt_audit;

-- 4. Built-in functions that a smuggled expression must not reach: they alter settings, send, lock, wait, run text as SQL
-- or open large objects.
do $$
declare f text;
begin
  foreach f in array array[
    'set_config(text,text,boolean)',
    'pg_notify(text,text)', 'pg_logical_emit_message(boolean,text,text)', 'pg_logical_emit_message(boolean,text,bytea)',
    'pg_logical_emit_message(boolean,text,text,boolean)', 'pg_logical_emit_message(boolean,text,bytea,boolean)', -- from PostgreSQL 17 on
    'pg_available_wal_summaries()', 'pg_wal_summary_contents(bigint,pg_lsn,pg_lsn)', 'pg_stat_get_backend_io(integer)', 'pg_stat_get_backend_wal(integer)',
    'pg_cancel_backend(integer)', 'pg_terminate_backend(integer,bigint)', 'pg_export_snapshot()', 'pg_stat_get_activity(integer)',
    'query_to_xml(text,boolean,boolean,text)', 'query_to_xmlschema(text,boolean,boolean,text)', 'query_to_xml_and_xmlschema(text,boolean,boolean,text)',
    'cursor_to_xml(refcursor,integer,boolean,boolean,text)', 'cursor_to_xmlschema(refcursor,boolean,boolean,text)',
    'table_to_xml(regclass,boolean,boolean,text)', 'table_to_xmlschema(regclass,boolean,boolean,text)', 'table_to_xml_and_xmlschema(regclass,boolean,boolean,text)',
    'schema_to_xml(name,boolean,boolean,text)', 'schema_to_xmlschema(name,boolean,boolean,text)', 'schema_to_xml_and_xmlschema(name,boolean,boolean,text)',
    'database_to_xml(boolean,boolean,text)', 'database_to_xmlschema(boolean,boolean,text)', 'database_to_xml_and_xmlschema(boolean,boolean,text)',
    'ts_stat(text)', 'ts_stat(text,text)', 'ts_rewrite(tsquery,text)',
    'lo_create(oid)', 'lo_creat(integer)', 'lo_from_bytea(oid,bytea)', 'lo_open(oid,integer)', 'lo_get(oid)', 'lo_get(oid,bigint,integer)',
    'lo_put(oid,bigint,bytea)', 'lo_unlink(oid)', 'lo_truncate(integer,integer)', 'lo_truncate64(integer,bigint)', 'loread(integer,integer)', 'lowrite(integer,bytea)',
    'pg_advisory_lock(bigint)', 'pg_advisory_lock(integer,integer)', 'pg_advisory_lock_shared(bigint)', 'pg_advisory_lock_shared(integer,integer)',
    'pg_advisory_xact_lock(bigint)', 'pg_advisory_xact_lock(integer,integer)', 'pg_advisory_xact_lock_shared(bigint)', 'pg_advisory_xact_lock_shared(integer,integer)',
    'pg_try_advisory_lock(bigint)', 'pg_try_advisory_lock(integer,integer)', 'pg_try_advisory_lock_shared(bigint)', 'pg_try_advisory_lock_shared(integer,integer)',
    'pg_try_advisory_xact_lock(bigint)', 'pg_try_advisory_xact_lock(integer,integer)', 'pg_try_advisory_xact_lock_shared(bigint)', 'pg_try_advisory_xact_lock_shared(integer,integer)',
    'pg_sleep(double precision)', 'pg_sleep_for(interval)', 'pg_sleep_until(timestamptz)',
    'pg_relation_size(regclass)', 'pg_relation_size(regclass,text)', 'pg_total_relation_size(regclass)', 'pg_table_size(regclass)', 'pg_indexes_size(regclass)', 'pg_database_size(name)', 'pg_database_size(oid)'
  ] loop
    if pg_catalog.to_regprocedure('pg_catalog.' || f) is not null then -- a later PostgreSQL may have dropped one
      execute pg_catalog.format('revoke execute on function pg_catalog.%s from public', f);
    end if;
  end loop;
end $$;
grant execute on function pg_catalog.set_config(text, text, boolean) to redoubt_keys, redoubt_backup; -- pg_dump begins with it
grant execute on function pg_catalog.pg_export_snapshot() to redoubt_backup; -- pg_dump --jobs
grant execute on function pg_catalog.pg_stat_get_activity(integer) to pg_monitor;
revoke usage on language plpgsql from public; -- no DO block for the application: it could try and catch in a loop
grant usage on language plpgsql to redoubt_keys, redoubt_owner, redoubt_audit, redoubt_migrator;

-- 5. What is made later starts closed; and a backup leaves no table out.
do $$
declare r text;
begin
  foreach r in array array['redoubt_keys', 'redoubt_owner', 'redoubt_audit'] loop
    execute pg_catalog.format('alter default privileges for role %I revoke execute on functions from public', r);
    execute pg_catalog.format('alter default privileges for role %I grant select on tables to redoubt_backup', r);
    execute pg_catalog.format('alter default privileges for role %I grant select on sequences to redoubt_backup', r);
    execute pg_catalog.format('alter default privileges for role %I grant usage on schemas to redoubt_backup', r);
  end loop;
end $$;
grant usage on schema redoubt, identity, audit, guard to redoubt_backup;
