package origin

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// switchProtocols makes a WebSocket of the two connections. It returns when both directions have ended.
func (x *exchange) switchProtocols(answer *http.Response, f framing) error {
	if !f.upgrade || !strings.EqualFold(answer.Header.Get("Upgrade"), "websocket") {
		return errEarly
	}
	client, buffered, err := http.NewResponseController(x.w).Hijack()
	if err != nil {
		return fmt.Errorf("taking over the client's connection: %w", err)
	}
	defer client.Close()
	client.SetDeadline(time.Time{})
	stop := context.AfterFunc(x.r.Context(), func() { client.Close() })
	defer stop()
	if err := accept(buffered.Writer, answer.Header); err != nil {
		return nil // nobody is left to tell
	}
	d := &duplex{idle: x.o.config.Idle}
	d.touch()
	var both sync.WaitGroup
	both.Go(func() { d.copy(x.c.Conn, rest(buffered.Reader, client), client) })
	d.copy(client, x.c.r, x.c.Conn)
	both.Wait()
	return nil
}

// rest is what the client says: what net/http has read already, and then its connection by itself. Through net/http's reader the end of
// one direction would end the request's context, and so the other.
func rest(r *bufio.Reader, client net.Conn) io.Reader {
	read, err := r.Peek(r.Buffered())
	if err != nil || len(read) == 0 {
		return client
	}
	return io.MultiReader(bytes.NewReader(bytes.Clone(read)), client)
}

// accept says to the client what the application said.
func accept(w *bufio.Writer, h http.Header) error {
	out := http.Header{}
	copyHeader(out, h)
	out.Del("Content-Length")
	fmt.Fprintf(w, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n")
	out.Write(w)
	io.WriteString(w, "\r\n")
	return w.Flush()
}

// A duplex is two directions with one limit on silence: one of them alone may be silent for as long as the other is not.
type duplex struct {
	idle time.Duration
	last atomic.Int64
}

func (d *duplex) touch() { d.last.Store(time.Now().UnixNano()) }

func (d *duplex) quiet() bool { return time.Since(time.Unix(0, d.last.Load())) >= d.idle }

// copy passes on what from says, until it ends; then to is told that nothing more comes. A failure ends both directions.
func (d *duplex) copy(to net.Conn, from io.Reader, conn net.Conn) {
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	for {
		conn.SetReadDeadline(time.Now().Add(d.idle))
		n, err := from.Read(*buffer)
		if n > 0 {
			d.touch()
			to.SetWriteDeadline(time.Now().Add(d.idle))
			if _, err := to.Write((*buffer)[:n]); err != nil {
				break
			}
			d.touch()
		}
		if errors.Is(err, os.ErrDeadlineExceeded) && !d.quiet() {
			continue
		}
		if err == io.EOF {
			if half, ok := to.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
				return
			}
		}
		if err != nil {
			break
		}
	}
	to.Close()
	conn.Close()
}
