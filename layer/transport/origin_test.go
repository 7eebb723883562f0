package transport_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// headers is "Name: value" lines.
func ask(h http.Handler, method string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "/orders", nil)
	for _, line := range headers {
		key, value, _ := strings.Cut(line, ": ")
		r.Header.Add(key, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

const cookie = "Cookie: __Host-session=victim"

// TestForgedRequests is every request that a page of another site can make a browser send, and what a browser or a proxy might
// drop from it on the way (SYSTEM T3).
func TestForgedRequests(t *testing.T) {
	attacks := map[string][]string{
		"a form on another site posts":                        {cookie, "Sec-Fetch-Site: cross-site", "Origin: https://evil.example"},
		"a form on a sibling subdomain posts":                 {cookie, "Sec-Fetch-Site: same-site", "Origin: https://blog.example.com"},
		"a form on another port posts":                        {cookie, "Sec-Fetch-Site: same-site", "Origin: https://app.example.com:8443"},
		"a form on the plain-text twin posts":                 {cookie, "Sec-Fetch-Site: cross-site", "Origin: http://app.example.com"},
		"a sandboxed frame posts":                             {cookie, "Sec-Fetch-Site: cross-site", "Origin: null"},
		"a page without referrer posts":                       {cookie, "Sec-Fetch-Site: same-origin", "Origin: null"},
		"the address bar posts":                               {cookie, "Sec-Fetch-Site: none"},
		"an old browser posts from another site":              {cookie, "Origin: https://evil.example"},
		"an old browser posts from the plain-text twin":       {cookie, "Origin: http://app.example.com"},
		"an old browser posts from a sandboxed frame":         {cookie, "Origin: null"},
		"a proxy strips both statements":                      {cookie},
		"a proxy strips both, and a script adds a token":      {cookie, "Authorization: Bearer stolen"},
		"a request without anything":                          {},
		"the statements contradict: site ours, origin theirs": {cookie, "Sec-Fetch-Site: same-origin", "Origin: https://evil.example"},
		"the statements contradict: site theirs, origin ours": {cookie, "Sec-Fetch-Site: cross-site", "Origin: https://app.example.com"},
		"site is said twice":                                  {cookie, "Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: cross-site"},
		"origin is said twice":                                {cookie, "Origin: https://app.example.com", "Origin: https://evil.example"},
		"site in capitals":                                    {cookie, "Sec-Fetch-Site: Same-Origin"},
		"site is empty":                                       {cookie, "Sec-Fetch-Site: "},
		"origin is empty":                                     {cookie, "Origin: "},
		"a list of sites":                                     {cookie, "Sec-Fetch-Site: same-origin, cross-site"},
		"a value of tomorrow":                                 {cookie, "Sec-Fetch-Site: same-app"},
		"origin with our name in front":                       {cookie, "Origin: https://app.example.com.evil.example"},
		"origin with our name behind":                         {cookie, "Origin: https://evilapp.example.com"},
		"origin with our name as a user":                      {cookie, "Origin: https://app.example.com@evil.example"},
		"origin with a path":                                  {cookie, "Origin: https://app.example.com/"},
		"origin with the default port":                        {cookie, "Origin: https://app.example.com:443"},
		"the Host header agrees with the attacker":            {cookie, "Host: evil.example", "Origin: https://evil.example"},
		"remembered basic credentials":                        {"Authorization: Basic dXNlcjpwYXNz"},
		"remembered single sign-on credentials":               {"Authorization: Negotiate abc"},
		"a bearer token without a token":                      {"Authorization: Bearer "},
		"two credentials":                                     {"Authorization: Bearer a", "Authorization: Basic b"},
		"a bearer token from another site's script":           {"Authorization: Bearer t", "Sec-Fetch-Site: cross-site", "Origin: https://evil.example"},
	}
	reached := false
	h := must(t, config()).Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	for name, headers := range attacks {
		for _, method := range []string{"POST", "PUT", "PATCH", "DELETE"} {
			reached = false
			if w := ask(h, method, headers...); w.Code != 403 || reached {
				t.Errorf("%s (%s): got %d, handler reached: %v; want 403", name, method, w.Code, reached)
			}
		}
	}
}

func TestHonestRequests(t *testing.T) {
	honest := map[string][]string{
		"POST a form of ours":                         {cookie, "Sec-Fetch-Site: same-origin", "Origin: https://app.example.com"},
		"POST a form of ours, proxy strips origin":    {cookie, "Sec-Fetch-Site: same-origin"},
		"DELETE from an old browser":                  {cookie, "Origin: https://app.example.com"},
		"POST an API client":                          {"Authorization: Bearer rdt_key"},
		"POST an API client in lower case":            {"Authorization: bearer rdt_key"},
		"GET a link on another site":                  {cookie, "Sec-Fetch-Site: cross-site"},
		"GET the address bar":                         {cookie, "Sec-Fetch-Site: none"},
		"HEAD a link checker":                         {},
		"OPTIONS a question without an origin at all": {},
	}
	h := must(t, config()).Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for name, headers := range honest {
		method, _, _ := strings.Cut(name, " ")
		if w := ask(h, method, headers...); w.Code != 200 {
			t.Errorf("%s: got %d %s, want 200", name, w.Code, w.Body)
		}
	}
}

func TestMachinesTakeNothingFromABrowser(t *testing.T) {
	h := must(t, config()).Machines(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(202) }))
	for name, headers := range map[string][]string{
		"a cookie":           {cookie},
		"an origin":          {"Origin: https://app.example.com"},
		"fetch metadata":     {"Sec-Fetch-Site: same-origin"},
		"any fetch metadata": {"Sec-Fetch-Dest: document"},
	} {
		if w := ask(h, "POST", headers...); w.Code != 403 {
			t.Errorf("with %s: got %d, want 403", name, w.Code)
		}
	}
	if w := ask(h, "POST", "Webhook-Signature: v1,abc"); w.Code != 202 || w.Header().Get("X-Frame-Options") != "DENY" {
		t.Errorf("a webhook: got %d %v, want 202 and all headers", w.Code, w.Header())
	}
}

// TestCORSIsClosedByDefaultAndExact (SYSTEM T4).
func TestCORSIsClosedByDefaultAndExact(t *testing.T) {
	const preflight = "Access-Control-Request-Method: POST"
	open := config()
	open.Callers = []string{"https://partner.example"}
	for _, c := range []struct {
		name    string
		closed  bool
		method  string
		headers []string
		status  int
		allowed bool
	}{
		{"by default, a preflight", true, "OPTIONS", []string{"Origin: https://partner.example", preflight}, 200, false},
		{"by default, a call", true, "POST", []string{"Origin: https://partner.example", "Authorization: Bearer t"}, 403, false},
		{"the partner's preflight", false, "OPTIONS", []string{"Origin: https://partner.example", preflight}, 204, true},
		{"the partner's call", false, "POST", []string{"Origin: https://partner.example", "Sec-Fetch-Site: cross-site", "Authorization: Bearer t"}, 200, true},
		{"the partner's reading", false, "GET", []string{"Origin: https://partner.example", "Authorization: Bearer t"}, 200, true},
		{"the partner's call with a cookie", false, "POST", []string{"Origin: https://partner.example", "Authorization: Bearer t", cookie}, 403, false},
		{"the partner's reading with a cookie", false, "GET", []string{"Origin: https://partner.example", cookie}, 200, false},
		{"the partner's call without a token", false, "POST", []string{"Origin: https://partner.example"}, 403, true},
		{"a neighbour of the partner", false, "OPTIONS", []string{"Origin: https://partner.example.evil.example", preflight}, 200, false},
		{"the partner in plain text", false, "OPTIONS", []string{"Origin: http://partner.example", preflight}, 200, false},
		{"null", false, "OPTIONS", []string{"Origin: null", preflight}, 200, false},
		{"two origins", false, "OPTIONS", []string{"Origin: https://partner.example", "Origin: https://evil.example", preflight}, 200, false},
	} {
		cfg := open
		if c.closed {
			cfg = config()
		}
		w := ask(must(t, cfg).Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Access-Control-Allow-Origin", "*")
			w.Header().Set("Access-Control-Allow-Credentials", "true")
		})), c.method, c.headers...)
		want := ""
		if c.allowed {
			want = "https://partner.example"
		}
		if got := w.Header().Get("Access-Control-Allow-Origin"); w.Code != c.status || got != want {
			t.Errorf("%s: got %d, allowed %q; want %d, %q", c.name, w.Code, got, c.status, want)
		}
		if got := w.Header().Get("Access-Control-Allow-Credentials"); got != "" {
			t.Errorf("%s: credentials allowed: %q", c.name, got)
		}
		if !c.closed && w.Header().Get("Vary") != "Origin" {
			t.Errorf("%s: Vary is %q, want Origin", c.name, w.Header().Get("Vary"))
		}
	}
}

// TestOpenRedirects tries what a handler could copy out of a query into Location (SYSTEM T4).
func TestOpenRedirects(t *testing.T) {
	try := func(location string) int {
		h := must(t, config()).Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("location", location)
			w.WriteHeader(http.StatusFound)
		}))
		return ask(h, "GET").Code
	}
	for _, away := range []string{
		"https://evil.example", "//evil.example", "///evil.example", `/\evil.example`, `\\evil.example`, "/\t/evil.example",
		"\t//evil.example", " //evil.example", "https:evil.example", "https:/evil.example", "https:///evil.example",
		"http://app.example.com/", "https://app.example.com:8443/", "https://app.example.com@evil.example/",
		"https://app.example.com.evil.example/", `https://app.example.com\.evil.example/`, "javascript:alert(1)",
		"data:text/html,x", "HTTPS://evil.example", "https://user:pass@app.example.com/", "//app.example.com/", "/%zz",
		"https://login.example.net.evil.example/", "/caf\u00e9",
	} {
		if got := try(away); got != 403 {
			t.Errorf("Location %q: got %d, want 403", away, got)
		}
	}
	for _, here := range []string{"/", "/a/b?next=https://evil.example", "./", "b/", "?page=2", "https://app.example.com/a",
		"https://login.example.net/authorize?client_id=x"} {
		if got := try(here); got != 302 {
			t.Errorf("Location %q: got %d, want 302", here, got)
		}
	}
}
