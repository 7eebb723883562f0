package inspect

// keyRules are about columns, keys and indexes: constraints are checked for all tenants at once and know no policy.
var keyRules = []Rule{{
	ID: "RD301", Severity: Warning,
	Title: "The tenants' column may be null",
	Why:   "A row without a tenant is nobody's: invisible where policies compare, everybody's where they do not.",
	Mend:  "Declare the column NOT NULL.",
	sql: `
select t.name as object, format('Rows may lack %s.', t.orgname) as problem, format('alter table %s alter column %s set not null;', t.name, t.orgname) as mend
  from tenant t where not t.orgnotnull and not t.relispartition`,
}, {
	ID: "RD302", Severity: Warning,
	Title: "The tenants' column may be changed",
	Why:   "Then only the policies' WITH CHECK keeps a row from being given to another tenant.",
	Mend:  "Grant UPDATE on the other columns alone.",
	sql: `
select t.name as object, format('%s may update %s.', string_agg(distinct g.who, ', '), t.orgname) as problem,
       string_agg(distinct case when g.col is not null then format('revoke update (%s) on %s from %s;', t.orgname, t.name, g.who)
         else format('revoke update on %s from %s;', t.name, g.who) || coalesce(
           (select format(' grant update (%s) on %s to %s;', string_agg(quote_ident(a.attname), ', ' order by a.attnum), t.name, g.who)
              from pg_attribute a where a.attrelid = t.oid and a.attnum > 0 and a.attnum <> t.org and not a.attisdropped and a.attgenerated = ''), '') end, ' ') as mend
  from tenant t join (select *, case when grantee = 0 then 'public' else grantee::regrole::text end as who from granted) g on g.oid = t.oid
 where g.privilege = 'UPDATE' and (g.col is null or g.col::text = $1::text) group by t.oid, t.name, t.orgname`,
}, {
	ID: "RD303", Severity: Warning,
	Title: "A unique value is unique over all tenants",
	Why:   "A conflict tells one tenant what another has, and one tenant can take a name from all others.",
	Mend:  "Let the key begin with the tenants' column.",
	sql:   uniqueKeys + ` and not u.surrogate`,
}, {
	ID: "RD304", Severity: Note,
	Title: "A key of generated values does not hold the tenants' column",
	Why:   "Foreign keys that refer to it cannot pair the tenant, and whoever learns an id can ask whether it exists.",
	Mend:  "Let the primary key be the tenants' column and the id together.",
	sql:   `select object, problem, '' as mend from (` + uniqueKeys + ` and u.surrogate) k`,
}, {
	ID: "RD305", Severity: Error,
	Title: "A foreign key does not pair the tenants",
	Why:   "Foreign keys know no policy: a row may refer to another tenant's, which shows that it exists, and a cascade deletes across tenants.",
	Mend:  "Make the foreign key (tenant, id) to (tenant, id).",
	sql: `
select t.name as object, format('%I refers to %s%s.', k.conname, f.name, case k.confdeltype when 'c' then ', and deletes with it' when 'n' then ', and changes with it' else '' end) as problem,
       case when t.orgtype = f.orgtype and not t.relispartition and k.conparentid = 0 and to_jsonb(k) ->> 'conperiod' is distinct from 'true' then
         case when exists (select from pg_index i where i.indrelid = f.oid and i.indisunique and i.indpred is null and i.indexprs is null
                and i.indnkeyatts = cardinality(k.confkey) + 1 and f.org = any (i.indkey::int2[]) and k.confkey <@ i.indkey::int2[]) then ''
              else format('alter table %s add unique (%s, %s); ', f.name, f.orgname, l.far) end
         || format('alter table %s drop constraint %I; alter table %1$s add constraint %2$I foreign key (%3$s, %4$s) references %5$s (%6$s, %7$s)%8$s%9$s%10$s;',
              t.name, k.conname, t.orgname, l.near, f.name, f.orgname, l.far,
              case k.confupdtype when 'c' then ' on update cascade' when 'r' then ' on update restrict' else '' end,
              case k.confdeltype when 'c' then ' on delete cascade' when 'r' then ' on delete restrict'
                   when 'n' then case when s.version >= 150000 then format(' on delete set null (%s)', l.near) else '' end else '' end,
              case when k.condeferrable then ' deferrable' || case when k.condeferred then ' initially deferred' else '' end else '' end) end as mend
  from tenant t join pg_constraint k on k.conrelid = t.oid and k.contype = 'f' join tenant f on f.oid = k.confrelid cross join server s
  cross join lateral (
    select string_agg(quote_ident(a.attname), ', ' order by i) as near, string_agg(quote_ident(b.attname), ', ' order by i) as far
      from generate_subscripts(k.conkey, 1) i join pg_attribute a on a.attrelid = k.conrelid and a.attnum = k.conkey[i] join pg_attribute b on b.attrelid = k.confrelid and b.attnum = k.confkey[i]) l
 where k.conparentid = 0 and not exists (select from generate_subscripts(k.conkey, 1) i where k.conkey[i] = t.org and k.confkey[i] = f.org)`,
}, {
	ID: "RD306", Severity: Warning,
	Title: "No index begins with the tenants' column",
	Why:   "Every policy asks for it, so every statement reads the rows of all tenants to find those of one.",
	Mend:  "Add an index that begins with the tenants' column, best a primary key.",
	sql: `
select t.name as object, format('Nothing finds the rows of one %s.', t.orgname) as problem, format('create index on %s (%s);', t.name, t.orgname) as mend
  from tenant t
 where not exists (select from pg_index i where i.indrelid = t.oid and i.indisvalid and i.indpred is null and (i.indkey::int2[])[0] = t.org) and not t.relispartition`,
}, {
	ID: "RD307", Severity: Note,
	Title: "A foreign key has no index",
	Why:   "Deleting or changing what it refers to reads the whole table, holding locks the while.",
	Mend:  "Add an index that begins with the foreign key's columns.",
	sql: `
select t.name as object, format('%I is not indexed.', k.conname) as problem,
       format('create index on %s (%s);', t.name, (select string_agg(quote_ident(a.attname), ', ' order by i) from generate_subscripts(k.conkey, 1) i join pg_attribute a on a.attrelid = t.oid and a.attnum = k.conkey[i])) as mend
  from guarded t join pg_constraint k on k.conrelid = t.oid and k.contype = 'f' and k.conparentid = 0
 where not exists (select from pg_index i where i.indrelid = t.oid and i.indisvalid and i.indpred is null
   and (i.indkey::int2[])[0:cardinality(k.conkey) - 1] @> k.conkey)`,
}, {
	ID: "RD308", Severity: Note,
	Title: "A table has no primary key",
	Why:   "Nothing names one row of it, so audit, replication and repair cannot either.",
	Mend:  "Add one that begins with the tenants' column.",
	sql: `
select t.name as object, 'It has no primary key.' as problem, '' as mend
  from guarded t where not t.relispartition and not exists (select from pg_constraint k where k.conrelid = t.oid and k.contype = 'p')`,
}, {
	ID: "RD309", Severity: Note,
	Title: "An index is there twice",
	Why:   "Every write pays for both, and no read gains.",
	Mend:  "Drop one of them.",
	sql: `
select t.name as object, format('%s is the same as %s.', b.indexrelid::regclass, min(a.indexrelid::regclass::text)) as problem, format('drop index %s;', b.indexrelid::regclass) as mend
  from guarded t join pg_index a on a.indrelid = t.oid join pg_index b on b.indrelid = t.oid and b.indexrelid <> a.indexrelid
   and a.indkey = b.indkey and a.indclass = b.indclass and a.indoption = b.indoption and a.indcollation = b.indcollation
   and pg_get_expr(a.indpred, t.oid) is not distinct from pg_get_expr(b.indpred, t.oid) and pg_get_expr(a.indexprs, t.oid) is not distinct from pg_get_expr(b.indexprs, t.oid)
 where not b.indisunique and not exists (select from pg_constraint k where k.conindid = b.indexrelid) and (a.indisunique or a.indexrelid < b.indexrelid)
 group by t.oid, t.name, b.indexrelid`,
}, {
	ID: "RD310", Severity: Note,
	Title: "A column that sounds secret is readable as text",
	Why:   "Isolation between tenants does not help against whoever may ask for the tenant's own secrets.",
	Mend:  "Keep a hash, or seal it; and grant SELECT on the other columns alone.",
	sql: `
select t.name as object, format('%I may be read by %s.', a.attname, string_agg(distinct case when g.grantee = 0 then 'PUBLIC' else g.grantee::regrole::text end, ', ')) as problem, '' as mend
  from tbl t join pg_attribute a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped and a.atttypid in ('text'::regtype, 'varchar'::regtype, 'bpchar'::regtype)
  join granted g on g.oid = t.oid and g.privilege = 'SELECT' and (g.col is null or g.col = a.attname)
 where a.attname ~* '(^|_)(passw(or)?d|secret|api_?key|private_?key|access_?token|refresh_?token|totp|otp_secret|ssn|iban|card_?number|cvv|cvc)($|_)' and a.attname !~* '_(hash|id|at|hint)$'
 group by t.oid, t.name, a.attname`,
}, {
	ID: "RD311", Severity: Warning,
	Title: "Policies keep an index from being used",
	Why:   "Its operator or function could tell about rows that it was only tried on, so PostgreSQL first applies the policy, to every row if nothing else narrows them.",
	Mend:  "Begin the index with the tenants' column; or index a type whose comparison is leakproof: text, bigint or uuid instead of an enum or numeric, a generated column instead of lower().",
	sql: `
select t.name as object, format('%s begins with %s, which is not leakproof.', i.indexrelid::regclass, k.what) as problem,
       case when t.org is not null and not i.indisunique and m.amname = 'btree' then
         format('drop index %s; create index %I on %s (%s, %s)%s;', i.indexrelid::regclass, x.relname, t.name, t.orgname,
           (select string_agg(pg_get_indexdef(i.indexrelid, n, true), ', ' order by n) from generate_series(1, i.indnkeyatts) n), ' where ' || pg_get_expr(i.indpred, t.oid)) end as mend
  from guarded t join pg_index i on i.indrelid = t.oid join pg_class x on x.oid = i.indexrelid join pg_am m on m.oid = x.relam
  join pg_opclass o on o.oid = (i.indclass::oid[])[0]
  cross join lateral (select case when (i.indkey::int2[])[0] = 0 then 'an expression' else format('%I (%s)', (select attname from pg_attribute where attrelid = t.oid and attnum = (i.indkey::int2[])[0]), format_type((select atttypid from pg_attribute where attrelid = t.oid and attnum = (i.indkey::int2[])[0]), null)) end as what) k
 where t.relrowsecurity and (i.indkey::int2[])[0] is distinct from t.org
   and ((i.indkey::int2[])[0] = 0
     or not exists (select from pg_amop p join pg_operator r on r.oid = p.amopopr join pg_proc f on f.oid = r.oprcode
                     where p.amopfamily = o.opcfamily and p.amoplefttype = o.opcintype and p.amopstrategy = case m.amname when 'btree' then 3 when 'hash' then 1 else p.amopstrategy end and f.proleakproof))`,
}, {
	ID: "RD312", Severity: Warning,
	Title: "A constraint is written and not enforced",
	Why:   "It looks like a promise about every row, and PostgreSQL looks at none: a foreign key may then refer to another tenant's row or to nothing.",
	Mend:  "Enforce it.",
	sql: `
select t.name as object, format('%I is NOT ENFORCED.', k.conname) as problem,
       case when k.contype = 'f' then format('alter table %s alter constraint %I enforced;', t.name, k.conname)
            else format('alter table %1$s drop constraint %2$I; alter table %1$s add constraint %2$I %3$s;', t.name, k.conname, replace(pg_get_constraintdef(k.oid), ' NOT ENFORCED', '')) end as mend
  from guarded t join pg_constraint k on k.conrelid = t.oid and k.conparentid = 0
 where to_jsonb(k) ->> 'conenforced' = 'false'`,
}}

const uniqueKeys = `
select u.name as object, format('%s is unique over all tenants: %s.', u.indexrelid::regclass, u.keys) as problem,
       case when u.indisexclusion or exists (select from pg_constraint k where k.conindid = u.indexrelid and k.contype = 'f') then ''
            when u.conname is not null then format('alter table %1$s drop constraint %2$I; alter table %1$s add constraint %2$I %3$s (%4$s, %5$s);', u.name, u.conname, case u.contype when 'p' then 'primary key' else 'unique' end, u.orgname, u.keys)
            else format('drop index %s; create unique index %I on %s (%s, %s)%s;', u.indexrelid::regclass, u.relname, u.name, u.orgname, u.keys, ' where ' || u.predicate) end as mend
  from (
    select t.name, t.orgname, i.indexrelid, i.indisexclusion, x.relname, k.conname, k.contype, pg_get_expr(i.indpred, t.oid) as predicate,
           (select string_agg(pg_get_indexdef(i.indexrelid, n, true), ', ' order by n) from generate_series(1, i.indnkeyatts) n) as keys,
           not exists (
             select from generate_series(0, i.indnkeyatts - 1) n left join pg_attribute a on a.attrelid = t.oid and a.attnum = (i.indkey::int2[])[n] and a.attnum > 0
               left join pg_attrdef d on d.adrelid = t.oid and d.adnum = a.attnum
              where a.attnum is null or not (a.atttypid = 'uuid'::regtype or a.attidentity <> '' or coalesce(pg_get_expr(d.adbin, t.oid) ~ 'nextval\(', false))) as surrogate
      from tenant t join pg_index i on i.indrelid = t.oid join pg_class x on x.oid = i.indexrelid
      left join pg_constraint k on k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x')
     where (i.indisunique or i.indisexclusion) and not t.relispartition and not t.org = any ((i.indkey::int2[])[0:i.indnkeyatts - 1])) u
 where true`
