package edge_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/redoubt-dev/redoubt/layer/perimeter/edge"
	"github.com/redoubt-dev/redoubt/layer/perimeter/enrol"
	"github.com/redoubt-dev/redoubt/layer/perimeter/link"
)

// ask sends one request in HTTP/2, field by field as given, and returns the status, or what ended the stream.
func (w *world) ask(fields [][2]string) string {
	w.Helper()
	conn, err := tls.Dial("tcp", w.addr, w.tls("h2"))
	if err != nil {
		w.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	io.WriteString(conn, http2.ClientPreface)
	f := http2.NewFramer(conn, conn)
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	f.WriteSettings()
	var block bytes.Buffer
	e := hpack.NewEncoder(&block)
	for _, x := range fields {
		e.WriteField(hpack.HeaderField{Name: x[0], Value: strings.ReplaceAll(x[1], "HOST", w.host)})
	}
	f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true})
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return err.Error()
		}
		switch frame := frame.(type) {
		case *http2.MetaHeadersFrame:
			return frame.PseudoValue("status")
		case *http2.RSTStreamFrame:
			return "reset " + frame.ErrCode.String()
		case *http2.GoAwayFrame:
			return "goaway " + frame.ErrCode.String()
		}
	}
}

// send sends one request with a body in HTTP/2, piece by piece, and returns the status, or what ended the stream.
func (w *world) send(fields [][2]string, pieces ...string) string {
	w.Helper()
	conn, err := tls.Dial("tcp", w.addr, w.tls("h2"))
	if err != nil {
		w.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	io.WriteString(conn, http2.ClientPreface)
	f := http2.NewFramer(conn, conn)
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	f.WriteSettings()
	var block bytes.Buffer
	e := hpack.NewEncoder(&block)
	for _, x := range fields {
		e.WriteField(hpack.HeaderField{Name: x[0], Value: strings.ReplaceAll(x[1], "HOST", w.host)})
	}
	f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true})
	for i, p := range pieces {
		f.WriteData(1, i == len(pieces)-1, []byte(p))
	}
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return err.Error()
		}
		switch frame := frame.(type) {
		case *http2.MetaHeadersFrame:
			return frame.PseudoValue("status")
		case *http2.RSTStreamFrame:
			return "reset " + frame.ErrCode.String()
		}
	}
}

// SYSTEM P6: a Content-Length that is not the body's is nobody's way to hide a request in it (H2.CL).
func TestHTTP2LengthsThatLie(t *testing.T) {
	var whole atomic.Int64
	w := newWorld(t, edge.Times{})
	w.connect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			panic(http.ErrAbortHandler)
		}
		whole.Add(1)
	}))
	post := func(length string) [][2]string {
		return [][2]string{{":method", "POST"}, {":scheme", "https"}, {":authority", "HOST"}, {":path", "/"}, {"content-length", length}}
	}
	if got := w.send(post("5"), "ab", "cde"); got != "200" || whole.Load() != 1 {
		t.Fatalf("an honest request: got %s", got)
	}
	for _, a := range []struct {
		name, length string
		pieces       []string
	}{
		{"none, and a request behind it", "0", []string{"GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n"}},
		{"a shorter one", "2", []string{"abc"}},
		{"a longer one", "9", []string{"abc", ""}},
		{"two of them", "3, 3", []string{"abc"}},
		{"a sign", "+3", []string{"abc"}},
	} {
		t.Run(a.name, func(t *testing.T) {
			whole.Store(0)
			if got := w.send(post(a.length), a.pieces...); got == "200" || whole.Load() != 0 {
				t.Errorf("got %s, and the application read %d bodies to their end", got, whole.Load())
			}
		})
	}
	if w.edge.Links("test") != 1 {
		t.Error("an attack cost the link")
	}
}

// SYSTEM P6: what HTTP/2 can say ambiguously is refused as well. Where want is empty, anything but success will do.
func TestHTTP2FramesAreChecked(t *testing.T) {
	var reached atomic.Int64
	w := newWorld(t, edge.Times{})
	w.connect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { reached.Add(1) }))
	request := func(path string, more ...[2]string) [][2]string {
		return append([][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "HOST"}, {":path", path}}, more...)
	}
	if got := w.ask(request("/", [2]string{"host", "HOST"})); got != "200" {
		t.Fatalf("an honest request: got %s, want 200", got)
	}
	reached.Store(0)
	for _, a := range []struct {
		name   string
		fields [][2]string
		want   string
	}{
		{"Host beside another :authority", request("/", [2]string{"host", "evil.example"}), "400"},
		{"two Hosts", request("/", [2]string{"host", "HOST"}, [2]string{"host", "HOST"}), "400"},
		{"two Content-Lengths", request("/", [2]string{"content-length", "0"}, [2]string{"content-length", "0"}), "400"},
		{"Transfer-Encoding", request("/", [2]string{"transfer-encoding", "chunked"}), "400"},
		{"Connection", request("/", [2]string{"connection", "close"}), "400"},
		{"an Upgrade", request("/", [2]string{"upgrade", "websocket"}), "400"},
		{"an absolute path", request("https://HOST/"), "400"},
		{"an absolute path elsewhere", request("https://evil.example/"), "400"},
		{"an asterisk", request("*"), "400"},
		{"an empty path", request(""), ""},
		{"escaped dots", request("/a/%2e%2e/b"), "400"},
		{"a fragment", request("/a#b"), "400"},
		{"a line end in a value", request("/", [2]string{"x", "a\r\nb: c"}), ""},
		{"a NUL in a value", request("/", [2]string{"x", "a\x00b"}), ""},
		{"a line end in the path", request("/ HTTP/1.1\r\nHost: evil"), ""},
		{"an underscore in a name", request("/", [2]string{"x_y", "z"}), "400"},
		{"capitals in a name", request("/", [2]string{"X-Y", "z"}), ""},
		{"two paths", request("/", [2]string{":path", "/b"}), ""},
		{"TRACE", [][2]string{{":method", "TRACE"}, {":scheme", "https"}, {":authority", "HOST"}, {":path", "/"}}, "400"},
		{"CONNECT", [][2]string{{":method", "CONNECT"}, {":authority", "HOST"}}, "400"},
		{"extended CONNECT (RFC 8441)", request("/", [2]string{":protocol", "websocket"}), ""},
		{"another authority", [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "evil.example"}, {":path", "/"}}, "421"},
		{"a list of headers that is too long", request("/", [2]string{"x", strings.Repeat("x", 70<<10)}), ""},
		{"too many lines", request("/", many(101)...), "431"},
	} {
		t.Run(a.name, func(t *testing.T) {
			got := w.ask(a.fields)
			if got == "200" || a.want != "" && got != a.want {
				t.Errorf("got %s, want %s", got, a.want)
			}
		})
	}
	if got := reached.Load(); got != 0 {
		t.Errorf("%d requests reached the application", got)
	}
}

func many(n int) (fields [][2]string) {
	for i := range n {
		fields = append(fields, [2]string{fmt.Sprint("x-", i), "y"})
	}
	return fields
}

// breakingLink is a link that dies as soon as a request has come down it.
func (w *world) breakingLink() (died <-chan struct{}) {
	w.Helper()
	done := make(chan struct{})
	c := &connector{addr: w.addr, certificate: certificate("breaking")}
	w.authority.admit(c.certificate, enrol.Peer{ID: "breaking", Application: "test"})
	before := w.edge.Links("test")
	conn, key, err := c.dial()
	if err != nil {
		w.Fatal(err)
	}
	var once sync.Once
	go link.Serve(context.Background(), conn, key, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		once.Do(func() { close(done) })
		conn.NetConn().Close()
	}), time.Second, link.Config{}, nil)
	w.eventually("the link is up", func() bool { return w.edge.Links("test") > before })
	return done
}

// SYSTEM P6: what a link lost is tried once more where that can do no harm, and nowhere else.
func TestRetryAfterLinkFailure(t *testing.T) {
	for _, c := range []struct {
		method, body string
		want         int
	}{{"GET", "", 200}, {"HEAD", "", 200}, {"POST", "", 502}, {"POST", "body", 502}, {"GET", "body", 502}, {"DELETE", "", 502}} {
		t.Run(c.method+" "+c.body, func(t *testing.T) {
			w := newWorld(t, edge.Times{})
			var ids []string
			w.connect(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				a, _ := link.From(r.Context())
				ids = append(ids, a.ID)
			}))
			died := w.breakingLink()
			client := w.client(true)
			for range 2 { // equal links take turns: one of two requests meets the one that breaks
				r, _ := http.NewRequest(c.method, w.url("/"), strings.NewReader(c.body))
				resp, err := client.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				broken := false
				select {
				case <-died:
					broken = true
				default:
				}
				if broken && resp.StatusCode != c.want {
					t.Errorf("got %d, want %d", resp.StatusCode, c.want)
				}
				if broken {
					break
				}
			}
			select {
			case <-died:
			default:
				t.Fatal("no request met the breaking link")
			}
			if retried := len(ids) > 0 && strings.HasSuffix(ids[len(ids)-1], "-2"); retried != (c.want == 200) {
				t.Errorf("the application saw %q", ids)
			}
		})
	}
	t.Run("three times at most", func(t *testing.T) {
		w := newWorld(t, edge.Times{})
		for range 5 {
			w.breakingLink()
		}
		if status, _ := w.get(w.client(true), "/"); status != 502 {
			t.Errorf("got %d, want 502", status)
		}
		w.eventually("the broken links are gone", func() bool { return w.edge.Links("test") == 5-edge.MaxAttempts })
		time.Sleep(50 * time.Millisecond)
		if got := w.edge.Links("test"); got != 5-edge.MaxAttempts {
			t.Errorf("%d links are left, want %d", got, 5-edge.MaxAttempts)
		}
	})
	t.Run("without another link", func(t *testing.T) {
		w := newWorld(t, edge.Times{})
		w.breakingLink()
		if status, _ := w.get(w.client(true), "/"); status != 503 {
			t.Errorf("got %d, want 503", status)
		}
	})
}
