package command_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/fetch"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/jackc/pgx/v5"

	"github.com/redoubt-dev/redoubt/internal/browser"
	"github.com/redoubt-dev/redoubt/internal/postgres"
)

// A tab is a person at a browser of their own.
type tab struct {
	t   *testing.T
	ctx context.Context
	up  *running
}

// browse opens a browser of its own, with nothing remembered.
func browse(t *testing.T, up *running) *tab {
	t.Helper()
	return &tab{t, browser.Open(t, chromedp.IgnoreCertErrors), up}
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 40*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatalf("%v, at:\n%s", err, b.text())
	}
}

// open goes to a path of the application's.
func (b *tab) open(path string) { b.t.Helper(); b.do(chromedp.Navigate(b.up.URL + path)) }

// text is what the page says, as far as a person can see it.
func (b *tab) text() string {
	ctx, cancel := context.WithTimeout(b.ctx, 10*time.Second)
	defer cancel()
	s, err := chromedp.Run(ctx, chromedp.Evaluate[string](`location.href + "\n" + document.body.innerText`))
	if err != nil {
		return err.Error()
	}
	return s
}

// sees waits until the page says text.
func (b *tab) sees(text string) {
	b.t.Helper()
	for range 100 {
		if strings.Contains(b.text(), text) {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	b.t.Fatalf("the page does not say %q:\n%s", text, b.text())
}

func (b *tab) lacks(text string) {
	b.t.Helper()
	if page := b.text(); strings.Contains(page, text) {
		b.t.Errorf("the page says %q:\n%s", text, page)
	}
}

// click clicks what a CSS selector finds, and waits for the page that comes of it.
func (b *tab) click(selector string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
	defer cancel()
	if _, err := chromedp.RunResponse(ctx, chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible)); err != nil {
		b.t.Fatalf("clicking %s: %v, at:\n%s", selector, err, b.text())
	}
}

func (b *tab) fill(selector, text string) {
	b.t.Helper()
	b.do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf("document.querySelector(%q).value = ''", selector)), chromedp.SendKeys(chromedp.CSS(selector), text))
}

// signIn begins at the front page and clicks the person whose subject it is.
func (b *tab) signIn(subject string) {
	b.t.Helper()
	b.open("/")
	b.click(`a[href^="/sign-in"]`)
	b.sees("anyone can become anyone")
	b.click(`button.person[value="` + subject + `"]`)
}

// shot saves a picture when REDOUBT_SHOTS names a folder; for looking, not for asserting.
func (b *tab) shot(name string, width, height int64) {
	b.t.Helper()
	dir := os.Getenv("REDOUBT_SHOTS")
	if dir == "" {
		return
	}
	b.do(chromedp.EmulateViewport(width, height))
	b.do(chromedp.Sleep(150 * time.Millisecond))
	result, err := chromedp.Call(b.ctx, page.CaptureScreenshot, page.CaptureScreenshotParams{})
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%d.png", name, width)), result.Data, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

func (b *tab) shots(name string) {
	b.t.Helper()
	b.shot(name, 390, 844)
	b.shot(name, 1280, 900)
}

func TestADayInTheBrowser(t *testing.T) { // SYSTEM R, I1, I4, I5, T2, T3
	up := mustStart(t, dataDir(t))
	bob := browse(t, up)
	bob.open("/")
	bob.shots("welcome")
	bob.open("/orders?limit=5")
	bob.sees("anyone can become anyone") // a stranger who asks for a page is sent to sign in
	bob.shots("sign-in")
	bob.click(`button.person[value="dev-bob"]`)
	bob.sees("Orders") // and comes back to it
	if at := bob.text(); !strings.HasPrefix(at, up.URL+"/orders?limit=5") {
		t.Errorf("came back to %s", strings.Split(at, "\n")[0])
	}
	bob.lacks("Members")
	bob.shots("orders")

	bob.open("/")
	bob.shots("feed")
	bob.fill(`textarea[name="body"]`, "Chalk is back in stock, <b>bold</b> & all.")
	bob.click(`form[action="/posts"] .button-primary`)
	bob.sees("Your post is published.")
	bob.sees("<b>bold</b> & all.")
	bob.click(`a[href^="/posts/"]`)
	bob.fill(`textarea[name="body"]`, "Two boxes of it.")
	bob.click(`form[action$="/comments"] button`)
	bob.sees("Two boxes of it.")
	bob.shots("post")

	bob.open("/products")
	bob.shots("products")
	bob.fill(`form[action="/orders"] input[name="quantity"]`, "3")
	bob.click(`form[action="/orders"] button`)
	bob.sees("3")
	if at := bob.text(); !strings.Contains(strings.Split(at, "\n")[0], "/orders/") {
		t.Errorf("an order leads to %s", at)
	}
	bob.shots("order")

	for _, name := range []string{"profile", "sessions", "keys"} {
		bob.open("/" + name)
		bob.shots(name)
	}
	bob.open("/admin/members")
	bob.sees("There is nothing here.") // not even that the page exists
	bob.shots("problem")

	bob.open("/sessions")
	bob.do(chromedp.Click(chromedp.CSS(`details.menu-account summary`)))
	bob.click(`form[action="/sign-out"] button`)
	bob.sees("You are signed out") // here and at the provider, who asks again
	bob.shots("signed-out")
	bob.open("/orders")
	bob.sees("anyone can become anyone")

	erin := browse(t, up)
	erin.signIn("dev-erin")
	erin.sees("Acme")
	erin.lacks("The big kiln")
	erin.do(chromedp.Click(chromedp.CSS(`details.menu-organization summary`)))
	erin.click(`button[name="organization_id"]:not([aria-current])`)
	erin.sees("The big kiln") // Globex
	erin.lacks("Chalk is back in stock")

	alice := browse(t, up)
	alice.signIn("dev-alice")
	alice.open("/admin/members")
	alice.sees("bob@acme.test")
	alice.shots("members")
	stop := `form[action="/admin/members/` + up.members(t)["bob@acme.test"] + `/deactivate"] button.button-danger`
	alice.do(chromedp.Click(chromedp.CSS(`button[popovertarget="stop-` + up.members(t)["bob@acme.test"] + `"]`))) // asks first
	alice.click(stop)
	alice.sees("The member is stopped")
	alice.open("/admin/audit")
	alice.sees("member.deactivated")
	alice.shots("audit")
}

func TestAStoppedMemberIsOutAtTheNextClick(t *testing.T) { // SYSTEM I7, A2
	up := mustStart(t, dataDir(t))
	bob, alice := browse(t, up), browse(t, up)
	bob.signIn("dev-bob")
	bob.sees("What members of Acme are saying")
	members := up.members(t)
	status, body := up.ask(t, "POST", "/api/v1/members/"+members["bob@acme.test"]+"/deactivate", up.key(t, "alice@acme.test", "Acme"), "")
	if status != 204 {
		t.Fatalf("stopping Bob answers %d: %s", status, body)
	}
	bob.open("/orders") // his next click ends at the provider, who still knows him, and comes back to a refusal
	bob.sees("Your membership has been stopped")
	alice.signIn("dev-alice")
	alice.open("/admin/members")
	alice.click(`form[action="/admin/members/` + members["bob@acme.test"] + `/reactivate"] button`)
	alice.sees("The member may come back.")
	bob.open("/orders")
	bob.sees("Orders")
}

// TestAKeyIsMadeByWhoeverIsThere makes a key with a session whose person has not proved for an hour who they are: the form is kept while
// they do, is shown again as it was, and is sent by their own hand.
func TestAKeyIsMadeByWhoeverIsThere(t *testing.T) { // SYSTEM I6
	dir := dataDir(t)
	up := mustStart(t, dir)
	bob := browse(t, up)
	bob.signIn("dev-bob")
	bob.sees("What members of Acme are saying")
	up.tire(t, dir, "dev-bob")
	bob.open("/keys")
	bob.fill(`#f-name`, "The till's printer")
	bob.do(chromedp.Click(chromedp.CSS(`input[name="scopes"][value="orders:read"]`)), chromedp.Click(chromedp.CSS(`input[name="scopes"][value="products:read"]`)),
		chromedp.Evaluate[chromedp.Void](`document.querySelector('select[name="expires_in_days"]').value = "365"`))
	bob.click(`form[action="/keys"] button.button-primary`)
	bob.sees("Confirm that it is you")
	bob.sees("What you entered is kept for 10 minutes")
	bob.lacks("The till's printer")
	bob.shots("step-up")
	bob.click(`form[action="/step-up"] button`)
	bob.sees("anyone can become anyone") // the provider asks, although it knows him
	bob.shots("step-up-provider")
	bob.click(`button[value="dev-bob"]`)
	bob.sees("Nothing has been done yet. Your form is here as you left it")
	got, err := chromedp.Run(bob.ctx, chromedp.Evaluate[string](`[document.querySelector("#f-name").value, ...[...document.querySelectorAll('input[name="scopes"]:checked')].map(x => x.value),
		document.querySelector('select[name="expires_in_days"]').value].join(" ")`))
	if want := "The till's printer products:read orders:read 365"; err != nil || got != want {
		t.Errorf("the form holds %q (%v), want %q", got, err, want)
	}
	bob.shots("step-up-back")
	bob.click(`form[action="/keys"] button.button-primary`)
	bob.sees("rdk_")
	bob.shots("step-up-done")
}

// tire lets an hour pass since somebody proved who they are, for all their sessions: in the claims, with the key that seals them, and
// in the database's own note.
func (r *running) tire(t *testing.T, dir, subject string) {
	t.Helper()
	read := func(name string) string {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(dir, "secrets", name))
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(text))
	}
	pids, err := filepath.Glob(filepath.Join(dir, "*", "postmaster.pid"))
	if err != nil || len(pids) != 1 {
		t.Fatalf("the database's folder: %q, %v", pids, err)
	}
	pid, err := os.ReadFile(pids[0])
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), postgres.Address(strings.Split(string(pid), "\n")[4], "postgres", read("postgres"), "redoubt"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	rows, err := conn.Query(t.Context(), `select s.hash, s.claims from identity.session s join identity.person p on p.id = s.person_id where p.subject = $1`, subject)
	if err != nil {
		t.Fatal(err)
	}
	sessions, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct{ Hash, Claims []byte }])
	if err != nil || len(sessions) == 0 {
		t.Fatalf("%d sessions, %v", len(sessions), err)
	}
	ago := time.Now().Add(-time.Hour)
	for _, s := range sessions {
		claims := regexp.MustCompile(`"auth_time":\d+`).ReplaceAll(s.Claims, fmt.Appendf(nil, `"auth_time":%d`, ago.Unix()))
		mac := hmac.New(sha256.New, []byte(read("claims-key")))
		mac.Write(append(append([]byte("redoubt session claims\x00"), s.Hash...), claims...))
		if _, err := conn.Exec(t.Context(), `update identity.session set claims = $2, mac = $3, auth_time = $4 where hash = $1`, s.Hash, claims, mac.Sum(nil), ago); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAStrangerIsRefusedWithAClearPage(t *testing.T) { // SYSTEM I1
	up := system(t)
	mallory := browse(t, up)
	mallory.signIn("dev-mallory")
	mallory.sees("You have not been invited here")
	mallory.shots("stranger")
	mallory.open("/orders")
	mallory.lacks("Day pass")
}

// TestInjectedScriptDoesNotRun alters pages on their way to the browser, as a template that forgets to escape would. Without the
// policy the attack works; with it, it does not.
func TestInjectedScriptDoesNotRun(t *testing.T) { // SYSTEM T2
	const planted = `<script>window.pwned = "inline"</script><img src="/x" onerror="window.pwned = 'handler'"><script src="data:text/javascript,window.pwned='data'"></script>`
	up := system(t)
	for name, c := range map[string]struct {
		withPolicy bool
		want       string
	}{
		"with the content security policy":   {true, "true undefined"},
		"without it, to see the attack work": {false, "true handler"},
	} {
		t.Run(name, func(t *testing.T) {
			b := browse(t, up)
			b.plant(planted, c.withPolicy)
			b.open("/")
			got, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`[document.documentElement.innerHTML.includes("onerror"), String(window.pwned)].join(" ")`))
			if err != nil {
				t.Fatal(err)
			}
			if got != c.want {
				t.Errorf("planted, and pwned: %q; want %q", got, c.want)
			}
		})
	}
}

// plant adds markup to the body of every document that the browser fetches, and takes the policy out of its headers unless it
// is to stay.
func (b *tab) plant(markup string, withPolicy bool) {
	b.t.Helper()
	events := chromedp.Events(b.ctx, fetch.RequestPaused)
	patterns := []*fetch.RequestPattern{{URLPattern: "*", ResourceType: "Document", RequestStage: fetch.RequestStageResponse}}
	if _, err := chromedp.Call(b.ctx, fetch.Enable, fetch.EnableParams{Patterns: patterns}); err != nil {
		b.t.Fatal(err)
	}
	go func() {
		for e, err := range events {
			if err != nil {
				return // the tab has closed
			}
			body, err := chromedp.Call(b.ctx, fetch.GetResponseBody, fetch.GetResponseBodyParams{RequestID: e.RequestID})
			if err != nil {
				return
			}
			answer := fetch.FulfillRequestParams{RequestID: e.RequestID, ResponseCode: e.ResponseStatusCode,
				Body: []byte(strings.Replace(string(body.Body), "</main>", markup+"</main>", 1))}
			for _, h := range e.ResponseHeaders {
				name := strings.ToLower(h.Name)
				if name != "content-length" && (withPolicy || name != "content-security-policy") {
					answer.ResponseHeaders = append(answer.ResponseHeaders, h)
				}
			}
			if _, err := chromedp.Call(b.ctx, fetch.FulfillRequest, answer); err != nil {
				return
			}
		}
	}()
}

// members maps e-mail addresses of Acme to the ids of their memberships.
func (r *running) members(t *testing.T) map[string]string {
	t.Helper()
	_, body := r.ask(t, "GET", "/api/v1/members", r.key(t, "alice@acme.test", "Acme"), "")
	ids := map[string]string{}
	var list struct {
		Members []struct{ ID, Email string }
	}
	if err := json.Unmarshal([]byte(body), &list); err != nil {
		t.Fatal(err)
	}
	for _, m := range list.Members {
		ids[m.Email] = m.ID
	}
	return ids
}
