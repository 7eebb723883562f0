package dialect

import "strconv"

// What was read: the documentation of YugabyteDB 2025.1 and 2025.2, which is built on PostgreSQL 15.
func yugabyteIssue(n int, about string) Source {
	return Source{"YugabyteDB: Migrating from PostgreSQL, known issues: " + about + " (issue " + strconv.Itoa(n) + ")", "https://docs.yugabyte.com/stable/yugabyte-voyager/known-issues/postgresql/"}
}

var yugabyteLocks = Source{"YugabyteDB: Explicit locking", "https://docs.yugabyte.com/stable/explore/transactions/explicit-locking/"}

var yugabyteRules = []Rule{{
	ID: "YB01", Weight: Refused,
	Title:  "A table has an exclusion constraint",
	Why:    "There are none.",
	Mend:   "Lock a parent's row and look, in the function that writes.",
	Source: yugabyteIssue(3944, "exclusion constraints"),
	sql:    `select format('constraint %I on %s', k.conname, t.name) as object, pg_get_constraintdef(k.oid) as problem from pg_constraint k join tbl t on t.oid = k.conrelid where k.contype = 'x'`,
}, {
	ID: "YB02", Weight: Refused,
	Title:  "A constraint that is no foreign key is deferrable",
	Why:    "It cannot be made.",
	Mend:   "Order the statements.",
	Source: yugabyteIssue(1709, "deferrable constraints other than foreign keys"),
	sql:    `select format('constraint %I on %s', k.conname, t.name) as object, pg_get_constraintdef(k.oid) as problem from pg_constraint k join tbl t on t.oid = k.conrelid where k.condeferrable and k.contype <> 'f'`,
}, {
	ID: "YB03", Weight: Refused,
	Title:  "A table inherits from another",
	Why:    "INHERITS is not there; partitions are.",
	Mend:   "Use one table, or partitions.",
	Source: yugabyteIssue(5956, "table inheritance"),
	sql:    `select t.name as object, format('It inherits from %s.', i.inhparent::regclass) as problem from pg_inherits i join tbl t on t.oid = i.inhrelid where not t.relispartition`,
}, {
	ID: "YB04", Weight: Differs,
	Title:  "A column is generated and stored",
	Why:    "Versions before 2025.1 refuse it.",
	Mend:   "Use 2025.1 or later.",
	Source: yugabyteIssue(10695, "GENERATED ALWAYS AS STORED"),
	sql: `select format('column %I of %s', a.attname, t.name) as object, 'It is generated.' as problem
  from tbl t join pg_attribute a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped where a.attgenerated = 's'`,
}, {
	ID: "YB05", Weight: Refused,
	Title:  "An index is of a kind that is not there",
	Why:    "There are no GiST, SP-GiST and BRIN indexes.",
	Mend:   "Use a B-tree that begins with organization_id, or GIN.",
	Source: Source{"YugabyteDB: PostgreSQL compatibility, unsupported features (issue 1337)", "https://docs.yugabyte.com/latest/explore/ysql-language-features/postgresql-compatibility/"},
	sql: `select c.name as object, format('It is a %s index.', m.amname) as problem
  from rel c join pg_am m on m.oid = c.relam where c.relkind in ('i', 'I') and m.amname in ('gist', 'spgist', 'brin')`,
}, {
	ID: "YB06", Weight: Differs,
	Title:  "A function notifies",
	Why:    "LISTEN and NOTIFY came with 2025.2.3, as an early access feature.",
	Mend:   "Poll a table before that version.",
	Source: Source{"YugabyteDB: LISTEN / NOTIFY", "https://docs.yugabyte.com/stable/api/ysql/the-sql-language/statements/cmd_listen_notify/"},
	sql:    `select f.object, 'It notifies.' as problem from fn f where f.code ~* '\m(pg_notify\s*\(|notify\s+\w)'`,
}, {
	ID: "YB07", Weight: Refused,
	Title:  "A function locks a table",
	Why:    "LOCK takes ACCESS SHARE alone.",
	Mend:   "Lock a row.",
	Source: Source{"YugabyteDB: LOCK", "https://docs.yugabyte.com/stable/api/ysql/the-sql-language/statements/txn_lock/"},
	sql:    `select f.object, 'It locks a table.' as problem from fn f where f.code ~* '\mlock\s+table\M'`,
}, {
	ID: "YB08", Weight: Differs,
	Title:  "A function takes an advisory lock",
	Why:    "Advisory locks came with 2.25.1 and must be enabled by a flag of the server.",
	Mend:   "Set the flag, or lock a row.",
	Source: yugabyteLocks,
	sql:    `select f.object, 'It locks.' as problem from fn f where f.code ~* 'pg_(try_)?advisory_(xact_)?lock'`,
}, {
	ID: "YB09", Weight: Refused,
	Title:  "A function reads a system column",
	Why:    "Rows have no xmin, xmax, cmin, cmax and ctid.",
	Mend:   "Keep a version in a column.",
	Source: yugabyteIssue(24843, "system columns"),
	sql:    `select f.object, 'It does.' as problem from fn f where f.code ~* '\m(xmin|xmax|cmin|cmax|ctid)\M'`,
}, {
	ID: "YB10", Weight: Refused,
	Title:  "A view checks what is written through it",
	Why:    "WITH CHECK OPTION is not there.",
	Mend:   "Write to the table; its policies check.",
	Source: yugabyteIssue(22716, "views with check option"),
	sql:    `select c.name as object, 'It has a check option.' as problem from rel c where c.relkind = 'v' and c.reloptions::text ~ 'check_option='`,
}, {
	ID: "YB11", Weight: Refused,
	Title:  "An index has storage parameters",
	Why:    "They are unknown there.",
	Mend:   "Leave them out.",
	Source: yugabyteIssue(23467, "storage parameters on indexes or constraints"),
	sql:    `select c.name as object, array_to_string(c.reloptions, ', ') as problem from rel c where c.relkind in ('i', 'I') and c.reloptions is not null`,
}}
