package inspect

// serverRules are about the program itself. The numbers are those of the releases that corrected each fault, as PostgreSQL's
// security page lists them; a major version that is not in a row either never had the fault or never got the correction.
var serverRules = []Rule{{
	ID: "RD701", Severity: Warning,
	Title: "The server has a known fault that isolation depends on",
	Why:   "The policies are right and this version does not keep to them, or lets a caller around them.",
	Mend:  "Install the newest minor version and restart: it needs no dump.",
	sql: `
with known (cve, what, major, fixed) as (values
  ('CVE-2021-3393', 'an error about a partition shows columns that may not be read', 13, 2),
  ('CVE-2021-20229', 'the right to read one column reads all of them', 13, 2),
  ('CVE-2021-32028', 'INSERT … ON CONFLICT reads memory of the server', 13, 3),
  ('CVE-2021-32029', 'UPDATE … RETURNING on partitions reads memory of the server', 13, 3),
  ('CVE-2022-1552', 'maintenance runs a caller''s function as a superuser', 13, 7), ('CVE-2022-1552', 'maintenance runs a caller''s function as a superuser', 14, 3),
  ('CVE-2023-2454', 'CREATE SCHEMA escapes a protected search_path', 13, 11), ('CVE-2023-2454', 'CREATE SCHEMA escapes a protected search_path', 14, 8), ('CVE-2023-2454', 'CREATE SCHEMA escapes a protected search_path', 15, 3),
  ('CVE-2023-2455', 'row security of another role is applied after inlining', 13, 11), ('CVE-2023-2455', 'row security of another role is applied after inlining', 14, 8), ('CVE-2023-2455', 'row security of another role is applied after inlining', 15, 3),
  ('CVE-2023-39418', 'MERGE does not ask UPDATE and SELECT policies', 15, 4),
  ('CVE-2024-4317', 'statistics of expressions are shown to everybody', 14, 12), ('CVE-2024-4317', 'statistics of expressions are shown to everybody', 15, 7), ('CVE-2024-4317', 'statistics of expressions are shown to everybody', 16, 3),
  ('CVE-2024-10976', 'row security beneath a sub-query is that of another role', 13, 17), ('CVE-2024-10976', 'row security beneath a sub-query is that of another role', 14, 14), ('CVE-2024-10976', 'row security beneath a sub-query is that of another role', 15, 9),
  ('CVE-2024-10976', 'row security beneath a sub-query is that of another role', 16, 5), ('CVE-2024-10976', 'row security beneath a sub-query is that of another role', 17, 1),
  ('CVE-2024-10978', 'SET ROLE is reset to another role than before', 13, 17), ('CVE-2024-10978', 'SET ROLE is reset to another role than before', 14, 14), ('CVE-2024-10978', 'SET ROLE is reset to another role than before', 15, 9),
  ('CVE-2024-10978', 'SET ROLE is reset to another role than before', 16, 5), ('CVE-2024-10978', 'SET ROLE is reset to another role than before', 17, 1),
  ('CVE-2025-8713', 'statistics show rows that policies hide', 13, 22), ('CVE-2025-8713', 'statistics show rows that policies hide', 14, 19), ('CVE-2025-8713', 'statistics show rows that policies hide', 15, 14),
  ('CVE-2025-8713', 'statistics show rows that policies hide', 16, 10), ('CVE-2025-8713', 'statistics show rows that policies hide', 17, 6),
  ('CVE-2026-6473', 'an oversized input writes past the end of memory', 14, 23), ('CVE-2026-6473', 'an oversized input writes past the end of memory', 15, 18), ('CVE-2026-6473', 'an oversized input writes past the end of memory', 16, 14),
  ('CVE-2026-6473', 'an oversized input writes past the end of memory', 17, 10), ('CVE-2026-6473', 'an oversized input writes past the end of memory', 18, 4))
select format('PostgreSQL %s.%s', s.version / 10000, s.version % 10000) as object, format('%s: %s; corrected in %s.%s.', k.cve, k.what, k.major, k.fixed) as problem, '' as mend
  from known k join server s on s.version / 10000 = k.major and s.version % 10000 < k.fixed`,
}, {
	ID: "RD702", Severity: Note,
	Title: "The server's version gets no more corrections",
	Why:   "The next fault in row level security will be known to everybody and corrected elsewhere.",
	Mend:  "Upgrade to a version that is maintained.",
	sql: `
select format('PostgreSQL %s', s.version / 10000) as object, format('It was maintained until %s.', k.until) as problem, '' as mend
  from server s join (values (13, 'November 2025'), (14, 'November 2026')) k (major, until) on k.major = s.version / 10000`,
}}
