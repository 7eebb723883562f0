package depth

import "math/bits"

// MaxUnits bounds the units of one drill, common causes included.
const MaxUnits = 64

// A Set is a set of units, by number, that are out together.
type Set uint64

// Of is the set of these.
func Of(units ...int) (s Set) {
	for _, u := range units {
		s |= 1 << u
	}
	return s
}

// First is the set of the first n units.
func First(n int) Set {
	if n >= MaxUnits {
		return ^Set(0)
	}
	return 1<<n - 1
}

// Has reports whether u is one of s.
func (s Set) Has(u int) bool { return s&Of(u) != 0 }

// Len is how many there are.
func (s Set) Len() int { return bits.OnesCount64(uint64(s)) }

// In reports whether all of s are in t.
func (s Set) In(t Set) bool { return s&^t == 0 }

// Units are the numbers, ascending.
func (s Set) Units() []int {
	units := make([]int, 0, s.Len())
	for ; s != 0; s &= s - 1 {
		units = append(units, bits.TrailingZeros64(uint64(s)))
	}
	return units
}
