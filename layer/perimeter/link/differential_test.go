package link_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/link"
)

// What an observer sees of one exchange, at both ends.
type observation struct {
	status   int
	header   string
	length   int64
	body     string
	bodyErr  string
	trailer  string
	informed string
	err      string
	handler  string // what the handler saw

	announced []string
}

// A query is asked of both protocols.
type query struct {
	method, target string
	header         http.Header
	body           func() io.Reader // nil: none
	length         int64
	trailer        http.Header
	take           int // read so much of the answer, then go away
}

// A side asks a query of one protocol.
type side func(t *testing.T, q query) observation

func linkSide(t *testing.T, h http.Handler) side {
	w := linked(t, h, link.Config{})
	return func(t *testing.T, q query) (o observation) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		r := &link.Request{Method: q.method, Scheme: "https", Host: "app.example", Target: q.target, Header: q.header, ContentLength: q.length,
			Informed: func(status int, h http.Header) { o.informed += fmt.Sprint(status, flat(h)) }}
		if q.body != nil {
			r.Body = q.body()
		}
		if q.trailer != nil {
			r.Trailer = func() http.Header { return q.trailer }
			r.Header = q.header.Clone()
			if r.Header == nil {
				r.Header = http.Header{}
			}
			r.Header["Trailer"] = slices.Collect(maps.Keys(q.trailer))
		}
		resp, err := w.edge.RoundTrip(ctx, r)
		if err != nil {
			o.err = "failed"
			return o
		}
		o.status, o.header, o.length = resp.Status, flat(resp.Header), resp.ContentLength
		o.readBody(resp.Body, q.take)
		o.trailer = flat(resp.Trailer())
		return o
	}
}

func http2Side(t *testing.T, h http.Handler) side {
	return func(t *testing.T, q query) (o observation) {
		client := inverted(t, h) // a new one each time: it closes itself after some of these
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
			if code != http.StatusContinue {
				o.informed += fmt.Sprint(code, flat(http.Header(header)))
			}
			return nil
		}})
		r, err := http.NewRequestWithContext(ctx, q.method, "http://app.example"+q.target, nil)
		if err != nil {
			t.Fatal(err)
		}
		if r.Header = q.header.Clone(); r.Header == nil {
			r.Header = http.Header{}
		}
		if r.Header["User-Agent"] == nil {
			r.Header["User-Agent"] = []string{""} // or net/http writes one
		}
		if q.body != nil {
			r.Body, r.ContentLength, r.Trailer = io.NopCloser(q.body()), q.length, q.trailer
		}
		resp, err := client.RoundTrip(r)
		if err != nil {
			o.err = "failed"
			return o
		}
		o.status, o.length, o.announced = resp.StatusCode, resp.ContentLength, slices.Sorted(maps.Keys(resp.Trailer))
		for _, adapt := range differs {
			adapt(&o, resp.Header)
		}
		o.header, o.announced = flat(resp.Header), nil
		o.readBody(resp.Body, q.take)
		o.trailer = flat(resp.Trailer)
		return o
	}
}

func (o *observation) readBody(body io.ReadCloser, take int) {
	defer body.Close()
	if take > 0 {
		b := make([]byte, take)
		_, err := io.ReadFull(body, b)
		o.body, o.bodyErr = digest(b), told(err)
		return
	}
	b, err := io.ReadAll(body)
	o.body, o.bodyErr = digest(b), told(err)
	if err != nil {
		o.body = "cut"
	}
}

func told(err error) string {
	if err != nil {
		return "failed"
	}
	return ""
}

func digest(b []byte) string {
	if len(b) > 100 {
		return fmt.Sprintf("%d bytes from %q, sum %d", len(b), b[:10], sum(b))
	}
	return string(b)
}

func sum(b []byte) (n uint32) {
	for _, c := range b {
		n = n*31 + uint32(c)
	}
	return n
}

// flat writes a header in one order, with list lines joined.
func flat(h http.Header) string {
	var lines []string
	for name, values := range h {
		if len(values) == 0 {
			continue // announced, and never came
		}
		if name == "Trailer" {
			values = strings.Split(strings.ReplaceAll(strings.Join(values, ","), " ", ""), ",")
			slices.Sort(values)
		}
		lines = append(lines, fmt.Sprintf("%s: %q", name, values))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('a' + i*7%26)
	}
	return b
}

func pieces(n int) func() io.Reader { return func() io.Reader { return bytes.NewReader(pattern(n)) } }

// slowly hides a reader's length and its other methods.
func slowly(n int) func() io.Reader {
	return func() io.Reader { return struct{ io.Reader }{io.LimitReader(bytes.NewReader(pattern(n)), int64(n))} }
}

// handlers are what applications do.
var handlers = map[string]http.HandlerFunc{
	"nothing":     func(w http.ResponseWriter, r *http.Request) {},
	"small":       func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") },
	"html":        func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "<!doctype html><p>hello") },
	"in pieces":   func(w http.ResponseWriter, r *http.Request) { writeIn(w, 10_000, 100) },
	"edge of it":  func(w http.ResponseWriter, r *http.Request) { w.Write(pattern(4096)) },
	"beyond it":   func(w http.ResponseWriter, r *http.Request) { w.Write(pattern(4097)) },
	"large":       func(w http.ResponseWriter, r *http.Request) { w.Write(pattern(3 << 20)) },
	"many pieces": func(w http.ResponseWriter, r *http.Request) { writeIn(w, 1<<20, 1000) },
	"copied":      func(w http.ResponseWriter, r *http.Request) { io.Copy(w, slowly(200_000)()) },
	"copied, small": func(w http.ResponseWriter, r *http.Request) {
		io.Copy(w, slowly(20)())
	},
	"declared": func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "50000")
		w.Write(pattern(50000))
	},
	"declared and too short": func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "50000")
		w.Write(pattern(20000))
	},
	"declared badly": func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "-3")
		io.WriteString(w, "hello")
	},
	"no type wanted": func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Content-Type"] = nil
		io.WriteString(w, "hello")
	},
	"encoded": func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		io.WriteString(w, "hello")
	},
	"204": func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(204)
		_, err := io.WriteString(w, "hello")
		note(r, "%v", err)
	},
	"304": func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Etag", `"x"`)
		w.WriteHeader(304)
	},
	"404": func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) },
	"redirect": func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/elsewhere?x=1", http.StatusSeeOther)
	},
	"content": func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "a.txt", time.Unix(1e9, 0), bytes.NewReader(pattern(9000)))
	},
	"error": func(w http.ResponseWriter, r *http.Request) { http.Error(w, "no", 500) },
	"superfluous": func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(201)
		w.WriteHeader(500)
		io.WriteString(w, "made")
	},
	"header too late": func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "x")
		w.Header().Set("X-Late", "1")
	},
	"header lines": func(w http.ResponseWriter, r *http.Request) {
		w.Header()["x-lower"] = []string{"1"}
		w.Header()["Set-Cookie"] = []string{"a=b", "c=d"}
		w.Header().Set("X-Space", "  padded ")
		w.Header().Set("X-Empty", "")
		w.Header().Set("Connection", "close, X-Secret")
		w.Header().Set("Keep-Alive", "timeout=5")
		w.Header()["bad name"] = []string{"x"}
		io.WriteString(w, "ok")
	},
	"flushed": func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "one ")
		w.(http.Flusher).Flush()
		io.WriteString(w, "two")
	},
	"flushed at once": func(w http.ResponseWriter, r *http.Request) {
		note(r, "%v", http.NewResponseController(w).Flush())
		io.WriteString(w, "body")
	},
	"trailers declared": func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Sum, X-Other")
		io.WriteString(w, "body")
		w.Header().Set("X-Sum", "42")
	},
	"trailers declared, large": func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Trailer", "X-Sum")
		w.Write(pattern(100_000))
		w.Header().Set("X-Sum", "42")
	},
	"trailers by prefix": func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "body")
		w.(http.Flusher).Flush()
		w.Header().Set(http.TrailerPrefix+"X-Sum", "42")
	},
	"trailers without a body": func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		w.WriteHeader(200)
		w.Header().Set("X-Sum", "42")
	},
	"early hints": func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</a.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusProcessing)
		io.WriteString(w, "done")
	},
	"reads all": func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		n, again := r.Body.Read(make([]byte, 1))
		note(r, "%s %v %d %v", digest(b), err, n, again)
	},
	"echoes": func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex()
		io.Copy(w, r.Body)
	},
	"reads none": func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "not interested") },
	"reads a little": func(w http.ResponseWriter, r *http.Request) {
		n, err := io.ReadFull(r.Body, make([]byte, 10))
		note(r, "%d %v", n, err)
		http.Error(w, "enough", http.StatusRequestEntityTooLarge)
	},
	"reads too much": func(w http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 100))
		note(r, "%v", err)
		http.Error(w, "enough", http.StatusRequestEntityTooLarge)
	},
	"panics": func(w http.ResponseWriter, r *http.Request) { panic("ouch") },
	"panics later": func(w http.ResponseWriter, r *http.Request) {
		w.Write(pattern(100_000))
		panic("ouch")
	},
	"aborts": func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "partly")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	},
	"until gone": func(w http.ResponseWriter, r *http.Request) {
		var err error
		for err == nil {
			_, err = w.Write(pattern(10_000))
		}
		<-r.Context().Done()
		note(r, "%v", r.Context().Err())
	},
	"hijacks": func(w http.ResponseWriter, r *http.Request) {
		_, _, err := http.NewResponseController(w).Hijack()
		note(r, "%t", errors.Is(err, http.ErrNotSupported))
	},
	"times out": func(w http.ResponseWriter, r *http.Request) {
		http.TimeoutHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }), time.Millisecond, "late").ServeHTTP(w, r)
	},
	"tells the request": func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		h := r.Header.Clone()
		for name, values := range h {
			if name == "User-Agent" || name == "Accept-Encoding" {
				delete(h, name)
			}
			slices.Sort(values)
		}
		note(r, "%s %s %s %s %q %d %q | %s | %s", r.Method, r.RequestURI, r.URL, r.Host, r.URL.Path, r.ContentLength, r.TransferEncoding, flat(h), flat(r.Trailer))
	},
}

func writeIn(w io.Writer, n, pieces int) {
	b := pattern(n)
	for part := range slices.Chunk(b, n/pieces) {
		w.Write(part)
	}
}

// notes is what handlers have seen, by request.
var notes sync.Map

func note(r *http.Request, format string, args ...any) {
	ch, _ := notes.LoadOrStore(r.Header.Get("X-Query"), make(chan string, 1))
	ch.(chan string) <- fmt.Sprintf(format, args...)
}

var noted = map[string]bool{"204": true, "flushed at once": true, "reads all": true, "reads a little": true,
	"reads too much": true, "until gone": true, "hijacks": true, "tells the request": true}

// queries go to every handler that they make sense for.
var queries = map[string]query{
	"GET":            {method: "GET", target: "/a/b?x=%2f&y"},
	"HEAD":           {method: "HEAD", target: "/"},
	"a body":         {method: "POST", target: "/", body: pieces(1000), length: 1000},
	"an empty body":  {method: "POST", target: "/", body: pieces(0), length: -1},
	"a large body":   {method: "POST", target: "/", body: slowly(2 << 20), length: 2 << 20},
	"a long stream":  {method: "PUT", target: "/", body: slowly(2 << 20), length: -1},
	"trailers":       {method: "POST", target: "/", body: slowly(5000), length: -1, trailer: http.Header{"X-Check": {"1"}, "X-More": {"a", "b"}}},
	"an expectation": {method: "POST", target: "/", body: pieces(1000), length: 1000, header: http.Header{"Expect": {"100-continue"}}},
	"header lines": {method: "GET", target: "/", header: http.Header{"Cookie": {"a=b"}, "X-A": {"1", "2"}, "Accept-Language": {"de, en;q=0.5"}, "Te": {"trailers"},
		"X-Empty": {""}}},
	"gone soon": {method: "GET", target: "/", take: 10},
}

// differs is where the two may differ, each with the reason. It changes what net/http showed to what ours is to show.
var differs = map[string]func(o *observation, h http.Header){
	"an answer has no date: the edge's own server writes one": func(o *observation, h http.Header) { delete(h, "Date") },
	"what trailers were announced stays where the handler said it": func(o *observation, h http.Header) {
		if len(o.announced) > 0 {
			h["Trailer"] = o.announced
		}
	},
	"hop-by-hop lines go, and values lose outer space, as HTTP/1.1 has it": func(o *observation, h http.Header) {
		delete(h, "Keep-Alive")
		for _, values := range h {
			for i := range values {
				values[i] = strings.TrimSpace(values[i])
			}
		}
	},
	"an answer with trailers has no length, or a client of HTTP/1.1 could not be given them": func(o *observation, h http.Header) {
		if len(o.announced) > 0 {
			delete(h, "Content-Length")
			o.length = -1
		}
	},
}

// SYSTEM P6: net/http's own HTTP/2 is the oracle. Whatever application and edge can see must be the same.
func TestTheLinkIsAsNetHTTP(t *testing.T) {
	for name, h := range handlers {
		ours, theirs := linkSide(t, h), http2Side(t, h)
		for asked, q := range queries {
			if (asked == "gone soon") != (name == "until gone") {
				continue
			}
			t.Run(name+", "+asked, func(t *testing.T) {
				got, want := observe(t, ours, name, q), observe(t, theirs, name, q)
				if !reflect.DeepEqual(got, want) {
					t.Errorf("\nlink  %+v\nhttp2 %+v", got, want)
				}
			})
		}
	}
}

var nth sync.Mutex
var count int

func observe(t *testing.T, ask side, name string, q query) observation {
	t.Helper()
	nth.Lock()
	count++
	id := "query-" + strconv.Itoa(count)
	nth.Unlock()
	q.header = q.header.Clone()
	if q.header == nil {
		q.header = http.Header{}
	}
	q.header.Set("X-Query", id)
	o := ask(t, q)
	o.header = strings.ReplaceAll(o.header, id, "N")
	if noted[name] {
		ch, _ := notes.LoadOrStore(id, chanOf())
		select {
		case o.handler = <-ch.(chan string):
			o.handler = strings.ReplaceAll(o.handler, fmt.Sprintf("X-Query: [%q]", id), "")
		case <-time.After(5 * time.Second):
			o.handler = "nothing seen"
		}
	}
	return o
}

func chanOf() any { return make(chan string, 1) }
