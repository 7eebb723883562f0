package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// A frame is nine bytes of header, then its payload:
//
//	type u8 | stream u32 | length u32 | payload          (big endian)
//
//	HEAD     token u16 | MAC [32] | record    a request's head, or an answer's; 1xx come before the answer
//	DATA     bytes                             never empty
//	END      lines                             no more DATA; the trailers, if any
//	RESET    code u8                           the stream is over, both ways
//	WINDOW   increment u32                     so many bytes more may be sent
//	PING     [8]                               answered by PONG with the same
//	GOAWAY   code u8 | last u32                nothing beyond that stream was looked at; none may be opened
//	TOKEN    index u16 | text                  what that index stands for from now on; empty forgets it
//	CONTROL  bytes                             one message
//
// The lower half concerns the link: its stream is 0. The edge alone opens streams, with a HEAD, and their numbers only grow.
type kind byte

const (
	frameHead kind = 1 + iota
	frameData
	frameEnd
	frameReset
	frameWindow
	framePing
	framePong
	frameGoAway
	frameToken
	frameControl
)

const (
	headerSize = 9
	sealSize   = 2 + 32 // of a HEAD, before the record
)

// sizes is what each kind may measure, and whether it belongs to a stream.
var sizes = [...]struct {
	min, max uint32
	ofLink   bool
}{
	frameHead:    {sealSize + 1, sealSize + MaxHead, false},
	frameData:    {1, MaxFrame, false},
	frameEnd:     {0, MaxHead, false},
	frameReset:   {1, 1, false},
	frameWindow:  {4, 4, false},
	framePing:    {8, 8, true},
	framePong:    {8, 8, true},
	frameGoAway:  {5, 5, true},
	frameToken:   {2, 2 + MaxToken, true},
	frameControl: {0, MaxControl, true},
}

// A code says why a stream or a link is over.
type code byte

const (
	codeCancel    code = 1 + iota // nobody waits for it any more
	codeRefused                   // nothing of it was looked at
	codeFailed                    // the handler did not finish its answer
	codeMalformed                 // what came does not hold together
	codeDone                      // the answer is complete, the rest of the request is not wanted
	codeDrained                   // of a link: it goes in peace
	codeProtocol                  // of a link: the peer broke the protocol
	codeEnd                       // one past the last
)

var errProtocol = errors.New("the peer broke the link's protocol")

// broken is a violation, told in words of ours: nothing that the peer sent is repeated.
func broken(how string, args ...any) error {
	return fmt.Errorf("%w: %s", errProtocol, fmt.Sprintf(how, args...))
}

type header struct {
	kind   kind
	stream uint32
	length int
}

func appendHeader(dst []byte, k kind, stream uint32, length int) []byte {
	dst = append(dst, byte(k))
	dst = binary.BigEndian.AppendUint32(dst, stream)
	return binary.BigEndian.AppendUint32(dst, uint32(length))
}

func appendFrame(dst []byte, k kind, stream uint32, payload []byte) []byte {
	return append(appendHeader(dst, k, stream, len(payload)), payload...)
}

// parseHeader judges a frame by its nine bytes, before any of its payload is kept.
func parseHeader(b []byte) (header, error) {
	h := header{kind(b[0]), binary.BigEndian.Uint32(b[1:]), 0}
	length := binary.BigEndian.Uint32(b[5:])
	if h.kind == 0 || int(h.kind) >= len(sizes) {
		return h, broken("frame of unknown type %d", b[0])
	}
	size := sizes[h.kind]
	if length < size.min || length > size.max {
		return h, broken("frame of type %d with %d bytes", h.kind, length)
	}
	if (h.stream == 0) != size.ofLink {
		return h, broken("frame of type %d for stream %d", h.kind, h.stream)
	}
	h.length = int(length)
	return h, nil
}

// A feed reads frames in large pieces, so that many small ones cost one call.
type feed struct {
	from   io.Reader
	buf    []byte
	lo, hi int
}

func newFeed(from io.Reader) *feed { return &feed{from: from, buf: make([]byte, 128<<10)} }

// next returns the next n bytes, which stay valid until the call after; n is at most headerSize+sealSize+MaxHead.
func (f *feed) next(n int) ([]byte, error) {
	if f.hi-f.lo < n && len(f.buf)-f.lo < n {
		f.hi = copy(f.buf, f.buf[f.lo:f.hi])
		f.lo = 0
	}
	for f.hi-f.lo < n {
		if err := f.fill(); err != nil {
			return nil, err
		}
	}
	f.lo += n
	return f.buf[f.lo-n : f.lo], nil
}

// some returns between one and n bytes.
func (f *feed) some(n int) ([]byte, error) {
	if f.lo == f.hi {
		if err := f.fill(); err != nil {
			return nil, err
		}
	}
	n = min(n, f.hi-f.lo)
	f.lo += n
	return f.buf[f.lo-n : f.lo], nil
}

func (f *feed) fill() error {
	if f.lo == f.hi {
		f.lo, f.hi = 0, 0
	}
	n, err := f.from.Read(f.buf[f.hi:])
	f.hi += n
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}
