package dialect

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// Bare takes sub-selects from a policy's expression.
var Bare = bare

// Ask asks one rule alone.
func Ask(ctx context.Context, db DB, r Rule) (found []Finding, err error) {
	err = reading(ctx, db, func(tx pgx.Tx) error {
		found, err = r.ask(ctx, tx)
		return err
	})
	return found, err
}

// Most lowers how many tables are read, and answers with what undoes it.
func Most(n int) (undo func()) {
	before := most
	most = n
	return func() { most = before }
}
