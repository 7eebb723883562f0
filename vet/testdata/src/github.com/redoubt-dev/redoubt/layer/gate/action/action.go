package action

import (
	"context"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/rls"
)

type Tx struct{ *rls.Tx }

func Do[T any](ctx context.Context, db *rls.DB, who layer.Principal, scope string, act func(*Tx) (T, error)) (T, error) {
	return act(nil)
}

func DoAssured[T any](ctx context.Context, db *rls.DB, who layer.Principal, scope string, needs layer.Assurance, act func(*Tx) (T, error)) (T, error) {
	return act(nil)
}
