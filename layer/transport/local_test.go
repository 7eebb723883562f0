package transport_test

import (
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt/layer/transport"
)

// TestLocalPathRefuses lists the ways in which a return address has led elsewhere (SYSTEM T4).
func TestLocalPathRefuses(t *testing.T) {
	for name, s := range map[string]string{
		"nothing":                             "",
		"another site":                        "https://evil.example/",
		"our own site, by its full name":      "https://app.example.com/",
		"another site with our scheme":        "//evil.example",
		"three slashes":                       "///evil.example",
		"a backslash, which browsers turn":    `/\evil.example`,
		"two backslashes":                     `\\evil.example`,
		"a backslash later":                   `/a\..\\evil.example`,
		"a tab, which browsers drop":          "/\t/evil.example",
		"a line break, which browsers drop":   "/\n/evil.example",
		"a line break, which splits a header": "/a\r\nSet-Cookie: a=b",
		"a leading blank, which they trim":    " /a",
		"a trailing blank":                    "/a ",
		"a NUL":                               "/a\x00",
		"a relative path":                     "a/b",
		"a relative path with a scheme":       "javascript:alert(1)",
		"a query alone":                       "?a",
		"an encoded slash":                    "/%2fevil.example",
		"an encoded slash in capitals":        "/%2Fevil.example",
		"an encoded backslash":                "/%5cevil.example",
		"an encoded tab":                      "/%09/evil.example",
		"an encoded NUL":                      "/a%00",
		"a doubly encoded slash":              "/%252fevil.example",
		"dots that climb to two slashes":      "/..//evil.example",
		"dots that climb":                     "/a/../b",
		"encoded dots that climb":             "/%2e%2e/b",
		"a dot":                               "/./a",
		"two slashes later":                   "/a//b",
		"a fragment":                          "/a#b",
		"a broken encoding":                   "/%zz",
		"a broken encoding in the query":      "/a?b=%zz",
		"encoded broken UTF-8":                "/%ff",
		"a raw letter outside ASCII":          "/caf\u00e9",
		"a full-width slash":                  "/\uff0fevil.example",
		"an encoded C1 control":               "/%c2%85",
		"over 1 KiB":                          "/" + strings.Repeat("a", 1<<10),
	} {
		if got, ok := transport.LocalPath(s); ok || got != "" {
			t.Errorf("%s: LocalPath(%q) = %q, %v; want a refusal", name, s, got, ok)
		}
	}
}

func TestLocalPathAccepts(t *testing.T) {
	for _, s := range []string{
		"/", "/orders", "/orders/", "/orders/7?page=2&q=a%2Fb", "/caf%C3%A9", "/a?next=https://evil.example", "/a:b@c;d,e",
		"/" + strings.Repeat("a", 1<<10-1), "/.well-known/x", "/a?", "/...",
	} {
		if got, ok := transport.LocalPath(s); !ok || got != s {
			t.Errorf("LocalPath(%q) = %q, %v; want it unchanged", s, got, ok)
		}
	}
}

// staysHome reports what of an accepted path is not as promised, by another parser than LocalPath's own.
func staysHome(s string) string {
	base, _ := url.Parse(origin + "/sign-in/callback")
	u, err := base.Parse(s)
	switch {
	case err != nil:
		return err.Error()
	case u.Scheme+"://"+u.Host != origin || u.User != nil || u.Fragment != "":
		return "it resolves to " + u.String()
	case strings.HasPrefix(u.Path, "//") || strings.ContainsAny(u.Path, "\\\r\n\t\x00"):
		return "it has a path that others may read otherwise: " + u.Path
	case u.RequestURI() != s:
		return "it is not its own canonical form: " + u.RequestURI()
	}
	return ""
}

func FuzzLocalPath(f *testing.F) {
	for _, s := range []string{"/", "//e", `/\e`, "/%2f%2fe", "/a?b#c", "/..//e", "/a?b=%zz", "/%c2%85", "/a;b?;"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got, ok := transport.LocalPath(s); ok {
			if fault := staysHome(got); got != s || fault != "" {
				t.Errorf("LocalPath(%q) = %q, but %s", s, got, fault)
			}
		}
	})
}

// TestLocalPathAgainstTheURLStandard takes the inputs of the web platform tests: an accepted one must be, to a browser too, a
// path on the site where it stands.
func TestLocalPathAgainstTheURLStandard(t *testing.T) {
	dir := os.Getenv("REDOUBT_CORPORA")
	if dir == "" {
		t.Skip("REDOUBT_CORPORA is unset: set it to a folder that holds url-wpt.json, the web platform tests' urltestdata.json")
	}
	raw, err := os.ReadFile(filepath.Join(dir, "url-wpt.json"))
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Input    string
		Base     *string
		Origin   string
		Pathname string
		Failure  bool
	}
	if err := json.Unmarshal(raw, &cases); err != nil {
		t.Fatal(err)
	}
	accepted := 0
	for _, c := range cases {
		if _, ok := transport.LocalPath(c.Input); !ok {
			continue
		}
		accepted++
		if fault := staysHome(c.Input); fault != "" {
			t.Errorf("LocalPath accepted %q, but %s", c.Input, fault)
		}
		if c.Failure || c.Base == nil || c.Origin == "null" || c.Origin == "" {
			continue // a base that is no website
		}
		base, _ := url.Parse(*c.Base)
		if c.Origin != base.Scheme+"://"+base.Host || strings.HasPrefix(c.Pathname, "//") {
			t.Errorf("LocalPath accepted %q, which a browser at %s takes to %s%s", c.Input, *c.Base, c.Origin, c.Pathname)
		}
	}
	if len(cases) < 100 || accepted == 0 {
		t.Errorf("of %d cases %d were accepted; want many and some", len(cases), accepted)
	}
}
