//go:build !linux

package bench

import (
	"errors"
	"time"
)

// childrenOf cannot be told without /proc; the report leaves the database's share out.
func childrenOf(int) map[int]time.Duration { return nil }

// ranFor cannot be told either, and nothing can be measured without it.
func ranFor(int) (time.Duration, error) {
	return 0, errors.New("the processor time of one process is read from /proc, which only Linux has")
}
