package rls

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/internal/mint"
)

// A constant is SQL written in the program (SYSTEM N4). The type is not exported, so a conversion cannot name it: only a constant
// fits, and a statement is not put together from what somebody sent. Generic code could still infer the type and forge one; the
// analyzer vet/constsql refuses that.
type constant string

// An Asker is something that statements can be asked of: a Caller for single reads, a Tx for several and for writes.
type Asker interface {
	caller() layer.Principal
	ask(sql string, args []any, scan func(pgx.Rows) error) error
}

// A Caller asks on behalf of who. Each statement is a read-only transaction of its own: the credential and the statement
// travel together, one round trip (SYSTEM D7).
type Caller struct {
	db  *DB
	ctx context.Context
	who layer.Principal
}

func (c Caller) caller() layer.Principal { return c.who }

// As returns a Caller for who. ctx bounds its statements.
func (db *DB) As(ctx context.Context, who layer.Principal) Caller { return Caller{db, ctx, who} }

const (
	enterReading        = `select redoubt.enter($1, $2, true)`
	enterWriting        = `select redoubt.enter($1, $2, false)`
	enterSessionReading = `select redoubt.enter_session($1, $2, true)`
	enterSessionWriting = `select redoubt.enter_session($1, $2, false)`
)

// present queues the statement that presents a credential: sessions have one of their own, which is cheaper.
func present(batch *pgx.Batch, ctx context.Context, who layer.Principal, read bool) {
	credential, visit := mint.Credential(who), layer.VisitFrom(ctx).String()
	session := strings.HasPrefix(credential, "rds_")
	switch {
	case session && read:
		batch.Queue(enterSessionReading, credential, visit)
	case session:
		batch.Queue(enterSessionWriting, credential, visit)
	case read:
		batch.Queue(enterReading, credential, visit)
	default:
		batch.Queue(enterWriting, credential, visit)
	}
}

func (c Caller) ask(sql string, args []any, scan func(pgx.Rows) error) error {
	if c.who.Nobody() {
		return nobody()
	}
	whose := tagOf(c.who.Organization())
	if err := whose.judge(args); err != nil {
		return err
	}
	conn, err := c.db.acquire(c.ctx)
	if err != nil {
		return refuse(err)
	}
	batch := &pgx.Batch{}
	present(batch, c.ctx, c.who, true)
	batch.Queue(sql, args...)
	results := conn.SendBatch(c.ctx, batch)
	_, err = results.Exec()
	if err == nil {
		var rows pgx.Rows
		if rows, err = results.Query(); err == nil {
			err = scan(whose.judged(rows))
		}
	}
	if closing := results.Close(); err == nil {
		err = closing
	}
	release(c.ctx, conn, err)
	return refuse(err)
}

func (db *DB) acquire(ctx context.Context) (*pgxpool.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, acquireWait)
	defer cancel()
	return db.pool.Acquire(ctx)
}

// release gives a connection back, unless the error says that somebody may have tried something on it.
func release(ctx context.Context, conn *pgxpool.Conn, err error) {
	if tainted(err) {
		conn.Conn().Close(context.WithoutCancel(ctx))
	}
	conn.Release()
}

// One asks for exactly one row and maps its columns by name to T's fields, or its only column to a plain T. No row is a
// NotFound refusal by layer RLS: one cannot tell a row that is absent from one that is another organization's.
func One[T any](asker Asker, sql constant, args ...any) (T, error) {
	var one T
	err := asker.ask(string(sql), args, func(rows pgx.Rows) (err error) {
		one, err = pgx.CollectExactlyOneRow(rows, mapper[T]())
		return err
	})
	if err == nil {
		err = shown(asker, one)
	}
	if err != nil {
		var none T
		return none, err
	}
	return one, nil
}

// A Reserved row is not for everybody in its organization, and says itself whom it may be shown to (SYSTEM A5): by the caller's claims, where
// the table's own policy says the same by the database's view of them. Where that has failed, One refuses and All leaves the row out, as if it
// did not exist.
type Reserved interface {
	For(who layer.Principal) bool
}

// errReserved is the cause when a table's own policy has let somebody's row through to somebody else.
var errReserved = errors.New("the database answered with a row that is not for the caller")

func shown(asker Asker, row any) error {
	if r, ok := row.(Reserved); ok && !r.For(asker.caller()) {
		return absent(errReserved)
	}
	return nil
}

// maxRows bounds what one statement may bring into memory. Pages are shorter; a statement that meets the bound is a mistake.
const maxRows = 10_000

// All asks for every row, at most 10,000 of them. It returns an empty slice, not nil, for none.
func All[T any](asker Asker, sql constant, args ...any) ([]T, error) {
	all := []T{}
	err := asker.ask(string(sql), args, func(rows pgx.Rows) error {
		defer rows.Close()
		to := mapper[T]()
		for rows.Next() {
			if len(all) == maxRows {
				return errTooManyRows
			}
			one, err := to(rows)
			if err != nil {
				return err
			}
			if shown(asker, one) != nil {
				continue
			}
			all = append(all, one)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

func mapper[T any]() pgx.RowToFunc[T] {
	if t := reflect.TypeFor[T](); t.Kind() == reflect.Struct && t != reflect.TypeFor[time.Time]() {
		return pgx.RowToStructByName[T]
	}
	return pgx.RowTo[T]
}

// Do runs a statement whose rows do not matter and returns how many it affected.
func Do(asker Asker, sql constant, args ...any) (int64, error) {
	var affected int64
	err := asker.ask(string(sql), args, func(rows pgx.Rows) error {
		for rows.Next() { // nobody reads them, but they are judged
		}
		affected = rows.CommandTag().RowsAffected()
		return rows.Err()
	})
	return affected, err
}
