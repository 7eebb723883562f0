package richtext_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/redoubt-dev/redoubt/internal/browser"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/transport"
)

// A stage serves pages with payloads in them, and is everything else there is: whatever the browser asks of another host comes to its
// proxy, which is the only way out, and is written down.
type stage struct {
	ctx     context.Context // of the browser
	origin  string
	scripts map[string]string
	others  *httptest.Server // is every other host, with TLS

	mu    sync.Mutex
	texts []string // what is in the boxes, or in the frames
	trees bool     // the boxes are built by the page's script, of trees
	bare  bool     // the frames have no policy
	asked []string // what is none of a page's business
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{scripts: map[string]string{}}
	for _, name := range []string{"hooks.js", "look.js", "play.js"} {
		text, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		s.scripts[name] = string(text)
	}
	srv := httptest.NewUnstartedServer(nil)
	host := strings.Replace(srv.Listener.Addr().String(), "127.0.0.1", "localhost", 1)
	s.origin = "https://" + host
	srv.Config.Handler = s.routes(t)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	s.others = httptest.NewUnstartedServer(http.HandlerFunc(s.elsewhere))
	s.others.Config.ErrorLog = log.New(io.Discard, "", 0) // of payloads that do not speak TLS
	s.others.StartTLS()
	t.Cleanup(s.others.Close)
	proxy := httptest.NewServer(http.HandlerFunc(s.out))
	t.Cleanup(proxy.Close)
	s.ctx = browser.Open(t, chromedp.IgnoreCertErrors, chromedp.ProxyServer(proxy.URL), chromedp.Flag("proxy-bypass-list", "<-loopback>;"+host))
	return s
}

// routes puts all that holds a payload behind transport, as an application would. The page that holds the frames is the test's own.
func (s *stage) routes(t *testing.T) http.Handler {
	tr, err := transport.New(transport.Config{Origin: s.origin, TokenKey: make([]byte, 32),
		Refuse: func(w http.ResponseWriter, _ *http.Request, why *layer.Refusal) {
			http.Error(w, why.Public, http.StatusBadRequest)
		}})
	if err != nil {
		t.Fatal(err)
	}
	guarded := http.NewServeMux()
	guarded.HandleFunc("GET /boxes", s.boxes)
	guarded.HandleFunc("GET /frame/{n}", s.frame)
	guarded.HandleFunc("GET /files/{name}", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Type", "image/gif") })
	guarded.HandleFunc("/", s.stray)
	policed := tr.Handler(guarded)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /frames", s.frames)
	mux.HandleFunc("GET /frame/{n}", func(w http.ResponseWriter, r *http.Request) {
		if s.bare {
			s.frame(w, r)
		} else {
			policed.ServeHTTP(framed{w}, r)
		}
	})
	mux.Handle("/", policed)
	return mux
}

// framed lets a page be framed by the test's own page. Nothing else of its policy changes.
type framed struct{ http.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (f framed) WriteHeader(status int) {
	h := f.Header()
	h.Del("X-Frame-Options")
	h.Set("Content-Security-Policy", strings.Replace(h.Get("Content-Security-Policy"), "frame-ancestors 'none'; ", "", 1))
	f.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController, by which transport sets its deadlines.
func (f framed) Unwrap() http.ResponseWriter { return f.ResponseWriter }

// housekeeping is what the browser asks on its own account, about itself. It gets no answer either.
var housekeeping = regexp.MustCompile(`^(?:[a-z0-9-]+\.googleapis\.com|(?:accounts|clients2)\.google\.com)(?::443)?$`)

// out is the browser's way out. A connection for TLS leads to the other hosts, all of which are ours; that it was made is no request yet.
func (s *stage) out(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect {
		s.elsewhere(w, r)
		return
	}
	if housekeeping.MatchString(r.Host) {
		http.Error(w, "", http.StatusBadGateway)
		return
	}
	s.note("connected: " + r.Host)
	inside, err := net.Dial("tcp", s.others.Listener.Addr().String())
	if err != nil {
		http.Error(w, "", http.StatusBadGateway)
		return
	}
	w.WriteHeader(http.StatusOK)
	outside, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		_ = inside.Close()
		return
	}
	for _, c := range [][2]net.Conn{{inside, outside}, {outside, inside}} {
		go func() {
			_, _ = io.Copy(c[0], c[1]) // until one of them has enough
			_, _ = inside.Close(), outside.Close()
		}()
	}
}

// elsewhere is every other host. What it answers would run as a script.
func (s *stage) elsewhere(w http.ResponseWriter, r *http.Request) {
	if housekeeping.MatchString(r.Host) {
		http.Error(w, "", http.StatusBadGateway)
		return
	}
	s.note("outside: " + r.Method + " " + r.Host)
	w.Header().Set("Content-Type", "text/javascript")
	_, _ = io.WriteString(w, "alert('elsewhere')")
}

// stray is every path of ours for which no page of boxes has a reason to ask.
func (s *stage) stray(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/favicon.ico" {
		s.note(r.Method + " " + r.URL.Path)
	}
	http.NotFound(w, r)
}

func (s *stage) note(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.asked) < 100_000 {
		s.asked = append(s.asked, what)
	}
}

// took gives what was asked, and forgets it.
func (s *stage) took() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := s.asked
	s.asked = nil
	return asked
}

// boxes is a page with a text in each box, among elements that a text which is not balanced would end.
func (s *stage) boxes(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	nonce := transport.Nonce(r.Context())
	fmt.Fprintf(w, "<!doctype html><html><head><title>unchanged</title><script nonce=%q>%s</script><script nonce=%q>%s</script></head><body><ol id=list>",
		nonce, s.hooks(""), nonce, s.scripts["look.js"])
	for _, text := range s.texts {
		if s.trees {
			text = ""
		}
		fmt.Fprintf(w, "<li><div class=box>%s</div><i class=next></i></li>", text)
	}
	fmt.Fprint(w, "</ol><p id=last>x</p><script type=application/json id=trees>[")
	if s.trees {
		fmt.Fprint(w, strings.Join(s.texts, ","))
	}
	fmt.Fprint(w, "]</script></body></html>")
}

func (s *stage) hooks(n string) string {
	return strings.Replace(s.scripts["hooks.js"], "FRAME", strconv.Quote(n), 1)
}

// look opens a page with these texts and says what is wrong with it.
func (s *stage) look(t *testing.T, texts []string) string {
	t.Helper()
	s.texts = texts
	if err := chromedp.Do(s.ctx, chromedp.Navigate(s.origin+"/boxes")); err != nil {
		t.Fatal(err)
	}
	faults, err := chromedp.Run(s.ctx, chromedp.Evaluate[string](fmt.Sprintf("look(%d, %t)", len(texts), s.trees), chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("%v; the first of the texts is %.100q", err, texts[0])
	}
	return faults
}

// frames holds a frame for each text. They are of one origin, so that it can look into them; they may do everything but open windows and
// dialogs, which would stop the browser, and lead this page away.
func (s *stage) frames(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintf(w, "<!doctype html><title>frames</title><script>%s</script>", s.scripts["play.js"])
	for i := range s.texts {
		fmt.Fprintf(w, `<iframe sandbox="allow-scripts allow-same-origin allow-forms" src="/frame/%d"></iframe>`, i)
	}
}

// frame is a page of one text, as it came.
func (s *stage) frame(w http.ResponseWriter, r *http.Request) {
	n := r.PathValue("n")
	i, err := strconv.Atoi(n)
	if err != nil || i < 0 || i >= len(s.texts) {
		s.stray(w, r) // a payload with an address relative to its frame's
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintf(w, "<!doctype html><html><head><title>unchanged</title><script nonce=%q>%s</script></head><body>%s", transport.Nonce(r.Context()), s.hooks(n), s.texts[i])
}

// patience bounds one page of frames. A script without end holds its tab for ever.
const patience = 40 * time.Second

// play opens a page of frames with these texts, does in each what a careless person would, and gives a record of what ran: the number
// of the text, and what it did.
func (s *stage) play(t *testing.T, texts []string) []string {
	t.Helper()
	s.texts = texts
	tab, closeTab := chromedp.NewContext(s.ctx)
	defer closeTab()
	if err := chromedp.Do(tab); err != nil {
		t.Fatalf("opening a tab: %v", err)
	}
	ctx, cancel := context.WithTimeout(tab, patience)
	defer cancel()
	var records []string
	err := chromedp.Do(ctx, chromedp.Navigate(s.origin+"/frames"))
	if err == nil {
		records, err = chromedp.Run(ctx, chromedp.Evaluate[[]string]("play()", chromedp.EvalAwaitPromise))
	}
	switch {
	case err != nil && s.bare: // a payload that ran, and never ended
		t.Logf("of %.100q: %v", texts[0], err)
	case err != nil:
		t.Fatalf("%v; the first of the texts is %.100q", err, texts[0])
	}
	return records
}
