package route

import (
	"errors"
	"net/url"
	"strings"
	"unicode/utf8"
)

var errSpelling = errors.New("the address is not spelled in the one way that is taken")

// Spelled refuses a request target whose path is not in the one spelling of what it names. Whoever stands before this program, or
// writes down what it was asked, may read "/%61dmin", "//admin" or "/x/../admin" as something else than "/admin"; a mux that reads
// them as "/admin" would then serve what was allowed, limited or logged under another name. Bytes that need no escape are not
// escaped (RFC 3986 section 2.3), no segment is empty but the last, none leads elsewhere, none hides a separator, and what is
// escaped is UTF-8. The query is not looked at.
func Spelled(target string) error {
	path, _, _ := strings.Cut(target, "?")
	rest, ok := strings.CutPrefix(path, "/")
	if !ok {
		return errSpelling // an absolute target, or an asterisk
	}
	for {
		segment, after, more := strings.Cut(rest, "/")
		if !plainSegment(segment) || segment == "" && more {
			return errSpelling
		}
		if !more {
			return nil
		}
		rest = after
	}
}

func plainSegment(s string) bool {
	name, err := url.PathUnescape(s)
	if err != nil || !utf8.ValidString(name) || name == "." || name == ".." || strings.ContainsFunc(name, separates) {
		return false
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; c != '%' && !unreserved(c) && strings.IndexByte("!$&'()*+,;=:@", c) < 0 {
			return false
		}
	}
	for _, escaped := range strings.Split(s, "%")[1:] {
		if c, _ := url.PathUnescape("%" + escaped[:2]); unreserved(c[0]) {
			return false
		}
	}
	return true
}

// separates reports what some reader takes for the end of a segment, or of the path.
func separates(c rune) bool { return c == '/' || c == '\\' || c < ' ' || c == 0x7f }

func unreserved(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z' || strings.IndexByte("-._~", c) >= 0
}
