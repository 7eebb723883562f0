package document

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"io"
	"slices"
)

// A ZIP file can be read from its front and from its end (APPNOTE.TXT 6.3.10, 4.3), and readers differ. An archive is taken
// here only if both ways give the same: the entries lie one behind the other from the first byte to the directory, each is
// described alike in both places, and the directory and its end record are the rest. Nothing is left over that could be a
// second file.

const (
	endSize       = 22
	directorySize = 46
	headerSize    = 30

	endMagic        = "PK\x05\x06"
	directoryMagic  = "PK\x01\x02"
	headerMagic     = "PK\x03\x04"
	descriptorMagic = "PK\x07\x08"

	mostComment   = 256      // bytes of a comment
	mostDirectory = 16 << 20 // bytes of a directory

	flagEncrypted  = 1<<0 | 1<<6 | 1<<13
	flagDescriptor = 1 << 3
	flagPatch      = 1 << 5

	stored   = 0
	deflated = 8

	fieldUnicodePath = 0x7075
)

// An entry is one file in an archive.
type entry struct {
	name                string
	flags, method       uint16
	crc                 uint32
	packed, size        int64
	header, data, after int64 // offsets of its header, its bytes and what follows them
	directory           bool
}

// An archive is its entries, in the order of their bytes.
type archive struct {
	r       io.ReaderAt
	entries []entry
}

// end finds the end record: the last bytes but for a comment that is for people.
func end(r io.ReaderAt, size int64) (record []byte, at int64, why reason) {
	tail := make([]byte, min(size, endSize+mostComment))
	if _, err := r.ReadAt(tail, size-int64(len(tail))); err != nil && err != io.EOF {
		return nil, 0, unreadable
	}
	i := bytes.LastIndex(tail, []byte(endMagic))
	if i < 0 || len(tail)-i < endSize {
		return nil, 0, damaged
	}
	record = tail[i : i+endSize]
	comment := tail[i+endSize:]
	if int(binary.LittleEndian.Uint16(record[20:])) != len(comment) || !printable(comment) {
		return nil, 0, polyglot
	}
	return record, size - int64(len(tail)-i), ""
}

func printable(text []byte) bool {
	return !slices.ContainsFunc(text, func(c byte) bool { return (c < ' ' || c > '~') && c != '\n' && c != '\r' && c != '\t' })
}

// open reads how an archive is built, and none of what is in it.
func (b *budget) open(r io.ReaderAt, size int64) (*archive, reason) {
	record, at, why := end(r, size)
	if why != "" {
		return nil, why
	}
	le := binary.LittleEndian
	here, all := int(le.Uint16(record[8:])), int(le.Uint16(record[10:]))
	length, start := int64(le.Uint32(record[12:])), int64(le.Uint32(record[16:]))
	switch {
	case all == 0xffff || length == 0xffffffff || start == 0xffffffff:
		return nil, zip64
	case le.Uint32(record[4:]) != 0 || here != all:
		return nil, damaged // one of several disks
	case start+length != at:
		return nil, polyglot
	case all == 0:
		return nil, empty
	case length > mostDirectory || b.entries+all > b.l.Entries:
		return nil, tooManyEntries
	}
	b.entries += all
	text := make([]byte, length)
	if _, err := r.ReadAt(text, start); err != nil {
		return nil, damaged
	}
	a := &archive{r: r}
	if why := a.list(text, all); why != "" {
		return nil, why
	}
	return a, a.lie(start)
}

// list reads the directory.
func (a *archive) list(text []byte, all int) reason {
	for range all {
		e, length, why := listed(text)
		if why != "" {
			return why
		}
		a.entries = append(a.entries, e)
		text = text[length:]
	}
	if len(text) > 0 {
		return polyglot
	}
	return names(a.entries)
}

// listed reads one entry of the directory.
func listed(text []byte) (e entry, length int, why reason) {
	if len(text) < directorySize || string(text[:4]) != directoryMagic {
		return e, 0, damaged
	}
	le := binary.LittleEndian
	name, extra, comment := int(le.Uint16(text[28:])), int(le.Uint16(text[30:])), int(le.Uint16(text[32:]))
	length = directorySize + name + extra + comment
	if len(text) < length {
		return e, 0, damaged
	}
	e = entry{flags: le.Uint16(text[8:]), method: le.Uint16(text[10:]), crc: le.Uint32(text[16:]), packed: int64(le.Uint32(text[20:])),
		size: int64(le.Uint32(text[24:])), header: int64(le.Uint32(text[42:])), name: string(text[directorySize : directorySize+name])}
	e.directory = len(e.name) > 0 && e.name[len(e.name)-1] == '/'
	switch mode := le.Uint32(text[38:]) >> 16; {
	case e.packed == 0xffffffff || e.size == 0xffffffff || e.header == 0xffffffff:
		return e, 0, zip64
	case e.flags&flagEncrypted != 0:
		return e, 0, encrypted
	case e.flags&flagPatch != 0 || e.method != stored && e.method != deflated:
		return e, 0, compression
	case le.Uint16(text[34:]) != 0 || e.method == stored && e.packed != e.size || e.directory && e.size != 0:
		return e, 0, damaged
	case comment > mostComment || !printable(text[length-comment:length]):
		return e, 0, polyglot
	case special(text[5], mode):
		return e, 0, link
	case renames(text[directorySize+name : directorySize+name+extra]):
		return e, 0, badName
	}
	return e, length, ""
}

// special reports whether an entry that was made on Unix or macOS is neither a file nor a folder.
func special(system byte, mode uint32) bool {
	const format, file, folder = 0o170000, 0o100000, 0o040000
	return (system == 3 || system == 19) && mode&format != 0 && mode&format != file && mode&format != folder
}

// renames reports whether an entry's extra fields say another name for it, which some readers prefer, or are no fields.
func renames(extra []byte) bool {
	for len(extra) >= 4 {
		id, length := binary.LittleEndian.Uint16(extra), int(binary.LittleEndian.Uint16(extra[2:]))
		if id == fieldUnicodePath || len(extra) < 4+length {
			return true
		}
		extra = extra[4+length:]
	}
	return len(bytes.Trim(extra, "\x00")) > 0
}

// lie checks that the entries lie one behind the other, and that their own headers agree with the directory.
func (a *archive) lie(start int64) reason {
	slices.SortFunc(a.entries, func(x, y entry) int { return cmp.Compare(x.header, y.header) })
	next := int64(0)
	for i := range a.entries {
		e := &a.entries[i]
		switch {
		case e.header < next:
			return overlap
		case e.header > next:
			return polyglot
		}
		if why := a.agree(e); why != "" {
			return why
		}
		limit := start
		if i+1 < len(a.entries) {
			limit = a.entries[i+1].header
		}
		if e.after > limit {
			return overlap
		}
		length, ok := a.descriptor(e, limit)
		if !ok {
			return damaged
		}
		next = e.after + length
	}
	if next != start {
		return polyglot
	}
	return ""
}

// agree compares an entry's header with the directory.
func (a *archive) agree(e *entry) reason {
	header := make([]byte, headerSize+len(e.name))
	if _, err := a.r.ReadAt(header, e.header); err != nil || string(header[:4]) != headerMagic {
		return damaged
	}
	le := binary.LittleEndian
	crc, packed, size := le.Uint32(header[14:]), int64(le.Uint32(header[18:])), int64(le.Uint32(header[22:]))
	later := e.flags&flagDescriptor != 0 // then a number may be left out here, and stands behind the bytes
	if le.Uint16(header[6:]) != e.flags || le.Uint16(header[8:]) != e.method ||
		crc != e.crc && !(later && crc == 0) || packed != e.packed && !(later && packed == 0) || size != e.size && !(later && size == 0) ||
		int(le.Uint16(header[26:])) != len(e.name) || string(header[headerSize:]) != e.name {
		return damaged
	}
	extra := make([]byte, le.Uint16(header[28:]))
	e.data = e.header + int64(len(header)+len(extra))
	e.after = e.data + e.packed
	if _, err := a.r.ReadAt(extra, e.header+int64(len(header))); err != nil && len(extra) > 0 {
		return damaged
	}
	if renames(extra) {
		return badName
	}
	return ""
}

// descriptor is the length of what repeats an entry's sizes behind its bytes, with a magic number or without.
func (a *archive) descriptor(e *entry, limit int64) (length int64, ok bool) {
	if e.flags&flagDescriptor == 0 {
		return 0, true
	}
	want := binary.LittleEndian.AppendUint32([]byte(descriptorMagic), e.crc)
	want = binary.LittleEndian.AppendUint32(want, uint32(e.packed))
	want = binary.LittleEndian.AppendUint32(want, uint32(e.size))
	if limit-e.after == int64(len(want)-4) {
		want = want[4:]
	}
	got := make([]byte, len(want))
	_, err := a.r.ReadAt(got, e.after)
	return int64(len(want)), err == nil && bytes.Equal(got, want)
}
