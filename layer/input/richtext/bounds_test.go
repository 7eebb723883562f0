package richtext_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/input/richtext"
	"github.com/redoubt-dev/redoubt/layer/input/richtext/clean"
	"github.com/redoubt-dev/redoubt/layer/input/richtext/render"
)

func times(n int, s string) string { return strings.Repeat(s, n) }

// steps is a list within a list, n deep.
func steps(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(times(i, "  ") + "- a\n")
	}
	return b.String()
}

func TestSourcesAreBounded(t *testing.T) { // SYSTEM N3, T6
	for _, c := range []struct{ name, source, want string }{
		{"as many characters as may be", times(20_000, "é"), ""},
		{"one character too many", times(20_001, "a"), "must have at most 20000 characters"},
		{"as many bytes as may be", times(20_000, "\U0001f600"), ""},
		{"too many bytes, whatever they are", times(80_001, "\xff"), "must have at most 80000 bytes"},
		{"bytes that are not text", "a\xff", "must be text in UTF-8"},
		{"text that turns the line around", "a\u202eb", "must not contain control characters, nor such as change the direction of text"},
		{"a character that no column takes", "a\x00b", "must not contain control characters, nor such as change the direction of text"},
		{"all that is blank", "a\r\n\tb\u00a0c\u200fd", ""},
		{"images in images", times(200, "![") + times(200, "](a)"), "must not be nested so deeply"},
		{"images in images without end", times(3_000, "![") + times(3_000, "](a)"), "must not have so many links"},
		{"links that never end", times(5_000, "[a]("), "must not have so many links"},
		{"quotes as deep as may be", times(23, ">") + "a", ""},
		{"quotes that are too deep", times(24, ">") + "a", "must not be nested so deeply"},
		{"quotes without end", times(20_000, ">"), "must not be nested so deeply"},
		{"lists on one line without end", times(9_000, "- ") + "a", "must not be nested so deeply"},
		{"numbered lists on one line without end", times(6_000, "1. "), "must not be nested so deeply"},
		{"quotes and lists in turn", times(4_000, "> - "), "must not be nested so deeply"},
		{"lists as deep as may be", steps(12), ""},
		{"lists that are too deep", steps(13), "must not be nested so deeply"},
		{"emphasis that is too deep", times(30, "*a **b ") + times(30, "b** a*"), "must not be nested so deeply"},
		{"a rule of many marks", times(200, "- "), ""},
		{"as many elements as may be", times(2000, "***\n"), ""},
		{"one element too many", times(2001, "***\n"), "must not have so many marks"},
		{"items without end", times(5000, "- a\n"), "must not have so many marks"},
		{"as many links as may be", times(200, "<https://a.example> "), ""},
		{"one link too many", times(201, "[a](https://a.example) "), "must not have so many links"},
		{"links by references", "[a]: https://b.example\n\n" + times(201, "[a] "), "must not have so many links"},
		{"as many images as may be", times(50, "![a](/files/b) "), ""},
		{"one image too many", times(51, "![a](/files/b) "), "must not have so many images"},
		{"a long address that is referred to often", "[a]: https://b.example/" + times(18_000, "c") + "\n\n" + times(199, "[a] "), "is too long once it is marked up"},
		{"an address that is too long to be a link", "[a](https://b.example/" + times(3_000, "c") + ")", ""},
		{"characters that grow when they are escaped", times(20_000, `"`), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := richtext.FromMarkdown("", c.source)
			got := ""
			var refused *layer.Refusal
			if errors.As(err, &refused) {
				got = refused.Fields[0].Detail
				if refused.By != layer.Input || refused.Reason != layer.Invalid || refused.Public != "The text "+got+"." {
					t.Errorf("got %+v", refused)
				}
			} else if err != nil {
				t.Fatal(err)
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			typed(t, c.source)
			if len(d.HTML) > richtext.MaxHTML || len(d.Links) > 250 || len(d.Images) > 50 {
				t.Errorf("got %d bytes, %d links, %d images", len(d.HTML), len(d.Links), len(d.Images))
			}
		})
	}
}

// quickly reports whether f takes less than half a second, on a machine that may have other things to do: one of five times is enough.
func quickly(f func()) bool {
	for range 5 {
		begin := time.Now()
		f()
		if time.Since(begin) < 500*time.Millisecond {
			return true
		}
	}
	return false
}

// Where work could grow with the square of the source. Each takes milliseconds.
func TestNoSourceTakesLong(t *testing.T) { // SYSTEM T6
	for _, unit := range []string{"[", "![", "]", "[a](", "](", "[a](b \"", "[[a]]", "*a ", "**a *a ", "*_a ", "a** ", "~a ~~b ", "_", "*", "~", "`", "<", "<a", "<!--", "&", "&#", "http://", "www.", "a@", "a@b.c",
		"http://a.b/(", "[a]: b\n", "[a\n", "a\n=\n", "***\n", "```\n", "\\", "\t", " ", "-\n\n", "> a\nb\n", "*a_b**c__d~~e", "!", "\n", "|", "1.\n", "> - a\n"} {
		if !quickly(func() { _, _ = richtext.FromMarkdown("", times(20_000/len(unit), unit)) }) {
			t.Errorf("%q takes long", unit)
		}
	}
}

func TestHTMLIsBounded(t *testing.T) { // SYSTEM N3, T6
	multiply := "<p>"
	for i := range 400 {
		multiply += fmt.Sprintf("<b a=%d>", i)
	}
	kinds := ""
	for _, name := range strings.Fields("b big code em font i nobr s small strike strong tt u") {
		kinds += times(3, "<"+name+">")
	}
	for _, c := range []struct {
		name, html    string
		clean, render layer.Reason // "" if it is taken
	}{
		{"as many bytes as may be", times(256<<10, "a"), "", ""},
		{"one byte too many", times(256<<10+1, "a"), layer.TooLarge, layer.TooLarge},
		{"text that grows when it is escaped", times(200<<10, "'"), layer.TooLarge, ""},
		{"as many elements as may be", times(2000, "<em>a</em>"), "", ""},
		{"one element too many", times(2001, "<br>"), layer.TooLarge, layer.TooLarge},
		{"more tags than elements have", times(4001, "</br>"), "", layer.TooLarge},
		{"elements within elements without end", times(1000, "<em>"), "", layer.Invalid},
		{"list within list without end", times(1500, "<ul><li>"), "", layer.Invalid},
		{"unknown elements within each other without end", times(3000, "<b>"), "", layer.Invalid},
		{"formatting with attributes, begun anew in each paragraph", multiply + times(10_000, "<p>a"), layer.TooLarge, layer.TooLarge},
		{"formatting with attributes, in few tags", multiply + times(3_000, "<p>a"), layer.TooLarge, layer.TooLarge},
		{"formatting without attributes, begun anew in each paragraph", "<p>" + kinds + times(1_990, "<p>a"), "", layer.TooLarge},
		{"as much formatting with attributes as is read", "<p>" + times(8, "<b c>") + kinds + times(1_950, "<p>a"), "", layer.TooLarge},
		{"formatting and paragraphs that end in the wrong order", times(1_900, "<em><p></em>"), "", layer.TooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := clean.HTML(c.html)
			reason(t, "clean", err, c.clean)
			if !quickly(func() { _, err = render.HTML(c.html, every) }) {
				t.Error("it takes long")
			}
			reason(t, "render", err, c.render)
			if _, treeErr := render.Tree(c.html, every); (treeErr == nil) != (err == nil) {
				t.Errorf("the tree: %v", treeErr)
			}
			if err != nil && render.Text(c.html, 10) != "" {
				t.Error("what cannot be shown has an excerpt")
			}
		})
	}
}

func reason(t *testing.T, who string, err error, want layer.Reason) {
	t.Helper()
	var refused *layer.Refusal
	switch {
	case err == nil && want == "":
	case !errors.As(err, &refused) || refused.Reason != want || refused.By != layer.Input || len(refused.Public) > 80:
		t.Errorf("%s: got %v, want %q", who, err, want)
	}
}

// Depth is bounded where it is written, too: what is deeper keeps its text.
func TestWhatIsTooDeepKeepsItsText(t *testing.T) {
	deep := times(100, "<blockquote>") + "a" + times(100, "</blockquote>")
	want := times(24, "<blockquote>") + "a" + times(24, "</blockquote>")
	if c, r := cleaned(t, deep), rendered(t, deep); c != want || r != want {
		t.Errorf("clean gives %q\nrender gives %q", c, r)
	}
	holds(t, deep)
}
