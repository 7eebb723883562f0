package document

import (
	"bytes"
	"io"
	"regexp"
	"slices"
	"strconv"
)

// A PDF (ISO 32000-2) is not parsed here: readers repair what is broken, each in its own way, and a parser of ours would be one
// more opinion. Instead all bytes are searched for the names without which nothing runs, wherever they stand, strings and
// streams included; what is compressed and may hold objects is unpacked and searched too. A document that merely spells such a
// name is refused with the others.

const (
	mostTail     = 1 << 10  // bytes at the end in which the file must say where its table is
	mostStreams  = 100_000  // that are looked into
	mostUnpacked = 64 << 20 // bytes of object streams that are kept until the end
	mostOpenings = 4        // objects that it says are done with when it is opened, in all its versions
	mostVersions = 64       // of one object in the file
	lookBack     = 4 << 10  // bytes before a stream in which its dictionary stands
	lookAhead    = 512      // bytes of an action that are looked at
	mostPDFName  = 127      // bytes of a name (annex C)
)

var (
	pdfHead  = regexp.MustCompile(`^%PDF-(1\.[0-7]|2\.0)[\s%]`)
	pdfTail  = regexp.MustCompile(`startxref[\x00\t\n\f\r ]+([0-9]{1,10})[\x00\t\n\f\r ]+%%EOF[\x00\t\n\f\r ]*$`)
	pdfTable = regexp.MustCompile(`^[\x00\t\n\f\r ]*(xref|[0-9]{1,10}[\x00\t\n\f\r ]+[0-9]{1,5}[\x00\t\n\f\r ]+obj)`)
	pdfPair  = regexp.MustCompile(`^[\x00\t\n\f\r ]*[0-9]{1,10}[\x00\t\n\f\r ]+[0-9]{1,10}[\x00\t\n\f\r ]`)
	pdfRef   = regexp.MustCompile(`^([0-9]{1,10})[\x00\t\n\f\r ]+[0-9]{1,5}[\x00\t\n\f\r ]+R`)
)

var pdfFirst = regexp.MustCompile(`/First[\x00\t\n\f\r ]+([0-9]{1,9})`)

const blank = "\x00\t\n\f\r " // what PDF calls white space (table 1)

// dangerous are the names that stand for something that runs, is started, is sent or is hidden. Of those of up to three letters,
// which random bytes contain by chance, only those outside of streams count.
var dangerous = map[string]reason{
	"JavaScript": pdfScript, "JS": pdfScript, "XFA": pdfScript,
	"Launch":       pdfLaunch,
	"EmbeddedFile": pdfEmbedded, "EmbeddedFiles": pdfEmbedded, "FileAttachment": pdfEmbedded, "GoToE": pdfEmbedded, "EF": pdfEmbedded,
	"RichMedia": pdfMedia, "RichMediaContent": pdfMedia, "Rendition": pdfMedia,
	"AA":         pdfAction,
	"SubmitForm": pdfSends, "ImportData": pdfSends, "GoToR": pdfSends,
	"Encrypt": encrypted,
}

const shortName = 3

// A pdf is what is known of one while it is searched.
type pdf struct {
	data    []byte
	zlib    io.Reader      // made anew for each stream from what it was
	packed  []objectStream // unpacked
	left    int64          // bytes that may still be unpacked
	typed   int            // names that say that something is an object stream
	opened  int            // of them, those that were unpacked
	streams int
	first   []int // objects that something is done with when the document is opened
}

// An objectStream holds objects (7.5.7): pairs of their number and place, then the objects.
type objectStream struct {
	text  []byte
	first int // where the objects begin; less than zero if that is not known
}

func checkPDF(r io.ReaderAt, size int64, l Limits) reason {
	p := &pdf{data: make([]byte, size), left: min(l.Total, mostUnpacked)}
	if _, err := io.ReadFull(io.NewSectionReader(r, 0, size), p.data); err != nil {
		return unreadable
	}
	if why := p.frame(); why != "" {
		return why
	}
	if why := p.search(); why != "" {
		return why
	}
	if p.typed != p.opened {
		return pdfUnseen
	}
	for _, number := range p.first {
		if !p.harmless(number) {
			return pdfAction
		}
	}
	return ""
}

// frame checks the two ends: nothing before, nothing behind, and a table where the last lines say that it is.
func (p *pdf) frame() reason {
	if !pdfHead.Match(p.data) {
		return wrongKind
	}
	from := max(0, len(p.data)-mostTail)
	found := pdfTail.FindSubmatch(p.data[from:])
	if found == nil {
		if bytes.Contains(p.data[from:], []byte("%%EOF")) {
			return polyglot
		}
		return damaged
	}
	at, err := strconv.Atoi(string(found[1]))
	if err != nil || at >= len(p.data) || !pdfTable.Match(p.data[at:min(len(p.data), at+64)]) {
		return damaged
	}
	return ""
}

// search looks at each byte of the file once.
func (p *pdf) search() reason {
	within := false // a stream, as far as its end can be told
	for at := 0; at < len(p.data); {
		rest := p.data[at:]
		switch {
		case rest[0] == '/':
			name, length := pdfName(rest)
			if why := p.named(name, rest[length:], within); why != "" {
				return why
			}
			at += length
		case rest[0] == 'e' && bytes.HasPrefix(rest, []byte("endstream")):
			within = false
			at += len("endstream")
		case rest[0] == 's' && begins(rest):
			within = true
			if why := p.stream(at); why != "" {
				return why
			}
			at += len("stream")
		default:
			at++
		}
	}
	return ""
}

// begins reports whether text is the word that stands before a stream's bytes (7.3.8.1), with the line ends that readers forgive.
func begins(text []byte) bool {
	after, ok := bytes.CutPrefix(text, []byte("stream"))
	return ok && len(after) > 0 && (after[0] == '\r' || after[0] == '\n' || after[0] == ' ')
}

// pdfName reads a name and decodes what is written as #xx (7.3.5).
func pdfName(text []byte) (name []byte, length int) {
	at := 1
	for at < len(text) && at <= mostPDFName && text[at] != '#' && !endsName[text[at]] {
		at++
	}
	if at == len(text) || text[at] != '#' {
		return text[1:at], at
	}
	name = bytes.Clone(text[1:at])
	for at < len(text) && len(name) < mostPDFName && !endsName[text[at]] {
		if text[at] == '#' && at+2 < len(text) {
			if code, err := strconv.ParseUint(string(text[at+1:at+3]), 16, 8); err == nil {
				name = append(name, byte(code))
				at += 3
				continue
			}
		}
		name = append(name, text[at])
		at++
	}
	return name, at
}

// endsName are the characters of which a name has none, unless they are written as #xx (tables 1 and 2).
var endsName = func() (is [256]bool) {
	for _, c := range []byte(blank + "()<>[]{}/%") {
		is[c] = true
	}
	return is
}()

// named judges one name by what follows it.
func (p *pdf) named(name []byte, after []byte, within bool) reason {
	switch why := dangerous[string(name)]; {
	case string(name) == "ObjStm":
		p.typed++
	case string(name) == "OpenAction":
		return p.opening(after)
	case why != "" && !(within && len(name) <= shortName):
		return why
	}
	return ""
}

// opening judges what is done when the document is opened. Most programs that write PDF have it turned to a page, which is a
// place, or an action that goes to one.
func (p *pdf) opening(after []byte) reason {
	after = bytes.TrimLeft(after, blank)
	if ref := pdfRef.FindSubmatch(after[:min(len(after), 32)]); ref != nil {
		number, err := strconv.Atoi(string(ref[1]))
		if known := slices.Contains(p.first, number); err != nil || !known && len(p.first) == mostOpenings {
			return pdfAction
		} else if !known {
			p.first = append(p.first, number)
		}
		return ""
	}
	if !goes(after) {
		return pdfAction
	}
	return ""
}

// goes reports whether a value is a place, or an action that goes to one and leads to no other action.
func goes(value []byte) bool {
	value = value[:min(len(value), lookAhead)]
	if bytes.HasPrefix(value, []byte("[")) || bytes.HasPrefix(value, []byte("null")) {
		return true
	}
	body, isDict := bytes.CutPrefix(value, []byte("<<"))
	body, _, ends := bytes.Cut(body, []byte(">>"))
	if !isDict || !ends || bytes.Contains(body, []byte("<<")) {
		return false
	}
	all := pdfNames(body)
	if slices.Contains(all, "Next") {
		return false
	}
	for i, name := range all {
		if name == "S" {
			return i+1 < len(all) && all[i+1] == "GoTo" && !slices.Contains(all[i+1:], "S")
		}
	}
	return false
}

func pdfNames(text []byte) (all []string) {
	for {
		at := bytes.IndexByte(text, '/')
		if at < 0 {
			return all
		}
		name, length := pdfName(text[at:])
		all = append(all, string(name))
		text = text[at+length:]
	}
}

// harmless reports whether an object is there, and each that has its number is a place or goes to one.
func (p *pdf) harmless(number int) bool {
	found := 0
	begin := regexp.MustCompile(`(?:^|[^0-9])0*` + strconv.Itoa(number) + `[\x00\t\n\f\r ]+[0-9]{1,5}[\x00\t\n\f\r ]+obj[\x00\t\n\f\r ]*`)
	for _, m := range begin.FindAllIndex(p.data, mostVersions) {
		if found++; !goes(p.data[m[1]:]) {
			return false
		}
	}
	for _, s := range p.packed {
		if value, ok := s.object(number); ok {
			if found++; !goes(value) {
				return false
			}
		}
	}
	return found > 0 && found < mostVersions
}
