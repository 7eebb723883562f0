package dialect

// What was read: the documentation of Citus 10 to 14, and the source where the documentation is silent.
var (
	citusDDL      = Source{"Citus: Creating and Modifying Distributed Objects (DDL)", "https://docs.citusdata.com/en/stable/develop/reference_ddl.html"}
	citusSQL      = Source{"Citus: SQL Support and Workarounds", "https://docs.citusdata.com/en/stable/develop/reference_workarounds.html"}
	citusTriggers = Source{"Citus: Triggers on Distributed Tables", "https://docs.citusdata.com/en/stable/extra/triggers.html"}
	citusPolicies = Source{"Citus source: commands/policy.c, ErrorIfUnsupportedPolicyExpr and CreatePolicyCommandForPolicy", "https://github.com/citusdata/citus/blob/main/src/backend/distributed/commands/policy.c"}
	citusKeys     = Source{"Citus source: commands/foreign_constraint.c", "https://github.com/citusdata/citus/blob/main/src/backend/distributed/commands/foreign_constraint.c"}
	citusSettings = Source{"Citus issue 1327 and pull request 2689: SET LOCAL is sent to workers, on request, and nothing else", "https://github.com/citusdata/citus/issues/1327"}
	citusPruning  = Source{"Citus issue 7415: a row level security filter on the tenant runs the query on all nodes", "https://github.com/citusdata/citus/issues/7415"}
)

var citusRules = []Rule{{
	ID: "CI01", Weight: Silent,
	Title:  "A restrictive policy becomes a permissive one on the shards",
	Why:    "Citus writes a shard's policies without AS RESTRICTIVE, so beside an open policy every organization's rows are seen, without an error.",
	Mend:   "Use this dialect's text: one permissive policy for each command, which holds all conditions.",
	Source: citusPolicies,
	sql:    `select p.object, 'It is restrictive.' as problem from pol p where not p.polpermissive`,
}, {
	ID: "CI02", Weight: Refused,
	Title:  "A policy asks the context by a sub-select",
	Why:    "A table with such a policy cannot be distributed.",
	Mend:   "Use this dialect's text, which calls the context's functions bare.",
	Source: citusPolicies,
	sql:    asksContext,
}, {
	ID: "CI03", Weight: Refused,
	Title:  "A distributed or reference table has a trigger",
	Why:    "Row changes are not audited, and what a trigger decided nobody decides; citus.enable_unsafe_triggers runs them on shards, where they must not reach another table.",
	Mend:   "Record events in the transaction with audit.append, and move what a trigger decides into a function that writes.",
	Source: citusTriggers,
	sql: `select format('trigger %I on %s', g.tgname, t.name) as object, format('It calls %s.', g.tgfoid::regprocedure) as problem
  from pg_trigger g join tbl t on t.oid = g.tgrelid where not g.tgisinternal and t.place in ('spread', 'copied')`,
}, {
	ID: "CI04", Weight: Refused,
	Title:  "A unique or exclusive index leaves out the distribution column",
	Why:    "What is unique can only be known on the machine that has all of it.",
	Mend:   "Put organization_id first, as the guard demands of tenant tables.",
	Source: citusDDL,
	sql: `select i.indexrelid::regclass as object, format('It is on %s, without organization_id.', t.name) as problem
  from pg_index i join tbl t on t.oid = i.indrelid left join pg_constraint k on k.conindid = i.indexrelid and k.contype = 'x'
 where t.place = 'spread' and (i.indisunique or i.indisexclusion)
   and (array_position((i.indkey::int2[])[0:i.indnkeyatts - 1], t.org) is null
     or i.indisexclusion and k.conexclop[array_position(k.conkey, t.org)] is distinct from 'pg_catalog.=(uuid,uuid)'::regoperator)`,
}, {
	ID: "CI05", Weight: Refused,
	Title:  "A foreign key of a distributed table does not stay on one machine",
	Why:    "It must hold organization_id on both sides, or lead to a table that every machine has.",
	Mend:   "Pair organization_id with organization_id, or make the other a reference table.",
	Source: citusDDL,
	sql: `select format('constraint %I on %s', k.conname, t.name) as object, format('It leads to %s.', f.name) as problem
  from pg_constraint k join tbl t on t.oid = k.conrelid join tbl f on f.oid = k.confrelid
 where k.contype = 'f' and t.place = 'spread' and (f.place = 'local' or f.place = 'spread'
   and not exists (select from generate_subscripts(k.conkey, 1) i where k.conkey[i] = t.org and k.confkey[i] = f.org))`,
}, {
	ID: "CI06", Weight: Refused,
	Title:  "A table that is not distributed references one that is",
	Why:    "No single machine could check the key.",
	Mend:   "Give the table organization_id and distribute it, or drop the key.",
	Source: citusDDL,
	sql: `select format('constraint %I on %s', k.conname, t.name) as object, format('It leads to %s.', f.name) as problem
  from pg_constraint k join tbl t on t.oid = k.conrelid join tbl f on f.oid = k.confrelid
 where k.contype = 'f' and t.place <> 'spread' and f.place = 'spread'`,
}, {
	ID: "CI07", Weight: Refused,
	Title:  "A foreign key with the distribution column sets columns to null or to their default",
	Why:    "Citus refuses it, with a list of columns after SET NULL too.",
	Mend:   "Let the function that deletes set the columns, and make the key refuse.",
	Source: citusKeys,
	sql: `select format('constraint %I on %s', k.conname, t.name) as object, pg_get_constraintdef(k.oid) as problem
  from pg_constraint k join tbl t on t.oid = k.conrelid
 where k.contype = 'f' and t.place = 'spread' and t.org = any (k.conkey) and (k.confdeltype in ('n', 'd') or k.confupdtype in ('n', 'd'))`,
}, {
	ID: "CI08", Weight: Refused,
	Title:  "A function keeps something in a setting",
	Why:    "Workers are other sessions: what set_config says on the coordinator is not set there, so policies on shards find no context and refuse every row.",
	Mend:   "Send the context by SET LOCAL with citus.propagate_set_commands, bound to the distributed transaction, once that has been built and attacked.",
	Source: citusSettings,
	sql:    `select f.object, 'It calls set_config.' as problem from fn f where f.src ~* 'set_config\s*\(\s*(''(?!transaction_read_only'')|[a-z$])'`,
}, {
	ID: "CI09", Weight: Refused,
	Title:  "A function depends on the backend or the local transaction",
	Why:    "A worker's connection has another process and another transaction than the caller's.",
	Mend:   "Bind to the distributed transaction, which workers know too, or ask on the coordinator alone.",
	Source: Source{"Citus: Tuning, about connections from the coordinator to its workers", "https://docs.citusdata.com/en/stable/performance/performance_tuning.html"},
	sql: `select f.object, format('It asks for %s.', (regexp_match(f.code, 'pg_backend_pid|transaction_timestamp|txid_current|pg_current_xact_id|current_setting', 'i'))[1]) as problem
  from fn f where f.nspname = 'redoubt' and f.code ~* '\m(pg_backend_pid|transaction_timestamp|txid_current|pg_current_xact_id)\M' or f.src ~* 'current_setting\s*\(\s*''(?!role'')' and f.nspname = 'redoubt'`,
}, {
	ID: "CI10", Weight: Differs,
	Title:  "An event trigger watches one node",
	Why:    "Each node is a server of its own: the guard's event triggers would protect shards a second time, with policies that Citus refuses, and on the coordinator they refuse this dialect.",
	Mend:   "Disable the guard's event triggers on every node and ask this dialect's question in their place.",
	Source: citusDDL,
	sql:    `select format('event trigger %I', e.evtname) as object, format('It runs at %s.', e.evtevent) as problem from pg_event_trigger e where e.evtenabled <> 'D'`,
}, {
	ID: "CI11", Weight: Refused,
	Title:  "A sequence is smaller than bigint",
	Why:    "Citus puts the node's number into the upper bits of each sequence, so inserts on workers may fail.",
	Mend:   "Use a uuid, or bigint.",
	Source: citusSQL,
	sql: `select format('column %I of %s', a.attname, t.name) as object, format('It is %s and counted.', format_type(a.atttypid, null)) as problem
  from tbl t join pg_attribute a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped left join pg_attrdef d on d.adrelid = t.oid and d.adnum = a.attnum
 where t.place in ('spread', 'copied') and a.atttypid in ('int2'::regtype, 'int4'::regtype) and (a.attidentity <> '' or pg_get_expr(d.adbin, d.adrelid) like 'nextval(%')`,
}, {
	ID: "CI12", Weight: Refused,
	Title:  "A table has a rewrite rule",
	Why:    "The rule system is not supported.",
	Mend:   "Use a function; the guard refuses rules on tenant tables anyhow.",
	Source: citusSQL,
	sql: `select format('rule %I on %s', w.rulename, t.name) as object, 'It rewrites statements.' as problem
  from pg_rewrite w join tbl t on t.oid = w.ev_class where w.rulename <> '_RETURN' and t.place in ('spread', 'copied')`,
}, {
	ID: "CI13", Weight: Refused,
	Title:  "A partition is partitioned",
	Why:    "Tables with several levels of partitions cannot be distributed.",
	Mend:   "Use one level.",
	Source: citusSQL,
	sql:    `select t.name as object, 'It is a partition, and has partitions.' as problem from tbl t where t.relkind = 'p' and t.relispartition`,
}, {
	ID: "CI14", Weight: Differs,
	Title:  "A query does not say whose rows it wants",
	Why:    "Shards are chosen by a constant in the query; a policy's function is none, so every query goes to every shard, and only the shards' policies keep organizations apart.",
	Mend:   "Expect no gain in reads from more nodes until statements carry organization_id as a parameter beside the policy; keep the policy.",
	Source: citusPruning,
	sql:    `select 'tenant tables' as object, format('%s of them are filtered by a function alone.', count(distinct p.name)) as problem from pol p where p.code ~ 'redoubt\.org\(' having count(*) > 0`,
}, {
	ID: "CI15", Weight: Differs,
	Title:  "A table stays on the coordinator",
	Why:    "Its rows belong to no organization alone, so it is not spread: the coordinator's disk and processor bound it, and shards cannot reach it.",
	Mend:   "Plan the coordinator for it, or keep a table for each organization's part.",
	Source: citusDDL,
	sql:    `select t.name as object, 'Its organization_id may be null.' as problem from tbl t where t.place = 'local' and t.org is not null`,
}, {
	ID: "CI16", Weight: Differs,
	Title:  "A table that is written by requests is copied to every node",
	Why:    "Each write is a transaction of all nodes, by two-phase commit; sign-in stops when one of them does.",
	Mend:   "Leave these tables on the coordinator with citus_add_local_table_to_metadata if nothing on the shards reads them.",
	Source: Source{"Citus: Concepts, reference tables", "https://docs.citusdata.com/en/stable/get_started/concepts.html"},
	sql: `select t.name as object, format('Written by %s.', string_agg(distinct a.grantee::regrole::text, ', ' order by a.grantee::regrole::text)) as problem
  from tbl t cross join lateral (
    select x.grantee, x.privilege_type from aclexplode(t.relacl) x
    union select x.grantee, x.privilege_type from pg_attribute m, aclexplode(m.attacl) x where m.attrelid = t.oid) a
 where t.place = 'copied' and a.grantee not in (0, t.relowner) and a.privilege_type in ('INSERT', 'UPDATE', 'DELETE') group by t.oid, t.name`,
}, {
	ID: "CI17", Weight: Refused,
	Title:  "A policy asks another table",
	Why:    "A sub-select cannot be said in a policy here, so this dialect's text lets nobody pass it.",
	Mend:   "Keep in the row what the policy asks for, by the function that writes it, and compare that.",
	Source: citusPolicies,
	sql:    asksTable,
}, {
	ID: "CI18", Weight: Refused,
	Title:  "A restrictive policy is for some roles",
	Why:    "One permissive policy for each command cannot say it, so this dialect's text lets nobody pass it.",
	Mend:   "Write it for public and ask for the role in it.",
	Source: citusPolicies,
	sql:    `select p.object, 'It is for some roles.' as problem from pol p where not p.polpermissive and p.polroles <> '{0}'`,
}}

// asksContext finds policies that ask the context once for a statement; asksTable those that ask anything else.
const (
	contextCall = `'\( ?select redoubt\.[a-z_]+\([^()]*\) as "?\w+"?\)'`
	asksContext = `select p.object, 'It asks by a sub-select.' as problem from pol p where p.code ~* ` + contextCall
	asksTable   = `select p.object, 'Its sub-select asks more than the context.' as problem from pol p where regexp_replace(p.code, ` + contextCall + `, '', 'gi') ~* '\mselect\M'`
)
