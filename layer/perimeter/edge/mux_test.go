package edge_test

import (
	"bufio"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt/layer/perimeter/edge"
)

// routes are patterns of every kind that an application may have.
var routes = []string{"GET /{$}", "GET /posts", "GET /posts/{id}", "GET /posts/{id}/comments", "GET /admin/members", "GET /files/{path...}"}

// served is what an application's mux makes of a target: the pattern, and what its wildcard holds.
func served(target string) (pattern, value string, err error) {
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET " + target + " HTTP/1.1\r\nHost: localhost\r\n\r\n")))
	if err != nil {
		return "", "", err
	}
	mux := http.NewServeMux()
	for _, p := range routes {
		mux.HandleFunc(p, func(_ http.ResponseWriter, r *http.Request) {
			pattern, value = r.Pattern, r.PathValue("id")+r.PathValue("path")
		})
	}
	mux.ServeHTTP(httptest.NewRecorder(), r)
	return pattern, value, nil
}

// read is how somebody reads a target who knows nothing of Go: cut at the question mark and at the slashes, decode each piece once.
func read(target string) (pattern, value string) {
	before, _, _ := strings.Cut(target, "?")
	parts := strings.Split(before, "/")[1:]
	for i := range parts {
		parts[i], _ = url.PathUnescape(parts[i])
	}
	switch {
	case len(parts) == 1 && parts[0] == "":
		return routes[0], ""
	case len(parts) == 1 && parts[0] == "posts":
		return routes[1], ""
	case len(parts) == 2 && parts[0] == "posts" && parts[1] != "":
		return routes[2], parts[1]
	case len(parts) == 3 && parts[0] == "posts" && parts[2] == "comments":
		return routes[3], parts[1]
	case len(parts) == 2 && parts[0] == "admin" && parts[1] == "members":
		return routes[4], ""
	case len(parts) > 1 && parts[0] == "files":
		return routes[5], strings.Join(parts[1:], "/")
	}
	return "", ""
}

// FuzzEdgeAndMux: a path that the edge lets through is served by the mux of an application as anybody would read it, and nobody
// who decodes it again, or puts it in order, reads another (SYSTEM P6, A5).
func FuzzEdgeAndMux(f *testing.F) {
	for _, s := range []string{
		"/", "/posts", "/posts/1", "/posts/1/comments", "/admin/members", "/files/a/b", "/files/", "/posts/", "/%61dmin/members", "/admin%2fmembers", "//admin/members",
		"/x/../admin/members", "/x/%2e%2e/admin/members", "/admin/./members", "/admin;x/members", "/admin/members;x", "/..;/admin", "/admin%252fmembers", "/admin%c0%afmembers",
		"/posts/%e2%82%ac", "/posts/a%20b?x=%2f", "/posts/100%25", "/posts/%ff", "/posts/a%3Fb", "/posts/a%23b", "/admin\\members", "/admin/members?/../..", "/files/../admin/members",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, target string) {
		if edge.CheckTarget(target) != "" {
			return
		}
		u, err := url.ParseRequestURI(target)
		if err != nil {
			t.Fatalf("%q passes, and cannot be read: %v", target, err)
		}
		if got := u.RequestURI(); got != target {
			t.Errorf("%q is forwarded as %q", target, got)
		}
		pattern, value, err := served(target)
		if err != nil {
			t.Fatalf("%q passes, and the application cannot read it: %v", target, err)
		}
		if wantPattern, wantValue := read(target); pattern != wantPattern || value != wantValue {
			t.Errorf("%q is served by %q with %q, and reads as %q with %q", target, pattern, value, wantPattern, wantValue)
		}
		if again, err := url.PathUnescape(u.Path); err == nil && again != u.Path {
			t.Errorf("%q is %q to who decodes it again", target, again)
		}
	})
}

// lenient is how somebody reads a target who means well: all escapes undone, twice, overlong ones too, and what is left put in order.
func lenient(target string) string {
	decoded := strings.NewReplacer("%c0%af", "/", "%c0%ae", ".").Replace(target)
	for range 2 {
		if again, err := url.PathUnescape(decoded); err == nil {
			decoded = again
		}
	}
	pattern, value := read((&url.URL{Path: path.Clean(strings.ReplaceAll(decoded, "\\", "/"))}).EscapedPath())
	return pattern + " " + value
}

// The edge refuses exactly these for a reason: without it they mean one thing to one reader and another to the next.
func TestWhatTheEdgeRefusesIsReadInTwoWays(t *testing.T) { // SYSTEM P6
	for target, two := range map[string]bool{
		"/admin//members": true, "//admin/members": true, "/x/../admin/members": true, "/./admin/members": true, "/x/%2e%2e/admin/members": true, "/admin%2fmembers": true,
		"/admin%5cmembers": true, "/admin\\members": true, "/posts/%252e%252e/admin/members": true, "/admin%252fmembers": true, "/admin%c0%afmembers": true, "/posts/%c0%ae%c0%ae": true,
		"/admin/members": false, "/posts/a%20b": false, "/posts/%e2%82%ac/comments": false, "/posts/100%25": false,
	} {
		pattern, value := read(target)
		if got := lenient(target) != pattern+" "+value; got != two {
			t.Errorf("%s: read in two ways %t, want %t", target, got, two)
		}
		if passes := edge.CheckTarget(target) == ""; passes == two {
			t.Errorf("%s passes the edge: %t", target, passes)
		}
	}
}
