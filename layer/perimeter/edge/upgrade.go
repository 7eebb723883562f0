package edge

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/perimeter/link"
)

// webSocket is the one protocol that a connection may change to (RFC 6455). Any other, h2c before all, would be a way to say to the
// application what the edge has not read.
const webSocket = "websocket"

// checkUpgrade lets an opening handshake pass only if it is one (RFC 6455 section 4.2.1). HTTP/2 has its own way, extended CONNECT (RFC
// 8441), which net/http does not offer to servers: browsers then use HTTP/1.1.
func checkUpgrade(r *http.Request) *denial {
	if len(r.Header["Upgrade"]) != 1 || !strings.EqualFold(r.Header.Get("Upgrade"), webSocket) || !r.ProtoAtLeast(1, 1) || r.ProtoMajor != 1 {
		return deny(http.StatusNotImplemented, layer.Unsupported, "upgrade", "This connection cannot change its protocol to that one.")
	}
	key, err := base64.StdEncoding.DecodeString(r.Header.Get("Sec-WebSocket-Key"))
	if r.Method != http.MethodGet || r.ContentLength != 0 || !announces(r.Header["Connection"], "upgrade") ||
		len(r.Header["Sec-Websocket-Key"]) != 1 || err != nil || len(key) != 16 {
		return malformed("upgrade", "The request is no opening handshake of a WebSocket.")
	}
	if v := r.Header["Sec-Websocket-Version"]; len(v) != 1 || v[0] != "13" {
		return deny(http.StatusUpgradeRequired, layer.Unsupported, "upgrade", "Only version 13 of the WebSocket protocol is served.")
	}
	return nil
}

// accepts reports whether an answer of status 101 really accepts this handshake. Without the hash of the client's key it does not come
// from a WebSocket server, and the client must not take what follows for frames.
func accepts(r *http.Request, resp *link.Response) bool {
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	got := resp.Header["Sec-Websocket-Accept"]
	return len(got) == 1 && got[0] == base64.StdEncoding.EncodeToString(sum[:])
}

var buffers = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}

// A duplex is what the body of an answer of status 101 is.
type duplex interface {
	io.ReadWriteCloser
	CloseWrite() error
}

// upgrade hands the client's connection over to the application (SYSTEM P2). It returns when both sides have ended, when neither has
// said anything for long, or when the caller may no longer pass.
func (e *Edge) upgrade(r *http.Request, v *visit, resp *link.Response) *denial {
	inner, ok := resp.Body.(duplex)
	if !ok || v.answer.guard == nil || !accepts(r, resp) {
		return badAnswer()
	}
	outer, buffered, err := http.NewResponseController(v.answer.ResponseWriter).Hijack()
	if err != nil {
		d := badAnswer()
		d.Cause = fmt.Errorf("taking over connection: %w", err)
		return d
	}
	defer outer.Close()
	v.answer.status = http.StatusSwitchingProtocols
	v.endless.Store(true)
	if buffered.Reader.Buffered() > 0 { // guard has let nothing through after the head
		v.broken = "bytes before the answer"
		return nil
	}
	if err := switchProtocols(outer, v, resp); err != nil {
		v.broken = "client gone"
		return nil
	}
	t := &tunnel{inner: inner, outer: v.answer.guard, silence: e.times.silence, visit: v}
	v.answer.guard.open()
	v.onClose(t.close)
	t.run()
	return nil
}

// switchProtocols writes the head of the answer: net/http has let go of the connection.
func switchProtocols(to net.Conn, v *visit, resp *link.Response) error {
	h := v.answer.Header()
	copyAnswer(h, resp.Header)
	h.Set("Connection", "Upgrade")
	h.Set("Upgrade", webSocket)
	h.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	b := bufio.NewWriter(to)
	io.WriteString(b, "HTTP/1.1 101 Switching Protocols\r\n")
	h.Write(b) // replaces line ends in values
	io.WriteString(b, "\r\n")
	return b.Flush()
}

// A tunnel carries frames both ways.
type tunnel struct {
	inner   duplex
	outer   *guard
	silence time.Duration
	visit   *visit

	clock  *time.Timer
	heard  atomic.Int64 // when either side last said something
	writes sync.Mutex   // to outer
	frames frames
	left   bool // a going-away was sent
}

func (t *tunnel) run() {
	t.heard.Store(time.Now().UnixNano())
	t.clock = time.AfterFunc(t.silence, t.listen)
	defer t.clock.Stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		t.copy(innerEnd{t.inner}, t.outer, func(n int) { t.visit.tunnelled.Add(int64(n)) })
	}()
	t.copy(outerEnd{t}, t.inner, func(int) {})
	<-done
}

// listen ends a tunnel in which it has become silent.
func (t *tunnel) listen() {
	if left := t.silence - time.Since(time.Unix(0, t.heard.Load())); left > 0 {
		t.clock.Reset(left)
		return
	}
	t.hangUp()
}

func (t *tunnel) hangUp() {
	t.inner.Close()
	t.outer.Close()
}

// An end is where a direction of the tunnel leads.
type end interface {
	io.Writer
	CloseWrite() error
}

type innerEnd struct{ duplex }

type outerEnd struct{ *tunnel }

func (o outerEnd) Write(p []byte) (int, error) { return len(p), o.write(p) }
func (o outerEnd) CloseWrite() error           { return o.outer.CloseWrite() }

// copy carries one direction until it ends. Its end is passed on, and the other direction may still go on; its failure ends both.
func (t *tunnel) copy(to end, from io.Reader, count func(n int)) {
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	for {
		n, err := from.Read(*buf)
		if n > 0 {
			t.heard.Store(time.Now().UnixNano())
			count(n)
			if _, werr := to.Write((*buf)[:n]); werr != nil {
				err = werr
			}
		}
		if err == io.EOF {
			err = to.CloseWrite()
			if err == nil {
				return
			}
		}
		if err != nil {
			t.hangUp()
			return
		}
	}
}

func (t *tunnel) write(p []byte) error {
	t.writes.Lock()
	defer t.writes.Unlock()
	if t.left {
		return errLeaving
	}
	t.frames.follow(p)
	n, err := t.outer.Write(p)
	t.visit.answer.bytes += int64(n)
	return err
}

// close ends the tunnel from outside. If the edge is leaving, the client is told so in its own protocol, between two frames (RFC 6455
// section 7.4.1, 1001), and connects again elsewhere; in the middle of a frame nothing can be said.
func (t *tunnel) close(why error) {
	go func() { // the caller holds a lock, and a client may be slow
		if why == errLeaving {
			t.farewell()
		}
		t.inner.Close()
		t.outer.Close()
	}()
}

var goingAway = []byte{0x88, 0x02, 0x03, 0xe9}

func (t *tunnel) farewell() {
	t.writes.Lock()
	defer t.writes.Unlock()
	if t.frames.between() {
		t.left = true
		t.outer.Write(goingAway) // steadyConn bounds it
		t.outer.CloseWrite()
	}
}

// frames follows a server's WebSocket frames (RFC 6455 section 5.2) to know where one ends. A server that does not keep to the protocol
// is never between two.
type frames struct {
	head []byte
	left uint64
	lost bool
}

func (f *frames) between() bool { return !f.lost && f.left == 0 && len(f.head) == 0 }

func (f *frames) follow(p []byte) {
	for len(p) > 0 && !f.lost {
		if f.left > 0 {
			n := min(f.left, uint64(len(p)))
			f.left -= n
			p = p[n:]
			continue
		}
		f.head = append(f.head, p[0])
		p = p[1:]
		f.begin()
	}
}

// begin looks at the head of a frame, which has 2, 4 or 10 bytes.
func (f *frames) begin() {
	if len(f.head) < 2 {
		return
	}
	size, more := uint64(f.head[1]&0x7f), 0
	f.lost = f.head[1]&0x80 != 0 // masked: no server's
	switch size {
	case 126:
		more = 2
	case 127:
		more = 8
	}
	if len(f.head) < 2+more {
		return
	}
	if more > 0 {
		size = 0
		for _, b := range f.head[2:] {
			size = size<<8 | uint64(b)
		}
	}
	f.left, f.head = size, f.head[:0]
}
