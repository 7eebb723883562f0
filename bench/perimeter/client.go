package perimeter

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// grace is how long a connection may stand still. Then the measurement fails.
const grace = 20 * time.Second

// Limits of an answer.
const (
	maxHead = 16 << 10
	piece   = 64 << 10 // that is read or written at once
)

var (
	errHead    = errors.New("the head of the answer is not HTTP/1.1 as this client understands it")
	errFraming = errors.New("the answer's body is not framed as this client understands it")
)

// A client is one connection of HTTP/1.1 in TLS 1.3, kept open. It understands what the servers of a run send and allocates
// nothing for a small answer: what it costs takes processors from whom it measures.
type client struct {
	conn net.Conn
	in   *bufio.Reader
	last bool   // the server has said that it hangs up
	buf  []byte // for bodies
}

// dial connects. The buffer of the kernel is small for those who read slowly, so that it is the server's side where bytes pile up.
func dial(ctx context.Context, address string, secure *tls.Config, kernel int) (*client, error) {
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	raw, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	if kernel > 0 {
		raw.(*net.TCPConn).SetReadBuffer(kernel) // a kernel that knows better may
	}
	conn := tls.Client(raw, secure)
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, fmt.Errorf("connecting: %w", err)
	}
	return &client{conn: conn, in: bufio.NewReaderSize(conn, maxHead)}, nil
}

func (c *client) close() { c.conn.Close() }

// ask sends a whole request and reads the head of its answer; length is -1 for chunks.
func (c *client) ask(request []byte) (status int, length int64, err error) {
	if _, err := c.conn.Write(request); err != nil {
		return 0, 0, fmt.Errorf("sending a request: %w", err)
	}
	return c.head()
}

// begin asks for something that takes its time, and returns its length as ask does.
func (c *client) begin(request []byte) (length int64, err error) {
	status, length, err := c.ask(request)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("the answer has status %d", status)
	}
	return length, err
}

// get asks for something small and throws it away.
func (c *client) get(request []byte) (status int, length int64, err error) {
	if status, length, err = c.ask(request); err == nil {
		length, err = c.body(length)
	}
	return status, length, err
}

// head reads up to the empty line.
func (c *client) head() (status int, length int64, err error) {
	line, err := c.line()
	if err != nil {
		return 0, 0, err
	}
	rest, ok := bytes.CutPrefix(line, []byte("HTTP/1.1 "))
	if !ok || len(rest) < 4 {
		return 0, 0, errHead
	}
	if status, err = strconv.Atoi(string(rest[:3])); err != nil {
		return 0, 0, errHead
	}
	length = unstated
	for read := 0; read < maxHead; read += len(line) {
		if line, err = c.line(); err != nil || len(line) == 0 {
			return status, length, err
		}
		if err := c.field(line, &length); err != nil {
			return status, 0, err
		}
	}
	return status, 0, errHead
}

const (
	chunked  = -1
	unstated = -2
)

func (c *client) field(line []byte, length *int64) (err error) {
	name, value, ok := bytes.Cut(line, []byte(":"))
	value = bytes.TrimSpace(value)
	switch {
	case !ok:
		return errHead
	case bytes.EqualFold(name, []byte("Content-Length")):
		*length, err = strconv.ParseInt(string(value), 10, 64)
		if err != nil || *length < 0 || *length > MaxBytes {
			return errFraming
		}
	case bytes.EqualFold(name, []byte("Transfer-Encoding")):
		*length = chunked
	case bytes.EqualFold(name, []byte("Connection")):
		c.last = bytes.EqualFold(value, []byte("close"))
	}
	return nil
}

func (c *client) line() ([]byte, error) {
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return nil, fmt.Errorf("reading an answer: %w", noEOF(err))
	}
	return bytes.TrimRight(line, "\r\n"), nil
}

func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// body throws a body away and says how long it was.
func (c *client) body(length int64) (int64, error) {
	switch length {
	case unstated:
		return 0, errFraming
	case chunked:
		return c.chunks(io.Discard)
	}
	return length, c.discard(length)
}

// text hands a body on.
func (c *client) text(length int64, to io.Writer) (err error) {
	switch length {
	case unstated:
		return errFraming
	case chunked:
		_, err = c.chunks(to)
	default:
		_, err = io.CopyN(to, c.in, length)
	}
	return err
}

// discard reads in pieces, but for what has arrived together with the head.
func (c *client) discard(left int64) error {
	if n := min(left, int64(c.in.Buffered())); n > 0 {
		c.in.Discard(int(n)) // it is there
		left -= n
	}
	for left > 0 {
		if c.buf == nil {
			c.buf = make([]byte, piece)
		}
		n, err := c.conn.Read(c.buf[:min(left, piece)])
		if left -= int64(n); err != nil {
			return fmt.Errorf("reading an answer: %w", noEOF(err))
		}
	}
	return nil
}

// chunks hands on a body in chunks (RFC 9112 section 7.1), without extensions or trailers.
func (c *client) chunks(to io.Writer) (all int64, err error) {
	for {
		line, err := c.line()
		if err != nil {
			return all, err
		}
		size, err := strconv.ParseInt(string(line), 16, 64)
		if err != nil || size < 0 || size > MaxBytes-all {
			return all, errFraming
		}
		if _, err := io.CopyN(to, c.in, size); err != nil {
			return all, fmt.Errorf("reading an answer: %w", noEOF(err))
		}
		if end, err := c.line(); err != nil || len(end) > 0 {
			return all, errors.Join(errFraming, err)
		}
		if all += size; size == 0 {
			return all, nil
		}
	}
}

// A request, ready to be sent.
func (r *run) request(method, path string, length int64) []byte {
	b := fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: redoubt-bench\r\n", method, path, host)
	if method == "POST" {
		b = fmt.Appendf(b, "Content-Type: application/octet-stream\r\nContent-Length: %d\r\n", length)
	}
	return fmt.Appendf(b, "%s: %s\r\n\r\n", r.credential.field, r.credential.value)
}
