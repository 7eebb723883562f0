package route_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt/layer/gate/route"
)

func TestAPathHasOneSpelling(t *testing.T) { // SYSTEM A1, P6
	for _, c := range []struct {
		name, target string
		good         bool
	}{
		{"the first page", "/", true},
		{"a path", "/api/v1/posts", true},
		{"a path with a query, which is not looked at", "/posts?a=../%2e", true},
		{"a slash at the end, which names something else", "/posts/", true},
		{"every byte that needs no escape", "/aZ09-._~!$&'()*+,;=:@", true},
		{"a space", "/a%20b", true},
		{"a reserved byte, escaped as data", "/a%40b%2B", true},
		{"an escape in small letters", "/caf%c3%a9", true},
		{"a percent sign", "/100%25", true},
		{"a name that begins with dots", "/..a/.b", true},
		{"three dots", "/...", true},

		{"nothing", "", false},
		{"an asterisk", "*", false},
		{"an absolute target", "https://app.example.test/posts", false},
		{"a letter that is escaped", "/%70osts", false},
		{"a hyphen that is escaped", "/a%2Db", false},
		{"a dot that is escaped", "/a%2ejson", false},
		{"two slashes", "//posts", false},
		{"two slashes inside", "/api//v1", false},
		{"two slashes at the end", "/posts//", false},
		{"a dot segment", "/./posts", false},
		{"a dot segment at the end", "/posts/.", false},
		{"a way up", "/a/../posts", false},
		{"an escaped way up", "/a/%2e%2e/posts", false},
		{"a half escaped way up", "/a/.%2E/posts", false},
		{"an escaped slash", "/a%2fposts", false},
		{"an escaped backslash", "/a%5cposts", false},
		{"a backslash", "/a\\posts", false},
		{"an escaped NUL", "/posts%00", false},
		{"an escaped line end", "/posts%0d%0a", false},
		{"an overlong slash", "/a%c0%afposts", false},
		{"an overlong dot", "/%c0%ae%c0%ae/posts", false},
		{"half a character", "/caf%c3", false},
		{"a byte above ASCII", "/caf\xc3\xa9", false},
		{"a broken escape", "/%zz", false},
		{"an unfinished escape", "/a%2", false},
		{"a fragment", "/posts#x", false},
		{"a space as it is", "/a b", false},
		{"a brace", "/{id}", false},
	} {
		if got := route.Spelled(c.target) == nil; got != c.good {
			t.Errorf("%s, %q: taken %t, want %t", c.name, c.target, got, c.good)
		}
	}
}

// FuzzSpelled: what is taken means to the mux what it means to somebody who reads one byte after the other.
func FuzzSpelled(f *testing.F) {
	for _, s := range []string{"/", "/posts", "/%70osts", "/posts/x", "/posts/%2e%2e", "//posts", "/posts/a%20b", "/posts/%c3%a9", "/posts;a=b", "/posts/"} {
		f.Add(s)
	}
	mux := http.NewServeMux()
	for _, p := range []string{"GET /{$}", "GET /posts", "GET /posts/{id}", "GET /posts/{id}/edit"} {
		mux.HandleFunc(p, func(http.ResponseWriter, *http.Request) {})
	}
	f.Fuzz(func(t *testing.T, target string) {
		sent, _, _ := strings.Cut(target, "?")
		if route.Spelled(target) != nil {
			return
		}
		u, err := url.ParseRequestURI(sent)
		if err != nil {
			t.Fatalf("%q is taken, and cannot be parsed: %v", target, err)
		}
		r := httptest.NewRequest("GET", "/", nil)
		r.URL = u
		if u.EscapedPath() != sent {
			t.Errorf("%q is seen as %q", sent, u.EscapedPath())
		}
		_, got := mux.Handler(r)
		parts := strings.Split(u.Path[1:], "/")
		want := ""
		switch {
		case sent == "/":
			want = "GET /{$}"
		case sent == "/posts":
			want = "GET /posts"
		case len(parts) == 2 && parts[0] == "posts" && parts[1] != "":
			want = "GET /posts/{id}"
		case len(parts) == 3 && parts[0] == "posts" && parts[1] != "" && parts[2] == "edit":
			want = "GET /posts/{id}/edit"
		}
		if got != want {
			t.Errorf("%q is served by %q, want %q", target, got, want)
		}
	})
}
