package rls

import (
	"context"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/internal/mint"
)

type constant string

type Asker interface{ ask(sql string) error }

type DB struct{}

type Caller struct{}

func (c Caller) ask(sql string) error { return nil }

func (db *DB) As(ctx context.Context, who layer.Principal) Caller { return Caller{} }

type Tx struct{}

func (tx *Tx) ask(sql string) error { return nil }

func (tx *Tx) Queue(sql constant, args ...any) error { return nil }

func Begin[T any](ctx context.Context, _ mint.Gate, db *DB, who layer.Principal, first constant, args ...any) (*Tx, T, error) {
	var none T
	return nil, none, nil
}

func One[T any](asker Asker, sql constant, args ...any) (T, error) {
	var one T
	return one, asker.ask(string(sql))
}

func Do(asker Asker, sql constant, args ...any) (int64, error) { return 0, asker.ask(string(sql)) }
