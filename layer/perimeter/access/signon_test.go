package access_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/access"
	"github.com/redoubt-dev/redoubt/layer/perimeter/access/policy"
	"github.com/redoubt-dev/redoubt/layer/perimeter/assertion"
)

func noMail(w *world) { w.setting.Mail = nil }

func TestAPersonSignsOnWithAProvider(t *testing.T) { // SYSTEM P4
	w := newWorld(t, noMail)
	b := w.browser(w.gate(), "alice")
	p := b.get(wiki + "/pages/one?x=1&y=%20")
	if b.passed == nil {
		t.Fatalf("not let in: %d %s\n%s", p.StatusCode, p.text, w.log)
	}
	if p.at != wiki+"/pages/one?x=1&y=%20" {
		t.Errorf("came back to %s", p.at)
	}
	who := b.gone.Who
	if who.By != assertion.ByProvider || who.Subject != "alice" || who.Provider != "okta" || who.Email != "alice@acme.test" || who.Session == "" || len(who.Groups) != 1 ||
		time.Since(who.At) < 50*time.Second || !strings.Contains(b.gone.Rule, "staff") {
		t.Errorf("got %+v by %s", who, b.gone.Rule)
	}
	if c := b.passed.Header["Cookie"]; c != nil {
		t.Errorf("the application gets %q", c)
	}
	if b.get(wiki + "/other"); b.passed == nil {
		t.Error("the session does not last")
	}
	for name := range b.jar["wiki.example"] {
		if strings.Contains(name, "-at-") {
			t.Errorf("%s stays behind", name)
		}
	}
	if !b.gone.Again() {
		t.Error("asked again, the answer is another")
	}
}

func TestOnlyThePolicyLetsIn(t *testing.T) { // SYSTEM P4
	w := newWorld(t, noMail)
	g := w.gate()
	for who, c := range map[string]struct {
		person, address string
		in              bool
	}{
		"staff":                              {"alice", wiki + "/x", true},
		"staff at another application":       {"alice", shop + "/x", true},
		"a guest":                            {"carol", wiki + "/x", false},
		"an address that is let in":          {"bob", wiki + "/docs/a", true},
		"an address, elsewhere":              {"bob", wiki + "/x", false},
		"an address that nobody has checked": {"mallory", wiki + "/docs/a", false},
	} {
		b := w.browser(g, c.person)
		p := b.get(c.address)
		if (b.passed != nil) != c.in {
			t.Errorf("%s: let in is %t: %s", who, b.passed != nil, p.text)
		}
		if !c.in && (p.StatusCode != http.StatusForbidden || !strings.Contains(p.text, "You are signed in as") || !strings.Contains(p.text, "/.redoubt/sign-out")) {
			t.Errorf("%s: got %d %s", who, p.StatusCode, p.text)
		}
	}
	b := w.browser(g, "")
	if p := b.once(wiki + "/hello"); b.passed == nil || b.gone.Who.By != assertion.ByNobody || b.gone.Ended != nil {
		t.Errorf("the public path: %d", p.StatusCode)
	}
}

// What a stranger is told says nothing of what the application has.
func TestDeniedIsOneAnswer(t *testing.T) { // SYSTEM P4
	w := newWorld(t)
	b := w.browser(w.gate(), "")
	r := func(method, path string, edit func(http.Header)) page {
		req := b.request(method, wiki+path, nil)
		edit(req.Header)
		return b.send(req)
	}
	program := func(h http.Header) { h.Del("Sec-Fetch-Mode"); h.Set("Accept", "application/json") }
	one, two := r("GET", "/exists", program), r("GET", "/no/such/page", program)
	if one.StatusCode != http.StatusUnauthorized || one.text != two.text || !strings.Contains(one.text, `"refused_by":"perimeter"`) || one.Header.Get("WWW-Authenticate") == "" ||
		one.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("got %d %s, and %s", one.StatusCode, one.text, two.text)
	}
	if p := r("GET", "/x", func(h http.Header) { h.Set("Sec-Fetch-Mode", "cors") }); p.StatusCode != http.StatusUnauthorized {
		t.Errorf("a script is sent elsewhere: %d", p.StatusCode)
	}
	if p := r("POST", "/x", func(http.Header) {}); p.StatusCode != http.StatusUnauthorized || !strings.Contains(p.text, "<h1>Sign in first</h1>") {
		t.Errorf("a form: %d %s", p.StatusCode, p.text)
	}
	if p := r("GET", "/x", func(http.Header) {}); p.StatusCode != http.StatusSeeOther || p.Header.Get("Location") != wiki+"/.redoubt/sign-on?to=%2Fx" {
		t.Errorf("a person: %d %s", p.StatusCode, p.Header.Get("Location"))
	}
	public := parse(t, `@public("the way in") permit(principal, action == Action::"GET", resource == Path::"wiki.example/hello");`)
	w.rules = func() *policy.Set { return public }
	if p := r("GET", "/x", func(http.Header) {}); p.StatusCode != http.StatusForbidden {
		t.Errorf("where signing on helps nobody: %d", p.StatusCode)
	}
	w.rules = nilRules
	if p := r("GET", "/x", func(http.Header) {}); p.StatusCode != http.StatusForbidden || strings.Contains(p.text, "/.redoubt/sign-on") {
		t.Errorf("where nobody may pass: %d %s", p.StatusCode, p.text)
	}
	if p := r("GET", "/hello", program); p.StatusCode != http.StatusForbidden || b.passed != nil {
		t.Errorf("without policies, the public path is open: %d", p.StatusCode)
	}
}

// Each answer of a provider's, or of whoever stands between, that must not sign anybody on; the same without it does.
func TestAnswersThatSignNobodyOn(t *testing.T) { // SYSTEM P4
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	claim := func(name string, value any) func(*idp) {
		return func(i *idp) { i.edit = func(c map[string]any) { c[name] = value } }
	}
	many := make([]string, access.MaxGroups+1)
	for attack, arrange := range map[string]func(*idp){
		"the nonce of another sign-on":          claim("nonce", "another"),
		"no nonce":                              func(i *idp) { i.edit = func(c map[string]any) { delete(c, "nonce") } },
		"a token for another client":            claim("aud", "shop"),
		"a token for several, and us not first": claim("aud", []string{"shop", "edge"}),
		"a token that another client asked for": claim("azp", "shop"),
		"a token of another issuer":             claim("iss", "https://evil.example"),
		"an expired token":                      claim("exp", time.Now().Add(-time.Minute).Unix()),
		"a token of yesterday":                  claim("iat", time.Now().Add(-24*time.Hour).Unix()),
		"a token of tomorrow":                   claim("iat", time.Now().Add(24*time.Hour).Unix()),
		"a token of nobody":                     claim("sub", ""),
		"a token that goes with another access": claim("at_hash", "AAAAAAAAAAAAAAAAAAAAAA"),
		"more groups than a session holds":      claim("groups", many),
		"longer groups than a session holds":    claim("groups", []string{strings.Repeat("x", access.MaxGroupBytes+1)}),
		"groups in another form":                claim("groups", map[string]bool{"staff": true}),
		"a group with a line end":               claim("groups", []string{"staff", "x\ny"}),
		"groups that are kept elsewhere": func(i *idp) {
			i.edit = func(c map[string]any) {
				delete(c, "groups")
				c["_claim_names"] = map[string]string{"groups": "src1"}
				c["_claim_sources"] = map[string]any{"src1": map[string]string{"endpoint": "https://graph.example/groups"}}
				delete(i.people["alice"], "groups")
			}
		},
		"a subject longer than any":      claim("sub", strings.Repeat("x", 256)),
		"the answer of another provider": func(i *idp) { i.answer = func(q url.Values) { q.Set("iss", "https://evil.example") } },
		"an answer with two names":       func(i *idp) { i.answer = func(q url.Values) { q.Add("iss", "https://evil.example") } },
		"no name from one that always says it": func(i *idp) {
			i.more = map[string]any{"authorization_response_iss_parameter_supported": true}
			i.answer = func(q url.Values) { q.Del("iss") }
		},
		"no state":      func(i *idp) { i.answer = func(q url.Values) { q.Del("state") } },
		"another state": func(i *idp) { i.answer = func(q url.Values) { q.Set("state", "ABCDEFGHIJKLMNOPQRSTUVWXYZ") } },
		"two states":    func(i *idp) { i.answer = func(q url.Values) { q.Add("state", "x") } },
		"the state, but for its end": func(i *idp) {
			i.answer = func(q url.Values) {
				s := q.Get("state")
				q.Set("state", s[:len(s)-1]+string(rune('A'+(s[len(s)-1]-'A'+1)%2)))
			}
		},
		"no code":                        func(i *idp) { i.answer = func(q url.Values) { q.Del("code") } },
		"a code that it never gave":      func(i *idp) { i.answer = func(q url.Values) { q.Set("code", "guessed") } },
		"a refusal":                      func(i *idp) { i.answer = func(q url.Values) { q.Del("code"); q.Set("error", "access_denied") } },
		"a refusal with markup":          func(i *idp) { i.answer = func(q url.Values) { q.Set("error", "<script>x</script>\n") } },
		"a refusal beside a code":        func(i *idp) { i.answer = func(q url.Values) { q.Set("error", ""); q.Add("error", "x") } },
		"a signature of somebody else's": func(i *idp) { i.forger = stranger },
	} {
		t.Run(attack, func(t *testing.T) {
			w := newWorld(t, noMail)
			g := w.gate()
			if b := w.browser(g, "alice"); b.get(wiki+"/x").StatusCode != http.StatusOK || b.passed == nil {
				t.Fatalf("without the attack: not let in\n%s", w.log)
			}
			w = newWorld(t, noMail)
			g = w.gate()
			arrange(w.idp)
			b := w.browser(g, "alice")
			p := b.get(wiki + "/x")
			if b.passed != nil || p.StatusCode == http.StatusOK {
				t.Fatalf("let in: %d", p.StatusCode)
			}
			if strings.Contains(p.text, "<script") || !strings.Contains(p.text, "/.redoubt/sign-on") {
				t.Errorf("the page: %s", p.text)
			}
			for name := range b.jar["wiki.example"] {
				if name == "__Host-redoubt-edge" {
					t.Error("a session begins")
				}
			}
		})
	}
}

// Who lets another's browser end a sign-on of their own would have them work in the attacker's name.
func TestASignOnEndsWhereItBegan(t *testing.T) { // SYSTEM P4
	w := newWorld(t, noMail)
	g := w.gate()
	attacker, victim := w.browser(g, "carol"), w.browser(g, "alice")
	answer := func(b *browser, host string) string {
		u, err := url.Parse(b.once(host + "/.redoubt/sign-on").Header.Get("Location"))
		if err != nil {
			t.Fatal(err)
		}
		return w.idp.authorize(u, b.person)
	}
	theirs := answer(attacker, wiki)
	if p := victim.once(theirs); p.StatusCode != http.StatusBadRequest || victim.jar["wiki.example"]["__Host-redoubt-edge"] != "" {
		t.Errorf("a browser that began nothing: %d", p.StatusCode)
	}
	answer(victim, wiki) // one of its own is under way
	if p := victim.once(theirs); p.StatusCode != http.StatusBadRequest {
		t.Errorf("a browser that began another: %d", p.StatusCode)
	}
	mine, other := answer(victim, wiki), answer(attacker, wiki)
	u, v := must(t, mine), must(t, other)
	q := u.Query()
	q.Set("code", v.Query().Get("code")) // which is for the attacker's nonce and verifier
	if p := victim.once(wiki + u.Path + "?" + q.Encode()); p.StatusCode == http.StatusSeeOther {
		t.Error("the attacker's code is taken")
	}
	elsewhere := strings.Replace(answer(victim, wiki), "wiki.example", "shop.example", 1)
	victim.jar["shop.example"] = victim.jar["wiki.example"]
	if p := victim.once(elsewhere); p.StatusCode != http.StatusBadRequest {
		t.Errorf("a sign-on of another host's: %d", p.StatusCode)
	}
	late := answer(victim, wiki)
	w.clock.pass(11 * time.Minute)
	if p := victim.once(late); p.StatusCode != http.StatusBadRequest {
		t.Errorf("a sign-on of eleven minutes ago: %d", p.StatusCode)
	}
	w.clock.pass(-11 * time.Minute)
	if p := victim.once(answer(victim, wiki)); p.StatusCode != http.StatusSeeOther {
		t.Errorf("its own: %d %s", p.StatusCode, w.log)
	}
}

func must(t testing.TB, address string) *url.URL {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// The provider takes a code twice here: a sign-on counts once all the same, at whichever edge.
func TestACodeCountsOnce(t *testing.T) { // SYSTEM P4
	w := newWorld(t, noMail)
	w.idp.twice = true
	b := w.browser(w.gate(), "alice")
	u := must(t, b.once(wiki+"/.redoubt/sign-on").Header.Get("Location"))
	back := w.idp.authorize(u, "alice")
	before := map[string]string{}
	for name, value := range b.jar["wiki.example"] {
		before[name] = value
	}
	if p := b.once(back); p.StatusCode != http.StatusSeeOther {
		t.Fatalf("the first time: %d %s", p.StatusCode, w.log)
	}
	thief := w.browser(w.gate(), "alice")
	thief.jar["wiki.example"] = before
	if p := thief.once(back); p.StatusCode != http.StatusBadRequest {
		t.Errorf("the second time: %d", p.StatusCode)
	}
}

func TestManyTabsSignOnAtOnce(t *testing.T) {
	w := newWorld(t, noMail)
	b := w.browser(w.gate(), "alice")
	var backs []string
	for range 8 {
		backs = append(backs, w.idp.authorize(must(t, b.once(wiki+"/.redoubt/sign-on?to=/a").Header.Get("Location")), "alice"))
	}
	for i, back := range backs {
		if p := b.once(back); p.StatusCode != http.StatusSeeOther {
			t.Errorf("tab %d: %d", i+1, p.StatusCode)
		}
	}
	for range 50 {
		b.once(wiki + "/.redoubt/sign-on?as=other")
		b.once(wiki + "/.redoubt/begin?provider=okta&to=/a")
	}
	if n := len(b.jar["wiki.example"]); n > 12 {
		t.Errorf("%d cookies", n)
	}
}

func TestAnotherProvidersGroupIsNotOurs(t *testing.T) { // SYSTEM P4
	w := newWorld(t, noMail, func(w *world) { w.setting.Providers = []access.Provider{w.idp.as("partner")} })
	b := w.browser(w.gate(), "alice")
	if p := b.get(wiki + "/x"); b.passed != nil || p.StatusCode != http.StatusForbidden {
		t.Errorf("partner/staff passes for okta/staff: %d", p.StatusCode)
	}
	if b.gone.Who.Provider != "partner" || len(b.gone.Who.Groups) != 1 {
		t.Errorf("got %+v", b.gone.Who)
	}
}

func TestAnAnswerBelongsToTheProviderThatWasAsked(t *testing.T) { // SYSTEM P4
	w := newWorld(t, noMail)
	other := newIDP(t)
	other.issuer = "https://other.example"
	w.setting.Providers = append(w.setting.Providers, other.as("partner"))
	b := w.browser(w.gate(), "alice")
	p := b.once(wiki + "/.redoubt/sign-on?to=/x")
	for _, want := range []string{"Acme okta", "Acme partner", `href="/.redoubt/begin?provider=okta&amp;to=%2Fx"`} {
		if !strings.Contains(p.text, want) {
			t.Errorf("the page to choose on has no %q: %s", want, p.text)
		}
	}
	u := must(t, b.once(wiki+"/.redoubt/begin?provider=okta&to=/x").Header.Get("Location"))
	back := w.idp.authorize(u, "alice")
	if p := b.once(strings.Replace(back, "callback/okta", "callback/partner", 1)); p.StatusCode != http.StatusBadRequest {
		t.Errorf("an answer at another's address: %d", p.StatusCode)
	}
	if p := b.once(back); p.StatusCode != http.StatusSeeOther {
		t.Errorf("at its own: %d", p.StatusCode)
	}
	if p := b.once(wiki + "/.redoubt/begin?provider=unknown"); p.StatusCode != http.StatusNotFound {
		t.Errorf("an unknown provider: %d", p.StatusCode)
	}
}

func TestAProviderThatIsDown(t *testing.T) { // SYSTEM P4
	w := newWorld(t, noMail)
	w.idp.down = true
	b := w.browser(w.gate(), "alice")
	for range 20 {
		if p := b.get(wiki + "/x"); p.StatusCode != http.StatusServiceUnavailable || p.Header.Get("Retry-After") == "" {
			t.Fatalf("got %d", p.StatusCode)
		}
	}
	if w.idp.asked > 2 {
		t.Errorf("asked %d times at once", w.idp.asked)
	}
	w.idp.down = false
	w.clock.pass(6 * time.Second)
	if b.get(wiki + "/x"); b.passed == nil {
		t.Errorf("it does not recover\n%s", w.log)
	}
	w.idp.down = true
	w.clock.pass(2 * time.Hour)
	if p := w.browser(b.gate, "alice").once(wiki + "/.redoubt/sign-on"); p.StatusCode != http.StatusSeeOther {
		t.Errorf("what is known of it is forgotten: %d", p.StatusCode)
	}
}

func TestClaimsInUserinfo(t *testing.T) {
	w := newWorld(t, noMail)
	w.idp.lean = true
	b := w.browser(w.gate(), "alice")
	if b.get(wiki + "/x"); b.passed == nil || b.gone.Who.Email != "alice@acme.test" {
		t.Errorf("not let in\n%s", w.log)
	}
	w = newWorld(t, noMail)
	w.idp.lean = true
	w.idp.people["alice"]["sub"] = "somebody-else" // in userinfo; the token keeps its own
	w.idp.edit = func(c map[string]any) { c["sub"] = "alice" }
	b = w.browser(w.gate(), "alice")
	if b.get(wiki + "/x"); b.passed != nil {
		t.Error("userinfo about somebody else is believed")
	}
}

func TestVerifiedAsText(t *testing.T) {
	for said, want := range map[any]string{true: "bob@acme.test", "true": "bob@acme.test", false: "", "false": "", "TRUE": "", 1: "", nil: ""} {
		w := newWorld(t, noMail)
		w.idp.people["bob"]["email_verified"] = said
		b := w.browser(w.gate(), "bob")
		b.get(wiki + "/docs/x")
		if got := b.gone.Who.Email; got != want {
			t.Errorf("%v: got %q, want %q", said, got, want)
		}
	}
}
