package document

// A Refused is why a document is not taken. It says nothing that came from the document, so it may be shown, logged and counted.
type Refused struct {
	Name   string // one of a closed vocabulary, for programs
	Public string // a sentence for the person who sent it
}

// Error implements error.
func (r *Refused) Error() string { return "document refused: " + r.Name }

// Known finds a refusal by its name. Who lets another process check believes of its answer only the name, and this table.
func Known(name string) (*Refused, bool) {
	if public, ok := sentences[reason(name)]; ok {
		return &Refused{name, public}, true
	}
	for _, f := range foreigners {
		if string(f.name) == name {
			return refusedForeign(f.name, f.what), true
		}
	}
	return nil, false
}

// A reason is a name of the vocabulary; empty is none.
type reason string

func refused(why reason) *Refused {
	r, _ := Known(string(why))
	return r
}

const (
	unknownKind    reason = "unknown_kind"
	tooManyBytes   reason = "too_many_bytes"
	empty          reason = "empty"
	unreadable     reason = "unreadable"
	damaged        reason = "damaged"
	polyglot       reason = "polyglot"
	encrypted      reason = "encrypted"
	wrongKind      reason = "wrong_kind"
	tooManyEntries reason = "too_many_entries"
	tooLargeInside reason = "too_large_inside"
	bomb           reason = "bomb"
	tooDeep        reason = "too_deep"
	badName        reason = "bad_name"
	sameName       reason = "same_name"
	overlap        reason = "overlap"
	link           reason = "link"
	zip64          reason = "zip64"
	compression    reason = "compression"
	archiveInside  reason = "archive_inside"
	programInside  reason = "program_inside"
	macros         reason = "macros"
	activeContent  reason = "active_content"
	external       reason = "external"
	officeAsZip    reason = "office_as_zip"
	pdfScript      reason = "pdf_javascript"
	pdfLaunch      reason = "pdf_launch"
	pdfEmbedded    reason = "pdf_embedded_file"
	pdfMedia       reason = "pdf_rich_media"
	pdfAction      reason = "pdf_automatic_action"
	pdfSends       reason = "pdf_sends"
	pdfUnseen      reason = "pdf_unseen"
	notUTF8        reason = "not_utf8"
	control        reason = "control_characters"
	direction      reason = "direction_override"
)

// sentences are for people. Each says what can be done.
var sentences = map[reason]string{
	unknownKind:    "Files of this kind cannot be taken.",
	tooManyBytes:   "The file is too large.",
	empty:          "The file is empty.",
	unreadable:     "The file cannot be read.",
	damaged:        "The file is damaged or incomplete. Save it again and try once more.",
	polyglot:       "The file has something before, between or behind its parts. Save it again and try once more.",
	encrypted:      "The file is protected by a password. Save it without one.",
	wrongKind:      "The file is not what its name says. Save it again under a name with the right ending.",
	tooManyEntries: "The archive has too many files in it.",
	tooLargeInside: "What is packed in the file is too large.",
	bomb:           "The file unpacks to far more than what can be taken.",
	tooDeep:        "There are archives within archives in the file. Unpack them first.",
	badName:        "A file in the archive has a name that cannot be taken. Use plain names.",
	sameName:       "Two files in the archive have the same name.",
	overlap:        "Parts of the archive overlap.",
	link:           "The archive has links or devices in it. Pack the files themselves.",
	zip64:          "The archive is in the format for very large ones. Pack it again.",
	compression:    "The archive is packed in an unusual way. Pack it again as a common ZIP.",
	archiveInside:  "There is an archive in the file that cannot be looked into. Unpack it first.",
	programInside:  "There is a program in the file. Programs cannot be taken.",
	macros:         "The document has macros in it. Save it without them.",
	activeContent:  "The document has active or embedded objects in it. Save it without them.",
	external:       "The document loads parts of it from elsewhere. Save it with everything in it.",
	officeAsZip:    "This is an Office document. Give its name the right ending, such as .docx.",
	pdfScript:      "The PDF has JavaScript in it. Print it to a new PDF.",
	pdfLaunch:      "The PDF starts other programs. Print it to a new PDF.",
	pdfEmbedded:    "The PDF has other files in it. Print it to a new PDF.",
	pdfMedia:       "The PDF has embedded media in it. Print it to a new PDF.",
	pdfAction:      "The PDF does something by itself when it is opened. Print it to a new PDF.",
	pdfSends:       "The PDF sends or loads data. Print it to a new PDF.",
	pdfUnseen:      "The PDF is packed in a way that cannot be looked into. Print it to a new PDF.",
	notUTF8:        "The text is not in UTF-8. Save it as UTF-8.",
	control:        "The text has control characters in it.",
	direction:      "The text has characters in it that turn the direction of other text.",
}
