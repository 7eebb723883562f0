// Package clean cleans rich text when it is saved (SYSTEM N3), so that what lies in the database is harmless already: a page that
// forgets to clean it, an export, a mail and a program in another language get the same clean text.
//
// # What it assumes has failed
//
// Everything before it. Whoever wrote the HTML meant harm and knows this code. Everything after it, too: it will be written into a
// page as it is, without being cleaned again, under no content security policy.
//
// # What it stops
//
// Whatever is not on the allow-list: scripts, handlers, styles, forms, frames, foreign content, comments, every attribute that is
// not named there, links that are not https, http or mailto, images from anywhere but our own file route, elements where they may
// not stand, and what is not balanced, so that no text closes an element of the page around it. Characters that reverse the
// direction of text and control characters are taken out.
//
// The engine is bluemonday, which filters tokens and knows nothing of trees; what it lets through is written anew by a writer that knows
// nesting and believes bluemonday nothing: it reads only tags of the one form that bluemonday writes, and every other "<" becomes text.
// bluemonday reads HTML with the tokenizer of golang.org/x/net/html. So does package render beneath its parser: a fault of that
// tokenizer meets both, and then the content security policy (layer/transport) stands alone.
//
// # What it does not stop
//
// A lie in plain words, a link to a bad place, an image of somebody else's (package render asks whose it is). What is written where a
// link, a paragraph, a heading or a button of the page is open: a text belongs into a block of its own. Towers of combining characters:
// its block clips what overflows.
//
// # How it is knocked out in a drill
//
// The text is saved as it came. Package render alone must then keep it harmless, and after it the content security policy.
//
// # Example
//
//	text, err := clean.HTML(`<p onclick="x()">Hello <script>x()</script></p>`)
//	if err != nil {
//		return err // a *layer.Refusal: too large
//	}
//	save(text.HTML) // <p>Hello </p>
package clean

import (
	"strings"

	"github.com/microcosm-cc/bluemonday"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/input/richtext/internal/allowlist"
)

// A Fragment is clean HTML and what it refers to.
type Fragment struct {
	HTML   string
	Links  []string // addresses, each once, in the order in which they come
	Images []string // names of files of our own file route, each once
}

// HTML cleans what anybody may have written. It refuses only what is too large (a *layer.Refusal); whatever else does not belong is
// taken out, and its text stays. The HTML of a Fragment is clean: to clean it again changes nothing.
func HTML(dirty string) (Fragment, error) {
	if len(dirty) > allowlist.MaxHTML {
		return Fragment{}, tooLarge()
	}
	w := writer{out: make([]byte, 0, len(dirty)+len(dirty)/4)}
	w.rewrite(filter.Sanitize(strings.Map(readable, dirty)))
	if len(w.out) > allowlist.MaxHTML || w.count > allowlist.MaxElements {
		return Fragment{}, tooLarge()
	}
	return Fragment{HTML: string(w.out), Links: w.links, Images: w.images}, nil
}

func tooLarge() *layer.Refusal {
	return &layer.Refusal{By: layer.Input, Reason: layer.TooLarge, Public: "This text is too long once it is marked up."}
}

// readable drops what nobody reads: control characters, and those that turn the direction of text around, with which a name or an
// amount is shown backwards.
func readable(r rune) rune {
	switch {
	case r == '\n' || r == '\t' || r == '\r':
		return r
	case r < ' ' || r >= 0x7f && r <= 0x9f || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069:
		return -1
	}
	return r
}

// filter is bluemonday, told what the allow-list says. It is never changed after this.
var filter = newFilter()

func newFilter() *bluemonday.Policy {
	p := bluemonday.NewPolicy()
	for _, e := range allowlist.Elements() {
		for _, name := range e.Attributes {
			p.AllowAttrs(name).Matching(form[name]).OnElements(e.Name)
		}
		if e.Required == "" {
			p.AllowNoAttrs().OnElements(e.Name)
		}
	}
	p.RequireParseableURLs(true)
	p.AllowURLSchemes(allowlist.Schemes()...)
	p.AllowRelativeURLs(true) // for our files; what a link looks like, form says
	p.AllowElementsContent("frame", "frameset", "nostyle")
	p.SkipElementsContent(allowlist.Mute()...)
	return p
}
