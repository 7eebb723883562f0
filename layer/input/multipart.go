package input

import (
	"bufio"
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	"net/textproto"
	"regexp"
	"strings"
)

// The bounds of what stands around the parts' contents (SYSTEM T6). The standard library's are 10 MiB and 10,000 lines for the head
// of each part; a browser's has two lines.
const (
	maxHead = 16 << 10 // bytes of a part's head, and of what its reader has read ahead of it
	ahead   = 4 << 10  // what mime/multipart reads ahead of what it gives
)

// A multipartBody is multipart/form-data (RFC 7578) that is being read, part by part and never held as a whole.
type multipartBody struct {
	reader *multipart.Reader
	src    *framed
	left   int // how many more parts are taken
}

// A part is one value of the body: a text, or a file by whatever name.
type part struct {
	*multipart.Part
	m        *multipartBody
	name     string
	file     bool
	fileName string // as the client says
}

// newMultipart begins to read a body whose boundary stands at its very beginning. At most most bytes are taken besides what the
// contents of files are. Of an empty body, the error is io.EOF.
func newMultipart(body io.Reader, boundary string, parts int, most int64) (*multipartBody, error) {
	src := &framed{src: bufio.NewReaderSize(body, 32<<10), end: []byte("\r\n--" + boundary + "--"), left: most, head: maxHead}
	first, err := src.src.Peek(len(boundary) + 4)
	if err != nil && (err != io.EOF || len(first) == 0) {
		return nil, err
	}
	// With a lone line feed here, mime/multipart would take one everywhere, and what is a boundary would be a matter of taste.
	if string(first) != "--"+boundary+"\r\n" {
		return nil, errPart
	}
	return &multipartBody{multipart.NewReader(src, boundary), src, parts}, nil
}

// next begins the next part. What is left of the last one must have been read. At the end of the last part, and of everything, the
// error is io.EOF.
func (m *multipartBody) next() (part, error) {
	m.src.head = maxHead
	raw, err := m.reader.NextRawPart()
	if err == io.EOF {
		return part{}, m.finish()
	}
	if err != nil {
		return part{}, m.why()
	}
	if m.left--; m.left < 0 {
		return part{}, errTooManyPairs
	}
	m.src.head = -1
	p, err := headOf(raw.Header)
	p.Part, p.m = raw, m
	return p, err
}

// finish sees that nothing comes behind the last boundary: a filter in front of us might have read that instead.
func (m *multipartBody) finish() error {
	if _, err := io.Copy(io.Discard, m.src); err != nil {
		return m.why()
	}
	return io.EOF
}

// why says why a read has failed: because the body ended, was too long or did not come; else because what came is no form. What
// mime/multipart says is not passed on: it may quote the input.
func (m *multipartBody) why() error {
	if m.src.err != nil {
		return m.src.err
	}
	return errPart
}

// Read implements io.Reader. What a file holds is not counted with the rest, and has a bound of its own.
func (p part) Read(b []byte) (int, error) {
	n, err := p.Part.Read(b)
	if p.file {
		p.m.src.left += int64(n)
	}
	return n, err
}

// A framed body ends with its last boundary, and says so: mime/multipart reads on in silence.
type framed struct {
	src  *bufio.Reader
	end  []byte // the last boundary
	tail []byte // the end of what was given, where a boundary may have begun; behind the boundary, what came there
	past bool   // whether the last boundary is behind us
	left int64  // how many more bytes are taken that are no file's
	head int    // how many more bytes are taken until a part has begun; negative in a part
	err  error  // why reading ended, if not because everything had been read
}

// Read implements io.Reader.
func (f *framed) Read(b []byte) (int, error) {
	n, err := f.src.Read(b[:min(len(b), ahead)])
	if fault := f.look(b[:n]); fault != nil {
		f.err = fault
		return 0, fault
	}
	switch {
	case err == io.EOF && !f.past:
		err = errPart
		fallthrough
	case err != nil && err != io.EOF:
		f.err = err
	}
	return n, err
}

// look keeps account of b, and searches it for the last boundary.
func (f *framed) look(b []byte) error {
	if f.left -= int64(len(b)); f.left < -ahead {
		return errLong
	}
	if f.head >= 0 {
		if f.head -= len(b); f.head < 0 {
			return errPart
		}
	}
	f.tail = append(f.tail, b...)
	if !f.past {
		i := bytes.Index(f.tail, f.end)
		if i < 0 {
			f.tail = f.tail[:copy(f.tail, f.tail[max(0, len(f.tail)-len(f.end)+1):])]
			return nil
		}
		f.past, f.tail = true, f.tail[i+len(f.end):]
	}
	if !strings.HasPrefix("\r\n", string(f.tail)) {
		return errPart
	}
	return nil
}

// exact reports, when everything has been read, that what is no file's content has kept its bound to the byte.
func (m *multipartBody) exact() error {
	if m.src.left < 0 {
		return errLong
	}
	return nil
}

// The characters of a boundary (RFC 2046 section 5.1.1).
var plainBoundary = regexp.MustCompile(`^[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]$`)

var quoted = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)

// headOf accepts a part whose head says that it is a text field or a file and nothing else. An extended parameter (RFC 7578
// section 4.2 forbids them), an encoding, or a part that has parts is how parsers are made to disagree.
func headOf(h textproto.MIMEHeader) (part, error) {
	for key, values := range h {
		if len(values) != 1 || key != "Content-Disposition" && key != "Content-Type" {
			return part{}, errPart
		}
	}
	disposition := h.Get("Content-Disposition")
	word, params, err := mime.ParseMediaType(disposition)
	name, named := params["name"]
	fileName, file := params["filename"]
	if err != nil || word != "form-data" || !named || strings.Contains(quoted.ReplaceAllString(disposition, ""), "*") {
		return part{}, errPart
	}
	if len(params) != 1 && (len(params) != 2 || !file) {
		return part{}, errPart
	}
	if !typeFits(h.Get("Content-Type"), file) {
		return part{}, errPart
	}
	return part{name: name, file: file, fileName: fileName}, nil
}

// typeFits reports whether a part may be of that Content-Type. Of a file it is a guess of the client's, and only has to be one.
func typeFits(contentType string, file bool) bool {
	if contentType == "" {
		return true
	}
	if !file {
		return plain(contentType, "text/plain")
	}
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && !strings.HasPrefix(media, "multipart/")
}
