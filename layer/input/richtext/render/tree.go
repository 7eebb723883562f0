package render

import (
	"errors"
	"slices"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/input/richtext/internal/allowlist"
)

// A Node is an element of the allow-list or a piece of text.
type Node struct {
	Element    string            `json:"element,omitempty"` // empty for text
	Text       string            `json:"text,omitempty"`
	Attributes map[string]string `json:"attributes,omitempty"`
	Nodes      []Node            `json:"nodes,omitempty"`
}

// What is refused was never saved by package clean.
var (
	errSize       = errors.New("what is stored is larger than what is ever saved")
	errTags       = errors.New("what is stored has more tags than what is ever saved")
	errElements   = errors.New("what is stored has more elements than what is ever saved")
	errFormatting = errors.New("what is stored has formatting that multiplies")
)

// A parser begins every formatting element that is still open anew in each paragraph (HTML §13.2.4.3, the list of active formatting
// elements): 400 of them and 40,000 paragraphs, 200 kB, are 16 million nodes. It keeps three that are alike, so that those without
// attributes do little; of those with attributes, of which package clean writes none, maxFormatting are read.
const maxFormatting = 8

var formatting = []string{"b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u"}

// parse reads what is stored as a browser with scripts would, into a div: without scripting, noscript's content would be markup here
// and text there, and the two would not agree where it ends.
func parse(stored string) (*html.Node, error) {
	if len(stored) > allowlist.MaxHTML {
		return nil, refused(layer.TooLarge, errSize)
	}
	stored = strings.Map(legible, stored)
	if err := multiplies(stored); err != nil {
		return nil, refused(layer.TooLarge, err)
	}
	within := &html.Node{Type: html.ElementNode, Data: "div", DataAtom: atom.Div}
	nodes, err := html.ParseFragmentWithOptions(strings.NewReader(stored), within, html.ParseOptionEnableScripting(true))
	if err != nil {
		return nil, refused(layer.Invalid, err)
	}
	for _, n := range nodes {
		within.AppendChild(n)
	}
	return within, nil
}

// multiplies looks for what is small and becomes a large tree.
func multiplies(stored string) error {
	tags, found := 0, 0
	for rest := stored; ; tags++ {
		_, after, more := strings.Cut(rest, "<")
		if !more {
			break
		}
		end := strings.IndexFunc(after, func(r rune) bool { return strings.IndexByte(words, byte(r)) < 0 || r >= 0x80 })
		if end >= 0 && end <= len("strong") && after[end] != '>' && slices.Contains(formatting, strings.ToLower(after[:end])) {
			found++
		}
		rest = after
	}
	switch {
	case tags > 2*allowlist.MaxElements:
		return errTags
	case found > maxFormatting:
		return errFormatting
	}
	return nil
}

// legible drops control characters and those that turn the direction of text around, as package clean does on its own.
func legible(r rune) rune {
	control := r < 0x20 && !strings.ContainsRune("\t\n\r", r) || 0x7f <= r && r < 0xa0
	if turning := 0x202a <= r && r <= 0x202e || 0x2066 <= r && r <= 0x2069; control || turning {
		return -1
	}
	return r
}

var newlines = strings.NewReplacer("\r\n", "\n", "\r", "\n")

// A builder makes the new tree.
type builder struct {
	policy Policy
	path   []place // where it stands, the outermost first; at most MaxDepth
	roots  []Node
	count  int // of elements; what comes after too many is not copied, and then none is shown
}

// A place is an element whose content is being copied.
type place struct {
	element *allowlist.Element
	node    Node
}

// here is the list to which the next node belongs.
func (b *builder) here() *[]Node {
	if len(b.path) == 0 {
		return &b.roots
	}
	return &b.path[len(b.path)-1].node.Nodes
}

// copy copies what is in n. The depth of its own calls is that of the parser, which gives up at 512.
func (b *builder) copy(n *html.Node) {
	for c := range n.ChildNodes() {
		switch c.Type {
		case html.TextNode:
			b.text(c.Data)
		case html.ElementNode:
			b.element(c)
		}
	}
}

func (b *builder) text(s string) {
	if s = strings.Map(legible, s); strings.Contains(s, "\r") {
		s = newlines.Replace(s)
	}
	list := b.here()
	if last := len(*list) - 1; last >= 0 && (*list)[last].Element == "" {
		(*list)[last].Text += s
	} else if s != "" {
		*list = append(*list, Node{Text: s})
	}
}

// element copies n if it may stand here; else, what is in it, unless its text is not for reading.
func (b *builder) element(n *html.Node) {
	if n.Namespace != "" || slices.Contains(allowlist.Mute(), n.Data) {
		return
	}
	e := allowlist.Of(n.Data)
	if e == nil || !b.fits(e) {
		b.copy(n)
		return
	}
	attributes, ok := b.attributes(e, n)
	if !ok {
		b.copy(n)
		return
	}
	if b.count++; b.count > allowlist.MaxElements {
		return
	}
	b.path = append(b.path, place{e, Node{Element: e.Name, Attributes: attributes}})
	b.copy(n)
	made := b.path[len(b.path)-1].node
	b.path = b.path[:len(b.path)-1]
	if list := b.here(); e.Name != "p" || len(made.Nodes) > 0 {
		*list = append(*list, made)
	}
}

// fits reports whether e may stand where the builder is.
func (b *builder) fits(e *allowlist.Element) bool {
	if len(b.path) == allowlist.MaxDepth {
		return false
	}
	again := func(p place) bool { return p.element == e }
	if e.Kind == allowlist.Inline && slices.ContainsFunc(b.path, again) {
		return false
	}
	parent := allowlist.Root()
	if len(b.path) > 0 {
		parent = b.path[len(b.path)-1].element
	}
	return slices.Contains(parent.Holds, e.Kind)
}
