package attack

import "slices"

// All are the attacks on Commons, in the order of the picture.
func All() []Attack {
	return slices.Concat(tenants(), people(), outside(), browser(), inputs(), database())
}
