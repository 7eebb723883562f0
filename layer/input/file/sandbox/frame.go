package sandbox

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io"
)

// An answer is a row of frames: a byte that says what it is, four bytes of length, the content. The worker says first what it
// holds, then any number of parts, then the answer, and nothing after it.
const (
	frameHeld   = 'H'
	framePart   = 'P'
	frameAnswer = 'A'

	headerSize = 5
	mostHead   = 64 << 10 // bytes of a frame that is JSON
)

func writeFrame(w io.Writer, kind byte, content []byte) error {
	header := binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(content)))
	if _, err := w.Write(header); err != nil {
		return err
	}
	_, err := w.Write(content)
	return err
}

// A reply is what a worker has said, as far as it got.
type reply struct {
	held   []protection
	parts  [][]byte
	answer []byte // nil until it came
}

// readReply reads what a worker says until it closes its end. It trusts none of it: no length is believed beyond what may still
// come, and memory grows with what has come.
func readReply(r io.Reader, c Config) (got reply, fault *Fault) {
	left := c.Output
	for {
		kind, content, fault := readFrame(r, &left)
		switch {
		case fault != nil:
			return got, fault
		case kind == 0:
			return got, nil
		case got.answer != nil, (kind == frameHeld) != (got.held == nil):
			return got, &Fault{Name: Garbled}
		case kind == frameHeld:
			if json.Unmarshal(content, &got.held) != nil || got.held == nil {
				return got, &Fault{Name: Garbled}
			}
		case kind == frameAnswer:
			got.answer = content
		case len(got.parts) == c.Parts:
			return got, &Fault{Name: Flooded}
		default:
			got.parts = append(got.parts, content)
		}
	}
}

// readFrame reads one frame; its kind is zero at the end, also where the end comes in the middle of one: how the worker ended then
// says more than what it said.
func readFrame(r io.Reader, left *int64) (byte, []byte, *Fault) {
	var header [headerSize]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return 0, nil, nil
	}
	kind, length := header[0], int64(binary.BigEndian.Uint32(header[1:]))
	switch {
	case kind != frameHeld && kind != framePart && kind != frameAnswer:
		return 0, nil, &Fault{Name: Garbled}
	case length > *left, kind != framePart && length > mostHead:
		return 0, nil, &Fault{Name: Flooded}
	}
	*left -= length
	content := bytes.NewBuffer([]byte{})
	if _, err := io.CopyN(content, r, length); err != nil {
		return 0, nil, nil
	}
	return kind, content.Bytes(), nil
}
