package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// What changes do to the tables, seen by the superuser.

const commonsSchema = "commons"

// databaseOf is where a schema is.
func databaseOf(schema string) string {
	if schema == commonsSchema {
		return guarded
	}
	return plain
}

// doneSince describes every order placed and every post edited since a moment, without their ids and times. Which of several edits
// came last is chance, so numbers in texts do not count.
const doneSince = `
select format('%s orders %s, %s posts %s',
  (select count(*) from order_ where created_at >= $1),
  (select md5(string_agg(concat_ws('|', organization_id, buyer_id, product_id, product_name, quantity, unit_cents, total_cents, notes), e'\n'
                         order by organization_id, buyer_id, quantity, notes)) from order_ where created_at >= $1),
  (select count(*) from post where edited_at >= $1),
  (select md5(string_agg(concat_ws('|', organization_id, id, author_id, regexp_replace(body, '[0-9]', 'N', 'g'), created_at), e'\n' order by organization_id, id))
     from post where edited_at >= $1))`

func (w *world) done(ctx context.Context, schema string, since time.Time) (done string, err error) {
	conn, err := w.within(ctx, schema)
	if err != nil {
		return "", fmt.Errorf("connecting to see what was done: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if err := conn.QueryRow(ctx, doneSince, since).Scan(&done); err != nil {
		return "", fmt.Errorf("seeing what was done: %w", err)
	}
	return done, nil
}

// within connects the superuser to the tables of a schema.
func (w *world) within(ctx context.Context, schema string) (*pgx.Conn, error) {
	return connect(ctx, w.super(databaseOf(schema)), schema)
}

func connect(ctx context.Context, address, schema string) (*pgx.Conn, error) {
	cc, err := pgx.ParseConfig(address)
	if err != nil {
		return nil, errors.New("reading a connection string: it is not valid")
	}
	cc.RuntimeParams["search_path"] = schema + ", public"
	return pgx.ConnectConfig(ctx, cc)
}

// tidy takes the new orders away again, so that every round finds tables of the same size. Triggers rest meanwhile.
func (w *world) tidy(ctx context.Context) error {
	for _, schema := range []string{commonsSchema, bareSchema, conventionalSchema, auditedSchema} {
		if err := w.tidySchema(ctx, schema); err != nil {
			return fmt.Errorf("taking new orders away: %w", err)
		}
	}
	return nil
}

func (w *world) tidySchema(ctx context.Context, schema string) error {
	conn, err := w.within(ctx, schema)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, `set session_replication_role = replica`); err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, `delete from order_ where created_at > $1`, w.filled); err != nil {
		return err
	}
	_, err = conn.Exec(ctx, `vacuum order_, post`)
	return err
}
