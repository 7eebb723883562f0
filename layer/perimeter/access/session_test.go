package access_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/access"
	"github.com/redoubt-dev/redoubt/layer/perimeter/access/policy"
)

const edgeCookie = "__Host-redoubt-edge"

// signedOn is a browser of alice's with a session at the wiki.
func signedOn(t testing.TB, w *world, g *access.Guard) *browser {
	t.Helper()
	b := w.browser(g, "alice")
	if b.get(wiki + "/x"); b.passed == nil {
		t.Fatalf("alice is not let in\n%s", w.log)
	}
	return b
}

func (b *browser) letIn() bool { b.once(wiki + "/x"); return b.passed != nil }

func TestCookiesThatAreNoSession(t *testing.T) { // SYSTEM P4
	w := newWorld(t, noMail)
	g := w.gate()
	b := signedOn(t, w, g)
	good := b.jar["wiki.example"][edgeCookie]
	other := newWorld(t, noMail)
	theirs := signedOn(t, other, other.gate()).jar["wiki.example"][edgeCookie]
	flip := func(i int) string {
		c := []byte(good)
		if c[i] == 'A' {
			c[i] = 'B'
		} else {
			c[i] = 'A'
		}
		return string(c)
	}
	form := b.once(wiki + "/.redoubt/sign-out")
	token := hidden.FindStringSubmatch(form.text)[2]
	for attack, value := range map[string]string{
		"nothing":                            "",
		"rubbish":                            "rubbish",
		"of another deployment":              theirs,
		"truncated":                          good[:len(good)-1],
		"half":                               good[:len(good)/2],
		"longer":                             good + "A",
		"padded":                             good + "=",
		"another day's":                      flip(4),
		"another nonce":                      flip(10),
		"another content":                    flip(len(good) / 2),
		"another tag":                        flip(len(good) - 3),
		"100 KB":                             strings.Repeat("A", 100_000),
		"100 KB after a good one":            good + strings.Repeat("A", 100_000),
		"what is sealed for forms":           token,
		"a plain session in JSON":            `{"who":{"by":"provider","sub":"alice","idp":"okta","groups":["staff"],"sid":"x"}}`,
		"another base64":                     strings.NewReplacer("-", "+", "_", "/").Replace(good) + "==",
		"a line end within":                  good[:20] + "\n" + good[20:],
		"the day of an hour before all time": "AAAAAA" + good[6:],
		"a day in a hundred years":           "____" + good[4:],
	} {
		b.jar["wiki.example"][edgeCookie] = value
		if b.letIn() {
			t.Errorf("%s: let in", attack)
		}
	}
	b.jar["wiki.example"][edgeCookie] = good
	if !b.letIn() {
		t.Fatal("its own: not let in")
	}
	b.jar["shop.example"] = b.jar["wiki.example"]
	if b.once(shop + "/x"); b.passed != nil {
		t.Error("of one host: let in at another")
	}
	for attack, cookie := range map[string]string{
		"twice, the good one first": edgeCookie + "=" + good + "; " + edgeCookie + "=x",
		"twice, the good one last":  edgeCookie + "=x; " + edgeCookie + "=" + good,
		"in lower case":             strings.ToLower(edgeCookie) + "=" + good,
		"in quotes":                 edgeCookie + `="` + good + `"`,
		"without a prefix":          "redoubt-edge=" + good,
	} {
		r := b.request("GET", wiki+"/x", nil)
		b.jar["wiki.example"] = nil
		r.Header.Set("Cookie", cookie)
		if b.send(r); b.passed != nil {
			t.Errorf("%s: let in", attack)
		}
	}
}

func TestASessionEndsByItsTime(t *testing.T) { // SYSTEM P4
	w := newWorld(t, noMail)
	g := w.gate()
	b := signedOn(t, w, g)
	w.clock.pass(7*time.Hour + 59*time.Minute)
	if !b.letIn() {
		t.Error("after eight hours less a minute: not let in")
	}
	again := b.gone.Again
	w.clock.pass(2 * time.Minute)
	if b.letIn() || again() {
		t.Error("after eight hours and a minute: let in, though the browser kept the cookie")
	}
	w.clock.pass(-8 * time.Hour)
	w.setting.SessionLife = time.Hour // the operator shortens it
	b.gate = w.gate()
	if b.letIn() {
		t.Error("a session of eight hours where they last for one: let in")
	}
}

func TestSignOutIsSeenByEveryEdge(t *testing.T) { // SYSTEM P4, M3
	w := newWorld(t, noMail)
	one, two := w.gate(), w.gate()
	b := signedOn(t, w, one)
	thief := w.browser(two, "")
	thief.jar["wiki.example"] = map[string]string{edgeCookie: b.jar["wiki.example"][edgeCookie]}
	if !thief.letIn() || !b.letIn() {
		t.Fatal("not let in before")
	}
	here, there, again := b.gone.Ended, thief.gone.Ended, thief.gone.Again
	p := b.press(b.get(wiki+"/.redoubt/sign-out"), "/.redoubt/sign-out", nil)
	if !strings.Contains(p.text, "You are signed out") || b.jar["wiki.example"][edgeCookie] != "" {
		t.Errorf("got %d %s", p.StatusCode, p.text)
	}
	for what, ended := range map[string]<-chan struct{}{"at this edge": here, "at the other edge": there} {
		select {
		case <-ended:
		case <-time.After(5 * time.Second):
			t.Errorf("%s nobody is told", what)
		}
	}
	if thief.letIn() || again() {
		t.Error("the other edge lets it in")
	}
	fresh := w.browser(w.gate(), "")
	fresh.jar = thief.jar
	if fresh.letIn() {
		t.Error("an edge that starts afterwards lets it in")
	}
}

func TestOthersEndSessions(t *testing.T) { // SYSTEM M3
	w := newWorld(t, noMail)
	g := w.gate()
	one, two := signedOn(t, w, g), signedOn(t, w, g)
	if err := g.EndSession(one.gone.Who.Session); err != nil {
		t.Fatal(err)
	}
	if one.letIn() || !two.letIn() {
		t.Errorf("ending one session: the one is let in, %t; the other, %t", one.passed != nil, two.passed != nil)
	}
	if err := g.EndPerson("okta", "alice"); err != nil {
		t.Fatal(err)
	}
	if two.letIn() {
		t.Error("ending a person's: let in")
	}
	w.clock.pass(2 * time.Second)
	if three := signedOn(t, w, g); !three.letIn() {
		t.Error("who signs on again is not let in")
	}
	if err := g.EndSession(""); err == nil {
		t.Error("no name names a session")
	}
}

// An edge that cannot know which sessions have ended takes none for living, and recovers by itself.
func TestAnEdgeThatCannotReadItsFolder(t *testing.T) { // SYSTEM P4
	w := newWorld(t, noMail)
	g, err := access.New(w.setting) // which nobody runs
	if err != nil {
		t.Fatal(err)
	}
	b := signedOn(t, w, g)
	if err := os.Rename(filepath.Join(w.folder.Path(), "ended"), filepath.Join(w.folder.Path(), "away")); err != nil {
		t.Fatal(err)
	}
	w.clock.pass(5 * time.Second)
	if !b.letIn() {
		t.Error("a short trouble ends sessions")
	}
	again := b.gone.Again
	w.clock.pass(6 * time.Second)
	if p := b.once(wiki + "/x"); b.passed != nil || p.StatusCode != http.StatusServiceUnavailable || again() {
		t.Errorf("got %d", p.StatusCode)
	}
	if b.once(wiki + "/hello"); b.passed != nil {
		t.Error("somebody is let in as nobody, who was somebody")
	}
	stranger := w.browser(g, "")
	if stranger.once(wiki + "/hello"); stranger.passed == nil {
		t.Error("a stranger may not see what is public")
	}
	if err := os.Rename(filepath.Join(w.folder.Path(), "away"), filepath.Join(w.folder.Path(), "ended")); err != nil {
		t.Fatal(err)
	}
	if !b.letIn() {
		t.Error("it does not recover")
	}
}

// Nobody waits for a folder that does not answer: whoever has a session is told to come back.
func TestAFolderThatHangs(t *testing.T) { // SYSTEM P4
	w := newWorld(t, noMail)
	g, err := access.New(w.setting) // which nobody runs
	if err != nil {
		t.Fatal(err)
	}
	b := signedOn(t, w, g)
	release := g.Hang()
	w.clock.pass(11 * time.Second)
	answers := make(chan int, 1)
	go func() { answers <- b.once(wiki + "/x").StatusCode }()
	select {
	case status := <-answers:
		if status != http.StatusServiceUnavailable {
			t.Errorf("got %d", status)
		}
		release()
	case <-time.After(5 * time.Second):
		t.Error("it waits")
		release()
		<-answers
	}
	if !b.letIn() {
		t.Error("it does not recover")
	}
}

func TestAKeyThatIsTakenAwayEndsWhatItSealed(t *testing.T) { // SYSTEM P4
	w := newWorld(t, noMail)
	b := signedOn(t, w, w.gate())
	keys, err := filepath.Glob(filepath.Join(w.folder.Path(), "session-keys", "*"))
	if err != nil || len(keys) != 1 {
		t.Fatal(keys, err)
	}
	if err := os.Remove(keys[0]); err != nil {
		t.Fatal(err)
	}
	w.clock.pass(11 * time.Second)
	if b.letIn() {
		t.Error("let in")
	}
	signedOn(t, w, w.gate()) // with a new key
}

func TestKeysChangeByTheDay(t *testing.T) { // SYSTEM P4
	w := newWorld(t, noMail, func(w *world) { w.setting.SessionLife = 48 * time.Hour })
	g := w.gate()
	b := signedOn(t, w, g)
	w.clock.pass(25 * time.Hour)
	if !b.letIn() {
		t.Error("a session does not outlast its key's day")
	}
	if one, two := b.jar["wiki.example"][edgeCookie], w.browser(g, "bob"); true {
		two.get(wiki + "/docs/x") // the provider's token is of today by its own clock, so that this sign-on is refused; its transaction is sealed
		if keys, _ := filepath.Glob(filepath.Join(w.folder.Path(), "session-keys", "*")); len(keys) != 2 || one == "" {
			t.Errorf("%d keys on the second day", len(keys))
		}
	}
}

func TestEdgesMakeAKeyAtOnce(t *testing.T) { // SYSTEM P4
	w := newWorld(t, noMail)
	var all sync.WaitGroup
	var browsers [8]*browser
	for i := range browsers {
		g := w.gate()
		all.Go(func() {
			browsers[i] = w.browser(g, "alice")
			browsers[i].get(wiki + "/x")
		})
	}
	all.Wait()
	for _, b := range browsers {
		b.gate = browsers[0].gate
		if !b.letIn() {
			t.Error("another edge's session is not let in")
		}
	}
}

func TestPoliciesAreAskedAnew(t *testing.T) { // SYSTEM P4
	w := newWorld(t, noMail)
	b := signedOn(t, w, w.gate())
	again := b.gone.Again
	if !again() {
		t.Fatal("asked again, no")
	}
	without := parse(t, strings.Replace(rules, `@id("staff") permit`, `@id("staff") forbid`, 1))
	w.rules = func() *policy.Set { return without }
	if again() || b.letIn() {
		t.Error("a policy that has changed is not asked")
	}
}

func TestManyGroupsFit(t *testing.T) { // SYSTEM P4
	w := newWorld(t, noMail)
	groups := []string{"staff"}
	for range access.MaxGroups - 1 {
		groups = append(groups, "group-of-20-letters-")
	}
	w.idp.people["alice"]["groups"] = groups
	b := signedOn(t, w, w.gate())
	if len(b.gone.Who.Groups) != access.MaxGroups || len(b.jar["wiki.example"]) < 2 || !b.letIn() {
		t.Errorf("%d groups in %d cookies", len(b.gone.Who.Groups), len(b.jar["wiki.example"]))
	}
	for name, value := range b.jar["wiki.example"] {
		if len(name)+len(value) > 4096 {
			t.Errorf("%s has %d bytes", name, len(value))
		}
	}
	if b.passed.Header["Cookie"] != nil {
		t.Error("the application gets a part")
	}
	if b.press(b.get(wiki+"/.redoubt/sign-out"), "/.redoubt/sign-out", nil); b.jar["wiki.example"][edgeCookie] != "" || b.jar["wiki.example"][edgeCookie+"-1"] != "" {
		t.Error("a part stays after signing out")
	}
}

func TestTheApplicationGetsItsOwnCookiesAlone(t *testing.T) { // SYSTEM P4, P5
	w := newWorld(t, noMail)
	b := w.browser(w.gate(), "")
	for _, c := range []struct{ sent, want string }{
		{"a=1; b=2", "a=1; b=2"},
		{"a=1;b=2", "a=1;b=2"},
		{"a=%41; b=2", "a=%41; b=2"},
		{"__Host-redoubt-edge=x", ""},
		{"a=1; __Host-redoubt-edge=x; b=2", "a=1; b=2"},
		{"__Host-redoubt-edge=x; a=1", "a=1"},
		{"a=1; __Host-redoubt-edge-1=x", "a=1"},
		{"a=1; __Host-redoubt-edge-at-ABC=x;c=3", "a=1;c=3"},
		{"a=1; __host-REDOUBT-edge=x", "a=1"},
		{"a=1; __%48ost-redoubt%2dedge=x", "a=1"},
		{"a=1; \"__Host-redoubt-edge\"=x", "a=1"},
		{"a=1, __Host-redoubt-edge=x; b=2", "b=2"},
		{"a=1; __Host-redoubt-edge", "a=1"},
		{"a=1; =__Host-redoubt-edge=x", "a=1"},
		{"a=1;\t__Host-redoubt-edge=x", "a=1"},
		{"a=1; __Host-other=x", "a=1; __Host-other=x"},
		{"a=%; b=%zz", "a=%; b=%zz"},
		{";;", ";;"},
	} {
		r := b.request("GET", wiki+"/hello", nil)
		r.Header.Set("Cookie", c.sent)
		b.send(r)
		if got := b.passed.Header.Get("Cookie"); got != c.want {
			t.Errorf("%q: got %q, want %q", c.sent, got, c.want)
		}
	}
	r := b.request("GET", wiki+"/hello", nil)
	r.Header["Cookie"] = []string{"a=1", "__Host-redoubt-edge=x", "b=2; __Host-redoubt-edge=y"}
	if b.send(r); strings.Join(b.passed.Header["Cookie"], "|") != "a=1|b=2" {
		t.Errorf("several lines: got %q", b.passed.Header["Cookie"])
	}
}

func TestTheApplicationSetsNoCookieOfOurs(t *testing.T) { // SYSTEM P4
	h := http.Header{"Set-Cookie": {"a=1", "__Host-redoubt-edge=x; Path=/", "b=__Host; Path=/", "__host-redoubt-EDGE-1=; Max-Age=0", "c=3"}}
	access.DropCookies(h)
	if got := strings.Join(h["Set-Cookie"], "|"); got != "a=1|b=__Host; Path=/|c=3" {
		t.Errorf("got %q", got)
	}
	h = http.Header{"Set-Cookie": {"__Host-redoubt-edge=x"}}
	if access.DropCookies(h); len(h) != 0 {
		t.Errorf("got %v", h)
	}
}

// Whoever a client says that it is in headers, the gate has not looked.
func TestIdentityInHeadersIsNothing(t *testing.T) { // SYSTEM P5
	w := newWorld(t, noMail)
	b := w.browser(w.gate(), "")
	r := b.request("GET", wiki+"/x", nil)
	for _, name := range []string{"Redoubt-Assertion", "X-Forwarded-User", "X-Forwarded-Email", "X-Forwarded-Groups", "Remote-User", "Cf-Access-Jwt-Assertion", "X-Auth-Request-Email", "Authorization"} {
		r.Header.Set(name, "alice@acme.test")
	}
	if b.send(r); b.passed != nil {
		t.Error("let in")
	}
}

func TestAHostThatIsNotOurs(t *testing.T) { // SYSTEM P4
	w := newWorld(t, noMail)
	b := w.browser(w.gate(), "")
	for _, address := range []string{"https://evil.example/hello", "https://wiki.example:8443/hello", "https://wiki.example.evil.example/hello"} {
		r := b.request("GET", address, nil)
		b.send(r)
		if b.passed != nil {
			t.Errorf("%s: let in", address)
		}
	}
	for what, c := range map[string]struct {
		host, application string
		in                bool
	}{
		"in capitals, with the port that goes without saying": {"WIKI.example:443", "wiki", true},
		"of another application":                              {"wiki.example", "shop", false},
		"of none":                                             {"wiki.example", "", false},
	} {
		r := b.request("GET", wiki+"/hello", nil)
		r.Host = c.host
		if _, answered := b.gate.Admit(httptest.NewRecorder(), r, access.Visitor{Application: c.application, Client: access.Client("192.0.2.1")}); answered == c.in {
			t.Errorf("%s: let in is %t", what, !answered)
		}
	}
}

func TestLoggedOutAtTheProvider(t *testing.T) { // SYSTEM P4
	w := newWorld(t, noMail)
	one, two := w.gate(), w.gate()
	b := signedOn(t, w, one)
	token := func(edit func(map[string]any)) string {
		now := time.Now()
		c := map[string]any{"iss": w.idp.issuer, "aud": "edge", "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(), "jti": "j1", "sid": "idp-alice",
			"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}}
		edit(c)
		return w.idp.sign(c)
	}
	post := func(raw string) int {
		r := b.request("POST", wiki+"/.redoubt/logged-out", map[string][]string{"logout_token": {raw}})
		r.Header.Del("Origin")
		r.Header.Del("Sec-Fetch-Site")
		r.Header.Del("Sec-Fetch-Mode")
		return w.browser(two, "").send(r).StatusCode
	}
	same := func(map[string]any) {}
	set := func(name string, value any) func(map[string]any) {
		return func(c map[string]any) { c[name] = value }
	}
	for attack, raw := range map[string]string{
		"nothing":              "",
		"no token":             "x.y.z",
		"an ID token":          token(func(c map[string]any) { delete(c, "events"); c["nonce"] = "n"; c["sub"] = "alice" }),
		"with a nonce":         token(set("nonce", "n")),
		"of yesterday":         token(set("iat", time.Now().Add(-24*time.Hour).Unix())),
		"of tomorrow":          token(set("iat", time.Now().Add(24*time.Hour).Unix())),
		"expired":              token(set("exp", time.Now().Add(-time.Hour).Unix())),
		"for another":          token(set("aud", "shop")),
		"of another issuer":    token(set("iss", "https://evil.example")),
		"about nobody":         token(func(c map[string]any) { delete(c, "sid") }),
		"with its end cut off": token(same)[:100],
		"very long":            token(set("x", strings.Repeat("x", 20<<10))),
	} {
		if status := post(raw); status != http.StatusBadRequest || !b.letIn() {
			t.Errorf("%s: got %d, and alice is let in: %t", attack, status, b.passed != nil)
		}
	}
	if status := post(token(set("sid", "another"))); status != http.StatusOK || !b.letIn() {
		t.Errorf("another session: got %d, and alice is let in: %t", status, b.passed != nil)
	}
	ended := b.gone.Ended
	if status := post(token(same)); status != http.StatusOK {
		t.Fatalf("her session: got %d\n%s", status, w.log)
	}
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Error("nobody is told")
	}
	if b.letIn() {
		t.Error("let in")
	}

	if p := w.browser(one, "alice").get(wiki + "/x"); p.StatusCode != http.StatusForbidden || !strings.Contains(p.text, "Please begin again") {
		t.Errorf("the same session of the provider's, again: got %d", p.StatusCode)
	}
	w.idp.people["alice"]["sid"] = "idp-alice-2"
	c := signedOn(t, w, one)
	if status := post(token(func(m map[string]any) { delete(m, "sid"); m["sub"] = "alice" })); status != http.StatusOK {
		t.Fatalf("the person: got %d", status)
	}
	within(t, "the person's session has ended at the other edge", func() bool { return !c.letIn() })
}

func TestRunEndsWithItsContext(t *testing.T) {
	w := newWorld(t)
	g, err := access.New(w.setting)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { g.Run(ctx); close(done) }()
	cancel()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		t.Error("it runs on")
	}
}
