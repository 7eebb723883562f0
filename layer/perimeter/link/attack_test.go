package link_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/link"
)

var key = link.Key{1, 2, 3}

// A peer is one end of a link in the hands of somebody who writes what they like.
type peer struct {
	t    testing.TB
	conn net.Conn
	got  chan frame // what the other end says, but for its pings
}

type frame struct {
	kind    byte
	stream  uint32
	payload []byte
}

func newPeer(t testing.TB, conn net.Conn) *peer {
	p := &peer{t: t, conn: conn, got: make(chan frame, 100_000)}
	t.Cleanup(func() { conn.Close() })
	return p
}

func (p *peer) listen() {
	defer close(p.got)
	for {
		b := make([]byte, link.HeaderSize)
		if _, err := io.ReadFull(p.conn, b); err != nil {
			return
		}
		f := frame{b[0], binary.BigEndian.Uint32(b[1:]), make([]byte, binary.BigEndian.Uint32(b[5:]))}
		if _, err := io.ReadFull(p.conn, f.payload); err != nil {
			return
		}
		if f.kind != link.Ping {
			p.got <- f
		}
	}
}

func (p *peer) send(frames ...[]byte) { p.conn.Write(slices.Concat(frames...)) }

// next is the next frame of that kind.
func (p *peer) next(kind byte) (frame, bool) {
	for {
		select {
		case f, ok := <-p.got:
			if !ok || f.kind == kind {
				return f, ok
			}
		case <-time.After(5 * time.Second):
			p.t.Error("nothing came")
			return frame{}, false
		}
	}
}

func answering(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/reads":
		io.Copy(io.Discard, r.Body)
	case "/waits":
		<-r.Context().Done()
	case "/large":
		w.Write(make([]byte, 1<<20))
	}
	io.WriteString(w, "ok")
}

func asked(stream uint32, method, target string, length int64, ends bool) []byte {
	return link.Sealed(key, "request", stream, 0, "", link.RequestRecord(method, target, length, ends, nil))
}

func question(stream uint32) []byte { return asked(stream, "GET", "/", 0, true) }

func repeat(n int, make func(i int) []byte) []byte {
	var b []byte
	for i := range n {
		b = append(b, make(i)...)
	}
	return b
}

func flipped(b []byte, at int) []byte {
	b = bytes.Clone(b)
	b[at] ^= 1
	return b
}

// record is a request's record with its lines replaced.
func record(lines []byte) []byte {
	b := link.RequestRecord("GET", "/", 0, true, nil)
	return append(b[:len(b)-2], lines...)
}

func sealedRecord(r []byte) []byte { return link.Sealed(key, "request", 2, 0, "", r) }

// What an edge in wrong hands may try, after one honest request on stream 1, and the word by which the application ends the link.
var attacksOnTheApplication = []struct {
	name  string
	bytes []byte
	want  string
}{
	{"a frame of type 0", link.Frame(0, 2, nil), "unknown type 0"},
	{"a frame of a type that there is not", link.Frame(11, 2, nil), "unknown type 11"},
	{"more data than a frame holds", link.Frame(link.Data, 1, make([]byte, link.MaxFrame+1)), "type 2 with 65537 bytes"},
	{"data of no bytes", link.Frame(link.Data, 1, nil), "type 2 with 0 bytes"},
	{"a head that is too large", link.Frame(link.Head, 2, make([]byte, link.SealSize+link.MaxHead+1)), "type 1 with"},
	{"a head without a record", link.Frame(link.Head, 2, make([]byte, link.SealSize)), "type 1 with 34 bytes"},
	{"a length of four gigabytes", []byte{link.Data, 0, 0, 0, 1, 255, 255, 255, 255}, "type 2 with"},
	{"a head for the link", question(0), "type 1 for stream 0"},
	{"a ping for a stream", link.Frame(link.Ping, 1, make([]byte, 8)), "type 6 for stream 1"},
	{"a head with a bit changed", flipped(question(2), 60), "not authentic"},
	{"a head with a bit of its seal changed", flipped(question(2), 12), "not authentic"},
	{"a head sealed for another stream", link.Frame(link.Head, 3, question(2)[link.HeaderSize:]), "not authentic"},
	{"a head sealed for the other direction", link.Sealed(key, "answer", 2, 0, "", link.RequestRecord("GET", "/", 0, true, nil)), "not authentic"},
	{"a head sealed with another link's key", link.Sealed(link.Key{9}, "request", 2, 0, "", link.RequestRecord("GET", "/", 0, true, nil)), "not authentic"},
	{"a head sealed for somebody else's token", append(link.TokenFrame(1, "bob"), link.Sealed(key, "request", 2, 1, "alice", link.RequestRecord("GET", "/", 0, true, nil))...), "not authentic"},
	{"a head that drops its token", append(link.TokenFrame(1, "bob"), link.Sealed(key, "request", 2, 0, "bob", link.RequestRecord("GET", "/", 0, true, nil))...), "not authentic"},
	{"a head with a token that was not sent", link.Sealed(key, "request", 2, 1, "x", link.RequestRecord("GET", "/", 0, true, nil)), "token that was not sent"},
	{"a head with a token that was forgotten", slices.Concat(link.TokenFrame(1, "x"), link.TokenFrame(1, ""), link.Sealed(key, "request", 2, 1, "x", link.RequestRecord("GET", "/", 0, true, nil))), "token that was not sent"},
	{"a stream used again", question(1), "do not grow"},
	{"a stream below the last", append(question(7), question(5)...), "do not grow"},
	{"a stream beyond the last possible", question(link.MaxStream + 1), "do not grow"},
	{"data for a stream that was not opened", link.Frame(link.Data, 2, []byte("x")), "not opened"},
	{"an end for a stream that was not opened", link.Frame(link.End, 9, nil), "not opened"},
	{"a reset for a stream that was not opened", link.Frame(link.Reset, 9, []byte{link.Cancel}), "not opened"},
	{"a grant for a stream that was not opened", link.Frame(link.Window, 9, link.Number(link.MinGrant)), "not opened"},
	{"data after the end", slices.Concat(asked(2, "POST", "/waits", -1, false), link.Frame(link.End, 2, nil), link.Frame(link.Data, 2, []byte("x"))), "beyond the window"},
	{"data for a request without a body", append(asked(2, "GET", "/waits", 0, true), link.Frame(link.Data, 2, []byte("x"))...), "longer than it said"},
	{"data beyond the declared length", append(asked(2, "POST", "/waits", 3, false), link.Frame(link.Data, 2, []byte("long"))...), "longer than it said"},
	{"data beyond the window", append(asked(2, "POST", "/waits", -1, false), repeat(3, func(int) []byte { return link.Frame(link.Data, 2, make([]byte, 30<<10)) })...), "beyond the window"},
	{"data without end for a stream that was refused", append(sealedRecord(append([]byte{1, 0}, link.RequestRecord("GET", "//\x7f", -1, false, nil)[2:]...)), repeat(3, func(int) []byte { return link.Frame(link.Data, 2, make([]byte, 30<<10)) })...), "stream that is over"},
	{"a second end", append(asked(2, "POST", "/waits", -1, false), repeat(2, func(int) []byte { return link.Frame(link.End, 2, nil) })...), "second end"},
	{"a grant of nothing", append(asked(2, "GET", "/waits", 0, true), link.Frame(link.Window, 2, link.Number(0))...), "grant of 0"},
	{"a grant of crumbs", append(asked(2, "GET", "/waits", 0, true), link.Frame(link.Window, 2, link.Number(link.MinGrant-1))...), "grant of"},
	{"a grant of too much", append(asked(2, "GET", "/waits", 0, true), link.Frame(link.Window, 2, link.Number(link.MaxWindow))...), "grant of"},
	{"a grant that overflows", append(asked(2, "GET", "/waits", 0, true), link.Frame(link.Window, 2, link.Number(1<<32-1))...), "grant of"},
	{"a reset without a reason", append(asked(2, "GET", "/waits", 0, true), link.Frame(link.Reset, 2, []byte{0})...), "reset with code 0"},
	{"a reset for a reason that there is not", append(asked(2, "GET", "/waits", 0, true), link.Frame(link.Reset, 2, []byte{link.Drained})...), "reset with code"},
	{"an answer to no ping", link.Frame(link.Pong, 0, make([]byte, 8)), "answer to no ping"},
	{"a flood of pings", repeat(link.PingBurst+2, func(int) []byte { return link.Frame(link.Ping, 0, make([]byte, 8)) }), "flood of pings"},
	{"token 0", link.TokenFrame(0, "x"), "token at index 0"},
	{"a token that leaves a gap", link.TokenFrame(2, "x"), "token at index 2"},
	{"a token beyond the table", repeat(link.MaxTokens+1, func(i int) []byte { return link.TokenFrame(uint16(i+1), "x") }), "token at index 4097"},
	{"a token that is too long", link.Frame(link.Token, 0, make([]byte, 3+link.MaxToken)), "type 9 with"},
	{"tokens that are too much together", repeat(link.MaxTokenBytes/link.MaxToken+1, func(i int) []byte { return link.TokenFrame(uint16(i+1), strings.Repeat("x", link.MaxToken)) }), "bytes of tokens"},
	{"a control message nobody asked for", link.Frame(link.Control, 0, []byte("x")), "none is expected"},
	{"a control message that is too long", link.Frame(link.Control, 0, make([]byte, link.MaxControl+1)), "type 10 with"},
	{"a goodbye without a reason", link.Goodbye(0, 0), "goodbye with code 0"},
	{"trailers that are cut", append(asked(2, "POST", "/waits", -1, false), link.Frame(link.End, 2, []byte{0, 1, 0, 9, 'x'})...), "trailers"},
	{"trailers that say how long the body is", append(asked(2, "POST", "/waits", -1, false), link.Frame(link.End, 2, link.Lines("Content-Length", "3"))...), "trailers"},
	{"a record of another version", sealedRecord(append([]byte{2}, link.RequestRecord("GET", "/", 0, true, nil)[1:]...)), "hold together"},
	{"a record with a flag that there is not", sealedRecord(append([]byte{1, 2}, link.RequestRecord("GET", "/", 0, true, nil)[2:]...)), "hold together"},
	{"a record that is cut", sealedRecord(link.RequestRecord("GET", "/", 0, true, nil)[:20]), "hold together"},
	{"a record with something after it", sealedRecord(append(link.RequestRecord("GET", "/", 0, true, nil), 0)), "hold together"},
	{"a record that promises more lines than it has", sealedRecord(record([]byte{255, 255})), "hold together"},
	{"a line with two places for a length", sealedRecord(record(link.Lines("Content-Length", "3"))), "hold together"},
	{"a line with a transfer coding", sealedRecord(record(link.Lines("Transfer-Encoding", "chunked"))), "hold together"},
	{"a line with another host", sealedRecord(record(link.Lines("Host", "evil.example"))), "hold together"},
	{"a line that names hop-by-hop lines", sealedRecord(record(link.Lines("Connection", "X-Forwarded-For"))), "hold together"},
	{"a name in another spelling", sealedRecord(record(link.Lines("content-type", "x"))), "hold together"},
	{"a name with a space", sealedRecord(record(link.Lines("X ", "x"))), "hold together"},
	{"no name", sealedRecord(record(link.Lines("", "x"))), "hold together"},
	{"a value with a line break", sealedRecord(record(link.Lines("X", "a\r\nY: b"))), "hold together"},
	{"a value with a bare line feed", sealedRecord(record(link.Lines("X", "a\nb"))), "hold together"},
	{"a value with a NUL", sealedRecord(record(link.Lines("X", "a\x00"))), "hold together"},
	{"a value with space around it", sealedRecord(record(link.Lines("X", " a"))), "hold together"},
}

// SYSTEM P3 P6 T6
func TestWhatAnEdgeInWrongHandsMayTry(t *testing.T) {
	for _, a := range attacksOnTheApplication {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			near, far := net.Pipe()
			served := make(chan error, 1)
			go func() {
				served <- link.Serve(t.Context(), far, key, http.HandlerFunc(answering), time.Second, link.Config{MaxStreams: 1 << 20}, nil)
			}()
			p := newPeer(t, near)
			go p.listen()
			p.send(question(1)) // the positive control: frames made in this way are taken
			if f, ok := p.next(link.Data); !ok || string(f.payload) != "ok" {
				t.Fatalf("an honest request was answered %q", f.payload)
			}
			go p.send(a.bytes)
			select {
			case err := <-served:
				if err == nil || !strings.Contains(err.Error(), "broke the link's protocol") || !strings.Contains(err.Error(), a.want) {
					t.Errorf("got %v, want %q", err, a.want)
				}
			case <-time.After(10 * time.Second):
				t.Error("the link lives on")
			}
		})
	}
}

// The attack: streams are opened and given up at once, as fast as the wire allows (CVE-2023-44487). SYSTEM T6
func TestAFloodOfResets(t *testing.T) {
	for n, ends := range map[int]bool{link.ResetBurst: false, link.ResetBurst + 1: true} {
		synctest.Test(t, func(t *testing.T) { // in which no time passes meanwhile
			near, far := net.Pipe()
			served := make(chan error, 1)
			go func() {
				served <- link.Serve(t.Context(), far, key, http.HandlerFunc(answering), time.Second, link.Config{MaxStreams: 1 << 20}, nil)
			}()
			p := newPeer(t, near)
			go p.listen()
			p.send(repeat(n, func(i int) []byte {
				return append(asked(uint32(i+1), "GET", "/waits", 0, true), link.Frame(link.Reset, uint32(i+1), []byte{link.Cancel})...)
			}))
			synctest.Wait()
			near.Close()
			if err := <-served; strings.Contains(err.Error(), "flood of resets") != ends {
				t.Errorf("%d resets: got %v", n, err)
			}
		})
	}
}

func replied(stream uint32, status int, length int64, ends bool) []byte {
	return link.Sealed(key, "answer", stream, 0, "", link.AnswerRecord(status, "", length, ends, nil))
}

// What an application in wrong hands may answer to a GET on stream 1, the word by which the edge ends the link.
var attacksOnTheEdge = []struct {
	name  string
	bytes []byte
	want  string
}{
	{"an answer on a stream that was not opened", replied(2, 200, 0, true), "not opened"},
	{"an answer sealed for another stream", link.Frame(link.Head, 1, replied(2, 200, 0, true)[link.HeaderSize:]), "not authentic"},
	{"an answer sealed as a question", link.Sealed(key, "request", 1, 0, "", link.AnswerRecord(200, "", 0, true, nil)), "not authentic"},
	{"an answer with a bit changed", flipped(replied(1, 200, 0, true), 50), "not authentic"},
	{"an answer for somebody else", link.Sealed(key, "answer", 1, 0, "bob", link.AnswerRecord(200, "", 0, true, nil)), "not authentic"},
	{"an answer with a token", link.Sealed(key, "answer", 1, 1, "", link.AnswerRecord(200, "", 0, true, nil)), "not authentic"},
	{"a second answer", append(replied(1, 200, -1, false), replied(1, 200, -1, false)...), "second answer"},
	{"status 99", replied(1, 99, 0, true), "hold together"},
	{"status 1000", replied(1, 1000, 0, true), "hold together"},
	{"an informational answer that ends", replied(1, 103, -1, true), "hold together"},
	{"informational answers without end", repeat(link.MaxInforms+1, func(int) []byte { return replied(1, 103, -1, false) }), "informational"},
	{"an upgrade that nobody asked for", link.Sealed(key, "answer", 1, 0, "", link.AnswerRecord(101, "websocket", -1, false, nil)), "not asked for"},
	{"101 without a protocol", replied(1, 101, -1, false), "hold together"},
	{"200 with a protocol", link.Sealed(key, "answer", 1, 0, "", link.AnswerRecord(200, "websocket", -1, false, nil)), "hold together"},
	{"a body for 204", replied(1, 204, -1, false), "none may be"},
	{"data before the answer", link.Frame(link.Data, 1, []byte("x")), "before an answer"},
	{"an end before the answer", link.Frame(link.End, 1, nil), "before an answer"},
	{"data beyond the declared length", append(replied(1, 200, 3, false), link.Frame(link.Data, 1, []byte("long"))...), "longer than it said"},
	{"data beyond the window", append(replied(1, 200, -1, false), repeat(3, func(int) []byte { return link.Frame(link.Data, 1, make([]byte, 30<<10)) })...), "beyond the window"},
	{"data for an answer that has ended", append(replied(1, 200, 0, true), link.Frame(link.Data, 1, []byte("x"))...), "stream that is over"},
	{"a token", link.TokenFrame(1, "x"), "token from the application"},
	{"a goodbye after streams that were not opened", link.Goodbye(link.Drained, 5), "not opened"},
	{"a grant of too much", link.Frame(link.Window, 1, link.Number(link.MaxWindow)), "grant of"},
	{"a length below nothing", replied(1, 200, -2, false), "hold together"},
	{"a line with a length of its own", link.Sealed(key, "answer", 1, 0, "", append(link.AnswerRecord(200, "", 0, true, nil)[:14], link.Lines("Content-Length", "9")...)), "hold together"},
	{"a line with a transfer coding", link.Sealed(key, "answer", 1, 0, "", append(link.AnswerRecord(200, "", 0, true, nil)[:14], link.Lines("Transfer-Encoding", "chunked")...)), "hold together"},
	{"a line that splits the answer", link.Sealed(key, "answer", 1, 0, "", append(link.AnswerRecord(200, "", 0, true, nil)[:14], link.Lines("Location", "/\r\nSet-Cookie: a=b")...)), "hold together"},
}

// SYSTEM P3 P6 T6
func TestWhatAnApplicationInWrongHandsMayTry(t *testing.T) {
	for _, a := range attacksOnTheEdge {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			near, far := net.Pipe()
			ended := make(chan error, 1)
			edge := link.Accept(far, key, link.Config{Closed: func(_ *link.Conn, why error) { ended <- why }})
			p := newPeer(t, near)
			go p.listen()
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			go func() {
				if resp, err := edge.RoundTrip(ctx, get("/")); err == nil {
					<-ctx.Done()
					resp.Body.Close()
				}
			}()
			if f, ok := p.next(link.Head); !ok || f.stream != 1 {
				t.Fatalf("no request came: %v", f)
			}
			p.send(a.bytes)
			select {
			case err := <-ended:
				if err == nil || !strings.Contains(err.Error(), "broke the link's protocol") || !strings.Contains(err.Error(), a.want) {
					t.Errorf("got %v, want %q", err, a.want)
				}
			case <-ctx.Done():
				t.Error("the link lives on")
			}
		})
	}
}

func TestAnAnswerThatIsWholeBeforeTheLinkEnds(t *testing.T) {
	near, far := net.Pipe()
	edge := link.Accept(far, key, link.Config{})
	defer edge.Close()
	p := newPeer(t, near)
	go p.listen()
	go func() {
		p.next(link.Head)
		p.send(replied(1, 200, 0, true), link.Frame(0, 0, nil))
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	resp, err := edge.RoundTrip(ctx, get("/"))
	if err != nil || resp.Status != 200 {
		t.Errorf("got %v", err)
	}
}

// Found by FuzzAnswers: the end of an answer, at the moment at which writing fails, stopped the link with all its locks held.
func TestAnAnswerEndsAsTheLinkDoes(t *testing.T) {
	for range 2000 {
		near, far := net.Pipe()
		edge := link.Accept(far, key, link.Config{})
		done := make(chan bool)
		go func() {
			if resp, err := edge.RoundTrip(t.Context(), post("/", -1, bytes.NewReader(make([]byte, 100_000)))); err == nil {
				resp.Body.Close()
			}
			done <- true
		}()
		go io.Copy(io.Discard, near)
		near.Write(replied(1, 200, 0, true))
		near.Close()
		select {
		case <-done:
		case <-time.After(10 * time.Second):
			t.Fatal("it hangs")
		}
		edge.Close()
	}
}

func TestAnHonestApplicationMadeOfFrames(t *testing.T) { // the positive control
	near, far := net.Pipe()
	edge := link.Accept(far, key, link.Config{})
	defer edge.Close()
	p := newPeer(t, near)
	go p.listen()
	go func() {
		p.next(link.Head)
		p.send(replied(1, 103, -1, false), replied(1, 200, 5, false), link.Frame(link.Data, 1, []byte("hel")), link.Frame(link.Data, 1, []byte("lo")),
			link.Frame(link.End, 1, link.Lines("X-Sum", "1")))
	}()
	resp, err := edge.RoundTrip(t.Context(), get("/"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if string(b) != "hello" || err != nil || resp.Trailer().Get("X-Sum") != "1" || edge.Err() != nil {
		t.Errorf("got %q %v %v %v", b, err, resp.Trailer(), edge.Err())
	}
}
