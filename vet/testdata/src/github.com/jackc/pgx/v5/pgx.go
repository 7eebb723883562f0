package pgx

import (
	"context"

	"github.com/jackc/pgx/v5/pgconn"
)

type Rows interface{ Next() bool }

type Conn struct{}

func (c *Conn) Exec(ctx context.Context, sql string, arguments ...any) (int, error) { return 0, nil }
func (c *Conn) Query(ctx context.Context, sql string, args ...any) (Rows, error)    { return nil, nil }
func (c *Conn) Prepare(ctx context.Context, name, sql string) (int, error)          { return 0, nil }
func (c *Conn) SendBatch(ctx context.Context, b *Batch) error                       { return nil }
func (c *Conn) PgConn() *pgconn.PgConn                                              { return nil }

type Tx interface {
	Query(ctx context.Context, sql string, args ...any) (Rows, error)
}

type QueuedQuery struct {
	SQL       string
	Arguments []any
}

type Batch struct{ QueuedQueries []*QueuedQuery }

func (b *Batch) Queue(query string, arguments ...any) *QueuedQuery { return nil }

type QueryExecMode int32

const (
	QueryExecModeCacheStatement QueryExecMode = iota
	QueryExecModeSimpleProtocol
)
