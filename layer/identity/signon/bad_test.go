package signon_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-dev/redoubt/internal/devidp"
	"github.com/redoubt-dev/redoubt/layer/identity/signon"
)

// bomb is a hundred mebibytes of nothing, compressed.
func bomb() []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	io.WriteString(z, `{"x":"`)
	zeros := bytes.Repeat([]byte("0"), 1<<20)
	for range 100 {
		z.Write(zeros)
	}
	z.Close()
	return b.Bytes()
}

// raw answers with bytes that no server writes, and then does with the connection as it is told.
func raw(text string, then func(net.Conn)) http.HandlerFunc {
	return func(rw http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(rw).Hijack()
		if err != nil {
			panic(err)
		}
		defer conn.Close()
		io.WriteString(conn, text)
		if then != nil {
			then(conn)
		}
	}
}

// endless writes text until the other side has had enough, or the test would have hung.
func endless(text string) func(net.Conn) {
	return func(conn net.Conn) {
		block := strings.Repeat(text, 1+4096/len(text))
		for written := 0; written < 200<<20; written += len(block) {
			if _, err := io.WriteString(conn, block); err != nil {
				return
			}
		}
	}
}

// faults are what a provider, or whoever stands in its place, may do instead of an answer.
func faults(elsewhere, plain string) map[string]http.HandlerFunc {
	const kind = "application/json"
	squeezed := bomb()
	return map[string]http.HandlerFunc{
		"500":                    saying(500, kind, `{"error":"hunter2"}`),
		"404":                    saying(404, "text/html", `hunter2`),
		"204":                    saying(204, kind, ``),
		"206":                    saying(206, kind, `{"access_token":"hunter2"}`),
		"nothing":                saying(200, kind, ``),
		"half an object":         saying(200, kind, `{"issuer":"hunter2`),
		"a list":                 saying(200, kind, `["hunter2"]`),
		"null":                   saying(200, kind, `null`),
		"a member twice":         saying(200, kind, `{"issuer":"hunter2","issuer":"hunter2","keys":[],"keys":[],"access_token":"a","access_token":"b","sub":"a","sub":"a"}`),
		"members of other types": saying(200, kind, `{"issuer":7,"keys":7,"access_token":7,"sub":7}`),
		"not UTF-8":              saying(200, kind, "{\"issuer\":\"\xff\",\"keys\":\"\xff\",\"access_token\":\"\xff\",\"sub\":\"\xff\"}"),
		"a page":                 saying(200, "text/html", `<h1>hunter2</h1>`),
		"a page that is JSON":    saying(200, "text/plain", `{"access_token":"hunter2"}`),
		"a type that is none":    saying(200, ";;;", `{"access_token":"hunter2"}`),
		"a redirect on itself":   func(rw http.ResponseWriter, r *http.Request) { http.Redirect(rw, r, r.URL.String(), http.StatusFound) },
		"a redirect elsewhere": func(rw http.ResponseWriter, r *http.Request) {
			http.Redirect(rw, r, elsewhere+r.URL.Path, http.StatusTemporaryRedirect)
		},
		"a redirect to http": func(rw http.ResponseWriter, r *http.Request) {
			http.Redirect(rw, r, plain+r.URL.Path, http.StatusPermanentRedirect)
		},
		"a redirect to a file": func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Location", "file:///etc/passwd")
			rw.WriteHeader(http.StatusMovedPermanently)
		},
		"a hundred mebibytes": raw("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 104857600\r\n\r\n{\"x\":\"", endless("hunter2")),
		"a body without end":  raw("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"x\":\"", endless("hunter2")),
		"chunks without end":  raw("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n", endless("1\r\nx\r\n")),
		"a hundred mebibytes, squeezed": func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Type", kind)
			rw.Header().Set("Content-Encoding", "gzip")
			rw.Write(squeezed)
		},
		"a header of a mebibyte":     raw("HTTP/1.1 200 OK\r\nX: "+strings.Repeat("hunter2", 150_000)+"\r\n\r\n", nil),
		"headers without end":        raw("HTTP/1.1 200 OK\r\n", endless("X: hunter2\r\n")),
		"hints without end":          raw("", endless("HTTP/1.1 103 Early Hints\r\nX: hunter2\r\n\r\n")),
		"a status line without end":  raw("HTTP/1.1 200 ", endless("hunter2")),
		"another protocol":           raw("SSH-2.0-hunter2\r\n", nil),
		"two lengths":                raw("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}x", nil),
		"less than it promises":      raw("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"x\":\"hunter2", nil),
		"a connection that ends":     raw("", nil),
		"a connection that is reset": raw("", func(conn net.Conn) { reset(conn) }),
		"a reset within the answer":  raw("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"x\":\"hunter2", func(conn net.Conn) { reset(conn) }),
	}
}

func reset(conn net.Conn) {
	if under, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = under.NetConn()
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	conn.Close()
}

func TestAProviderThatIsIllSignsNobodyInAndHoldsNobodyUp(t *testing.T) {
	var strays atomic.Int32
	stray := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { strays.Add(1) })
	elsewhere, plain := httptest.NewTLSServer(stray), httptest.NewServer(stray)
	defer elsewhere.Close()
	defer plain.Close()
	for name, fault := range faults(elsewhere.URL, plain.URL) {
		for _, path := range []string{"/.well-known/openid-configuration", "/jwks", "/token", "/userinfo"} {
			t.Run(name+" at "+path, func(t *testing.T) {
				w := lean(t)
				begun := time.Now()
				got, err := w.throughFault(path, fault)
				if err == nil || !reflect.DeepEqual(got, signon.Claims{}) {
					t.Fatalf("got %v, %v, want nobody", fields(got), err)
				}
				if !slices.Contains(signon.Names(), signon.Name(err)) || strings.Contains(err.Error(), "hunter2") || len(err.Error()) > 300 {
					t.Errorf("got %.500v, which is not a short sentence of ours", err)
				}
				if took := time.Since(begun); took > 5*time.Second {
					t.Errorf("it took %v", took)
				}
				w.front.Store(nil)
				w.clock.pass(time.Minute)
				if _, err := w.signIn("alice"); err != nil {
					t.Errorf("the provider is well again, but: %v", err)
				}
			})
		}
	}
	if got := strays.Load(); got != 0 {
		t.Errorf("%d requests went elsewhere", got)
	}
}

// throughFault signs in with one address of the provider's broken.
func (w *world) throughFault(path string, fault http.HandlerFunc) (signon.Claims, error) {
	if strings.HasPrefix(path, "/.well-known") {
		w.before(path, fault)
		_, _, err := w.rp.Begin(w.t.Context(), signon.BeginOptions{})
		return signon.Claims{}, err
	}
	to, pending := w.begin()
	answer := w.visit(to, "alice")
	w.before(path, fault)
	return w.rp.Finish(w.t.Context(), pending, answer)
}

func TestCertificatesAreChecked(t *testing.T) {
	w := newWorld(t)
	for name, one := range map[string]struct {
		issuer string
		client *http.Client
		want   string
	}{
		"of an authority that nobody knows": {w.server.URL, nil, "certificate"},
		"for another name":                  {strings.Replace(w.server.URL, "127.0.0.1", "localhost", 1), w.server.Client(), "certificate"},
		"none, for it is plain http":        {plainAsTLS(t), nil, "TLS"},
	} {
		rp, err := signon.New(signon.Config{Issuer: one.issuer, ClientID: "shop", ClientSecret: "x", RedirectURL: callback, HTTP: one.client})
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = rp.Begin(t.Context(), signon.BeginOptions{})
		refused(t, err, signon.ErrUnreachable)
		if !strings.Contains(err.Error(), one.want) {
			t.Errorf("%s: got %v, want it to speak of %s", name, err, one.want)
		}
	}
}

func plainAsTLS(t *testing.T) string {
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	return strings.Replace(server.URL, "http://", "https://", 1)
}

// A pipe is a network on which time is the test's.
type pipe struct {
	serve func(net.Conn)
	all   sync.WaitGroup // the provider's ends
}

func (p *pipe) client() *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		p.all.Go(func() { p.serve(theirs); theirs.Close() })
		return ours, nil
	}}}
}

// drip writes head at once and then a letter per second, until nobody reads any more.
func drip(head string) func(net.Conn) {
	return func(conn net.Conn) {
		go io.Copy(io.Discard, conn)
		io.WriteString(conn, head)
		for {
			time.Sleep(time.Second)
			if _, err := io.WriteString(conn, " "); err != nil {
				return
			}
		}
	}
}

func TestAProviderThatIsSlowIsWaitedForFiveSeconds(t *testing.T) {
	silent := func(conn net.Conn) { io.Copy(io.Discard, conn) }
	for name, serve := range map[string]func(net.Conn){
		"silence":               silent,
		"a header in drops":     drip("HTTP/1.1 200 OK\r\nX: "),
		"a body in drops":       drip("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n"),
		"nobody reads":          func(conn net.Conn) { time.Sleep(time.Hour) },
		"hints, one per second": func(conn net.Conn) { hints(conn) },
	} {
		for _, scheme := range []string{"http", "https"} {
			t.Run(name+" over "+scheme, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					network := &pipe{serve: serve}
					defer network.all.Wait() // that nothing of ours remains, the bubble checks itself
					rp, err := signon.New(signon.Config{Issuer: scheme + "://127.0.0.1", ClientID: "shop", ClientSecret: "x", RedirectURL: callback, HTTP: network.client()})
					if err != nil {
						t.Fatal(err)
					}
					begun := time.Now()
					_, _, err = rp.Begin(t.Context(), signon.BeginOptions{})
					refused(t, err, signon.ErrUnreachable)
					if took := time.Since(begun); took > 5*time.Second {
						t.Errorf("it took %v", took)
					}
					for range 100 { // nor does it hold up those who come after
						if _, _, err := rp.Begin(t.Context(), signon.BeginOptions{}); err == nil {
							t.Error("somebody was sent off")
						}
					}
					if took := time.Since(begun); took > 6*time.Second {
						t.Errorf("a hundred and one visitors took %v", took)
					}
				})
			})
		}
	}
}

func hints(conn net.Conn) {
	go io.Copy(io.Discard, conn)
	for {
		if _, err := io.WriteString(conn, "HTTP/1.1 103 Early Hints\r\n\r\n"); err != nil {
			return
		}
		time.Sleep(time.Second)
	}
}

// All that one call asks comes out of one purse: four slow answers are not four times five seconds.
func TestSlowAnswersAreBoundedTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		idp, err := devidp.New(devidp.Config{Issuer: "http://127.0.0.1", Clients: []devidp.Client{{ID: "shop", Secret: "s", RedirectURIs: []string{callback}}},
			People: []devidp.Person{{Subject: "alice", Name: "Alice"}}})
		if err != nil {
			t.Fatal(err)
		}
		rp, err := signon.New(signon.Config{Issuer: "http://127.0.0.1", ClientID: "shop", ClientSecret: "s", RedirectURL: callback, Userinfo: true,
			HTTP: &http.Client{Transport: slowly{direct{idp}}}})
		if err != nil {
			t.Fatal(err)
		}
		idp.Misbehave(func(token *devidp.Token) { delete(token.Claims, "groups") })
		to, pending, err := rp.Begin(t.Context(), signon.BeginOptions{})
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		_, err = rp.Finish(t.Context(), pending, chosen(t, idp, to))
		refused(t, err, signon.ErrUnreachable)
		if took := time.Since(begun); took != 5*time.Second {
			t.Errorf("it took %v, want five seconds for all questions", took)
		}
	})
}

// slowly is a network on which everything takes two seconds.
type slowly struct{ next http.RoundTripper }

func (s slowly) RoundTrip(r *http.Request) (*http.Response, error) {
	select {
	case <-time.After(2 * time.Second):
		return s.next.RoundTrip(r)
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// chosen clicks on alice, without a network.
func chosen(t *testing.T, idp http.Handler, to string) url.Values {
	t.Helper()
	ask := func(r *http.Request, cookies []*http.Cookie) *httptest.ResponseRecorder {
		r.RemoteAddr, r.Host = "127.0.0.1:1", "127.0.0.1"
		for _, c := range cookies {
			r.AddCookie(c)
		}
		recorder := httptest.NewRecorder()
		idp.ServeHTTP(recorder, r)
		return recorder
	}
	page := ask(httptest.NewRequest("GET", to, nil), nil)
	form := url.Values{"subject": {"alice"}}
	for _, m := range hidden.FindAllStringSubmatch(page.Body.String(), -1) {
		form.Set(m[1], m[2])
	}
	click := httptest.NewRequest("POST", "http://127.0.0.1/choose", strings.NewReader(form.Encode()))
	click.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	back, err := ask(click, page.Result().Cookies()).Result().Location()
	if err != nil {
		t.Fatal(err)
	}
	return back.Query()
}
