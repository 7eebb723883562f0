package richtext

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer/html"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"

	"github.com/redoubt-dev/redoubt/layer/input/richtext/internal/allowlist"
)

// markdown is goldmark without the parsers of HTML: what is never read as HTML is text, and is escaped as such. There are no tables,
// whose content HTML parsers move about (foster parenting), so that two engines would not see the same text.
var markdown = goldmark.New(
	goldmark.WithParser(parser.NewParser(
		parser.WithBlockParsers(
			util.Prioritized(parser.NewSetextHeadingParser(), 100),
			util.Prioritized(parser.NewThematicBreakParser(), 200),
			util.Prioritized(parser.NewListParser(), 300),
			util.Prioritized(parser.NewListItemParser(), 400),
			util.Prioritized(parser.NewCodeBlockParser(), 500),
			util.Prioritized(parser.NewATXHeadingParser(), 600),
			util.Prioritized(parser.NewFencedCodeBlockParser(), 700),
			util.Prioritized(parser.NewBlockquoteParser(), 800),
			util.Prioritized(parser.NewParagraphParser(), 1000),
		),
		parser.WithInlineParsers(
			util.Prioritized(parser.NewCodeSpanParser(), 100),
			util.Prioritized(parser.NewLinkParser(), 200),
			util.Prioritized(parser.NewAutoLinkParser(), 300),
			util.Prioritized(parser.NewEmphasisParser(), 500),
		),
		parser.WithParagraphTransformers(parser.DefaultParagraphTransformers()...),
	)),
	goldmark.WithExtensions(extension.Strikethrough, extension.Linkify),
	goldmark.WithRendererOptions(html.WithHardWraps()),
)

// convert makes HTML of a source. It is not clean yet: goldmark passes images from anywhere and links without a scheme.
func convert(source string) (string, error) {
	doc := markdown.Parser().Parse(text.NewReader([]byte(source)))
	if err := measure(doc); err != nil {
		return "", err
	}
	adapt(doc)
	var out limited
	if err := markdown.Renderer().Render(&out, []byte(source), doc); err != nil {
		return "", fmt.Errorf("writing what was read: %w", err)
	}
	return out.String(), nil
}

// A limited buffer refuses more than a text may grow to. A link reference of 10,000 characters, used 2,000 times, would be 20 MB.
type limited struct{ bytes.Buffer }

// Write implements io.Writer.
func (l *limited) Write(p []byte) (int, error) {
	if l.Len()+len(p) > allowlist.MaxHTML {
		return 0, errGrown
	}
	return l.Buffer.Write(p)
}

// measure holds a parsed source to its bounds.
func measure(doc ast.Node) error {
	var elements, links, images, depth int
	return ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		switch n.Kind() {
		case ast.KindDocument, ast.KindText, ast.KindTextBlock, ast.KindString:
			return ast.WalkContinue, nil
		}
		if !entering {
			depth--
			return ast.WalkContinue, nil
		}
		depth++
		elements++
		switch n.Kind() {
		case ast.KindLink, ast.KindAutoLink:
			links++
		case ast.KindImage:
			images++
		}
		return ast.WalkContinue, exceeded(depth, elements, links, images)
	})
}

func exceeded(depth, elements, links, images int) error {
	switch {
	case depth > allowlist.MaxDepth:
		return errDeep
	case elements > allowlist.MaxElements:
		return errElements
	case links > allowlist.MaxLinks:
		return errLinks
	case images > allowlist.MaxImages:
		return errImages
	}
	return nil
}

// adapt moves headings beneath the page's own, and makes links of images that are not files of ours: an image from elsewhere tells its
// owner who reads what, and when. A reader who follows a link has decided to.
func adapt(doc ast.Node) {
	var elsewhere []*ast.Image
	for n := range nodes(doc) {
		switch n := n.(type) {
		case *ast.Heading:
			n.Level = min(n.Level+2, 6)
		case *ast.AutoLink:
			if n.Protocol != nil { // of an address without a scheme: www.example.com
				n.Protocol = []byte("https")
			}
		case *ast.Image:
			if !strings.HasPrefix(string(n.Destination), allowlist.FileRoute) {
				elsewhere = append(elsewhere, n)
			}
		}
	}
	for _, image := range elsewhere {
		replace(image)
	}
}

// replace puts a link in an image's place; within a link, where there is no room for another, its description alone.
func replace(image *ast.Image) {
	if image.FirstChild() == nil {
		image.AppendChild(image, ast.NewString(image.Destination))
	}
	parent := image.Parent()
	if linked(image) {
		for c := image.FirstChild(); c != nil; c = image.FirstChild() {
			parent.InsertBefore(parent, image, c)
		}
		parent.RemoveChild(parent, image)
		return
	}
	link := ast.NewLink()
	link.Destination = image.Destination
	for c := image.FirstChild(); c != nil; c = image.FirstChild() {
		link.AppendChild(link, c)
	}
	parent.ReplaceChild(parent, image, link)
}

// linked reports whether n is within a link.
func linked(n ast.Node) bool {
	for n = n.Parent(); n != nil; n = n.Parent() {
		if n.Kind() == ast.KindLink {
			return true
		}
	}
	return false
}

// nodes are all nodes of a document.
func nodes(doc ast.Node) func(yield func(ast.Node) bool) {
	return func(yield func(ast.Node) bool) {
		_ = ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) { // its errors are the callback's, which has none
			if entering && !yield(n) {
				return ast.WalkStop, nil
			}
			return ast.WalkContinue, nil
		})
	}
}

// deepest counts the marks of quotes and lists with which a line of source begins, the most there are in one. It looks before goldmark
// does, whose work grows with the square of them.
func deepest(source string) int {
	most := 0
	for line := range strings.Lines(source) {
		if !isRule(line) {
			most = max(most, marks(line))
		}
	}
	return most
}

// isRule reports whether a line holds nothing but marks of one kind, as a thematic break does (CommonMark §4.1).
func isRule(line string) bool {
	line = strings.TrimSpace(line)
	return line != "" && strings.ContainsRune("-*_", rune(line[0])) && strings.Trim(line, line[:1]+" \t") == ""
}

func marks(line string) (n int) {
	for {
		line = strings.TrimLeft(line, " \t")
		after := strings.TrimLeft(line, "0123456789")
		switch {
		case line == "":
			return n
		case line[0] == '>':
			line = line[1:]
		case strings.IndexByte("-+*", line[0]) >= 0 && blankAt(line, 1):
			line = line[1:]
		case len(after) < len(line) && after != "" && strings.IndexByte(".)", after[0]) >= 0 && blankAt(after, 1):
			line = after[1:]
		default:
			return n
		}
		n++
	}
}

func blankAt(s string, i int) bool { return i >= len(s) || strings.IndexByte(" \t\r\n", s[i]) >= 0 }
