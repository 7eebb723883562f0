package policy

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Limits of a request's path; a longer one is denied.
const (
	MaxPath     = 8 << 10
	MaxSegments = 64
)

// A place is a path at a host: "app.example/admin/users", its segments decoded. It lies in each of its prefixes that ends before a
// slash, in the root "app.example/", and in the host "app.example".
type place struct {
	id   string
	host int      // length of the host
	also []string // further paths that it lies in, of a careless reading
}

// around calls f for every path that p lies in and is not, innermost first; not for the host.
func (p place) around(f func(id string)) {
	for i := len(p.id) - 1; i > p.host; i-- {
		if p.id[i] == '/' {
			f(p.id[:i])
		}
	}
	if len(p.id) > p.host+1 {
		f(p.id[:p.host+1])
	}
	for _, id := range p.also {
		f(id)
	}
}

// read decodes an escaped path. It refuses what two readers could take for different paths, by code that is not the edge's, since
// it stands behind the edge's own check.
func read(host, path string) (p place, ok bool) {
	if len(path) > MaxPath || !strings.HasPrefix(path, "/") {
		return place{}, false
	}
	decoded, ok := unescape(path)
	if !ok || !utf8.ValidString(decoded) || strings.Count(decoded, "/") > MaxSegments {
		return place{}, false
	}
	if !plain(decoded) {
		// Some systems take a wide slash for a slash, when they convert to the letters they have.
		if folded := foldCase(decoded); !sameShape(decoded, folded) || !segmentsAreNames(folded) {
			return place{}, false
		}
	}
	return place{id: host + decoded, host: len(host)}, segmentsAreNames(decoded)
}

// unescape decodes once what RFC 3986 section 2.1 escapes, and refuses an escaped separator or a second escape beneath the first.
func unescape(path string) (decoded string, ok bool) {
	for i := 0; i < len(path); i++ {
		if c := path[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("\"#<>\\^`{|}?", c) >= 0 {
			return "", false
		}
	}
	if strings.IndexByte(path, '%') < 0 {
		return path, true
	}
	b := make([]byte, 0, len(path))
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c == '%' {
			if c, ok = octet(path[i:]); !ok || c < ' ' || c == 0x7f || c == '/' || c == '\\' {
				return "", false
			}
			i += 2
			if _, twice := octet("%" + path[i+1:]); c == '%' && twice {
				return "", false
			}
		}
		b = append(b, c)
	}
	return string(b), true
}

// octet reads "%61" at the beginning of s.
func octet(s string) (c byte, ok bool) {
	if len(s) < 3 {
		return 0, false
	}
	for _, x := range []byte(s[1:3]) {
		switch {
		case '0' <= x && x <= '9':
			x -= '0'
		case 'a' <= x|0x20 && x|0x20 <= 'f':
			x = x | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		c = c<<4 | x
	}
	return c, true
}

// segmentsAreNames reports that no segment is empty, but for the last, and none is dots (and blanks, which Windows drops) alone,
// with or without parameters.
func segmentsAreNames(path string) bool {
	rest := path[1:]
	for more := true; more; {
		var segment string
		segment, rest, more = strings.Cut(rest, "/")
		if segment == "" && more {
			return false
		}
		name, _, _ := strings.Cut(segment, ";")
		if name != "" && strings.Trim(name, ". ") == "" {
			return false
		}
	}
	return true
}

func sameShape(a, b string) bool {
	for _, c := range []string{"/", `\`, "?", "#", "%", ";"} {
		if strings.Count(a, c) != strings.Count(b, c) {
			return false
		}
	}
	return true
}

func plain(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// careless is p as an application may read it that ignores case, parameters, a closing slash, empty segments, closing dots and
// blanks, and what follows a dot in the last name ("/admin.json" is "/admin" in the format JSON).
func (p place) careless() place {
	whole := careless(p.id, p.host)
	short := cutExtension(whole, p.host)
	q := place{id: short, host: p.host}
	if short != whole {
		q.also = []string{whole}
	}
	return q
}

// careless folds an id: the letters, and what a segment ends with.
func careless(id string, host int) string {
	if isCareless(id, host) {
		return id
	}
	folded := foldCase(id[host:])
	b := append(make([]byte, 0, len(id)), id[:host]...)
	for segment := range strings.SplitSeq(folded, "/") {
		segment, _, _ = strings.Cut(segment, ";")
		if segment = strings.TrimRight(segment, ". "); segment != "" {
			b = append(append(b, '/'), segment...)
		}
	}
	if len(b) == host {
		b = append(b, '/')
	}
	return string(b)
}

// isCareless reports, without allocating, that careless would change nothing.
func isCareless(id string, host int) bool {
	path := id[host:]
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c >= utf8.RuneSelf || 'A' <= c && c <= 'Z' || c == ';' {
			return false
		}
		last := i == len(path)-1
		if c == '/' && (last && len(path) > 1 || !last && path[i+1] == '/') {
			return false
		}
		if (c == '.' || c == ' ') && (last || path[i+1] == '/') {
			return false
		}
	}
	return true
}

// foldCase folds case and compatible forms, and drops what has no width: some file systems do.
func foldCase(s string) string {
	if plain(s) {
		return strings.ToLower(s)
	}
	seen := strings.Map(func(c rune) rune {
		if unicode.Is(unicode.Cf, c) || unicode.Is(unicode.Variation_Selector, c) {
			return -1
		}
		return c
	}, s)
	return strings.ToLower(strings.ToUpper(norm.NFKC.String(seen)))
}

// cutExtension cuts the last segment at its first dot, unless nothing is before it.
func cutExtension(id string, host int) string {
	name := strings.LastIndexByte(id, '/') + 1
	if name <= host {
		return id
	}
	before, _, _ := strings.Cut(id[name:], ".")
	if before = strings.TrimRight(before, " "); before == "" {
		return id
	}
	return id[:name+len(before)]
}
