package edge

import (
	"net/http"
	"net/textproto"
	"slices"
	"strings"
)

// hops are headers for the next hop alone (RFC 9110 section 7.6.1), those that only clients of proxies send, and those that say what
// travels in a field of its own.
var hops = [...]string{
	"Connection", "Proxy-Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Http2-Settings",
	"Proxy-Authenticate", "Proxy-Authorization", "Proxy-Authentication-Info", "Content-Length", "Host",
}

var isHop = func() map[string]bool {
	all := map[string]bool{}
	for _, name := range hops {
		all[name] = true
	}
	return all
}()

// dropHops removes what ends here, whatever Connection names included. It runs before the gate looks at the request and before the
// edge adds anything, so that nobody can name what is added later, or show the gate what the application does not get.
func dropHops(h http.Header) {
	for _, line := range h["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			if name = textproto.TrimString(name); name != "" {
				h.Del(name)
			}
		}
	}
	for _, name := range hops {
		delete(h, name)
	}
}

// Headers in which proxies tell applications who somebody is or where he comes from. From a client they are claims, and some
// application behind some edge believes each of them.
var (
	claimed = map[string]bool{
		"forwarded": true, "x-real-ip": true, "true-client-ip": true, "x-client-ip": true, "x-cluster-client-ip": true,
		"fastly-client-ip": true, "client-ip": true, "via": true, "x-original-url": true, "x-rewrite-url": true,
		"x-original-host": true, "x-host": true, "x-http-method-override": true, "x-method-override": true,
		"x-http-method": true, "proxy": true, "x-forwarded": true,
	}
	claimedPrefixes = [...]string{
		"x-forwarded-", "cf-", "remote-", "tailscale-", "x-auth-", "redoubt-", "x-goog-authenticated-", "x-ms-client-", "x-amzn-oidc-",
	}
	claimedSuffixes = [...]string{"-jwt-assertion"}
)

// dropClaims removes every such header, whatever its spelling. It runs after the gate, who may know a header of its own, and before
// the edge adds its word (SYSTEM P5).
func dropClaims(h http.Header) {
	for name := range h {
		if isClaim(name) {
			delete(h, name)
		}
	}
}

func isClaim(name string) bool {
	var space [64]byte // most names fit: no memory is taken for them
	plain := space[:0]
	for i := range len(name) {
		c := name[i]
		switch {
		case c == '_':
			c = '-'
		case 'A' <= c && c <= 'Z':
			c |= 0x20
		}
		plain = append(plain, c)
	}
	if claimed[string(plain)] {
		return true
	}
	for _, p := range claimedPrefixes {
		if len(plain) >= len(p) && string(plain[:len(p)]) == p {
			return true
		}
	}
	for _, s := range claimedSuffixes {
		if len(plain) >= len(s) && string(plain[len(plain)-len(s):]) == s {
			return true
		}
	}
	return false
}

// trailers are those of a message that may be passed on: neither a claim nor what decides how a message is read, routed or
// believed, which nobody looks for at its end (RFC 9110 section 6.5.1).
func trailers(h http.Header) http.Header {
	if len(h) == 0 {
		return nil
	}
	kept := http.Header{}
	for name, values := range h {
		if len(values) > 0 && mayBeLast(name) {
			kept[name] = values
		}
	}
	return kept
}

func mayBeLast(name string) bool {
	return !isClaim(name) && !notLast[name] && !isHop[name] && !strings.Contains(name, "_") && isToken(name)
}

// announced names the trailers that a client has said will come, for an application that wants to know before they do.
func announced(h http.Header) (names []string) {
	for name := range h {
		if mayBeLast(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

var notLast = map[string]bool{
	"Authorization": true, "Cookie": true, "Set-Cookie": true, "Origin": true, "Referer": true, "Content-Type": true, "Content-Encoding": true,
	"Content-Range": true, "Range": true, "Cache-Control": true, "Location": true, "Www-Authenticate": true, "Age": true, "Date": true,
	"Expires": true, "Vary": true, "Pragma": true, "Max-Forwards": true, "Retry-After": true, "Warning": true, "Expect": true,
}
