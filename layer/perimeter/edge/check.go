package edge

import (
	"bytes"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/redoubt-dev/redoubt/layer"
)

// check says whose r is, or why it does not pass. It holds for every version of HTTP alike; what only HTTP/1 can get wrong, guard
// refuses.
func (e *Edge) check(r *http.Request) (*site, *denial) {
	if d := checkMethod(r.Method); d != nil {
		return nil, d
	}
	if d := checkHeader(r); d != nil {
		return nil, d
	}
	target := r.RequestURI
	if r.URL.Host != "" {
		// An absolute target. After HTTP/1 there is no honest one (RFC 9113 section 8.3.1); in HTTP/1 guard has compared the hosts.
		if r.ProtoMajor > 1 {
			return nil, malformed("target", "The request's target is not a path.")
		}
		target = r.URL.RequestURI()
		r.RequestURI = target
	}
	if why := checkTarget(target); why != "" {
		return nil, malformed("target", why)
	}
	s, d := e.checkHost(r, target)
	if d != nil {
		return nil, d
	}
	if len(r.Header["Upgrade"]) > 0 {
		if d := checkUpgrade(r); d != nil {
			return s, d
		}
	}
	if s.MaxBody >= 0 && r.ContentLength > s.MaxBody {
		return s, tooLarge()
	}
	return s, nil
}

func checkMethod(method string) *denial {
	if method == http.MethodConnect || method == http.MethodTrace || len(method) > MaxMethod || !isToken(method) {
		return malformed("method", "The request's method is not served here.")
	}
	return nil
}

// checkHeader refuses names with an underscore, because some readers take "X_Y" for "X-Y"; and what HTTP/2 lets through twice.
func checkHeader(r *http.Request) *denial {
	lines := 1 // Host
	for name, values := range r.Header {
		lines += len(values)
		if strings.Contains(name, "_") {
			return malformed("underscore", "A header's name has an underscore.")
		}
		for _, v := range values {
			if hasControl(v) {
				return malformed("control character", "A header's value has a control character.")
			}
		}
	}
	if lines > MaxHeaderLines {
		return deny(http.StatusRequestHeaderFieldsTooLarge, layer.TooLarge, "header lines", "The request has too many header lines.")
	}
	// net/http takes a length in HTTP/2 that it cannot read for none, and the body for empty.
	lengths := r.Header["Content-Length"]
	if len(lengths) > 1 || len(lengths) == 1 && !isLength(lengths[0]) || len(r.Header["Transfer-Encoding"]) > 0 {
		return malformed("framing", "The request's length is ambiguous.")
	}
	// HTTP/2 may carry Host beside :authority; they must agree (RFC 9113 section 8.3.1).
	if hosts := r.Header["Host"]; len(hosts) > 1 || len(hosts) == 1 && hosts[0] != r.Host {
		return malformed("hosts", "The request names more than one host.")
	}
	return nil
}

// isLength reports whether s is a Content-Length, of so many digits that it fits (RFC 9110 section 8.6).
func isLength(s string) bool {
	return s != "" && len(s) <= maxLengthSize && strings.Trim(s, "0123456789") == ""
}

// hasControl reports whether a header's value holds what no reader should have to skip.
func hasControl(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return true
		}
	}
	return false
}

// checkTarget says what is wrong with a request target, or nothing. Whatever passes means the same to every reader: no byte
// that parsers repair, nothing encoded that separates segments, no segment that leads elsewhere.
func checkTarget(target string) (why string) {
	path, query, _ := strings.Cut(target, "?")
	if !strings.HasPrefix(path, "/") {
		return "The request's target is not a path."
	}
	for _, c := range []byte(query) {
		if c <= ' ' || c >= 0x7f || c == '#' {
			return "The request's query has a character that must be encoded."
		}
	}
	for rest, more := path[1:], true; more; {
		var segment string
		segment, rest, more = strings.Cut(rest, "/")
		if segment == "" && more {
			// Some readers leave it out; a browser that is sent to "//x/y" takes x for a host.
			return "The request's path has an empty segment."
		}
		if why := checkSegment(segment); why != "" {
			return why
		}
	}
	return ""
}

func checkSegment(segment string) (why string) {
	var space [64]byte // most segments fit: no memory is taken for them
	name := space[:0]
	for i := 0; i < len(segment); i++ {
		c := segment[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte("\"#<>\\^`{|}", c) >= 0 {
			return "The request's path has a character that must be encoded."
		}
		if c == '%' {
			if i+2 >= len(segment) || !isHex(segment[i+1]) || !isHex(segment[i+2]) {
				return "The request's path has a broken escape."
			}
			c = unhex(segment[i+1])<<4 | unhex(segment[i+2])
			i += 2
			if c == '/' || c == '\\' || c < ' ' || c == 0x7f {
				return "The request's path has an escaped separator or control character."
			}
			if c == '%' && i+2 < len(segment) && isHex(segment[i+1]) && isHex(segment[i+2]) {
				return "The request's path is escaped twice." // who decodes twice reads something else
			}
		}
		name = append(name, c)
	}
	if !utf8.Valid(name) { // a decoder that takes overlong forms reads "%c0%af" as a slash (RFC 3629 section 10)
		return "The request's path is not UTF-8."
	}
	// Some readers cut parameters off before they resolve dots: "..;x" leads up for them.
	first, _, _ := bytes.Cut(name, []byte(";"))
	if string(first) == "." || string(first) == ".." {
		return "The request's path has a dot segment."
	}
	return ""
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}
