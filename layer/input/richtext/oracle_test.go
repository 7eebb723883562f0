package richtext_test

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/redoubt-dev/redoubt/layer/input/richtext/clean"
	"github.com/redoubt-dev/redoubt/layer/input/richtext/render"
)

// The oracle says what is wrong with HTML that was cleaned. It knows the rules from here, not from the allow-list that it checks.

// may lists what may be written, with the attributes in their order.
var may = map[string]*regexp.Regexp{
	"a":   regexp.MustCompile(`^<a href="(?:https?://[^"/?#@\\\s<>]+(?:[/?#][!-~]*)?|mailto:[!-~]+@[!-~]+)" target="_blank" rel="noopener noreferrer">$`),
	"img": regexp.MustCompile(`^<img src="/files/[a-z0-9_.-]{1,64}" alt="[^"<>]*">$`),
	"ol":  regexp.MustCompile(`^<ol(?: start="[0-9]{1,9}")?>$`),
}

func init() {
	for name := range strings.FieldsSeq("p h3 h4 h5 h6 blockquote ul li pre hr strong em del code br") {
		may[name] = regexp.MustCompile("^<" + name + ">$")
	}
}

var (
	tags  = regexp.MustCompile(`<[^>]*>?`)
	names = regexp.MustCompile(`^</?([a-z][a-z0-9]*)`)
)

// faults lists what is wrong with out as text: a tag that may not be written, an end without a start, a start without an end.
func faults(out string) (all []string) {
	var open []string
	for _, tag := range tags.FindAllString(out, -1) {
		name := names.FindStringSubmatch(tag)
		switch {
		case name == nil || may[name[1]] == nil:
			all = append(all, "is written: "+tag)
		case tag == "</"+name[1]+">" && len(open) > 0 && open[len(open)-1] == name[1]:
			open = open[:len(open)-1]
		case strings.HasPrefix(tag, "</"):
			all = append(all, "ends what did not begin: "+tag)
		case !may[name[1]].MatchString(tag):
			all = append(all, "has another form: "+tag)
		case !slices.Contains([]string{"br", "hr", "img"}, name[1]):
			open = append(open, name[1])
		}
	}
	if len(open) > 0 {
		all = append(all, fmt.Sprintf("never ends: %q", open))
	}
	if len(open) > 24 {
		all = append(all, "is too deep")
	}
	if bad := strings.IndexFunc(out, unreadable); bad >= 0 {
		all = append(all, fmt.Sprintf("has %q", out[bad:bad+1]))
	}
	return append(all, escapes(out)...)
}

func unreadable(r rune) bool {
	return unicode.IsControl(r) && r != '\n' && r != '\t' || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
}

// surroundings are pages around a text, of the kind in which text that is not balanced does the most.
var surroundings = []string{
	`<ul><li><div id="box">%s</div><i id="next"></i></li></ul><p id="last">x</p>`,
	`<table><tr><td><div id="box">%s</div><i id="next"></i></td></tr></table><p id="last">x</p>`,
	`<article><blockquote><ol><li><div><div id="box">%s</div><i id="next"></i></div></li></ol></blockquote></article><p id="last">x</p>`,
}

// escapes says what out does to a page around it, to a browser with scripts and to one without.
func escapes(out string) (all []string) {
	for _, around := range surroundings {
		for _, scripting := range []bool{true, false} {
			got, err := outline(fmt.Sprintf(around, out), scripting)
			if want := intact(around); err != nil || got != want {
				all = append(all, fmt.Sprintf("the page around it becomes %s (%v), not %s", got, err, want))
			}
		}
	}
	return all
}

// intact is the outline of a page with nothing in the box.
func intact(around string) string {
	box := `<div id="box">`
	before, after, _ := strings.Cut(strings.Replace(around, "<tr>", "<tbody><tr>", 1), "%s")
	return "<html><head></head><body>" + strings.TrimSuffix(before, box) + box + strings.Replace(after, "</tr>", "</tr></tbody>", 1) + "</body></html>"
}

// outline writes down a page without what is in the box.
func outline(page string, scripting bool) (string, error) {
	root, err := html.ParseWithOptions(strings.NewReader(page), html.ParseOptionEnableScripting(scripting))
	if err != nil {
		return "", err
	}
	for n := range root.Descendants() {
		if n.Type == html.ElementNode && len(n.Attr) == 1 && n.Attr[0].Val == "box" {
			for c := n.FirstChild; c != nil; c = n.FirstChild {
				n.RemoveChild(c)
			}
			break
		}
	}
	var b strings.Builder
	err = html.Render(&b, root)
	return b.String(), err
}

// said is what two engines must agree about: the words, the elements and the addresses.
type said struct{ words, elements, addresses string }

func saidBy(t testing.TB, out string) said {
	t.Helper()
	nodes, err := html.ParseFragment(strings.NewReader(out), &html.Node{Type: html.ElementNode, Data: "div", DataAtom: atom.Div})
	if err != nil {
		t.Fatalf("%q: %v", out, err)
	}
	var words strings.Builder
	elements, addresses := map[string]bool{}, map[string]bool{}
	for _, top := range nodes {
		for n := range itself(top) {
			if n.Type == html.TextNode {
				words.WriteString(n.Data)
				continue
			}
			elements[n.Data] = true
			for _, a := range n.Attr {
				if a.Key == "href" || a.Key == "src" {
					addresses[a.Val] = true
				}
			}
		}
	}
	return said{strings.Join(strings.Fields(words.String()), ""), sorted(elements), sorted(addresses)}
}

func itself(top *html.Node) func(func(*html.Node) bool) {
	return func(yield func(*html.Node) bool) {
		if yield(top) {
			top.Descendants()(yield)
		}
	}
}

func sorted(set map[string]bool) string { return strings.Join(slices.Sorted(maps.Keys(set)), " ") }

var every = render.Policy{Image: func(string) bool { return true }}

func cleaned(t testing.TB, dirty string) string {
	t.Helper()
	f, err := clean.HTML(dirty)
	if err != nil {
		t.Fatalf("cleaning %.200q: %v", dirty, err)
	}
	return f.HTML
}

func rendered(t testing.TB, stored string) string {
	t.Helper()
	m, err := render.HTML(stored, every)
	if err != nil {
		t.Fatalf("rendering %.200q: %v", stored, err)
	}
	return string(m.HTML())
}

// holds checks everything that is promised about one input, whatever it is.
func holds(t testing.TB, dirty string) {
	t.Helper()
	c := cleaned(t, dirty)
	for _, fault := range faults(c) {
		t.Errorf("clean %.500q\ngives %.500q\nwhich %s", dirty, c, fault)
	}
	if again := cleaned(t, c); again != c {
		t.Errorf("clean %.500q\ngives %.500q\nand then %.500q", dirty, c, again)
	}
	if other := rendered(t, c); other != c {
		t.Errorf("clean %.500q\ngives %.500q\nwhich render makes %.500q", dirty, c, other)
	}
	m, err := render.HTML(dirty, every)
	if err != nil {
		return // it is refused as a whole: nothing is shown
	}
	r := string(m.HTML())
	for _, fault := range faults(r) {
		t.Errorf("render %.500q\ngives %.500q\nwhich %s", dirty, r, fault)
	}
	if again := rendered(t, r); again != r {
		t.Errorf("render %.500q\ngives %.500q\nand then %.500q", dirty, r, again)
	}
	if other := cleaned(t, r); other != r {
		t.Errorf("render %.500q\ngives %.500q\nwhich clean makes %.500q", dirty, r, other)
	}
	if disputed(dirty) {
		return
	}
	got, want := saidBy(t, r), saidBy(t, c)
	if restructured(dirty) {
		got, want = said{words: got.words}, said{words: want.words}
	}
	if got != want {
		t.Errorf("%.500q\nclean  says %.500q %q\nrender says %.500q %q", dirty, want, c, got, r)
	}
}

// disputed reports whether an input has what a filter of tokens and a parser read differently by design. Both make it harmless; which of
// its words are left is not the same:
//   - elements that go with their text: a filter goes by tags, a parser knows where they really end;
//   - tables and their parts, frames, and selections: a parser moves or drops what is in them;
//   - html, head, body and frameset: a parser leaves their tags out and their content where it is;
//   - foreign content, CDATA sections and processing instructions;
//   - NUL and other characters that are dropped, in the middle of markup.
func disputed(dirty string) bool {
	return disputes.MatchString(dirty) || strings.ContainsFunc(dirty, unreadable)
}

var disputes = regexp.MustCompile(`(?i)</?(?:script|style|title|textarea|xmp|iframe|noscript|noembed|noframes|plaintext|template|svg|math|object|select|option|optgroup|` +
	`table|caption|colgroup|col|tbody|thead|tfoot|tr|td|th|frame|frameset|html|head|body|image|isindex|listing|button|marquee|applet|input|keygen|hr/?>|form|nobr|ruby|r[btp]|dd|dt)|<!\[|<\?|</(?:p|br)\b`)

// restructured reports whether a parser makes another tree of an input than its tags say. The engines then still read the same words, but
// not always the same elements and addresses in them:
//   - something ends that is not the last to have begun, and a parser begins formatting anew, in another place and another number of
//     times (HTML §13.2.6.4.7, the adoption agency algorithm), where a filter of tokens ends what is open;
//   - a link begins within a link, which ends the first one there and begins it anew elsewhere;
//   - an element that is not on the list ends a paragraph, or what began in it, before it is dropped; a filter has dropped it before it
//     looks.
func restructured(dirty string) bool {
	var open []string
	for z := html.NewTokenizer(strings.NewReader(dirty)); ; {
		kind := z.Next()
		if kind == html.ErrorToken {
			return false
		}
		raw, _ := z.TagName()
		name := string(raw)
		switch {
		case kind == html.TextToken || kind == html.CommentToken || kind == html.DoctypeToken:
		case may[name] == nil || name == "a" && kind == html.StartTagToken && slices.Contains(open, name):
			return true
		case kind == html.EndTagToken && (len(open) == 0 || open[len(open)-1] != name):
			return true
		case kind == html.EndTagToken:
			open = open[:len(open)-1]
		case !slices.Contains([]string{"br", "hr", "img"}, name):
			open = append(open, name)
		}
	}
}
