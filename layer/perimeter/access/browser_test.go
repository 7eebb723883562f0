package access_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	chromium "github.com/redoubt-dev/redoubt/internal/browser"
	"github.com/redoubt-dev/redoubt/layer/perimeter/access"
	"github.com/redoubt-dev/redoubt/layer/perimeter/access/policy"
)

const guest = "an-address-that-is-rather-long-and-has-no-place-to-break@visitors.department.acme.test"

// site is a gate before a page, at an origin of its own, with the provider under a path that the gate does not see.
func site(t *testing.T) (w *world, origin string) {
	srv := httptest.NewUnstartedServer(nil)
	_, port, err := net.SplitHostPort(srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	host := "localhost:" + port
	origin = "https://" + host
	w = newWorld(t, func(w *world) {
		set, err := policy.Parse(policy.Names{Hosts: []string{host}}, []policy.File{{Name: "edge.cedar", Text: fmt.Sprintf(`
@id("staff") permit(principal in Group::"okta/staff", action, resource in Host::%[1]q);
@id("guest") permit(principal == Person::%[2]q, action, resource in Path::"%[3]s/docs");`, host, guest, host)}})
		if err != nil {
			t.Fatal(err)
		}
		w.rules = func() *policy.Set { return set }
		w.setting.Applications = []access.Application{{Name: "wiki", Origin: origin, Title: "Acme Wiki"}}
		partner := w.idp.as("partner")
		partner.ClientID = "edge-2"
		w.setting.Providers = append(w.setting.Providers, partner)
		w.setting.Rates = access.Rates{}
	})
	w.idp.more = map[string]any{"authorization_endpoint": origin + "/idp"}
	g := w.gate()
	srv.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/elsewhere" {
			http.Redirect(rw, r, origin+"/docs/b", http.StatusSeeOther)
			return
		}
		if r.URL.Path == "/idp" {
			http.Redirect(rw, r, w.idp.authorize(r.URL, "carol"), http.StatusSeeOther)
			return
		}
		if a, answered := g.Admit(rw, r, access.Visitor{Application: "wiki", Client: netip.MustParseAddr("127.0.0.1"), ID: "01JDX2M8Q4K7"}); !answered {
			if r.URL.Path == "/docs/a" { // as one does that has a sign-on of its own, elsewhere
				http.Redirect(rw, r, strings.Replace(origin, "localhost", "127.0.0.1", 1)+"/elsewhere", http.StatusSeeOther)
				return
			}
			rw.Header().Set("Content-Type", "text/html; charset=utf-8")
			fmt.Fprintf(rw, "<!doctype html><title>in</title><p id=in>%s", a.Who.Email)
		}
	})
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return w, origin
}

// A look is how big a window is and what the reader's system prefers.
type look struct {
	name, scheme  string
	width, height int64
}

// A person goes through every page in a real browser, by what stands on it. With REDOUBT_SHOTS=DIR the pages are kept as pictures, for
// people to look at.
func TestPagesInABrowser(t *testing.T) { // SYSTEM P4
	looks := []look{{"phone-dark", "dark", 390, 844}, {"wide-light", "light", 1280, 900}}
	if os.Getenv("REDOUBT_SHOTS") != "" {
		looks = append(looks, look{"phone-light", "light", 390, 844}, look{"wide-dark", "dark", 1280, 900}, look{"narrow-light", "light", 320, 640})
	}
	for _, l := range looks {
		t.Run(l.name, func(t *testing.T) { goThrough(t, l) })
	}
}

// A tab is one, in one look.
type tab struct {
	t    *testing.T
	ctx  context.Context
	size look
}

func goThrough(t *testing.T, l look) {
	w, origin := site(t)
	ctx := chromium.Open(t, chromedp.IgnoreCertErrors)
	messages, stop := context.WithCancel(ctx)
	defer stop()
	console := chromedp.Console(messages)
	b := &tab{t, ctx, l}
	scheme := chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: l.scheme}}})
		return err
	})
	b.do("preparing", chromedp.EmulateViewport(l.width, l.height), scheme)

	b.open("sign-on", origin+"/docs/a?page=2", "Sign in to go on")
	b.do("asking for a link", chromedp.SendKeys(chromedp.CSS("#email"), guest), chromedp.Click(chromedp.CSS("form button")))
	b.look("mail", "Check your mail")
	var link string
	select {
	case m := <-w.mails:
		link = strings.TrimSpace(strings.Split(m.text[strings.Index(m.text, origin):], "\n")[0])
	case <-time.After(10 * time.Second):
		t.Fatal("no mail came")
	}
	b.open("link", link, "One step more")
	b.do("confirming", chromedp.Click(chromedp.CSS("form button")))
	b.until(`document.querySelector("#in")?.textContent === ` + fmt.Sprintf("%q", guest))
	b.until(`location.pathname === "/docs/b"`)
	b.open("link-over", link, "That link is over")
	b.open("forbidden", origin+"/admin", "You may not do this here")
	b.do("somebody else", chromedp.Click(chromedp.CSS(".actions a")))
	b.look("sign-out", "Sign out?")
	b.do("signing out", chromedp.Click(chromedp.CSS("form .button-primary")))
	b.look("signed-out", "You are signed out")
	b.do("signing in again", chromedp.Click(chromedp.CSS(".actions a")))
	b.look("sign-on-other", "Sign in to go on")
	b.do("by a provider", chromedp.Click(chromedp.CSS(".places a")))
	b.look("forbidden-carol", "carol@acme.test")
	b.open("lost", origin+"/.redoubt/callback/okta?code=x&state=y&iss=z", "Please begin again")
	b.open("not-there", origin+"/.redoubt/nothing", "There is nothing here")
	w.clock.pass(9 * time.Hour)
	w.idp.mu.Lock()
	w.idp.down = true
	w.idp.mu.Unlock()
	w.rules = nilRules
	b.open("closed", origin+"/docs/a", "This is not open to you")

	if _, err := chromedp.Run(ctx, chromedp.Evaluate[int](`console.info("the last word"), 1`)); err != nil {
		t.Fatal(err)
	}
	for m, err := range console {
		if err != nil || m.Text == "the last word" {
			break
		}
		if !strings.Contains(m.Text, "the server responded with a status of") {
			t.Errorf("the console says: %s (%s)", m.Text, m.URL)
		}
	}
}

func (b *tab) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 20*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatalf("%s: %v", what, err)
	}
}

func (b *tab) open(name, address, says string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 20*time.Second)
	defer cancel()
	chromedp.Do(ctx, chromedp.Navigate(address)) // a status of 400 is one that is looked at below
	b.look(name, says)
}

// until waits until an expression is true, also across a navigation, but not for ever.
func (b *tab) until(expression string) {
	b.t.Helper()
	for range 100 {
		if is, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](expression)); err == nil && is {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	where, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string](`location.href + "\n" + document.body.innerText`))
	b.t.Fatalf("it never came true that %s, at %s", expression, where)
}

// look sees what a page says, that its style counts, that nothing sticks out, and that what can be pressed is large enough.
func (b *tab) look(name, says string) {
	b.t.Helper()
	b.until(fmt.Sprintf("document.readyState === 'complete' && document.body.innerText.includes(%q)", says))
	faults, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`[
		document.documentElement.scrollWidth > document.documentElement.clientWidth && "it is wider than the window",
		getComputedStyle(document.body).display !== "flex" && "its style does not count",
		document.querySelectorAll("h1").length !== 1 && "it has no one heading",
		document.documentElement.lang !== "en" && "it has no language",
		document.title.length < 10 && "it has no title",
		[...document.querySelectorAll("main .button, main input:not([type=hidden])")].some(e => e.getBoundingClientRect().height < 44) && "something to press is small",
		[...document.querySelectorAll("input:not([type=hidden])")].some(e => !e.labels.length) && "a field has no label",
		document.scripts.length > 0 && "it has a script",
	].filter(Boolean).join("; ")`))
	if err != nil || faults != "" {
		b.t.Errorf("%s: %s %v", name, faults, err)
	}
	dir := os.Getenv("REDOUBT_SHOTS")
	if dir == "" {
		return
	}
	png, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+"-"+b.size.name+".png"), png, 0o600)
	}
	if err != nil {
		b.t.Fatalf("%s: %v", name, err)
	}
}
