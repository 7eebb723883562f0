package knockout

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// What follows finds its objects in the catalogs, so that it does for every application what it does for Commons.

// tenantTables are all tables that the guard watches.
const tenantTables = `select c.oid, c.oid::regclass as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where c.relkind in ('r', 'p') and pg_get_userbyid(n.nspowner) = 'redoubt_owner'`

// keptTables are those and identity's.
const keptTables = `select c.oid, c.oid::regclass as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where c.relkind in ('r', 'p') and pg_get_userbyid(n.nspowner) in ('redoubt_owner', 'redoubt_keys')`

// unguarded are statements that the event triggers of the guard do not see, in one transaction: it would refuse them, or mend what they do.
func unguarded(statements ...string) string {
	return "set local session_replication_role = replica;\n" + strings.Join(statements, ";\n")
}

// each does something for every row of a query, which do calls x. None is no mistake: an application may have nothing of the kind, or
// another unit may have taken it along.
func each(query, do string) string {
	return fmt.Sprintf("do $each$ declare x record; begin for x in %s loop %s; end loop; end $each$", query, do)
}

// A swap is an expression of PostgreSQL's, ignoring case, and what stands in place of all that it fits.
type swap struct{ old, new string }

// rewritten makes new functions of those that a query finds by their oid, and fails if no swap fits any of them. Owner and rights stay.
func rewritten(query string, swaps ...swap) string {
	expression := "was"
	for _, s := range swaps {
		expression = fmt.Sprintf("regexp_replace(%s, $s$%s$s$, $s$%s$s$, 'gi')", expression, s.old, s.new)
	}
	return fmt.Sprintf(`do $each$
declare
  f oid;
  was text;
  becomes text;
  found_any boolean := false;
begin
  for f in %s loop
    was := pg_get_functiondef(f);
    becomes := %s;
    if becomes <> was then
      execute becomes;
      found_any := true;
    end if;
  end loop;
  if not found_any then
    raise exception 'there is nothing here to take out';
  end if;
end $each$`, query, expression)
}

// trail changes a part of the policy that says who reads the audit trail: several units have their share in it.
func trail(part, becomes string) string {
	return each(`select replace(pg_get_expr(polqual, polrelid), $s$`+part+`$s$, $s$`+becomes+`$s$) as condition from pg_policy where polrelid = 'audit.log'::regclass and polname = 'floor'`,
		`execute format('alter policy floor on audit.log using (%s)', x.condition)`)
}

// A callerContext is what a transaction of the database's superuser claims to be: somebody of Acme without a profile, or of another
// organization.
type callerContext struct {
	foreign bool
	scopes  string // as a context has them: "members0read,"
	role    string // as whom the transaction goes on; "" for the superuser
}

// within runs look in a transaction that is undone in any case, with a context that nobody had to present a credential for.
func within(ctx context.Context, at Place, c callerContext, look func(tx pgx.Tx, organization string) error) error {
	tx, err := at.Admin().Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback(ctx)
	organization, err := one[string](ctx, tx, `select o.id::text from identity.organization o where (o.id <> $1) = $2 limit 1`, victim, c.foreign)
	if err != nil {
		return fmt.Errorf("looking for an organization: %w", err)
	}
	const nobody = "00000000-0000-0000-0000-000000000000"
	if _, err := tx.Exec(ctx, `select redoubt.keep(redoubt.context($1, $2, $2, $2, 's', $3, ''), false)`, organization, nobody, c.scopes); err != nil {
		return fmt.Errorf("claiming to be somebody: %w", err)
	}
	if c.role != "" {
		if _, err := tx.Exec(ctx, "set local role "+pgx.Identifier{c.role}.Sanitize()); err != nil {
			return err
		}
	}
	return look(tx, organization)
}

// entered runs look as whoever presents a session that was made for the purpose: of a member of an organization that has the name, or has
// not, and living or ended.
func entered(ctx context.Context, at Place, acme, ended bool, look func(tx pgx.Tx) error) error {
	tx, err := at.Admin().Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback(ctx)
	if _, err := tx.Exec(ctx, `
insert into identity.session (hash, organization_id, profile_id, person_id, administrator, claims, mac, idle, expires_at, revoked_at)
select sha256('rds_drill'), m.organization_id, m.id, m.person_id, false, '', decode(repeat('00', 32), 'hex'), '1 hour', now() + interval '1 hour', case when $2 then now() end
  from identity.membership m join identity.organization o on o.id = m.organization_id where (o.id = '`+victim+`') = $1 limit 1`, acme, ended); err != nil {
		return fmt.Errorf("making a session: %w", err)
	}
	if _, err := tx.Exec(ctx, `select redoubt.enter_session('rds_drill')`); err != nil {
		return fmt.Errorf("entering: %w", err)
	}
	return look(tx)
}

// tables lists tenant tables that a role may read.
func tables(ctx context.Context, tx pgx.Tx, role string) ([]string, error) {
	rows, err := tx.Query(ctx, `select name::text from (`+tenantTables+`) t where has_table_privilege($1, oid, 'SELECT') order by 1`, role)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// one asks for a single value.
func one[T any](ctx context.Context, tx pgx.Tx, question string, args ...any) (answer T, err error) {
	err = tx.QueryRow(ctx, question, args...).Scan(&answer)
	return answer, err
}

// succeeds makes of a statement's error a proof that what should be out is in its place.
func succeeds(ctx context.Context, tx pgx.Tx, what, sql string, args ...any) error {
	if _, err := tx.Exec(ctx, sql, args...); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

var errStands = errors.New("it is still in its place")

func stands(what string) error { return fmt.Errorf("%w: %s", errStands, what) }
