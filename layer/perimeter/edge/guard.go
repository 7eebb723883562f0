package edge

import (
	"bytes"
	"crypto/tls"
	"errors"
	"strconv"
	"strings"
)

// errFraming makes net/http answer 400 and close the connection, in its place among pipelined responses.
var errFraming = errors.New("the request's framing is ambiguous")

// The limits of what is not a head.
const (
	maxChunkLine  = 32      // bytes of a chunk's size line: extensions are refused, so a number and its end
	maxTrailer    = 8 << 10 // bytes of a request's trailer section, which is checked and dropped
	maxLengthSize = 18      // digits of a Content-Length
)

// A guard reads along with net/http on an HTTP/1 connection, and ends it at the first byte that another reader could
// understand differently (RFC 9112 section 11.2). net/http merges or corrects some of these before a handler can see them: two
// equal Content-Lengths, a Content-Length beside a Transfer-Encoding, a Host that an absolute target overrides, a folded line,
// a bare line feed. It must therefore follow every body to where the next head begins. HTTP/2 has no such surface.
type guard struct {
	*tls.Conn
	refused func(reason string) // told once, for the log

	err   error
	state framing
	line  []byte // the line so far, without what has been decided
	left  int64  // bytes of a body or chunk still to come
	head  headFacts
}

type framing int

const (
	inRequestLine framing = iota
	inHeader
	inBody
	inChunkSize
	inChunk
	inChunkEnd
	inTrailer
	inUpgrade // nothing may come before the answer (RFC 6455 section 4.1)
	opened    // what comes is no HTTP any more
)

// headFacts are what decides a message's framing.
type headFacts struct {
	old       bool   // HTTP/1.0
	authority string // of an absolute target
	host      string
	hosts     int
	lengths   int
	length    int64
	chunked   bool
	upgrade   bool
	trailer   int
}

// Read hands on only what has been judged, except for the beginning of a line, with which net/http cannot do anything yet.
func (g *guard) Read(p []byte) (int, error) {
	if g.err != nil {
		return 0, g.err
	}
	n, err := g.Conn.Read(p)
	if g.state == opened {
		return n, err
	}
	good := g.follow(p[:n])
	if g.err == nil {
		return good, err
	}
	if good > 0 {
		return good, nil // the refusal comes with the next Read
	}
	return 0, g.err
}

// open lets everything through from now on. It is called when net/http reads no more.
func (g *guard) open() { g.state = opened }

// follow judges b and returns how many of its bytes may pass. If it is not all of them, g.err is set.
func (g *guard) follow(b []byte) (good int) {
	for good < len(b) {
		rest := b[good:]
		if g.state == inBody || g.state == inChunk {
			n := min(int64(len(rest)), g.left)
			g.left -= n
			good += int(n)
			if g.left == 0 {
				g.endOfData()
			}
			continue
		}
		if g.state == inUpgrade {
			// Whoever waits for no answer hopes that the application reads these as a request of its own.
			g.err = errFraming
			g.refused("bytes before the answer to an upgrade")
			return good
		}
		end := bytes.IndexByte(rest, '\n') + 1
		part := rest
		if end > 0 {
			part = rest[:end]
		}
		line := part
		if len(g.line) > 0 || end == 0 { // what came before is kept, and what is not whole
			g.line = append(g.line, part...)
			line = g.line
		}
		if reason := g.judge(line, end > 0); reason != "" {
			g.err = errFraming
			g.refused(reason)
			return good
		}
		good += len(part)
	}
	return good
}

func (g *guard) endOfData() {
	if g.state == inChunk {
		g.state = inChunkEnd
		return
	}
	g.state = inRequestLine
}

// judge looks at a line, and moves on if it is whole. It returns why the connection must end, or nothing.
func (g *guard) judge(line []byte, whole bool) (reason string) {
	if len(line) > g.lineLimit() {
		return "line too long"
	}
	if !whole {
		return ""
	}
	line, crlf := bytes.CutSuffix(line, []byte("\r\n"))
	if !crlf {
		return "bare line feed"
	}
	for _, c := range line {
		if c < ' ' && c != '\t' || c == 0x7f {
			return "control character"
		}
	}
	reason = g.step(line)
	g.line = g.line[:0]
	return reason
}

// lineLimit bounds what is kept. A head's own limit is net/http's to apply, with 431, and lies a little lower.
func (g *guard) lineLimit() int {
	switch g.state {
	case inChunkSize, inChunkEnd:
		return maxChunkLine
	case inTrailer:
		return maxTrailer
	}
	return MaxHeaderBytes + 4096
}

func (g *guard) step(line []byte) (reason string) {
	switch g.state {
	case inRequestLine:
		g.head = headFacts{}
		g.state = inHeader
		return g.head.requestLine(line)
	case inHeader:
		if len(line) == 0 {
			return g.endOfHead()
		}
		return g.head.field(line)
	case inChunkSize:
		return g.chunkSize(string(line))
	case inChunkEnd:
		g.state = inChunkSize
		if len(line) > 0 {
			return "chunk longer than its size"
		}
	case inTrailer:
		if len(line) == 0 {
			g.state = inRequestLine
			return ""
		}
		if g.head.trailer += len(line); g.head.trailer > maxTrailer {
			return "trailer too long"
		}
		_, _, reason = splitField(line)
		return reason
	}
	return reason
}

// endOfHead decides, once, how long the body is (RFC 9112 section 6.3), and refuses every head that says so twice.
func (g *guard) endOfHead() (reason string) {
	h := &g.head
	switch {
	case h.hosts > 1:
		return "several Host headers"
	case h.hosts == 0 && !h.old:
		return "no Host header"
	case h.authority != "" && !strings.EqualFold(h.authority, h.host):
		return "absolute target with another host"
	case h.lengths > 1:
		return "several Content-Length headers"
	case h.lengths > 0 && h.chunked:
		return "Content-Length beside Transfer-Encoding"
	case h.chunked && h.old:
		return "Transfer-Encoding in HTTP/1.0"
	case h.upgrade && (h.chunked || h.length > 0):
		return "upgrade with a body"
	case h.upgrade:
		g.state = inUpgrade
	case h.chunked:
		g.state = inChunkSize
	case h.length > 0:
		g.state, g.left = inBody, h.length
	default:
		g.state = inRequestLine
	}
	return ""
}

func (g *guard) chunkSize(line string) (reason string) {
	if line == "" || len(line) > 15 || strings.Trim(line, "0123456789abcdefABCDEF") != "" {
		return "malformed chunk size"
	}
	size, err := strconv.ParseInt(line, 16, 64)
	if err != nil {
		return "malformed chunk size"
	}
	g.state, g.left = inChunk, size
	if size == 0 {
		g.state = inTrailer
	}
	return ""
}

func (h *headFacts) requestLine(line []byte) (reason string) {
	method, rest, ok := bytes.Cut(line, []byte(" "))
	target, version, also := bytes.Cut(rest, []byte(" "))
	if !ok || !also || !isToken(method) || len(target) == 0 || bytes.IndexByte(version, ' ') >= 0 {
		return "malformed request line"
	}
	h.old = string(version) == "HTTP/1.0"
	if !h.old && string(version) != "HTTP/1.1" {
		return "unknown protocol version"
	}
	if string(method) == "CONNECT" || string(method) == "TRACE" {
		return "method " + string(method)
	}
	if target[0] == '/' {
		return ""
	}
	authority, ok := strings.CutPrefix(string(target), "https://")
	if !ok {
		return "target is not a path"
	}
	if i := strings.IndexAny(authority, "/?#"); i >= 0 {
		authority = authority[:i]
	}
	if h.authority = authority; authority == "" {
		return "absolute target without a host"
	}
	return ""
}

func (h *headFacts) field(line []byte) (reason string) {
	name, value, reason := splitField(line)
	switch {
	case reason != "":
		return reason
	case is(name, "host"):
		if h.hosts++; h.authority != "" { // only then it is compared
			h.host = string(value)
		}
	case is(name, "content-length"):
		h.lengths++
		if !isLength(string(value)) {
			return "malformed Content-Length"
		}
		h.length, _ = strconv.ParseInt(string(value), 10, 64) // 18 digits fit
	case is(name, "upgrade"):
		h.upgrade = true
	case is(name, "transfer-encoding"):
		if h.chunked || !is(value, "chunked") {
			return "unsupported Transfer-Encoding"
		}
		h.chunked = true
	}
	return ""
}

// is compares what a client spelled with a name in lower case, letter by letter of ASCII.
func is(got []byte, name string) bool {
	if len(got) != len(name) {
		return false
	}
	for i, c := range got {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != name[i] {
			return false
		}
	}
	return true
}

func splitField(line []byte) (name, value []byte, reason string) {
	name, value, ok := bytes.Cut(line, []byte(":"))
	switch {
	case line[0] == ' ' || line[0] == '\t':
		return nil, nil, "folded header line"
	case !ok || !isToken(name): // covers a space before the colon (RFC 9112 section 5.1)
		return nil, nil, "malformed header name"
	}
	return name, bytes.Trim(value, " \t"), ""
}

// isToken reports whether s is a token of RFC 9110 section 5.6.2.
func isToken[T string | []byte](s T) bool {
	for i := range len(s) {
		if !tokens[s[i]] {
			return false
		}
	}
	return len(s) > 0
}

var tokens = func() (all [256]bool) {
	for c := range all {
		alnum := '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
		all[c] = alnum || strings.IndexByte("!#$%&'*+-.^_`|~", byte(c)) >= 0
	}
	return all
}()
