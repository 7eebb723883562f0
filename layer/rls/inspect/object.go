package inspect

// objectRules are about what stands between a caller and a table: views, functions, rules and triggers.
var objectRules = []Rule{{
	ID: "RD401", Severity: Error,
	Title: "A view reads tenant tables as somebody whom policies do not bind",
	Why:   "The view's owner is asked, not the caller: whoever may read the view reads every tenant's rows.",
	Mend:  "Make the view security_invoker (from PostgreSQL 15), or give it to an owner whom the policies bind.",
	sql:   views + ` and v.passes group by v.name, v.relowner, s.version`,
}, {
	ID: "RD402", Severity: Warning,
	Title: "A view reads tenant tables as its owner",
	Why:   "Policies for particular roles are asked about the owner and not about the caller; and the day the owner is given more, so is every reader.",
	Mend:  "Make the view security_invoker (from PostgreSQL 15).",
	sql:   views + ` group by v.name, v.relowner, s.version having not bool_or(v.passes)`,
}, {
	ID: "RD403", Severity: Error,
	Title: "A materialized view holds tenants' data",
	Why:   "It is a copy that has no row level security: whoever may read it reads every tenant's rows.",
	Mend:  "Take the rights on it away and read it through a function that filters, or keep a table with policies instead.",
	sql: `
select v.name as object, format('It reads %s; %s may read it.', string_agg(distinct t.name, ', '), string_agg(distinct g.who, ', ')) as problem,
       string_agg(distinct format('revoke all on %s from %s;', v.name, g.who), ' ') as mend
  from rel v join over o on o.view = v.oid join guarded t on t.oid = o.reads
  join (select *, case when grantee = 0 then 'public' else grantee::regrole::text end as who from granted) g on g.oid = v.oid
 where v.relkind = 'm' group by v.oid, v.name`,
}, {
	ID: "RD404", Severity: Error,
	Title: "A foreign table holds tenants' data",
	Why:   "A foreign table has no row level security, and the server behind it knows one user for all callers.",
	Mend:  "Take the rights on it away and read it through a function that filters.",
	sql: `
select v.name as object, format('It has %s; %s may use it.', v.orgname, string_agg(distinct g.who, ', ')) as problem,
       string_agg(distinct format('revoke all on %s from %s;', v.name, g.who), ' ') as mend
  from rel v join (select *, case when grantee = 0 then 'public' else grantee::regrole::text end as who from granted) g on g.oid = v.oid
 where v.relkind = 'f' and v.org is not null group by v.oid, v.name, v.orgname`,
}, {
	ID: "RD405", Severity: Warning,
	Title: "A function that policies do not bind is open to callers",
	Why:   "It runs as its owner, who passes by every policy: what its body forgets to check, nobody checks.",
	Mend:  "Give it to an owner without such power, or let only those call it who must.",
	sql: `
select f.name as object, format('It runs as %s, and %s may call it.', f.proowner::regrole, string_agg(distinct f.who, ', ')) as problem,
       string_agg(distinct format('revoke execute on routine %s from %s;', f.name, f.who), ' ') as mend
  from (` + definers + `) f where f.proowner in (select oid from bypass) and (f.grantee = 0 or f.grantee in (select oid from usable)) group by f.oid, f.name, f.proowner`,
}, {
	ID: "RD406", Severity: Warning,
	Title: "A SECURITY DEFINER function takes its caller's search_path",
	Why:   "A caller who can make an object anywhere in their path decides what the function's unqualified names mean, as its owner.",
	Mend:  "Fix its search_path, with pg_temp last.",
	sql: `
select f.name as object, format('It runs as %s and has no search_path of its own.', f.proowner::regrole) as problem,
       format('alter routine %s set search_path = %I, pg_temp;', f.name, f.nspname) as mend
  from proc f where f.seen and f.prosecdef and not exists (select from unnest(f.proconfig) c where c like 'search_path=%')`,
}, {
	ID: "RD407", Severity: Note,
	Title: "A SECURITY DEFINER function looks in the caller's temporary schema first",
	Why:   "Unless pg_temp is named last, a temporary table of the caller's comes before the one that is meant.",
	Mend:  "Add pg_temp at the end of its search_path.",
	sql: `
select f.name as object, 'Its search_path does not end with pg_temp.' as problem, format('alter routine %s set search_path = %s, pg_temp;', f.name, f.path) as mend
  from (select f.*, substr(c, length('search_path=') + 1) as path from proc f cross join unnest(f.proconfig) c where c like 'search_path=%') f
 where f.seen and f.prosecdef and f.path !~ '(^|, ?)"?pg_temp"?$' and f.path not in ('', '""', 'pg_catalog')`,
}, {
	ID: "RD408", Severity: Warning,
	Title: "Everybody may call a SECURITY DEFINER function",
	Why:   "PUBLIC may call every new function unless that is taken away; this one does things in its owner's name.",
	Mend:  "Take EXECUTE from PUBLIC and give it to those who need it.",
	sql: `
select f.name as object, format('It runs as %s, and PUBLIC may call it.', f.proowner::regrole) as problem, format('revoke execute on routine %s from public;', f.name) as mend
  from (` + definers + `) f where f.grantee = 0 and f.proowner not in (select oid from bypass)`,
}, {
	ID: "RD409", Severity: Error,
	Title: "A rule rewrites statements on a tenant table",
	Why:   "What a rule does is checked against the rights and policies of the table's owner, not of the caller.",
	Mend:  "Use a trigger instead.",
	sql: `
select t.name as object, format('Rule %I rewrites what callers say.', w.rulename) as problem, format('drop rule %I on %s;', w.rulename, t.name) as mend
  from guarded t join pg_rewrite w on w.ev_class = t.oid and w.rulename <> '_RETURN'`,
}, {
	ID: "RD410", Severity: Warning,
	Title: "A trigger runs as somebody whom policies do not bind",
	Why:   "A trigger's function runs as the caller, unless it is SECURITY DEFINER: then what it reads and writes knows no tenant.",
	Mend:  "Make the function SECURITY INVOKER, or give it to an owner whom the policies bind.",
	sql: `
select t.name as object, format('Trigger %I calls %s, which runs as %s.', g.tgname, f.name, f.proowner::regrole) as problem, format('alter function %s security invoker;', f.name) as mend
  from guarded t join pg_trigger g on g.tgrelid = t.oid and not g.tgisinternal and g.tgparentid = 0 join proc f on f.oid = g.tgfoid
 where f.prosecdef and f.proowner in (select oid from bypass)`,
}, {
	ID: "RD411", Severity: Warning,
	Title: "A trigger is switched off",
	Why:   "What it enforced or recorded, constraints included, is not.",
	Mend:  "Switch it on.",
	sql: `
select t.name as object, format('Trigger %I is disabled.', g.tgname) as problem, format('alter table %s enable trigger %I;', t.name, g.tgname) as mend
  from guarded t join pg_trigger g on g.tgrelid = t.oid where g.tgenabled = 'D'`,
}, {
	ID: "RD412", Severity: Note,
	Title: "A view calls a SECURITY DEFINER function",
	Why:   "Whoever reads the view has the function's work done in its owner's name, also where the view itself asks as the caller.",
	Mend:  "Read the function once with that in mind, or call one that is SECURITY INVOKER.",
	sql: `
select v.name as object, format('It calls %s.', string_agg(distinct f.name, ', ')) as problem, '' as mend
  from rel v join pg_rewrite w on w.ev_class = v.oid and w.rulename = '_RETURN'
  join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = w.oid and d.refclassid = 'pg_proc'::regclass join proc f on f.oid = d.refobjid
 where f.prosecdef and v.relkind in ('v', 'm') group by v.oid, v.name`,
}}

const views = `
select v.name as object, format('It reads %s as %s.', string_agg(distinct v.reads, ', '), v.relowner::regrole) as problem,
       case when s.version >= 150000 then format('alter view %s set (security_invoker = true);', v.name) end as mend
  from server s cross join (
    select v.oid, v.name, v.relowner, t.name as reads, v.relowner in (select oid from bypass) or v.relowner = t.relowner and not t.relforcerowsecurity as passes
      from rel v join over o on o.view = v.oid join guarded t on t.oid = o.reads
     where v.relkind = 'v' and t.relrowsecurity and exists (select from granted g where g.oid = v.oid)
       and not coalesce(v.reloptions::text ~* 'security_invoker=(true|on|yes|1)', false)) v
 where true`

// definers are the functions that run as their owner, once for each who may call them; those that only a trigger can call are not.
const definers = `
select f.oid, f.name, f.proowner, a.grantee, case when a.grantee = 0 then 'public' else a.grantee::regrole::text end as who
  from proc f cross join aclexplode(coalesce(f.proacl, acldefault('f', f.proowner))) a
 where f.seen and f.prosecdef and a.grantee <> f.proowner and f.prorettype not in ('trigger'::regtype, 'event_trigger'::regtype)`
