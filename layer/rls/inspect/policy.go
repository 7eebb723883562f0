package inspect

// policyRules are about what policies say. They read the text that PostgreSQL itself prints, and the columns and functions that
// it has recorded the policy to depend on.
//
// Three things that one could think, and that are not so: FOR ALL or UPDATE without WITH CHECK is no hole, because USING is asked
// of the new row too; a trigger's function runs as the caller unless it is SECURITY DEFINER; wrapping a call in a select saves
// its repetition in WITH CHECK as well.
var policyRules = []Rule{{
	ID: "RD201", Severity: Error,
	Title: "A permissive policy is always true, without a restrictive floor",
	Why:   "Permissive policies are joined by OR: this one undoes all the others.",
	Mend:  "Add a restrictive policy on the tenants' column for the same roles and commands, or drop the policy.",
	sql:   alwaysTrue + ` and p.exposed`,
}, {
	ID: "RD202", Severity: Warning,
	Title: "A policy shows one role everything",
	Why:   "Whoever logs in as that role, which has no part in requests, sees the rows of all tenants.",
	Mend:  "Make sure that the role is meant to see them all and that requests never run as it.",
	sql:   alwaysTrue + ` and not p.exposed and not p.polroles <@ (array(select oid from bypass) || p.relowner)`,
}, {
	ID: "RD203", Severity: Error,
	Title: "A policy opens when nobody has said who asks",
	Why:   "A forgotten context should show nothing; here it shows everything.",
	Mend:  "Leave the case without a context out: a comparison with null is not true, so no row is seen.",
	sql: `
select p.object, 'Its condition holds when the context is missing or empty.' as problem, '' as mend
  from pol p
 where p.both_texts ~ ' OR '
   and (p.both_texts ~ '(current_setting\(''[^'']*''::text(, (true|false))?\)|auth\.[a-z]+\(\))(, ''''::text| AS "?[a-z_]+"?|::[a-z]+|\))* IS NULL'
     or p.both_texts ~ 'current_setting\(''[^'']*''::text(, (true|false))?\)(, ''''::text|\))* = ''''::text'
     or exists (select from calls k join proc f on f.oid = k.function where k.policy = p.oid and f.provolatile <> 'i'
                 and p.both_texts ~ (regexp_replace(f.called, '(\W)', '\\\1', 'g') || '\([^()]*\)( AS "?\w+"?|::\w+|\))* IS NULL')))
   and not (p.polpermissive and p.oid in (select oid from floored))`,
}, {
	ID: "RD204", Severity: Warning,
	Title: "A policy trusts a variable that any session can set",
	Why:   "One smuggled expression that calls set_config, or SET where statements can be stacked, makes the caller another tenant.",
	Mend:  "Let a function that verifies what it reads give the tenant: a signature whose key the application's role cannot read, or a credential looked up by its hash.",
	sql: `
select p.object, format('It believes %s.', string_agg(distinct v.variable, ', ')) as problem, '' as mend
  from pol p cross join lateral (
    select m[1] as variable from regexp_matches(p.both_texts, 'current_setting\(''([^''.]+\.[^'']+)''', 'g') m
    union select r.variable from calls k join reader r on r.oid = k.function where k.policy = p.oid) v
 group by p.oid, p.object`,
}, {
	ID: "RD205", Severity: Warning,
	Title: "A policy asks who it is for every row",
	Why:   "A call that is not inside a select of its own runs once per row; inside one it runs once per statement, in USING and in WITH CHECK.",
	Mend:  "Write (select f()) for f() in the policy.",
	sql: `
with bare as (
  select p.oid, p.object, p.polname, p.name, p.q, p.c,
         regexp_replace(p.both_texts, '\( SELECT ([^()]|\(([^()]|\(([^()]|\(([^()]|\([^()]*\))*\))*\))*\))*\)', '', 'g') as left_over
    from pol p)
select b.object, format('%s is called for every row.', string_agg(distinct v.called, ', ')) as problem,
       case when count(distinct v.called) = 1 then format('alter policy %I on %s%s%s;', b.polname, b.name,
         ' using (' || regexp_replace(b.q, min(v.pattern), '(select \&)', 'g') || ')', ' with check (' || regexp_replace(b.c, min(v.pattern), '(select \&)', 'g') || ')') end as mend
  from bare b cross join lateral (
    select 'current_setting' as called, 'current_setting\([^()]*\)' as pattern
    union select f.called, regexp_replace(f.called, '(\W)', '\\\1', 'g') || '\(((''[^'']*''::[a-z ]+|[0-9]+|true|false)(, )?)*\)'
      from calls k join proc f on f.oid = k.function where k.policy = b.oid and f.provolatile in ('s', 'v')) v
 where b.left_over ~ v.pattern
 group by b.oid, b.object, b.polname, b.name, b.q, b.c`,
}, {
	ID: "RD206", Severity: Error,
	Title: "A policy never looks at the row",
	Why:   "It depends on the caller alone, so whoever passes sees the rows of all tenants.",
	Mend:  "Compare the tenants' column with the caller's tenant, best in a restrictive policy.",
	sql: `
select p.object, 'No column of the table is in its condition.' as problem,
       (select format('create policy tenant_floor on %1$s as restrictive for all to public using (%2$s) with check (%2$s);', p.name, x.condition) from context x where x.orgtype = p.orgtype) as mend
  from pol p
 where p.polpermissive and p.exposed and p.relrowsecurity and not p.uses_own and p.oid not in (select oid from floored)
   and coalesce(case p.polcmd when 'a' then p.c else p.q end, 'false') !~ '^(true|false)$|\mOR true\M'`,
}, {
	ID: "RD207", Severity: Warning,
	Title: "A policy looks at the row but not at whose it is",
	Why:   "Other columns can be alike in rows of several tenants: a published post, a shared person.",
	Mend:  "Compare the tenants' column too, best in a restrictive policy.",
	sql: `
select p.object, format('%s is not in its condition.', p.orgname) as problem,
       (select format('create policy tenant_floor on %1$s as restrictive for all to public using (%2$s) with check (%2$s);', p.name, x.condition) from context x where x.orgtype = p.orgtype) as mend
  from pol p
 where p.org is not null and p.polpermissive and p.exposed and p.relrowsecurity and p.uses_own and not p.uses_org and p.oid not in (select oid from floored)`,
}, {
	ID: "RD208", Severity: Note,
	Title: "A policy is for roles that nobody uses here",
	Why:   "It is for nobody: either it is left over, or those whom it should let in are kept out and will be let in otherwise.",
	Mend:  "Drop it, or name the role that requests run as.",
	sql: `
select p.object, format('%s: none of them has a right on the table and is bound by policies.', (select string_agg(r::regrole::text, ', ') from unnest(p.polroles) r)) as problem,
       format('drop policy %I on %s;', p.polname, p.name) as mend
  from pol p
 where not 0 = any (p.polroles) and not p.relowner = any (p.polroles)
   and not exists (
     select from unnest(p.polroles) r join member m on m.role = r join granted g on g.oid = p.polrelid and g.grantee in (m.reaches, 0)
      where r in (select oid from usable))`,
}, {
	ID: "RD209", Severity: Warning,
	Title: "A restrictive policy does not bind everybody",
	Why:   "Roles that it does not name pass by it; the next role that gets a right is one of them.",
	Mend:  "Make it hold for PUBLIC.",
	sql: `
select p.object, format('%s has rights on the table and is not bound by it.', string_agg(distinct case when g.grantee = 0 then 'PUBLIC' else g.grantee::regrole::text end, ', ')) as problem,
       format('alter policy %I on %s to public;', p.polname, p.name) as mend
  from pol p join granted g on g.oid = p.polrelid and not g.grantee = any (p.polroles)
 where not p.polpermissive and not 0 = any (p.polroles)
   and not exists (select from pol f where f.polrelid = p.polrelid and not f.polpermissive and f.bound and 0 = any (f.polroles) and f.polcmd in ('*', p.polcmd))
 group by p.oid, p.object, p.polname, p.name`,
}, {
	ID: "RD210", Severity: Error,
	Title: "What may be written is wider than what may be seen",
	Why:   "An explicit WITH CHECK replaces USING for the new row: without the tenants' column, rows can be given to another tenant.",
	Mend:  "Let WITH CHECK say what USING says, or leave it out: then USING is asked of the new row.",
	sql: `
select p.object, format('USING looks at %1$s, WITH CHECK does not.', p.orgname) as problem, format('alter policy %I on %s with check (%s);', p.polname, p.name, p.q) as mend
  from pol p
 where p.org is not null and p.polpermissive and p.relrowsecurity and p.polcmd in ('*', 'w') and p.c is not null and p.c <> 'false'
   and strpos(p.q, p.orgname) > 0 and strpos(p.c, p.orgname) = 0 and p.oid not in (select oid from floored)`,
}, {
	ID: "RD211", Severity: Error,
	Title: "A policy believes what people write about themselves",
	Why:   "user_metadata is changed by the person it is about, who so chooses their own tenant or role.",
	Mend:  "Use app_metadata, which only the server changes, or a table of memberships.",
	sql: `
select p.object, 'It reads user_metadata.' as problem, '' as mend from pol p
 where p.both_texts ~* 'user_meta_?data' or exists (select from calls k join proc f on f.oid = k.function where k.policy = p.oid and f.src ~* 'user_meta_?data')`,
}, {
	ID: "RD212", Severity: Warning,
	Title: "A tenant is written into a policy",
	Why:   "That tenant is treated unlike all others, by text that nobody reads when tenants come and go.",
	Mend:  "Decide by a column or by a scope of the caller's, not by one tenant's id.",
	sql: `
select p.object, format('%s is compared with a constant.', p.orgname) as problem, '' as mend from pol p
 where p.org is not null and p.both_texts ~ ('\m' || regexp_replace(p.orgname, '(\W)', '\\\1', 'g') || '(\)::text)? (=|<>) (\(?''[^'']*''::|[0-9])')`,
}, {
	ID: "RD213", Severity: Warning,
	Title: "A policy matches a pattern against the context",
	Why:   "Whoever gets a % into the context matches every tenant.",
	Mend:  "Compare with =, or with = ANY of an array.",
	sql: `
select p.object, 'LIKE or a regular expression compares the row with the context.' as problem, '' as mend from pol p
 where p.both_texts ~ ' !?~~?\*? ' and (p.both_texts ~ 'current_setting\(' or exists (select from calls k join proc f on f.oid = k.function where k.policy = p.oid))`,
}, {
	ID: "RD214", Severity: Warning,
	Title: "A policy asks another table without saying who asks",
	Why:   "The row exists for everybody alike, so the answer is the same whoever asks.",
	Mend:  "Bind the sub-select to the caller as well as to the row.",
	sql: `
select p.object, 'It has a sub-select and names neither a caller nor a context.' as problem, '' as mend from pol p
 where p.polpermissive and p.both_texts ~ '\sFROM\s' and p.both_texts !~* '(current_setting|current_user|session_user|current_role|auth\.)'
   and not exists (select from calls k where k.policy = p.oid) and p.oid not in (select oid from floored)`,
}, {
	ID: "RD215", Severity: Warning,
	Title: "A policy names a role that does not exist",
	Why:   "The comparison is never true, or, negated, always; either way it is not what its author thought.",
	Mend:  "Name a role that exists, or take the comparison out.",
	sql: `
select p.object, format('There is no role %s.', string_agg(distinct quote_ident(m[1]), ', ')) as problem, '' as mend
  from pol p cross join lateral regexp_matches(p.both_texts, '(?:CURRENT_USER|SESSION_USER|auth\.role\(\)(?: AS [a-z]+)?)[\s\)]*(?:::[a-z]+\)?)? (?:=|<>) \(?''([^'']+)''::', 'g') m
 where not exists (select from pg_roles r where r.rolname::text = m[1]) group by p.oid, p.object`,
}, {
	ID: "RD216", Severity: Error,
	Title: "An IMMUTABLE function gives a policy its tenant",
	Why:   "The planner may write the answer into a plan that is kept, and the next tenant on the connection gets the one before.",
	Mend:  "Declare the function STABLE.",
	sql: `
select f.name as object, format('%s calls it, and it reads a setting.', string_agg(distinct p.object, ', ')) as problem, format('alter function %s stable;', f.name) as mend
  from pol p join calls k on k.policy = p.oid join proc f on f.oid = k.function
 where f.provolatile = 'i' and (f.src ~* 'current_setting' or f.oid in (select oid from reader)) group by f.name`,
}, {
	ID: "RD217", Severity: Warning,
	Title: "A policy changes the tenants' column before it compares",
	Why:   "An index on the column does not find what is compared with a cast or a function of it, so every statement reads all tenants' rows.",
	Mend:  "Cast the caller's tenant to the column's type instead.",
	sql: `
select p.object, format('%s is cast or wrapped.', p.orgname) as problem, '' as mend from pol p
 where p.org is not null and p.both_texts ~ ('(\(' || regexp_replace(p.orgname, '(\W)', '\\\1', 'g') || '\)::|\m(lower|upper|btrim|coalesce|COALESCE|NULLIF|text|concat)\(\(*' || regexp_replace(p.orgname, '(\W)', '\\\1', 'g') || '\M)')`,
}}

const alwaysTrue = `
select p.object, format('For %s it lets everything pass for %s.', case p.polcmd when '*' then 'every command' when 'r' then 'SELECT' when 'a' then 'INSERT' when 'w' then 'UPDATE' else 'DELETE' end,
         (select string_agg(case when r = 0 then 'PUBLIC' else r::regrole::text end, ', ') from unnest(p.polroles) r)) as problem,
       (select format('create policy tenant_floor on %1$s as restrictive for all to public using (%2$s) with check (%2$s);', p.name, x.condition) from context x where x.orgtype = p.orgtype) as mend
  from pol p
 where p.polpermissive and p.relrowsecurity and p.oid not in (select oid from floored)
   and coalesce(case p.polcmd when 'a' then p.c else p.q end, '') ~ '^true$|\mOR true\M|\(true OR\M'`
