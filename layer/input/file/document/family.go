package document

import (
	"encoding/xml"
	"errors"
	"io"
	"path"
	"strings"
)

// A family is what a kind of archive demands beyond being one. Names are in lower case, as Windows and so Office read them.
type family interface {
	name(name string) reason              // what is wrong with there being such an entry
	reads(name string) bool               // whether read wants it
	read(name string, r io.Reader) reason // what is wrong with its content
	opaque() reason                       // what to call something in it that cannot be looked into
	done() reason                         // what is missing in the end
}

// family finds out by an archive's content what it is, and whether that is k; the empty kind is any, for archives within archives.
func (a *archive) family(k Kind) (family, reason) {
	found := family(plainArchive{})
	if kind, ok := a.openKind(); ok {
		found = &openDocument{kind: kind}
	}
	for _, e := range a.entries {
		if strings.EqualFold(e.name, contentTypes) {
			found = &office{kind: k}
		}
	}
	_, isPlain := found.(plainArchive)
	_, isOffice := found.(*office)
	_, wantsOffice := offices[k]
	switch open, isOpen := found.(*openDocument); {
	case k == "":
	case k == ZIP && !isPlain:
		return nil, officeAsZip
	case wantsOffice != isOffice, openTypes[k] != "" != isOpen, isOpen && open.kind != k:
		return nil, wrongKind
	}
	return found, ""
}

// A plainArchive may have anything in it that is neither a program nor another kind of archive.
type plainArchive struct{}

func (plainArchive) name(name string) reason {
	switch name {
	case "meta-inf/manifest.mf", "androidmanifest.xml", "classes.dex":
		return programInside // Java and Android start these, whatever they are called
	}
	return ""
}
func (plainArchive) reads(string) bool             { return false }
func (plainArchive) read(string, io.Reader) reason { return "" }
func (plainArchive) opaque() reason                { return archiveInside }
func (plainArchive) done() reason                  { return "" }

// elements calls visit for each element that begins. Nesting is not checked, and so takes no memory. What is not plain XML in
// UTF-8 is damaged: a document type declaration could define what we then would not see.
func elements(r io.Reader, visit func(xml.StartElement) reason) reason {
	d := xml.NewDecoder(r)
	for {
		token, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			return ""
		}
		if err != nil {
			return damaged
		}
		switch token := token.(type) {
		case xml.Directive:
			return damaged
		case xml.StartElement:
			if why := visit(token); why != "" {
				return why
			}
		}
	}
}

// attribute is the value of an element's attribute by its local name; of two that have it, the first.
func attribute(e xml.StartElement, local string) string {
	for _, a := range e.Attr {
		if a.Name.Local == local {
			return a.Value
		}
	}
	return ""
}

// scheme is what stands before an address's colon, in lower case; for what leads to another machine or drive without one it is
// "file".
func scheme(address string) string {
	address = strings.Map(func(r rune) rune {
		if r <= ' ' {
			return -1 // which readers drop
		}
		return r
	}, address)
	before, _, found := strings.Cut(address, ":")
	switch {
	case strings.HasPrefix(address, "//"), strings.HasPrefix(address, `\`):
		return "file"
	case found && !strings.ContainsAny(before, "/?#"):
		return strings.ToLower(before)
	}
	return ""
}

// clickable are the addresses to which a person may choose to go.
func clickable(address string) bool {
	switch scheme(address) {
	case "", "http", "https", "mailto", "tel":
		return true
	}
	return false
}

func base(name string) string { return path.Base(name) }
