package transport_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/transport"
)

var update = flag.Bool("update", false, "rewrite testdata/*.golden from what the code does")

const origin = "https://app.example.com"

// config is a valid configuration whose refusals are plain text: "<status> <reason>: <public>".
func config() transport.Config {
	return transport.Config{
		Origin:     origin,
		FormAction: []string{"https://login.example.net"},
		TokenKey:   bytes.Repeat([]byte("k"), 32),
		Refuse:     refuse,
		Log:        slog.New(slog.DiscardHandler),
	}
}

var statuses = map[layer.Reason]int{
	layer.Forbidden: 403, layer.Malformed: 400, layer.TooLarge: 413, layer.Unsupported: 415, layer.Unavailable: 503,
}

func refuse(w http.ResponseWriter, _ *http.Request, why *layer.Refusal) {
	if why.By != layer.Transport || why.Cause == nil {
		panic("a refusal without its author or cause")
	}
	http.Error(w, fmt.Sprintf("%s: %s", why.Reason, why.Public), statuses[why.Reason])
}

func must(t testing.TB, cfg transport.Config) *transport.Transport {
	t.Helper()
	tr, err := transport.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func TestNewReportsEveryProblemAtOnce(t *testing.T) {
	_, err := transport.New(transport.Config{
		Origin: "http://app.example.com", FormAction: []string{"https://login.example.net/path"}, Callers: []string{"*"},
		TokenKey: []byte("short"), TrustedTypes: "a; script-src *", Bounds: transport.Bounds{MaxBody: -1},
	})
	if err == nil {
		t.Fatal("New accepted a configuration that is wrong throughout")
	}
	for _, want := range []string{"Origin", "FormAction", "Callers", "TokenKey has 5 bytes", "TrustedTypes", "Refuse", "Bounds"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("New does not mention %s in:\n%v", want, err)
		}
	}
}

func TestNewTakesOriginsInTheSpellingOfBrowsersOnly(t *testing.T) {
	for _, bad := range []string{
		"", "app.example.com", "https://", "https://App.example.com", "https://app.example.com/", "https://app.example.com:443",
		"https://app.example.com:", "https://u@app.example.com", "https://app.example.com?q", "https://app.example.com#f",
		"https://*.example.com", "https://a;b", "https://a b", "https://a,b", "ftp://app.example.com", "HTTPS://app.example.com",
		"http://localhost:8080", "null",
	} {
		cfg := config()
		cfg.Origin = bad
		if _, err := transport.New(cfg); err == nil {
			t.Errorf("New accepted Origin %q", bad)
		}
	}
	for _, good := range []string{"https://localhost:8443", "https://[::1]:8443", "https://a-b.example.com"} {
		cfg := config()
		cfg.Origin = good
		cfg.FormAction = []string{"http://localhost:9000", "http://127.0.0.1:9000"}
		if _, err := transport.New(cfg); err != nil {
			t.Errorf("New(Origin %q): %v", good, err)
		}
	}
}

// weaken does to a header map all that a hostile or careless handler could.
func weaken(h http.Header) {
	for _, key := range []string{
		"Strict-Transport-Security", "X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy", "Permissions-Policy",
		"Cross-Origin-Opener-Policy", "Cross-Origin-Resource-Policy", "Content-Security-Policy", "Cache-Control",
	} {
		h.Del(key)
		h[strings.ToLower(key)] = []string{"weak", "weaker"} // a second spelling
		h.Add(key, "weakest")
	}
	for _, key := range []string{
		"Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Content-Security-Policy-Report-Only", "Refresh",
		"Report-To", "Server", "Cross-Origin-Embedder-Policy", "Trailer", "X-Powered-By", "Sourcemap", "Timing-Allow-Origin",
	} {
		h.Set(key, "https://evil.example")
	}
	h["X-Split"] = []string{"a\r\nX-Frame-Options: ALLOWALL"}
	h["X-Frame-Options: ALLOWALL"] = []string{"x"}
	h[http.TrailerPrefix+"X-Frame-Options"] = []string{"ALLOWALL"}
}

// zoo holds every way in which a handler can answer, or fail to.
var zoo = map[string]http.HandlerFunc{
	"answers in HTML": func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, "<script nonce=%q></script>", transport.Nonce(r.Context()))
	},
	"answers in JSON": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, "{}")
	},
	"answers HTML without a type": func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html><script>1</script>") },
	"answers with two types": func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = []string{"application/json", "text/html"}
	},
	"answers with an unreadable type": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html, image/svg+xml")
	},
	"never writes":         func(http.ResponseWriter, *http.Request) {},
	"answers no content":   func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
	"answers not modified": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotModified) },
	"sends early hints first": func(w http.ResponseWriter, _ *http.Request) {
		weaken(w.Header())
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusOK)
	},
	"writes its status twice": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404); w.WriteHeader(200) },
	"uses http.Error":         func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusTeapot) },
	"redirects to a path": func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/elsewhere?a=b", http.StatusSeeOther)
	},
	"redirects to the provider": func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://login.example.net/authorize?x=y", http.StatusFound)
	},
	"redirects to another site": func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, transport.Cookie("session", "secret", 0))
		http.Redirect(w, r, "https://evil.example/", http.StatusFound)
		io.WriteString(w, "and goes on writing")
	},
	"serves a range": func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set("Range", "bytes=2-4")
		w.Header().Set("Cache-Control", transport.Immutable)
		http.ServeContent(w, r, "a.css", time.Unix(1e9, 0), strings.NewReader("0123456789"))
	},
	"serves a range that is not there": func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set("Range", "bytes=20-")
		w.Header().Set("Cache-Control", transport.Immutable)
		http.ServeContent(w, r, "a.css", time.Unix(1e9, 0), strings.NewReader("0123456789"))
	},
	"lets HTML be cached": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Cache-Control", transport.Immutable)
	},
	"lets a cookie be cached": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", transport.Immutable)
		http.SetCookie(w, transport.Cookie("session", "secret", time.Hour))
	},
	"asks for another cache rule": func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Cache-Control", "public, max-age=60") },
	"streams with Flush": func(w http.ResponseWriter, _ *http.Request) {
		weaken(w.Header())
		w.Header().Set("Content-Type", "text/event-stream")
		w.(http.Flusher).Flush()
		weaken(w.Header())
		io.WriteString(w, "data: x\n\n")
		if err := http.NewResponseController(w).Flush(); err != nil {
			panic(err)
		}
	},
	"weakens the headers":                  func(w http.ResponseWriter, _ *http.Request) { weaken(w.Header()) },
	"weakens the headers of an error":      func(w http.ResponseWriter, _ *http.Request) { weaken(w.Header()); http.Error(w, "no", 500) },
	"weakens the headers of a page":        func(w http.ResponseWriter, _ *http.Request) { weakPage(w) },
	"weakens the headers, then panics":     func(w http.ResponseWriter, _ *http.Request) { weaken(w.Header()); panic("secret") },
	"weakens a map that it kept, too late": keepsTheMap,
	"sets bad cookies":                     setsBadCookies,
	"panics before writing":                func(http.ResponseWriter, *http.Request) { panic(errors.New("secret")) },
	"writes a status that does not exist":  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(0) },
}

func weakPage(w http.ResponseWriter) {
	weaken(w.Header())
	w.Header().Set("Content-Type", "text/html")
	io.WriteString(w, "<p>")
}

func keepsTheMap(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	w.WriteHeader(http.StatusOK)
	weaken(h)
	clear(h)
}

func setsBadCookies(w http.ResponseWriter, _ *http.Request) {
	for _, c := range []string{
		"session=secret; Secure; HttpOnly; Path=/; SameSite=Lax",
		"__Host-a=secret; HttpOnly; Path=/; SameSite=Lax",
		"__Host-b=secret; Secure; Path=/; SameSite=Lax",
		"__Host-c=secret; Secure; HttpOnly; Path=/",
		"__Host-d=secret; Secure; HttpOnly; Path=/; SameSite=None",
		"__Host-e=secret; Secure; HttpOnly; Path=/x; SameSite=Lax",
		"__Host-f=secret; Secure; HttpOnly; Path=/; SameSite=Lax; Domain=example.com",
		"__Host-g=secret; Secure; HttpOnly; Path=/; SameSite=Lax; SameSite=None",
		"__host-h=secret; Secure; HttpOnly; Path=/; SameSite=Lax",
		"__Host-i=" + strings.Repeat("x", 4096) + "; Secure; HttpOnly; Path=/; SameSite=Lax",
		"=; ;",
		"__Host-good=kept; Odd=attribute; HttpOnly; SameSite=Strict; Secure; Path=/",
	} {
		w.Header().Add("Set-Cookie", c)
	}
	w.Header()["set-cookie"] = []string{"session=secret"}
}

// TestNoHandlerCanLoseAHeader (SYSTEM T1, T2) serves the zoo over HTTP/1.1 and HTTP/2, and compares every response, whole, with
// testdata/headers.golden. What is the same everywhere stands at its top; a response that lacks or changes it says so.
func TestNoHandlerCanLoseAHeader(t *testing.T) {
	want, err := os.ReadFile("testdata/headers.golden")
	if err != nil && !*update {
		t.Fatal(err)
	}
	for _, proto := range []string{"HTTP/2.0", "HTTP/1.1"} {
		got := servedHeaders(t, proto)
		if *update {
			if err := os.WriteFile("testdata/headers.golden", []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
			want = []byte(got)
		}
		if got != string(want) {
			t.Errorf("over %s, the headers differ from testdata/headers.golden (go test -update, then read the difference):\n%s", proto, got)
		}
	}
}

func servedHeaders(t *testing.T, proto string) string {
	tr := must(t, config())
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Request-Id", "set-outside")
		tr.Handler(zoo[r.URL.Query().Get("q")]).ServeHTTP(w, r)
	}))
	srv.EnableHTTP2 = proto == "HTTP/2.0"
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	srv.StartTLS()
	defer srv.Close()
	client := srv.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	var b strings.Builder
	var same http.Header
	for _, name := range slices.Sorted(maps.Keys(zoo)) {
		early := &httptrace.ClientTrace{Got1xxResponse: func(code int, _ textproto.MIMEHeader) error {
			t.Errorf("%s: an informational response %d came through", name, code)
			return nil
		}}
		req, _ := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), early), "GET", srv.URL, nil)
		req.URL.RawQuery = "q=" + strings.ReplaceAll(name, " ", "+")
		resp, err := client.Do(req)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.Proto != proto || len(resp.Trailer) > 0 {
			t.Errorf("%s: got %s and trailer %v", name, resp.Proto, resp.Trailer)
		}
		if strings.Contains(string(body), "secret") {
			t.Errorf("%s: the response shows a secret: %q", name, body)
		}
		if same == nil {
			same = everywhere(resp.Header)
			fmt.Fprintf(&b, "== every response ==\n%s\n", readable(same, nil))
		}
		fmt.Fprintf(&b, "== a handler that %s ==\n%d\n%s\n", name, resp.StatusCode, readable(resp.Header, same))
	}
	return b.String()
}

// everywhere picks from h the headers that every response must have, with the same value.
func everywhere(h http.Header) http.Header {
	same := http.Header{}
	for _, key := range []string{
		"Strict-Transport-Security", "X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy", "Permissions-Policy",
		"Cross-Origin-Opener-Policy", "Cross-Origin-Resource-Policy", "X-Permitted-Cross-Domain-Policies", "Reporting-Endpoints",
		"X-Request-Id",
	} {
		same[key] = h[key]
	}
	return same
}

var nonce = regexp.MustCompile(`'nonce-[A-Z2-7]{26}'`)

// readable writes h line by line, without what is in same.
func readable(h, same http.Header) string {
	h = h.Clone()
	for key, values := range same {
		if slices.Equal(h[key], values) {
			h.Del(key)
		} else {
			h[key] = append(h[key], "(NOT THE SAME AS EVERYWHERE)")
		}
	}
	h.Del("Date")
	h.Del("Content-Length")
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(h)) {
		for _, v := range h[key] {
			fmt.Fprintf(&b, "%s: %s\n", key, nonce.ReplaceAllString(v, "'nonce-FRESH'"))
		}
	}
	return b.String()
}

func TestEachPageHasANonceOfItsOwn(t *testing.T) { // SYSTEM T2
	h := must(t, config()).Handler(zoo["answers in HTML"])
	seen := map[string]bool{}
	for range 100 {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		sent := nonce.FindString(w.Header().Get("Content-Security-Policy"))
		given := "'nonce-" + strings.Split(w.Body.String(), `"`)[1] + "'"
		if sent == "" || sent != given || seen[sent] {
			t.Fatalf("the policy has nonce %q, the page %q, seen before: %v", sent, given, seen[sent])
		}
		seen[sent] = true
	}
	if got := transport.Nonce(context.Background()); got != "" {
		t.Errorf("Nonce outside a request = %q, want none", got)
	}
}

func TestTrustedTypesPolicyIsNoneOrTheNamedOne(t *testing.T) {
	for name, want := range map[string]string{"": "; trusted-types 'none';", "redoubt": "; trusted-types redoubt;"} {
		cfg := config()
		cfg.TrustedTypes = name
		w := httptest.NewRecorder()
		must(t, cfg).Handler(zoo["answers in HTML"]).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		if got := w.Header().Get("Content-Security-Policy"); !strings.Contains(got, want) {
			t.Errorf("TrustedTypes %q: policy %q lacks %q", name, got, want)
		}
	}
}

func TestTheWriterOffersNoWayAround(t *testing.T) {
	zooKeeper := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if _, ok := w.(interface{ Unwrap() http.ResponseWriter }); ok {
			t.Error("the real writer can be unwrapped")
		}
		if _, ok := w.(http.Hijacker); ok {
			t.Error("the connection can be taken over")
		}
		if _, _, err := http.NewResponseController(w).Hijack(); !errors.Is(err, http.ErrNotSupported) {
			t.Errorf("Hijack through the controller: %v", err)
		}
		if _, ok := w.(http.Pusher); ok {
			t.Error("a response can be pushed without being sealed")
		}
	})
	must(t, config()).Handler(zooKeeper).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
}

func TestAPanicAfterWritingCutsTheConnection(t *testing.T) {
	var log bytes.Buffer
	cfg := config()
	cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
	cfg.RequestID = func(context.Context) string { return "request-7" }
	srv := httptest.NewServer(must(t, cfg).Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "half of it")
		w.(http.Flusher).Flush()
		panic("too bad")
	})))
	resp, err := http.Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.ReadAll(resp.Body)
	srv.Close()
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("reading a response that panicked half way: %v, want an unexpected end", err)
	}
	for _, want := range []string{"too bad", "request=request-7", "layer=transport", "stack="} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %q: %s", want, log.String())
		}
	}
}

func TestAbortIsLeftAlone(t *testing.T) {
	defer func() {
		if p := recover(); p != http.ErrAbortHandler {
			t.Errorf("recovered %v, want http.ErrAbortHandler", p)
		}
	}()
	must(t, config()).Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })).
		ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
}

func TestABrokenRefuseIsStillAnError(t *testing.T) {
	for name, refuse := range map[string]func(http.ResponseWriter, *http.Request, *layer.Refusal){
		"panics":         func(http.ResponseWriter, *http.Request, *layer.Refusal) { panic("secret") },
		"writes nothing": func(http.ResponseWriter, *http.Request, *layer.Refusal) {},
	} {
		cfg := config()
		cfg.Refuse = refuse
		w := httptest.NewRecorder()
		must(t, cfg).Handler(zoo["panics before writing"]).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		if w.Code != 500 || w.Header().Get("X-Frame-Options") != "DENY" || strings.Contains(w.Body.String(), "secret") {
			t.Errorf("Refuse %s: got %d %v %q", name, w.Code, w.Header(), w.Body)
		}
	}
}

func TestARefuseThatPanicsHalfWayCutsTheConnection(t *testing.T) {
	cfg := config()
	cfg.Refuse = func(w http.ResponseWriter, _ *http.Request, _ *layer.Refusal) { w.WriteHeader(403); panic("secret") }
	defer func() {
		if p := recover(); p != http.ErrAbortHandler {
			t.Errorf("recovered %v, want http.ErrAbortHandler", p)
		}
	}()
	must(t, cfg).Handler(zoo["panics before writing"]).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
}

func TestARefuseMayNotRedirectAwayEither(t *testing.T) {
	cfg := config()
	cfg.Refuse = func(w http.ResponseWriter, r *http.Request, _ *layer.Refusal) {
		http.Redirect(w, r, "https://evil.example/", http.StatusFound)
	}
	w := httptest.NewRecorder()
	must(t, cfg).Handler(zoo["redirects to another site"]).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if got := w.Header().Get("Location"); got != "" {
		t.Errorf("a refusal leads to %q", got)
	}
}

func TestWhatIsTakenOutIsLoggedWithoutItsValue(t *testing.T) {
	for name, want := range map[string][]string{
		"sets bad cookies":          {"cookie=__Host-d", "cookie=session", "unreadable cookie"},
		"redirects to another site": {"redirect to another site"},
	} {
		var log bytes.Buffer
		cfg := config()
		cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
		must(t, cfg).Handler(zoo[name]).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
		for _, w := range want {
			if !strings.Contains(log.String(), w) {
				t.Errorf("%s: the log lacks %q: %s", name, w, log.String())
			}
		}
		if strings.Contains(log.String(), "secret") || strings.Contains(log.String(), "evil") {
			t.Errorf("%s: the log repeats what was taken out: %s", name, log.String())
		}
	}
}
