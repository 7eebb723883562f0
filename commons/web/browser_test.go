package web_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/commons/web"
	"github.com/redoubt-dev/redoubt/internal/browser"
)

// policy is the strictest that the transport layer may send (SYSTEM T2): the pages have to live with it.
const policy = "default-src 'none'; style-src 'self'; script-src 'nonce-%s'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// serve shows every sample under /show/NAME, with the policy, and takes every form.
func serve(t *testing.T) *httptest.Server {
	t.Helper()
	site := parsed(t)
	now := time.Now()
	mux := http.NewServeMux()
	mux.Handle("GET /assets/", site.Assets())
	for _, s := range shown(now) {
		mux.HandleFunc("GET /show/"+s.name, func(w http.ResponseWriter, r *http.Request) { show(t, w, site, s) })
	}
	files(t, mux, site)
	mux.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("_token") != "synchroniser-token" {
			http.Error(w, "no token", http.StatusForbidden)
			return
		}
		http.Redirect(w, r, "/show/feed?after="+r.URL.Path+"&by="+r.Header.Get("X-Redoubt-Token"), http.StatusSeeOther)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

// shown is every sample, and every full page once more with one endless word in every place.
func shown(now time.Time) []sample {
	all := everything(now)
	for _, s := range full(now) {
		if s.view.Data != nil {
			s.name += "-endless"
			s.view.Data = everywhere(reflect.ValueOf(s.view.Data), strings.Repeat("endless", 40)).Interface()
			all = append(all, s)
		}
	}
	return all
}

func show(t *testing.T, w http.ResponseWriter, site redoubt.Renderer, s sample) {
	f := frame(s)
	w.Header().Set("Content-Security-Policy", fmt.Sprintf(policy, f.Nonce))
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if err := site.Render(w, f, s.view); err != nil {
		t.Errorf("rendering %s: %v", s.name, err)
	}
}

func scheme(name string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}}})
		return err
	})
}

// A look is how big a window is and what the reader's system prefers.
type look struct {
	name, scheme  string
	width, height int64
}

// looks are a desk by day, a phone at night, and the narrowest window that WCAG 2.2 (1.4.10) knows; for pictures, all others too.
func looks() []look {
	all := []look{{"wide-light", "light", 1280, 900}, {"phone-dark", "dark", 390, 844}, {"narrow-light", "light", 320, 640}}
	if os.Getenv("REDOUBT_SHOTS") != "" {
		all = append(all, look{"wide-dark", "dark", 1280, 900}, look{"phone-light", "light", 390, 844})
	}
	return all
}

// With REDOUBT_SHOTS=DIR the pages are also kept there as pictures, for people to look at.
func TestPagesInABrowser(t *testing.T) {
	server := serve(t)
	for _, l := range looks() {
		t.Run(l.name, func(t *testing.T) { everyPage(t, server.URL, l) })
	}
}

// everyPage shows all samples in a browser of their own, so that its limit of time is for one look.
func everyPage(t *testing.T, server string, l look) {
	ctx := browser.Open(t)
	messages, stop := context.WithCancel(ctx)
	defer stop()
	console := chromedp.Console(messages)
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(l.width, l.height), scheme(l.scheme)); err != nil {
		t.Fatal(err)
	}
	for _, s := range shown(time.Now()) {
		if l.scheme == "dark" && strings.HasSuffix(s.name, "-endless") {
			continue // colours do not change where words break
		}
		inBrowser(t, ctx, server+"/show/"+s.name, s.name+"-"+l.name)
	}
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[int](`console.info("the last word"), 1`)); err != nil {
		t.Fatal(err)
	}
	for m, err := range console {
		if err != nil || m.Text == "the last word" {
			break
		}
		t.Errorf("the console says: %s (%s)", m.Text, m.URL)
	}
}

func inBrowser(t *testing.T, ctx context.Context, url, name string) {
	t.Helper()
	if err := chromedp.Do(ctx, chromedp.Navigate(url)); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	// Nothing may stick out at the side of a phone.
	over, err := chromedp.Run(ctx, chromedp.Evaluate[int](`document.documentElement.scrollWidth - document.documentElement.clientWidth`))
	if err != nil || over > 0 {
		t.Errorf("%s: it is %d pixels wider than the window (%v)", name, over, err)
	}
	shoot(t, ctx, name)
}

func shoot(t *testing.T, ctx context.Context, name string) {
	t.Helper()
	dir := os.Getenv("REDOUBT_SHOTS")
	if dir == "" {
		return
	}
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600)
	}
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// A step is something that a person does on a page, and what is true after it.
type step struct {
	name  string
	page  string
	do    chromedp.Action[chromedp.Void]
	after string // an expression that becomes true
	plain bool   // without script
}

func steps() []step {
	click := func(selector string) chromedp.Action[chromedp.Void] {
		return chromedp.Click(chromedp.CSS(selector))
	}
	key := func(selector, keys string) chromedp.Action[chromedp.Void] {
		return chromedp.Steps(chromedp.Focus(chromedp.CSS(selector)), chromedp.KeyEvent(keys))
	}
	// low clicks what is at the end of a page, clear of the bar at the bottom of a phone.
	low := func(selector string) chromedp.Action[chromedp.Void] {
		return chromedp.Steps(chromedp.Evaluate[chromedp.Void](`scrollTo(0, 100000)`), click(selector))
	}
	return []step{
		{name: "a like counts without leaving the page", page: "feed", do: click("#post-a2 .like"),
			after: `document.querySelector("#post-a2 .like").ariaPressed === "true" && document.querySelector("#post-a2 [data-likes]").textContent === "5" && location.search === ""`},
		{name: "a like taken back", page: "feed", do: click("#post-a4 .like"),
			after: `document.querySelector("#post-a4 .like").ariaPressed === "false" && document.querySelector("#post-a4 [data-likes]").textContent === "1,203"`},
		{name: "a like that is refused becomes the plain form, which explains itself", page: "feed",
			do:    chromedp.Steps(chromedp.Evaluate[chromedp.Void](`for (const t of document.getElementsByName("_token")) t.value = "stale"`), click("#post-a2 .like")),
			after: `document.body.textContent.includes("no token")`},
		{name: "a like without script is a form", page: "feed", do: click("#post-a2 .like"), plain: true, after: `location.search.startsWith("?after=/posts/a2/like")`},
		{name: "a bookmark without leaving the page", page: "feed", do: click("#post-a1 .mark-button"), after: `document.querySelector("#post-a1 .mark-button").ariaPressed === "true" && location.search === ""`},
		{name: "a bookmark taken back", page: "courses", do: click(".mark-button[aria-pressed=true]"), after: `!document.querySelector(".mark-button[aria-pressed=true]") && location.search === ""`},
		{name: "a bookmark without script is a form", page: "feed", do: click("#post-a1 .mark-button"), plain: true, after: `location.search.startsWith("?after=/posts/a1/bookmark")`},
		{name: "a lesson is done without script", page: "lesson", do: click(".lesson-foot button"), plain: true, after: `location.search.startsWith("?after=/lessons/l2/done")`},
		{name: "a lesson moves down", page: "course-edit", do: click("[action='/lessons/l1/down'] button"), plain: true, after: `location.search.startsWith("?after=/lessons/l1/down")`},
		{name: "the first lesson cannot move up", page: "course-edit", do: chromedp.Steps(), plain: true, after: `document.querySelector("[action='/lessons/l1/up'] button").disabled && document.querySelector("[action='/lessons/l4/down'] button").disabled`},
		{name: "a refused form has the focus on its summary", page: "profile-refused", do: chromedp.Steps(), plain: true, after: `document.activeElement.matches(".faults")`},
		{name: "the summary leads to the field", page: "profile-refused", do: click(".faults a"), plain: true, after: `document.activeElement.id === "f-display_name" || location.hash === "#f-display_name"`},
		{name: "the account menu opens", page: "feed", do: click(".menu-account summary"), plain: true, after: `document.querySelector(".menu-account").open`},
		{name: "the account menu opens by keyboard", page: "feed", do: key(".menu-account summary", "\r"), plain: true, after: `document.querySelector(".menu-account").open`},
		{name: "Escape closes a menu and keeps the place", page: "feed", do: chromedp.Steps(click(".menu-account summary"), chromedp.KeyEvent("\x1b")),
			after: `!document.querySelector(".menu-account").open && document.activeElement.matches(".menu-account summary")`},
		{name: "a click elsewhere closes a menu", page: "feed", do: chromedp.Steps(click(".menu-organization summary"), click("h1")), after: `!document.querySelector(".menu-organization").open`},
		{name: "another organization is a form", page: "feed", do: chromedp.Steps(click(".menu-organization summary"), click(".menu-organization li:last-child button")), plain: true, after: `location.search.startsWith("?after=/organization")`},
		{name: "deleting asks first, and the answer at hand is no", page: "post-edit", do: click("[popovertarget=delete]"), plain: true,
			after: `document.querySelector("#delete").matches(":popover-open") && document.activeElement.textContent === "Keep it"`},
		{name: "no means no", page: "post-edit", do: chromedp.Steps(click("[popovertarget=delete]"), click("#delete [popovertargetaction=hide]")), plain: true,
			after: `!document.querySelector("#delete").matches(":popover-open") && location.search === ""`},
		{name: "yes means yes", page: "post-edit", do: chromedp.Steps(click("[popovertarget=delete]"), click("#delete .button-danger")), plain: true, after: `location.search.startsWith("?after=/posts/a3/delete")`},
		{name: "deleting a person asks first, and says what stays", page: "members", do: low("tr:last-child [popovertarget^=erase-]"), plain: true,
			after: `document.querySelector(".ask:popover-open").textContent.includes("[Deleted User]") && document.activeElement.textContent === "Keep them"`},
		{name: "a person is deleted by a form", page: "members", do: chromedp.Steps(low("tr:last-child [popovertarget^=erase-]"), click(".ask:popover-open .button-danger")), plain: true,
			after: `location.search.startsWith("?after=/admin/members/") && location.search.includes("/delete")`},
		{name: "leaving asks first, and the answer at hand is to stay", page: "profile", do: low("[popovertarget=leave-ask]"), plain: true,
			after: `document.querySelector("#leave-ask").matches(":popover-open") && document.activeElement.textContent === "Stay"`},
		{name: "an order is cancelled after a question", page: "order", do: chromedp.Steps(low("[popovertarget=cancel]"), click("#cancel .button-danger")), plain: true, after: `location.search.includes("/cancel")`},
		{name: "a payment is noted by one click", page: "order", do: low(".order-acts .button-primary"), plain: true, after: `location.search.includes("/pay")`},
		{name: "the counter shows near the limit", page: "post-edit", do: chromedp.Steps(), after: `document.querySelector(".counter:not([hidden])").textContent.endsWith(" characters left")`},
		{name: "a secret can be copied", page: "key-created", do: click("[data-copy]"), after: `document.querySelector("[data-copy] span").textContent !== "Copy"`},
		{name: "times are told in the reader's zone", page: "feed", do: chromedp.Steps(), after: `!document.querySelector("time").title.endsWith("UTC")`},
	}
}

func TestPeopleCanDoWhatTheyCameFor(t *testing.T) { take(t, "step", steps()) }

// take takes steps on a phone, one after the other.
func take(t *testing.T, name string, steps []step) {
	server, ctx := serve(t), browser.Open(t)
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(390, 844)); err != nil {
		t.Fatal(err)
	}
	for i, s := range steps {
		t.Run(s.name, func(t *testing.T) {
			within, cancel := context.WithTimeout(ctx, 20*time.Second)
			defer cancel()
			if err := chromedp.Do(within, scripts(!s.plain), chromedp.Navigate(server.URL+"/show/"+s.page), s.do); err != nil {
				t.Fatal(err)
			}
			if !becomes(within, s.after) {
				t.Errorf("it never came true that %s", s.after)
			}
			if !becomes(within, `document.readyState === "complete"`) {
				t.Error("the page does not finish loading")
			}
			shoot(t, within, fmt.Sprintf("%s-%02d", name, i))
		})
	}
}

// becomes waits until an expression is true, also across a navigation, but not for ever.
func becomes(ctx context.Context, expression string) bool {
	for range 100 {
		if is, err := chromedp.Run(ctx, chromedp.Evaluate[bool](expression)); err == nil && is {
			return true
		}
		time.Sleep(50 * time.Millisecond)
	}
	return false
}

// scripts lets pages run their script, or not. What the test evaluates runs in either case.
func scripts(on bool) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on})
		return err
	})
}

func parsed(t testing.TB) *web.Site {
	t.Helper()
	site, err := web.New()
	if err != nil {
		t.Fatal(err)
	}
	return site
}
