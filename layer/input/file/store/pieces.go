package store

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"

	"github.com/minio/minio-go/v7"
)

// piece is how much of an object is fetched at once. A reader that pauses, as a slow client makes it, so holds this much memory and
// no connection; and a piece that breaks off is fetched again.
const piece = 1 << 20

var (
	errClosed  = errors.New("the content is closed")
	errBefore  = errors.New("seeking before the beginning")
	errWrong   = errors.New("the server answers something else than it was asked for")
	errChanged = errors.New("the content is not what was stored")
)

// pieces reads an object by ranges (RFC 9110 section 14). What is read from the beginning to the end is compared with the checksum
// that the server has kept, before the last piece is handed out.
type pieces struct {
	ctx    context.Context
	s      *S3
	name   string
	etag   string
	size   int64
	at     int64  // where Read goes on
	begin  int64  // where held begins
	held   []byte // the piece fetched last
	closed bool

	want   uint32 // the checksum
	known  bool   // whether there is one
	have   uint32 // of the bytes before summed
	summed int64
}

func newPieces(ctx context.Context, s *S3, name string, info minio.ObjectInfo) *pieces {
	p := &pieces{ctx: ctx, s: s, name: name, etag: info.ETag, size: info.Size}
	sum, err := base64.StdEncoding.DecodeString(info.ChecksumCRC32C)
	if err == nil && len(sum) == crc32.Size && !strings.EqualFold(info.ChecksumMode, "COMPOSITE") {
		p.want, p.known = binary.BigEndian.Uint32(sum), true
	}
	return p
}

// Read implements io.Reader.
func (p *pieces) Read(b []byte) (int, error) {
	switch {
	case p.closed:
		return 0, errClosed
	case p.at >= p.size:
		return 0, io.EOF
	case len(b) == 0:
		return 0, nil
	}
	if p.at < p.begin || p.at >= p.begin+int64(len(p.held)) {
		if err := p.fetch(); err != nil {
			if missing(err) {
				return 0, fmt.Errorf("reading an object: %w", ErrNotFound) // deleted while it was read
			}
			return 0, unavailable(p.ctx, "reading an object", cause(err))
		}
	}
	n := copy(b, p.held[p.at-p.begin:])
	p.at += int64(n)
	return n, nil
}

// Seek implements io.Seeker.
func (p *pieces) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		offset += p.at
	case io.SeekEnd:
		offset += p.size
	default:
		return 0, errors.New("seeking from nowhere")
	}
	if p.closed {
		return 0, errClosed
	}
	if offset < 0 {
		return 0, errBefore
	}
	p.at = offset
	return offset, nil
}

// Close implements io.Closer.
func (p *pieces) Close() error {
	p.closed, p.held = true, nil
	return nil
}

// fetch gets the piece at which Read goes on. A connection that breaks off in the middle is no answer, and the piece is asked for
// again; minio-go asks again when there is no beginning of one.
func (p *pieces) fetch() (err error) {
	ctx, cancel := p.s.within(p.ctx, 0)
	defer cancel()
	room := p.held[:0]
	p.held = nil
	for range attempts {
		var broke bool
		if room, broke, err = p.get(ctx, room, min(piece, p.size-p.at)); !broke || ctx.Err() != nil {
			break
		}
	}
	if err == nil {
		err = p.compare(room)
	}
	if err == nil {
		p.begin, p.held = p.at, room
	}
	return err
}

func (p *pieces) get(ctx context.Context, room []byte, n int64) (got []byte, broke bool, err error) {
	var o minio.GetObjectOptions
	if err := o.SetRange(p.at, p.at+n-1); err != nil {
		return nil, false, err
	}
	if p.etag != "" {
		if err := o.SetMatchETag(p.etag); err != nil {
			return nil, false, err
		}
	}
	body, info, head, err := p.s.core.GetObject(ctx, p.s.bucket, p.name, o)
	if err != nil {
		return nil, false, err
	}
	defer body.Close()
	if want := fmt.Sprintf("bytes %d-%d/%d", p.at, p.at+n-1, p.size); info.Size != n || head.Get("Content-Range") != want {
		return nil, false, errWrong
	}
	if int64(cap(room)) < n {
		room = make([]byte, n)
	}
	room = room[:n]
	_, err = io.ReadFull(body, room)
	return room, err != nil, err
}

// compare goes on with the checksum where it stopped, if this piece does.
func (p *pieces) compare(got []byte) error {
	if p.at == 0 {
		p.have, p.summed = 0, 0
	}
	if !p.known || p.at != p.summed {
		return nil
	}
	sum := crc32.Update(p.have, crc32.MakeTable(crc32.Castagnoli), got)
	if p.summed+int64(len(got)) == p.size && sum != p.want {
		return errChanged
	}
	p.have, p.summed = sum, p.summed+int64(len(got))
	return nil
}
