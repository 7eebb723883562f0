package web_test

import (
	"bytes"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/redoubt-dev/redoubt"
)

// A document is a rendered page as a browser would parse it.
type document struct {
	root     *html.Node
	elements []*html.Node // in document order
	ids      map[string]int
}

func rendered(t testing.TB, site redoubt.Renderer, f redoubt.Frame, v redoubt.View) document {
	t.Helper()
	var out bytes.Buffer
	if err := site.Render(&out, f, v); err != nil {
		t.Fatal(err)
	}
	root, err := html.Parse(&out)
	if err != nil {
		t.Fatal(err)
	}
	d := document{root: root, ids: map[string]int{}}
	for n := range root.Descendants() {
		if n.Type == html.ElementNode {
			d.elements = append(d.elements, n)
			if id, ok := attr(n, "id"); ok {
				d.ids[id]++
			}
		}
	}
	return d
}

func attr(n *html.Node, name string) (string, bool) {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val, true
		}
	}
	return "", false
}

func value(n *html.Node, name string) string {
	v, _ := attr(n, name)
	return v
}

func text(n *html.Node) string {
	var b strings.Builder
	for c := range n.Descendants() {
		if c.Type == html.TextNode {
			b.WriteString(c.Data)
		}
	}
	return strings.TrimSpace(b.String())
}

// all lists the elements with one of these tags.
func (d document) all(tags ...string) []*html.Node {
	var found []*html.Node
	for _, n := range d.elements {
		if slices.Contains(tags, n.Data) {
			found = append(found, n)
		}
	}
	return found
}

// class lists the elements that have a class.
func (d document) class(name string) []*html.Node {
	var found []*html.Node
	for _, n := range d.elements {
		if slices.Contains(strings.Fields(value(n, "class")), name) {
			found = append(found, n)
		}
	}
	return found
}

// faults lists every rule of the house that the page breaks.
func (d document) faults() []string {
	var faults []string
	say := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	d.frameFaults(say)
	d.policyFaults(say)
	d.formFaults(say)
	d.referenceFaults(say)
	d.headingFaults(say)
	return faults
}

func (d document) frameFaults(say func(string, ...any)) {
	if value(d.all("html")[0], "lang") == "" {
		say("the document has no language")
	}
	if titles := d.all("title"); len(titles) == 0 || text(titles[0]) == "" {
		say("the document has no title")
	}
	for _, one := range []string{"h1", "main", "header", "footer"} {
		n := len(d.all(one))
		if one == "header" || one == "footer" {
			n = len(d.class(one))
		}
		if n != 1 {
			say("there are %d %s", n, one)
		}
	}
}

// policyFaults is what the content security policy would stop, or should have to (SYSTEM T2).
func (d document) policyFaults(say func(string, ...any)) {
	for _, n := range d.elements {
		switch n.Data {
		case "style", "iframe", "object", "embed", "base":
			say("there is a <%s>", n.Data)
		case "script":
			if text(n) != "" || value(n, "src") == "" || value(n, "nonce") == "" {
				say("a script is inline or without its nonce")
			}
		}
		for _, a := range n.Attr {
			switch {
			case a.Key == "style" || strings.HasPrefix(a.Key, "on"):
				say("<%s> has %s=", n.Data, a.Key)
			case slices.Contains([]string{"href", "src", "action", "formaction", "srcset", "xlink:href", "poster"}, a.Key) && !ours(a.Val) && !announced(n):
				say("<%s> leads elsewhere: %s=%q", n.Data, a.Key, a.Val)
			}
		}
	}
}

// announced reports whether a link leads elsewhere as one is allowed to: over https, in a new tab, which learns nothing of us, and with
// the other site's name in its words.
func announced(n *html.Node) bool {
	address, err := url.Parse(value(n, "href"))
	if n.Data != "a" || err != nil || value(n, "target") != "_blank" {
		return false
	}
	if within(n, "rich") { // a writer's own words, which package render has cleaned
		return slices.Contains([]string{"http", "https", "mailto"}, address.Scheme) && value(n, "rel") == "noopener noreferrer"
	}
	return slices.Contains([]string{"card video", "card link-card"}, value(n, "class")) && address.Scheme == "https" && address.User == nil && address.Hostname() != "" &&
		value(n, "rel") == "noopener noreferrer external" && strings.Contains(text(n), strings.TrimPrefix(address.Hostname(), "www."))
}

// within reports whether n stands in an element with a class.
func within(n *html.Node, class string) bool {
	for a := range n.Ancestors() {
		if slices.Contains(strings.Fields(value(a, "class")), class) {
			return true
		}
	}
	return false
}

// spoken is what a screen reader says of n: its words, and what its pictures show.
func spoken(n *html.Node) string {
	said := text(n)
	for c := range n.Descendants() {
		if c.Data == "img" {
			said += value(c, "alt")
		}
	}
	return strings.TrimSpace(said)
}

// ours reports whether an address stays on this site whatever follows.
func ours(address string) bool {
	if strings.HasPrefix(address, "#") {
		return true
	}
	return strings.HasPrefix(address, "/") && !strings.HasPrefix(address, "//") && !strings.HasPrefix(address, `/\`)
}

func (d document) formFaults(say func(string, ...any)) {
	labels := map[string]bool{}
	for _, l := range d.all("label") {
		labels[value(l, "for")] = true
		if text(l) == "" {
			say("a label is empty")
		}
	}
	for _, n := range d.all("input", "textarea", "select") {
		if value(n, "type") != "hidden" && !labels[value(n, "id")] {
			say("<%s name=%q> has no label", n.Data, value(n, "name"))
		}
		if value(n, "aria-invalid") == "true" && !strings.Contains(value(n, "aria-describedby"), "-error") {
			say("<%s name=%q> is wrong and does not say why", n.Data, value(n, "name"))
		}
	}
	for _, n := range d.all("button", "a", "summary", "h1", "h2", "h3", "h4", "th", "legend") {
		if spoken(n) == "" {
			say("a <%s> has no words", n.Data)
		}
	}
	for _, n := range d.all("img") {
		if _, said := attr(n, "alt"); !said {
			say("a picture does not say what it shows")
		}
		if w, h := value(n, "width"), value(n, "height"); (w == "" || h == "") && !within(n, "rich") {
			say("a picture moves what is around it when it comes")
		}
	}
	signedOut := !slices.ContainsFunc(d.all("form"), func(n *html.Node) bool { return value(n, "action") == "/sign-out" })
	for _, form := range d.all("form") {
		d.fileFaults(form, say)
		tokens := 0
		for n := range form.Descendants() {
			if n.Data == "input" && value(n, "name") == "_token" && value(n, "type") == "hidden" && value(n, "value") != "" {
				tokens++
			}
		}
		switch method := value(form, "method"); {
		case method == "post" && tokens != 1 && !(signedOut && tokens == 0): // a stranger has no session that a form could be forged for
			say("the form to %s has %d tokens", value(form, "action"), tokens) // SYSTEM T3
		case method != "post" && tokens != 0:
			say("the form to %s puts the token into an address", value(form, "action"))
		}
	}
}

// fileFaults: a form with a file is sent as one, and its text comes first, so that it is kept when the file is refused.
func (d document) fileFaults(form *html.Node, say func(string, ...any)) {
	files, late := 0, false
	for n := range form.Descendants() {
		switch {
		case n.Data == "input" && value(n, "type") == "file":
			files++
		case files > 0 && (n.Data == "textarea" || n.Data == "input"):
			late = true
		}
	}
	if (files > 0) != (value(form, "enctype") == "multipart/form-data") || files > 1 || late {
		say("the form to %s has %d files as %q, text behind them: %t", value(form, "action"), files, value(form, "enctype"), late)
	}
}

func (d document) referenceFaults(say func(string, ...any)) {
	for id, n := range d.ids {
		if n > 1 {
			say("the id %q is there %d times", id, n)
		}
	}
	for _, n := range d.elements {
		for _, key := range []string{"for", "aria-labelledby", "aria-describedby", "aria-controls", "popovertarget", "list", "data-copy"} {
			for id := range strings.FieldsSeq(value(n, key)) {
				if d.ids[id] == 0 {
					say("<%s %s=%q> refers to nothing", n.Data, key, id)
				}
			}
		}
		if href := value(n, "href"); strings.HasPrefix(href, "#") && d.ids[href[1:]] == 0 {
			say("a link leads to %s, which is not there", href)
		}
	}
}

// headingFaults: no level is left out on the way down. The summary of a refused form comes before everything, as level 2. What people
// write has headings from level 3, wherever it stands.
func (d document) headingFaults(say func(string, ...any)) {
	last := 2
	for _, h := range d.all("h1", "h2", "h3", "h4", "h5", "h6") {
		if within(h, "rich") {
			continue
		}
		level := int(h.Data[1] - '0')
		if level > last+1 {
			say("<%s> %q comes after <h%d>", h.Data, text(h), last)
		}
		last = level
	}
}

// shape is the page without its words: elements and the names of their attributes. What people type must not change it, but
// for what is ticked, chosen or current.
func (d document) shape() string {
	var b strings.Builder
	for _, n := range d.elements {
		b.WriteString("<" + n.Data)
		for _, a := range n.Attr {
			if !slices.Contains([]string{"checked", "selected", "aria-current"}, a.Key) {
				b.WriteString(" " + a.Key)
			}
		}
		b.WriteString(">\n")
	}
	return b.String()
}
