package document_test

import (
	"archive/zip"
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt/layer/input/file/document"
)

// check is the name of the refusal, or nothing.
func check(t testing.TB, data []byte, kind document.Kind, l document.Limits) string {
	t.Helper()
	err := document.Check(bytes.NewReader(data), int64(len(data)), kind, l)
	var refused *document.Refused
	switch {
	case err == nil:
		return ""
	case !errors.As(err, &refused) || refused.Public == "":
		t.Fatalf("got %#v, want a *Refused", err)
	}
	if known, ok := document.Known(refused.Name); !ok || *known != *refused {
		t.Fatalf("%q is not in the vocabulary", refused.Name)
	}
	return refused.Name
}

// A member is one entry of an archive; its header can be anything.
type member struct {
	zip.FileHeader
	content string
}

func of(name, content string) member {
	return member{zip.FileHeader{Name: name, Method: zip.Deflate}, content}
}

func kept(name, content string) member { return member{zip.FileHeader{Name: name}, content} }

// pack makes an archive as the standard library does.
func pack(members ...member) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, m := range members {
		f, err := w.CreateHeader(&m.FileHeader)
		if err == nil {
			_, err = f.Write([]byte(m.content))
		}
		if err != nil {
			panic(err)
		}
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

const (
	openxml = "application/vnd.openxmlformats-officedocument."
	related = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/"
)

var mains = map[document.Kind]string{
	document.DOCX: openxml + "wordprocessingml.document.main+xml",
	document.XLSX: openxml + "spreadsheetml.sheet.main+xml",
	document.PPTX: openxml + "presentationml.presentation.main+xml",
}

func types(overrides ...string) string {
	var b strings.Builder
	b.WriteString(`<?xml version="1.0" encoding="UTF-8" standalone="yes"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">` +
		`<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>`)
	for i, o := range overrides {
		fmt.Fprintf(&b, `<Override PartName="/part%d.xml" ContentType="%s"/>`, i, o)
	}
	return b.String() + "</Types>"
}

func relations(all ...string) string {
	return `<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">` + strings.Join(all, "") + `</Relationships>`
}

func relationTo(kind, target, mode string) string {
	if mode != "" {
		mode = ` TargetMode="` + mode + `"`
	}
	return fmt.Sprintf(`<Relationship Id="r1" Type="%s%s" Target="%s"%s/>`, related, kind, target, mode)
}

// officeFile is a document of Office's with more in it.
func officeFile(kind document.Kind, more ...member) []byte {
	return pack(append([]member{
		of("[Content_Types].xml", types(mains[kind])),
		of("_rels/.rels", relations(relationTo("officeDocument", "word/document.xml", ""))),
		of("word/document.xml", "<w:document/>"),
	}, more...)...)
}

// typedOffice is one whose list of types is another.
func typedOffice(overrides ...string) []byte {
	return pack(of("[Content_Types].xml", types(overrides...)), of("_rels/.rels", relations()), of("word/document.xml", "<w:document/>"))
}

func related1(kind, target, mode string) []byte {
	return officeFile(document.DOCX, of("word/_rels/document.xml.rels", relations(relationTo(kind, target, mode))))
}

var openTypes = map[document.Kind]string{
	document.ODT: "application/vnd.oasis.opendocument.text",
	document.ODS: "application/vnd.oasis.opendocument.spreadsheet",
	document.ODP: "application/vnd.oasis.opendocument.presentation",
}

func manifest(mediaType, more string) string {
	return `<?xml version="1.0" encoding="UTF-8"?><manifest:manifest xmlns:manifest="urn:m"><manifest:file-entry manifest:full-path="/" manifest:media-type="` +
		mediaType + `"/>` + more + `</manifest:manifest>`
}

// packFirst makes an archive whose first entry is written raw, with its sizes in its header.
func packFirst(mimetype string, members ...member) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	f, err := w.CreateRaw(&zip.FileHeader{Name: "mimetype", CRC32: crc(mimetype), CompressedSize64: uint64(len(mimetype)), UncompressedSize64: uint64(len(mimetype))})
	if err == nil {
		_, err = f.Write([]byte(mimetype))
	}
	for _, m := range members {
		if err == nil {
			f, err = w.CreateHeader(&m.FileHeader)
		}
		if err == nil {
			_, err = f.Write([]byte(m.content))
		}
	}
	if err := errors.Join(err, w.Close()); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func openFile(kind document.Kind, content string, more ...member) []byte {
	return packFirst(openTypes[kind], append([]member{of("content.xml", `<?xml version="1.0"?><office:document-content>`+content+`</office:document-content>`),
		of("META-INF/manifest.xml", manifest(openTypes[kind], ""))}, more...)...)
}

// pdfFile is a PDF of these objects, numbered from one, with a table that is right.
func pdfFile(catalog string, objects ...string) []byte {
	var b bytes.Buffer
	b.WriteString("%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
	var places []int
	for i, o := range append([]string{"<</Type/Catalog/Pages 2 0 R" + catalog + ">>", "<</Type/Pages/Kids[]/Count 0>>"}, objects...) {
		places = append(places, b.Len())
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", i+1, o)
	}
	table := b.Len()
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n", len(places)+1)
	for _, at := range places {
		fmt.Fprintf(&b, "%010d 00000 n \n", at)
	}
	fmt.Fprintf(&b, "trailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n", len(places)+1, table)
	return b.Bytes()
}

// flate packs as PDF does.
func flate(text string) string {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.String()
}

func stream(dictionary, body string) string {
	return fmt.Sprintf("<<%s/Length %d>>\nstream\n%s\nendstream", dictionary, len(body), body)
}

// inside is an object stream that holds objects, numbered from 20.
func inside(dictionary string, objects ...string) string {
	head, body := "", ""
	for i, o := range objects {
		head += fmt.Sprintf("%d %d ", 20+i, len(body))
		body += o + " "
	}
	return stream(fmt.Sprintf("%s/N %d/First %d/Filter/FlateDecode", dictionary, len(objects), len(head)), flate(head+body))
}

// good are files that must be taken, one of each kind.
func good() map[document.Kind][]byte {
	all := map[document.Kind][]byte{
		document.PDF: pdfFile(""),
		document.ZIP: pack(of("a/", ""), of("a/notes.txt", strings.Repeat("some notes\n", 40)), kept("picture.png", "\x89PNG\r\n\x1a\n")),
		document.TXT: []byte("Dear all,\n\tsee you on Monday – Zoë\r\n"),
		document.CSV: []byte("\ufeffname;count\n\"Zoë\";3\n"),
	}
	for kind := range mains {
		all[kind] = officeFile(kind)
	}
	for kind := range openTypes {
		all[kind] = openFile(kind, "<office:body/>")
	}
	return all
}

func kinds() []document.Kind { return slices.Sorted(maps.Keys(good())) }

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
