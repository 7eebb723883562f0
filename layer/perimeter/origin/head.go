package origin

import (
	"errors"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
)

var errUnreadable = errors.New("the request cannot be written in one way only")

// hop are the headers of one connection (RFC 9110 section 7.6.1), and those that are written anew.
var hop = map[string]bool{
	"Connection": true, "Proxy-Connection": true, "Keep-Alive": true, "Proxy-Authenticate": true, "Proxy-Authorization": true,
	"Te": true, "Trailer": true, "Transfer-Encoding": true, "Upgrade": true, "Content-Length": true, "Host": true, "Expect": true,
}

// claimed are the headers in which an application would look for a visitor. The edge drops a client's; here they are dropped again,
// and some are written by what is verified.
var claimed = map[string]bool{
	"Forwarded": true, "X-Real-Ip": true, "X-Request-Id": true, "True-Client-Ip": true, "X-Client-Ip": true, "Via": true,
	"X-Original-Url": true, "X-Rewrite-Url": true, "Proxy": true,
}

const claimedPrefix = "X-Forwarded-"

// drops reports whether a header stays behind. An underscore is a dash to many applications.
func drops(name string, named []string) bool {
	if strings.IndexByte(name, '_') >= 0 {
		name = strings.ReplaceAll(name, "_", "-")
	}
	name = textproto.CanonicalMIMEHeaderKey(name)
	if hop[name] || claimed[name] || strings.HasPrefix(name, claimedPrefix) {
		return true
	}
	for _, n := range named {
		if strings.EqualFold(n, name) {
			return true
		}
	}
	return false
}

// tokens are the words of a header that lists them.
func tokens(values []string) (all []string) {
	for _, v := range values {
		for word := range strings.SplitSeq(v, ",") {
			if word = strings.TrimSpace(word); word != "" {
				all = append(all, word)
			}
		}
	}
	return all
}

// appendHead writes the request's head as the application gets it. What could be read in two ways is refused: the edge did so
// already, and this does not believe it.
func (o *Origin) appendHead(b []byte, r *http.Request, v Visitor, f framing) ([]byte, error) {
	host := o.config.Host
	if host == "" {
		host = r.Host
	}
	target := r.RequestURI
	if !token(r.Method) || r.Method == http.MethodConnect || !visible(target) || target[0] != '/' && target != "*" || !visible(host) || !visible(v.ID) || !visible(v.Host) {
		return nil, errUnreadable
	}
	b = append(b, r.Method...)
	b = append(b, ' ')
	b = append(b, target...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, host...)
	b = append(b, "\r\n"...)
	named := tokens(r.Header["Connection"])
	for name, values := range r.Header {
		if drops(name, named) {
			continue
		}
		if !token(name) {
			return nil, errUnreadable
		}
		for _, value := range values {
			if !text(value) {
				return nil, errUnreadable
			}
			b = line(b, name, value)
		}
	}
	b = line(b, "X-Forwarded-For", v.Client.String())
	b = line(b, "X-Forwarded-Proto", v.Scheme)
	b = line(b, "X-Forwarded-Host", v.Host)
	b = line(b, "X-Request-Id", v.ID)
	for _, t := range tokens(r.Header["Te"]) {
		if strings.EqualFold(t, "trailers") {
			b = line(b, "TE", "trailers")
		}
	}
	return append(f.append(b, r), "\r\n"...), nil
}

// framing is how the request's body is delimited. A connection that carried a body carries nothing after it: an application that answers
// without reading the body would take what it left for the next request, which is somebody else's.
type framing struct {
	length  int64 // -1: in chunks
	upgrade bool  // to a WebSocket; there is no body then
}

// frame decides it by what was parsed, never by a header.
func frame(r *http.Request) framing {
	f := framing{length: r.ContentLength, upgrade: wantsWebSocket(r)}
	if r.Body == nil || r.Body == http.NoBody || f.upgrade {
		f.length = 0
	}
	return f
}

func (f framing) append(b []byte, r *http.Request) []byte {
	switch {
	case f.upgrade:
		return append(b, "Connection: Upgrade\r\nUpgrade: websocket\r\n"...)
	case f.length < 0:
		for name := range r.Trailer {
			if token(name) && !drops(name, nil) {
				b = line(b, "Trailer", name)
			}
		}
		return append(b, "Transfer-Encoding: chunked\r\nConnection: close\r\n"...)
	case f.length > 0:
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, f.length, 10)
		return append(b, "\r\nConnection: close\r\n"...)
	case r.Method == http.MethodPost || r.Method == http.MethodPut || r.Method == http.MethodPatch:
		return line(b, "Content-Length", "0")
	}
	return b
}

// wantsWebSocket: no other protocol is changed to. What asks for one, such as h2c, gets an answer in HTTP/1.1, as RFC 9110 section
// 7.8 permits; the application never hears of it.
func wantsWebSocket(r *http.Request) bool {
	upgrade := r.Header["Upgrade"]
	if len(upgrade) != 1 || !strings.EqualFold(upgrade[0], "websocket") || r.Method != http.MethodGet {
		return false
	}
	for _, t := range tokens(r.Header["Connection"]) {
		if strings.EqualFold(t, "upgrade") {
			return true
		}
	}
	return false
}

func line(b []byte, name, value string) []byte {
	b = append(b, name...)
	b = append(b, ": "...)
	b = append(b, value...)
	return append(b, "\r\n"...)
}

// visible reports whether s is not empty and has neither spaces nor control characters.
func visible(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] == 0x7f {
			return false
		}
	}
	return s != ""
}

// text reports whether s may be a header's value (RFC 9110 section 5.5).
func text(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' && s[i] != '\t' || s[i] == 0x7f {
			return false
		}
	}
	return true
}

// token reports whether s may be a method or a header's name (RFC 9110 section 5.6.2).
func token(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0) {
			return false
		}
	}
	return s != ""
}
