// Package richtext takes what people write, in Markdown, and makes of it what is kept: the source, for the next edit, and HTML that
// package clean has cleaned (SYSTEM N3). Package render cleans it again whenever it is shown. The two share the allow-list, which
// testdata/allowlist.golden shows, and no code.
//
// # What it assumes has failed
//
// Nothing about its caller is believed: a source is as hostile as HTML. That schemas bound it (layer/input) is not relied upon.
//
// # What it stops
//
// All that package clean stops. HTML in the source is text: what is typed is what is read, so nobody loses a line about <b> to a filter.
// Sources that take more than their share: longer than the bounds, nested more deeply than anybody reads, or small ones that grow
// large (one long address, referred to a thousand times). They are refused with a sentence that says what would be right.
//
// # What it does not stop
//
// See packages clean and render. Whose a file is that a source shows: Document.Images names them, so that the caller can refuse those
// that are not the author's to show, and package render asks again.
//
// # How it is knocked out in a drill
//
// The drill keeps what the client sent as if it were HTML that package clean had cleaned.
//
// # Example
//
//	text, err := richtext.FromMarkdown("body", in.Body)
//	if err != nil {
//		return err // a *layer.Refusal
//	}
//	save(text.Source, text.HTML)
//	...
//	body, err := render.HTML(post.HTML, render.Policy{Image: post.Shows})
package richtext

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/input/richtext/clean"
	"github.com/redoubt-dev/redoubt/layer/input/richtext/internal/allowlist"
)

// The bounds of one text, for schemas and forms (SYSTEM T6). What is within them may still be refused for what it grows to.
const (
	MaxRunes = allowlist.MaxRunes  // characters of source
	MaxBytes = allowlist.MaxSource // bytes of source
	MaxHTML  = allowlist.MaxHTML   // bytes of the HTML that is kept: a bound for its column
)

// A Document is a text as it is kept.
type Document struct {
	Source string   // as it was typed
	HTML   string   // clean, for package render alone
	Links  []string // the addresses that it links to, each once, in the order in which they come
	Images []string // the names of the files that it shows, each once; whether the author may show them is for the caller to find out
}

// FromMarkdown makes a Document of what somebody typed: CommonMark with strikethrough, and with addresses as links. A line's end is a
// line's end. Headings begin at the third level, beneath the page's own. An image from elsewhere becomes a link. An error is a
// *layer.Refusal about field, which is what the text is called where it was typed.
func FromMarkdown(field, source string) (Document, error) {
	if why := outOfBounds(source); why != "" {
		return Document{}, refused(field, why, nil)
	}
	dirty, err := convert(source)
	if err != nil {
		return Document{}, refused(field, reasonOf(err), err)
	}
	f, err := clean.HTML(dirty)
	if err != nil {
		return Document{}, err
	}
	return Document{Source: source, HTML: f.HTML, Links: f.Links, Images: f.Images}, nil
}

func outOfBounds(source string) string {
	switch {
	case len(source) > allowlist.MaxSource:
		return fmt.Sprintf("must have at most %d bytes", allowlist.MaxSource)
	case !utf8.ValidString(source):
		return "must be text in UTF-8"
	case utf8.RuneCountInString(source) > allowlist.MaxRunes:
		return fmt.Sprintf("must have at most %d characters", allowlist.MaxRunes)
	case strings.ContainsFunc(source, hidden):
		return "must not contain control characters, nor such as change the direction of text"
	case deepest(source) > allowlist.MaxDepth:
		return errDeep.Error()
	case strings.Count(source, "](") > 2*(allowlist.MaxLinks+allowlist.MaxImages): // goldmark looks for the end of each, as far as it takes
		return errLinks.Error()
	}
	return ""
}

// hidden are characters that nobody sees and that a column of text (NUL), a log or a reader would stumble over.
func hidden(r rune) bool {
	return unicode.IsControl(r) && !strings.ContainsRune("\t\n\r", r) || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
}

// A bound is an error that may be shown.
type bound string

func (b bound) Error() string { return string(b) }

const (
	errDeep     bound = "must not be nested so deeply"
	errElements bound = "must not have so many marks"
	errLinks    bound = "must not have so many links"
	errImages   bound = "must not have so many images"
	errGrown    bound = "is too long once it is marked up"
)

func reasonOf(err error) string {
	var b bound
	if errors.As(err, &b) {
		return b.Error()
	}
	return "cannot be read as Markdown"
}

func refused(field, detail string, cause error) *layer.Refusal {
	return &layer.Refusal{By: layer.Input, Reason: layer.Invalid, Public: "The text " + detail + ".", Fields: []layer.Field{{Name: field, Detail: detail}}, Cause: cause}
}
