package signon

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestMemoryIsBoundedAndForgets(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	o := newOnce(maxRemembered)
	for i := range maxRemembered + 1 {
		if !o.first(strconv.Itoa(i), start, start.Add(time.Minute)) {
			t.Fatalf("%d was seen before", i)
		}
	}
	if len(o.until) != maxRemembered || o.order.Len() != maxRemembered {
		t.Errorf("got %d names, want %d", len(o.until), maxRemembered)
	}
	if o.first("1", start, start.Add(time.Minute)) && !o.first("0", start, start) {
		t.Error("the newest was forgotten rather than the oldest")
	}
	o.first("later", start.Add(2*time.Minute), start.Add(3*time.Minute))
	if o.order.Len() != 1 {
		t.Errorf("got %d names after all have run out, want one", o.order.Len())
	}
}

func TestVisitorsShareOneFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fetches atomic.Int32
		l := newLazy(time.Now, func(context.Context) (int, error) {
			fetches.Add(1)
			time.Sleep(time.Second)
			return 7, nil
		})
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				if got, err := l.get(t.Context(), time.Minute); got != 7 || err != nil {
					t.Errorf("got %d, %v", got, err)
				}
			})
		}
		all.Wait()
		if fetches.Load() != 1 {
			t.Errorf("fetched %d times, want once", fetches.Load())
		}
	})
}

func TestAVisitorWhoLeavesIsNotAProviderThatIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLazy(time.Now, func(ctx context.Context) (int, error) {
			select {
			case <-time.After(time.Second):
				return 7, nil
			case <-ctx.Done():
				return 0, ctx.Err()
			}
		})
		leaving, leave := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() { l.get(leaving, time.Minute) })
		synctest.Wait()
		all.Go(func() { // waits for its turn, and leaves too
			if _, err := l.get(leaving, time.Minute); !errors.Is(err, ErrUnreachable) {
				t.Errorf("got %v, want to be told", err)
			}
		})
		synctest.Wait()
		leave()
		all.Wait()
		if got, err := l.get(t.Context(), time.Minute); got != 7 || err != nil {
			t.Errorf("got %d, %v, want what was fetched", got, err)
		}
	})
}

func TestAFetchHasALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLazy(time.Now, func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, ctx.Err() })
		begun := time.Now()
		if _, err := l.get(context.Background(), time.Minute); !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != fetchTime {
			t.Errorf("got %v after %v, want the limit of %v", err, time.Since(begun), fetchTime)
		}
	})
}
