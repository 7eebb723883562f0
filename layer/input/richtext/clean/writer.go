package clean

import (
	"html"
	"slices"
	"strings"

	"github.com/redoubt-dev/redoubt/layer/input/richtext/internal/allowlist"
)

// A writer writes filtered HTML anew: balanced, and with every element where it may stand. A browser then reads the tree that was
// meant, and no end tag is left over for an element of the page.
type writer struct {
	out    []byte
	count  int      // of elements written
	open   []opened // at most maxOpen
	fresh  freshness
	links  []string
	images []string
}

// maxOpen bounds the search for the start of what ends. A parser gives up at as many (golang.org/x/net/html); the tags of what is
// deeper are dropped.
const maxOpen = 512

// An opened element waits for its end tag.
type opened struct {
	element *allowlist.Element
	written bool // else it may not stand there, and only its text stays
	start   int  // of its start tag in out
	content int  // where its content begins in out
}

// A freshness says whether the next text begins a pre. Parsers drop the first newline there (HTML §13.2.6.4.7, "pre").
type freshness int

const (
	stale freshness = iota
	first           // directly after the tag: a newline does not count
	empty           // nothing was written yet: a newline counts, and needs one before it to be kept
)

func (w *writer) rewrite(s string) {
	for s != "" {
		at := strings.IndexByte(s, '<')
		if at < 0 {
			at = len(s)
		}
		w.text(s[:at])
		if s = s[at:]; s == "" {
			break
		}
		t, size := readTag(s)
		if size == 0 {
			w.text("&lt;")
			size = 1
		} else {
			w.tag(t)
		}
		s = s[size:]
	}
	w.closeTo(0)
}

// lines makes all ends of lines alike, as parsers do, and escapes what bluemonday would have.
var lines = strings.NewReplacer("&#13;\n", "\n", "&#13;", "\n", "\r\n", "\n", "\r", "\n", ">", "&gt;", `"`, "&#34;", "'", "&#39;")

func (w *writer) text(escaped string) {
	if escaped == "" {
		return
	}
	escaped = strings.Map(readable, escaped)
	if strings.ContainsAny(escaped, "\r>\"'") || strings.Contains(escaped, "&#13;") {
		escaped = lines.Replace(escaped)
	}
	if w.fresh == first {
		escaped = strings.TrimPrefix(escaped, "\n")
	}
	if w.fresh != stale && strings.HasPrefix(escaped, "\n") {
		w.out = append(w.out, '\n')
	}
	if w.fresh == first {
		w.fresh = empty
	}
	if escaped != "" {
		w.fresh = stale
	}
	w.out = append(w.out, escaped...)
}

// A tag as bluemonday writes them.
type tag struct {
	element    *allowlist.Element // nil if it is not allowed
	end        bool
	attributes map[string]string // not escaped; nil for none
}

// blanks makes one line of an attribute: parsers change its ends of lines.
var blanks = strings.NewReplacer("\r", " ", "\n", " ", "\t", " ")

// readTag reads the tag with which s begins; its size is 0 if that is none of the form that bluemonday writes:
//
//	<name one="value" two="value"> or <name/> or </name>
func readTag(s string) (t tag, size int) {
	rest := s[1:]
	rest, t.end = strings.CutPrefix(rest, "/")
	name := word(rest)
	rest = rest[len(name):]
	t.element = allowlist.Of(name)
	for name != "" && strings.HasPrefix(rest, " ") {
		key := word(rest[1:])
		value, after, closed := strings.Cut(strings.TrimPrefix(rest[1+len(key):], `="`), `"`)
		if key == "" || !closed || !strings.HasPrefix(rest[1+len(key):], `="`) || strings.ContainsAny(value, "<>") {
			return tag{}, 0
		}
		t.set(key, value)
		rest = after
	}
	rest, ok := strings.CutPrefix(strings.TrimPrefix(rest, "/"), ">")
	if name == "" || !ok {
		return tag{}, 0
	}
	return t, len(s) - len(rest)
}

// word is the name with which s begins.
func word(s string) string {
	i := 0
	for i < len(s) && (s[i] >= 'a' && s[i] <= 'z' || i > 0 && s[i] >= '0' && s[i] <= '9') {
		i++
	}
	return s[:i]
}

// set keeps the first of two attributes of one name, which browsers believe.
func (t *tag) set(key, escaped string) {
	if t.attributes == nil {
		t.attributes = map[string]string{}
	}
	if _, again := t.attributes[key]; !again {
		t.attributes[key] = blanks.Replace(strings.Map(readable, html.UnescapeString(escaped)))
	}
}

func (w *writer) tag(t tag) {
	if w.fresh == first {
		w.fresh = empty
	}
	switch {
	case t.element == nil:
	case t.end:
		w.end(t.element)
	default:
		w.start(t)
	}
}

func (w *writer) start(t tag) {
	e := t.element
	if len(w.open) == maxOpen {
		return
	}
	w.makeRoom(e)
	o := opened{element: e, start: len(w.out), written: w.fits(e) && (e.Required == "" || w.valid(t, e.Required))}
	if o.written {
		w.write(t)
	}
	o.content = len(w.out)
	if !e.Void {
		w.open = append(w.open, o)
	}
}

// makeRoom ends what a parser ends when e begins: a link before the next one, a paragraph before any block,
// an item before the next one, a heading before another.
func (w *writer) makeRoom(e *allowlist.Element) {
	if e.Name == "a" {
		w.closeNearest(func(o *allowlist.Element) bool { return o == e }, func(o *allowlist.Element) bool { return o.Kind != allowlist.Inline })
	}
	if e.Kind == allowlist.Inline {
		return
	}
	if e.Kind == allowlist.Item {
		w.closeNearest(func(o *allowlist.Element) bool { return o.Kind == allowlist.Item }, func(o *allowlist.Element) bool {
			return o.Kind == allowlist.Block && o.Name != "p"
		})
	}
	w.closeNearest(func(o *allowlist.Element) bool { return o.Name == "p" }, func(*allowlist.Element) bool { return false })
	if last := len(w.open) - 1; last >= 0 && heading(e) && heading(w.open[last].element) {
		w.closeTo(last)
	}
}

func heading(e *allowlist.Element) bool {
	return len(e.Name) == 2 && e.Name[0] == 'h' && e.Name[1] != 'r'
}

// closeNearest ends the innermost open element that is meant, unless a wall comes first.
func (w *writer) closeNearest(meant, wall func(*allowlist.Element) bool) {
	for i, o := range slices.Backward(w.open) {
		if meant(o.element) {
			w.closeTo(i)
			return
		}
		if wall(o.element) {
			return
		}
	}
}

// fits reports whether e may stand where the writer is.
func (w *writer) fits(e *allowlist.Element) bool {
	within, depth := allowlist.Root(), 0
	for _, o := range w.open {
		if !o.written {
			continue
		}
		if e.Kind == allowlist.Inline && o.element == e {
			return false
		}
		within, depth = o.element, depth+1
	}
	return depth < allowlist.MaxDepth && slices.Contains(within.Holds, e.Kind)
}

func (w *writer) write(t tag) {
	e := t.element
	w.count++
	w.out = append(append(w.out, '<'), e.Name...)
	for _, name := range e.Attributes {
		if w.valid(t, name) {
			w.attribute(name, t.attributes[name])
		} else if name == "alt" {
			w.attribute(name, "")
		}
	}
	for _, a := range e.Forced {
		w.attribute(a.Name, a.Value)
	}
	w.out = append(w.out, '>')
	w.fresh = stale
	if e.Name == "pre" {
		w.fresh = first
	}
	w.refer(t)
}

func (w *writer) valid(t tag, name string) bool {
	value, there := t.attributes[name]
	return there && len(value) <= longest[name] && form[name].MatchString(value)
}

func (w *writer) attribute(name, value string) {
	w.out = append(w.out, ' ')
	w.out = append(append(w.out, name...), `="`...)
	w.out = append(append(w.out, html.EscapeString(value)...), '"')
}

// refer notes what a written element refers to.
func (w *writer) refer(t tag) {
	if href := t.attributes["href"]; t.element.Required == "href" && !slices.Contains(w.links, href) {
		w.links = append(w.links, href)
	}
	name := strings.TrimPrefix(t.attributes["src"], allowlist.FileRoute)
	if t.element.Required == "src" && !slices.Contains(w.images, name) {
		w.images = append(w.images, name)
	}
}

// end ends the innermost open element of that kind, and those within it; an end tag of nothing is dropped.
func (w *writer) end(e *allowlist.Element) {
	for i, o := range slices.Backward(w.open) {
		if o.element == e {
			w.closeTo(i)
			return
		}
	}
}

// closeTo ends the open elements from the i-th on, the innermost first. An empty paragraph leaves nothing.
func (w *writer) closeTo(i int) {
	for _, o := range slices.Backward(w.open[i:]) {
		switch {
		case !o.written:
		case o.element.Name == "p" && len(w.out) == o.content:
			w.out = w.out[:o.start]
		default:
			w.out = append(append(append(w.out, "</"...), o.element.Name...), '>')
			w.fresh = stale
		}
	}
	w.open = w.open[:i]
}
