package redoubt_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/backbone/migrate"
	"github.com/redoubt-dev/redoubt/layer/identity"
	"github.com/redoubt-dev/redoubt/layer/layertest"
)

// trusting is an application whose administrators may trust machines to read notes.
var trusting = redoubt.App{
	Name: "Test", Version: "1",
	Schema: []migrate.Line{{Name: "scopes", Application: true, Files: fstest.MapFS{"0001_scopes.sql": {Data: []byte(`
SELECT redoubt.allow('administrator', 'machines:write', 'notes:read', 'notes:write');
`)}}}},
	Scopes: identity.Scopes{Administrator: []string{"machines:write", "notes:read", "notes:write"}},
	Start: func(redoubt.Parts) (redoubt.Routes, error) {
		return redoubt.Routes{Pages: plain{}, Routes: []redoubt.Route{
			redoubt.JSON("GET /api/v1/notes", redoubt.Scope("notes:read"), answer),
			redoubt.JSON("GET /api/v1/drafts", redoubt.Scope("notes:write"), answer),
			redoubt.Page("GET /mine", redoubt.Members, show),
			redoubt.Page("GET /admin", redoubt.Administrators, show),
		}}, nil
	},
}

// asking is an honest request for an exchange.
func asking(token string) url.Values {
	return url.Values{
		"grant_type":         {"urn:ietf:params:oauth:grant-type:token-exchange"},
		"subject_token":      {token},
		"subject_token_type": {"urn:ietf:params:oauth:token-type:id_token"},
	}
}

// post is a program's request.
func post(t *testing.T, body, kind string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, layertest.Origin+redoubt.TokenPath, strings.NewReader(body))
	r.Header.Set("Content-Type", kind)
	return r
}

const formType = "application/x-www-form-urlencoded"

func TestAMachineExchangesItsToken(t *testing.T) { // SYSTEM I9; RFC 8693 section 2
	w := layertest.World(t, trusting)
	w.Administrator("Acme").Trust("notes:read")
	for name, alter := range map[string]func(url.Values){
		"an ID token":                 func(url.Values) {},
		"a JWT":                       func(v url.Values) { v.Set("subject_token_type", "urn:ietf:params:oauth:token-type:jwt") },
		"with the type that is given": func(v url.Values) { v.Set("requested_token_type", "urn:ietf:params:oauth:token-type:access_token") },
		"with a scope":                func(v url.Values) { v.Set("scope", "notes:read") },
		"with its audience":           func(v url.Values) { v.Set("audience", w.Identity.MachineAudience(w.Organization("Acme"))) },
		"with a client's name":        func(v url.Values) { v.Set("client_id", "ci") },
		"with empty parameters":       func(v url.Values) { v.Set("scope", ""); v.Set("audience", ""); v.Set("requested_token_type", "") },
	} {
		t.Run(name, func(t *testing.T) {
			v := asking(w.MachineToken("Acme").Sign(t))
			alter(v)
			resp := w.Stranger().Do(post(t, v.Encode(), formType)).OK()
			var said map[string]any
			resp.JSON(&said)
			token, _ := said["access_token"].(string)
			delete(said, "access_token")
			if life, _ := said["expires_in"].(float64); life < 890 || life > 900 {
				t.Errorf("it lives for %v s", life)
			}
			delete(said, "expires_in")
			if want := map[string]any{"issued_token_type": "urn:ietf:params:oauth:token-type:access_token", "token_type": "Bearer", "scope": "notes:read"}; !maps.Equal(said, want) {
				t.Errorf("got %v, want %v", said, want)
			}
			if !strings.HasPrefix(token, "rdm_") || resp.Header.Get("Cache-Control") != "no-store" || resp.Header.Get("Content-Type") != "application/json" {
				t.Errorf("got %q with %v", token[:4], resp.Header)
			}
			for path, want := range map[string]int{"/api/v1/notes": 204, "/api/v1/drafts": 403, "/mine": 403, "/admin": 403} {
				r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, layertest.Origin+path, nil)
				r.Header.Set("Authorization", "Bearer "+token)
				w.Stranger().Do(r).Status(want)
			}
		})
	}
}

func TestRequestsThatAreNoExchange(t *testing.T) { // SYSTEM I9; RFC 6749 section 5.2, RFC 8693 section 2.2.2
	w := layertest.World(t, trusting)
	boss := w.Administrator("Acme")
	boss.Trust("notes:read")
	w.Organization("Globex")
	honest := func() url.Values { return asking(w.MachineToken("Acme").Sign(t)) }
	with := func(name string, values ...string) string {
		v := honest()
		v[name] = values
		return v.Encode()
	}
	for _, c := range []struct {
		name, body, kind string
		code             string
		status           int
		alter            func(*http.Request)
	}{
		{name: "nothing", body: "", code: "invalid_request"},
		{name: "another grant", body: with("grant_type", "client_credentials"), code: "unsupported_grant_type"},
		{name: "the password grant", body: with("grant_type", "password"), code: "unsupported_grant_type"},
		{name: "no grant", body: with("grant_type"), code: "invalid_request"},
		{name: "two grants", body: with("grant_type", "password", "urn:ietf:params:oauth:grant-type:token-exchange"), code: "invalid_request"},
		{name: "two tokens", body: with("subject_token", "a.b.c", "d.e.f"), code: "invalid_request"},
		{name: "two scopes", body: with("scope", "notes:read", "notes:write"), code: "invalid_request"},
		{name: "no token", body: with("subject_token"), code: "invalid_request"},
		{name: "an empty token", body: with("subject_token", ""), code: "invalid_request"},
		{name: "an access token", body: with("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"), code: "invalid_request"},
		{name: "a SAML assertion", body: with("subject_token_type", "urn:ietf:params:oauth:token-type:saml2"), code: "invalid_request"},
		{name: "no type of token", body: with("subject_token_type"), code: "invalid_request"},
		{name: "asking for a refresh token", body: with("requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token"), code: "invalid_request"},
		{name: "on behalf of another", body: with("actor_token", "a.b.c"), code: "invalid_request"},
		{name: "a resource", body: with("resource", "https://evil.example"), code: "invalid_request"},
		{name: "a client's secret", body: with("client_secret", "x"), code: "invalid_request"},
		{name: "a client's assertion", body: with("client_assertion", "x"), code: "invalid_request"},
		{name: "an organization of one's choice", body: with("organization_id", string(w.Organization("Globex"))), code: "invalid_request"},
		{name: "a scope that the trust lacks", body: with("scope", "notes:write"), code: "invalid_scope"},
		{name: "one more scope", body: with("scope", "notes:read notes:write"), code: "invalid_scope"},
		{name: "the administrators' scope", body: with("scope", "machines:write"), code: "invalid_scope"},
		{name: "another audience", body: with("audience", w.Identity.MachineAudience(w.Organization("Globex"))), code: "invalid_target"},
		{name: "a token that is none", body: with("subject_token", "hello"), code: "invalid_request"},
		{name: "a long token", body: with("subject_token", strings.Repeat("a", 17<<10)), code: "invalid_request"},
		{name: "a huge token", body: with("subject_token", strings.Repeat("a", 900<<10)), code: "invalid_request"},
		{name: "a thousand parameters", body: strings.Repeat("scope=x&", 2000), code: "invalid_request"},
		{name: "bytes that are not UTF-8", body: with("scope", "\xff"), code: "invalid_request"},
		{name: "a broken escape", body: "grant_type=%zz", code: "invalid_request"},
		{name: "JSON", body: `{"grant_type":"urn:ietf:params:oauth:grant-type:token-exchange"}`, kind: "application/json", code: "invalid_request"},
		{name: "a form in JSON's clothes", body: honest().Encode(), kind: "application/json", code: "invalid_request"},
		{name: "plain text", body: honest().Encode(), kind: "text/plain", code: "invalid_request"},
		{name: "no type at all", body: honest().Encode(), code: "invalid_request", alter: func(r *http.Request) { r.Header.Del("Content-Type") }},
		{name: "in the address", body: "", code: "invalid_request", alter: func(r *http.Request) { r.URL.RawQuery = honest().Encode() }},
		{name: "one parameter in the address", body: honest().Encode(), code: "invalid_request", alter: func(r *http.Request) { r.URL.RawQuery = "scope=notes:read" }},
		{name: "a client that authenticates", body: honest().Encode(), code: "invalid_client", status: 401, alter: func(r *http.Request) { r.SetBasicAuth("ci", "secret") }},
		{name: "an API key", body: honest().Encode(), code: "invalid_client", status: 401, alter: func(r *http.Request) { r.Header.Set("Authorization", "Bearer rdk_"+strings.Repeat("0", 38)) }},
		{name: "a JWT as the credential", body: honest().Encode(), code: "invalid_client", status: 401, alter: func(r *http.Request) {
			r.Header.Set("Authorization", "Bearer "+w.MachineToken("Acme").Sign(t))
		}},
	} {
		kind := c.kind
		if kind == "" {
			kind = formType
		}
		r := post(t, c.body, kind)
		if c.alter != nil {
			c.alter(r)
		}
		resp := w.Stranger().Do(r)
		var said struct {
			Error, ErrorDescription string
			AccessToken             string `json:"access_token"`
		}
		if err := json.Unmarshal(resp.Body, &said); err != nil {
			t.Errorf("%s: %d %.100s: %v", c.name, resp.Code, resp.Body, err)
			continue
		}
		status := c.status
		if status == 0 {
			status = 400
		}
		if resp.Code != status || said.Error != c.code || said.AccessToken != "" || resp.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: got %d %s, want %d with the code %s", c.name, resp.Code, resp.Body, status, c.code)
		}
		if strings.Contains(string(resp.Body), "eyJ") || strings.Contains(string(resp.Body), "evil") || strings.Contains(string(resp.Body), "hello") {
			t.Errorf("%s: the answer repeats what was sent: %s", c.name, resp.Body)
		}
		if by, _ := resp.RefusedBy(); by == "" {
			t.Errorf("%s: the log has no refusal", c.name)
		}
	}
	w.Stranger().Do(post(t, with("subject_token", strings.Repeat("a", 2<<20)), formType)).Status(http.StatusRequestEntityTooLarge) // transport's, before any route
	w.Stranger().Do(post(t, honest().Encode(), formType)).OK()
}

// Two parts are named once each by a multipart form too: it is no form of OAuth's.
func TestAMultipartFormIsNoExchange(t *testing.T) { // RFC 6749 section 4.1.3, appendix B
	w := layertest.World(t, trusting)
	w.Administrator("Acme").Trust("notes:read")
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for name, values := range asking(w.MachineToken("Acme").Sign(t)) {
		if err := form.WriteField(name, values[0]); err != nil {
			t.Fatal(err)
		}
	}
	form.Close()
	if resp := w.Stranger().Do(post(t, body.String(), form.FormDataContentType())); resp.Code != 400 || !strings.Contains(string(resp.Body), `"invalid_request"`) {
		t.Errorf("got %d %s", resp.Code, resp.Body)
	}
}

// No browser can be made to exchange a token, whatever page it is on; our own pages included.
func TestBrowsersExchangeNothing(t *testing.T) { // SYSTEM T3
	w := layertest.World(t, trusting)
	boss := w.Administrator("Acme")
	boss.Trust("notes:read")
	for name, alter := range map[string]func(*http.Request){
		"a form on another site": func(r *http.Request) {
			r.Header.Set("Origin", "https://evil.example")
			r.Header.Set("Sec-Fetch-Site", "cross-site")
		},
		"a form without an origin":  func(r *http.Request) { r.Header.Set("Origin", "null") },
		"a script on a sibling":     func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-site") },
		"a form of ours":            func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-origin") },
		"a browser with a session":  func(r *http.Request) { r.AddCookie(identity.SessionCookie(boss.Session())) },
		"a browser, from somewhere": func(r *http.Request) { r.Header.Set("Sec-Fetch-Mode", "navigate") },
	} {
		r := post(t, asking(w.MachineToken("Acme").Sign(t)).Encode(), formType)
		alter(r)
		if resp := w.Stranger().Do(r); resp.Code != http.StatusForbidden || strings.Contains(string(resp.Body), "rdm_") {
			t.Errorf("%s: got %d %s", name, resp.Code, resp.Body)
		}
	}
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodOptions} {
		r := post(t, asking(w.MachineToken("Acme").Sign(t)).Encode(), formType)
		r.Method = method
		if resp := w.Stranger().Do(r); resp.Code < 400 || resp.Code >= 500 || strings.Contains(string(resp.Body), "rdm_") {
			t.Errorf("%s: got %d %s", method, resp.Code, resp.Body)
		}
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, layertest.Origin+redoubt.TokenPath+"?"+asking(w.MachineToken("Acme").Sign(t)).Encode(), nil)
	if resp := w.Stranger().Do(r); resp.Code < 400 || strings.Contains(string(resp.Body), "rdm_") {
		t.Errorf("a token in an address: got %d", resp.Code)
	}
}

// What is refused before a token is looked at is in the audit trail too, and what was sent is not.
func TestARequestThatIsNoExchangeIsRecorded(t *testing.T) { // SYSTEM M1, U1
	w := layertest.World(t, trusting)
	conn := w.Admin(t)
	count := func() (n, words int) {
		if err := conn.QueryRow(t.Context(), `select count(*), count(*) filter (where l::text like '%secretive%') from audit.log l where action = 'federation.refused' and changes->>'reason' = 'malformed'`).Scan(&n, &words); err != nil {
			t.Fatal(err)
		}
		return n, words
	}
	before, _ := count()
	w.Stranger().Do(post(t, "grant_type=secretive", formType)).Status(400)
	w.Stranger().Do(post(t, asking("secretive").Encode(), formType)).Status(400)
	if after, words := count(); after != before+2 || words != 0 {
		t.Errorf("%d new lines, %d with what was sent; want 2 and none", after-before, words)
	}
}

// A JWT is no credential of ours, nor anything else that is not a key or a token of our own (SYSTEM I10).
func TestNothingElseIsABearersCredential(t *testing.T) {
	w := layertest.World(t, trusting)
	boss := w.Administrator("Acme")
	boss.Trust("notes:read")
	machine := boss.Machine("notes:read")
	for name, credential := range map[string]string{
		"an issuer's ID token":     w.MachineToken("Acme").Sign(t),
		"a session":                boss.Session(),
		"an endpoint's":            "rdw_" + strings.Repeat("0", 38),
		"a job's":                  "rdj_" + strings.Repeat("0", 38),
		"a token that was made up": "rdm_" + strings.Repeat("0", 38),
		"nothing":                  "",
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, layertest.Origin+"/api/v1/notes", nil)
		r.Header.Set("Authorization", "Bearer "+credential)
		if resp := w.Stranger().Do(r); resp.Code != http.StatusUnauthorized {
			t.Errorf("%s: got %d", name, resp.Code)
		}
	}
	machine.Get("/api/v1/notes").NoContent()
}
