package bench

import (
	"math/bits"
	"time"
)

// A histogram counts durations in buckets that grow with them: each is at most 1/64 of its value wide, from 1 ns to over a
// minute. It has a fixed size, so counting allocates nothing and one slow answer among millions is not forgotten.
type histogram struct {
	counts [buckets]uint64
	n      uint64
	most   uint64
}

const (
	fine    = 6 // bits that tell values of one power of two apart
	powers  = 31
	buckets = (powers + 1) << fine
)

func bucketOf(v uint64) int {
	shift := max(0, bits.Len64(v)-(fine+1))
	return min(shift<<fine+int(v>>shift), buckets-1)
}

// topOf is the largest value that falls into a bucket.
func topOf(bucket int) uint64 {
	if bucket < 2<<fine {
		return uint64(bucket)
	}
	shift := bucket>>fine - 1
	return uint64(bucket-shift<<fine+1)<<shift - 1
}

func (h *histogram) add(d time.Duration) {
	v := uint64(max(0, d))
	h.counts[bucketOf(v)]++
	h.n++
	h.most = max(h.most, v)
}

func (h *histogram) merge(other *histogram) {
	for i, c := range other.counts {
		h.counts[i] += c
	}
	h.n += other.n
	h.most = max(h.most, other.most)
}

// quantile is the smallest duration that at least the share q of all does not exceed (the nearest-rank definition), rounded up
// to the top of its bucket. It is zero if nothing was counted.
func (h *histogram) quantile(q float64) time.Duration {
	rank := uint64(q * float64(h.n))
	if float64(rank) < q*float64(h.n) || rank == 0 {
		rank++
	}
	var below uint64
	for i, c := range h.counts {
		if below += c; below >= rank && c > 0 && i < buckets-1 {
			return time.Duration(min(topOf(i), h.most))
		}
	}
	return time.Duration(h.most) // the last bucket has no top
}
