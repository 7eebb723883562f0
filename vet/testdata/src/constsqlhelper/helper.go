// Package constsqlhelper takes SQL from others, and calls it sql.
package constsqlhelper

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// Ask passes on what its callers answer for.
func Ask(ctx context.Context, conn *pgx.Conn, sql string) {
	conn.Query(ctx, sql)
	conn.Query(ctx, sql+" limit 1")
}

// Changed does not.
func Changed(ctx context.Context, conn *pgx.Conn, sql, more string) {
	conn.Query(ctx, sql+more) // want `Conn\.Query: SQL that is not constant`
}

// Assigned has no better idea of it than its variable.
func Assigned(ctx context.Context, conn *pgx.Conn, sql, more string) {
	sql = more
	conn.Query(ctx, sql) // want `Conn\.Query: SQL that is not constant`
}

// Named calls it otherwise.
func Named(ctx context.Context, conn *pgx.Conn, text string) {
	conn.Query(ctx, text) // want `Conn\.Query: SQL that is not constant`
}

type statement string

// Typed takes what its callers cannot make but by writing it.
func Typed(ctx context.Context, conn *pgx.Conn, sql, then statement) {
	conn.Query(ctx, string(sql))
	conn.Query(ctx, string(then))
}

func inside(ctx context.Context, conn *pgx.Conn, text string) {
	Typed(ctx, conn, "select 1", statement("select 2"))
	Typed(ctx, conn, statement(text), "select 2") // want `statement: only a constant becomes one of these` `constsqlhelper\.Typed: SQL that is not constant`
}

func closure(ctx context.Context, conn *pgx.Conn) func(string) {
	return func(sql string) {
		conn.Query(ctx, sql) // want `Conn\.Query: SQL that is not constant`
	}
}
