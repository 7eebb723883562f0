// Package document looks at files that are kept as they came and only ever saved by whoever may have them: PDF, Office documents
// of both families, ZIP archives, plain text (SYSTEM N2). It takes a file if the file is wholly, and in one way only, what it says
// that it is, if unpacking it stays within bounds, and if it has nothing in it that runs.
//
// # What it assumes has failed
//
// Everything before it. Names and media types are claims, first bytes route and prove nothing, and the file was made by
// somebody who knows how two programs read the same bytes differently. It is pure computation on what it is given, made to run
// where a fault in it reaches nothing (package sandbox).
//
// # What it stops
//
// In archives: more than one way to read them (bytes before, between or after the parts, entries that overlap, a directory that
// says other than the entries do, the same name twice), names that lead elsewhere or look like others, links, encryption, bombs
// by number, by size, by ratio and by nesting, counted while really inflating, and programs. In Office documents: macros,
// ActiveX and OLE objects, parts that are loaded from elsewhere, encryption, and disagreement between the content and the kind
// that its name claims. In PDF: JavaScript, programs that are launched, embedded files, forms that send, actions without a
// click, also where names are written with #xx and within compressed object streams; encryption, and anything before or behind.
// In text: control characters, direction overrides, markup.
//
// # What it does not stop
//
// Documents that deceive, and documents that exploit a fault of the program that opens them: a damaged font is a well-formed
// font with a lie in it. The content streams of a PDF, which paint, and fonts are not unpacked. Fields of Word that ask another
// program for data (DDE), which Office no longer follows by itself, are not looked for. CSV is text: that a cell begins with =
// is for the program that exports to guard against, not for the one that keeps what people wrote.
//
// # How it is knocked out in a drill
//
// The drill keeps any bytes under any kind. Then they are still given only to those who may see them, as a file to be saved,
// with its exact type, nosniff and a policy that runs nothing.
//
// # Example
//
//	kind, ok := document.Detect(head, "minutes.docx")
//	err := document.Check(f, size, kind, document.Limits{})
//	if r := new(document.Refused); errors.As(err, &r) { // and it is never anything else
package document

import (
	"bytes"
	"io"
	"path"
	"slices"
	"strings"
	"unicode/utf8"
)

// A Kind is what a file is.
type Kind string

// The kinds that are taken.
const (
	PDF  Kind = "pdf"
	DOCX Kind = "docx"
	XLSX Kind = "xlsx"
	PPTX Kind = "pptx"
	ODT  Kind = "odt"
	ODS  Kind = "ods"
	ODP  Kind = "odp"
	ZIP  Kind = "zip"
	TXT  Kind = "txt"
	CSV  Kind = "csv"
)

// Kinds are all of them.
var Kinds = []Kind{PDF, DOCX, XLSX, PPTX, ODT, ODS, ODP, ZIP, TXT, CSV}

// MediaType is what k is sent as; empty for no kind.
func (k Kind) MediaType() string {
	switch k {
	case PDF:
		return "application/pdf"
	case ZIP:
		return "application/zip"
	case TXT:
		return "text/plain; charset=utf-8"
	case CSV:
		return "text/csv; charset=utf-8"
	}
	if f, ok := offices[k]; ok {
		return f.mediaType
	}
	return openTypes[k]
}

// Limits bound what one file may cost. They hold for an archive and all that is nested in it together.
type Limits struct {
	Bytes   int64 // of the file; zero is 32 MiB
	Entries int   // of archives; zero is 5,000
	Total   int64 // bytes of everything in an archive, and in a PDF's object streams, unpacked; zero is 256 MiB
	Ratio   int64 // unpacked to packed, of anything above a mebibyte; zero is 200
	Depth   int   // archives within archives; zero is 2, less is none: a Word document with a chart's table, in a ZIP
}

func (l Limits) withDefaults() Limits {
	if l.Bytes == 0 {
		l.Bytes = 32 << 20
	}
	if l.Entries == 0 {
		l.Entries = 5000
	}
	if l.Total == 0 {
		l.Total = 256 << 20
	}
	if l.Ratio == 0 {
		l.Ratio = 200
	}
	if l.Depth == 0 {
		l.Depth = 2
	}
	return l
}

// HeadSize is how much of a file Detect and Foreign want to see.
const HeadSize = 1 << 10

// Detect says as what a file is to be checked, by its first bytes, and where these leave it open, by the extension of the name. It
// proves nothing.
func Detect(head []byte, name string) (Kind, bool) {
	called := Kind(strings.TrimPrefix(strings.ToLower(path.Ext(name)), "."))
	switch {
	case Foreign(head) != nil || len(head) == 0:
		return "", false
	case bytes.HasPrefix(head, []byte("%PDF-")):
		return PDF, true
	case bytes.HasPrefix(head, []byte("PK\x03\x04")), bytes.HasPrefix(head, []byte("PK\x05\x06")):
		return packed(head, called), true
	case called != CSV && called != TXT && called != "" || !texty(head):
		return "", false
	case called == CSV:
		return CSV, true
	}
	return TXT, true
}

// packed tells the kinds of archives apart: OpenDocument says it in its first entry, Office in its name alone.
func packed(head []byte, called Kind) Kind {
	for kind, mediaType := range openTypes {
		if bytes.HasPrefix(head[min(len(head), 30):], []byte("mimetype"+mediaType+"PK")) {
			return kind
		}
	}
	if _, ok := offices[called]; ok {
		return called
	}
	return ZIP
}

// texty reports whether head could begin a text. Its last character may be cut in two.
func texty(head []byte) bool {
	for len(head) > 0 {
		r, n := utf8.DecodeRune(head)
		if r == utf8.RuneError && n == 1 {
			return !utf8.FullRune(head)
		}
		if unfit(r) && r != bom {
			return false
		}
		head = head[n:]
	}
	return true
}

// Check looks at all of a file. Its errors are all *Refused.
func Check(r io.ReaderAt, size int64, k Kind, l Limits) error {
	l = l.withDefaults()
	var why reason
	switch {
	case !slices.Contains(Kinds, k):
		why = unknownKind
	case size > l.Bytes:
		why = tooManyBytes
	case size == 0:
		why = empty
	case k == PDF:
		why = checkPDF(r, size, l)
	case k == TXT, k == CSV:
		why = checkText(r, size)
	default:
		why = (&budget{l: l}).checkArchive(r, size, k, 0)
	}
	if why != "" {
		return refused(why)
	}
	return nil
}
