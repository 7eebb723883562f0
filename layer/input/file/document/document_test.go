package document_test

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer/input/file/document"
)

func crc(text string) uint32 { return crc32.ChecksumIEEE([]byte(text)) }

// nothing is the vocabulary's word for a file that is taken.
const nothing = ""

func TestEveryKindIsTaken(t *testing.T) { // SYSTEM N2
	for kind, data := range good() {
		if got := check(t, data, kind, document.Limits{}); got != nothing {
			t.Errorf("%s is refused: %s", kind, got)
		}
		if got, ok := document.Detect(data[:min(len(data), document.HeadSize)], "x."+string(kind)); !ok || got != kind {
			t.Errorf("%s is taken for %q, %v", kind, got, ok)
		}
		if kind.MediaType() == "" {
			t.Errorf("%s has no media type", kind)
		}
		for other := range good() {
			alike := (kind == document.TXT || kind == document.CSV) && (other == document.TXT || other == document.CSV)
			if got := check(t, data, other, document.Limits{}); got == nothing && other != kind && !alike {
				t.Errorf("%s is taken as %s", kind, other)
			}
		}
	}
	if got := check(t, []byte("x"), "exe", document.Limits{}); got != "unknown_kind" || document.Kind("exe").MediaType() != "" {
		t.Errorf("got %q for a kind that there is not", got)
	}
}

func TestATypeIsGuessedByBytesAndThenByName(t *testing.T) {
	archive := string(pack(of("x", "x")))
	for _, c := range []struct {
		head, name string
		want       document.Kind
	}{
		{"%PDF-1.4\n", "photo.jpg", document.PDF},
		{archive, "a.zip", document.ZIP},
		{archive, "a.docx", document.DOCX},
		{archive, "A.XLSX", document.XLSX},
		{archive, "a.odt", document.ZIP}, // its bytes do not say so
		{archive, "a.docm", document.ZIP},
		{string(openFile(document.ODS, "")), "a", document.ODS},
		{"plain words", "a.txt", document.TXT},
		{"plain words", "a", document.TXT},
		{"a;b", "a.CSV", document.CSV},
		{"MZ is how this text begins", "a.txt", document.TXT},
		{"cut in two: \xc3", "a.txt", document.TXT},
		{"plain words", "a.js", ""},
		{"plain words", "a.md", ""},
		{"latin \xe9 one", "a.txt", ""},
		{"null \x00", "a.txt", ""},
		{"", "a.txt", ""},
		{"<html>", "a.txt", ""},
		{"MZ\x90\x00\x03", "a.txt", ""},
	} {
		if got, ok := document.Detect([]byte(c.head), c.name); got != c.want || ok != (c.want != "") {
			t.Errorf("%q called %s: got %q, want %q", c.head[:min(len(c.head), 20)], c.name, got, c.want)
		}
	}
}

func TestWhatIsNeverTakenHasAName(t *testing.T) { // SYSTEM N2
	for head, want := range map[string]string{
		"MZ\x90\x00":                        "Windows programs cannot be taken.",
		"\x7fELF\x02":                       "Linux programs cannot be taken.",
		"\xcf\xfa\xed\xfe":                  "Mac programs cannot be taken.",
		"\xca\xfe\xba\xbe\x00\x00":          "Java programs cannot be taken.",
		"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1":  "Office documents of before 2007, or with a password, cannot be taken.",
		"Rar!\x1a\x07\x01":                  "RAR archives cannot be taken.",
		"7z\xbc\xaf\x27\x1c":                "7z archives cannot be taken.",
		"\x1f\x8b\x08":                      "Gzip archives cannot be taken.",
		strings.Repeat("a", 257) + "ustar":  "Tar archives cannot be taken.",
		"\x00\x00\x00\x18ftypmp42":          "Films cannot be taken.",
		"{\\rtf1":                           "RTF documents cannot be taken.",
		" \n<!DOCTYPE html><p>":             "Web pages cannot be taken.",
		"\ufeff<ScRiPt>":                    "Web pages cannot be taken.",
		"<svg xmlns":                        "SVG drawings cannot be taken.",
		"<?xml version='1.0'?>\n<svg>":      "SVG drawings cannot be taken.",
		"<?xml version='1.0'?><x/>":         "XML files cannot be taken.",
		"L\x00\x00\x00\x01\x14\x02\x00\x00": "Windows shortcuts cannot be taken.",
		"\xff\xfea\x00":                     "Texts in UTF-16 cannot be taken.",
	} {
		got := document.Foreign([]byte(head))
		if got == nil || got.Public != want {
			t.Errorf("%q: got %v, want %q", head[:min(len(head), 12)], got, want)
		}
		if _, ok := document.Detect([]byte(head), "a.txt"); ok {
			t.Errorf("%q is taken for something", head[:min(len(head), 12)])
		}
	}
	if _, ok := document.Known("nothing of the kind"); ok || document.Foreign([]byte("%PDF-1.7")) != nil || document.Foreign(nil) != nil {
		t.Error("something is known that is not, or the other way around")
	}
}

// patched is data with what stands at a place changed; from is where to look for it.
func patched(data []byte, at int, with ...byte) []byte {
	data = bytes.Clone(data)
	copy(data[at:], with)
	return data
}

func TestAnArchiveIsReadInOneWayOnly(t *testing.T) { // SYSTEM N2
	plain := pack(of("a.txt", strings.Repeat("hello ", 50)), of("b.txt", "world"))
	end := bytes.LastIndex(plain, []byte("PK\x05\x06"))
	listed := bytes.Index(plain, []byte("PK\x01\x02"))
	second := listed + bytes.Index(plain[listed+4:], []byte("PK\x01\x02")) + 4
	named := func(name string) []byte { return pack(of(name, "x"), of("other.txt", "y")) }
	unix := func(mode uint32) []byte {
		m := of("it", "/etc/passwd")
		m.CreatorVersion, m.ExternalAttrs = 3<<8, mode<<16
		return pack(m)
	}
	extra := func(field []byte) []byte { m := of("a", "x"); m.Extra = field; return pack(m) }
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"an archive", plain, nothing},
		{"a comment for people", withComment(plain, "Packed on Monday."), nothing},
		{"a comment that is a program", withComment(plain, "\x7fELF\x00"), "polyglot"},
		{"a comment that is long", withComment(plain, strings.Repeat("x", 300)), "damaged"},
		{"a comment that is another end", withComment(plain, string(plain[end:])), "polyglot"},
		{"a program before it", append([]byte("MZ..............."), plain...), "polyglot"},
		{"a page before it, with the places moved", moved(plain, "<script>alert(1)</script>"), "polyglot"},
		{"something behind it", append(bytes.Clone(plain), "<script>"...), "polyglot"},
		{"a second archive behind it", append(bytes.Clone(plain), plain...), "polyglot"},
		{"half of it", plain[:len(plain)/2], "damaged"},
		{"only its end", plain[end:], "polyglot"},
		{"an empty one", pack(), "empty"},
		{"a name changed in the directory", patched(plain, listed+46, 'c'), "damaged"},
		{"a size changed in the directory", patched(plain, listed+24, 1), "damaged"},
		{"a sum changed in the directory", patched(plain, listed+16, 1, 2, 3, 4), "damaged"},
		{"another method in the directory", patched(plain, listed+10, 0), "damaged"},
		{"a rare method", patched(plain, listed+10, 12), "compression"},
		{"a password in the directory", patched(plain, listed+8, 9), "encrypted"},
		{"two entries that are one", patched(plain, second+42, 0, 0, 0, 0), "overlap"},
		{"an entry that is nowhere", patched(plain, second+42, 0xf0, 0xff, 0xff), "polyglot"},
		{"more entries than there are", patched(plain, end+8, 3, 0, 3, 0), "damaged"},
		{"fewer entries than there are", patched(plain, end+8, 1, 0, 1, 0), "polyglot"},
		{"numbers that differ", patched(plain, end+8, 1, 0), "damaged"},
		{"several disks", patched(plain, end+4, 1), "damaged"},
		{"sizes that are elsewhere (ZIP64)", patched(plain, end+12, 0xff, 0xff, 0xff, 0xff), "zip64"},
		{"an entry whose size is elsewhere (ZIP64)", patched(plain, listed+20, 0xff, 0xff, 0xff, 0xff), "zip64"},
		{"65,535 entries announced", patched(plain, end+8, 0xff, 0xff, 0xff, 0xff), "zip64"},
		{"5,001 entries announced", patched(plain, end+8, 0x89, 0x13, 0x89, 0x13), "too_many_entries"},
		{"bytes that are not packed", patched(plain, 30+5, 0xff, 0xff, 0xff), "damaged"},
		{"an entry with a link's mode", unix(0o120777), "link"},
		{"an entry with a device's mode", unix(0o060600), "link"},
		{"an entry with a file's mode", unix(0o100644), nothing},
		{"an extra field with a time", extra([]byte{0x55, 0x54, 1, 0, 0}), nothing},
		{"an extra field with another name", extra([]byte{0x75, 0x70, 5, 0, 1, 0, 0, 0, 0}), "bad_name"},
		{"an extra field that is too long", extra([]byte{0x55, 0x54, 200, 0, 0}), "bad_name"},

		{"a name that leads up", named("../../etc/cron.d/x"), "bad_name"},
		{"a name that leads up in the middle", named("a/../../x"), "bad_name"},
		{"a name that leads up at the end", named("a/.."), "bad_name"},
		{"a name from the root", named("/etc/passwd"), "bad_name"},
		{"a name on a drive", named("C:x"), "bad_name"},
		{"a name of a stream", named("a.txt:hidden"), "bad_name"},
		{"a name with backslashes", named(`..\..\x`), "bad_name"},
		{"a name with a null", named("a.txt\x00.png"), "bad_name"},
		{"a name with a line end", named("a\nb"), "bad_name"},
		{"a name that turns around", named("photo\u202egnp.exe"), "bad_name"},
		{"a name with what is not seen", named("a\u200b.txt"), "bad_name"},
		{"a name that is no text", named("a\xff.txt"), "bad_name"},
		{"a name of Windows' own", named("dir/NUL.txt"), "bad_name"},
		{"a name that ends in a dot", named("a./b"), "bad_name"},
		{"a name of two slashes", named("a//b"), "bad_name"},
		{"a name of 4 KB", named(strings.Repeat("a", 4096)), "bad_name"},
		{"a name of 40 folders", named(strings.Repeat("a/", 40) + "b"), "bad_name"},
		{"a name in German", named("Übungen/Lösung 1.txt"), nothing},
		{"the same name twice", pack(of("a.txt", "x"), of("a.txt", "y")), "same_name"},
		{"the same name to Windows", pack(of("a.txt", "x"), of("A.TXT", "y")), "same_name"},
		{"a file that is a folder too", pack(of("a", "x"), of("a/b", "y")), "same_name"},

		{"a program", pack(of("setup.bin", "MZ\x90\x00\x03\x00")), "program_inside"},
		{"a Java archive", pack(of("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\n")), "program_inside"},
		{"an Android archive", pack(of("classes.dex", "x")), "program_inside"},
		{"an archive of another kind", pack(of("x", "Rar!\x1a\x07\x01\x00")), "archive_inside"},
		{"an old document", pack(of("x.doc", "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")), "archive_inside"},
		{"an archive within", pack(of("x.zip", string(plain))), nothing},
		{"an archive within an archive within", pack(of("x.zip", string(pack(of("x.zip", string(plain)))))), nothing},
		{"one more", pack(of("x.zip", string(pack(of("x.zip", string(pack(of("x.zip", string(plain))))))))), "too_deep"},
		{"a bad name within", pack(of("x.zip", string(named("../x")))), "bad_name"},
		{"a document with macros within", pack(of("x.docx", string(officeFile(document.DOCX, of("word/vbaProject.bin", "x"))))), "macros"},
		{"a document within", pack(of("x.docx", string(officeFile(document.DOCX)))), nothing},
		{"a document under an archive's name", officeFile(document.DOCX), "office_as_zip"},
		{"a document with macros under an archive's name", typedOffice("application/vnd.ms-word.document.macroEnabled.main+xml"), "office_as_zip"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := check(t, c.data, document.ZIP, document.Limits{}); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func withComment(data []byte, comment string) []byte {
	data = bytes.Clone(data)
	binary.LittleEndian.PutUint16(data[len(data)-2:], uint16(len(comment)))
	return append(data, comment...)
}

// moved is an archive behind something, with all its places put right, as a self-extracting one has them.
func moved(data []byte, before string) []byte {
	data = bytes.Clone(data)
	le := binary.LittleEndian
	shift := func(at int) { le.PutUint32(data[at:], le.Uint32(data[at:])+uint32(len(before))) }
	end := bytes.LastIndex(data, []byte("PK\x05\x06"))
	for at := int(le.Uint32(data[end+16:])); at < end; at += 46 + int(le.Uint16(data[at+28:])) + int(le.Uint16(data[at+30:])) + int(le.Uint16(data[at+32:])) {
		shift(at + 42)
	}
	shift(end + 16)
	return append([]byte(before), data...)
}

// TestBombs has the controls beside them: what is refused by a limit is taken where the limit is wider.
func TestBombs(t *testing.T) { // SYSTEM N2, T6
	zeros := strings.Repeat("\x00", 8<<20)
	many := make([]member, 300)
	for i := range many {
		many[i] = of(fmt.Sprint(i), "x")
	}
	nested := pack(of("x.zip", string(pack(many[:200]...))), of("y.zip", string(pack(many[:200]...))))
	lying := func(says uint32) []byte { // one whose directory and header say less than there is
		data := pack(of("a", zeros))
		le := binary.LittleEndian
		listed := bytes.Index(data, []byte("PK\x01\x02"))
		le.PutUint32(data[listed+24:], says)
		le.PutUint32(data[listed-4:], says) // the descriptor
		return data
	}
	wide := document.Limits{Ratio: 100_000}
	for _, c := range []struct {
		name string
		data []byte
		l    document.Limits
		want string
	}{
		{"eight megabytes of nothing", pack(of("a", zeros)), document.Limits{}, "bomb"},
		{"eight megabytes of nothing, where that may be", pack(of("a", zeros)), wide, nothing},
		{"more than is said", lying(1000), document.Limits{}, "bomb"},
		{"less than is said", lying(9 << 20), wide, "damaged"},
		{"too much in all", pack(of("a", zeros), of("b", zeros)), document.Limits{Ratio: 100_000, Total: 10 << 20}, "too_large_inside"},
		{"too much in all, nested", pack(of("a.zip", string(pack(of("a", zeros)))), of("b.zip", string(pack(of("b", zeros))))), document.Limits{Ratio: 100_000, Total: 10 << 20}, "too_large_inside"},
		{"too many entries", pack(many...), document.Limits{Entries: 299}, "too_many_entries"},
		{"as many entries as may be", pack(many...), document.Limits{Entries: 300}, nothing},
		{"too many entries, nested", nested, document.Limits{Entries: 401}, "too_many_entries"},
		{"as many entries as may be, nested", nested, document.Limits{Entries: 402}, nothing},
		{"nesting where none may be", nested, document.Limits{Depth: -1}, "too_deep"},
		{"a large file", pack(many...), document.Limits{Bytes: 100}, "too_many_bytes"},
		{"an overlapping bomb", fifield(100, 1<<20), document.Limits{Ratio: 1 << 40}, "overlap"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := check(t, c.data, document.ZIP, c.l); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// fifield is an archive whose entries share one kernel (David Fifield, A better zip bomb, WOOT 2019): each entry's packed bytes
// begin with the next entry's header, quoted as a stored block.
func fifield(n, kernel int) []byte {
	le := binary.LittleEndian
	inner := pack(of(fmt.Sprint(n), strings.Repeat("a", kernel)))
	listed := bytes.Index(inner, []byte("PK\x01\x02"))
	body, directory := inner[:listed], [][]byte{bytes.Clone(inner[listed : listed+46+len(fmt.Sprint(n))])}
	le.PutUint32(directory[0][42:], uint32(len(body))) // from the end; put right below
	for i := n - 1; i >= 0; i-- {
		name := fmt.Sprint(i)
		quote := append([]byte{0}, le.AppendUint16(le.AppendUint16(nil, 30), ^uint16(30))...)
		header := bytes.Clone(body[:30])
		le.PutUint16(header[26:], uint16(len(name)))
		body = append(append(append(header, name...), quote...), body...)
		entry := bytes.Clone(directory[len(directory)-1][:46])
		le.PutUint32(entry[20:], uint32(len(body)-30-len(name)))
		le.PutUint32(entry[42:], uint32(len(body)))
		le.PutUint16(entry[28:], uint16(len(name)))
		directory = append(directory, append(entry, name...))
	}
	start := len(body)
	for _, e := range directory {
		le.PutUint32(e[42:], uint32(start)-le.Uint32(e[42:]))
		body = append(body, e...)
	}
	end := append([]byte("PK\x05\x06"), make([]byte, 18)...)
	le.PutUint16(end[8:], uint16(n+1))
	le.PutUint16(end[10:], uint16(n+1))
	le.PutUint32(end[12:], uint32(len(body)-start))
	le.PutUint32(end[16:], uint32(start))
	return append(body, end...)
}

func TestOfficeDocuments(t *testing.T) { // SYSTEM N2
	word := func(more ...member) []byte { return officeFile(document.DOCX, more...) }
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"a document", word(), nothing},
		{"a document with a link", related1("hyperlink", "https://example.com/", "External"), nothing},
		{"a link to a script", related1("hyperlink", "javascript:alert(1)", "External"), "external"},
		{"a link to a file elsewhere", related1("hyperlink", `\\192.0.2.1\share`, "External"), "external"},
		{"a link to a file by its scheme", related1("hyperlink", "file://host/x", "External"), "external"},
		{"a template of the author's machine", related1("attachedTemplate", "file:///C:\\Templates\\a.dotx", "External"), nothing},
		{"a template elsewhere", related1("attachedTemplate", "https://evil.example/t.dotm", "External"), "external"},
		{"a template on another machine", related1("attachedTemplate", `file:///\\192.0.2.1\t.dotm`, "External"), "external"},
		{"a picture elsewhere", related1("image", "https://evil.example/pixel.png", "External"), "external"},
		{"a picture elsewhere without the word", related1("image", "https://evil.example/pixel.png", ""), "external"},
		{"a picture elsewhere in other letters", related1("image", "x.png", "EXTERNAL"), "external"},
		{"a picture within", related1("image", "media/x.png", "Internal"), nothing},
		{"an object that is linked", related1("oleObject", "https://evil.example/x", "External"), "active_content"},
		{"a page that is taken in", related1("aFChunk", "/word/chunk.html", ""), "active_content"},
		{"a control", related1("control", "x.xml", ""), "active_content"},
		{"a table of another file", related1("externalLinkPath", "other.xlsx", "External"), "external"},
		{"macros by their part", word(of("word/vbaProject.bin", "x")), "macros"},
		{"macros by their part in other letters", word(of("word/VBAPROJECT.BIN", "x")), "macros"},
		{"macros by their type", typedOffice("application/vnd.ms-word.document.macroEnabled.main+xml"), "macros"},
		{"macros by the type of a part", typedOffice(mains[document.DOCX], "application/vnd.ms-office.vbaProject"), "macros"},
		{"macros by their relation", related1("vbaProject", "innocent.bin", ""), "macros"},
		{"macros of Excel 4", word(of("xl/macrosheets/sheet1.xml", "<x/>")), "macros"},
		{"an OLE object", word(of("word/embeddings/oleObject1.bin", "x")), "active_content"},
		{"an OLE object under another name", word(of("word/media/image1.png", "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")), "active_content"},
		{"an ActiveX control", word(of("word/activeX/x.xml", "<x/>")), "active_content"},
		{"a program", word(of("word/media/image1.png", "MZ\x90\x00\x03\x00")), "program_inside"},
		{"a table within", word(of("word/embeddings/Table.xlsx", string(officeFile(document.XLSX)))), nothing},
		{"a table with macros within", word(of("word/embeddings/Table.xlsx", string(officeFile(document.XLSX, of("xl/vbaProject.bin", "x"))))), "macros"},
		{"a table", officeFile(document.XLSX), "wrong_kind"},
		{"two documents in one", typedOffice(mains[document.DOCX], mains[document.XLSX]), "wrong_kind"},
		{"a template", typedOffice(openxml + "wordprocessingml.template.main+xml"), "wrong_kind"},
		{"no document", typedOffice(), "wrong_kind"},
		{"an archive", pack(of("a", "b")), "wrong_kind"},
		{"types that are no XML", pack(of("[Content_Types].xml", "<x")), "damaged"},
		{"types with declarations", pack(of("[Content_Types].xml", `<!DOCTYPE x [<!ENTITY a "b">]><Types/>`)), "damaged"},
		{"types in UTF-16", pack(of("[Content_Types].xml", `<?xml version="1.0" encoding="UTF-16"?><Types/>`)), "damaged"},
		{"types nested without end", pack(of("[Content_Types].xml", strings.Repeat("<a>", 300_000))), "wrong_kind"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := check(t, c.data, document.DOCX, document.Limits{}); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestOpenDocuments(t *testing.T) { // SYSTEM N2
	text := func(content string, more ...member) []byte { return openFile(document.ODT, content, more...) }
	listed := func(m string) []byte { return packFirst(openTypes[document.ODT], of("META-INF/manifest.xml", m)) }
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"a document", text(`<office:scripts/><text:p>words</text:p>`), nothing},
		{"a document with a link", text(`<text:a xlink:href="https://example.com/">x</text:a>`), nothing},
		{"a link to a script", text(`<text:a xlink:href="vnd.sun.star.script:x$y?language=Basic">x</text:a>`), "macros"},
		{"a link to JavaScript", text(`<text:a xlink:href="javascript:x">x</text:a>`), "external"},
		{"a picture within", text(`<draw:image xlink:href="Pictures/1.png"/>`), nothing},
		{"an object within", text(`<draw:object xlink:href="./Object 1"/>`), nothing},
		{"a picture elsewhere", text(`<draw:image xlink:href="https://evil.example/1.png"/>`), "external"},
		{"a picture on another machine", text(`<draw:image xlink:href="//evil.example/1.png"/>`), "external"},
		{"a picture up in the folders", text(`<draw:image xlink:href="../../1.png"/>`), "external"},
		{"its template's place", text(``, of("meta.xml", `<meta:template xlink:href="file:///home/x.ott"/>`)), nothing},
		{"its template's place elsewhere", text(``, of("meta.xml", `<meta:template xlink:href="//evil.example/x.ott"/>`)), "external"},
		{"an event", text(`<script:event-listener script:language="ooo:script"/>`), "macros"},
		{"a turned page", text(`<presentation:event-listener presentation:action="next-page"/>`), nothing},
		{"a program started by a click", text(`<presentation:event-listener presentation:action="execute" xlink:href="calc"/>`), "macros"},
		{"a script", text(`<office:script script:language="ooo:Basic"/>`), "macros"},
		{"a script's folder", text(``, of("Basic/Standard/Module1.xml", "<x/>")), "macros"},
		{"a Python script", text(``, of("Scripts/python/x.py", "x")), "macros"},
		{"an OLE object", text(`<draw:object-ole xlink:href="./x"/>`), "active_content"},
		{"an OLE object by its bytes", text(``, of("Object 1", "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")), "active_content"},
		{"a frame", text(`<draw:floating-frame xlink:href="x"/>`), "active_content"},
		{"data by DDE", text(`<text:dde-connection-decl office:dde-application="soffice"/>`), "external"},
		{"no manifest", packFirst(openTypes[document.ODT], of("content.xml", "<x/>")), "damaged"},
		{"a manifest of another kind", listed(manifest(openTypes[document.ODS], "")), "wrong_kind"},
		{"a password", listed(manifest(openTypes[document.ODT], "<manifest:encryption-data/>")), "encrypted"},
		{"a table", openFile(document.ODS, ""), "wrong_kind"},
		{"a kind that comes second", pack(of("content.xml", "<x/>"), kept("mimetype", openTypes[document.ODT])), "wrong_kind"},
		{"a kind that is packed", pack(of("mimetype", openTypes[document.ODT])), "wrong_kind"},
		{"an Office document too", text(``, of("[Content_Types].xml", types(mains[document.DOCX]))), "wrong_kind"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := check(t, c.data, document.ODT, document.Limits{}); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestPDFs(t *testing.T) { // SYSTEM N2
	plain := pdfFile("")
	script := "<</S/JavaScript/JS(app.alert\\(1\\))>>"
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"a document", plain, nothing},
		{"a link", pdfFile("", "<</Type/Annot/Subtype/Link/A<</S/URI/URI(https://example.com/)>>>>"), nothing},
		{"a document of version 2.0", bytes.Replace(plain, []byte("1.7"), []byte("2.0"), 1), nothing},
		{"a version that there is not", bytes.Replace(plain, []byte("1.7"), []byte("9.9"), 1), "wrong_kind"},
		{"a page before it", append([]byte("<html>"), plain...), "wrong_kind"},
		{"a page behind it", append(bytes.Clone(plain), "<script>"...), "polyglot"},
		{"an archive behind it", append(bytes.Clone(plain), pack(of("a", "b"))...), "polyglot"},
		{"line ends behind it", append(bytes.Clone(plain), "\r\n\r\n"...), nothing},
		{"half of it", plain[:len(plain)-10], "damaged"},
		{"a table that is elsewhere", bytes.Replace(plain, []byte("startxref\n"), []byte("startxref\n9"), 1), "damaged"},
		{"nothing but a head", []byte("%PDF-1.7\n%%EOF"), "polyglot"},
		{"JavaScript", pdfFile("", script), "pdf_javascript"},
		{"JavaScript, spelled otherwise", pdfFile("", "<</S/J#61v#61Script/J#53(x)>>"), "pdf_javascript"},
		{"JavaScript, all spelled otherwise", pdfFile("", "<</S/#4A#61#76#61#53#63#72#69#70#74>>"), "pdf_javascript"},
		{"only its short name", pdfFile("", "<</JS 5 0 R>>"), "pdf_javascript"},
		{"JavaScript in a stream's bytes, where a table may point", pdfFile("", stream("", "9 0 obj "+script+" endobj")), "pdf_javascript"},
		{"JavaScript in an object stream", pdfFile("", inside("/Type/ObjStm", script)), "pdf_javascript"},
		{"JavaScript in an object stream that does not say so", pdfFile("", inside("", script)), "pdf_javascript"},
		{"JavaScript in an object stream that is not packed", pdfFile("", stream("/Type/ObjStm/N 1/First 5", "20 0 "+script)), "pdf_javascript"},
		{"an object stream", pdfFile("", inside("/Type/ObjStm", "<</S/GoTo>>")), nothing},
		{"an object stream, spelled otherwise", pdfFile("", inside("/Type/Obj#53tm", script)), "pdf_javascript"},
		{"an object stream packed twice", pdfFile("", stream("/Type/ObjStm/Filter[/ASCII85Decode/FlateDecode]", "x")), "pdf_unseen"},
		{"an object stream packed otherwise", pdfFile("", stream("/Type/ObjStm/Filter/LZWDecode", "x")), "pdf_unseen"},
		{"an object stream whose packing is said elsewhere", pdfFile("", stream("/Type/ObjStm/Filter 9 0 R", "x")), "pdf_unseen"},
		{"an object stream with a predictor", pdfFile("", inside("/Type/ObjStm/DecodeParms<</Predictor 12>>", script)), "pdf_unseen"},
		{"an object stream in another file", pdfFile("", stream("/Type/ObjStm/F(x)", "x")), "pdf_unseen"},
		{"an object stream that is damaged", pdfFile("", stream("/Type/ObjStm/Filter/FlateDecode", "x")), "pdf_unseen"},
		{"an object stream that is not opened", pdfFile("", "<</Type/ObjStm>>"), "pdf_unseen"},
		{"an object stream cut short", pdfFile("", stream("/Type/ObjStm/N 1/First 5/Filter/FlateDecode", flate("20 0 " + script + strings.Repeat(" padding", 99))[:60])), "pdf_javascript"},
		{"a bomb in an object stream", pdfFile("", inside("/Type/ObjStm", strings.Repeat(" ", 65<<20))), "too_large_inside"},
		{"a bomb in a stream of another kind", pdfFile("", stream("/Filter/FlateDecode", flate(strings.Repeat(" ", 65<<20)))), nothing},
		{"a program that is started", pdfFile("", "<</S/Launch/F(cmd.exe)>>"), "pdf_launch"},
		{"a file", pdfFile("/Names<</EmbeddedFiles 3 0 R>>"), "pdf_embedded_file"},
		{"a file without a name tree", pdfFile("", "<</Type/Filespec/EF<</F 5 0 R>>>>"), "pdf_embedded_file"},
		{"a film", pdfFile("", "<</Subtype/RichMedia>>"), "pdf_rich_media"},
		{"an action of a page", pdfFile("", "<</Type/Page/AA<</O 5 0 R>>>>"), "pdf_automatic_action"},
		{"a form that sends", pdfFile("", "<</S/SubmitForm/F(https://evil.example/)>>"), "pdf_sends"},
		{"a place in another file", pdfFile("", `<</S/GoToR/F(\\\\192.0.2.1\\x)>>`), "pdf_sends"},
		{"a form with scripts", pdfFile("/AcroForm<</XFA 5 0 R>>"), "pdf_javascript"},
		{"a password", bytes.Replace(plain, []byte("/Root"), []byte("/Encrypt 5 0 R/Root"), 1), "encrypted"},
		{"short names in a picture's bytes", pdfFile("", stream("/Filter/DCTDecode", "\xff\xd8 /JS /AA /EF ")), nothing},

		{"it opens at a page", pdfFile("/OpenAction[2 0 R/Fit]"), nothing},
		{"it opens at a page, by an action", pdfFile("/OpenAction<</S/GoTo/D[2 0 R/Fit]>>"), nothing},
		{"it opens at a page, said elsewhere", pdfFile("/OpenAction 3 0 R", "<</S /GoTo /D [2 0 R /Fit]>>"), nothing},
		{"it opens at a page, said elsewhere and packed", pdfFile("/OpenAction 21 0 R", inside("/Type/ObjStm", "<<>>", "<</S/GoTo/D[2 0 R/Fit]>>")), nothing},
		{"it opens an address", pdfFile("/OpenAction<</S/URI/URI(https://evil.example/)>>"), "pdf_automatic_action"},
		{"it opens an address, said elsewhere", pdfFile("/OpenAction 3 0 R", "<</S/URI/URI(https://evil.example/)>>"), "pdf_automatic_action"},
		{"it opens an address, said elsewhere and packed", pdfFile("/OpenAction 20 0 R", inside("/Type/ObjStm", "<</S/URI/URI(x)>>")), "pdf_automatic_action"},
		{"it opens what is not there", pdfFile("/OpenAction 9 0 R"), "pdf_automatic_action"},
		{"it opens a page and then an address", pdfFile("/OpenAction<</S/GoTo/D[2 0 R/Fit]/Next 3 0 R>>"), "pdf_automatic_action"},
		{"it opens a page in one version and an address in the next", pdfFile("/OpenAction 3 0 R", "<</S/GoTo/D[2 0 R/Fit]>>\nendobj\n3 0 obj\n<</S/URI/URI(x)>>"), "pdf_automatic_action"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := check(t, c.data, document.PDF, document.Limits{}); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestTexts(t *testing.T) { // SYSTEM N2
	for text, want := range map[string]string{
		"words\tand\r\nlines\f":     nothing,
		"\ufeffwords":               nothing,
		"=HYPERLINK(\"x\")":         nothing, // for whoever exports it
		"\u05d0\u200f 1":            nothing,
		strings.Repeat("ä", 99_999): nothing,
		"":                          "empty",
		"words\ufeff":               "control_characters",
		"\ufeff\ufeffwords":         "control_characters",
		"a\x00b":                    "control_characters",
		"a\x1b[31mb":                "control_characters",
		"a\u0085b":                  "control_characters",
		"a\ufffeb":                  "control_characters",
		"access\u202e\u2066 yes":    "direction_override",
		"latin \xe9 one":            "not_utf8",
		"cut \xc3":                  "not_utf8",
		"surrogate \xed\xa0\x80":    "not_utf8",
		"overlong \xc0\xaf":         "not_utf8",
		"\xff\xfea\x00":             "not_utf8",
	} {
		if got := check(t, []byte(text), document.TXT, document.Limits{}); got != want {
			t.Errorf("%q: got %q, want %q", text[:min(len(text), 20)], got, want)
		}
	}
}

// TestMutants changes good files in ten thousand ways, which are the same each time: nothing panics, each is judged quickly and in
// little memory, and what is taken as an archive is one to the standard library too, with the same names.
func TestMutants(t *testing.T) { // SYSTEM N2, T6
	seeds := map[document.Kind][]byte{
		document.PDF:  pdfFile("/OpenAction 3 0 R", "<</S/GoTo/D[2 0 R/Fit]>>", inside("/Type/ObjStm", "<</A 1>>", "<</B 2>>")),
		document.DOCX: officeFile(document.DOCX, of("word/embeddings/x.xlsx", string(officeFile(document.XLSX)))),
		document.ZIP:  pack(of("a/", ""), of("a/b.txt", strings.Repeat("b", 300)), kept("c", "c"), of("d.zip", string(pack(of("e", "e"))))),
	}
	each := 10_000
	if testing.Short() {
		each = 1000
	}
	for kind, seed := range seeds {
		t.Run(string(kind), func(t *testing.T) {
			if got := check(t, seed, kind, document.Limits{}); got != nothing {
				t.Fatalf("the unchanged file is refused: %s", got)
			}
			r := rand.New(rand.NewPCG(5, uint64(len(kind))))
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			taken, slowest := 0, time.Duration(0)
			for range each {
				data := mutate(r, seed)
				begun := time.Now()
				if check(t, data, kind, document.Limits{Total: 16 << 20}) == nothing {
					taken++
					alike(t, data, kind)
				}
				slowest = max(slowest, time.Since(begun))
			}
			runtime.ReadMemStats(&after)
			perFile := (after.TotalAlloc - before.TotalAlloc) / uint64(each)
			t.Logf("%d of %d taken, slowest %v, %d KiB allocated for one", taken, each, slowest, perFile>>10)
			if slowest > 2*time.Second || perFile > 4<<20 {
				t.Errorf("slowest %v, %d bytes allocated for one", slowest, perFile)
			}
		})
	}
}

// mutate flips bits, cuts, repeats and overwrites.
func mutate(r *rand.Rand, seed []byte) []byte {
	data := bytes.Clone(seed)
	for range 1 + r.IntN(4) {
		at := r.IntN(len(data))
		switch r.IntN(6) {
		case 0:
			data[at] ^= 1 << r.IntN(8)
		case 1:
			data[at] = byte(r.Uint32())
		case 2:
			copy(data[at:], []byte{0xff, 0xff, 0xff, 0xff}[:1+r.IntN(4)])
		case 3:
			data = data[:max(1, at)]
		case 4:
			n := min(len(data)-at, 1+r.IntN(64))
			data = append(data[:at+n:at+n], data[at:]...)
		case 5:
			copy(data[at:], seed[r.IntN(len(seed)):])
		}
	}
	return data
}

func alike(t *testing.T, data []byte, kind document.Kind) {
	t.Helper()
	if kind == document.PDF {
		return
	}
	r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Errorf("the standard library refuses what was taken: %v", err)
		return
	}
	for _, f := range r.File {
		in, err := f.Open()
		if err == nil {
			_, err = bytes.NewBuffer(nil).ReadFrom(in)
		}
		if err != nil || !fits(f.Name) {
			t.Errorf("%q was taken: %v", f.Name, err)
		}
	}
}

func fits(name string) bool { return !strings.Contains(name, "..") && !strings.HasPrefix(name, "/") }

func FuzzCheck(f *testing.F) {
	all := good()
	for _, kind := range kinds() {
		f.Add(all[kind], string(kind))
	}
	f.Add(fifield(3, 100), "zip")
	f.Fuzz(func(t *testing.T, data []byte, name string) {
		document.Foreign(data)
		kind, _ := document.Detect(data[:min(len(data), document.HeadSize)], "a."+name)
		for _, k := range []document.Kind{kind, document.Kind(name)} {
			if check(t, data, k, document.Limits{Total: 1 << 20}) == nothing {
				if k == document.ZIP {
					alike(t, data, k)
				}
			}
		}
	})
}

// TestWhatOthersPack takes what Info-ZIP writes, where it is installed.
func TestWhatOthersPack(t *testing.T) {
	tool, err := exec.LookPath("zip")
	if err != nil {
		t.Skip("zip is not installed: apt-get install zip")
	}
	dir := t.TempDir()
	script := `mkdir -p a/b && echo hello > a/b/c.txt && echo zoë > "a/zoë.txt" && ln -s /etc/passwd a/link && "$0" -q -y -r linked.zip a && rm a/link && "$0" -q -r out.zip a && "$0" -q -0 stored.zip a/b/c.txt`
	cmd := exec.Command("sh", "-c", script, tool)
	cmd.Dir = dir
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("packing: %v, %s", err, said)
	}
	for name, want := range map[string]string{"out.zip": nothing, "stored.zip": nothing, "linked.zip": "link"} {
		if got := check(t, read(t, dir+"/"+name), document.ZIP, document.Limits{}); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}
