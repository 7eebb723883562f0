package dialect

import (
	"fmt"
	"strings"
)

// heads say what the text that follows is for, and what has to be there first.
var heads = map[Engine]string{
	PostgreSQL: `-- What the guard does by itself on PostgreSQL, table by table: nothing of this has to be run.
`,
	YugabyteDB: `-- YugabyteDB runs PostgreSQL's own text. Its event triggers are PostgreSQL's too, so the guard does this by itself there.
-- Read, not run: nothing here was tried on YugabyteDB.
`,
	CockroachDB: `-- For CockroachDB 25.2 or later: no sub-selects in policies, no functions of one's own in defaults, no guard.
-- Read, not run: nothing here was tried on CockroachDB. It needs context functions written for CockroachDB first; see the findings.
create function redoubt.fill_organization() returns trigger language plpgsql as $$
begin
  if (new).organization_id = ` + nobody + ` then
    new.organization_id := redoubt.org();
  end if;
  return new;
end $$;
grant execute on function redoubt.fill_organization() to public;
`,
	Citus: `-- For Citus, on the coordinator, as a superuser, with the schema loaded and the guard's event triggers disabled on every node.
-- Read, not run: nothing here was tried on Citus. It needs a context that workers can verify first; see the findings. Until then
-- every query that reaches a shard is refused.
`,
}

// Text is everything that the tables of a database need on this engine, in the order in which to run it.
func (e Engine) Text(all []Table) (string, error) {
	if !e.Known() {
		return "", errUnknown
	}
	var b strings.Builder
	b.WriteString(heads[e])
	if e == Citus {
		for _, t := range all {
			if t.Place == Copied {
				fmt.Fprintf(&b, "select create_reference_table('%s');\n", quoted(t.Name))
			}
		}
	}
	for _, t := range all {
		if t.Place != Spread {
			continue
		}
		text, err := e.Isolate(t)
		if err != nil {
			return "", err
		}
		b.WriteString("\n-- " + plainText(t.Name) + "\n" + text)
	}
	b.WriteString("\n" + e.Watch(all))
	return b.String(), nil
}

const watchHead = `-- In the guard's place: ask after every change of the schema, and every hour. Each row is a table that is not isolated.
`

// Watch is what to ask a database of this engine in the place of the guard. Where the guard works, it is the guard's own question.
func (e Engine) Watch(all []Table) string {
	var schemas, shared []string
	seen := map[string]bool{}
	for _, t := range all {
		if t.Place == Spread && !seen[t.schema] {
			seen[t.schema] = true
			schemas = append(schemas, "'"+quoted(t.schema)+"'")
		}
	}
	for _, t := range all {
		if t.Place != Spread && seen[t.schema] {
			shared = append(shared, "'"+quoted(t.schema+"."+t.relation)+"'")
		}
	}
	if e == PostgreSQL || e == YugabyteDB || len(schemas) == 0 {
		return "-- The guard's own question; it fails with the name of the table at fault.\nselect guard.check_all();\n"
	}
	text := watchHead + fmt.Sprintf(watch, strings.Join(schemas, ", "), strings.Join(append(shared, "''"), ", "), faults[e])
	if e == Citus {
		for _, t := range all {
			if t.Place == Spread {
				text += fmt.Sprintf(watchShards, quoted(t.Name))
			}
		}
	}
	return text
}

// watch looks at views and tables that PostgreSQL's relatives have in common.
const watch = `select table_name, fault from (
  select n.nspname || '.' || c.relname as table_name, case
    when not c.relrowsecurity or not c.relforcerowsecurity then 'row level security is off, or not forced'
%[3]s  end as fault
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
   where c.relkind in ('r', 'p', 'm', 'f') and n.nspname in (%[1]s) and n.nspname || '.' || c.relname not in (%[2]s)) t
 where fault is not null order by 1;
`

// faults are what else isolation is made of in each dialect. An expression is compared by what it holds, since each engine prints
// parentheses its own way; the first part of a conjunction is the floor.
var faults = map[Engine]string{
	CockroachDB: `    when not exists (select 1 from pg_policies p where p.schemaname = n.nspname and p.tablename = c.relname and p.policyname = 'redoubt_floor'
      and lower(p.permissive) = 'restrictive' and lower(p.cmd) = 'all' and p.qual like '%organization_id = redoubt.org()%' and p.with_check like '%organization_id = redoubt.org()%') then 'the floor policy is missing or changed'
    when (select count(*) from pg_trigger g where g.tgrelid = c.oid and g.tgname in ('audit_row', 'redoubt_org') and g.tgenabled <> 'D') <> 2 then 'a trigger is missing'
`,
	Citus: `    when exists (select 1 from pg_policies p where p.schemaname = n.nspname and p.tablename = c.relname
      and (p.permissive <> 'PERMISSIVE' or p.cmd = 'ALL' or coalesce(p.qual, p.with_check) not like '%organization_id = redoubt.org()%'
        or coalesce(p.with_check, p.qual) not like '%organization_id = redoubt.org()%' or p.qual like '% OR (organization_id%')) then 'a policy passes by the floor'
    when (select count(distinct p.cmd) from pg_policies p where p.schemaname = n.nspname and p.tablename = c.relname) <> 4 then 'a command has no policy'
`,
}

// watchShards asks the shards themselves, since the policies that count are theirs. Citus puts each shard's name in by format(), once.
const watchShards = `select * from run_command_on_shards('%s', $$select format('%%%%s of %%%%s, %%%%s', count(*) filter (where polpermissive and strpos(pg_get_expr(coalesce(polqual, polwithcheck), polrelid), 'organization_id = redoubt.org()') > 0),
  count(*), bool_and(relrowsecurity and relforcerowsecurity)) from pg_policy join pg_class c on c.oid = polrelid where c.oid = %%L::regclass$$) where not success or result <> '4 of 4, t';
`
