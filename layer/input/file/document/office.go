package document

import (
	"encoding/xml"
	"io"
	"regexp"
	"strings"
)

// Office Open XML (ECMA-376, part 2): an archive whose parts have types, listed in one of them, and relations, listed in files
// beside them. What runs has a type of its own, what is loaded a relation; the names of parts are free, but those that Office
// writes are refused too.

const contentTypes = "[Content_Types].xml"

const officePrefix = "application/vnd.openxmlformats-officedocument."

// offices are the kinds, each with its media type and the type of its main part. Those with macros have other types.
var offices = map[Kind]struct{ mediaType, main string }{
	DOCX: {officePrefix + "wordprocessingml.document", officePrefix + "wordprocessingml.document.main+xml"},
	XLSX: {officePrefix + "spreadsheetml.sheet", officePrefix + "spreadsheetml.sheet.main+xml"},
	PPTX: {officePrefix + "presentationml.presentation", officePrefix + "presentationml.presentation.main+xml"},
}

type office struct {
	kind  Kind // empty for any, within another document
	typed bool // whether the list of types was there
	mains int  // parts of a main type
	right bool // whether the main part's is the kind's
}

func (o *office) name(name string) reason {
	switch file := base(name); {
	case strings.HasPrefix(file, "vbaproject"), strings.HasPrefix(file, "vbadata"), strings.Contains(name, "macrosheets/"):
		return macros
	case strings.HasPrefix(file, "oleobject"), strings.HasPrefix(file, "activex"), strings.Contains(name, "activex/"):
		return activeContent
	}
	return ""
}

func (o *office) reads(name string) bool {
	return name == strings.ToLower(contentTypes) || strings.HasSuffix(name, ".rels")
}

func (o *office) read(name string, r io.Reader) reason {
	if strings.HasSuffix(name, ".rels") {
		return elements(r, relation)
	}
	o.typed = true
	return elements(r, o.typeOf)
}

func (o *office) opaque() reason { return activeContent }

// typeOf looks at one part's type, or at that of all parts of one extension.
func (o *office) typeOf(e xml.StartElement) reason {
	t := strings.ToLower(strings.TrimSpace(attribute(e, "ContentType")))
	switch {
	case strings.Contains(t, "macroenabled"), strings.Contains(t, "macrosheet"), strings.Contains(t, "vbaproject"),
		strings.Contains(t, "vbadata"):
		return macros
	case strings.Contains(t, "activex"), strings.Contains(t, "oleobject"):
		return activeContent
	case !strings.HasSuffix(t, ".main+xml"):
		return ""
	}
	o.mains++
	if t == offices[o.kind].main {
		o.right = true
	}
	return ""
}

func (o *office) done() reason {
	switch {
	case !o.typed:
		return damaged
	case o.kind != "" && (o.mains != 1 || !o.right):
		return wrongKind
	}
	return ""
}

// ofThisMachine is where Word notes the template that a document was made from. It leads to no other machine.
var ofThisMachine = regexp.MustCompile(`(?i)^file:///[a-z]:[\\/]`)

// relation looks at one relation of a part's. To the outside there are links that a person clicks on, and no others.
func relation(e xml.StartElement) reason {
	if e.Name.Local != "Relationship" {
		return ""
	}
	whole := strings.ToLower(strings.TrimSpace(attribute(e, "Type")))
	kind, target := whole[strings.LastIndex(whole, "/")+1:], strings.TrimSpace(attribute(e, "Target"))
	switch kind {
	case "vbaproject", "wordvbadata", "xlmacrosheet", "xlintlmacrosheet":
		return macros
	case "oleobject", "control", "activexcontrolbinary", "afchunk":
		return activeContent
	}
	mode := strings.TrimSpace(attribute(e, "TargetMode"))
	outside := mode != "" && !strings.EqualFold(mode, "Internal") || scheme(target) != ""
	switch {
	case !outside, kind == "hyperlink" && clickable(target), kind == "attachedtemplate" && ofThisMachine.MatchString(target):
		return ""
	}
	return external
}
