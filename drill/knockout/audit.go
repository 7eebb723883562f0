package knockout

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/redoubt-dev/redoubt/layer"
)

// auditUnits are what keeps the trail whole (SYSTEM U1, U2).
func auditUnits() []Unit {
	return []Unit{
		{Name: "audit/append-only", Layer: layer.Audit, What: "triggers and policies refuse changing or removing an entry, to everybody",
			Gone:  "whoever has the right to may add, change and remove entries",
			SQL:   []string{unguarded(eraser)},
			Bites: appendOnlyIsOut},
		{Name: "audit/record", Layer: layer.Audit, What: "a trigger of every table records what becomes of its rows",
			Gone:  "the triggers are disabled",
			SQL:   []string{unguarded(silent)},
			Bites: recordIsOut},
	}
}

// eraser leaves the trail to the rights on it, which are another unit's. Reading is decided as before.
const eraser = `alter table audit.log disable trigger no_change, disable trigger no_truncate;
` + openTrail

const openTrail = `drop policy if exists knocked_out_add on audit.log;
drop policy if exists knocked_out_change on audit.log;
drop policy if exists knocked_out_remove on audit.log;
create policy knocked_out_add on audit.log for insert to public with check (true);
create policy knocked_out_change on audit.log for update to public using (true) with check (true);
create policy knocked_out_remove on audit.log for delete to public using (true)`

func appendOnlyIsOut(ctx context.Context, at Place) error {
	return within(ctx, at, callerContext{}, func(tx pgx.Tx, _ string) error {
		if err := succeeds(ctx, tx, "changing an entry", `update audit.log set visit = 'changed'`); err != nil {
			return err
		}
		return succeeds(ctx, tx, "removing all", `truncate audit.log`)
	})
}

var silent = each(`select t.name from pg_trigger g join (`+tenantTables+`) t on t.oid = g.tgrelid where g.tgname = 'audit_row' and g.tgparentid = 0`,
	`execute format('alter table %s disable trigger audit_row', x.name)`)

// recordIsOut makes a row of a table that every application has, and looks for its entry.
func recordIsOut(ctx context.Context, at Place) error {
	return within(ctx, at, callerContext{}, func(tx pgx.Tx, organization string) error {
		made, err := one[string](ctx, tx, `insert into files.content (organization_id, digest, kind) values ($1, sha256('drill'), 'txt') returning id::text`, organization)
		if err != nil {
			return err
		}
		entries, err := one[int](ctx, tx, `select count(*) from audit.log where entity = 'files.content' and entity_id = $1`, made)
		if err != nil {
			return err
		}
		if entries > 0 {
			return stands("the row is in the trail")
		}
		return nil
	})
}
