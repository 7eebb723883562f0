package constsql

import (
	"context"
	"database/sql"
	_ "embed"
	"fmt"
	"net/url"

	"constsqlhelper"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redoubt-dev/redoubt/layer/rls"
)

const (
	columns = `select id, name from product`
	one     = columns + ` where id = $1`
)

//go:embed schema.sql
var schema string

var (
	byName  = map[string]string{"one": one, "all": columns}
	chosen  = one
	Exposed = one
)

func constants(ctx context.Context, conn *pgx.Conn, pool *pgxpool.Pool, tx pgx.Tx, db *sql.DB, in string) {
	conn.Query(ctx, one, in)
	conn.Exec(ctx, columns+` order by name`)
	conn.Exec(ctx, schema)
	conn.Exec(ctx, chosen)
	conn.Exec(ctx, byName[in])
	db.QueryContext(ctx, "select 1")
	order := " order by name"
	if in == "id" {
		order = " order by id"
	}
	statement := columns
	statement += order
	pool.Query(ctx, statement)
	for _, text := range []string{one, columns} {
		tx.Query(ctx, text)
	}
	list := []string{one}
	list[0] = columns
	conn.Exec(ctx, list[0])
	batch := &pgx.Batch{}
	batch.Queue(one, in)
	batch.QueuedQueries = append(batch.QueuedQueries, &pgx.QueuedQuery{SQL: one})
	constsqlhelper.Ask(ctx, conn, one)
	url.ParseQuery(in) // a query of another kind
}

func built(ctx context.Context, conn *pgx.Conn, pool *pgxpool.Pool, tx pgx.Tx, db *sql.DB, in string) {
	conn.Query(ctx, fmt.Sprintf("select %s", in))    // want `Conn\.Query: SQL that is not constant: write it as a constant and what varies as a parameter, \$1 \(SYSTEM N4\)`
	conn.Exec(ctx, columns+" where name = '"+in+"'") // want `Conn\.Exec: SQL that is not constant`
	conn.Prepare(ctx, in, in)                        // want `Conn\.Prepare: SQL that is not constant`
	conn.PgConn().Exec(ctx, in)                      // want `PgConn\.Exec: SQL that is not constant`
	pool.Query(ctx, string([]byte(in)))              // want `Pool\.Query: SQL that is not constant`
	tx.Query(ctx, Exposed)                           // want `Tx\.Query: SQL that is not constant`
	db.Query(in)                                     // want `DB\.Query: SQL that is not constant`
	db.PrepareContext(ctx, in)                       // want `DB\.PrepareContext: SQL that is not constant`
	(&pgx.Batch{}).Queue(in)                         // want `Batch\.Queue: SQL that is not constant`
	_ = pgx.QueuedQuery{SQL: in}                     // want `QueuedQuery: SQL that is not constant`
	constsqlhelper.Ask(ctx, conn, in)                // want `constsqlhelper\.Ask: SQL that is not constant`
	statement := columns
	statement += in
	conn.Exec(ctx, statement) // want `Conn\.Exec: SQL that is not constant`
	pointed := columns
	at := &pointed
	*at = in
	conn.Exec(ctx, pointed) // want `Conn\.Exec: SQL that is not constant`
	list := []string{one}
	list[0] = in
	conn.Exec(ctx, list[0]) // want `Conn\.Exec: SQL that is not constant`
	for _, text := range []string{one, in} {
		conn.Exec(ctx, text) // want `Conn\.Exec: SQL that is not constant`
	}
	ask := conn.Exec // want `Conn\.Exec: as a value it takes SQL from anybody`
	ask(ctx, one)
}

const connection = "host=/tmp default_query_exec_mode=simple_protocol" // want `simple_protocol: the simple protocol`

func simple(ctx context.Context, conn *pgx.Conn) {
	conn.Query(ctx, one, pgx.QueryExecModeSimpleProtocol) // want `QueryExecModeSimpleProtocol: the simple protocol`
	conn.Query(ctx, one, pgx.QueryExecModeCacheStatement)
}

func reads(caller rls.Caller, tx *rls.Tx) {
	rls.One[int](caller, one)
	rls.Do(tx, one)
	tx.Queue(one)
}

// forge has the compiler infer a type that it cannot name, and converts to it.
func forge[T ~string](do func(rls.Asker, T, ...any) (int64, error), tx *rls.Tx, text string) {
	do(tx, T(text))
}

func forgeMethod[T ~string, Q interface{ Queue(T, ...any) error }](q Q, text string) {
	q.Queue(T(text))
}

func injected(tx *rls.Tx, in string) {
	forge(rls.Do, tx, in) // want `forge: it is made for rls\.constant, which is not this package's to make` `rls\.Do: as a value it takes SQL from anybody`
	forgeMethod(tx, in)   // want `forgeMethod: it is made for rls\.constant, which is not this package's to make`
	queue := tx.Queue     // want `Tx\.Queue: as a value it takes SQL from anybody`
	queue(one)
}
