package document

import (
	"encoding/xml"
	"io"
	"strings"
)

// OpenDocument 1.3 (part 2, packages): the archive's first entry is its media type, not compressed, so that it is to be seen in the
// file's first bytes; the manifest says it again.

var openTypes = map[Kind]string{
	ODT: "application/vnd.oasis.opendocument.text",
	ODS: "application/vnd.oasis.opendocument.spreadsheet",
	ODP: "application/vnd.oasis.opendocument.presentation",
}

const openEntry = "mimetype"

// openKind is what an archive's first entry says, if it says it in the way that it must.
func (a *archive) openKind() (Kind, bool) {
	e := a.entries[0]
	if e.name != openEntry || e.method != stored || e.data != headerSize+int64(len(openEntry)) || e.size > peekSize {
		return "", false
	}
	text := make([]byte, e.size)
	if _, err := a.r.ReadAt(text, e.data); err != nil {
		return "", false
	}
	for kind, mediaType := range openTypes {
		if string(text) == mediaType {
			return kind, true
		}
	}
	return "", false
}

type openDocument struct {
	kind     Kind
	manifest bool // whether the manifest says so too
}

func (o *openDocument) name(name string) reason {
	for _, folder := range []string{"basic/", "scripts/", "dialogs/", "meta-inf/macrosignatures"} {
		if strings.HasPrefix(name, folder) {
			return macros
		}
	}
	return ""
}

func (o *openDocument) reads(name string) bool { return strings.HasSuffix(name, ".xml") }

func (o *openDocument) read(name string, r io.Reader) reason {
	if name == "meta-inf/manifest.xml" {
		return elements(r, o.listed)
	}
	return elements(r, openElement)
}

func (o *openDocument) opaque() reason { return activeContent }

// listed looks at one line of the manifest.
func (o *openDocument) listed(e xml.StartElement) reason {
	switch {
	case e.Name.Local == "encryption-data", e.Name.Local == "encrypted-key":
		return encrypted
	case e.Name.Local != "file-entry" || attribute(e, "full-path") != "/":
		return ""
	case attribute(e, "media-type") != openTypes[o.kind]:
		return wrongKind
	}
	o.manifest = true
	return ""
}

func (o *openDocument) done() reason {
	if !o.manifest {
		return damaged
	}
	return ""
}

// openElement looks at one element of a part's. What runs or is loaded is named by elements and by addresses.
func openElement(e xml.StartElement) reason {
	switch e.Name.Local {
	case "event-listener":
		if e.Name.Space != "presentation" { // those turn pages
			return macros
		}
	case "script":
		return macros
	case "object-ole", "plugin", "applet", "floating-frame":
		return activeContent
	case "dde-source", "dde-connection-decl", "dde-link":
		return external
	}
	for _, a := range e.Attr {
		if why := openAttribute(e.Name.Local, a); why != "" {
			return why
		}
	}
	return ""
}

func openAttribute(element string, a xml.Attr) reason {
	switch s := scheme(a.Value); {
	case s == "vnd.sun.star.script", a.Name.Local == "macro-name", a.Name.Local == "href" && (s == "macro" || s == "script"):
		return macros
	case a.Name.Local == "action" && (a.Value == "execute" || a.Value == "execute-macro"):
		return macros
	case a.Name.Local != "href":
		return ""
	case element == "a" && clickable(a.Value), element == "template" && ofHere(a.Value):
		return ""
	case s != "", strings.HasPrefix(a.Value, "/"), strings.HasPrefix(a.Value, ".."):
		return external
	}
	return ""
}

// ofHere reports whether an address is of a file on the machine where the document was made, which is noted and not loaded.
func ofHere(address string) bool {
	local, _ := strings.CutPrefix(address, "file://")
	return strings.HasPrefix(local, "/") && !strings.HasPrefix(local, "//")
}
