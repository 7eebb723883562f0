package transport_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/redoubt-dev/redoubt/internal/browser"
	"github.com/redoubt-dev/redoubt/layer/transport"
)

// site serves h behind a Transport at an origin of its own on the loopback, as host.
func site(t *testing.T, host string, edit func(*transport.Config), h func(tr *transport.Transport) http.Handler) string {
	srv := httptest.NewUnstartedServer(nil)
	_, port, _ := net.SplitHostPort(srv.Listener.Addr().String())
	cfg := config()
	cfg.Origin = "https://" + host + ":" + port
	edit(&cfg)
	tr := must(t, cfg)
	srv.Config.Handler = tr.Handler(h(tr))
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return cfg.Origin
}

func html(w http.ResponseWriter, format string, args ...any) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintf(w, "<!doctype html><title>page</title>"+format, args...)
}

// attacked holds every way into a page that an attacker has who can write any markup into it. Each would append to window.pwned.
const attacked = `<body>
<script nonce="%[1]s">
window.pwned = []; window.refused = [];
const attempt = (name, f) => { try { f(); pwned.push(name) } catch (e) { refused.push(name) } };
attempt('eval', () => eval('1'));
attempt('new Function', () => new Function('1')());
attempt('innerHTML', () => { document.createElement('p').innerHTML = '<b>x</b>' });
attempt('policy', () => trustedTypes.createPolicy('evil', {createHTML: s => s}));
window.honest = true;
</script>
<script>pwned.push('inline script')</script>
<script nonce="">pwned.push('empty nonce')</script>
<script nonce="AAAAAAAAAAAAAAAAAAAAAAAAAA">pwned.push('guessed nonce')</script>
<script src="/uploaded.js"></script>
<script src="data:text/javascript,pwned.push('data script')"></script>
<img src="/none" onerror="pwned.push('event handler')">
<svg onload="pwned.push('svg handler')"></svg>
<a id="link" href="javascript:pwned.push('link')">x</a>
<base href="https://evil.example/">
<iframe srcdoc="<script>parent.pwned.push('frame')</script>"></iframe>
<style>body { color: rgb(1, 2, 3) }</style>
<p id="styled" style="color: rgb(1, 2, 3)">x</p>
<form id="steal" action="https://evil.example/"><button id="go">x</button></form>
</body>`

// TestInjectedScriptsInARealBrowser (SYSTEM T2): a page full of an attacker's markup runs only our own script, and the browser
// reports the rest.
func TestInjectedScriptsInARealBrowser(t *testing.T) {
	ctx := browser.Open(t, chromedp.IgnoreCertErrors, chromedp.Flag("short-reporting-delay", true))
	var mu sync.Mutex
	reported := map[string]bool{}
	home := site(t, "localhost", func(cfg *transport.Config) {
		cfg.Report = func(_ context.Context, r transport.Report) {
			mu.Lock()
			defer mu.Unlock()
			reported[r.Directive+" "+r.Blocked] = true
		}
	}, func(*transport.Transport) http.Handler {
		mux := http.NewServeMux()
		mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { html(w, attacked, transport.Nonce(r.Context())) })
		mux.HandleFunc("GET /uploaded.js", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/javascript")
			fmt.Fprint(w, "pwned.push('uploaded script')")
		})
		return mux
	})
	err := chromedp.Do(ctx, chromedp.Navigate(home+"/"), chromedp.Click("#link"),
		chromedp.Click("#go"), chromedp.Sleep(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	got, err := chromedp.Run(ctx, chromedp.Evaluate[string](`[honest, location.origin, document.baseURI, "pwned:" + pwned, "refused:" + refused,
		getComputedStyle(document.body).color, getComputedStyle(document.getElementById("styled")).color].join("\n")`))
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Join([]string{"true", home, home + "/", "pwned:", "refused:eval,new Function,innerHTML,policy", "rgb(0, 0, 0)", "rgb(0, 0, 0)"}, "\n")
	if got != want {
		t.Errorf("the page says\n%s\nwant\n%s", got, want)
	}
	for _, violation := range []string{
		"script-src-elem inline", "script-src-attr inline", "require-trusted-types-for trusted-types-sink",
		"trusted-types trusted-types-policy", "style-src-elem inline", "style-src-attr inline", "script-src-elem " + home + "/uploaded.js",
		"script-src-elem data", "base-uri https://evil.example/", "form-action https://evil.example/",
	} {
		await(t, violation, func() bool { mu.Lock(); defer mu.Unlock(); return reported[violation] })
	}
	if t.Failed() {
		t.Logf("reported: %v", reported)
	}
}

// await waits for what happens beside the page, such as a report.
func await(t *testing.T, what string, happened func() bool) {
	t.Helper()
	for range 100 {
		if happened() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Errorf("never seen: %s", what)
}

// TestForgedFormsInARealBrowser (SYSTEM T3): pages of another site and of the same site's other port post to ours, and so does
// our own page. Neither the token nor SameSite is asked here: the cross-site check stands alone.
func TestForgedFormsInARealBrowser(t *testing.T) {
	ctx := browser.Open(t, chromedp.IgnoreCertErrors)
	posted := make(chan string, 1)
	home := site(t, "localhost", func(*transport.Config) {}, func(*transport.Transport) http.Handler {
		mux := http.NewServeMux()
		mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
			html(w, `<form method="post" action="/orders"><button>x</button></form>`)
		})
		mux.HandleFunc("POST /orders", func(w http.ResponseWriter, r *http.Request) {
			posted <- r.Header.Get("Origin")
			html(w, "done")
		})
		return mux
	})
	for name, page := range map[string]string{
		"another site":                "https://127.0.0.1",
		"the same site, another port": "https://localhost",
	} {
		attacker := attackerPage(t, strings.TrimPrefix(page, "https://"), home)
		if err := chromedp.Do(ctx, chromedp.Navigate(attacker)); err != nil {
			t.Fatal(err)
		}
		resp, err := chromedp.RunResponse(ctx, chromedp.Click("button"))
		if err != nil {
			t.Fatal(err)
		}
		if resp.Status != 403 || len(posted) != 0 {
			t.Errorf("%s: got %d, and %d orders were placed; want 403 and none", name, resp.Status, len(posted))
		}
	}
	if err := chromedp.Do(ctx, chromedp.Navigate(home+"/"), chromedp.Click("button")); err != nil {
		t.Fatal(err)
	}
	select {
	case got := <-posted:
		if got != home {
			t.Errorf("our own form came with Origin %q, want %q", got, home)
		}
	case <-time.After(30 * time.Second):
		t.Error("our own form was not accepted")
	}
}

// TestSameSiteInARealBrowser (SYSTEM T3): with no check on the server at all, a forged form still comes without the cookie. A
// page on another port is the same site to a browser, which is why there are two more defences.
func TestSameSiteInARealBrowser(t *testing.T) {
	ctx := browser.Open(t, chromedp.IgnoreCertErrors)
	cookies := make(chan string, 1)
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "POST" {
			cookies <- r.Header.Get("Cookie")
		}
		http.SetCookie(w, transport.Cookie("session", "secret", time.Hour))
		html(w, `<form method="post" action="/orders"><button>x</button></form>`)
	}))
	t.Cleanup(srv.Close)
	home := strings.Replace(srv.URL, "127.0.0.1", "localhost", 1)
	for _, c := range []struct{ page, want string }{
		{home + "/", "__Host-session=secret"},
		{attackerPage(t, "127.0.0.1", home), ""},
	} {
		// Home comes first, for its cookie.
		err := chromedp.Do(ctx, chromedp.Navigate(home+"/"), chromedp.Navigate(c.page), chromedp.Click("button"))
		for range 3 {
			if err == nil || !strings.Contains(err.Error(), "ERR_ABORTED") {
				break
			}
			err = chromedp.Do(ctx, chromedp.Navigate(home+"/"), chromedp.Navigate(c.page), chromedp.Click("button")) // the form before was still on its way
		}
		if err != nil {
			t.Fatal(err)
		}
		select {
		case got := <-cookies:
			if got != c.want {
				t.Errorf("a form on %s was sent with %q, want %q", c.page, got, c.want)
			}
		case <-time.After(30 * time.Second):
			t.Errorf("a form on %s was not sent", c.page)
		}
	}
}

// attackerPage serves, bare, a page that posts to home.
func attackerPage(t *testing.T, host, home string) string {
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		html(w, `<form method="post" action="%s/orders"><button>x</button></form>`, home)
	}))
	t.Cleanup(srv.Close)
	_, port, _ := net.SplitHostPort(srv.Listener.Addr().String())
	return "https://" + host + ":" + port + "/"
}
