package access_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/access"
	"github.com/redoubt-dev/redoubt/layer/perimeter/access/policy"
	"github.com/redoubt-dev/redoubt/layer/perimeter/state"
)

const (
	wiki, shop = "https://wiki.example", "https://shop.example"

	rules = `
@id("staff") permit(principal in Group::"okta/staff", action, resource in Host::"wiki.example");
@id("staff-shop") permit(principal in Group::"okta/staff", action, resource in Host::"shop.example");
@id("bob") permit(principal == Person::"bob@acme.test", action, resource in Path::"wiki.example/docs");
@id("backup") permit(principal == Service::"backup", action == Action::"GET", resource in Path::"wiki.example/export");
@public("the way in") permit(principal, action == Action::"GET", resource == Path::"wiki.example/hello");
`
)

// A world is a gate, or several on one folder, with a provider and a mailbox.
type world struct {
	t       testing.TB
	idp     *idp
	folder  *state.Folder
	log     *bytes.Buffer
	mails   chan mail
	clock   *clock
	rules   func() *policy.Set
	setting access.Config
}

type mail struct{ to, subject, text string }

type clock struct {
	mu sync.Mutex
	by time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.by)
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.by += d
}

func parse(t testing.TB, text string) *policy.Set {
	t.Helper()
	set, err := policy.Parse(policy.Names{Hosts: []string{"wiki.example", "shop.example"}}, []policy.File{{Name: "edge.cedar", Text: text}})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

type locked struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

func newWorld(t testing.TB, edit ...func(*world)) *world {
	t.Helper()
	folder, err := state.Open(t.TempDir() + "/edge")
	if err != nil {
		t.Fatal(err)
	}
	set := parse(t, rules)
	w := &world{t: t, idp: newIDP(t), folder: folder, log: new(bytes.Buffer), mails: make(chan mail, 1000), clock: new(clock), rules: func() *policy.Set { return set }}
	w.setting = access.Config{
		Applications: []access.Application{{Name: "wiki", Origin: wiki, Title: "Acme Wiki"}, {Name: "shop", Origin: shop}},
		Policies:     func(string) *policy.Set { return w.rules() },
		Providers:    []access.Provider{w.idp.as("okta")},
		Mail: func(_ context.Context, to, subject, text string) error {
			w.mails <- mail{to, subject, text}
			return nil
		},
		Folder: folder, Now: w.clock.now, Log: slog.New(slog.NewTextHandler(&locked{w: w.log}, nil)),
		Rates: access.Rates{Address: 1000, Client: 1000, Overall: 1000},
	}
	for _, f := range edit {
		f(w)
	}
	return w
}

// gate starts one edge's gate.
func (w *world) gate() *access.Guard {
	w.t.Helper()
	g, err := access.New(w.setting)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { g.Run(ctx); close(done) }()
	w.t.Cleanup(func() { cancel(); <-done })
	return g
}

// A browser keeps cookies as browsers do, as far as ours go, and knows the edges and the provider as hosts.
type browser struct {
	t      testing.TB
	gate   access.Gate
	world  *world
	person string // who signs on at the provider
	client string
	jar    map[string]map[string]string // host, name
	gone   access.Admission             // of the last request that passed
	passed *http.Request                // as the application would get it
}

func (w *world) browser(g access.Gate, person string) *browser {
	return &browser{t: w.t, gate: g, world: w, person: person, client: "192.0.2.7", jar: map[string]map[string]string{}}
}

// page is what a browser shows.
type page struct {
	*http.Response
	text string
	at   string
}

// next is where a browser goes from here by itself.
func (p page) next() string {
	if p.StatusCode == http.StatusSeeOther {
		return p.Header.Get("Location")
	}
	return strings.TrimPrefix(p.Header.Get("Refresh"), "0; url=")
}

func (b *browser) request(method, address string, form url.Values) *http.Request {
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r := httptest.NewRequest(method, address, body)
	r.Header.Set("Accept", "text/html,*/*;q=0.8")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Site", "none")
	if form != nil {
		u, _ := url.Parse(address)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", "https://"+u.Host)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	return r
}

// send sends one request and keeps the cookies of its answer.
func (b *browser) send(r *http.Request) page {
	b.t.Helper()
	host := r.Host
	var pairs []string
	for name, value := range b.jar[host] {
		pairs = append(pairs, name+"="+value)
	}
	if len(pairs) > 0 {
		r.Header.Add("Cookie", strings.Join(pairs, "; "))
	}
	name := strings.TrimSuffix(host, ".example")
	rec := httptest.NewRecorder()
	b.passed = nil
	a, answered := b.gate.Admit(rec, r, access.Visitor{Application: name, Client: netip.MustParseAddr(b.client), ID: "req-1"})
	b.gone = a
	if !answered {
		b.passed = r
		rec.WriteHeader(http.StatusOK)
		rec.WriteString("the application: " + a.Who.By + " " + a.Who.Email + a.Who.Subject)
	}
	resp := rec.Result()
	for _, c := range resp.Cookies() {
		if !c.Secure || !c.HttpOnly || c.Path != "/" || c.Domain != "" || c.SameSite != http.SameSiteLaxMode || !strings.HasPrefix(c.Name, "__Host-redoubt-edge") {
			b.t.Errorf("a cookie that is not as they all should be: %s", c.Raw)
		}
		if b.jar[host] == nil {
			b.jar[host] = map[string]string{}
		}
		if c.MaxAge < 0 {
			delete(b.jar[host], c.Name)
		} else {
			b.jar[host][c.Name] = c.Value
		}
	}
	return page{resp, rec.Body.String(), r.URL.String()}
}

// get opens an address and goes where it is sent, the provider included.
func (b *browser) get(address string) page {
	b.t.Helper()
	for range 12 {
		u, err := url.Parse(address)
		if err != nil {
			b.t.Fatal(err)
		}
		if u.Host == "idp.example" || u.Host == "other.example" {
			address = b.world.idp.authorize(u, b.person)
			continue
		}
		p := b.send(b.request("GET", address, nil))
		if address = p.next(); address == "" {
			return p
		}
	}
	b.t.Fatalf("sent around in circles, last to %s", address)
	return page{}
}

// once opens an address and stays there.
func (b *browser) once(address string) page {
	b.t.Helper()
	return b.send(b.request("GET", address, nil))
}

var hidden = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)">`)

// press fills a form of a page in and sends it.
func (b *browser) press(p page, path string, more url.Values) page {
	b.t.Helper()
	form := url.Values{}
	for _, m := range hidden.FindAllStringSubmatch(p.text, -1) {
		form.Set(m[1], strings.ReplaceAll(m[2], "&#43;", "+"))
	}
	for name, values := range more {
		form[name] = values
	}
	u, _ := url.Parse(p.at)
	answer := b.send(b.request("POST", "https://"+u.Host+path, form))
	if next := answer.next(); next != "" {
		return b.get(next)
	}
	return answer
}

var linkForm = regexp.MustCompile(`https://\S+/\.redoubt/link\?k=\S+`)

// mailedLink asks for a link and reads it out of the mail.
func (b *browser) mailedLink(address string) string {
	b.t.Helper()
	p := b.press(b.get(wiki+"/.redoubt/sign-on?to=/docs/a&as=other"), "/.redoubt/mail", url.Values{"email": {address}})
	if p.StatusCode != http.StatusOK || !strings.Contains(p.text, "Check your mail") {
		b.t.Fatalf("asking for a link: %d %s", p.StatusCode, p.text)
	}
	select {
	case m := <-b.world.mails:
		if link := linkForm.FindString(m.text); link != "" {
			return link
		}
		b.t.Fatalf("a mail without a link: %s", m.text)
	case <-time.After(10 * time.Second):
		b.t.Fatal("no mail came")
	}
	return ""
}

// An idp is a provider that says what a test wants to hear. It is reached without a network.
type idp struct {
	t      testing.TB
	issuer string
	key    *ecdsa.PrivateKey
	forger *ecdsa.PrivateKey // signs, if there is one, with the name of key
	down   bool
	asked  int // for its addresses

	mu     sync.Mutex
	grants map[string]grant
	people map[string]map[string]any // claims
	lean   bool                      // keeps the claims for userinfo
	twice  bool                      // takes a code twice
	edit   func(claims map[string]any)
	answer func(q url.Values) // of the authorization endpoint
	more   map[string]any     // of discovery
}

type grant struct {
	nonce, challenge, redirect, person, client string
}

func newIDP(t testing.TB) *idp {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &idp{t: t, issuer: "https://idp.example", key: key, grants: map[string]grant{}, people: map[string]map[string]any{
		"alice":   {"sub": "alice", "email": "alice@acme.test", "email_verified": true, "groups": []string{"staff"}, "sid": "idp-alice"},
		"carol":   {"sub": "carol", "email": "carol@acme.test", "email_verified": true, "groups": []string{"guests"}},
		"mallory": {"sub": "mallory", "email": "bob@acme.test", "email_verified": false},
		"bob":     {"sub": "bob", "email": "bob@acme.test", "email_verified": true},
	}}
}

func (i *idp) as(name string) access.Provider {
	return access.Provider{Name: name, Title: "Acme " + name, Issuer: i.issuer, ClientID: "edge", ClientSecret: "s3cret", GroupsClaim: "groups", HTTP: &http.Client{Transport: i}}
}

// authorize is the provider's page, on which person signs in at once; it returns where the browser is sent.
func (i *idp) authorize(u *url.URL, person string) string {
	i.mu.Lock()
	defer i.mu.Unlock()
	q := u.Query()
	if q.Get("response_type") != "code" || q.Get("code_challenge_method") != "S256" || q.Get("nonce") == "" || len(q.Get("state")) < 20 {
		i.t.Errorf("the edge asks without what it needs: %s", u)
	}
	code := rand.Text()
	i.grants[code] = grant{q.Get("nonce"), q.Get("code_challenge"), q.Get("redirect_uri"), person, q.Get("client_id")}
	back := url.Values{"code": {code}, "state": {q.Get("state")}, "iss": {i.issuer}}
	if i.answer != nil {
		i.answer(back)
	}
	return q.Get("redirect_uri") + "?" + back.Encode()
}

func (i *idp) RoundTrip(r *http.Request) (*http.Response, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.down {
		i.asked++
		return nil, fmt.Errorf("connection refused")
	}
	w := httptest.NewRecorder()
	answer := func(v any) {
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(v); err != nil {
			i.t.Error(err)
		}
	}
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		i.asked++
		d := map[string]any{"issuer": i.issuer, "authorization_endpoint": i.issuer + "/authorize", "token_endpoint": i.issuer + "/token", "jwks_uri": i.issuer + "/keys",
			"userinfo_endpoint": i.issuer + "/userinfo", "id_token_signing_alg_values_supported": []string{"ES256"}}
		for k, v := range i.more {
			d[k] = v
		}
		answer(d)
	case "/keys":
		point, err := i.key.PublicKey.Bytes()
		if err != nil {
			i.t.Error(err)
		}
		answer(map[string]any{"keys": []any{map[string]string{"kty": "EC", "crv": "P-256", "kid": "k1", "alg": "ES256", "use": "sig", "x": b64(point[1:33]), "y": b64(point[33:])}}})
	case "/token":
		i.token(r, w, answer)
	case "/userinfo":
		answer(i.people[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer access-")])
	default:
		w.WriteHeader(http.StatusNotFound)
	}
	resp := w.Result()
	resp.Request = r
	return resp, nil
}

func (i *idp) token(r *http.Request, w *httptest.ResponseRecorder, answer func(any)) {
	if err := r.ParseForm(); err != nil {
		i.t.Error(err)
	}
	id, secret, _ := r.BasicAuth()
	g, ok := i.grants[r.PostForm.Get("code")]
	sum := sha256.Sum256([]byte(r.PostForm.Get("code_verifier")))
	if !ok || g.challenge != b64(sum[:]) || g.redirect != r.PostForm.Get("redirect_uri") || id != g.client || secret != "s3cret" {
		w.WriteHeader(http.StatusBadRequest)
		answer(map[string]string{"error": "invalid_grant"})
		return
	}
	if !i.twice {
		delete(i.grants, r.PostForm.Get("code"))
	}
	now := time.Now()
	claims := map[string]any{"iss": i.issuer, "aud": g.client, "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(), "nonce": g.nonce, "auth_time": now.Add(-time.Minute).Unix()}
	for name, value := range i.people[g.person] {
		if !i.lean || name == "sub" {
			claims[name] = value
		}
	}
	if i.edit != nil {
		i.edit(claims)
	}
	answer(map[string]any{"access_token": "access-" + g.person, "token_type": "Bearer", "id_token": i.sign(claims)})
}

func (i *idp) sign(claims map[string]any) string {
	if i.forger != nil {
		return signed(i.t, i.forger, claims)
	}
	return signed(i.t, i.key, claims)
}

func signed(t testing.TB, key *ecdsa.PrivateKey, claims map[string]any) string {
	t.Helper()
	body, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	text := b64([]byte(`{"alg":"ES256","kid":"k1"}`)) + "." + b64(body)
	sum := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + b64(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func nilRules() *policy.Set { return nil }
