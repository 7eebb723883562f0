package account

import (
	"slices"

	"github.com/redoubt-dev/redoubt/commons/web/keys"
)

// Means says in words what a scope allows; its own name if nobody has said it.
func Means(scope string) string {
	if i := slices.IndexFunc(meanings, func(s keys.Scope) bool { return s.Name == scope }); i >= 0 {
		return meanings[i].Means
	}
	return scope
}
