package link

import "sync/atomic"

// A Budget bounds the memory for what arrives on all links of a process: everything that windows have grown beyond
// InitialWindow is reserved here first. What streams may always send, InitialWindow each, comes on top, and is bounded by
// Config.MaxStreams.
type Budget struct {
	size int64
	used atomic.Int64
}

// NewBudget makes a budget of so many bytes.
func NewBudget(bytes int64) *Budget { return &Budget{size: bytes} }

// Used is how much is granted at the moment.
func (b *Budget) Used() int64 { return b.used.Load() }

// reserve takes n more for a window that is then to be of size bytes. A window may be as large as what it leaves to others: so
// the first is not bounded by much, and twenty that nobody empties leave a twentieth each (the rule of dynamic thresholds for
// shared buffers, Choudhury and Hahne 1998).
func (b *Budget) reserve(n, size int64) bool {
	for {
		used := b.used.Load()
		if b.size-used-n < size {
			return false
		}
		if b.used.CompareAndSwap(used, used+n) {
			return true
		}
	}
}

func (b *Budget) release(n int64) { b.used.Add(-n) }
