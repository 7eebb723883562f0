package document

import (
	"bytes"
	"compress/zlib"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
)

// filters are how a stream can be packed other than by Flate, in both spellings (table 6, table 92), and what changes it further.
var filters = []string{"ASCIIHexDecode", "AHx", "ASCII85Decode", "A85", "LZWDecode", "LZW", "RunLengthDecode", "RL", "CCITTFaxDecode", "CCF",
	"JBIG2Decode", "DCTDecode", "DCT", "JPXDecode", "Crypt", "DecodeParms", "DP", "F", "FFilter"}

// stream looks into the stream whose keyword stands at a place: if its dictionary says that it holds objects, or if it begins,
// unpacked, as one does that holds objects.
func (p *pdf) stream(at int) reason {
	if p.streams++; p.streams > mostStreams {
		return pdfUnseen
	}
	dictionary := p.data[max(0, at-lookBack):at]
	if i := bytes.LastIndex(dictionary, []byte("obj")); i >= 0 {
		dictionary = dictionary[i:]
	}
	all := pdfNames(dictionary)
	says := slices.Contains(all, "ObjStm")
	body := bytes.TrimLeft(p.data[at+len("stream"):min(len(p.data), at+len("stream")+3)], "\r\n ")
	start := min(len(p.data), at+len("stream")+3) - len(body)
	switch i := slices.Index(all, "Filter"); {
	case !says:
		return p.guess(p.data[start:])
	case slices.ContainsFunc(all, func(n string) bool { return slices.Contains(filters, n) }):
		return pdfUnseen
	case i < 0:
		text, _, _ := bytes.Cut(p.data[start:], []byte("endstream"))
		return p.objects(text, dictionary)
	case i+1 >= len(all) || all[i+1] != "FlateDecode" && all[i+1] != "Fl":
		return pdfUnseen
	}
	text, err := p.unpack(p.data[start:], p.left+1)
	if err != nil && len(text) == 0 {
		return pdfUnseen
	}
	return p.objects(text, dictionary)
}

// guess looks into a stream that does not say that it holds objects. Readers differ in whether it must.
func (p *pdf) guess(body []byte) reason {
	if len(body) < 2 || body[0]&0x0f != 8 || (int(body[0])<<8|int(body[1]))%31 != 0 { // RFC 1950, 2.2
		return ""
	}
	head, _ := p.unpack(body, 64)
	if !pdfPair.Match(head) {
		return ""
	}
	text, _ := p.unpack(body, p.left+1)
	return p.objects(text, nil)
}

// unpack gives what a stream unpacks to, at most so many bytes. Of a damaged one it gives what comes before the damage, as
// readers do.
func (p *pdf) unpack(body []byte, most int64) ([]byte, error) {
	var err error
	in := bytes.NewReader(body)
	if again, ok := p.zlib.(zlib.Resetter); ok {
		err = again.Reset(in, nil)
	} else {
		p.zlib, err = zlib.NewReader(in)
	}
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(p.zlib, most))
	if errors.Is(err, zlib.ErrChecksum) {
		err = nil
	}
	return text, err
}

// objects searches what was unpacked. Of a stream whose dictionary says what it is, all names count.
func (p *pdf) objects(text, dictionary []byte) reason {
	says := dictionary != nil
	p.left -= int64(len(text))
	if p.left < 0 {
		return tooLargeInside
	}
	if says {
		p.opened++
		p.packed = append(p.packed, objectStream{text, placeOf(dictionary)})
	}
	for rest := text; ; {
		at := bytes.IndexByte(rest, '/')
		if at < 0 {
			return ""
		}
		name, length := pdfName(rest[at:])
		rest = rest[at+length:]
		if string(name) == "ObjStm" {
			continue // a stream within a stream there is not
		}
		if why := p.named(name, rest, !says); why != "" {
			return why
		}
	}
}

// object finds an object by its number.
func (s objectStream) object(number int) (value []byte, ok bool) {
	if s.first < 0 || s.first > len(s.text) {
		return nil, false
	}
	pairs := bytes.FieldsFunc(s.text[:s.first], func(r rune) bool { return strings.ContainsRune(blank, r) })
	for i := 0; i+1 < len(pairs); i += 2 {
		n, err := strconv.Atoi(string(pairs[i]))
		at, err2 := strconv.Atoi(string(pairs[i+1]))
		if err == nil && n == number {
			if err2 != nil || at < 0 || at > len(s.text)-s.first {
				return nil, true // nothing goes there
			}
			return bytes.TrimLeft(s.text[s.first+at:], blank), true
		}
	}
	return nil, false
}

// placeOf is where the first object begins by a stream's dictionary, or less than zero where it does not say so once and plainly.
func placeOf(dictionary []byte) int {
	found := pdfFirst.FindAllSubmatch(dictionary, 2)
	if len(found) != 1 {
		return -1
	}
	at, err := strconv.Atoi(string(found[0][1]))
	if err != nil {
		return -1
	}
	return at
}
