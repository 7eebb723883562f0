package bench

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// Limits of an answer. Ours stay far below; a server that meets one is broken, and the measurement fails.
const (
	maxLine = 16 << 10 // the size of the reader's buffer
	maxHead = 64 << 10
	maxBody = 16 << 20
)

var (
	errHead    = errors.New("the head of the answer is not HTTP/1.1")
	errTooLong = errors.New("the answer is too long")
	errFraming = errors.New("the answer's length is not stated as this client understands it")
	errChunk   = errors.New("a chunk of the answer is broken")
)

// readAnswer reads one answer of HTTP/1.1 (RFC 9112) and writes its body to sink. It understands what net/http's server sends
// on a connection that stays open, refuses everything else, and allocates nothing, so that a measurement is of the server.
func readAnswer(r *bufio.Reader, sink io.Writer) (status, length int, err error) {
	line, err := readLine(r)
	if err != nil {
		return 0, 0, err
	}
	if status, err = statusOf(line); err != nil {
		return 0, 0, err
	}
	size, err := readHead(r)
	switch {
	case err != nil:
		return status, 0, err
	case status/100 == 1:
		return status, 0, errFraming // nobody asked for one
	case status == 204 || status == 304:
		return status, 0, nil // neither has a body, whatever the head says (RFC 9112 section 6.3)
	case size == chunked:
		length, err = readChunks(r, sink)
	case size == unstated:
		return status, 0, errFraming // up to the end of the connection: none that stays open does that
	default:
		length, err = size, copyBody(r, sink, size)
	}
	return status, length, err
}

// readLine returns a line without its end, until the next read. Only CRLF ends one: a lone LF would be read otherwise elsewhere.
func readLine(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return nil, errTooLong
	}
	if err != nil {
		return nil, noEOF(err)
	}
	if len(line) < 2 || line[len(line)-2] != '\r' {
		return nil, errHead
	}
	return line[:len(line)-2], nil
}

func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

func statusOf(line []byte) (int, error) {
	rest, ok := bytes.CutPrefix(line, []byte("HTTP/1.1 "))
	if !ok || len(rest) < 4 || rest[3] != ' ' {
		return 0, errHead
	}
	n := number(rest[:3], 10)
	if n < 100 {
		return 0, errHead
	}
	return n, nil
}

// What readHead answers besides a length.
const (
	unstated = -1
	chunked  = -2
)

// readHead reads header fields up to the empty line and returns how the body's length is stated.
func readHead(r *bufio.Reader) (size int, err error) {
	size = unstated
	for read := 0; ; {
		line, err := readLine(r)
		if err != nil {
			return 0, err
		}
		if len(line) == 0 {
			return size, nil
		}
		if read += len(line); read > maxHead {
			return 0, errTooLong
		}
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok || len(name) == 0 || bytes.ContainsAny(name, " \t") {
			return 0, errHead
		}
		stated, err := framing(name, bytes.Trim(value, " \t"))
		if err != nil || stated != unstated && size != unstated { // twice is an attack, or a mistake (RFC 9112 section 6.3)
			return 0, errFraming
		}
		if stated != unstated {
			size = stated
		}
	}
}

// framing returns what one field says of the body's length.
func framing(name, value []byte) (int, error) {
	switch {
	case bytes.EqualFold(name, []byte("Content-Length")):
		n := number(value, 10)
		if n < 0 || n > maxBody {
			return 0, errFraming
		}
		return n, nil
	case bytes.EqualFold(name, []byte("Transfer-Encoding")):
		if !bytes.EqualFold(value, []byte("chunked")) {
			return 0, errFraming
		}
		return chunked, nil
	case bytes.EqualFold(name, []byte("Connection")) && !bytes.EqualFold(value, []byte("keep-alive")):
		return 0, errFraming // the server is about to hang up
	}
	return unstated, nil
}

// number reads digits of the base, at most eight of them, and returns -1 for anything else.
func number(text []byte, base int) int {
	if len(text) == 0 || len(text) > 8 {
		return -1
	}
	n := 0
	for _, c := range text {
		d := digit(c)
		if d >= base {
			return -1
		}
		n = n*base + d
	}
	return n
}

func digit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return 99
}

// readChunks reads a body in chunks (RFC 9112 section 7.1), without extensions or trailers.
func readChunks(r *bufio.Reader, sink io.Writer) (length int, err error) {
	for {
		line, err := readLine(r)
		if err != nil {
			return length, err
		}
		size := number(line, 16)
		if size < 0 {
			return length, errChunk
		}
		if length += size; length > maxBody {
			return length, errTooLong
		}
		if err := copyBody(r, sink, size); err != nil {
			return length, err
		}
		if end, err := readLine(r); err != nil || len(end) > 0 {
			return length, errors.Join(errChunk, err)
		}
		if size == 0 {
			return length, nil
		}
	}
}

// copyBody hands on size bytes out of the reader's own buffer.
func copyBody(r *bufio.Reader, sink io.Writer, size int) error {
	for size > 0 {
		if _, err := r.Peek(1); err != nil {
			return noEOF(err)
		}
		part, err := r.Peek(min(size, r.Buffered()))
		if err != nil {
			return noEOF(err)
		}
		if _, err := sink.Write(part); err != nil {
			return fmt.Errorf("taking an answer: %w", err)
		}
		r.Discard(len(part)) // it was peeked at, so it is there
		size -= len(part)
	}
	return nil
}

// A request is one that is ready to be sent, many times, and the answer that it is to have.
type request struct {
	bytes  []byte
	status int // of the right answer
	length int // of its body
	slack  int // by which the length may differ: a change's answer tells the time, without the zeros at its end
}

// get writes a GET request for a connection that stays open (RFC 9112 section 3.2).
func get(host, target string, fields ...string) []byte { return ask("GET", host, target, "", fields) }

// ask writes any request. A body is JSON.
func ask(method, host, target, body string, fields []string) []byte {
	b := []byte(method + " " + target + " HTTP/1.1\r\nHost: " + host + "\r\nAccept: application/json\r\nUser-Agent: redoubt-bench\r\n")
	if body != "" {
		b = append(b, "Content-Type: application/json\r\nContent-Length: "+strconv.Itoa(len(body))+"\r\n"...)
	}
	for i := 0; i+1 < len(fields); i += 2 {
		b = append(b, fields[i]+": "+fields[i+1]+"\r\n"...)
	}
	return append(b, "\r\n"+body...)
}

// takes reports whether an answer is the right one.
func (r request) takes(status, length int) bool {
	return status == r.status && length >= r.length-r.slack && length <= r.length+r.slack
}

// wrong says that an answer is not the one that was expected.
func wrong(status, length int, r request) error {
	return fmt.Errorf("the answer has status %d and %d bytes, want %d and %d", status, length, r.status, r.length)
}
