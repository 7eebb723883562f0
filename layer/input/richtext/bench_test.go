package richtext_test

import (
	"strings"
	"testing"

	"github.com/microcosm-cc/bluemonday"

	"github.com/redoubt-dev/redoubt/layer/input/richtext"
	"github.com/redoubt-dev/redoubt/layer/input/richtext/clean"
	"github.com/redoubt-dev/redoubt/layer/input/richtext/render"
)

// article is what people write: paragraphs with a little of everything, about 10 kB.
func article(b *testing.B) richtext.Document {
	b.Helper()
	d, err := richtext.FromMarkdown("", strings.Repeat("## Tea\n\nWe met on *Monday* and drank **three** pots of [Assam](https://a.example/tea?b=c&d=e), "+
		"which nobody had expected; \"never again\" was said, and `tea.Pour()` & its friends were blamed.\n\n> - one\n> - two, with some more words to it\n\n![The pot](/files/pot.png)\n\n", 20))
	if err != nil {
		b.Fatal(err)
	}
	return d
}

func BenchmarkFromMarkdown(b *testing.B) {
	d := article(b)
	b.SetBytes(int64(len(d.Source)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := richtext.FromMarkdown("", d.Source); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkClean(b *testing.B) {
	d := article(b)
	b.SetBytes(int64(len(d.HTML)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := clean.HTML(d.HTML); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRender(b *testing.B) {
	d := article(b)
	b.SetBytes(int64(len(d.HTML)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := render.HTML(d.HTML, every); err != nil {
			b.Fatal(err)
		}
	}
}

// What people use instead, on save and, if they are careful, once more on render.
func BenchmarkBluemonday(b *testing.B) {
	d := article(b)
	p := bluemonday.UGCPolicy()
	b.SetBytes(int64(len(d.HTML)))
	b.ReportAllocs()
	for b.Loop() {
		_ = p.Sanitize(d.HTML)
	}
}
