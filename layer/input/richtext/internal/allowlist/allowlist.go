// Package allowlist is what rich text may hold, as data: elements, their attributes, what may stand in what, and how much of it
// (SYSTEM N3). It is the one thing that cleaning on save and cleaning on render have in common. They read this table by
// different code. A wrong line in it is wrong in both, which is why it is short, and why people read it as a table, which a test holds to
// it: richtext/testdata/allowlist.golden.
//
// What is not here does not exist: no class, id, style, data-* or on*; no forms, frames, tables, SVG or MathML; no first and second
// heading, which are the page's own.
package allowlist

// A Kind is what an element is to the one around it.
type Kind string

// The kinds.
const (
	Block  Kind = "block"
	Item   Kind = "item"   // of a list
	Inline Kind = "inline" // within a line; never within another of its own name
)

// A Pair is an attribute and its value.
type Pair struct{ Name, Value string }

// An Element is one element that may stay.
type Element struct {
	Name       string
	Kind       Kind
	Holds      []Kind // the elements that may stand directly in it; text may, unless it is void
	Void       bool   // has no content and no end tag
	Required   string // the attribute without which it makes no sense and is dropped; "" for none
	Attributes []string
	Forced     []Pair // written whatever was there
}

var flow = []Kind{Block, Inline}

// root holds the whole text, as an element of the page does.
var root = Element{Holds: flow}

var elements = []Element{
	{Name: "p", Kind: Block, Holds: []Kind{Inline}},
	{Name: "h3", Kind: Block, Holds: []Kind{Inline}},
	{Name: "h4", Kind: Block, Holds: []Kind{Inline}},
	{Name: "h5", Kind: Block, Holds: []Kind{Inline}},
	{Name: "h6", Kind: Block, Holds: []Kind{Inline}},
	{Name: "blockquote", Kind: Block, Holds: flow},
	{Name: "ul", Kind: Block, Holds: []Kind{Item}},
	{Name: "ol", Kind: Block, Holds: []Kind{Item}, Attributes: []string{"start"}},
	{Name: "li", Kind: Item, Holds: flow},
	{Name: "pre", Kind: Block, Holds: []Kind{Inline}},
	{Name: "hr", Kind: Block, Void: true},
	{Name: "a", Kind: Inline, Holds: []Kind{Inline}, Required: "href", Attributes: []string{"href"},
		Forced: []Pair{{"target", "_blank"}, {"rel", "noopener noreferrer"}}},
	{Name: "strong", Kind: Inline, Holds: []Kind{Inline}},
	{Name: "em", Kind: Inline, Holds: []Kind{Inline}},
	{Name: "del", Kind: Inline, Holds: []Kind{Inline}},
	{Name: "code", Kind: Inline},
	{Name: "img", Kind: Inline, Void: true, Required: "src", Attributes: []string{"src", "alt"}},
	{Name: "br", Kind: Inline, Void: true},
}

// schemes are those that a link may have. There are no relative links: a text cannot send its reader around in the application.
var schemes = []string{"http", "https", "mailto"}

// mute are the elements of which not even the text stays: it was never meant to be read, or browsers and libraries do not agree on
// where it ends. Of all others that are not on the list the text stays.
var mute = []string{"script", "style", "title", "textarea", "xmp", "iframe", "noscript", "noembed", "noframes", "plaintext", "template", "svg", "math", "object", "select"}

// FileRoute is where our own files are; what follows it is the file's name and nothing else.
const FileRoute = "/files/"

// The bounds of one text (SYSTEM T6).
const (
	MaxRunes    = 20_000    // characters of source
	MaxSource   = 80_000    // bytes of source: as many characters as MaxRunes, of whatever length
	MaxHTML     = 256 << 10 // bytes of HTML, before and after cleaning
	MaxDepth    = 24        // elements within elements; what is deeper loses its tags and keeps its text
	MaxElements = 2000      // elements of a text; each has two tags at most
	MaxLinks    = 200       // links in a source
	MaxImages   = 50        // images in a source
	MaxURL      = 2048      // bytes of a link
	MaxName     = 64        // bytes of a file's name
	MaxAlt      = 1000      // bytes of an image's description
)

var byName = func() map[string]*Element {
	m := map[string]*Element{}
	for i := range elements {
		m[elements[i].Name] = &elements[i]
	}
	return m
}()

// Of is the element of that name, in lower case; nil if it is not allowed.
func Of(name string) *Element { return byName[name] }

// Root is what a text stands in.
func Root() *Element { return &root }

// Elements is the list. Its callers do not change it, nor those of the lists below.
func Elements() []Element { return elements }

// Schemes are those that a link may have.
func Schemes() []string { return schemes }

// Mute are the elements that go with their text.
func Mute() []string { return mute }
