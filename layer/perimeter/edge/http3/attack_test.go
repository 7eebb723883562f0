package http3_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	quichttp3 "github.com/quic-go/quic-go/http3"
	"github.com/quic-go/quic-go/quicvarint"

	"github.com/redoubt-dev/redoubt/layer/perimeter/edge/http3"
)

// SYSTEM P6: what two readers could understand differently reaches no handler, and costs its sender no more than the stream.
func TestSmugglingIsRefused(t *testing.T) {
	var reached atomic.Int64
	w := newWorld(t, func(w http.ResponseWriter, r *http.Request) {
		reached.Add(1)
		io.Copy(io.Discard, r.Body)
	}, http3.Times{})
	without := func(name string, more ...field) []field {
		var left []field
		for _, f := range request("GET", "/", more...) {
			if f.name != name {
				left = append(left, f)
			}
		}
		return left
	}
	const refused = "refused"
	for name, a := range map[string]struct {
		fields []field
		want   string // a status, or that the stream is reset
	}{
		"Connection":                             {request("GET", "/", field{"connection", "close"}), refused},
		"Connection naming our header":           {request("GET", "/", field{"connection", "x-forwarded-for"}), refused},
		"Keep-Alive":                             {request("GET", "/", field{"keep-alive", "1"}), refused},
		"Proxy-Connection":                       {request("GET", "/", field{"proxy-connection", "close"}), refused},
		"Transfer-Encoding":                      {request("POST", "/", field{"transfer-encoding", "chunked"}), refused},
		"Upgrade":                                {request("GET", "/", field{"upgrade", "websocket"}), refused},
		"TE other than trailers":                 {request("GET", "/", field{"te", "gzip"}), refused},
		"an upper-case name":                     {request("GET", "/", field{"X-Upper", "1"}), refused},
		"a space in a name":                      {request("GET", "/", field{"x a", "1"}), refused},
		"a colon in a name":                      {request("GET", "/", field{"x:a", "1"}), refused},
		"an empty name":                          {request("GET", "/", field{"", "1"}), refused},
		"a line feed in a name":                  {request("GET", "/", field{"x\na", "1"}), refused},
		"a line feed in a value":                 {request("GET", "/", field{"x", "a\nb: c"}), refused},
		"a carriage return in a value":           {request("GET", "/", field{"x", "a\rb"}), refused},
		"a NUL in a value":                       {request("GET", "/", field{"x", "a\x00b"}), refused},
		"a pseudo-header after others":           {append(without(":path", field{"x", "1"}), field{":path", "/"}), refused},
		"two paths":                              {append([]field{{":path", "/other"}}, request("GET", "/")...), refused},
		"two methods":                            {append([]field{{":method", "POST"}}, request("GET", "/")...), refused},
		"two authorities":                        {append([]field{{":authority", "evil.example"}}, request("GET", "/")...), refused},
		"two schemes":                            {append([]field{{":scheme", "http"}}, request("GET", "/")...), refused},
		"an unknown pseudo-header":               {append([]field{{":evil", "1"}}, request("GET", "/")...), refused},
		"a response's pseudo-header":             {append([]field{{":status", "200"}}, request("GET", "/")...), refused},
		"no method":                              {without(":method"), refused},
		"no path":                                {without(":path"), refused},
		"no authority":                           {without(":authority"), refused},
		"an empty path":                          {request("GET", ""), refused},
		"a path without a slash":                 {request("GET", "evil.example/"), refused},
		"an absolute target":                     {request("GET", "https://evil.example/"), refused},
		"a path of a star for GET":               {request("GET", "*"), refused},
		"a broken escape":                        {request("GET", "/%zz"), refused},
		"a line feed in the path":                {request("GET", "/a\nb"), refused},
		"a space in the method":                  {request("GET /x", "/"), refused},
		"Host beside another authority":          {request("GET", "/", field{"host", "evil.example"}), refused},
		"two Hosts":                              {request("GET", "/", field{"host", "app.example"}, field{"host", "app.example"}), refused},
		"user information in the authority":      {append([]field{{":authority", "x@app.example"}}, without(":authority")...), refused},
		"two different Content-Lengths":          {request("POST", "/", field{"content-length", "1"}, field{"content-length", "2"}), refused},
		"a signed Content-Length":                {request("POST", "/", field{"content-length", "+1"}), refused},
		"a negative Content-Length":              {request("POST", "/", field{"content-length", "-1"}), refused},
		"a list of Content-Lengths":              {request("POST", "/", field{"content-length", "1, 1"}), refused},
		"a Content-Length beyond all bounds":     {request("POST", "/", field{"content-length", "99999999999999999999"}), refused},
		"a protocol without CONNECT":             {append([]field{{":protocol", "websocket"}}, request("GET", "/")...), refused},
		"CONNECT with a path":                    {request("CONNECT", "/"), refused},
		"CONNECT":                                {[]field{{":method", "CONNECT"}, {":authority", "app.example:443"}}, "501"},
		"a WebSocket by extended CONNECT":        {append([]field{{":protocol", "websocket"}}, request("CONNECT", "/")...), "501"},
		"MASQUE by extended CONNECT":             {append([]field{{":protocol", "connect-udp"}}, request("CONNECT", "/.well-known/masque/udp/1.1.1.1/53/")...), "501"},
		"a head that is larger than it may be":   {request("GET", "/", field{"x", strings.Repeat("a", http3.DefaultMaxHeaderBytes)}), "431"},
		"many fields that are larger together":   {request("GET", "/", repeat(field{"x", strings.Repeat("a", 1000)}, 70)...), "431"},
		"fields that compress to almost nothing": {request("GET", "/", repeat(field{"accept", "*/*"}, 2000)...), "431"},
	} {
		t.Run(name, func(t *testing.T) {
			c := w.dial()
			before := reached.Load()
			got, err := w.send(c, head(a.fields...))
			if reset := new(quic.StreamError); errors.As(err, &reset) {
				got = refused
			}
			if got != a.want {
				t.Errorf("got %q, %v; want %s", got, err, a.want)
			}
			if reached.Load() != before {
				t.Error("it reached the handler")
			}
			if got, err := w.send(c, head(request("GET", "/")...)); got != "200" {
				t.Errorf("an honest request on the same connection: got %q, %v", got, err)
			}
		})
	}
}

func repeat(f field, n int) []field {
	all := make([]field, n)
	for i := range all {
		all[i] = f
	}
	return all
}

// Nothing honest is refused by the same code.
func TestHonestRequestsPass(t *testing.T) {
	w := newWorld(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || string(body) != "abc" || r.Trailer.Get("X-Sum") != "1" {
			w.WriteHeader(http.StatusTeapot)
		}
	}, http3.Times{})
	trailer := head(field{"x-sum", "1"})
	for name, parts := range map[string][][]byte{
		"in one frame":                {head(request("POST", "/", field{"content-length", "3"}, field{"te", "trailers"})...), frame(dataFrame, []byte("abc")), trailer},
		"in several":                  {head(request("POST", "/")...), frame(dataFrame, []byte("a")), frame(dataFrame, nil), frame(dataFrame, []byte("bc")), trailer},
		"with frames of the future":   {frame(0x21, []byte("x")), head(request("POST", "/")...), frame(0x40, []byte("later")), frame(dataFrame, []byte("abc")), frame(0x5f, nil), trailer},
		"with Host as the authority":  {head(append(request("POST", "/")[:2:2], field{":path", "/"}, field{"host", "app.example"})...), frame(dataFrame, []byte("abc")), trailer},
		"with Host and the authority": {head(request("POST", "/", field{"host", "app.example"})...), frame(dataFrame, []byte("abc")), trailer},
		"with equal Content-Lengths":  {head(request("POST", "/", field{"content-length", "3"}, field{"content-length", "3"})...), frame(dataFrame, []byte("abc")), trailer},
	} {
		if got, err := w.send(w.dial(), parts...); got != "200" {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
}

// What is said about a body's length and what arrives must agree: a handler never takes the one for the other.
func TestABodyIsAsLongAsItsHeadSays(t *testing.T) {
	read := make(chan string, 1)
	w := newWorld(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		read <- fmt.Sprintf("%s %v", body, err == nil)
	}, http3.Times{})
	for name, c := range map[string]struct {
		parts [][]byte
		want  string
	}{
		"as long":             {[][]byte{head(request("POST", "/", field{"content-length", "3"})...), frame(dataFrame, []byte("abc"))}, "abc true"},
		"shorter":             {[][]byte{head(request("POST", "/", field{"content-length", "5"})...), frame(dataFrame, []byte("abc"))}, "abc false"},
		"nothing":             {[][]byte{head(request("POST", "/", field{"content-length", "5"})...)}, " false"},
		"longer":              {[][]byte{head(request("POST", "/", field{"content-length", "2"})...), frame(dataFrame, []byte("abc"))}, "ab false"},
		"none, and there is":  {[][]byte{head(request("POST", "/", field{"content-length", "0"})...), frame(dataFrame, []byte("abc"))}, " true"},
		"a GET with a secret": {[][]byte{head(request("GET", "/", field{"content-length", "2"})...), frame(dataFrame, []byte("abc"))}, "ab false"},
	} {
		t.Run(name, func(t *testing.T) {
			w.send(w.dial(), c.parts...)
			if got := <-read; got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// Frames that no honest client sends end the stream or the connection, and nothing else.
func TestFramesOutOfPlace(t *testing.T) {
	var reached atomic.Int64
	w := newWorld(t, func(w http.ResponseWriter, r *http.Request) {
		reached.Add(1)
		io.Copy(io.Discard, r.Body)
	}, http3.Times{Header: 500 * time.Millisecond})
	huge := quicvarint.Append(quicvarint.Append(nil, headersFrame), 1<<40)
	for name, parts := range map[string][][]byte{
		"DATA before HEADERS":              {frame(dataFrame, []byte("GET / HTTP/1.1\r\n\r\n")), head(request("GET", "/")...)},
		"SETTINGS on a request":            {frame(0x4, nil), head(request("GET", "/")...)},
		"GOAWAY on a request":              {frame(0x7, []byte{0}), head(request("GET", "/")...)},
		"HTTP/2's PING":                    {frame(0x6, make([]byte, 8)), head(request("GET", "/")...)},
		"HTTP/2's PRIORITY":                {frame(0x2, make([]byte, 5)), head(request("GET", "/")...)},
		"HTTP/2's WINDOW_UPDATE":           {frame(0x8, make([]byte, 4)), head(request("GET", "/")...)},
		"HTTP/2's CONTINUATION":            {frame(0x9, nil), head(request("GET", "/")...)},
		"a head of a terabyte":             {huge},
		"a head that is cut":               {head(request("GET", "/")...)[:9]},
		"an empty head":                    {frame(headersFrame, nil)},
		"a reference to a dynamic table":   {frame(headersFrame, []byte{0x02, 0x00, 0x80})},
		"an entry beyond the static table": {frame(headersFrame, []byte{0x00, 0x00, 0xff, 0xff, 0xff, 0x7f})},
		"a string without end":             {frame(headersFrame, []byte{0x00, 0x00, 0x27, 0xff, 0xff, 0xff, 0xff, 0x0f})},
		"broken Huffman":                   {frame(headersFrame, []byte{0x00, 0x00, 0x2b, 0xff, 0xff, 0xff, 0xff, 0xff})},
		"a stream with nothing":            {},
		"noise":                            {[]byte("GET / HTTP/1.1\r\nHost: app.example\r\n\r\n")},
		"only frames of the future":        {frame(0x21, bytes.Repeat([]byte("x"), 100_000))},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := w.send(w.dial(), parts...); err == nil && got != "431" {
				t.Errorf("got %q", got)
			}
			if reached.Load() != 0 {
				t.Error("it reached the handler")
			}
		})
	}
	if got, err := w.send(w.dial(), head(request("GET", "/")...)); got != "200" {
		t.Errorf("an honest client: got %q, %v", got, err)
	}
}

// SYSTEM P6: a head that arrives slowly, or never, ends with its time, and so does a GET that does not say whether it has a body.
func TestSlowHeadsEnd(t *testing.T) {
	var reached atomic.Int64
	w := newWorld(t, func(w http.ResponseWriter, r *http.Request) { reached.Add(1) }, http3.Times{Header: 300 * time.Millisecond}, func(c *http3.Config) { c.MaxStreams = 8 })
	whole := head(request("GET", "/", field{"x", strings.Repeat("a", 4000)})...)
	for name, attack := range map[string]func(str *quic.Stream){
		"nothing but one byte":      func(str *quic.Stream) { str.Write(whole[:1]) },
		"half a head":               func(str *quic.Stream) { str.Write(whole[:2000]) },
		"frames of the future only": func(str *quic.Stream) { drip(str, bytes.Repeat(frame(0x21, []byte("x")), 1000)) },
		"a byte at a time":          func(str *quic.Stream) { drip(str, whole) },
		"a whole head, and no end":  func(str *quic.Stream) { str.Write(whole) },
	} {
		t.Run(name, func(t *testing.T) {
			c := w.dial()
			var streams sync.WaitGroup
			for range 8 { // all that a client may have
				str, err := c.OpenStreamSync(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				streams.Go(func() {
					go attack(str)
					begun := time.Now()
					if status, err := answer(str); err == nil && status != "408" {
						t.Errorf("got %q", status)
					}
					if took := time.Since(begun); took > 3*time.Second {
						t.Errorf("it took %v", took)
					}
				})
			}
			streams.Wait()
			if got, err := w.send(c, whole); got != "200" {
				t.Errorf("afterwards, honestly: got %q, %v", got, err)
			}
		})
	}
	if got := reached.Load(); got != 5 {
		t.Errorf("%d requests reached the handler, want the 5 honest ones", got)
	}
}

func drip(str *quic.Stream, all []byte) {
	for i := range all {
		if _, err := str.Write(all[i : i+1]); err != nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// SYSTEM P6: streams that are taken back as soon as they are opened (CVE-2023-44487, in QUIC) do not add up.
func TestStreamsThatAreTakenBackCount(t *testing.T) {
	const most = 16
	var now, peak, all atomic.Int64
	w := newWorld(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/honest" {
			return
		}
		n := now.Add(1)
		defer now.Add(-1)
		all.Add(1)
		for p := peak.Load(); n > p && !peak.CompareAndSwap(p, n); p = peak.Load() {
		}
		time.Sleep(200 * time.Millisecond) // a handler takes a moment to notice
	}, http3.Times{}, func(c *http3.Config) { c.MaxStreams = most })
	c := w.dial()
	attack := head(request("GET", "/")...)
	ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
	defer cancel()
	opened := 0
	for {
		str, err := c.OpenStreamSync(ctx)
		if err != nil {
			break
		}
		opened++
		str.Write(attack)
		str.Close()
		if opened%2 == 0 {
			time.Sleep(time.Millisecond) // so that some of them are read before they are taken back
		}
		str.CancelRead(0x10c)
		str.CancelWrite(0x10c)
		if opened%20 == 0 {
			if status, err := w.send(w.dial(), head(request("GET", "/honest")...)); status != "200" {
				t.Errorf("an honest client: got %q, %v", status, err)
			}
		}
	}
	if peak.Load() > most || all.Load() == 0 {
		t.Errorf("%d handlers at once of %d streams, want up to %d", peak.Load(), opened, most)
	}
	t.Logf("%d streams were opened and taken back, %d reached the handler, %d at once", opened, all.Load(), peak.Load())
}

// SYSTEM P6: connections are bounded, altogether and for one address, and a place that is given back is there again.
func TestConnectionsAreBounded(t *testing.T) {
	for name, change := range map[string]func(*http3.Config){
		"altogether":       func(c *http3.Config) { c.MaxConns = 3 },
		"from one address": func(c *http3.Config) { c.MaxPerAddress = 3 },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(w http.ResponseWriter, r *http.Request) {}, http3.Times{}, change)
			var inside []*quic.Conn
			for range 3 {
				c := w.dial()
				if got, err := w.send(c, head(request("GET", "/")...)); got != "200" {
					t.Fatalf("got %q, %v", got, err)
				}
				inside = append(inside, c)
			}
			over := w.dial()
			select {
			case <-over.Context().Done():
			case <-time.After(5 * time.Second):
				t.Fatal("a fourth connection stays")
			}
			if closed := new(quic.ApplicationError); !errors.As(context.Cause(over.Context()), &closed) || closed.ErrorCode != quic.ApplicationErrorCode(quichttp3.ErrCodeExcessiveLoad) {
				t.Errorf("it was closed by %v", context.Cause(over.Context()))
			}
			inside[0].CloseWithError(0, "")
			w.eventually("its place is free", func() bool {
				got, _ := w.send(w.dial(), head(request("GET", "/")...))
				return got == "200"
			})
		})
	}
}

// SYSTEM P6: a connection on which nothing is asked ends, however many packets it sends.
func TestIdleConnectionsEnd(t *testing.T) {
	w := newWorld(t, func(w http.ResponseWriter, r *http.Request) {}, http3.Times{Idle: 200 * time.Millisecond})
	fresh, used := w.dial(func(c *quic.Config) { c.KeepAlivePeriod = 20 * time.Millisecond }), w.dial(func(c *quic.Config) { c.KeepAlivePeriod = 20 * time.Millisecond })
	if got, err := w.send(used, head(request("GET", "/")...)); got != "200" {
		t.Fatalf("got %q, %v", got, err)
	}
	for name, c := range map[string]*quic.Conn{"one on which nothing was ever asked": fresh, "one that has been used": used} {
		select {
		case <-c.Context().Done():
		case <-time.After(5 * time.Second):
			t.Errorf("%s stays", name)
		}
	}
}

// A client has a handful of streams that carry no requests, and cannot hold memory with more.
func TestOtherStreamsAreBounded(t *testing.T) {
	w := newWorld(t, func(w http.ResponseWriter, r *http.Request) {}, http3.Times{})
	c := w.dial() // one is open: the control stream
	opened := 1
	for ; opened < 1000; opened++ {
		str, err := c.OpenUniStream()
		if err != nil {
			break
		}
		str.Write([]byte{0x40}) // half of a type
	}
	if opened != 8 {
		t.Errorf("%d were opened, want 8", opened)
	}
	if got, err := w.send(c, head(request("GET", "/")...)); got != "200" {
		t.Errorf("got %q, %v", got, err)
	}
}

// SYSTEM P6: handshakes that do not get on are bounded; from some number on, clients must show that their address is theirs.
func TestHandshakesAreBoundedAndAddressesValidatedUnderLoad(t *testing.T) {
	hold := make(chan struct{})
	var holding atomic.Bool
	holding.Store(true)
	w := newWorld(t, func(w http.ResponseWriter, r *http.Request) {}, http3.Times{Handshakes: 4, Retry: 2, Handshake: 20 * time.Second}, func(c *http3.Config) {
		c.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			if holding.Load() {
				<-hold
			}
			return &identity, nil
		}
	})
	relay := newRelay(t, w.addr)
	through := &world{t: t, addr: relay.addr()}
	var dials sync.WaitGroup
	for i := range int64(4) {
		dials.Go(func() {
			if _, err := through.tryDial(func(c *quic.Config) { c.HandshakeIdleTimeout = 20 * time.Second }); err != nil {
				t.Errorf("one that waited: %v", err)
			}
		})
		w.eventually("its handshake has begun", func() bool { return w.server.Handshakes() == i+1 })
		if asked := relay.retries.Load() > 0; asked != (i >= 2) {
			t.Errorf("clients were asked to show their address: %t, at handshake %d", asked, i+1)
		}
	}
	refused, err := through.tryDial()
	if closed := new(quic.TransportError); !errors.As(err, &closed) || closed.ErrorCode != quic.ConnectionRefused {
		t.Errorf("a fifth: got %v, %v", refused, err)
	}
	holding.Store(false)
	close(hold)
	dials.Wait()
	w.eventually("the places are free again", func() bool { return w.server.Handshakes() == 0 })
	if got, err := w.send(through.dial(), head(request("GET", "/")...)); got != "200" {
		t.Errorf("afterwards: got %q, %v", got, err)
	}
}

// A handshake that fails gives its place back.
func TestFailedHandshakesGiveTheirPlacesBack(t *testing.T) {
	w := newWorld(t, func(w http.ResponseWriter, r *http.Request) {}, http3.Times{Handshakes: 2, Retry: 2}, func(c *http3.Config) {
		c.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			if hello.ServerName == "app.example" {
				return &identity, nil
			}
			return nil, errors.New("not ours")
		}
	})
	for range 5 {
		config := trust()
		config.ServerName = "evil.example"
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		if c, err := quic.DialAddr(ctx, w.addr, config, nil); err == nil {
			t.Errorf("got %v", c)
		}
		cancel()
		w.eventually("its place is free", func() bool { return w.server.Handshakes() == 0 })
	}
	if got, err := w.send(w.dial(), head(request("GET", "/")...)); got != "200" {
		t.Errorf("got %q, %v", got, err)
	}
}

// RFC 8446 section 8: what could be a replay is not taken. A client that resumes sends its request when the handshake is complete.
func TestNothingIsTakenBeforeTheHandshake(t *testing.T) {
	w := newWorld(t, func(w http.ResponseWriter, r *http.Request) {
		if !r.TLS.HandshakeComplete {
			t.Error("a request came before the handshake was complete")
		}
	}, http3.Times{})
	config := trust()
	config.ClientSessionCache = tls.NewLRUClientSessionCache(4)
	dial := func() *quic.Conn {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		c, err := quic.DialAddrEarly(ctx, w.addr, config, nil)
		if err != nil {
			t.Fatal(err)
		}
		control, err := c.OpenUniStream()
		if err != nil {
			t.Fatal(err)
		}
		control.Write([]byte{0x00, 0x04, 0x00})
		return c
	}
	for i := range 3 {
		c := dial()
		if got, err := w.send(c, head(request("GET", "/")...)); got != "200" {
			t.Fatalf("got %q, %v", got, err)
		}
		state := c.ConnectionState()
		if state.Used0RTT {
			t.Error("early data was taken")
		}
		if i == 2 && !state.TLS.DidResume {
			t.Error("no session was resumed, so that this test says nothing")
		}
		time.Sleep(50 * time.Millisecond) // for the ticket
		c.CloseWithError(0, "")
	}
}

// Other protocols on the same port are refused in the handshake.
func TestOtherProtocolsAreRefused(t *testing.T) {
	w := newWorld(t, func(w http.ResponseWriter, r *http.Request) {}, http3.Times{})
	for _, protocol := range []string{"h2", "hq-interop", "acme-tls/1", "redoubt-link/1", "h3-29"} {
		config := trust()
		config.NextProtos = []string{protocol}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		if _, err := quic.DialAddr(ctx, w.addr, config, nil); err == nil {
			t.Errorf("%s is spoken", protocol)
		}
		cancel()
	}
}

// SYSTEM P6: connections that read nothing cannot make us hold more than the windows' budget for all of them together; who finds it
// spent is slower, and served.
func TestReceiveWindowsShareABudget(t *testing.T) {
	w := newWorld(t, func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		fmt.Fprintf(w, "%d %v", n, err)
	}, http3.Times{})
	upload := func(c *http.Client) {
		t.Helper()
		resp, err := c.Post(origin+"/", "application/octet-stream", bytes.NewReader(make([]byte, 8<<20)))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if got, _ := io.ReadAll(resp.Body); string(got) != "8388608 <nil>" {
			t.Errorf("got %s", got)
		}
	}
	w.server.Spend(0)
	upload(w.client())
	if got := w.server.Windows(); got != 0 {
		t.Errorf("%d bytes were taken from a budget that is spent", -got)
	}
	w.server.Spend(http3.WindowBudget)
	c := w.client()
	upload(c)
	if got := w.server.Windows(); got >= http3.WindowBudget || got < http3.WindowBudget-(16<<20) {
		t.Errorf("the budget is %d after one upload", got)
	}
	c.CloseIdleConnections()
	w.eventually("what was taken is back", func() bool { return w.server.Windows() == http3.WindowBudget })
}

func TestAddressesAreCountedByWhatAClientCanChoose(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.1:1": "192.0.2.1/32", "[::ffff:192.0.2.1]:2": "192.0.2.1/32", "[2001:db8::1]:3": "2001:db8::/64", "[2001:db8::ffff:1]:4": "2001:db8::/64",
		"[2001:db8:0:1::1]:5": "2001:db8:0:1::/64", "[fe80::1%lo]:6": "fe80::/64",
	} {
		udp, err := net.ResolveUDPAddr("udp", addr)
		if err != nil {
			t.Fatal(err)
		}
		if got := http3.Neighbourhood(udp); got != want {
			t.Errorf("%s: got %s, want %s", addr, got, want)
		}
	}
	if got := http3.Neighbourhood(&net.UnixAddr{Name: "x"}); got != "invalid Prefix" {
		t.Errorf("got %s", got)
	}
}

// Whatever bytes a client sends on a stream: the server lives, and serves the next one.
func FuzzStream(f *testing.F) {
	var reached atomic.Int64
	w := newWorld(f, func(w http.ResponseWriter, r *http.Request) {
		reached.Add(1)
		io.Copy(io.Discard, r.Body)
	}, http3.Times{Header: 50 * time.Millisecond})
	f.Add(head(request("GET", "/")...))
	f.Add(append(head(request("POST", "/", field{"content-length", "3"})...), frame(dataFrame, []byte("abc"))...))
	f.Add(frame(headersFrame, []byte{0x02, 0x00, 0x80}))
	f.Add(frame(0x21, []byte("x")))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, sent []byte) {
		w.t = t
		c, err := w.tryDial()
		if err != nil {
			t.Fatal(err)
		}
		defer c.CloseWithError(0, "")
		str, err := c.OpenStreamSync(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		str.Write(sent)
		str.Close()
		str.SetReadDeadline(time.Now().Add(5 * time.Second))
		if _, err := io.Copy(io.Discard, str); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%q got no answer", sent)
		}
	})
}
