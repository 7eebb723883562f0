package inspect

// rowRules are about row level security itself: is it on, for everybody, on every way to the rows?
var rowRules = []Rule{{
	ID: "RD101", Severity: Error,
	Title: "A tenant table has no row level security",
	Why:   "Whoever may read the table reads every tenant's rows; one forgotten WHERE is a breach.",
	Mend:  "Turn row level security on, force it, and give the table a restrictive policy on the tenants' column.",
	sql: `
select t.name as object, 'Row level security is off, and there is no policy.' as problem,
       format('alter table %1$s enable row level security; alter table %1$s force row level security;', t.name)
       || coalesce((select format(' create policy tenant_floor on %1$s as restrictive for all to public using (%2$s) with check (%2$s); create policy tenant_open on %1$s for all to public using (true) with check (true);', t.name, x.condition)
                      from context x where x.orgtype = t.orgtype), '') as mend
  from tenant t
 where not t.relrowsecurity and not exists (select from pg_policy p where p.polrelid = t.oid)
   and not exists (select from pg_inherits i join guarded g on g.oid = i.inhparent where i.inhrelid = t.oid)
   and not exists (select from pg_inherits i join pg_class k on k.oid = i.inhrelid where i.inhparent = t.oid and k.relrowsecurity)`,
}, {
	ID: "RD102", Severity: Warning,
	Title: "Row level security is not forced",
	Why:   "The table's owner, and every view and function of the owner's, passes by the policies.",
	Mend:  "Force row level security.",
	sql: `
select t.name as object, format('Its owner %s is not bound by its policies.', t.relowner::regrole) as problem, format('alter table %s force row level security;', t.name) as mend
  from guarded t where t.relrowsecurity and not t.relforcerowsecurity`,
}, {
	ID: "RD103", Severity: Warning,
	Title: "Row level security is on and there is no policy",
	Why:   "Nobody but those who pass by policies can see a row, so sooner or later somebody will connect as one of them.",
	Mend:  "Write policies on the tenants' column, or take all rights on the table away if that is what is meant.",
	sql: `
select t.name as object, 'No policy lets anybody see a row.' as problem,
       (select format('create policy tenant_floor on %1$s as restrictive for all to public using (%2$s) with check (%2$s); create policy tenant_open on %1$s for all to public using (true) with check (true);', t.name, x.condition)
          from context x where x.orgtype = t.orgtype) as mend
  from guarded t
 where t.relrowsecurity and not exists (select from pg_policy p where p.polrelid = t.oid)`,
}, {
	ID: "RD104", Severity: Warning,
	Title: "All policies are restrictive",
	Why:   "A restrictive policy only takes away; without a permissive one no row is seen and changes touch nothing, silently.",
	Mend:  "Add a permissive policy; it may be open where a restrictive one on the tenants' column holds for every command and role.",
	sql: `
select t.name as object, 'No permissive policy gives what the restrictive ones narrow.' as problem,
       case when exists (select from pol p where p.polrelid = t.oid and p.bound and p.polcmd = '*' and 0 = any (p.polroles))
            then format('create policy tenant_open on %s for all to public using (true) with check (true);', t.name) end as mend
  from guarded t
 where t.relrowsecurity and exists (select from pg_policy p where p.polrelid = t.oid)
   and not exists (select from pg_policy p where p.polrelid = t.oid and p.polpermissive)`,
}, {
	ID: "RD105", Severity: Error,
	Title: "Policies are written and row level security is off",
	Why:   "The policies look like protection and are never asked.",
	Mend:  "Turn row level security on, and force it.",
	sql: `
select t.name as object, format('%s of its policies sleep.', count(*)) as problem,
       format('alter table %1$s enable row level security; alter table %1$s force row level security;', t.name) as mend
  from tbl t join pg_policy p on p.polrelid = t.oid where not t.relrowsecurity group by t.oid, t.name`,
}, {
	ID: "RD106", Severity: Error,
	Title: "A partition or child of a tenant table is open",
	Why:   "Who asks the child directly passes by the policies of its parent.",
	Mend:  "Turn row level security on for the child, or take the rights on it away.",
	sql: `
select distinct c.name as object, format('It belongs to %s, has no row level security, and others than its owner have rights on it.', p.name) as problem,
       format('alter table %1$s enable row level security; alter table %1$s force row level security;', c.name) as mend
  from tbl c join pg_inherits i on i.inhrelid = c.oid join guarded p on p.oid = i.inhparent
 where not c.relrowsecurity and exists (select from granted g where g.oid = c.oid)
   and not exists (select from pg_policy y where y.polrelid = c.oid)`,
}, {
	ID: "RD107", Severity: Error,
	Title: "A parent of protected tables is open",
	Why:   "Who asks the parent gets the children's rows, and only the parent's policies are asked.",
	Mend:  "Give the parent the row level security and the policies of its children.",
	sql: `
select t.name as object, 'Row level security is on for its partitions or children, and off for itself.' as problem,
       format('alter table %1$s enable row level security; alter table %1$s force row level security;', t.name) as mend
  from tbl t
 where not t.relrowsecurity and not exists (select from pg_policy p where p.polrelid = t.oid)
   and exists (select from pg_inherits i join pg_class k on k.oid = i.inhrelid where i.inhparent = t.oid and k.relrowsecurity)`,
}, {
	ID: "RD108", Severity: Error,
	Title: "A table holds tenants' data by reference, unprotected",
	Why:   "Its rows belong to rows of tenants, but nothing says whose they are, so nothing can keep them apart.",
	Mend:  "Add the tenants' column, pair it in the foreign key, and protect the table like its parent.",
	sql: `
select t.name as object, format('It refers to %s and has neither %s nor row level security.', string_agg(distinct f.name, ', '), t.orgname) as problem,
       format('alter table %1$s enable row level security; alter table %1$s force row level security;', t.name) as mend
  from tbl t join pg_constraint k on k.conrelid = t.oid and k.contype = 'f' join tenant f on f.oid = k.confrelid
 where t.org is null and not t.relrowsecurity and not exists (select from pg_policy p where p.polrelid = t.oid)
 group by t.oid, t.name, t.orgname`,
}, {
	ID: "RD109", Severity: Warning,
	Title: "A partition or child of a tenant table would be open",
	Why:   "Nobody has rights on it today; with the first GRANT it passes by the policies of its parent.",
	Mend:  "Turn row level security on for the child.",
	sql: `
select distinct c.name as object, format('It belongs to %s and has no row level security.', p.name) as problem,
       format('alter table %1$s enable row level security; alter table %1$s force row level security;', c.name) as mend
  from tbl c join pg_inherits i on i.inhrelid = c.oid join guarded p on p.oid = i.inhparent
 where not c.relrowsecurity and not exists (select from granted g where g.oid = c.oid)
   and not exists (select from pg_policy y where y.polrelid = c.oid)`,
}, {
	ID: "RD121", Severity: Note,
	Title: "No tenants' column was found",
	Why:   "Without it the rules cannot tell a tenant's table from one for everybody, and look only at tables with row level security.",
	Mend:  "Name the column with --tenant-column.",
	sql: `
select current_database() as object, 'No table has organization_id, org_id, tenant_id, account_id, team_id, workspace_id or company_id.' as problem, '' as mend
 where $1::text = '' and exists (select from tbl)`,
}, {
	ID: "RD122", Severity: Note,
	Title: "A table looks global",
	Why:   "Every tenant sees the same rows of it, which is right for lists of countries and wrong for anything a tenant writes.",
	Mend:  "Nothing, if it is meant for everybody; otherwise add the tenants' column.",
	sql: `
select t.name as object, format('It has no %s and no row level security.', t.orgname) as problem, '' as mend
  from tbl t
 where $1::text <> '' and t.org is null and not t.relrowsecurity and not exists (select from pg_policy p where p.polrelid = t.oid)
   and not exists (select from pg_constraint k join tenant f on f.oid = k.confrelid where k.conrelid = t.oid and k.contype = 'f')
   and not exists (select from pg_inherits i where i.inhrelid = t.oid)`,
}, {
	ID: "RD123", Severity: Warning,
	Title: "An application role writes a table that is for everybody",
	Why:   "What one tenant writes there, all others read.",
	Mend:  "Let the application only read it, or give it the tenants' column and policies.",
	sql: `
select t.name as object, format('%s may write it.', string_agg(distinct case when g.grantee = 0 then 'PUBLIC' else g.grantee::regrole::text end, ', ')) as problem,
       string_agg(distinct format('revoke %s on %s from %s;', g.privilege || coalesce(' (' || quote_ident(g.col) || ')', ''), t.name, case when g.grantee = 0 then 'public' else g.grantee::regrole::text end), ' ') as mend
  from tbl t join granted g on g.oid = t.oid
 where $1::text <> '' and t.org is null and not t.relrowsecurity and g.privilege in ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE')
   and (g.grantee = 0 or g.grantee in (select reaches from member join app on app.oid = member.role))
   and not exists (select from pg_constraint k join tenant f on f.oid = k.confrelid where k.conrelid = t.oid and k.contype = 'f')
 group by t.oid, t.name`,
}}
