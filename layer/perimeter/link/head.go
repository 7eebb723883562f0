package link

import (
	"encoding/binary"
	"errors"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
)

// A record is a head in one length-prefixed piece, of which there is one reading: no line endings, no folding, no two places for
// one fact. Strings are u16 length and bytes.
//
//	request   1 | flags u8 | method scheme host target id upgrade client | length i64 | lines
//	answer    1 | flags u8 | status u16 | upgrade | length i64 | lines
//	lines     count u16, then name and value of each
//
// What RFC 9110 section 7.6.1 calls connection-specific, and what says how long a body is, has fields of its own and may not
// stand among the lines.
const (
	recordVersion = 1
	flagEnds      = 1 // neither DATA nor END follows
)

var (
	errRecord   = errors.New("a head that does not hold together")
	errTooLarge = errors.New("a head beyond the link's limits")
)

// reserved are names that no line may bear.
var reserved = map[string]bool{
	"Connection": true, "Proxy-Connection": true, "Keep-Alive": true, "Transfer-Encoding": true, "Upgrade": true,
	"Content-Length": true, "Host": true,
}

// A requestHead is what a request's record says.
type requestHead struct {
	method, scheme, host, target, id, upgrade string
	client                                    netip.Addr
	length                                    int64
	ends                                      bool
	header                                    http.Header
}

// remote is the client's address as net/http writes addresses. Its port is not known here.
func (h *requestHead) remote() string {
	if !h.client.IsValid() {
		return ""
	}
	return netip.AddrPortFrom(h.client, 0).String()
}

// A responseHead is what an answer's record says.
type responseHead struct {
	status  int
	upgrade string
	length  int64
	ends    bool
	header  http.Header
}

func appendString(dst []byte, s string) []byte {
	dst = append(dst, byte(len(s)>>8), byte(len(s)))
	return append(dst, s...)
}

func flags(ends bool) byte {
	if ends {
		return flagEnds
	}
	return 0
}

// appendRequest writes h, which check has passed.
func appendRequest(dst []byte, h *requestHead) ([]byte, error) {
	dst = append(dst, recordVersion, flags(h.ends))
	for _, s := range [...]string{h.method, h.scheme, h.host, h.target, h.id, h.upgrade} {
		dst = appendString(dst, s)
	}
	dst = appendString(dst, string(h.client.AsSlice()))
	dst = binary.BigEndian.AppendUint64(dst, uint64(h.length))
	return appendLines(dst, h.header, nil)
}

// check holds at both ends: the edge sends nothing that the application would not take.
func (h *requestHead) check() error {
	switch {
	case !isToken(h.method) || len(h.method) > 32:
		return errors.New("the method is malformed")
	case h.scheme != "http" && h.scheme != "https":
		return errors.New("the scheme is neither http nor https")
	case h.host == "" || len(h.host) > 300 || !graphic(h.host) || strings.ContainsAny(h.host, "/\\?#@,\""):
		return errors.New("the host is malformed")
	case len(h.target) > 1<<16-1 || !graphic(h.target) || h.target != "*" && !strings.HasPrefix(h.target, "/"):
		return errors.New("the target is malformed")
	case len(h.id) > MaxID || !graphic(h.id):
		return errors.New("the request's name is malformed")
	case len(h.upgrade) > 64 || !graphic(h.upgrade):
		return errors.New("the upgrade is malformed")
	case h.length < -1 || h.ends && h.length != 0:
		return errors.New("the length is malformed")
	case h.upgrade != "" && (h.length != 0 || h.ends):
		return errors.New("a request with a body asks for an upgrade")
	}
	return nil
}

// appendAnswer writes an answer's record up to its lines.
func appendAnswer(dst []byte, status int, upgrade string, length int64, ends bool) []byte {
	dst = append(dst, recordVersion, flags(ends), byte(status>>8), byte(status))
	dst = appendString(dst, upgrade)
	return binary.BigEndian.AppendUint64(dst, uint64(length))
}

// appendLines writes a block of header lines: those of h that keep says, or all.
func appendLines(dst []byte, h http.Header, keep func(name string) bool) ([]byte, error) {
	at := len(dst)
	dst, n := appendEach(append(dst, 0, 0), h, keep)
	dst[at], dst[at+1] = byte(n>>8), byte(n)
	return dst, fits(len(dst), n)
}

func appendTrailers(t http.Header) ([]byte, error) {
	if len(t) == 0 {
		return nil, nil
	}
	return appendLines(nil, t, nil)
}

func fits(size, lines int) error {
	if lines > MaxLines || size > MaxHead {
		return errTooLarge
	}
	return nil
}

// appendEach is lenient as net/http is with what a handler says: a line that cannot be written is left out, a line break in a
// value becomes a space.
func appendEach(dst []byte, h http.Header, keep func(name string) bool) ([]byte, int) {
	n := 0
	for name, values := range h {
		name = http.CanonicalHeaderKey(name)
		if !isName(name) || reserved[name] || len(name) > 1<<16-1 || keep != nil && !keep(name) {
			continue
		}
		for _, v := range values {
			if v = tidy(v); len(v) > 1<<16-1 {
				n = MaxLines + 1 // refused by fits
				continue
			}
			dst = appendString(appendString(dst, name), v)
			n++
		}
	}
	return dst, min(n, 1<<16-1)
}

var breaks = strings.NewReplacer("\n", " ", "\r", " ")

func tidy(v string) string {
	if !isValue(v) {
		v = breaks.Replace(v)
		if !isValue(v) {
			v = strings.Map(func(r rune) rune {
				if r < ' ' && r != '\t' || r == 0x7f {
					return -1
				}
				return r
			}, v)
		}
	}
	return strings.Trim(v, " \t")
}

// A decoder reads a record that is already authentic. After a fault everything it reads is empty.
type decoder struct {
	rest string
	bad  bool
}

func (d *decoder) take(n int) string {
	if d.bad || len(d.rest) < n {
		d.bad = true
		return ""
	}
	s := d.rest[:n]
	d.rest = d.rest[n:]
	return s
}

func (d *decoder) u8() byte {
	if s := d.take(1); s != "" {
		return s[0]
	}
	return 0
}

func (d *decoder) u16() int { return int(d.u8())<<8 | int(d.u8()) }

func (d *decoder) text() string { return d.take(d.u16()) }

func (d *decoder) i64() int64 {
	var n uint64
	for range 8 {
		n = n<<8 | uint64(d.u8())
	}
	return int64(n)
}

func (d *decoder) front() (ends bool) {
	version, f := d.u8(), d.u8()
	d.bad = d.bad || version != recordVersion || f > flagEnds
	return f == flagEnds
}

// lines reads a block of header lines. One more value has room in it, for a length.
func (d *decoder) lines() http.Header {
	n := d.u16()
	if d.bad = d.bad || n > MaxLines || 4*n > len(d.rest); d.bad {
		return nil
	}
	h, values := make(http.Header, n), make([]string, n)
	for i := range n {
		name := d.text()
		values[i] = d.text()
		if d.bad = d.bad || !isName(name) || reserved[name] || !isValue(values[i]); d.bad {
			return nil
		}
		if old := h[name]; old != nil {
			h[name] = append(old, values[i])
		} else {
			h[name] = values[i : i+1 : i+1]
		}
	}
	return h
}

func (d *decoder) err() error {
	if d.bad || d.rest != "" {
		return errRecord
	}
	return nil
}

func decodeRequest(record []byte, h *requestHead) error {
	d := decoder{rest: string(record)}
	h.ends = d.front()
	for _, s := range [...]*string{&h.method, &h.scheme, &h.host, &h.target, &h.id, &h.upgrade} {
		*s = d.text()
	}
	client := d.text()
	h.length = d.i64()
	h.header = d.lines()
	if client != "" {
		var ok bool
		h.client, ok = netip.AddrFromSlice([]byte(client))
		d.bad = d.bad || !ok
	}
	if err := d.err(); err != nil {
		return err
	}
	return h.check()
}

func decodeResponse(record []byte) (*responseHead, error) {
	d := decoder{rest: string(record)}
	h := &responseHead{ends: d.front(), status: d.u16(), upgrade: d.text(), length: d.i64(), header: d.lines()}
	d.bad = d.bad || h.status < 100 || h.status > 999 || h.length < -1 || h.ends && h.status < 200 ||
		(h.upgrade != "") != (h.status == http.StatusSwitchingProtocols) || !graphic(h.upgrade)
	return h, d.err()
}

func decodeTrailers(block []byte) (http.Header, error) {
	if len(block) == 0 {
		return nil, nil
	}
	d := &decoder{rest: string(block)}
	h := d.lines()
	return h, d.err()
}

// withLength gives h the line that net/http would show for a body's length.
func withLength(h http.Header, n int64) {
	h["Content-Length"] = []string{strconv.FormatInt(n, 10)}
}

// withUpgrade gives h the lines by which handlers and proxies recognise an upgrade (RFC 9110 section 7.8).
func withUpgrade(h http.Header, protocol string) {
	h["Connection"], h["Upgrade"] = []string{"Upgrade"}, []string{protocol}
}

// expects reports whether the client waits until it is told that its body is wanted, RFC 9110 section 10.1.1.
func expects(h http.Header) bool { return strings.EqualFold(h.Get("Expect"), "100-continue") }
