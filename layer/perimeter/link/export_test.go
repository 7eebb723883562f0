package link

import (
	"crypto/sha256"
	"encoding/binary"
	"net/http"
	"net/netip"
	"sync"
)

// What a peer needs that keeps to the frames, and not to the protocol.
const (
	Head    = byte(frameHead)
	Data    = byte(frameData)
	End     = byte(frameEnd)
	Reset   = byte(frameReset)
	Window  = byte(frameWindow)
	Ping    = byte(framePing)
	Pong    = byte(framePong)
	GoAway  = byte(frameGoAway)
	Token   = byte(frameToken)
	Control = byte(frameControl)

	HeaderSize = headerSize
	SealSize   = sealSize

	Cancel, Refused, Failed, Malformed, Done = byte(codeCancel), byte(codeRefused), byte(codeFailed), byte(codeMalformed), byte(codeDone)
	Drained                                  = byte(codeDrained)
)

// Frame is any frame, well formed or not.
func Frame(k byte, stream uint32, payload []byte) []byte {
	return appendFrame(nil, kind(k), stream, payload)
}

// Sealed is a HEAD with any record, sealed for a direction: "request" or "answer".
func Sealed(key Key, direction string, stream uint32, index uint16, token string, record []byte) []byte {
	hash := sha256.Sum256([]byte(token))
	sealing.Lock()
	defer sealing.Unlock()
	s := sealing.by[[2]string{string(key[:]), direction}]
	if s == nil {
		s = newSealer(key, direction)
		sealing.by[[2]string{string(key[:]), direction}] = s
	}
	return s.appendHead(nil, stream, index, &hash, record)
}

// sealing keeps sealers, because some attacks are many frames.
var sealing = struct {
	sync.Mutex
	by map[[2]string]*sealer
}{by: map[[2]string]*sealer{}}

// RequestRecord is a plain GET, or a POST of that length.
func RequestRecord(method, target string, length int64, ends bool, header http.Header) []byte {
	b, err := appendRequest(nil, &requestHead{method: method, scheme: "https", host: "app.example", target: target, client: netip.MustParseAddr("192.0.2.7"),
		length: length, ends: ends, header: header})
	if err != nil {
		panic(err)
	}
	return b
}

// AnswerRecord is an answer's record.
func AnswerRecord(status int, upgrade string, length int64, ends bool, header http.Header) []byte {
	b, err := appendLines(appendAnswer(nil, status, upgrade, length, ends), header, nil)
	if err != nil {
		panic(err)
	}
	return b
}

// TokenFrame is a TOKEN.
func TokenFrame(index uint16, text string) []byte { return appendToken(nil, index, text) }

// Number is a payload of four bytes.
func Number(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

// Goodbye is a GOAWAY.
func Goodbye(k byte, last uint32) []byte { return appendGoAway(nil, code(k), last) }

// Lines is a block of header lines, whatever is in them.
func Lines(pairs ...string) []byte {
	b := []byte{0, byte(len(pairs) / 2)}
	for _, s := range pairs {
		b = appendString(b, s)
	}
	return b
}

// Skip makes a link that has opened so many streams already.
func (c *Conn) Skip(to uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = to
}

// ParseHeader is the judgement of nine bytes.
func ParseHeader(b []byte) (kind byte, stream uint32, length int, err error) {
	h, err := parseHeader(b)
	return byte(h.kind), h.stream, h.length, err
}

// RewriteRequest reads a record and writes it again.
func RewriteRequest(record []byte) ([]byte, error) {
	var h requestHead
	if err := decodeRequest(record, &h); err != nil {
		return nil, err
	}
	return appendRequest(nil, &h)
}

// RewriteAnswer reads a record and writes it again.
func RewriteAnswer(record []byte) ([]byte, error) {
	h, err := decodeResponse(record)
	if err != nil {
		return nil, err
	}
	return appendLines(appendAnswer(nil, h.status, h.upgrade, h.length, h.ends), h.header, nil)
}

// ReadRequest is what a record says.
func ReadRequest(record []byte) (any, error) {
	var h requestHead
	err := decodeRequest(record, &h)
	return h, err
}

// ReadAnswer is what a record says.
func ReadAnswer(record []byte) (any, error) {
	h, err := decodeResponse(record)
	return *h, err
}
