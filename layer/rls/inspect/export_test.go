package inspect

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
)

// TakenFor has the server taken for another version.
func (cfg Config) TakenFor(version int) Config {
	cfg.version = version
	return cfg
}

// CheckIn is Check inside a transaction, which sees what that transaction has done so far.
func CheckIn(ctx context.Context, tx pgx.Tx, cfg Config) (*Report, error) {
	asked, err := cfg.check()
	if err != nil {
		return nil, err
	}
	step, err := tx.Begin(ctx)
	if err != nil {
		return nil, err
	}
	r, err := examine(ctx, step, cfg, asked)
	return r, errors.Join(err, step.Rollback(ctx))
}

// Session is the session of an inspection.
func Session(ctx context.Context, cfg Config) (*pgx.Conn, error) {
	if _, err := cfg.check(); err != nil {
		return nil, err
	}
	return connect(ctx, cfg)
}
