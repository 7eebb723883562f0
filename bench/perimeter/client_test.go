package perimeter

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// told is a client to whom a server says this, whatever it asks.
func told(text string) *client {
	r := strings.NewReader(text)
	return &client{conn: script{Reader: r}, in: bufio.NewReaderSize(r, maxHead)}
}

type script struct {
	net.Conn
	io.Reader
}

func (s script) Read(p []byte) (int, error)  { return s.Reader.Read(p) }
func (s script) Write(p []byte) (int, error) { return len(p), nil }

func TestAnAnswerIsReadToItsEnd(t *testing.T) {
	large := strings.Repeat("x", 100_000)
	for name, c := range map[string]struct {
		text   string
		status int
		length int64
		last   bool
	}{
		"a length":                {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", 200, 3, false},
		"nothing":                 {"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 200, 0, false},
		"more than the buffer":    {"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + large, 200, 100_000, false},
		"chunks":                  {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n", 200, 13, false},
		"a refusal and a goodbye": {"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno", 503, 2, true},
	} {
		t.Run(name, func(t *testing.T) {
			conn := told(c.text)
			status, length, err := conn.get(nil)
			if err != nil || status != c.status || length != c.length || conn.last != c.last {
				t.Errorf("got %d, %d bytes, last %t (%v); want %d, %d bytes, last %t", status, length, conn.last, err, c.status, c.length, c.last)
			}
			if rest, _ := io.ReadAll(conn.in); len(rest) > 0 {
				t.Errorf("%d bytes are left", len(rest))
			}
		})
	}
}

func TestAnAnswerThatIsNoneFails(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"silence":                    {"", io.ErrUnexpectedEOF},
		"half a head":                {"HTTP/1.1 200 OK\r\nContent-Le", io.ErrUnexpectedEOF},
		"half a body":                {"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\nabc", io.ErrUnexpectedEOF},
		"half a chunk":               {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab", io.ErrUnexpectedEOF},
		"an older protocol":          {"HTTP/1.0 200 OK\r\n\r\n", errHead},
		"no status":                  {"HTTP/1.1 abc\r\n\r\n", errHead},
		"no field":                   {"HTTP/1.1 200 OK\r\nabc\r\n\r\n", errHead},
		"no length":                  {"HTTP/1.1 200 OK\r\n\r\n", errFraming},
		"a length below zero":        {"HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\n", errFraming},
		"a length beyond the limit":  {fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", int64(MaxBytes)+1), errFraming},
		"a chunk below zero":         {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-3\r\n", errFraming},
		"chunks beyond the limit":    {fmt.Sprintf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n%x\r\n", int64(MaxBytes)), errFraming},
		"a chunk without an end":     {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n", errFraming},
		"a line beyond the limit":    {"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", maxHead) + "\r\n\r\n", bufio.ErrBufferFull},
		"lines beyond the limit":     {"HTTP/1.1 200 OK\r\n" + strings.Repeat("X: y\r\n", maxHead) + "\r\n", errHead},
		"an answer that is too slow": {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n", io.ErrUnexpectedEOF},
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, err := told(c.text).get(nil); !errors.Is(err, c.want) {
				t.Errorf("got error %v, want %v", err, c.want)
			}
		})
	}
}

func TestALoadOfWrongAnswersFails(t *testing.T) {
	for _, text := range []string{"HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nno", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno"} {
		if err := told(text).expect(nil, 3); err == nil || !strings.Contains(err.Error(), "want 200 and 3") {
			t.Errorf("%q: got error %v", text, err)
		}
	}
	if _, err := told("HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\nno").begin(nil); err == nil {
		t.Error("a refusal begins an answer")
	}
}

func TestEventsAreTimedWhole(t *testing.T) {
	sent := time.Now().Add(-20 * time.Millisecond).UnixNano()
	text := fmt.Sprintf("data: %d\n\ndata: %d\n\n", sent, sent)
	for cut := range len(text) {
		var l lateness
		for _, part := range []string{text[:cut], text[cut:]} {
			if _, err := l.Write([]byte(part)); err != nil {
				t.Fatal(err)
			}
		}
		if len(l.all) != 2 || l.all[0] < 20*time.Millisecond || l.all[1] < l.all[0] || len(l.rest) > 0 {
			t.Fatalf("cut at %d: got %v and %q", cut, l.all, l.rest)
		}
	}
	if _, err := new(lateness).Write([]byte("data: soon\n\n")); err == nil {
		t.Error("an event without a time was taken")
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		status, length, err := told(string(text)).get(nil)
		if err == nil && (status < 0 || status > 999 || length < 0 || length > int64(len(text))) {
			t.Errorf("got %d and %d bytes of %d", status, length, len(text))
		}
	})
}

func FuzzEvents(f *testing.F) {
	f.Add([]byte("data: 1\n\ndata: 2\n\nda"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var l lateness
		if n, err := l.Write(text); err == nil && (n != len(text) || bytes.Contains(l.rest, []byte("\n\n"))) {
			t.Errorf("took %d bytes of %d, and left %q", n, len(text), l.rest)
		}
	})
}

func FuzzResident(f *testing.F) {
	f.Add("1000 200 3 4 0 5 0")
	f.Fuzz(func(t *testing.T, text string) {
		if got := resident(text); got < -1 {
			t.Errorf("%q: got %d", text, got)
		}
	})
}
