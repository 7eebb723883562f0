package devidp_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/redoubt-dev/redoubt/internal/devidp"
)

const (
	issuer   = "https://localhost:9000/idp"
	callback = "https://shop.example/callback?tenant=acme"
	verifier = "abcdefghijklmnopqrstuvwxyz0123456789-._~ABCDEF"
)

func challenge(v string) string {
	sum := sha256.Sum256([]byte(v))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// A desk is a provider with a browser before it, and a clock.
type desk struct {
	t   *testing.T
	idp *devidp.Provider
	jar map[string]string
	mu  sync.Mutex
	now time.Time
}

func newDesk(t *testing.T, change ...func(*devidp.Config)) *desk {
	t.Helper()
	d := &desk{t: t, jar: map[string]string{}, now: time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)}
	cfg := devidp.Config{Issuer: issuer,
		Clients: []devidp.Client{
			{ID: "shop", Secret: "s:%/e c", RedirectURIs: []string{callback}, PostLogoutRedirectURIs: []string{"https://shop.example/bye"}},
			{ID: "other", Secret: "other", RedirectURIs: []string{"https://other.example/cb"}},
		},
		People: []devidp.Person{
			{Subject: "alice", Name: "Alice <b>Archer", Email: "alice@acme.example", EmailVerified: true, Groups: []string{"acme"}, Note: "Acme · administrator"},
			{Subject: "bob", Name: "Bob", Email: "bob@acme.example"},
		},
		Now: func() time.Time { d.mu.Lock(); defer d.mu.Unlock(); return d.now },
	}
	for _, f := range change {
		f(&cfg)
	}
	var err error
	if d.idp, err = devidp.New(cfg); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *desk) pass(by time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.now = d.now.Add(by)
}

// do sends a request as the browser; header pairs follow the body.
func (d *desk) do(method, path string, form url.Values, header ...string) *httptest.ResponseRecorder {
	d.t.Helper()
	var body strings.Reader
	if form != nil {
		body = *strings.NewReader(form.Encode())
	}
	r := httptest.NewRequest(method, "https://localhost:9000/idp"+path, &body)
	r.RemoteAddr = "127.0.0.1:5000"
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for name, value := range d.jar {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	d.idp.ServeHTTP(w, r)
	for _, c := range w.Result().Cookies() {
		if d.jar[c.Name] = c.Value; c.MaxAge < 0 {
			delete(d.jar, c.Name)
		}
	}
	return w
}

func good() url.Values {
	return url.Values{"client_id": {"shop"}, "redirect_uri": {callback}, "response_type": {"code"}, "scope": {"openid profile email groups offline_access"},
		"state": {"s&t"}, "nonce": {"n"}, "code_challenge": {challenge(verifier)}, "code_challenge_method": {"S256"}}
}

func with(name, value string) url.Values {
	q := good()
	q.Set(name, value)
	return q
}

var hidden = regexp.MustCompile(`name="(request|token|client|to|state)" value="([^"]*)"`)

func form(page string) url.Values {
	q := url.Values{}
	for _, m := range hidden.FindAllStringSubmatch(page, -1) {
		q.Set(m[1], m[2])
	}
	return q
}

// click asks, chooses a person and returns the query with which the browser goes back.
func (d *desk) click(q url.Values, person string) url.Values {
	d.t.Helper()
	w := d.do("GET", "/authorize?"+q.Encode(), nil)
	if w.Code == http.StatusOK {
		choice := form(w.Body.String())
		choice.Set("subject", person)
		w = d.do("POST", "/choose", choice)
	}
	return d.back(w)
}

func (d *desk) back(w *httptest.ResponseRecorder) url.Values {
	d.t.Helper()
	to, err := url.Parse(w.Header().Get("Location"))
	if w.Code != http.StatusSeeOther || err != nil || !strings.HasPrefix(to.String(), "https://shop.example/") {
		d.t.Fatalf("got status %d to %q, want a redirect to the shop", w.Code, w.Header().Get("Location"))
	}
	return to.Query()
}

type tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	ID      string `json:"id_token"`
	Error   string `json:"error"`
	Why     string `json:"error_description"`
}

func basic(id, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id)+":"+url.QueryEscape(secret)))
}

func (d *desk) token(form url.Values, header ...string) tokens {
	d.t.Helper()
	if len(header) == 0 {
		header = []string{"Authorization", basic("shop", "s:%/e c")}
	}
	var got tokens
	w := d.do("POST", "/token", form, header...)
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || (got.Error == "") != (w.Code == http.StatusOK) || w.Header().Get("Cache-Control") != "no-store" {
		d.t.Fatalf("got %d %s, want an answer of RFC 6749", w.Code, w.Body)
	}
	return got
}

func exchange(code string) url.Values {
	return url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {verifier}}
}

func refresh(token string) url.Values {
	return url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}
}

// signIn goes all the way.
func (d *desk) signIn(person string) tokens {
	d.t.Helper()
	got := d.token(exchange(d.click(with("prompt", "login"), person).Get("code")))
	if got.Error != "" {
		d.t.Fatalf("got %s: %s", got.Error, got.Why)
	}
	return got
}

func (d *desk) claims(raw string) map[string]any {
	d.t.Helper()
	var keys jose.JSONWebKeySet
	json.Unmarshal(d.do("GET", "/jwks", nil).Body.Bytes(), &keys)
	signed, err := jose.ParseSignedCompact(raw, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		d.t.Fatal(err)
	}
	key := keys.Key(signed.Signatures[0].Header.KeyID)
	if len(key) != 1 || !key[0].IsPublic() {
		d.t.Fatalf("got %d keys, want one public", len(key))
	}
	payload, err := signed.Verify(key[0])
	if err != nil {
		d.t.Fatal(err)
	}
	claims := map[string]any{}
	json.Unmarshal(payload, &claims)
	return claims
}

func TestNewReportsEveryProblemAtOnce(t *testing.T) {
	_, err := devidp.New(devidp.Config{Issuer: "https://idp.example", Algorithm: "HS256",
		Clients: []devidp.Client{{RedirectURIs: []string{"javascript:alert(1)"}}, {ID: "a", Secret: "s"}, {ID: "a", Secret: "s", RedirectURIs: []string{"/cb"}}},
		People:  []devidp.Person{{Name: "A"}, {Subject: "b"}}})
	for _, want := range []string{"not loopback", "Algorithm", "client 0: ID", "client 0: Secret", "client 0: an address", "client 1: Redirect",
		"client 2: ID", "client 2: an address", "person 0: Subject", "person 1: Name"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want it to mention %q", err, want)
		}
	}
}

func TestOnlyLoopbackIssuersAreTaken(t *testing.T) {
	for address, want := range map[string]bool{
		"https://localhost": true, "http://127.0.0.1:9000": true, "https://127.9.8.7/idp": true, "https://[::1]:9000": true,
		"https://idp.example": false, "https://localhost.evil.example": false, "https://127.0.0.1.nip.io": false, "https://10.0.0.1": false,
		"https://0.0.0.0": false, "https://[::]": false, "https://localhost/": false, "https://localhost?x": false, "ftp://localhost": false,
		"localhost": false, "": false, "https://user@localhost": false, "https://2130706433": false,
	} {
		if _, err := devidp.New(devidp.Config{Issuer: address}); (err == nil) != want {
			t.Errorf("%q: got %v, want taken: %v", address, err, want)
		}
	}
}

func TestItAnswersItsOwnMachineByItsOwnName(t *testing.T) {
	d := newDesk(t)
	for _, attack := range []struct {
		name, remote, host string
		want               int
	}{
		{"this machine", "127.0.0.1:1", "localhost:9000", http.StatusOK},
		{"this machine by IPv6", "[::1]:1", "localhost:9000", http.StatusOK},
		{"a pipe within the process", "pipe", "localhost:9000", http.StatusOK},
		{"a neighbour", "192.0.2.7:1", "localhost:9000", http.StatusForbidden},
		{"a name bound to this machine", "127.0.0.1:1", "evil.example:9000", http.StatusMisdirectedRequest},
		{"another port's name", "127.0.0.1:1", "localhost:9001", http.StatusMisdirectedRequest},
	} {
		r := httptest.NewRequest("GET", "https://localhost:9000/idp/jwks", nil)
		r.RemoteAddr, r.Host = attack.remote, attack.host
		w := httptest.NewRecorder()
		d.idp.ServeHTTP(w, r)
		if w.Code != attack.want {
			t.Errorf("%s: got %d, want %d", attack.name, w.Code, attack.want)
		}
	}
}

func TestSomebodySignsIn(t *testing.T) { // SYSTEM I1
	d := newDesk(t)
	q := d.click(good(), "alice")
	if q.Get("state") != "s&t" || q.Get("iss") != issuer || q.Get("tenant") != "acme" {
		t.Errorf("got %v, want state, iss and the registered query", q)
	}
	got := d.token(exchange(q.Get("code")))
	claims := d.claims(got.ID)
	sum := sha256.Sum256([]byte(got.Access))
	for name, want := range map[string]any{"iss": issuer, "sub": "alice", "aud": "shop", "nonce": "n", "email": "alice@acme.example", "email_verified": true,
		"name": "Alice <b>Archer", "acr": devidp.ACROneFactor, "iat": float64(d.now.Unix()), "exp": float64(d.now.Unix() + 300),
		"auth_time": float64(d.now.Unix()), "at_hash": base64.RawURLEncoding.EncodeToString(sum[:16])} {
		if claims[name] != want {
			t.Errorf("%s: got %v, want %v", name, claims[name], want)
		}
	}
	if fmt.Sprint(claims["groups"], claims["amr"]) != "[acme] [pwd]" || claims["sid"] == "" {
		t.Errorf("got %v", claims)
	}
	info := map[string]any{}
	json.Unmarshal(d.do("GET", "/userinfo", nil, "Authorization", "Bearer "+got.Access).Body.Bytes(), &info)
	if info["sub"] != "alice" || info["email"] != "alice@acme.example" {
		t.Errorf("userinfo: got %v", info)
	}
}

func TestScopesSayWhatIsTold(t *testing.T) {
	d := newDesk(t)
	got := d.token(exchange(d.click(with("scope", "openid"), "alice").Get("code")))
	claims := d.claims(got.ID)
	for _, name := range []string{"email", "email_verified", "name", "groups"} {
		if _, told := claims[name]; told {
			t.Errorf("%s is told without its scope", name)
		}
	}
	if got.Refresh != "" {
		t.Error("a refresh token is given without offline_access")
	}
}

func TestRequestsThatMustNotBeRedirected(t *testing.T) {
	d := newDesk(t)
	for name, q := range map[string]url.Values{
		"an unknown client":               with("client_id", "evil"),
		"no client":                       with("client_id", ""),
		"another client's address":        with("redirect_uri", "https://other.example/cb"),
		"an address that is a prefix":     with("redirect_uri", "https://shop.example/callback"),
		"an address with more path":       with("redirect_uri", "https://shop.example/callback/../x?tenant=acme"),
		"an address with more query":      with("redirect_uri", callback+"&x=y"),
		"an address with a fragment":      with("redirect_uri", callback+"#x"),
		"an address in other letters":     with("redirect_uri", strings.Replace(callback, "shop", "SHOP", 1)),
		"an address with a user":          with("redirect_uri", "https://shop.example@evil.example/callback?tenant=acme"),
		"an address with a port":          with("redirect_uri", "https://shop.example:443/callback?tenant=acme"),
		"an address over http":            with("redirect_uri", strings.Replace(callback, "https", "http", 1)),
		"a script":                        with("redirect_uri", "javascript:alert(1)"),
		"no address":                      with("redirect_uri", ""),
		"two addresses, one of them good": {"client_id": {"shop"}, "redirect_uri": {callback, "https://evil.example"}},
		"two clients":                     {"client_id": {"shop", "other"}, "redirect_uri": {callback}},
	} {
		w := d.do("GET", "/authorize?"+q.Encode(), nil)
		if w.Code != http.StatusBadRequest || w.Header().Get("Location") != "" {
			t.Errorf("%s: got %d to %q, want a page", name, w.Code, w.Header().Get("Location"))
		}
	}
}

func TestRequestsThatAreWrongGoBackWithAnError(t *testing.T) {
	d := newDesk(t)
	without := func(name string) url.Values { q := good(); q.Del(name); return q }
	for _, c := range []struct {
		name string
		q    url.Values
		want string
	}{
		{"PKCE plain", with("code_challenge_method", "plain"), "invalid_request"},
		{"no PKCE method, which means plain", without("code_challenge_method"), "invalid_request"},
		{"no PKCE at all", without("code_challenge"), "invalid_request"},
		{"a short challenge", with("code_challenge", "abc"), "invalid_request"},
		{"a challenge with padding", with("code_challenge", challenge(verifier)+"="), "invalid_request"},
		{"the implicit flow", with("response_type", "token"), "unsupported_response_type"},
		{"the hybrid flow", with("response_type", "code id_token"), "unsupported_response_type"},
		{"a fragment answer", with("response_mode", "fragment"), "invalid_request"},
		{"no openid", with("scope", "profile"), "invalid_scope"},
		{"a request object", with("request", "a.b.c"), "request_not_supported"},
		{"a request by reference", with("request_uri", "https://evil.example"), "request_uri_not_supported"},
		{"none with login", with("prompt", "none login"), "invalid_request"},
		{"an unknown prompt", with("prompt", "create"), "invalid_request"},
		{"an age below zero", with("max_age", "-1"), "invalid_request"},
		{"an age that is a word", with("max_age", "soon"), "invalid_request"},
		{"nobody and no page", with("prompt", "none"), "login_required"},
		{"a nonce beyond its bound", with("nonce", strings.Repeat("n", 513)), "invalid_request"},
	} {
		q := d.back(d.do("GET", "/authorize?"+c.q.Encode(), nil))
		if q.Get("error") != c.want || q.Get("state") != "s&t" || q.Get("iss") != issuer || q.Has("code") {
			t.Errorf("%s: got %v, want %s with state and iss", c.name, q, c.want)
		}
	}
	twice := good()
	twice.Add("nonce", "m")
	if q := d.back(d.do("GET", "/authorize?"+twice.Encode(), nil)); q.Get("error") != "invalid_request" {
		t.Errorf("two nonces: got %v", q)
	}
}

func TestASessionAnswersUntilMoreIsAsked(t *testing.T) {
	d := newDesk(t)
	d.click(good(), "alice")
	page := func(q url.Values) bool { return d.do("GET", "/authorize?"+q.Encode(), nil).Code == http.StatusOK }
	if page(good()) || page(with("prompt", "none")) || page(with("max_age", "60")) {
		t.Error("a page is shown although alice has signed in")
	}
	d.pass(61 * time.Second)
	if !page(with("prompt", "login")) || !page(with("max_age", "60")) || !page(with("max_age", "0")) || !page(with("acr_values", devidp.ACRTwoFactor)) {
		t.Error("no page is shown although more is asked")
	}
	silent := with("prompt", "none")
	silent.Set("max_age", "60")
	if q := d.click(silent, ""); q.Get("error") != "login_required" {
		t.Errorf("got %v, want login_required", q)
	}
	w := d.do("GET", "/authorize?"+with("prompt", "select_account").Encode(), nil)
	if !strings.Contains(w.Body.String(), "Continue as Alice") {
		t.Error("the page does not offer to continue")
	}
	d.pass(12 * time.Hour)
	if !page(good()) {
		t.Error("the session outlives its day")
	}
}

func TestSigningInAgainKeepsTheSessionAndSomebodyElseEndsIt(t *testing.T) {
	d := newDesk(t)
	first := d.signIn("alice")
	second := d.signIn("alice")
	if a, b := d.claims(first.ID)["sid"], d.claims(second.ID)["sid"]; a != b {
		t.Errorf("got sessions %v and %v for one person, want one", a, b)
	}
	d.signIn("bob")
	if got := d.token(refresh(second.Refresh)); got.Error != "invalid_grant" {
		t.Errorf("got %+v, want alice's session ended", got)
	}
}

func TestTheClickIsTakenOnceFromTheBrowserThatSawThePage(t *testing.T) { // SYSTEM T3
	for _, attack := range []struct {
		name   string
		alter  func(*desk, url.Values)
		header []string
		want   int
	}{
		{"a forged token", func(_ *desk, q url.Values) { q.Set("token", "x") }, nil, 403},
		{"no token", func(_ *desk, q url.Values) { q.Del("token") }, nil, 403},
		{"no request", func(_ *desk, q url.Values) { q.Del("request") }, nil, 403},
		{"another browser", func(d *desk, _ url.Values) { clear(d.jar) }, nil, 403},
		{"another site", func(*desk, url.Values) {}, []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"another origin", func(*desk, url.Values) {}, []string{"Origin", "https://evil.example"}, 403},
		{"a page of yesterday", func(d *desk, _ url.Values) { d.pass(11 * time.Minute) }, nil, 403},
		{"nobody known", func(_ *desk, q url.Values) { q.Set("subject", "mallory") }, nil, 400},
		{"two people", func(_ *desk, q url.Values) { q.Add("subject", "bob") }, nil, 400},
	} {
		d := newDesk(t)
		choice := form(d.do("GET", "/authorize?"+good().Encode(), nil).Body.String())
		choice.Set("subject", "alice")
		attack.alter(d, choice)
		if w := d.do("POST", "/choose", choice, attack.header...); w.Code != attack.want || w.Header().Get("Location") != "" {
			t.Errorf("%s: got %d, want %d", attack.name, w.Code, attack.want)
		}
	}
	d := newDesk(t)
	choice := form(d.do("GET", "/authorize?"+good().Encode(), nil).Body.String())
	choice.Set("subject", "alice")
	if first, second := d.do("POST", "/choose", choice), d.do("POST", "/choose", choice); first.Code != 303 || second.Code != 403 {
		t.Errorf("got %d and %d, want the click taken once", first.Code, second.Code)
	}
}

func TestCancelGoesBack(t *testing.T) {
	d := newDesk(t)
	choice := form(d.do("GET", "/authorize?"+good().Encode(), nil).Body.String())
	choice.Set("cancel", "yes")
	if q := d.back(d.do("POST", "/choose", choice)); q.Get("error") != "access_denied" {
		t.Errorf("got %v, want access_denied", q)
	}
}

func TestThePageIsSafeAndPlain(t *testing.T) {
	d := newDesk(t)
	w := d.do("GET", "/authorize?"+good().Encode(), nil)
	page, policy := w.Body.String(), w.Header().Get("Content-Security-Policy")
	for _, want := range []string{"Development sign-in: anyone can become anyone.", "Never expose this.", "Alice &lt;b&gt;Archer", "alice@acme.example",
		"Acme · administrator", `href="/idp/assets/style.css"`} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, banned := range []string{"<script", "style=", "<style", "onclick"} {
		if strings.Contains(page, banned) {
			t.Errorf("the page has %q", banned)
		}
	}
	if !strings.HasPrefix(policy, "default-src 'none'; style-src 'self';") || !strings.Contains(policy, "form-action 'self' https://other.example https://shop.example") {
		t.Errorf("got policy %q", policy)
	}
	for name := range d.jar {
		if !strings.HasPrefix(name, "__Host-") {
			t.Errorf("cookie %s is not bound to the host", name)
		}
	}
	if css := d.do("GET", "/assets/style.css", nil); css.Code != 200 || !strings.HasPrefix(css.Header().Get("Content-Type"), "text/css") {
		t.Errorf("the style sheet: %d %s", css.Code, css.Header().Get("Content-Type"))
	}
	if got := d.do("GET", "/assets/..%2fpage.html", nil); got.Code != 404 {
		t.Errorf("a path out of the assets: got %d, want 404", got.Code)
	}
}

func TestDiscoveryNamesEveryEndpoint(t *testing.T) {
	d := newDesk(t)
	doc := map[string]any{}
	json.Unmarshal(d.do("GET", "/.well-known/openid-configuration", nil).Body.Bytes(), &doc)
	for name, path := range map[string]string{"issuer": "", "authorization_endpoint": "/authorize", "token_endpoint": "/token",
		"userinfo_endpoint": "/userinfo", "end_session_endpoint": "/end_session", "jwks_uri": "/jwks"} {
		if doc[name] != issuer+path {
			t.Errorf("%s: got %v, want %s", name, doc[name], issuer+path)
		}
	}
	if fmt.Sprint(doc["code_challenge_methods_supported"]) != "[S256]" || doc["authorization_response_iss_parameter_supported"] != true {
		t.Errorf("got %v", doc)
	}
}

func TestBoundsOfRequests(t *testing.T) {
	d := newDesk(t)
	if w := d.do("GET", "/authorize?x="+strings.Repeat("x", 16<<10), nil); w.Code != http.StatusRequestURITooLong {
		t.Errorf("a long query: got %d", w.Code)
	}
	q := exchange("x")
	q.Set("pad", strings.Repeat("x", 64<<10))
	if got := d.token(q); got.Error != "invalid_request" {
		t.Errorf("a long body: got %+v", got)
	}
}
