package inspect

import (
	"slices"
	"strconv"
)

// A Severity says how much a finding weighs; see the package comment.
type Severity string

// The severities, the gravest first.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
	Note    Severity = "note"
)

var severities = []Severity{Error, Warning, Note}

// A Rule is one question to the catalogs. Its ID is never given to another question.
type Rule struct {
	ID       string
	Severity Severity
	Title    string // what is wrong with whatever it finds
	Why      string // why that matters, in one sentence
	Mend     string // what to do, in one sentence

	// sql follows the prelude and returns object, problem and mend for each finding; mend is SQL that makes the finding go away,
	// or empty where none can be given. What newer catalogs alone have is read out of a row as JSON, where an older server answers
	// NULL; a catalog that an older server lacks altogether needs since.
	sql   string
	since int // the first version whose catalogs the question can be put to; 0 means all
}

// Rules are all rules, by ID.
func Rules() []Rule {
	return slices.Concat(rowRules, policyRules, keyRules, objectRules, roleRules, grantRules, serverRules)
}

func (r Rule) query() string {
	return prelude + "select object::text, problem::text, coalesce(mend, '')::text from (" + r.sql + ") f order by 1, 2, 3 limit " + strconv.Itoa(perRule+1)
}

// prelude gives every rule the same words. Its parameters are the tenants' column, the schemas (none for all), and the version.
//
//	nsp      schemas that are looked at             rel, tbl   what is in them; tables alone
//	tenant   tables with the tenants' column        guarded    those, and whatever else has row level security
//	bypass   roles that policies do not bind        member     who may become whom, over any number of steps
//	granted  rights of those who are neither owner nor pass by policies anyhow
//	becomes  who may SET ROLE to whom: from PostgreSQL 16 on a membership may give that, or the role's rights, or neither
//	app      roles that log in, are bound by policies and have rights on guarded tables: what requests run as
//	grants   memberships, with the SQL that takes each away
//	usable   what a role that logs in may become    pol        policies with their texts and what they look at
//	context  the condition on the tenants' column that most policies have, for use in SQL that mends
//	reader   functions that return what the session itself has set    over   what views read, through other views too
const prelude = `with recursive
server as (select $3::int as version),
bypass as materialized (select oid from pg_roles where rolsuper or rolbypassrls),
nsp as materialized (
  select n.oid, n.nspname, n.nspowner, n.nspacl from pg_namespace n
   where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
     and case when cardinality($2::text[]) > 0 then n.nspname::text = any ($2::text[])
         else pg_get_userbyid(n.nspowner) !~ '^(supabase_|rdsadmin|cloudsql|azure_|cloud_admin)'
              and not exists (select from pg_depend d where d.classid = 'pg_namespace'::regclass and d.objid = n.oid and d.deptype = 'e') end),
rel as materialized (
  select c.oid, c.oid::regclass::text as name, c.relname, c.relnamespace, c.relowner, c.relkind, c.relacl, c.relrowsecurity, c.relforcerowsecurity,
         c.relispartition, c.reloptions, o.attnum as org, o.atttypid as orgtype,
         o.attnotnull and not exists (select from pg_constraint v where v.conrelid = c.oid and v.contype = 'n' and not v.convalidated and o.attnum = any (v.conkey)) as orgnotnull,
         quote_ident($1::text) as orgname
    from pg_class c join nsp n on n.oid = c.relnamespace
    left join pg_attribute o on o.attrelid = c.oid and o.attname::text = $1::text and not o.attisdropped and o.attnum > 0
   where c.relkind in ('r', 'p', 'v', 'm', 'f')
     and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')),
tbl as (select * from rel where relkind in ('r', 'p')),
tenant as (select * from tbl where org is not null),
guarded as (select * from tbl where org is not null or relrowsecurity),
grants as materialized (
  select a.member, a.roleid, coalesce((to_jsonb(a) ->> 'set_option')::boolean, true) as sets, coalesce((to_jsonb(a) ->> 'inherit_option')::boolean, true) as inherits,
         a.admin_option as admins, format('revoke %s from %s%s;', a.roleid::regrole, a.member::regrole,
           case when s.version >= 160000 and a.grantor <> 10 then format(' granted by %s', a.grantor::regrole) else '' end) as revoke
    from pg_auth_members a cross join server s),
reach as ( -- who may hand a role on may also hand it to itself
  select oid as role, oid as reaches, true as sets from pg_roles
  union select r.role, g.roleid, r.sets and g.sets or g.admins from reach r join grants g on g.member = r.reaches where r.sets and g.sets or g.inherits or g.admins),
member as materialized (select distinct role, reaches from reach),
becomes as (select role, reaches from reach where sets),
granted as materialized (
  select r.oid, r.name, r.relkind, a.grantee, a.privilege_type as privilege, null::name as col
    from rel r cross join aclexplode(r.relacl) a
   where a.grantee <> r.relowner and a.grantee not in (select oid from bypass)
  union all
  select r.oid, r.name, r.relkind, a.grantee, a.privilege_type, m.attname
    from rel r join pg_attribute m on m.attrelid = r.oid and m.attacl is not null and not m.attisdropped cross join aclexplode(m.attacl) a
   where a.grantee <> r.relowner and a.grantee not in (select oid from bypass)),
login as materialized (
  select r.oid, r.rolname from pg_roles r
   where r.rolcanlogin and r.oid not in (select oid from bypass) and has_database_privilege(r.oid, current_database(), 'CONNECT')),
usable as materialized (select distinct m.reaches as oid from member m join login l on l.oid = m.role),
app as materialized (
  select distinct l.oid, l.rolname from login l join member m on m.role = l.oid
   where exists (select from granted g join guarded t on t.oid = g.oid where g.grantee in (m.reaches, 0) and g.privilege in ('SELECT', 'INSERT', 'UPDATE', 'DELETE'))),
pol as materialized (
  select p.*, case when p.org is null then p.uses_own else p.uses_org end as bound,
         0 = any (p.polroles) or exists (
           select from unnest(p.polroles) r join usable u on u.oid = r join pg_roles o on o.oid = r
            where r not in (select oid from bypass) and (not o.rolcanlogin or exists (
              select from pg_policy q join tenant t on t.oid = q.polrelid
                join pg_depend d on d.classid = 'pg_policy'::regclass and d.objid = q.oid and d.refclassid = 'pg_class'::regclass and d.refobjid = t.oid and d.refobjsubid = t.org
               where r = any (q.polroles) or 0 = any (q.polroles) and exists (select from granted g where g.oid = t.oid and g.grantee in (r, 0))))) as exposed
    from (
      select p.oid, p.polname, p.polrelid, p.polcmd, p.polpermissive, p.polroles::oid[] as polroles, t.name, t.org, t.orgname, t.orgtype, t.relowner, t.relrowsecurity,
             format('policy %I on %s', p.polname, t.name) as object,
             pg_get_expr(p.polqual, p.polrelid) as q, pg_get_expr(p.polwithcheck, p.polrelid) as c,
             coalesce(pg_get_expr(p.polqual, p.polrelid), '') || ' ; ' || coalesce(pg_get_expr(p.polwithcheck, p.polrelid), '') as both_texts,
             exists (select from pg_depend d where d.classid = 'pg_policy'::regclass and d.objid = p.oid and d.refclassid = 'pg_class'::regclass and d.refobjid = p.polrelid and d.refobjsubid = t.org) as uses_org,
             exists (select from pg_depend d where d.classid = 'pg_policy'::regclass and d.objid = p.oid and d.refclassid = 'pg_class'::regclass and d.refobjid = p.polrelid and d.refobjsubid > 0) as uses_own,
             exists (select from pg_depend d where d.classid = 'pg_policy'::regclass and d.objid = p.oid and d.refclassid = 'pg_class'::regclass
                      and (d.refobjid <> p.polrelid or d.refobjsubid not in (0, t.org))) as uses_other
        from pg_policy p join tbl t on t.oid = p.polrelid) p),
floored as materialized (
  select p.oid from pol p
   where exists (
     select from pol f
      where f.polrelid = p.polrelid and not f.polpermissive and f.bound and f.polcmd in ('*', p.polcmd) and (0 = any (f.polroles) or p.polroles <@ f.polroles))),
context as materialized (
  select distinct on (orgtype) orgtype, q as condition from pol
   where uses_org and not uses_other and q is not null and q !~ ' OR ' and polcmd in ('*', 'r') and 0 = any (polroles)
   group by orgtype, q order by orgtype, count(*) desc, q),
proc as materialized (
  select p.oid, p.proname, p.oid::regprocedure::text as name, n.nspname, p.provolatile, p.prosecdef, p.proowner, p.proacl, p.proconfig, p.prokind, p.prorettype,
         p.pronamespace in (select oid from nsp) as seen, format('%I.%I', n.nspname, p.proname) as called,
         case when p.prokind in ('f', 'p') then pg_get_functiondef(p.oid) else '' end as src
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace
   where n.nspname not in ('pg_catalog', 'information_schema')
     and not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')),
settable as materialized (
  select p.*, (regexp_match(p.src, 'current_setting\s*\(\s*''([^''.]+\.[^'']+)''', 'i'))[1] as variable from proc p
   where p.src ~* 'current_setting\s*\(\s*''[^''.]+\.[^'']+''' and p.src !~* '(hmac|sha256|sha512|digest|verif|crypt)'),
reader as materialized (
  select oid, name, variable, provolatile from settable
  union select p.oid, p.name, s.variable, p.provolatile from proc p join settable s on p.oid <> s.oid and strpos(p.src, s.called || '(') > 0
   where p.src !~* '(hmac|sha256|sha512|digest|verif|crypt)'),
calls as (
  select d.objid as policy, d.refobjid as function from pg_depend d where d.classid = 'pg_policy'::regclass and d.refclassid = 'pg_proc'::regclass),
step as materialized (
  select w.ev_class as view, d.refobjid as reads from pg_rewrite w
    join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = w.oid and d.refclassid = 'pg_class'::regclass and d.refobjid <> w.ev_class
   where w.rulename = '_RETURN'),
over as (
  select view, reads from step
  union select o.view, s.reads from over o join step s on s.view = o.reads)
`

// guess finds the column that most tables have of those by which applications say whose a row is, or says how many have the one
// that was given.
const guess = `select a.attname::text, count(*)::int from pg_attribute a join tbl t on t.oid = a.attrelid
 where case when $1::text <> '' then a.attname::text = $1::text
       else a.attname::text = any (array['organization_id', 'org_id', 'tenant_id', 'account_id', 'team_id', 'workspace_id', 'company_id'])
            and a.atttypid in ('uuid'::regtype, 'int8'::regtype, 'int4'::regtype, 'text'::regtype, 'varchar'::regtype) end
   and a.attnum > 0 and not a.attisdropped
 group by a.attname
 order by count(*) desc, array_position(array['organization_id', 'org_id', 'tenant_id', 'account_id', 'team_id', 'workspace_id', 'company_id'], a.attname::text)
 limit 1`
