package edge_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/edge"
)

// The crowd is a process of its own, because one has not enough descriptors for both ends. It opens connections from many addresses of
// this machine, finishes their handshakes, and says nothing; for each that is closed it opens another.
func crowdProcess() {
	raiseLimit()
	total, _ := strconv.Atoi(os.Getenv("EDGE_TEST_CROWD_SIZE"))
	var opened atomic.Int64
	var workers sync.WaitGroup
	for i := range 32 {
		workers.Go(func() {
			source := &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(i+1))}
			config := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2", "http/1.1"}, MinVersion: tls.VersionTLS13}
			d := net.Dialer{LocalAddr: source, Timeout: 10 * time.Second}
			for range total / 32 {
				conn, err := d.Dial("tcp", os.Getenv("EDGE_TEST_CROWD"))
				if err != nil {
					continue
				}
				c := tls.Client(conn, config)
				if c.Handshake() == nil {
					opened.Add(1)
				}
				go func() { io.Copy(io.Discard, c); c.Close() }() // until the edge closes it
			}
		})
	}
	workers.Wait()
	fmt.Println(opened.Load())
	io.Copy(io.Discard, os.Stdin) // until the test has looked
	os.Exit(0)
}

func raiseLimit() uint64 {
	var limit syscall.Rlimit
	syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit)
	limit.Cur = limit.Max
	syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
	return limit.Cur
}

// memory is what the Go runtime has in use, goroutines' stacks included, after a collection.
func memory() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// SYSTEM P6 T6: however many connections are opened and then say nothing, memory stays within what MaxConns allows, and whoever has
// something to say is served at once. The crowd is four times as large as there are places. Measured with 100,000 connections at 8,000
// places: memory grew by 204 MB, 25.5 kB for each place; with 20,000 at 1,000 places by 26.5 MB. More of them cost time alone.
func TestIdleConnectionsAreBounded(t *testing.T) {
	const crowd, places = 4_000, 1_000
	if raiseLimit() < places+1000 {
		t.Fatalf("this test needs %d descriptors: run ulimit -n %d", places+1000, places+1000)
	}
	w := newWorld(t, edge.Times{}, func(c *edge.Config) { c.MaxConns = places })
	w.connect(hello)
	honest := w.client(true)
	w.get(honest, "/")
	before := memory()

	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "EDGE_TEST_CROWD="+w.addr, fmt.Sprint("EDGE_TEST_CROWD_SIZE=", crowd))
	cmd.Stderr = os.Stderr
	in, _ := cmd.StdinPipe()
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	told := make(chan string, 1)
	go func() {
		b := make([]byte, 32)
		n, _ := out.Read(b)
		told <- strings.TrimSpace(string(b[:n]))
	}()

	var slowest time.Duration
	opened := ""
	for began := time.Now(); opened == "" && time.Since(began) < 2*time.Minute; {
		asked := time.Now()
		if status, _ := w.get(w.fresh(honest), "/"); status != 200 {
			t.Errorf("an honest client got %d", status)
		}
		slowest = max(slowest, time.Since(asked))
		select {
		case opened = <-told:
		case <-time.After(100 * time.Millisecond):
		}
	}
	greeting, public, idle := w.edge.Places()
	grown := memory() - before
	t.Logf("%s of %d connections opened; %d public (%d idle), %d greeting; memory grew by %.1f MB, %.1f kB for each; the slowest honest request took %v",
		opened, crowd, public, idle, greeting, float64(grown)/1e6, float64(grown)/1e3/float64(max(public, 1)), slowest)
	if n, _ := strconv.Atoi(opened); n < crowd/2 {
		t.Errorf("only %s connections were opened", opened)
	}
	if public > places || grown > places*(64<<10) {
		t.Errorf("%d connections take %d bytes", public, grown)
	}
	if slowest > 5*time.Second {
		t.Errorf("an honest request took %v", slowest)
	}
	in.Close()
	cmd.Wait()
}

// fresh is c without the connections that it has kept.
func (w *world) fresh(c *http.Client) *http.Client {
	c.CloseIdleConnections()
	return c
}
