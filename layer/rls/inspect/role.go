package inspect

// roleRules are about who can log in as what. Roles belong to the whole server: those that cannot connect to this database are
// left out.
var roleRules = []Rule{{
	ID: "RD501", Severity: Error,
	Title: "A role that policies do not bind has rights to write tenant tables",
	Why:   "Somebody gave it those rights so that a program works as it: that program is bound by nothing.",
	Mend:  "Take BYPASSRLS and SUPERUSER from it; let work over many tenants have a role with policies of its own.",
	sql: `
select r.oid::regrole::text as object, format('It is %s and may write %s tables with tenants'' data.', case when r.rolsuper then 'a superuser' else 'BYPASSRLS' end, count(distinct t.oid)) as problem,
       format('alter role %s nobypassrls%s;', r.oid::regrole, case when r.rolsuper then ' nosuperuser' else '' end) as mend
  from pg_roles r join guarded t on t.relowner <> r.oid cross join aclexplode(t.relacl) a
 where r.oid in (select oid from bypass) and r.oid <> 10 and a.grantee = r.oid and a.privilege_type in ('INSERT', 'UPDATE', 'DELETE')
   and (r.rolcanlogin or exists (select from member m join pg_roles l on l.oid = m.role where m.reaches = r.oid and l.rolcanlogin))
 group by r.oid, r.rolsuper`,
}, {
	ID: "RD502", Severity: Warning,
	Title: "A role that logs in is bound by no policy",
	Why:   "One password of it opens every tenant.",
	Mend:  "Keep such roles for backups and for people, with passwords that no program for requests knows; or take the power from it.",
	sql: `
select r.oid::regrole::text as object, format('It is %s and may log in.', case when r.rolsuper then 'a superuser' else 'BYPASSRLS' end) as problem,
       format('alter role %s nobypassrls%s;', r.oid::regrole, case when r.rolsuper then ' nosuperuser' else '' end) as mend
  from pg_roles r
 where r.oid in (select oid from bypass) and r.oid <> 10 and r.rolcanlogin and has_database_privilege(r.oid, current_database(), 'CONNECT')
   and not exists (select from guarded t cross join aclexplode(t.relacl) a where t.relowner <> r.oid and a.grantee = r.oid and a.privilege_type in ('INSERT', 'UPDATE', 'DELETE'))`,
}, {
	ID: "RD503", Severity: Error,
	Title: "An application role may become one that policies do not bind",
	Why:   "SET ROLE is one statement: whoever can have it run is past every policy.",
	Mend:  "Take the membership away; let what needs that role log in as it, elsewhere.",
	sql:   reachesBypass + ` and l.oid in (select oid from app) group by l.oid`,
}, {
	ID: "RD504", Severity: Error,
	Title: "A role that logs in owns tenant tables and is not bound by their policies",
	Why:   "Row level security does not hold for the owner unless it is forced, and applications often connect as the owner.",
	Mend:  "Force row level security, and give the tables to a role that cannot log in.",
	sql: `
select o.oid::regrole::text as object, format('It owns %s without FORCE.', string_agg(t.name, ', ' order by t.name)) as problem,
       string_agg(format('alter table %s force row level security;', t.name), ' ' order by t.name) as mend
  from login o join guarded t on t.relowner = o.oid where t.relrowsecurity and not t.relforcerowsecurity group by o.oid`,
}, {
	ID: "RD505", Severity: Warning,
	Title: "A role that logs in owns tenant tables",
	Why:   "Whoever has its password can switch the policies off.",
	Mend:  "Give the tables to a role that cannot log in; let migrations SET ROLE to it.",
	sql: `
select o.oid::regrole::text as object, format('It owns %s tables with tenants'' data.', count(*)) as problem, '' as mend
  from login o join guarded t on t.relowner = o.oid group by o.oid`,
}, {
	ID: "RD506", Severity: Warning,
	Title: "A role that logs in may become the owner of tenant tables",
	Why:   "That is right for migrations alone; whoever has its password can switch the policies off.",
	Mend:  "Take the membership away from whatever serves requests.",
	sql: `
select l.oid::regrole::text as object, format('It may act as %s.', string_agg(distinct m.reaches::regrole::text, ', ')) as problem,
       string_agg(distinct a.revoke, ' ') as mend
  from login l join member m on m.role = l.oid and m.reaches <> l.oid join grants a on a.roleid = m.reaches and a.member in (select reaches from member where role = l.oid)
 where m.reaches not in (select oid from bypass) and exists (select from guarded t where t.relowner = m.reaches) group by l.oid`,
}, {
	ID: "RD507", Severity: Warning,
	Title: "A role that logs in may replicate",
	Why:   "Replication sends every row of every tenant, and no policy is asked.",
	Mend:  "Keep such roles on hosts of their own, or take REPLICATION away.",
	sql: `
select r.oid::regrole::text as object, 'It has REPLICATION.' as problem, format('alter role %s noreplication;', r.oid::regrole) as mend
  from pg_roles r where r.rolreplication and r.rolcanlogin and not r.rolsuper`,
}, {
	ID: "RD508", Severity: Warning,
	Title: "A setting that policies depend on is preset",
	Why:   "A session that forgets to say who asks gets an answer all the same; or triggers and foreign keys sleep in it.",
	Mend:  "Reset it, and set it per transaction.",
	sql: `
select case when s.setrole = 0 then format('database %I', current_database()) else s.setrole::regrole::text end as object, format('%s is set for its sessions.', split_part(c, '=', 1)) as problem,
       case when s.setrole = 0 then format('alter database %I reset %s;', current_database(), v.quoted)
            when s.setdatabase = 0 then format('alter role %s reset %s;', s.setrole::regrole, v.quoted)
            else format('alter role %s in database %I reset %s;', s.setrole::regrole, current_database(), v.quoted) end as mend
  from pg_db_role_setting s cross join unnest(s.setconfig) c
  cross join lateral (select split_part(c, '=', 1) as plain, (select string_agg(quote_ident(p), '.') from unnest(string_to_array(split_part(c, '=', 1), '.')) p) as quoted) v
 where (s.setdatabase = 0 or s.setdatabase = (select oid from pg_database where datname = current_database()))
   and (v.plain in ('row_security', 'session_replication_role', 'event_triggers', 'role', 'session_authorization')
     or v.plain in (select m[1] from pol p cross join lateral regexp_matches(p.both_texts, 'current_setting\(''([^''.]+\.[^'']+)''', 'g') m)
     or v.plain in (select r.variable from reader r join calls k on k.function = r.oid))`,
}, {
	ID: "RD509", Severity: Warning,
	Title: "The server's log takes parameters down",
	Why:   "Parameters are tenants' data and callers' credentials; the log is read by people and programs that no policy binds.",
	Mend:  "Set log_parameter_max_length and log_parameter_max_length_on_error to 0.",
	sql: `
select format('database %I', current_database()) as object, format('%s is %s.', p.name, p.value) as problem, format('alter database %I set %s = 0;', current_database(), p.name) as mend
  from (values ('log_parameter_max_length', current_setting('log_parameter_max_length')), ('log_parameter_max_length_on_error', current_setting('log_parameter_max_length_on_error'))) p (name, value)
 where p.value <> '0' and (p.name = 'log_parameter_max_length_on_error' or current_setting('log_statement') <> 'none' or current_setting('log_min_duration_statement') <> '-1'
   or current_setting('log_min_duration_sample') <> '-1' or current_setting('log_transaction_sample_rate') <> '0')`,
}, {
	ID: "RD510", Severity: Warning,
	Title: "An application role has powers over the server",
	Why:   "It can read what others ask, end their sessions, or reach files and programs from which everything else can be reached.",
	Mend:  "Take the membership away.",
	sql: `
select l.oid::regrole::text as object, format('It is a member of %s.', string_agg(distinct m.reaches::regrole::text, ', ')) as problem,
       string_agg(distinct a.revoke, ' ') as mend
  from app l join member m on m.role = l.oid join grants a on a.roleid = m.reaches and a.member in (select reaches from member where role = l.oid)
 where m.reaches::regrole::text ~ '^pg_' and a.member::regrole::text !~ '^pg_' group by l.oid`, // such names are PostgreSQL's own, and each version has more of them
}, {
	ID: "RD511", Severity: Warning,
	Title: "Nobody who is bound by policies has a right on tenant tables",
	Why:   "Whatever uses these tables then connects as their owner, as a superuser or as BYPASSRLS, and the policies bind nobody.",
	Mend:  "Make a role that owns nothing and has no such power, grant it what the application needs, and connect as it.",
	sql: `
select current_database() as object, format('%s tables hold tenants'' data.', count(*)) as problem, '' as mend
  from guarded where not exists (select from app) having count(*) > 0`,
}, {
	ID: "RD512", Severity: Warning,
	Title: "A role that logs in may become one that policies do not bind",
	Why:   "It has no rights of an application's, but one password and one SET ROLE open every tenant.",
	Mend:  "Make sure that only people and migrations log in as it, or take the membership away.",
	sql:   reachesBypass + ` and l.oid not in (select oid from app) group by l.oid`,
}, {
	ID: "RD513", Severity: Warning,
	Title: "A role for requests may make roles",
	Why:   "Before PostgreSQL 16, CREATEROLE makes its holder a member of any role but a superuser, such as the tables' owner; since then, of those it has made.",
	Mend:  "Take CREATEROLE away; let people and programs that provision have it.",
	sql: `
select l.oid::regrole::text as object, 'It has CREATEROLE.' as problem, format('alter role %s nocreaterole;', l.oid::regrole) as mend
  from login l join pg_roles r on r.oid = l.oid cross join server s where r.rolcreaterole and (s.version < 160000 or l.oid in (select oid from app))`,
}, {
	ID: "RD514", Severity: Error, since: 150000,
	Title: "An application role may change a setting that is for superusers",
	Why:   "Some of them put triggers, foreign keys and the log's discretion to sleep, for as long as the session likes.",
	Mend:  "Take the right to set it away.",
	sql: `
select m.role::regrole::text as object, format('It may set %s.', string_agg(distinct p.parname, ', ')) as problem,
       string_agg(distinct format('revoke all on parameter %s from %s;', p.quoted, case when a.grantee = 0 then 'public' else a.grantee::regrole::text end), ' ') as mend
  from (select p.*, (select string_agg(quote_ident(s), '.') from unnest(string_to_array(p.parname, '.')) s) as quoted from pg_parameter_acl p) p
  cross join aclexplode(p.paracl) a join member m on a.grantee in (m.reaches, 0) and m.role in (select oid from app)
 group by m.role`,
}}

const reachesBypass = `
select l.oid::regrole::text as object, format('It may SET ROLE %s.', string_agg(distinct m.reaches::regrole::text, ', ')) as problem,
       string_agg(distinct a.revoke, ' ') as mend
  from login l join becomes m on m.role = l.oid join grants a on a.roleid = m.reaches and a.member in (select reaches from member where role = l.oid) and (a.sets or a.admins)
 where m.reaches in (select oid from bypass)`
