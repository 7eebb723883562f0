package richtext_test

import (
	"errors"
	"testing"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/input/richtext"
)

// FuzzEngines tries one engine against the other (SYSTEM N3): what either lets through is on the list, balanced and, to both of them,
// final; and where both can read it, they read the same words, elements and addresses.
func FuzzEngines(f *testing.F) {
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, dirty string) {
		if len(dirty) < 50_000 {
			holds(t, dirty)
		}
	})
}

// FuzzFromMarkdown tries what people type: a document is clean, its lists are of what it holds, and a refusal says nothing of the source.
func FuzzFromMarkdown(f *testing.F) {
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, source string) { typed(t, source) })
}

func typed(t testing.TB, source string) {
	t.Helper()
	d, err := richtext.FromMarkdown("", source)
	if err != nil {
		var refused *layer.Refusal
		if !errors.As(err, &refused) || refused.By != layer.Input || d.HTML != "" {
			t.Fatalf("%.200q: %v", source, err)
		}
		return
	}
	if d.Source != source {
		t.Errorf("%.200q is kept as %.200q", source, d.Source)
	}
	for _, fault := range faults(d.HTML) {
		t.Errorf("%.500q\nbecomes %.500q\nwhich %s", source, d.HTML, fault)
	}
	if r := rendered(t, d.HTML); r != d.HTML {
		t.Errorf("%.500q\nbecomes %.500q\nand is shown as %.500q", source, d.HTML, r)
	}
	listed := map[string]bool{}
	for _, link := range d.Links {
		listed[link] = true
	}
	for _, image := range d.Images {
		listed["/files/"+image] = true
	}
	if got, want := sorted(listed), saidBy(t, d.HTML).addresses; got != want {
		t.Errorf("%.500q\nlists %q\nand holds %q", source, got, want)
	}
}

// seeds have every element, every way in which one can be misplaced, and every attribute.
var seeds = []string{
	"", " ", "a & b &lt; &amp;amp; \u00a0 \U0001f600",
	`<p>a<br>b</p><h3>c</h3><blockquote><p>d</p></blockquote><ul><li>e<ol start="3"><li>f</li></ol></li></ul><pre><code>g</code></pre><hr>`,
	`<a href="https://a.example/?b=c&amp;d#e">x</a> <a href="mailto:a@b.c">y</a> <strong><em><del><code>z</code></del></em></strong>`,
	`<img src="/files/abc.jpg" alt="a &quot;b&quot; &lt;c&gt;"><img src="https://evil.example/x"><img src="/files/../x">`,
	"# a\n\n> - b\n>   1. *c* **d** ~~e~~ `f`\n\n![g](/files/h.png) [i](https://j.example/k) https://l.example www.m.example <n@o.example>\n\n---\n\n    p\n\n```q\nr\n```\n",
	`<p>a<p>b<p>c`, `<ul><li>a<li>b<ul><li>c</ul><li>d</ul>`, `</p></li></ul></div></a>`, `<li>a<li>b`, `<ul>a<p>b</p></ul>`, `<p><ul><li>x</p></ul>`,
	`<a href="https://a.example"><a href="https://b.example">c</a></a>`, `<em><p>a</em>b</p>`, `<strong><em>a</strong>b</em>`, `<pre>` + "\n\n" + `a</pre>`,
	`<pre><em></em>` + "\n" + `a</pre>`, `<h3>a<h4>b`, `<h3>a<p>b`, `<pre>a<p>b<pre>c`, `<blockquote><li>a</li></blockquote>`, `<code>a<em>b</em></code>`,
	"<p\x00>a</p>\x00", `<p>&#x202e;&#0;&#13;&#128;&NotEqualTilde;&notit;</p>`, `<!-- a --!> b -->`, `<em/>a<br/>b<img src="/files/a"/>`, "<pre>\r\n\ra</pre>",
}
