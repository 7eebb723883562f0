package policy_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/redoubt-dev/redoubt/layer/perimeter/access/policy"
)

func TestPathsThatAreRead(t *testing.T) { // SYSTEM P4
	for _, c := range []struct {
		path, id, careless string
		in                 string
	}{
		{"/", "h/", "h/", ""},
		{"/a", "h/a", "h/a", "h/"},
		{"/a/", "h/a/", "h/a", "h/a h/"},
		{"/a/b/c", "h/a/b/c", "h/a/b/c", "h/a/b h/a h/"},
		{"/%61/%c3%A9", "h/a/é", "h/a/é", "h/a h/"},
		{"/A/%C3%89", "h/A/É", "h/a/é", "h/A h/"},
		{"/100%25", "h/100%", "h/100%", "h/"},
		{"/a;x=1/b.tar.gz", "h/a;x=1/b.tar.gz", "h/a/b", "h/a;x=1 h/"},
		{"/.well-known/x", "h/.well-known/x", "h/.well-known/x", "h/.well-known h/"},
		{"/a./b%20", "h/a./b ", "h/a/b", "h/a. h/"},
		{"/%EF%AC%81", "h/ﬁ", "h/fi", "h/"},
		{"/admin%20.json", "h/admin .json", "h/admin", "h/"},
		{"/%20.0", "h/ .0", "h/ .0", "h/"},
		{"/;x", "h/;x", "h/", "h/"},
		{"/ad%E2%80%8Bm%C2%ADin", "h/ad\u200bm\u00adin", "h/admin", "h/"},
		{"/admin%C2%A0", "h/admin\u00a0", "h/admin", "h/"},
		{"/~a!$&'()*+,=:@-_", "h/~a!$&'()*+,=:@-_", "h/~a!$&'()*+,=:@-_", "h/"},
	} {
		id, in, careless, ok := policy.Segments("h", c.path)
		if !ok || id != c.id || careless != c.careless || strings.Join(in, " ") != c.in {
			t.Errorf("%s: got %q, %q, in %q, %t", c.path, id, careless, in, ok)
		}
	}
}

func TestPathsThatAreNotRead(t *testing.T) { // SYSTEM P4
	for _, path := range []string{
		"", "*", "a", "http://h/a", "//a", "/a//b", "/a//", "/./a", "/a/..", "/../", "/%2e%2e/a", "/.%2E", "/..;/a", "/..;x=1/a", "/.;/a", "/...", "/.. /a", "/..%20/a",
		"/%20/a", "/a%2fb", "/a%2Fb", "/a%5cb", `/a\b`, "/a%00b", "/a%0ab", "/a%7f", "/a%", "/a%6", "/a%zz", "/a%2561", "/a%252fb", "/a?b", "/a#b", "/a%C0%AFb",
		"/%ff", "/é", "/a b", "/a\tb", "/a\x00", "/a\"", "/<a>", "/a|b", "/a^b", "/`a`", "/{a}", "/a%EF%BC%8Fb", "/%EF%BC%8E%EF%BC%8E/a", "/%E2%80%A5/a", "/%E2%84%80",
		"/.%E2%80%8B./a", "/%C2%AD./a", "/.%C2%A0/a", "/%EF%B9%A8a", "/a%EF%BC%85" + "61", "/%CD%BE", strings.Repeat("/a", policy.MaxSegments+1), "/" + strings.Repeat("a", policy.MaxPath),
	} {
		if id, _, _, ok := policy.Segments("h", path); ok {
			t.Errorf("%q is read as %q", path, id)
		}
	}
	for _, path := range []string{strings.Repeat("/a", policy.MaxSegments), "/" + strings.Repeat("a", policy.MaxPath-1)} {
		if _, _, _, ok := policy.Segments("h", path); !ok {
			t.Errorf("%.10q… is not read, though it is within the limits", path)
		}
	}
}

// within is the relation of segments, by text alone.
func within(path, prefix string) bool {
	return path == prefix || strings.HasPrefix(path, strings.TrimSuffix(prefix, "/")+"/")
}

// FuzzSegments holds the reading of paths to the standard library's, and the relation of segments to a comparison of texts.
func FuzzSegments(f *testing.F) {
	for _, path := range []string{"/", "/a/b", "/a/", "/%61/%c3%a9", "/a;x/b.c", "/a%2fb", "/A./B ", "/%EF%BC%8F", "/a%2561", "/..;/x"} {
		f.Add(path, "/a")
	}
	f.Fuzz(func(t *testing.T, path, other string) {
		id, in, careless, ok := policy.Segments("h", path)
		if !ok {
			return
		}
		decoded, err := url.PathUnescape(path)
		if err != nil || "h"+decoded != id || !utf8.ValidString(id) {
			t.Fatalf("%q: got %q, want %q (%v)", path, id, decoded, err)
		}
		if again, _, _, ok := policy.Segments("h", (&url.URL{Path: decoded}).EscapedPath()); !ok || again != id {
			t.Errorf("%q is read as %q, and that as %q, %t", path, id, again, ok)
		}
		for _, c := range []string{"//", "/./", "/../"} {
			if strings.Contains(id, c) || strings.Contains(careless, c) {
				t.Errorf("%q: %q and %q lead elsewhere", path, id, careless)
			}
		}
		if _, _, twice, _ := policy.Segments("h", (&url.URL{Path: careless[1:]}).EscapedPath()); twice != careless && !strings.Contains(careless, ".") {
			t.Errorf("%q is carelessly %q, and that %q", path, careless, twice)
		}
		candidates := append(slices.Clone(in), "h"+other, id)
		for _, prefix := range candidates {
			if !strings.HasPrefix(prefix, "h/") || prefix != "h/" && strings.HasSuffix(prefix, "/") && prefix != id {
				continue
			}
			got := prefix == id || slices.Contains(in, prefix)
			if want := within(id, prefix); got != want {
				t.Errorf("%q in %q: got %t, want %t", id, prefix, got, want)
			}
		}
	})
}
