package inspect

// grantRules are about rights that reach past row level security, or that everybody has.
var grantRules = []Rule{{
	ID: "RD601", Severity: Warning,
	Title: "Callers may make objects in a schema",
	Why:   "A function or table of theirs can stand where another was meant, for whoever comes next.",
	Mend:  "Take CREATE on the schema away.",
	sql: `
select format('schema %I', n.nspname) as object, format('%s may create in it.', string_agg(case when a.grantee = 0 then 'PUBLIC' else a.grantee::regrole::text end, ', ')) as problem,
       string_agg(format('revoke create on schema %I from %s;', n.nspname, case when a.grantee = 0 then 'public' else a.grantee::regrole::text end), ' ') as mend
  from nsp n cross join aclexplode(n.nspacl) a
 where a.privilege_type = 'CREATE' and a.grantee <> n.nspowner
   and (a.grantee = 0 or a.grantee in (select m.reaches from member m join app on app.oid = m.role) and a.grantee not in (select relowner from guarded)) group by n.nspname`,
}, {
	ID: "RD602", Severity: Warning,
	Title: "Everybody may make temporary tables",
	Why:   "On a pooled connection a temporary table stands before the real one for the next tenant.",
	Mend:  "Take TEMPORARY on the database from PUBLIC.",
	sql: `
select format('database %I', d.datname) as object, 'PUBLIC may create temporary tables.' as problem, format('revoke temporary on database %I from public;', d.datname) as mend
  from pg_database d cross join aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
 where d.datname = current_database() and a.grantee = 0 and a.privilege_type = 'TEMPORARY'`,
}, {
	ID: "RD603", Severity: Note,
	Title: "Every role of the server may connect",
	Why:   "A role made for another database on the same server can look around in this one.",
	Mend:  "Grant CONNECT to the roles that need it, then take it from PUBLIC.",
	sql: `
select format('database %I', d.datname) as object, 'PUBLIC may connect.' as problem,
       coalesce((select string_agg(format('grant connect on database %I to %I;', d.datname, app.rolname), ' ' order by app.rolname) || ' ' from app), '') || format('revoke connect on database %I from public;', d.datname) as mend
  from pg_database d cross join aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
 where d.datname = current_database() and a.grantee = 0 and a.privilege_type = 'CONNECT'`,
}, {
	ID: "RD604", Severity: Warning,
	Title: "What is made next is given to everybody",
	Why:   "Every new table, sequence, schema or function is open from its first moment, before anybody has protected it.",
	Mend:  "Take the default privilege away.",
	sql: `
select format('default privileges of %s%s', d.defaclrole::regrole, coalesce(' in ' || d.defaclnamespace::regnamespace::text, '')) as object,
       format('PUBLIC gets %s on new %s.', string_agg(a.privilege_type, ', '), k.what) as problem,
       format('alter default privileges for role %s%s revoke all on %s from public;', d.defaclrole::regrole, coalesce(' in schema ' || d.defaclnamespace::regnamespace::text, ''), k.what) as mend
  from (select defaclrole, nullif(defaclnamespace, 0) as defaclnamespace, defaclobjtype, defaclacl from pg_default_acl) d
  cross join aclexplode(d.defaclacl) a cross join lateral (select case d.defaclobjtype when 'r' then 'tables' when 'S' then 'sequences' when 'f' then 'functions' when 'n' then 'schemas' when 'L' then 'large objects' else 'types' end as what) k
 where a.grantee = 0 and d.defaclobjtype <> 'T' and (d.defaclnamespace is null or d.defaclnamespace in (select oid from nsp)) group by d.defaclrole, d.defaclnamespace, k.what`,
}, {
	ID: "RD606", Severity: Error,
	Title: "TRUNCATE is granted on a tenant table",
	Why:   "TRUNCATE knows no policy: it empties the table for all tenants.",
	Mend:  "Take TRUNCATE away.",
	sql: `
select t.name as object, format('%s may empty it for all.', string_agg(case when g.grantee = 0 then 'PUBLIC' else g.grantee::regrole::text end, ', ')) as problem,
       string_agg(format('revoke truncate on %s from %s;', t.name, case when g.grantee = 0 then 'public' else g.grantee::regrole::text end), ' ') as mend
  from guarded t join granted g on g.oid = t.oid where g.privilege = 'TRUNCATE' group by t.oid, t.name`,
}, {
	ID: "RD607", Severity: Warning,
	Title: "REFERENCES or TRIGGER is granted on a tenant table",
	Why:   "A foreign key asks about every tenant's rows, and a trigger runs in whoever's name changes one.",
	Mend:  "Take both away.",
	sql: `
select t.name as object, format('%s may hang foreign keys or triggers on it.', string_agg(distinct case when g.grantee = 0 then 'PUBLIC' else g.grantee::regrole::text end, ', ')) as problem,
       string_agg(distinct format('revoke %s on %s from %s;', g.privilege || coalesce(' (' || quote_ident(g.col) || ')', ''), t.name, case when g.grantee = 0 then 'public' else g.grantee::regrole::text end), ' ') as mend
  from guarded t join granted g on g.oid = t.oid where g.privilege in ('REFERENCES', 'TRIGGER') group by t.oid, t.name`,
}, {
	ID: "RD608", Severity: Warning,
	Title: "A tenant table is granted to everybody",
	Why:   "Every role of the server has the right, also one that is made tomorrow.",
	Mend:  "Grant it to the roles that need it.",
	sql: `
select t.name as object, format('PUBLIC has %s.', string_agg(distinct g.privilege, ', ')) as problem, format('revoke all on %s from public;', t.name) as mend
  from guarded t join granted g on g.oid = t.oid where g.grantee = 0 group by t.oid, t.name`,
}, {
	ID: "RD609", Severity: Warning,
	Title: "An application role may call set_config",
	Why:   "It turns one smuggled expression, in a statement that only reads, into a change of who asks.",
	Mend:  "As a superuser, take EXECUTE from PUBLIC and give it to the owner of the function that sets the context.",
	sql: `
select 'pg_catalog.' || f.oid::regprocedure as object, format('%s may call it.', (select string_agg(oid::regrole::text, ', ' order by oid) from (select oid from app order by oid limit 5) a)) as problem,
       string_agg(format('revoke execute on function pg_catalog.%s from %s;', f.oid::regprocedure, case when a.grantee = 0 then 'public' else a.grantee::regrole::text end), ' ') as mend
  from pg_proc f cross join aclexplode(coalesce(f.proacl, acldefault('f', f.proowner))) a
 where f.pronamespace = 'pg_catalog'::regnamespace and f.proname = 'set_config' and exists (select from app)
   and (a.grantee = 0 or a.grantee in (select m.reaches from member m join app on app.oid = m.role)) group by f.oid`,
}, {
	ID: "RD610", Severity: Note,
	Title: "Application roles may call built-in functions that reach out",
	Why:   "A smuggled expression can wait, lock, send, end others' sessions, run text as SQL or open large objects with them.",
	Mend:  "As a superuser, take EXECUTE on those that the application does not use.",
	sql: `
select 'schema pg_catalog' as object, format('%s of them are open, %s among them.', count(*), (array_agg(f.name order by f.name))[1]) as problem,
       string_agg(format('revoke execute on function pg_catalog.%s from public;', f.name), ' ' order by f.name) as mend
  from (select f.oid::regprocedure::text as name from pg_proc f cross join aclexplode(coalesce(f.proacl, acldefault('f', f.proowner))) a
         where f.pronamespace = 'pg_catalog'::regnamespace and a.grantee = 0 and exists (select from app)
           and (f.proname ~ '^(pg_sleep|pg_(try_)?advisory_(xact_)?lock|pg_notify$|pg_logical_emit_message$|pg_(cancel|terminate)_backend$|pg_export_snapshot$|pg_stat_get_activity$|pg_available_wal_summaries$|pg_wal_summary_contents$|pg_read_(binary_)?file$|pg_ls_|pg_stat_file$)'
             or f.proname ~ '^(query|cursor|table|schema|database)_to_xml' or f.proname in ('ts_stat', 'ts_rewrite') and f.proargtypes[0] in ('text'::regtype, 'tsquery'::regtype) and f.pronargs < 3
             or f.proname ~ '^(lo_(create|creat|from_bytea|open|get|put|unlink|truncate|truncate64|import|export)|loread|lowrite)$')) f
having count(*) > 0`,
}, {
	ID: "RD611", Severity: Error,
	Title: "The audit trail can be changed",
	Why:   "Whoever did something can make it as if they had not.",
	Mend:  "Let nobody but its owner, who cannot log in, change it.",
	sql:   audits + ` and g.privilege in ('UPDATE', 'DELETE', 'TRUNCATE') group by t.oid, t.name`,
}, {
	ID: "RD612", Severity: Warning,
	Title: "The audit trail can be written directly",
	Why:   "Then the actor is whoever the writer says it was.",
	Mend:  "Let a function that finds out the actor itself be the only way in.",
	sql:   audits + ` and g.privilege = 'INSERT' group by t.oid, t.name`,
}, {
	ID: "RD613", Severity: Note,
	Title: "Nothing in the audit trail refuses a change",
	Why:   "Rights bind neither the owner nor a superuser; a trigger that is always on refuses them too, also in a replica's role.",
	Mend:  "Add a trigger before update, delete and truncate that raises an error, and enable it always.",
	sql: `
select t.name as object, 'No trigger that is always on stands before its rows.' as problem,
       (select string_agg(format('alter table %s enable always trigger %I;', t.name, g.tgname), ' ') from pg_trigger g
         where g.tgrelid = t.oid and not g.tgisinternal and g.tgtype::int & 2 > 0 and g.tgtype::int & 24 > 0) as mend
  from tbl t join nsp n on n.oid = t.relnamespace
 where ` + auditName + ` and not exists (select from pg_trigger g where g.tgrelid = t.oid and g.tgenabled = 'A' and g.tgtype::int & 2 > 0 and g.tgtype::int & 24 > 0)`,
}, {
	ID: "RD615", Severity: Warning,
	Title: "A tenant table is published",
	Why:   "Subscribers of a logical publication get the rows of all tenants: policies are not asked.",
	Mend:  "Publish it only to a subscriber that keeps tenants apart too, or take it out of the publication.",
	sql: `
select t.name as object, format('Publication %I sends it.', p.pubname) as problem,
       (select format('alter publication %I drop table %s;', u.pubname, t.name) from pg_publication u join pg_publication_rel r on r.prpubid = u.oid and r.prrelid = t.oid where u.pubname = p.pubname) as mend
  from pg_publication_tables p join nsp n on n.nspname = p.schemaname join guarded t on t.relnamespace = n.oid and t.relname = p.tablename`,
}, {
	ID: "RD616", Severity: Warning,
	Title: "A language without a sandbox is installed",
	Why:   "A function in it can do whatever the server's account can, files and other databases included.",
	Mend:  "Drop the language, or let nobody but superusers write functions in it and read those that there are.",
	sql: `
select format('language %I', l.lanname) as object, 'It is not trusted.' as problem,
       coalesce((select format('drop extension %I;', e.extname) from pg_depend d join pg_extension e on e.oid = d.refobjid where d.classid = 'pg_language'::regclass and d.objid = l.oid and d.deptype = 'e'),
         format('drop language %I;', l.lanname)) as mend
  from pg_language l where l.lanispl and not l.lanpltrusted`,
}, {
	ID: "RD617", Severity: Note,
	Title: "An extension lives among tenant tables",
	Why:   "Its functions are found by every unqualified name there, and whoever may use the schema may call them.",
	Mend:  "Move it to a schema of its own.",
	sql: `
select format('extension %I', e.extname) as object, format('It is in schema %s.', e.extnamespace::regnamespace) as problem,
       case when e.extrelocatable then format('create schema if not exists extension; alter extension %I set schema extension;', e.extname) end as mend
  from pg_extension e
 where e.extnamespace in (select relnamespace from guarded) or e.extnamespace = 'public'::regnamespace and e.extnamespace in (select oid from nsp)`,
}, {
	ID: "RD618", Severity: Note,
	Title: "An extension is older than its files",
	Why:   "A correction of its SQL is on the disk and not in the database.",
	Mend:  "Update the extension.",
	sql: `
select format('extension %I', e.extname) as object, format('It is version %s of %s.', e.extversion, a.default_version) as problem, format('alter extension %I update;', e.extname) as mend
  from pg_extension e join pg_available_extensions a on a.name = e.extname where a.default_version <> e.extversion`,
}, {
	ID: "RD619", Severity: Warning,
	Title: "MAINTAIN is granted on a tenant table",
	Why:   "Its holder locks the table against all tenants, rebuilds it, and tells the planner what to believe about everybody's rows.",
	Mend:  "Take MAINTAIN away; let maintenance run as the owner.",
	sql: `
select t.name as object, format('%s may lock and rebuild it.', string_agg(case when g.grantee = 0 then 'PUBLIC' else g.grantee::regrole::text end, ', ')) as problem,
       string_agg(format('revoke maintain on %s from %s;', t.name, case when g.grantee = 0 then 'public' else g.grantee::regrole::text end), ' ') as mend
  from guarded t join granted g on g.oid = t.oid where g.privilege = 'MAINTAIN' group by t.oid, t.name`,
}}

const auditName = `(t.relname ~* '(^|_)audit(_|$)' or t.relname ~* '^audit_?(log|trail|event)s?$' or n.nspname ~* '^audit(_|$)' and t.relname ~* '(log|trail|event|entry)')`

const audits = `
select t.name as object, format('%s has %s.', string_agg(distinct case when g.grantee = 0 then 'PUBLIC' else g.grantee::regrole::text end, ', '), string_agg(distinct g.privilege, ', ')) as problem,
       string_agg(distinct format('revoke %s on %s from %s;', g.privilege || coalesce(' (' || quote_ident(g.col) || ')', ''), t.name, case when g.grantee = 0 then 'public' else g.grantee::regrole::text end), ' ') as mend
  from tbl t join nsp n on n.oid = t.relnamespace join granted g on g.oid = t.oid
 where ` + auditName
