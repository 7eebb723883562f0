package perimeter

import (
	"net/http"
	"net/netip"
	"strings"
	"unicode/utf8"

	"github.com/redoubt-dev/redoubt/layer"
)

// A denial is how the edge answers a request itself. The edge is the outermost ring of its process, so that it renders its own
// refusals; slug is their kind for the log.
type denial struct {
	*layer.Refusal
	status int
	slug   string
	move   string // for a redirect: where to
}

func deny(status int, reason layer.Reason, slug, public string) *denial {
	return &denial{&layer.Refusal{By: layer.Perimeter, Reason: reason, Public: public}, status, slug, ""}
}

func malformed(slug, public string) *denial {
	return deny(http.StatusBadRequest, layer.Malformed, slug, public)
}

// check says why r does not pass, or nil. It holds for HTTP/1 and HTTP/2 alike; what only HTTP/1 can get wrong, guard refuses.
func (e *Edge) check(r *http.Request) *denial {
	if d := checkMethod(r.Method); d != nil {
		return d
	}
	if d := checkHeader(r); d != nil {
		return d
	}
	target := r.RequestURI
	if r.URL.Host != "" {
		// An absolute target. In HTTP/2 there is no honest one (RFC 9113 section 8.3.1); in HTTP/1 guard has compared the hosts.
		if r.ProtoMajor > 1 {
			return malformed("target", "The request's target is not a path.")
		}
		target = r.URL.RequestURI()
	}
	if why := checkTarget(target); why != "" {
		return malformed("target", why)
	}
	if d := e.checkHost(r, target); d != nil {
		return d
	}
	if len(r.Header["Upgrade"]) > 0 {
		return deny(http.StatusNotImplemented, layer.Unsupported, "upgrade", "This connection cannot change its protocol.")
	}
	if r.ContentLength > e.config.MaxBody {
		return tooLarge()
	}
	return nil
}

func tooLarge() *denial {
	return deny(http.StatusRequestEntityTooLarge, layer.TooLarge, "body too large", "The request's body is too large.")
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
			if strings.ContainsFunc(v, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }) {
				return malformed("control character", "A header's value has a control character.")
			}
		}
	}
	if lines > MaxHeaderLines {
		return deny(http.StatusRequestHeaderFieldsTooLarge, layer.TooLarge, "header lines", "The request has too many header lines.")
	}
	if len(r.Header["Content-Length"]) > 1 || len(r.Header["Transfer-Encoding"]) > 0 {
		return malformed("framing", "The request's length is ambiguous.")
	}
	// HTTP/2 may carry Host beside :authority; they must agree (RFC 9113 section 8.3.1).
	if hosts := r.Header["Host"]; len(hosts) > 1 || len(hosts) == 1 && hosts[0] != r.Host {
		return malformed("hosts", "The request names more than one host.")
	}
	return nil
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
	segments := strings.Split(path[1:], "/")
	for i, segment := range segments {
		if segment == "" && i < len(segments)-1 {
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
	name := make([]byte, 0, len(segment))
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
	first, _, _ := strings.Cut(string(name), ";")
	if first == "." || first == ".." {
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

// checkHost lets only the canonical origin's host pass. One who came by another name of this machine is sent to the canonical
// origin, if nothing is lost by it; everyone else has the wrong server (RFC 9110 section 15.5.20).
func (e *Edge) checkHost(r *http.Request, target string) *denial {
	host := bareHost(r.Host)
	if host == e.host {
		r.Host = e.host // one spelling: what the assertion says and what the application sees
		return nil
	}
	misdirected := deny(http.StatusMisdirectedRequest, layer.NotFound, "host", "This server does not serve that host.")
	if !isLocal(host) || r.Method != http.MethodGet && r.Method != http.MethodHead {
		return misdirected
	}
	misdirected.status, misdirected.slug, misdirected.move = http.StatusPermanentRedirect, "not canonical", e.config.Origin+target
	return misdirected
}

// bareHost is the one spelling of a host with its port: lower case, without the port that https implies.
func bareHost(host string) string {
	return strings.TrimSuffix(strings.ToLower(host), ":443")
}

// isLocal reports whether host, with or without a port, is this machine's loopback by any of its common names.
func isLocal(host string) bool {
	name := host
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		name = host[:i]
	}
	if name == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(name, "[]"))
	return err == nil && ip.IsLoopback()
}
