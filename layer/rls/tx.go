package rls

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/internal/mint"
)

// A Tx is a transaction that has presented its caller's credential. It is for one goroutine.
type Tx struct {
	ctx   context.Context
	conn  *pgxpool.Conn
	who   layer.Principal
	whose tag
	last  *pgx.Batch // statements that travel with the commit
	err   error      // the first failure: everything after it is refused
	ended bool
}

// Begin opens a writable transaction for who, presents the credential and asks a first question, in one round trip. It asks
// for a mint.Gate, which package action alone can give: there is no other door to a transaction that writes (SYSTEM A3).
// The caller must call Commit or Rollback.
func Begin[T any](ctx context.Context, _ mint.Gate, db *DB, who layer.Principal, first constant, args ...any) (*Tx, T, error) {
	var answer T
	if who.Nobody() {
		return nil, answer, nobody()
	}
	whose := tagOf(who.Organization())
	if err := whose.judge(args); err != nil {
		return nil, answer, err
	}
	conn, err := db.acquire(ctx)
	if err != nil {
		return nil, answer, refuse(err)
	}
	tx := &Tx{ctx: ctx, conn: conn, who: who, whose: whose, last: &pgx.Batch{}}
	batch := &pgx.Batch{}
	batch.Queue("begin")
	present(batch, ctx, who, false)
	batch.Queue(string(first), args...)
	results := conn.SendBatch(ctx, batch)
	for range 2 {
		if _, err = results.Exec(); err != nil {
			break
		}
	}
	if err == nil {
		var rows pgx.Rows
		if rows, err = results.Query(); err == nil {
			answer, err = pgx.CollectExactlyOneRow(whose.judged(rows), mapper[T]())
		}
	}
	if closing := results.Close(); err == nil {
		err = closing
	}
	if err != nil {
		tx.err = err
		tx.Rollback()
		return nil, answer, refuse(err)
	}
	return tx, answer, nil
}

func (tx *Tx) caller() layer.Principal { return tx.who }

// Context is the context that the transaction was begun with.
func (tx *Tx) Context() context.Context { return tx.ctx }

func (tx *Tx) ask(sql string, args []any, scan func(pgx.Rows) error) error {
	switch {
	case tx.ended:
		return errEnded
	case tx.err != nil:
		return refuse(tx.err)
	}
	if tx.err = tx.whose.judge(args); tx.err != nil {
		return tx.err
	}
	rows, err := tx.conn.Query(tx.ctx, sql, args...)
	if err == nil {
		err = scan(tx.whose.judged(rows))
	}
	if err != nil && aborts(err) {
		tx.err = err
	}
	return refuse(err)
}

// NewID makes an id for a row that this transaction is going to write, as redoubt.new_id does in the database.
func (tx *Tx) NewID() string { return tx.whose.newID() }

// maxQueued bounds the statements that wait for the commit.
const maxQueued = 100

// Queue adds a statement that is sent with the commit, at no round trip of its own.
func (tx *Tx) Queue(sql constant, args ...any) error {
	if tx.last.Len() == maxQueued {
		return errTooMuchQueued
	}
	if err := tx.whose.judge(args); err != nil {
		tx.err = err
		return err
	}
	tx.last.Queue(string(sql), args...)
	return nil
}

// Commit sends what was queued and commits, in one round trip. After an error nothing of the transaction remains.
func (tx *Tx) Commit() error {
	switch {
	case tx.ended:
		return errEnded
	case tx.err != nil:
		tx.Rollback()
		return refuse(tx.err)
	}
	tx.last.Queue("commit")
	results := tx.conn.SendBatch(tx.ctx, tx.last)
	err := results.Close() // reads every result and returns the first error
	if err != nil {
		tx.err = err
		tx.Rollback()
		return refuse(err)
	}
	tx.end()
	return nil
}

// Rollback undoes everything. It does nothing after Commit.
func (tx *Tx) Rollback() {
	if tx.ended {
		return
	}
	if status := tx.conn.Conn().PgConn().TxStatus(); status != 'I' {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(tx.ctx), acquireWait)
		defer cancel()
		if err := tx.conn.Conn().PgConn().Exec(ctx, "rollback").Close(); err != nil {
			tx.conn.Conn().Close(ctx)
		}
	}
	tx.end()
}

func (tx *Tx) end() {
	tx.ended = true
	release(tx.ctx, tx.conn, tx.err)
}
