package document

import (
	"bufio"
	"bytes"
	"compress/flate"
	"errors"
	"hash"
	"hash/crc32"
	"io"
	"strings"
)

const (
	peekSize  = 512      // bytes of an entry by which it is known
	mostXML   = 64 << 20 // bytes of a part that is read as XML
	smallPart = 1 << 20  // what unpacks to less is no bomb, however small it was
)

// A budget is what a file and all that is nested in it may still cost.
type budget struct {
	l       Limits
	entries int
	total   int64
}

// checkArchive checks how an archive is built, then unpacks all of it, once.
func (b *budget) checkArchive(r io.ReaderAt, size int64, k Kind, depth int) reason {
	a, why := b.open(r, size)
	if why != "" {
		return why
	}
	family, why := a.family(k)
	if why != "" {
		return why
	}
	for _, e := range a.entries {
		if why := family.name(strings.ToLower(e.name)); why != "" {
			return why
		}
		if why := b.unpack(a, e, family, depth); why != "" {
			return why
		}
	}
	return family.done()
}

// unpack reads one entry to its end and finds out whether it is what the directory says.
func (b *budget) unpack(a *archive, e entry, family family, depth int) reason {
	if why := b.spend(e.size, e.packed); why != "" {
		return why
	}
	p := a.part(e)
	why := b.look(p, e, family, depth)
	if why == "" {
		_, err := io.Copy(io.Discard, p)
		if why = p.why; why == "" && err != nil {
			why = damaged
		}
	}
	if why == "" {
		why = p.whole()
	}
	return why
}

// spend takes what an entry says that it unpacks to from the budget. More than it says is never unpacked.
func (b *budget) spend(size, packed int64) reason {
	b.total += size
	switch {
	case size > smallPart && size/b.l.Ratio > packed:
		return bomb
	case b.total > b.l.Total:
		return tooLargeInside
	}
	return ""
}

// look goes by what an entry is: an archive in turn, a program, or a part that the family of documents reads.
func (b *budget) look(p *part, e entry, family family, depth int) reason {
	head, err := p.peek()
	if err != nil {
		return damaged
	}
	if bytes.HasPrefix(head, []byte(headerMagic)) {
		return b.nested(p, e, depth+1)
	}
	if f := stranger(head); f != nil {
		switch {
		case f.program:
			return programInside
		case f.archive:
			return family.opaque()
		}
	}
	if !family.reads(strings.ToLower(e.name)) {
		return ""
	}
	if e.size > mostXML {
		return tooLargeInside
	}
	return family.read(strings.ToLower(e.name), p)
}

// nested checks an archive within an archive, in memory: its directory is at its end.
func (b *budget) nested(p *part, e entry, depth int) reason {
	if depth > b.l.Depth {
		return tooDeep
	}
	if e.size > b.l.Bytes {
		return tooLargeInside
	}
	text, err := io.ReadAll(p)
	if err != nil {
		return damaged
	}
	return b.checkArchive(bytes.NewReader(text), int64(len(text)), "", depth)
}

// A part is an entry's content as it is unpacked: never more than was announced.
type part struct {
	e   entry
	in  *io.SectionReader
	raw *bufio.Reader
	out *bufio.Reader
	got int64
	sum hash.Hash32
	why reason
}

func (a *archive) part(e entry) *part {
	p := &part{e: e, in: io.NewSectionReader(a.r, e.data, e.packed), sum: crc32.NewIEEE()}
	p.raw = bufio.NewReader(p.in)
	unpacked := io.Reader(p.raw)
	if e.method == deflated {
		unpacked = flate.NewReader(p.raw) // reads single bytes from a bufio.Reader, and none behind its end
	}
	p.out = bufio.NewReaderSize(unpacked, 32<<10)
	return p
}

func (p *part) peek() ([]byte, error) {
	head, err := p.out.Peek(peekSize)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return head, err
}

var errAnnounced = errors.New("more than was announced")

// Read implements io.Reader.
func (p *part) Read(b []byte) (int, error) {
	n, err := p.out.Read(b)
	p.got += int64(n)
	p.sum.Write(b[:n])
	if p.got > p.e.size {
		p.why = bomb
		return n, errAnnounced
	}
	return n, err
}

// whole reports what is wrong after the last byte.
func (p *part) whole() reason {
	switch {
	case p.got != p.e.size || p.sum.Sum32() != p.e.crc:
		return damaged
	case p.raw.Buffered() > 0:
		return polyglot
	}
	if at, err := p.in.Seek(0, io.SeekCurrent); err != nil || at != p.e.packed {
		return polyglot
	}
	return ""
}
