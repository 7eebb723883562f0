package link_test

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"reflect"
	"strconv"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/link"
)

// script makes frames of fuzzed bytes: kind, stream, length and payload of each. Heads are given a good seal, so that what is
// behind the seal is reached; without it nothing is.
func script(b []byte, direction string) []byte {
	var out []byte
	for len(b) >= 4 {
		k, stream, n := b[0]%12, uint32(b[1]), int(b[2])<<8|int(b[3])
		payload := b[4:min(len(b), 4+n)]
		b = b[4+len(payload):]
		switch {
		case k == link.Head:
			out = append(out, link.Sealed(key, direction, stream, 0, "", payload)...)
		case k == link.Data && len(payload) > 0 && payload[0] == 'L': // large
			out = append(out, link.Frame(k, stream, bytes.Repeat(payload, 1+link.MaxFrame/len(payload)/4))...)
		default:
			out = append(out, link.Frame(k, stream, payload)...)
		}
	}
	return append(out, b...)
}

func op(kind, stream byte, payload []byte) []byte {
	return append([]byte{kind, stream, byte(len(payload) >> 8), byte(len(payload))}, payload...)
}

// FuzzFrames lets an edge in wrong hands say anything to an application.
func FuzzFrames(f *testing.F) {
	whole := link.RequestRecord("GET", "/", 0, true, http.Header{"Accept": {"*/*"}})
	upload := link.RequestRecord("POST", "/reads", -1, false, http.Header{"Expect": {"100-continue"}, "Trailer": {"X"}})
	f.Add(op(link.Head, 1, whole))
	f.Add(append(append(op(link.Head, 1, upload), op(link.Data, 1, []byte("Lots"))...), op(link.End, 1, link.Lines("X", "1"))...))
	f.Add(append(op(link.Head, 1, upload), op(link.Reset, 1, []byte{link.Cancel})...))
	f.Add(append(op(link.Head, 3, whole), op(link.Window, 3, link.Number(link.MinGrant))...))
	for _, k := range []byte{link.Ping, link.Pong} {
		f.Add(op(k, 0, make([]byte, 8)))
	}
	f.Add(op(link.GoAway, 0, []byte{link.Drained, 0, 0, 0, 0}))
	f.Add(append(op(link.Token, 0, []byte{0, 1, 'x'}), op(link.Control, 0, []byte("x"))...))
	f.Fuzz(func(t *testing.T, b []byte) {
		near, far := net.Pipe()
		go io.Copy(io.Discard, near)
		go func() {
			near.Write(script(b, "request"))
			near.Close()
		}()
		budget := link.NewBudget(1 << 20)
		config := link.Config{Budget: budget, Control: func(*link.Conn, []byte) {}}
		var c *link.Conn
		err := link.Serve(t.Context(), far, key, http.HandlerFunc(answering), time.Second, config, func(made *link.Conn) { c = made })
		if err == nil || c.Err() == nil || c.InFlight() != 0 {
			t.Errorf("it ended with %v and %d requests under way", err, c.InFlight())
		}
		if used := budget.Used(); used < 0 || used > 1<<20 {
			t.Errorf("%d bytes are granted", used)
		}
	})
}

// FuzzAnswers lets an application in wrong hands say anything to an edge.
func FuzzAnswers(f *testing.F) {
	f.Add(op(link.Head, 1, link.AnswerRecord(200, "", 0, true, nil)))
	f.Add(append(op(link.Head, 1, link.AnswerRecord(103, "", -1, false, nil)), op(link.Head, 1, link.AnswerRecord(204, "", -1, true, nil))...))
	f.Add(append(append(op(link.Head, 1, link.AnswerRecord(200, "", -1, false, http.Header{"X": {"1"}})), op(link.Data, 1, []byte("Lots"))...), op(link.End, 1, nil)...))
	f.Add(append(op(link.Head, 2, link.AnswerRecord(101, "echo", -1, false, nil)), op(link.Data, 2, []byte("x"))...))
	f.Add(op(link.GoAway, 0, []byte{link.Drained, 0, 0, 0, 1}))
	f.Add(op(link.Reset, 1, []byte{link.Refused}))
	f.Fuzz(func(t *testing.T, b []byte) {
		near, far := net.Pipe()
		budget := link.NewBudget(1 << 20)
		c := link.Accept(far, key, link.Config{Budget: budget, Control: func(*link.Conn, []byte) {}})
		asked := make(chan bool, 2)
		for _, r := range []*link.Request{post("/", -1, bytes.NewReader(make([]byte, 100_000))), upgrade()} {
			go func() {
				if resp, err := c.RoundTrip(t.Context(), r); err == nil {
					io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
				asked <- true
			}()
		}
		go io.Copy(io.Discard, near)
		near.Write(script(b, "answer"))
		near.Close()
		<-asked
		<-asked
		c.Close()
		if used := budget.Used(); used != 0 || c.InFlight() != 0 {
			t.Errorf("%d bytes are granted, %d requests under way", used, c.InFlight())
		}
	})
}

// FuzzHead reads records. What is read and written again reads the same: there is one reading.
func FuzzHead(f *testing.F) {
	f.Add(link.RequestRecord("GET", "/a?b", 0, true, http.Header{"Accept": {"*/*", "x"}, "X": {""}}))
	f.Add(link.RequestRecord("POST", "/", 7, false, nil))
	f.Add(link.AnswerRecord(200, "", 5, false, http.Header{"Set-Cookie": {"a", "b"}}))
	f.Add(link.AnswerRecord(101, "websocket", -1, false, nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, err := link.ReadRequest(b); err == nil {
			again, err := link.RewriteRequest(b)
			if err != nil {
				t.Fatalf("it cannot be written: %v", err)
			}
			if back, err := link.ReadRequest(again); err != nil || !reflect.DeepEqual(got, back) {
				t.Fatalf("got %+v and %+v, %v", got, back, err)
			}
		}
		if got, err := link.ReadAnswer(b); err == nil {
			again, err := link.RewriteAnswer(b)
			if err != nil {
				t.Fatalf("it cannot be written: %v", err)
			}
			if back, err := link.ReadAnswer(again); err != nil || !reflect.DeepEqual(got, back) {
				t.Fatalf("got %+v and %+v, %v", got, back, err)
			}
		}
	})
}

// FuzzLines: whatever a public request or a handler has for a header, what our end writes of it, our other end takes. Otherwise
// one client could end the link of all.
func FuzzLines(f *testing.F) {
	f.Add("x-a", "b")
	f.Add("Transfer-Encoding", "chunked")
	f.Add("X\x00", " a\r\nb\x7f\t")
	f.Fuzz(func(t *testing.T, name, value string) {
		h := http.Header{name: {value, "second"}}
		if len(name)+len(value) > 60_000 {
			return
		}
		if _, err := link.ReadRequest(link.RequestRecord("GET", "/", 0, true, h)); err != nil {
			t.Errorf("request: %v", err)
		}
		if _, err := link.ReadAnswer(link.AnswerRecord(200, "", 0, true, h)); err != nil {
			t.Errorf("answer: %v", err)
		}
	})
}

// FuzzTwoEnds carries requests and answers of all sizes, in pieces of all sizes, between two ends of ours.
func FuzzTwoEnds(f *testing.F) {
	w := linked(f, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		piece, _ := strconv.Atoi(q.Get("piece"))
		size, _ := strconv.Atoi(q.Get("size"))
		if q.Has("declared") {
			w.Header().Set("Content-Length", strconv.Itoa(size))
		}
		if q.Has("flush") {
			w.(http.Flusher).Flush()
		}
		io.CopyBuffer(struct{ io.Writer }{io.Discard}, r.Body, make([]byte, piece))
		for b := pattern(size); len(b) > 0; b = b[min(len(b), piece):] {
			w.Write(b[:min(len(b), piece)])
		}
	}), link.Config{})
	f.Add(uint32(0), uint32(0), uint16(1), byte(0))
	f.Add(uint32(70_000), uint32(4096), uint16(100), byte(3))
	f.Add(uint32(1), uint32(300_000), uint16(9000), byte(7))
	f.Fuzz(func(t *testing.T, up, down uint32, piece uint16, how byte) {
		size, target := int(down%1_000_000), "/?piece="+strconv.Itoa(int(piece)+1)
		target += "&size=" + strconv.Itoa(size)
		if how&1 != 0 {
			target += "&declared"
		}
		if how&2 != 0 {
			target += "&flush"
		}
		sent := int64(up % 1_000_000)
		length := sent
		if how&4 != 0 {
			length = -1
		}
		resp, got := w.ask(t, post(target, length, io.LimitReader(zeros{}, sent)))
		if got != string(pattern(size)) || resp.Status != 200 {
			t.Errorf("got %d and %d bytes, want %d", resp.Status, len(got), size)
		}
	})
}
