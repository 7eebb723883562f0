package commons_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/commons"
	"github.com/redoubt-dev/redoubt/internal/devedge"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/layertest"
	"github.com/redoubt-dev/redoubt/layer/perimeter"
	"github.com/redoubt-dev/redoubt/layer/perimeter/provision"
)

var verbs = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"}

// By every path that is listed, with every method, only what is listed is answered, and the mux knows of nothing else: its own
// list of methods, for the Allow header, is the registry's.
func TestTheMuxAnswersWhatIsListed(t *testing.T) { // SYSTEM A1, A6
	m := newMatrix(t)
	listed := map[string][]string{} // methods by path
	programs := map[string]bool{}   // paths that programs alone call
	for _, r := range m.w.Routes() {
		if r.Pattern == "POST /csp-reports" {
			continue // transport's, before any mux
		}
		path := pathOf(r, []string{nowhere, nowhere})
		listed[path] = append(listed[path], r.Method())
		programs[path] = r.ForPrograms()
		if r.Method() == http.MethodGet {
			listed[path] = append(listed[path], http.MethodHead)
		}
	}
	boss := m.caller("administrator", m.w.Routes()[0])
	for path, methods := range listed {
		slices.Sort(methods)
		for _, verb := range verbs {
			if slices.Contains(methods, verb) {
				continue
			}
			resp := boss.Do(boss.Request(verb, path, nil))
			if verb == "TRACE" || verb == "PROPFIND" {
				resp.Refused(http.StatusUnsupportedMediaType, layer.Transport)
				continue
			}
			if programs[path] { // no browser's, whatever the method: transport says so before any mux
				resp.Refused(http.StatusForbidden, layer.Transport)
				continue
			}
			resp.Refused(http.StatusMethodNotAllowed, layer.GateRoute)
			if got := strings.Split(resp.Header.Get("Allow"), ", "); !slices.Equal(got, methods) {
				t.Errorf("%s: the mux takes %v, listed are %v", path, got, methods)
			}
		}
	}
}

// unlisted are addresses that other programs answer, and every beginning of one of ours.
func unlisted(w *layertest.W) []string {
	paths := []string{
		"/admin", "/debug/pprof/", "/debug/vars", "/metrics", "/healthz", "/health", "/status", "/.env", "/.git/config", "/.well-known/security.txt",
		"/robots.txt", "/favicon.ico", "/api", "/api/", "/api/v1", "/api/v1/", "/api/v2/posts", "/api/posts", "/v1/posts", "/openapi.json", "/swagger",
		"/graphql", "/rpc", "/login", "/sign-up", "/sign-in/", "/backchannel-logout", "/assets", "/assets/", "/static/x", "/uploads", "/index.html",
		"/index.php", "/server-status", "/actuator/env", "/console", "/ws", "/events", "/internal", "/csp-reports", "/organization", "/sign-out",
	}
	for _, r := range w.Routes() {
		parts := strings.Split(r.Path(), "/")
		for i := range parts {
			paths = append(paths, strings.Join(parts[:i], "/")+"/")
		}
		paths = append(paths, r.Path()+"/x/y/z", strings.ToUpper(r.Path()), r.Path()+".json")
	}
	mux := http.NewServeMux() // what is listed after all is not meant
	for _, r := range w.Routes() {
		mux.HandleFunc(r.Pattern, http.NotFound)
	}
	return slices.DeleteFunc(paths, func(path string) bool {
		u, err := url.ParseRequestURI(path)
		if err != nil {
			return true
		}
		_, pattern := mux.Handler(&http.Request{Method: "GET", URL: u})
		return pattern != ""
	})
}

func TestNothingIsAnsweredThatIsNotListed(t *testing.T) { // SYSTEM A1, A6
	m := newMatrix(t)
	boss := m.caller("administrator", m.w.Routes()[0])
	tried := 0
	for _, path := range unlisted(m.w) {
		tried++
		resp := boss.Do(boss.Request(http.MethodGet, path, nil))
		if by, _ := resp.RefusedBy(); by != layer.GateRoute || resp.Code != http.StatusNotFound && resp.Code != http.StatusMethodNotAllowed {
			t.Errorf("%s: got %s", path, cell(resp))
		}
	}
	if tried < 100 {
		t.Errorf("only %d addresses were tried", tried)
	}
}

var reference = regexp.MustCompile(`(?:href|src|action)="(/[^"]*)"`)

// Whatever a page leads to is listed: the pages were made by other hands than the registry.
func TestEveryPageLeadsToWhatIsListed(t *testing.T) { // SYSTEM A6
	m := newMatrix(t)
	mux := http.NewServeMux()
	for _, r := range m.w.Routes() {
		mux.HandleFunc(r.Pattern, http.NotFound)
	}
	found := map[string]bool{}
	for _, r := range m.w.Routes() {
		states := statesOf(t, r)
		if r.Method() != http.MethodGet || strings.HasPrefix(r.Path(), "/api/") || r.Path() == "/assets/{path}" || len(states) == 0 {
			continue
		}
		page := m.ask("administrator", r, states[0])
		for _, match := range reference.FindAllStringSubmatch(string(page.Body), -1) {
			address, _, _ := strings.Cut(match[1], "#")
			found[address] = true
		}
	}
	for address := range found {
		u, err := url.ParseRequestURI(address)
		if err != nil {
			t.Fatal(err)
		}
		_, read := mux.Handler(&http.Request{Method: "GET", URL: u})
		_, sent := mux.Handler(&http.Request{Method: "POST", URL: u})
		if read == "" && sent == "" {
			t.Errorf("%s is on a page and in no list", address)
		}
	}
	if len(found) < 20 {
		t.Errorf("the pages lead to only %d addresses", len(found))
	}
}

// HEAD is GET without the body: it passes the same layers and meets the same refusals.
func TestHeadIsRefusedAsGetIs(t *testing.T) { // SYSTEM A1, A5
	m := newMatrix(t)
	for _, r := range m.w.Routes() {
		if r.Method() != http.MethodGet {
			continue
		}
		for _, s := range statesOf(t, r) {
			for _, role := range []string{"stranger", "member", "outsider", "key without it"} {
				c, ids := m.caller(role, r), m.ids(r, s)
				head := c.Request(http.MethodHead, pathOf(r, ids), nil)
				head.Header.Set("Sec-Fetch-Site", "same-origin")
				if get, got := cell(c.Do(request(t, c, r, ids))), cell(c.Do(head)); got != get {
					t.Errorf("%s, %s, %s: HEAD got %s, GET %s", r.Pattern, s.name, role, got, get)
				}
			}
		}
	}
}

// The method is the request line's, whatever a header, a parameter or a field of a form says.
func TestNoMethodInDisguise(t *testing.T) { // SYSTEM A5
	m := newMatrix(t)
	m.unchanged(t, func() {
		for _, r := range m.w.Routes() {
			if !strings.HasPrefix(r.Path(), "/api/") || r.Method() != http.MethodDelete && r.Method() != http.MethodPut {
				continue
			}
			c, path := m.caller("administrator", r), pathOf(r, m.ids(r, statesOf(t, r)[0]))
			for _, header := range []string{"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X-Original-Method"} {
				for _, verb := range []string{http.MethodGet, http.MethodHead, http.MethodOptions} {
					req := c.Request(verb, path, nil)
					req.Header.Set(header, r.Method())
					plain := c.Do(c.Request(verb, path, nil))
					if got := c.Do(req); cell(got) != cell(plain) {
						t.Errorf("%s by %s with %s: got %s, without %s", r.Pattern, verb, header, cell(got), cell(plain))
					}
				}
				post := c.Request(http.MethodPost, path, kv{"body": "x"})
				post.Header.Set(header, r.Method())
				if got := c.Do(post); !listedAt(m.w, http.MethodPost, r.Path()) && got.Code != http.StatusMethodNotAllowed {
					t.Errorf("%s by POST with %s: got %s", r.Pattern, header, cell(got))
				}
			}
			for _, query := range []string{"_method=", "X-HTTP-Method-Override=", "method="} {
				if got := c.Do(c.Request(http.MethodGet, path+"?"+query+r.Method(), nil)); got.Code < 400 {
					t.Errorf("%s by GET with ?%s: got %s", r.Pattern, query, cell(got))
				}
			}
		}
	})
}

func listedAt(w *layertest.W, method, path string) bool {
	for _, r := range w.Routes() {
		if r.Method() == method && r.Path() == path {
			return true
		}
	}
	return false
}

// ---- one path, one spelling ----

// spellings makes targets out of good ones, in all the ways in which readers of paths are known to disagree. HOST is the canonical
// host. They are in an order that does not change.
func spellings(good []string) []string {
	between := []string{
		"//", "///", "/./", "/x/../", "/../", "/%2e/", "/%2e%2e/", "/%2E%2e/", "/.%2e/", "/..;/", "/.;x/", ";x=1/", "/;/", "%2f", "%2F", "/%2f", "%5c", "\\", "/\\", "%00/",
		"/%00", "%252f", "%252e%252e%252f", "%25%32%66", "%c0%af", "%e0%80%af", "%c0%ae%c0%ae/", "%u002f", "/%20", " /", "/%09", "%0d%0a/", "%ef%bc%8f", "%e2%81%84", "/%", "/%2", "/%zz/", "\x00/", "\x80/", "?/", "#/", "/%ff/",
	}
	after := []string{
		"/", "//", "/.", "/..", "/../", "/./", "%2f", "%2F", "%5c", "\\", "%00", "%00.json", ";", ";x=1", ";/..", "?", "?x=1", "?x=/../", "?%2e%2e", "#", "#x", "%23", "%3f", "%3Fx=1",
		".json", ".", "..", "%20", "%09", "%0a", "%0d%0a", "&", "~", "+", "%2b", "*", "%2a", "|", "%7c", "{", "\"", "<", "^", "`", "%e2%80%ae", "%c3", "%c0%80", "/%2e%2e%2f", "/..%2f", "/.%00", "/%2e", "%25", "%2500",
	}
	before := []string{
		"/", "/.", "/..", "/./", "/../", "/%2e", "/%2e%2e", "/x/..", "/x/../", "/%2f", "%2f", "/;", "/;x", "/\\", "\\", "//evil.example", "/http://evil.example", "https://HOST", "HTTPS://HOST", "http://HOST", layertest.Origin,
		"https://evil.example", "https://x@HOST", "https://HOST:443", "ftp://HOST", "//HOST", "*", "", " ", "?", "#", "./", "x", "/@", "/%20", "/%00", "/~", "/api/../", "/assets/..", "/assets/%2e%2e", "/sign-in;",
	}
	var all []string
	for _, target := range good {
		all = append(all, target, strings.ToUpper(target), strings.ReplaceAll(target, "/", "\\"))
		for _, b := range before {
			all = append(all, b+target)
		}
		for _, a := range after {
			all = append(all, target+a)
		}
		for i, c := range []byte(target) {
			all = append(all, target[:i]+fmt.Sprintf("%%%02X", c)+target[i+1:], target[:i]+fmt.Sprintf("%%%02x", c)+target[i+1:], target[:i]+fmt.Sprintf("%%25%02x", c)+target[i+1:],
				target[:i]+fmt.Sprintf("%%%02X%%%02X", 0xc0|c>>6, 0x80|c&0x3f)+target[i+1:])
			if 'a' <= c && c <= 'z' {
				all = append(all, target[:i]+string(c-32)+target[i+1:])
			}
			if c == '/' {
				for j, b := range between {
					all = append(all, target[:i]+b+target[i+1:], target[:i]+b+target[i+1:]+after[j%len(after)])
				}
			}
		}
	}
	return all
}

// A front is a real edge with Commons behind it, by a real link.
type front struct {
	t    *testing.T
	addr string
	host string
	tls  *tls.Config
	seen chan string // the target of each request that reaches Commons

	conn net.Conn
	in   *bufio.Reader
}

func newFront(t *testing.T, app http.Handler) *front {
	t.Helper()
	keys, err := provision.Open(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	public, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(public.Addr().String())
	f := &front{t: t, addr: public.Addr().String(), host: "localhost:" + port, seen: make(chan string, 1)}
	folder := t.TempDir()
	edge, err := devedge.New(devedge.Config{Folder: folder, Application: "commons", Origin: "https://" + f.host, GetCertificate: keys.GetCertificate})
	if err != nil {
		t.Fatal(err)
	}
	credential, err := devedge.Credential(folder, "commons", f.addr)
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := perimeter.NewVerifier(perimeter.VerifierConfig{Audience: "commons", Keys: credential.Keys, Refuse: func(w http.ResponseWriter, _ *http.Request, why *layer.Refusal) {
		http.Error(w, "unproven", http.StatusTeapot)
	}})
	if err != nil {
		t.Fatal(err)
	}
	heard := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.seen <- r.RequestURI
		app.ServeHTTP(w, r)
	})
	connector, err := perimeter.NewConnector(perimeter.ConnectorConfig{Credential: credential, Handler: verifier.Handler(heard), Links: 1})
	if err != nil {
		t.Fatal(err)
	}
	f.run(t, public, edge, connector)
	pem, err := os.ReadFile(keys.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	f.tls = &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "localhost", NextProtos: []string{"http/1.1"}}
	f.tls.RootCAs.AppendCertsFromPEM(pem)
	for range 1000 { // the connector is ready a moment before the edge is
		if got, _ := f.ask("/"); got.status != http.StatusServiceUnavailable {
			return f
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the edge has no link after 10 s")
	return nil
}

func (f *front) run(t *testing.T, public net.Listener, edge *devedge.Edge, connector *perimeter.Connector) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() { ended <- edge.Serve(ctx, public, nil) }()
	go func() { ended <- connector.Run(ctx) }()
	t.Cleanup(func() {
		if f.conn != nil {
			f.conn.Close()
		}
		stop()
		<-ended
		<-ended
	})
	select {
	case <-connector.Ready():
	case <-time.After(10 * time.Second):
		t.Fatal("the connector is not ready after 10 s")
	}
}

// An outcome is what came of a request, as far as who asked can tell.
type outcome struct {
	status   int
	by       layer.Layer
	location string
}

func outcomeOf(status int, header http.Header, body []byte) outcome {
	var p struct {
		By layer.Layer `json:"refused_by"`
	}
	if strings.HasPrefix(header.Get("Content-Type"), "application/problem+json") {
		json.Unmarshal(body, &p)
	}
	return outcome{status, p.By, header.Get("Location")}
}

const plainRequest = "GET %s HTTP/1.1\r\nHost: %s\r\nAccept: application/json\r\n\r\n"

// ask sends target as it is through the edge, and returns what Commons saw of it, if it did.
func (f *front) ask(target string) (got outcome, seen string) {
	f.t.Helper()
	for range 2 { // a connection that has ended is made anew, once
		if f.conn == nil {
			conn, err := tls.Dial("tcp", f.addr, f.tls)
			if err != nil {
				f.t.Fatal(err)
			}
			f.conn, f.in = conn, bufio.NewReader(conn)
		}
		f.conn.SetDeadline(time.Now().Add(10 * time.Second))
		fmt.Fprintf(f.conn, plainRequest, target, f.host)
		resp, err := http.ReadResponse(f.in, nil)
		if err != nil {
			f.conn.Close()
			f.conn = nil
			continue
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			f.t.Fatal(err)
		}
		if resp.Close {
			f.conn.Close()
			f.conn = nil
		}
		select {
		case seen = <-f.seen:
		default:
		}
		return outcomeOf(resp.StatusCode, resp.Header, body), seen
	}
	f.t.Fatalf("%q: no answer", target)
	return got, ""
}

// direct is the same request, as Commons would read it if nobody stood before it.
func direct(t *testing.T, w *layertest.W, target, host string) (got outcome, route string, readable bool) {
	t.Helper()
	req, err := http.ReadRequest(bufio.NewReader(strings.NewReader(fmt.Sprintf(plainRequest, target, host))))
	if err != nil {
		return outcome{}, "", false
	}
	req.RemoteAddr = "192.0.2.1:1"
	resp := w.Stranger().Do(req.WithContext(t.Context()))
	return outcomeOf(resp.Code, resp.Header, resp.Body), resp.Route(), true
}

// means reports whether target is pattern's own spelling: the same segments, letter by letter, and for a wildcard any one.
func means(pattern, target string) bool {
	path, _, _ := strings.Cut(target, "?")
	_, own, _ := strings.Cut(pattern, " ")
	has, wants := strings.Split(path, "/"), strings.Split(strings.TrimSuffix(own, "{$}"), "/")
	if len(has) != len(wants) {
		return false
	}
	for i := range has {
		if has[i] != wants[i] && (!strings.HasPrefix(wants[i], "{") || has[i] == "") {
			return false
		}
	}
	return true
}

// For every spelling of a path, the edge and Commons agree: either it is refused, or both read it as the one path that it spells,
// and the answer through the edge is the answer that Commons gives.
func TestTheEdgeAndTheApplicationReadOnePath(t *testing.T) { // SYSTEM P6, A1, A5
	w := layertest.World(t, commons.App)
	f := newFront(t, w.Server)
	good := []string{"/", "/admin/members", "/api/v1/posts/" + nowhere + "/comments", "/keys", "/assets/style.css", "/orders/" + nowhere}
	for _, target := range good { // the honest twins
		through, seen := f.ask(target)
		got, route, _ := direct(t, w, target, f.host)
		if through != got || seen != target || got.by != "" && !means(route, target) || got.by == layer.Perimeter {
			t.Errorf("%s: through the edge %+v as %q, directly %+v by %q", target, through, seen, got, route)
		}
	}
	corpus, reached, refused := spellings(good), 0, 0
	if len(corpus) > 3500 {
		t.Fatalf("%d spellings: a test is not to last", len(corpus))
	}
	for _, target := range corpus {
		through, seen := f.ask(strings.ReplaceAll(target, "HOST", f.host))
		origin := strings.TrimPrefix(target, "https://HOST") // the edge has been asked for its own origin: it forwards the path
		direct, route, readable := direct(t, w, strings.ReplaceAll(origin, "HOST", f.host), f.host)
		origin = strings.TrimPrefix(origin, layertest.Origin)
		if route != "" && !means(route, origin) {
			t.Errorf("%q is served by %q, which it does not spell", target, route)
		}
		if readable && direct.status < 400 && !slices.ContainsFunc(w.Routes(), spelledBy(origin)) {
			t.Errorf("%q is answered with %d, and spells no route", target, direct.status)
		}
		if seen == "" {
			if refused++; through.status < 400 {
				t.Errorf("%q: the edge answered with %+v by itself", target, through)
			}
			continue
		}
		reached++
		switch {
		case !readable:
			t.Errorf("%q: the edge forwards what Commons cannot read", target)
		case seen != origin:
			t.Errorf("%q: the edge made %q of it", target, seen)
		case through != direct:
			t.Errorf("%q: through the edge %+v, directly %+v", target, through, direct)
		}
	}
	if reached < 300 || refused < 1000 {
		t.Errorf("%d spellings reached Commons, %d were refused before: the corpus is no test", reached, refused)
	}
}

func spelledBy(target string) func(r redoubt.Route) bool {
	return func(r redoubt.Route) bool { return means(r.Pattern, target) }
}

// What was found by this file's attacks, and by whom it is refused now.
func TestSpellingsThatTwoReadersTakeDifferently(t *testing.T) { // SYSTEM P6
	w := layertest.World(t, commons.App)
	f := newFront(t, w.Server)
	boss := w.Administrator("Acme").Browser()
	boss.Get("/admin/members").OK() // the twin
	for name, target := range map[string]string{
		"a letter escaped": "/%61dmin/members", "a hyphen escaped": "/sign%2din", "two slashes": "//admin/members", "two slashes inside": "/admin//members",
		"a dot segment": "/./admin/members", "a way up": "/x/../admin/members", "an escaped way up": "/x/%2e%2e/admin/members",
	} {
		req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		req.Header = boss.Request(http.MethodGet, "/", nil).Header
		u, err := url.ParseRequestURI(target)
		if err != nil {
			t.Fatal(err)
		}
		req.URL, req.RequestURI = u, target
		if got := cell(boss.Do(req)); got != "404 gate/route" {
			t.Errorf("%s, %s: got %s", name, target, got)
		}
	}
	for name, target := range map[string]string{
		"an overlong slash": "/admin%c0%afmembers", "overlong dots": "/x/%c0%ae%c0%ae/admin", "half a character": "/caf%c3", "an escape that is escaped": "/admin%252fmembers",
		"escaped dots, escaped": "/x/%252e%252e/admin", "an empty segment": "/admin//members", "two slashes": "//evil.example",
	} {
		if got, seen := f.ask(target); got.status != http.StatusBadRequest || got.by != layer.Perimeter || seen != "" {
			t.Errorf("%s, %s: got %+v, and Commons saw %q", name, target, got, seen)
		}
	}
}
