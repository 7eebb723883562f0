package command_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// recovery is how long anything may take to be itself again once the cause has ended.
const recovery = 2 * time.Second

// writers write, each thing under a name of its own, and note what was acknowledged. They never write anything twice.
type writers struct {
	w            *edgeWorld
	stop         chan struct{}
	done         sync.WaitGroup
	next         atomic.Int64
	mu           sync.Mutex
	acknowledged []string
	failed       int
}

func (w *edgeWorld) keepWriting() *writers {
	ws := &writers{w: w, stop: make(chan struct{})}
	for range 8 {
		ws.done.Go(func() {
			for {
				select {
				case <-ws.stop:
					return
				default:
				}
				id := fmt.Sprintf("w%d", ws.next.Add(1))
				status, _ := w.ask("POST", "/write/"+id, nil)
				ws.mu.Lock()
				if status == http.StatusCreated {
					ws.acknowledged = append(ws.acknowledged, id)
				} else {
					ws.failed++
				}
				ws.mu.Unlock()
				time.Sleep(2 * time.Millisecond)
			}
		})
	}
	return ws
}

// end checks what the application has kept: everything that was acknowledged, and nothing twice.
func (ws *writers) end() {
	ws.w.Helper()
	close(ws.stop)
	ws.done.Wait()
	kept, err := os.ReadFile(ws.w.written)
	if err != nil {
		ws.w.Fatal(err)
	}
	times := map[string]int{}
	for _, id := range strings.Fields(string(kept)) {
		if times[id]++; times[id] == 2 {
			ws.w.Errorf("%s was written twice", id)
		}
	}
	for _, id := range ws.acknowledged {
		if times[id] == 0 {
			ws.w.Errorf("%s was acknowledged and is lost", id)
		}
	}
	if len(ws.acknowledged) == 0 {
		ws.w.Error("nothing was ever written")
	}
	ws.w.Logf("%d writes acknowledged, %d not, %d kept", len(ws.acknowledged), ws.failed, len(times))
}

// SYSTEM P6: whatever is killed comes back by itself, and no write is lost or done twice.
func TestWhatIsKilledComesBack(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]func(w *edgeWorld){
		"the edge":        func(w *edgeWorld) { w.edge.kill(); time.Sleep(time.Second); w.startEdge() },
		"the connector":   func(w *edgeWorld) { w.connector.kill(); time.Sleep(time.Second); w.startConnector() },
		"the application": func(w *edgeWorld) { w.inside.kill(); time.Sleep(time.Second); w.startOrigin() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newEdgeWorld(t, everybody, "")
			w.healthy()
			writing := w.keepWriting()
			time.Sleep(500 * time.Millisecond)
			fault(w)
			if took := w.healthy(); took > recovery {
				t.Errorf("it took %v after the restart", took)
			}
			time.Sleep(500 * time.Millisecond)
			writing.end()
		})
	}
}

// A cut is a network between a connector and its edge, which can lose everything without a word.
type cut struct {
	net.Listener
	lost atomic.Bool
	to   string
}

func newCut(t *testing.T, to string) *cut {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cut{Listener: l, to: to}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			go c.carry(from)
		}
	}()
	return c
}

func (c *cut) carry(from net.Conn) {
	defer from.Close()
	to, err := net.Dial("tcp", c.to)
	if err != nil {
		return
	}
	defer to.Close()
	go func() { c.copy(to, from); to.Close() }()
	c.copy(from, to)
}

// copy copies, and while the network is cut holds back what comes, as TCP does that repeats what is lost.
func (c *cut) copy(to io.Writer, from io.Reader) {
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		for c.lost.Load() {
			time.Sleep(10 * time.Millisecond)
		}
		if n > 0 {
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func TestACutNetworkHealsByItself(t *testing.T) {
	t.Parallel()
	for name, length := range map[string]time.Duration{"for a moment": 3 * time.Second, "until the link is given up": 12 * time.Second} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newEdgeWorld(t, everybody, "")
			w.healthy()
			w.connector.kill()
			network := newCut(t, w.public)
			w.startConnector("--edge", network.Addr().String())
			w.healthy()
			writing := w.keepWriting()
			time.Sleep(500 * time.Millisecond)
			network.lost.Store(true)
			time.Sleep(length)
			network.lost.Store(false)
			if took := w.healthy(); took > recovery {
				t.Errorf("it took %v after the network was whole again", took)
			}
			time.Sleep(500 * time.Millisecond)
			writing.end()
		})
	}
}
