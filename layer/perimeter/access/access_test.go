package access_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/access"
	"github.com/redoubt-dev/redoubt/layer/perimeter/access/policy"
)

func TestEveryProblemAtOnce(t *testing.T) {
	_, err := access.New(access.Config{})
	for _, want := range []string{"no application", "no policies", "no folder"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("an empty configuration: %q is missing in %v", want, err)
		}
	}
	w := newWorld(t)
	for what, edit := range map[string]func(*access.Config){
		"has no name": func(c *access.Config) {
			c.Applications = append(c.Applications, access.Application{Origin: "https://x.example"})
		},
		"not of the form": func(c *access.Config) {
			c.Applications = append(c.Applications, access.Application{Name: "x", Origin: "http://x.example"})
		},
		"in lower case": func(c *access.Config) {
			c.Applications = append(c.Applications, access.Application{Name: "x", Origin: "https://X.example"})
		},
		"https://host:port": func(c *access.Config) {
			c.Applications = append(c.Applications, access.Application{Name: "x", Origin: "https://x.example:443"})
		},
		"wiki is given twice":    func(c *access.Config) { c.Applications = append(c.Applications, c.Applications[0]) },
		"title of application":   func(c *access.Config) { c.Applications[0].Title = "x\r\nBcc: eve" },
		"a session may last":     func(c *access.Config) { c.SessionLife = 8 * 24 * time.Hour },
		"a rate is negative":     func(c *access.Config) { c.Rates.Client = -1 },
		"a provider has no name": func(c *access.Config) { c.Providers[0].Name = "Okta" },
		"okta is given twice":    func(c *access.Config) { c.Providers = append(c.Providers, c.Providers[0]) },
		"loopback alone":         func(c *access.Config) { c.Providers[0].Issuer = "http://idp.example" },
		"without query":          func(c *access.Config) { c.Providers[0].Issuer = "https://idp.example?x" },
		"no client identifier":   func(c *access.Config) { c.Providers[0].ClientSecret = "" },
		"more than 16":           func(c *access.Config) { c.Providers = make([]access.Provider, 17) },
		"no digest":              func(c *access.Config) { c.Services = []access.Service{{Name: "x"}} },
	} {
		c := w.setting
		c.Applications = append([]access.Application(nil), c.Applications...)
		c.Providers = append([]access.Provider(nil), c.Providers...)
		edit(&c)
		if _, err := access.New(c); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("want %q, got %v", what, err)
		}
	}
	if _, err := access.New(w.setting); err != nil {
		t.Error(err)
	}
}

// Wherever "to" leads, it leads to this host.
func TestTheWayBackLeadsNowhereElse(t *testing.T) { // SYSTEM P4
	w := newWorld(t, noMail)
	g := w.gate()
	for to, want := range map[string]string{
		"/docs/a?x=1":                   "/docs/a?x=1",
		"/docs/a%20b?x=%2F%2Fevil":      "/docs/a%20b?x=%2F%2Fevil",
		"":                              "/",
		"https://evil.example":          "/",
		"https://evil.example/":         "/",
		"//evil.example":                "/",
		"///evil.example":               "/",
		"/\\evil.example":               "/",
		"\\\\evil.example":              "/",
		"/\tevil":                       "/",
		"/\n/evil.example":              "/",
		"/\r\nLocation: https://evil.":  "/",
		"evil.example":                  "/",
		"@evil.example":                 "/",
		".evil.example":                 "/",
		":8443/":                        "/",
		"javascript:alert(1)":           "/",
		"data:text/html,x":              "/",
		"/x#y":                          "/",
		"/é":                            "/",
		" /x":                           "/",
		"/%":                            "/",
		"/.redoubt/sign-out":            "/",
		"/%2eredoubt/sign-out":          "/",
		"/.redoubt":                     "/",
		"/" + strings.Repeat("a", 2048): "/",
	} {
		b := w.browser(g, "alice")
		address := wiki + "/.redoubt/sign-on?" + url.Values{"to": {to}}.Encode()
		if p := b.get(address); b.passed == nil || p.at != wiki+want {
			t.Errorf("%q leads to %s: %d", to, p.at, p.StatusCode)
		}
	}
	b := w.browser(g, "alice")
	if p := b.get(wiki + "/.redoubt/sign-on?to=/a&to=//evil.example"); p.at != wiki+"/" {
		t.Errorf("two ways lead to %s", p.at)
	}
}

func TestPagesAllowNothing(t *testing.T) { // SYSTEM P4
	w := newWorld(t)
	b := w.browser(w.gate(), "")
	p := b.once(wiki + "/.redoubt/sign-on")
	_, rest, _ := strings.Cut(p.text, "<style>")
	style, _, _ := strings.Cut(rest, "</style>")
	sum := sha256.Sum256([]byte(style))
	want := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
	if got := p.Header.Get("Content-Security-Policy"); got != want || len(style) < 1000 {
		t.Errorf("got %q, want %q", got, want)
	}
	for name, want := range map[string]string{"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "same-origin",
		"Content-Type": "text/html; charset=utf-8", "Cross-Origin-Resource-Policy": "same-origin"} {
		if got := p.Header.Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	for _, odd := range []string{"<script", "style=", "onclick", "http://", "//cdn", "url("} {
		if strings.Contains(p.text, odd) {
			t.Errorf("the page has %s", odd)
		}
	}
	b = w.browser(b.gate, "")
	p = b.once(wiki + "/.redoubt/sign-on?to=" + url.QueryEscape(`/"><script>alert(1)</script>`))
	if strings.Contains(p.text, "<script") {
		t.Error("a script comes in by the way back")
	}
}

func TestTheGatesOwnPaths(t *testing.T) { // SYSTEM P4
	everything := `@public("all of it") permit(principal, action, resource in Host::"wiki.example");`
	w := newWorld(t, func(w *world) {
		set := parse(t, everything)
		w.rules = func() *policy.Set { return set }
	})
	b := w.browser(w.gate(), "")
	for path, c := range map[string]struct {
		method string
		status int
	}{
		"/.redoubt":                 {"GET", 404},
		"/.redoubt/":                {"GET", 404},
		"/.redoubt/sign-on/":        {"GET", 404},
		"/.redoubt/sign-on/x":       {"GET", 404},
		"/.redoubt/SIGN-ON":         {"GET", 404},
		"/.redoubt/sign%2Don":       {"GET", 404},
		"/.redoubt/callback/":       {"GET", 404},
		"/.redoubt/callback/evil":   {"GET", 404},
		"/.redoubt/sign-on?x":       {"POST", 405},
		"/.redoubt/logged-out":      {"GET", 405},
		"/.redoubt/callback/okta":   {"POST", 405},
		"/.redoubt/signed-out":      {"GET", 200},
		"/.redoubt/callback/okta?x": {"GET", 400},
		"/.redoubt/begin":           {"GET", 404},
		"/.redoubt/sign-on":         {"HEAD", 200},
	} {
		p := b.send(b.request(c.method, wiki+path, nil))
		if p.StatusCode != c.status || b.passed != nil {
			t.Errorf("%s %s: got %d, want %d; passed on: %t", c.method, path, p.StatusCode, c.status, b.passed != nil)
		}
		if c.status == 405 && p.Header.Get("Allow") == "" {
			t.Errorf("%s: it does not say what is allowed", path)
		}
		if c.method == "HEAD" && p.text != "" {
			t.Errorf("%s: HEAD has a body", path)
		}
	}
	if b.once(wiki + "/.redoubtful"); b.passed == nil {
		t.Error("a path that merely begins alike is taken from the application")
	}
}

// The drawer of ended sessions has a bound. Who signs out when it is full is told so, and is signed out in this browser all the same.
func TestSigningOutWhenTheFolderIsInTrouble(t *testing.T) { // SYSTEM P4
	w := newWorld(t, noMail)
	b := signedOn(t, w, w.gate())
	p := b.get(wiki + "/.redoubt/sign-out")
	ended := filepath.Join(w.folder.Path(), "ended")
	breakFolder(t, ended)
	got := b.press(p, "/.redoubt/sign-out", nil)
	if got.StatusCode != http.StatusServiceUnavailable || b.jar["wiki.example"][edgeCookie] != "" {
		t.Errorf("got %d, and the browser keeps %q", got.StatusCode, b.jar["wiki.example"][edgeCookie])
	}
}

func TestMailThatIsNotSent(t *testing.T) { // SYSTEM P4
	asked := make(chan struct{}, 1)
	w := newWorld(t, func(w *world) {
		w.setting.Mail = func(ctx context.Context, to, _, _ string) error {
			if _, ok := ctx.Deadline(); !ok {
				t.Error("sending has no limit of time")
			}
			asked <- struct{}{}
			return context.DeadlineExceeded
		}
	})
	b := w.browser(w.gate(), "")
	p := b.press(b.get(wiki+"/.redoubt/sign-on?as=other"), "/.redoubt/mail", url.Values{"email": {"bob@acme.test"}})
	if p.StatusCode != http.StatusOK {
		t.Errorf("it tells: %d", p.StatusCode)
	}
	<-asked
}
