package dialect

import "strconv"

// What was read: the documentation of CockroachDB 25.2 to 25.4, and the issues that its lists of limitations name.
var (
	crdbPL       = Source{"CockroachDB: Known limitations, PL/pgSQL", "https://www.cockroachlabs.com/docs/v25.4/known-limitations"}
	crdbUnlike   = Source{"CockroachDB: PostgreSQL compatibility, unsupported features", "https://www.cockroachlabs.com/docs/v25.4/postgresql-compatibility"}
	crdbTriggers = Source{"CockroachDB: Known limitations, triggers", "https://www.cockroachlabs.com/docs/v25.4/known-limitations"}
	crdbPolicies = Source{"CockroachDB: Row-level security, limitations", "https://www.cockroachlabs.com/docs/v25.4/row-level-security"}
)

func crdbIssue(n int, about string) Source {
	id := strconv.Itoa(n)
	return Source{"CockroachDB issue " + id + ": " + about, "https://github.com/cockroachdb/cockroach/issues/" + id}
}

var cockroachRules = []Rule{{
	ID: "CR01", Weight: Refused,
	Title:  "A policy asks the context by a sub-select",
	Why:    "Policies take simple expressions.",
	Mend:   "Use this dialect's text, which calls the context's functions bare.",
	Source: crdbIssue(138917, "Subexpression support within RLS expressions"),
	sql:    asksContext,
}, {
	ID: "CR02", Weight: Refused,
	Title:  "An event trigger guards the schema",
	Why:    "There are none: a new table is isolated only if somebody remembers.",
	Mend:   "Make every schema on a PostgreSQL with the guard first, derive this text from it, and ask this dialect's question in the guard's place.",
	Source: crdbIssue(126364, "support system/event triggers"),
	sql:    `select format('event trigger %I', e.evtname) as object, format('It runs at %s.', e.evtevent) as problem from pg_event_trigger e where e.evtenabled <> 'D'`,
}, {
	ID: "CR03", Weight: Refused,
	Title:  "A trigger is for statements, in place of a row, or names transition tables",
	Why:    "What stood before TRUNCATE does not stand there.",
	Mend:   "Grant TRUNCATE to nobody, and watch that nobody has it.",
	Source: crdbTriggers,
	sql: `select format('trigger %I on %s', g.tgname, t.name) as object, case when g.tgtype::int & 64 > 0 then 'It is INSTEAD OF.' when g.tgoldtable is not null or g.tgnewtable is not null then 'It has transition tables.' else 'It is for statements.' end as problem
  from pg_trigger g join rel t on t.oid = g.tgrelid where not g.tgisinternal and (g.tgtype::int & 1 = 0 or g.tgtype::int & 64 > 0 or g.tgoldtable is not null or g.tgnewtable is not null)`,
}, {
	ID: "CR04", Weight: Refused,
	Title:  "A default, check, generated column or index calls a function of the schema",
	Why:    "Expressions in tables take built-in functions alone.",
	Mend:   "Fill the column by a trigger before insert, as this dialect's text does for organization_id.",
	Source: crdbIssue(87699, "user-defined functions in column, index and constraint expressions"),
	sql: `select distinct t.name as object, format('%s calls %s.', case d.classid when 'pg_attrdef'::regclass then 'An expression of a column' when 'pg_constraint'::regclass then 'A check' else 'An index' end, f.object) as problem
  from pg_depend d join fn f on f.oid = d.refobjid and d.refclassid = 'pg_proc'::regclass
  left join pg_attrdef a on d.classid = 'pg_attrdef'::regclass and a.oid = d.objid
  left join pg_constraint k on d.classid = 'pg_constraint'::regclass and k.oid = d.objid
  left join pg_index i on d.classid = 'pg_class'::regclass and i.indexrelid = d.objid
  join tbl t on t.oid in (a.adrelid, k.conrelid, i.indrelid)`,
}, {
	ID: "CR05", Weight: Refused,
	Title:  "A function uses statements that PL/pgSQL lacks there",
	Why:    "It cannot be made.",
	Mend:   "Write SELECT INTO for PERFORM, and a set-returning query for a loop; build no SQL from text.",
	Source: crdbPL,
	sql: `select f.object, format('It uses %s.', string_agg(distinct upper(regexp_replace(m[1], '\s+', ' ', 'g')), ', ' order by upper(regexp_replace(m[1], '\s+', ' ', 'g')))) as problem
  from fn f cross join lateral regexp_matches(f.code, '\m(perform|foreach|get\s+diagnostics|execute|for\s+\w+\s+in\s+select|end\s+case)\M', 'gi') m where f.lanname = 'plpgsql' group by f.oid, f.object`,
}, {
	ID: "CR06", Weight: Refused,
	Title:  "A function asks whether a statement found something",
	Why:    "FOUND is not set.",
	Mend:   "Use RETURNING … INTO and look for null.",
	Source: crdbPL,
	sql:    `select f.object, 'It reads FOUND.' as problem from fn f where f.lanname = 'plpgsql' and f.code ~* '\mfound\M'`,
}, {
	ID: "CR07", Weight: Refused,
	Title:  "A function has a variable of type record, or of a table's or column's type",
	Why:    "It cannot be made.",
	Mend:   "Declare a variable for each column.",
	Source: crdbPL,
	sql:    `select f.object, 'It declares one.' as problem from fn f where f.lanname = 'plpgsql' and (f.code ~* '\m\w+\s+record\s*;' or f.code ~* '%(row)?type\M')`,
}, {
	ID: "CR08", Weight: Refused,
	Title:  "A right is for some columns alone",
	Why:    "There are rights on whole tables alone: what the application may not read or alter by column, it may.",
	Mend:   "Grant on the table, and move columns that need less into another table; the floor still keeps rows from changing organization.",
	Source: crdbUnlike,
	sql: `select t.name as object, format('Columns %s.', string_agg(a.attname, ', ' order by a.attnum)) as problem
  from tbl t join pg_attribute a on a.attrelid = t.oid and a.attacl is not null and not a.attisdropped group by t.oid, t.name`,
}, {
	ID: "CR09", Weight: Differs,
	Title:  "An extension is used",
	Why:    "There is no CREATE EXTENSION with a schema of one's own; digest and hmac are built in, and other extensions are not there.",
	Mend:   "Call the built-in function by its bare name.",
	Source: Source{"CockroachDB: Functions and operators", "https://www.cockroachlabs.com/docs/v25.4/functions-and-operators"},
	sql: `select format('extension %I', e.extname) as object, format('It is in schema %s.', e.extnamespace::regnamespace) as problem
  from pg_extension e where e.extname <> 'plpgsql'`,
}, {
	ID: "CR10", Weight: Silent,
	Title:  "A function takes an advisory lock",
	Why:    "The functions are there and do nothing: two do at once what only one may.",
	Mend:   "Lock a row with SELECT … FOR UPDATE.",
	Source: crdbUnlike,
	sql:    `select f.object, 'It locks.' as problem from fn f where f.code ~* 'pg_(try_)?advisory_(xact_)?lock'`,
}, {
	ID: "CR11", Weight: Refused,
	Title:  "A function notifies",
	Why:    "There are no events.",
	Mend:   "Poll a table.",
	Source: crdbUnlike,
	sql:    `select f.object, 'It notifies.' as problem from fn f where f.code ~* '\m(pg_notify\s*\(|notify\s+\w)'`,
}, {
	ID: "CR12", Weight: Refused,
	Title:  "A constraint is deferrable",
	Why:    "Every constraint is checked with its statement.",
	Mend:   "Order the statements.",
	Source: crdbIssue(31632, "FK options (deferrable, etc)"),
	sql:    `select format('constraint %I on %s', k.conname, t.name) as object, pg_get_constraintdef(k.oid) as problem from pg_constraint k join tbl t on t.oid = k.conrelid where k.condeferrable`,
}, {
	ID: "CR13", Weight: Refused,
	Title:  "A column is of a domain or range type",
	Why:    "There are neither.",
	Mend:   "Use the base type with a check, and two columns for a range.",
	Source: crdbUnlike,
	sql: `select format('column %I of %s', a.attname, t.name) as object, format('It is %s.', format_type(a.atttypid, null)) as problem
  from tbl t join pg_attribute a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped join pg_type y on y.oid = a.atttypid where y.typtype in ('d', 'r', 'm')`,
}, {
	ID: "CR14", Weight: Refused,
	Title:  "A function names its parameters by its own name",
	Why:    "label.variable is not understood, and a bare name means the column.",
	Mend:   "Give parameters names that no column has.",
	Source: crdbPL,
	sql: `select f.object, 'It does.' as problem from fn f
 where f.lanname = 'plpgsql' and f.proargnames is not null and exists (select from unnest(f.proargnames) a where f.code ~* ('(^|[^.\w])' || f.proname || '\.' || a || '\M'))`,
}, {
	ID: "CR15", Weight: Differs,
	Title:  "A column or its expression has a collation",
	Why:    "A collated string is a type of its own there, by the language's tag and not by PostgreSQL's name, and mixes with no other.",
	Mend:   "Store the folded text that the application makes, without a collation.",
	Source: Source{"CockroachDB: COLLATE", "https://www.cockroachlabs.com/docs/v25.4/collate"},
	sql: `select t.name as object, format('It uses %I.', c.collname) as problem
  from pg_depend d join pg_collation c on d.refclassid = 'pg_collation'::regclass and c.oid = d.refobjid and c.collname not in ('default', 'C', 'POSIX')
  left join pg_attrdef a on d.classid = 'pg_attrdef'::regclass and a.oid = d.objid
  join tbl t on t.oid = a.adrelid or d.classid = 'pg_class'::regclass and t.oid = d.objid group by t.name, c.collname`,
}, {
	ID: "CR16", Weight: Silent,
	Title:  "A view is to ask as its caller",
	Why:    "Views check rights as their owner; policies are the caller's all the same.",
	Mend:   "Use no views over tables whose rights differ.",
	Source: crdbIssue(138918, "security_invoker for views"),
	sql:    `select c.name as object, 'It is WITH (security_invoker).' as problem from rel c where c.relkind = 'v' and c.reloptions::text ~ 'security_invoker=(true|on)'`,
}, {
	ID: "CR17", Weight: Silent,
	Title:  "What is hidden is counted",
	Why:    "EXPLAIN ANALYZE and some functions show how many rows of all organizations a query passed over.",
	Mend:   "Keep statements constant; this is no more than PostgreSQL's estimates tell, and exact.",
	Source: crdbPolicies,
	sql:    `select 'tenant tables' as object, format('%s of them.', count(distinct p.name)) as problem from pol p having count(*) > 0`,
}, {
	ID: "CR18", Weight: Refused,
	Title:  "A trigger's function reads a row's columns without parentheses",
	Why:    "(NEW).column is understood, NEW.column is not, except where it is assigned to.",
	Mend:   "Put parentheses around NEW and OLD.",
	Source: crdbPL,
	sql:    `select f.object, 'It does.' as problem from fn f where f.prorettype = 'trigger'::regtype and f.code ~* '\m(new|old)\.\w+\M(?!\s*:?=)'`,
}, {
	ID: "CR19", Weight: Refused,
	Title:  "A policy asks another table",
	Why:    "A sub-select cannot be said in a policy here, so this dialect's text lets nobody pass it.",
	Mend:   "Put the question into a function of the schema that is not SECURITY DEFINER, and call that.",
	Source: crdbIssue(138917, "Subexpression support within RLS expressions"),
	sql:    asksTable,
}}
