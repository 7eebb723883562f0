package layer

import "github.com/redoubt-dev/redoubt/layer/internal/mint"

type ProfileID string

type Principal struct{ facts func() *mint.Facts }

func (p Principal) Has(scope string) bool { return false }

type Refusal struct{ Public string }

func (r *Refusal) Error() string { return r.Public }

type Assurance struct{ Level string }
