// Package render cleans rich text when it is shown (SYSTEM N3), and is the only maker of HTML that a template does not escape.
//
// # What it assumes has failed
//
// Cleaning on save: it was forgotten, it has a hole, or the text came into the database another way, by a restored backup, an import,
// an injected statement. What is stored is whatever an attacker would like it to be.
//
// # What it stops
//
// The same as package clean, by another engine: a parser reads what is stored as a browser would, scripting on, and what is on the
// allow-list is copied into a tree of this package's own, node by node, where there is no place for anything else. The tree is written
// by code of this package. Whatever is written is balanced and reads the same again. Images are shown only if the page's Policy says
// that this text may show them, because only the page knows whose they are.
//
// # What it does not stop
//
// See package clean; and a fault in the tokenizer of golang.org/x/net/html meets both engines. A browser that reads this package's few
// tags in another way. Text in a page's attribute or script, which is not what Markup is for: html/template strips or escapes it there.
//
// # How it is knocked out in a drill
//
// The page prints what is stored. Then package clean must have kept it harmless, and else the content security policy.
//
// # Example
//
//	body, err := render.HTML(post.HTML, render.Policy{Image: func(name string) bool { return slices.Contains(post.Files, name) }})
//	if err != nil {
//		return err // a *layer.Refusal: what is stored cannot be shown
//	}
//	page.Execute(w, body) // in the template: <article>{{.HTML}}</article>
package render

import (
	"html/template"
	"strings"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/input/richtext/internal/allowlist"
)

// A Policy is what the page knows about a text.
type Policy struct {
	Image func(name string) bool // whether the text may show the file of that name, of this organization and attached to it; nil shows none
}

// Markup is HTML that was cleaned for a page. It cannot be made outside this package; the zero Markup is empty.
type Markup struct {
	html template.HTML
}

// HTML is what a template prints without escaping it.
func (m Markup) HTML() template.HTML { return m.html }

// MarshalText implements encoding.TextMarshaler: to a program that asks for JSON, a Markup is a string of clean HTML.
func (m Markup) MarshalText() ([]byte, error) { return []byte(m.html), nil }

// HTML cleans what is stored, for a page. It refuses, with a *layer.Refusal, what is too large or nested too deeply to be read.
func HTML(stored string, p Policy) (Markup, error) {
	nodes, err := Tree(stored, p)
	if err != nil {
		return Markup{}, err
	}
	var b strings.Builder
	b.Grow(len(stored))
	write(&b, nodes)
	return Markup{template.HTML(b.String())}, nil
}

// Tree is HTML without a form: a page's script builds it node by node, with createElement and createTextNode, and needs no door through
// which text becomes HTML (SYSTEM T2: Trusted Types stay closed). It is for previews of what is being written.
func Tree(stored string, p Policy) ([]Node, error) {
	parsed, err := parse(stored)
	if err != nil {
		return nil, err
	}
	b := builder{policy: p}
	b.copy(parsed)
	if b.count > allowlist.MaxElements {
		return nil, refused(layer.TooLarge, errElements)
	}
	return b.roots, nil
}

// Text is the beginning of a text, without any markup, for lists, notifications and previews: at most n characters on one line, cut
// between words where there is one, with an ellipsis if something is missing. It is empty for what HTML refuses.
func Text(stored string, n int) string {
	nodes, err := Tree(stored, Policy{})
	if err != nil {
		return ""
	}
	var b strings.Builder
	say(&b, nodes)
	return cut(strings.Join(strings.Fields(b.String()), " "), n)
}

func refused(reason layer.Reason, cause error) *layer.Refusal {
	return &layer.Refusal{By: layer.Input, Reason: reason, Public: "This text cannot be shown.", Cause: cause}
}
