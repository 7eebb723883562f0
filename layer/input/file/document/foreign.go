package document

import (
	"bytes"
	"strings"
)

// A foreigner is a format that is known and not taken.
type foreigner struct {
	name    reason
	what    string // in the plural
	at      int
	magic   string
	program bool // which is refused within archives too
	archive bool // which cannot be looked into
}

// foreigners are found by their first bytes, the earlier before the later. It is for sentences that help, and for what lies in
// archives; what is not listed is not taken either.
var foreigners = []foreigner{
	{name: "windows_program", what: "Windows programs", magic: "MZ", program: true},
	{name: "linux_program", what: "Linux programs", magic: "\x7fELF", program: true},
	{name: "mac_program", what: "Mac programs", magic: "\xfe\xed\xfa\xce", program: true},
	{name: "mac_program", what: "Mac programs", magic: "\xfe\xed\xfa\xcf", program: true},
	{name: "mac_program", what: "Mac programs", magic: "\xce\xfa\xed\xfe", program: true},
	{name: "mac_program", what: "Mac programs", magic: "\xcf\xfa\xed\xfe", program: true},
	{name: "java_program", what: "Java programs", magic: "\xca\xfe\xba\xbe", program: true}, // or a Mac's, for two processors
	{name: "android_program", what: "Android programs", magic: "dex\n", program: true},
	{name: "wasm_program", what: "WebAssembly programs", magic: "\x00asm", program: true},
	{name: "windows_shortcut", what: "Windows shortcuts", magic: "L\x00\x00\x00\x01\x14\x02\x00", program: true},
	{name: "windows_help", what: "Windows help files", magic: "ITSF", program: true},
	{name: "debian_package", what: "software packages", magic: "!<arch>\n", program: true},
	{name: "rpm_package", what: "software packages", magic: "\xed\xab\xee\xdb", program: true},
	{name: "flash", what: "Flash films", magic: "FWS", program: true},
	{name: "flash", what: "Flash films", magic: "CWS", program: true},
	{name: "flash", what: "Flash films", magic: "ZWS", program: true},
	// Also installers (.msi) and messages (.msg): the container says nothing of what is in it, and macros hide in it well.
	{name: "old_office", what: "Office documents of before 2007, or with a password,", magic: "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", archive: true},
	{name: "onenote", what: "OneNote notebooks", magic: "\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d", archive: true},
	{name: "rtf", what: "RTF documents", magic: "{\\rt", archive: true},
	{name: "rar", what: "RAR archives", magic: "Rar!\x1a\x07", archive: true},
	{name: "seven_zip", what: "7z archives", magic: "7z\xbc\xaf\x27\x1c", archive: true},
	{name: "gzip", what: "gzip archives", magic: "\x1f\x8b\x08", archive: true},
	{name: "bzip2", what: "bzip2 archives", magic: "BZh", archive: true},
	{name: "xz", what: "xz archives", magic: "\xfd7zXZ\x00", archive: true},
	{name: "zstd", what: "Zstandard archives", magic: "\x28\xb5\x2f\xfd", archive: true},
	{name: "cabinet", what: "cabinet archives", magic: "MSCF", archive: true},
	{name: "lzip", what: "lzip archives", magic: "LZIP", archive: true},
	{name: "tar", what: "tar archives", at: 257, magic: "ustar", archive: true},
	{name: "split_zip", what: "archives in several parts", magic: "PK\x07\x08", archive: true},
	{name: "disk_image", what: "disk images", magic: "vhdxfile", archive: true},
	{name: "disk_image", what: "disk images", magic: "QFI\xfb", archive: true},
	{name: "disk_image", what: "disk images", magic: "KDMV", archive: true},
	{name: "mp4", what: "films", at: 4, magic: "ftyp"},
	{name: "matroska", what: "films", magic: "\x1a\x45\xdf\xa3"},
	{name: "mpeg", what: "films", magic: "\x00\x00\x01\xba"},
	{name: "avi", what: "films", at: 8, magic: "AVI "},
	{name: "flv", what: "films", magic: "FLV\x01"},
	{name: "asf", what: "films", magic: "\x30\x26\xb2\x75\x8e\x66\xcf\x11"},
	{name: "wav", what: "sound files", at: 8, magic: "WAVE"},
	{name: "mp3", what: "sound files", magic: "ID3"},
	{name: "ogg", what: "sound files", magic: "OggS"},
	{name: "flac", what: "sound files", magic: "fLaC"},
	{name: "midi", what: "sound files", magic: "MThd"},
	{name: "postscript", what: "PostScript programs", magic: "%!PS", program: true},
	{name: "photoshop", what: "Photoshop pictures", magic: "8BPS"},
	{name: "sqlite", what: "databases", magic: "SQLite format 3\x00"},
	{name: "djvu", what: "DjVu documents", magic: "AT&TFORM"},
	{name: "font", what: "fonts", magic: "wOFF"},
	{name: "font", what: "fonts", magic: "wOF2"},
	{name: "font", what: "fonts", magic: "OTTO\x00"},
	{name: "utf16_text", what: "texts in UTF-16", magic: "\xff\xfe"},
	{name: "utf16_text", what: "texts in UTF-16", magic: "\xfe\xff"},
	{name: "html", what: "web pages"},
	{name: "svg", what: "SVG drawings"},
	{name: "xml", what: "XML files"},
}

// markup are the beginnings of what a browser would take for a page if it were left to guess (WHATWG MIME Sniffing, 7.1).
var markup = []foreigner{
	{name: "svg", magic: "<svg"},
	{name: "xml", magic: "<?xml"},
	{name: "html", magic: "<!doctype"}, {name: "html", magic: "<html"}, {name: "html", magic: "<head"}, {name: "html", magic: "<script"},
	{name: "html", magic: "<iframe"}, {name: "html", magic: "<h1"}, {name: "html", magic: "<div"}, {name: "html", magic: "<font"},
	{name: "html", magic: "<table"}, {name: "html", magic: "<a "}, {name: "html", magic: "<style"}, {name: "html", magic: "<title"},
	{name: "html", magic: "<b>"}, {name: "html", magic: "<body"}, {name: "html", magic: "<br"}, {name: "html", magic: "<p>"}, {name: "html", magic: "<p "},
	{name: "html", magic: "<!--"},
	{name: "html", magic: "<img"}, {name: "html", magic: "<meta"}, {name: "html", magic: "<link"}, {name: "html", magic: "<base"},
	{name: "html", magic: "<object"}, {name: "html", magic: "<embed"}, {name: "html", magic: "<form"},
}

// Foreign refuses what begins like a format that is known but never taken, by that format's name. It is nil for all else.
func Foreign(head []byte) *Refused {
	if f := stranger(head); f != nil {
		return refused(f.name)
	}
	return nil
}

func stranger(head []byte) *foreigner {
	for i, f := range foreigners {
		if f.magic == "" || len(head) < f.at || !bytes.HasPrefix(head[f.at:], []byte(f.magic)) {
			continue
		}
		if len(f.magic) > 3 || !texty(head) { // a text may well begin with MZ
			return &foreigners[i]
		}
	}
	text := strings.ToLower(strings.TrimLeft(strings.TrimPrefix(string(head[:min(len(head), HeadSize)]), "\ufeff"), " \t\r\n\f"))
	for i, f := range markup {
		if strings.HasPrefix(text, f.magic) {
			if f.name == "xml" && strings.Contains(text, "<svg") {
				return &markup[0]
			}
			return &markup[i]
		}
	}
	return nil
}

func refusedForeign(name reason, what string) *Refused {
	what = strings.ToUpper(what[:1]) + what[1:]
	return &Refused{string(name), what + " cannot be taken."}
}
