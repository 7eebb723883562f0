package render

import (
	"html"
	"strings"
	"unicode/utf8"

	"github.com/redoubt-dev/redoubt/layer/input/richtext/internal/allowlist"
)

// write writes the tree. Names come from the allow-list; every text and value is escaped; no element of the list has content that a
// parser reads otherwise than as markup.
func write(b *strings.Builder, nodes []Node) {
	for _, n := range nodes {
		if n.Element == "" {
			b.WriteString(html.EscapeString(n.Text))
			continue
		}
		e := allowlist.Of(n.Element)
		start(b, e, n)
		if e.Void {
			continue
		}
		write(b, n.Nodes)
		b.WriteString("</" + e.Name + ">")
	}
}

func start(b *strings.Builder, e *allowlist.Element, n Node) {
	b.WriteString("<" + e.Name)
	for _, name := range e.Attributes {
		attribute(b, name, n)
	}
	for _, a := range e.Forced {
		attribute(b, a.Name, n)
	}
	b.WriteByte('>')
	if e.Name == "pre" && len(n.Nodes) > 0 && strings.HasPrefix(n.Nodes[0].Text, "\n") {
		b.WriteByte('\n') // parsers drop the first one (HTML §13.2.6.4.7)
	}
}

func attribute(b *strings.Builder, name string, n Node) {
	if value, ok := n.Attributes[name]; ok {
		b.WriteString(" " + name + `="` + html.EscapeString(value) + `"`)
	}
}

// say writes what a person would read, with a space where a line or a block ends.
func say(b *strings.Builder, nodes []Node) {
	for _, n := range nodes {
		b.WriteString(n.Text)
		say(b, n.Nodes)
		if e := allowlist.Of(n.Element); e != nil && (e.Kind != allowlist.Inline || e.Void) {
			b.WriteByte(' ')
		}
	}
}

// cut shortens text, whose words have one space between them, to n characters.
func cut(text string, n int) string {
	if utf8.RuneCountInString(text) <= n {
		return text
	}
	if n < 1 {
		return ""
	}
	runes := []rune(text)
	short := string(runes[:n-1])
	if at := strings.LastIndexByte(short, ' '); at > len(short)/2 && runes[n-1] != ' ' {
		short = short[:at]
	}
	return strings.TrimRight(short, " ") + "…"
}
