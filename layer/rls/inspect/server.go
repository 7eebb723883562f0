package inspect

import (
	"fmt"
	"strings"
)

// securityPage followed by a fault's name is where PostgreSQL says which versions have it; the record that PostgreSQL's security
// team gives to cve.org has the same numbers. Each row of faults was compared with one of the two.
const securityPage = "https://www.postgresql.org/support/security/"

// A fault is one of the server's that isolation depends on: policies that are not kept to, or a caller with SQL who gets at the
// memory or the account of the server. Fixed names the release of each major version that corrected it; a major version that is
// not there either never had the fault or never got the correction.
type fault struct{ cve, what, fixed string }

var faults = []fault{
	{"CVE-2021-3393", "an error about a partition shows columns that may not be read", "13.2"},
	{"CVE-2021-20229", "the right to read one column reads all of them", "13.2"},
	{"CVE-2021-32028", "INSERT … ON CONFLICT reads memory of the server", "13.3"},
	{"CVE-2021-32029", "UPDATE … RETURNING on partitions reads memory of the server", "13.3"},
	{"CVE-2022-1552", "maintenance runs a caller's function as a superuser", "13.7 14.3"},
	{"CVE-2023-2454", "CREATE SCHEMA escapes a protected search_path", "13.11 14.8 15.3"},
	{"CVE-2023-2455", "row security of another role is applied after inlining", "13.11 14.8 15.3"},
	{"CVE-2023-39418", "MERGE does not ask UPDATE and SELECT policies", "15.4"},
	{"CVE-2023-5869", "changing an array writes past the end of memory", "13.13 14.10 15.5 16.1"},
	{"CVE-2024-4317", "statistics of expressions are shown to everybody", "14.12 15.7 16.3"},
	{"CVE-2024-10976", "row security beneath a sub-query is that of another role", "13.17 14.14 15.9 16.5 17.1"},
	{"CVE-2024-10978", "SET ROLE is reset to another role than before", "13.17 14.14 15.9 16.5 17.1"},
	{"CVE-2025-8713", "statistics show rows that policies hide", "13.22 14.19 15.14 16.10 17.6"},
	{"CVE-2026-2006", "malformed text is read and written past its end", "14.21 15.16 16.12 17.8 18.2"},
	{"CVE-2026-6473", "an oversized input writes past the end of memory", "14.23 15.18 16.14 17.10 18.4"},
	// 18.5 was never released: what it was to correct, 18.6 does.
	{"CVE-2026-14666", "a kept plan has the row security of a membership that was taken away", "14.24 15.19 16.15 17.11 18.6"},
	{"CVE-2026-14669", "to_char in a time zone of the caller's writes past the end of memory", "14.24 15.19 16.15 17.11 18.6"},
	{"CVE-2026-16239", "a cursor that is declared anew is taken for one of other types", "14.24 15.19 16.15 17.11 18.6"},
}

// serverRules are about the program itself.
var serverRules = []Rule{{
	ID: "RD701", Severity: Warning,
	Title: "The server has a known fault that isolation depends on",
	Why:   "The policies are right and this version does not keep to them, or lets a caller around them.",
	Mend:  "Install the newest minor version and restart: it needs no dump.",
	sql: `
with known (cve, what, release) as (values ` + faultRows() + `)
select format('PostgreSQL %s.%s', s.version / 10000, s.version % 10000) as object,
       format('%s: %s; corrected in %s. ` + securityPage + `%s/', k.cve, k.what, k.release, k.cve) as problem, '' as mend
  from known k join server s on s.version / 10000 = split_part(k.release, '.', 1)::int and s.version % 10000 < split_part(k.release, '.', 2)::int`,
}, {
	ID: "RD702", Severity: Note,
	Title: "The server's version gets no more corrections",
	Why:   "The next fault in row level security will be known to everybody and corrected elsewhere.",
	Mend:  "Upgrade to a version that is maintained.",
	sql: `
select format('PostgreSQL %s', s.version / 10000) as object, format('It was maintained until %s.', k.until) as problem, '' as mend
  from server s join (values (13, 'November 2025'), (14, 'November 2026')) k (major, until) on k.major = s.version / 10000`, // https://www.postgresql.org/support/versioning/
}}

// faultRows are the faults as rows of SQL, one for each release.
func faultRows() string {
	var rows []string
	for _, f := range faults {
		for release := range strings.FieldsSeq(f.fixed) {
			rows = append(rows, fmt.Sprintf("('%s', '%s', '%s')", f.cve, strings.ReplaceAll(f.what, "'", "''"), release))
		}
	}
	return strings.Join(rows, ", ")
}
