package origin

import (
	"bufio"
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// SYSTEM T6: who waits for a place at the application waits for SlotTimeout, or until the client goes away.
func TestWaitingForAPlaceIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool("tcp", "127.0.0.1:1", Config{MaxConns: 1})
		defer p.drop()
		if err := p.enter(t.Context()); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := p.enter(t.Context()); !errors.Is(err, errBusy) || time.Since(began) != SlotTimeout {
			t.Errorf("got %v after %v", err, time.Since(began))
		}
		if status, _ := diagnose(errBusy); status != 503 {
			t.Errorf("got %d", status)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := p.enter(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		time.AfterFunc(time.Second, p.leave)
		if err := p.enter(t.Context()); err != nil {
			t.Errorf("a place that became free: %v", err)
		}
	})
}

// SYSTEM T6: connections are kept for a time, and not more than so many.
func TestKeptConnectionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool("tcp", "127.0.0.1:1", Config{MaxConns: 2 * MaxIdleConns})
		defer p.drop()
		var closed atomic.Int32
		keep := func(d time.Duration) {
			a, b := net.Pipe()
			go func() {
				b.Read(make([]byte, 1))
				b.Close()
				closed.Add(1)
			}()
			c := &conn{Conn: a, head: -1}
			c.r = bufio.NewReader(c)
			p.put(c, d)
			synctest.Wait()
		}
		for range MaxIdleConns + 3 {
			keep(time.Hour)
		}
		if closed.Load() != 3 || len(p.idle) != MaxIdleConns {
			t.Errorf("%d are kept, %d were closed", len(p.idle), closed.Load())
		}
		time.Sleep(KeepIdle + time.Second)
		synctest.Wait()
		if closed.Load() != MaxIdleConns+3 || len(p.idle) != 0 {
			t.Errorf("after a while %d are kept, %d were closed", len(p.idle), closed.Load())
		}
		keep(time.Second)
		keep(10 * time.Second)
		time.Sleep(5 * time.Second)
		c, err := p.get(t.Context(), false)
		if err != nil || !c.reused || len(p.idle) != 1 {
			t.Fatalf("got %v, %v, and %d are kept", c, err, len(p.idle))
		}
		c.Close()
	})
}
