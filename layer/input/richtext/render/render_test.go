package render_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html/template"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/redoubt-dev/redoubt/layer/input/richtext/render"
)

const stored = `<h3>Tea</h3>
<p>Hello <strong>all</strong>,<br>
<a href="https://a.example/?b&amp;c" target="_blank" rel="noopener noreferrer">look</a> &lt;b&gt; <img src="/files/ours.png" alt="a &#34;cup&#34;"><img src="/files/theirs.png" alt="x"></p>
<ol start="3">
<li>one</li>
</ol>
<pre><code>
x &amp;&amp; y
</code></pre>
<hr>
`

var ours = render.Policy{Image: func(name string) bool { return name == "ours.png" }}

func TestImagesAreShownOnlyWhereTheyBelong(t *testing.T) { // SYSTEM N3
	for _, c := range []struct {
		name   string
		policy render.Policy
		want   []string
	}{
		{"a page that says nothing shows none", render.Policy{}, nil},
		{"a page that knows one shows that one", ours, []string{"ours.png"}},
		{"a page that knows all shows all", render.Policy{Image: func(string) bool { return true }}, []string{"ours.png", "theirs.png"}},
	} {
		m, err := render.HTML(stored, c.policy)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"ours.png", "theirs.png"} {
			if got, want := strings.Contains(string(m.HTML()), `src="/files/`+name+`"`), slices.Contains(c.want, name); got != want {
				t.Errorf("%s: %s is shown: %t, want %t", c.name, name, got, want)
			}
		}
	}
}

func TestThePolicyHearsOnlyNames(t *testing.T) {
	var asked []string
	p := render.Policy{Image: func(name string) bool { asked = append(asked, name); return false }}
	if _, err := render.HTML(`<img src="/files/a"><img src="/files/../b"><img src="/files/c.d.e"><img src="https://x/files/f"><img src="/files/`+strings.Repeat("g", 65)+`">`, p); err != nil {
		t.Fatal(err)
	}
	if want := []string{"a"}; !slices.Equal(asked, want) {
		t.Errorf("got %q, want %q", asked, want)
	}
}

func TestATemplatePrintsMarkupAndNothingElse(t *testing.T) { // SYSTEM N3, G2
	m, err := render.HTML(`<p>a<script>x</script> &amp; <em>b</em></p>`, ours)
	if err != nil {
		t.Fatal(err)
	}
	for page, want := range map[string]string{
		`<div>{{.HTML}}</div>`:               `<div><p>a &amp; <em>b</em></p></div>`,
		`<p title="{{.HTML}}">x</p>`:         `<p title="a &amp; b">x</p>`, // the template knows better than to believe it here
		`<script>let x = {{.HTML}}</script>`: `<script>let x = "\u003cp\u003ea \u0026amp; \u003cem\u003eb\u003c/em\u003e\u003c/p\u003e"</script>`,
	} {
		var out bytes.Buffer
		if err := template.Must(template.New("").Parse(page)).Execute(&out, m); err != nil || out.String() != want {
			t.Errorf("got %q, %v\nwant %q", out.String(), err, want)
		}
	}
	if got := (render.Markup{}).HTML(); got != "" {
		t.Errorf("the zero Markup is %q", got)
	}
	const want = `"\u003cp\u003ea \u0026amp; \u003cem\u003eb\u003c/em\u003e\u003c/p\u003e"`
	if text, err := json.Marshal(m); err != nil || string(text) != want {
		t.Errorf("as JSON it is %s, %v, want %s", text, err, want)
	}
}

func TestTreeIsTheSameWithoutMarkup(t *testing.T) { // SYSTEM N3, T2
	nodes, err := render.Tree(stored+`<script>alert(1)</script><p onclick="x" style="y">z</p>`, ours)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(nodes)
	if err != nil {
		t.Fatal(err)
	}
	const want = `[{"element":"h3","nodes":[{"text":"Tea"}]},{"text":"\n"},` +
		`{"element":"p","nodes":[{"text":"Hello "},{"element":"strong","nodes":[{"text":"all"}]},{"text":","},{"element":"br"},{"text":"\n"},` +
		`{"element":"a","attributes":{"href":"https://a.example/?b\u0026c","rel":"noopener noreferrer","target":"_blank"},"nodes":[{"text":"look"}]},{"text":" \u003cb\u003e "},` +
		`{"element":"img","attributes":{"alt":"a \"cup\"","src":"/files/ours.png"}}]},{"text":"\n"},` +
		`{"element":"ol","attributes":{"start":"3"},"nodes":[{"text":"\n"},{"element":"li","nodes":[{"text":"one"}]},{"text":"\n"}]},{"text":"\n"},` +
		`{"element":"pre","nodes":[{"element":"code","nodes":[{"text":"\nx \u0026\u0026 y\n"}]}]},{"text":"\n"},{"element":"hr"},{"text":"\n"},` +
		`{"element":"p","nodes":[{"text":"z"}]}]`
	if string(text) != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
}

func TestAnExcerptIsPlainAndShort(t *testing.T) { // SYSTEM N3
	for _, c := range []struct {
		name, html string
		n          int
		want       string
	}{
		{"all of it", stored, 100, "Tea Hello all, look <b> one x && y"},
		{"cut between words", stored, 20, "Tea Hello all, look…"},
		{"cut within a word", stored, 13, "Tea Hello…"},
		{"cut within a long word", strings.Repeat("a", 50), 10, "aaaaaaaaa…"},
		{"cut in characters and not in bytes", strings.Repeat("é", 50), 10, "ééééééééé…"},
		{"as long as it may be", "abcde", 5, "abcde"},
		{"one character longer", "abcdef", 5, "abcd…"},
		{"one character", "abcdef", 1, "…"},
		{"no character", "abcdef", 0, ""},
		{"less than none", "abcdef", -1, ""},
		{"nothing", "", 10, ""},
		{"blocks and lines are apart", "<p>a</p><p>b<br>c</p><ul><li>d</li><li>e</li></ul>", 20, "a b c d e"},
		{"formatting is not", "a<em>b</em>c", 20, "abc"},
		{"a script has no words", "a<script>alert(1)</script>", 20, "a"},
		{"markup that is text stays text", "&lt;script&gt;", 20, "<script>"},
		{"what turns the line around is gone", "a\u202eb", 20, "ab"},
	} {
		got := render.Text(c.html, c.n)
		if got != c.want || utf8.RuneCountInString(got) > max(c.n, 0) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func FuzzText(f *testing.F) {
	f.Add(stored, 20)
	f.Add("<p>a", 1)
	f.Fuzz(func(t *testing.T, html string, n int) {
		got := render.Text(html, n)
		if utf8.RuneCountInString(got) > max(n, 0) || strings.ContainsAny(got, "\n\r\t\x00\u202e") || !utf8.ValidString(got) {
			t.Errorf("%q, %d: got %q", html, n, got)
		}
	})
}

func Example() {
	page := template.Must(template.New("").Parse("<article>{{.Body.HTML}}</article>\n<title>{{.Title}}</title>"))
	kept := `<p onclick="steal()">Hello <a href="https://a.example">you</a></p>` // whatever is stored
	body, err := render.HTML(kept, render.Policy{Image: func(name string) bool { return name == "photo.png" }})
	if err != nil {
		fmt.Println(err)
		return
	}
	var out bytes.Buffer
	_ = page.Execute(&out, struct {
		Body  render.Markup
		Title string
	}{body, render.Text(kept, 5)})
	fmt.Println(out.String())
	// Output:
	// <article><p>Hello <a href="https://a.example" target="_blank" rel="noopener noreferrer">you</a></p></article>
	// <title>Hell…</title>
}
