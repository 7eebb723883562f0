package bench

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestBucketsFollowEachOther(t *testing.T) {
	for i := range buckets - 1 {
		top := topOf(i)
		if got := bucketOf(top); got != i {
			t.Fatalf("the top of bucket %d, %d, falls into bucket %d", i, top, got)
		}
		if got := bucketOf(top + 1); got != i+1 {
			t.Fatalf("the value after bucket %d, %d, falls into bucket %d", i, top+1, got)
		}
	}
}

func TestBucketsAreFine(t *testing.T) {
	for i := range buckets - 2 {
		low, high := topOf(i)+1, topOf(i+1)
		if width := high - low; float64(width) > float64(low)/64 {
			t.Fatalf("bucket %d from %d to %d is wider than a 64th", i+1, low, high)
		}
	}
	if got := time.Duration(topOf(buckets - 2)); got < time.Minute {
		t.Errorf("the last bucket begins after %v, want at least a minute", got)
	}
}

func TestQuantilesAreThoseOfSorting(t *testing.T) {
	chance := rand.New(rand.NewPCG(7, 7))
	for _, n := range []int{1, 2, 3, 99, 100, 101, 10_000} {
		var h histogram
		var all []time.Duration
		for range n {
			d := time.Duration(math.Exp(chance.Float64()*20)) * time.Nanosecond
			h.add(d)
			all = append(all, d)
		}
		slices.Sort(all)
		for _, q := range []float64{0.01, 0.5, 0.9, 0.99, 1} {
			want := all[int(math.Ceil(q*float64(n)))-1]
			if got := h.quantile(q); got < want || float64(got-want) > float64(want)/64 {
				t.Errorf("quantile %v of %d values: got %v, want %v or up to a 64th more", q, n, got, want)
			}
		}
	}
}

func TestHistogramAtItsEnds(t *testing.T) {
	var empty histogram
	if got := empty.quantile(0.99); got != 0 {
		t.Errorf("quantile of nothing: got %v, want 0", got)
	}
	var h histogram
	h.add(-time.Second) // a clock that was set back
	h.add(10 * time.Hour)
	if got := h.quantile(0.5); got != 0 {
		t.Errorf("median of a negative and a huge value: got %v, want 0", got)
	}
	if got := h.quantile(1); got != 10*time.Hour {
		t.Errorf("maximum beyond the last bucket: got %v, want 10h", got)
	}
}

func TestMergingIsCountingTogether(t *testing.T) {
	var a, b, both histogram
	for i := range 1000 {
		d := time.Duration(i*i) * time.Microsecond
		both.add(d)
		if i%3 == 0 {
			a.add(d)
		} else {
			b.add(d)
		}
	}
	a.merge(&b)
	if a != both {
		t.Error("two histograms merged are not the one that counted everything")
	}
}
