package richtext_test

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer/input/richtext"
	"github.com/redoubt-dev/redoubt/layer/input/richtext/clean"
	"github.com/redoubt-dev/redoubt/layer/input/richtext/render"
)

// hostile is every payload that there is: the table of attacks, and the public collections, if they are at hand.
func hostile(t *testing.T) (all []string) {
	if os.Getenv("REDOUBT_CORPORA") == "" {
		t.Log("REDOUBT_CORPORA is unset: only our own attacks are tried")
	} else {
		all = payloads(t)
	}
	for _, a := range attacks {
		all = append(all, a.html)
	}
	return append(all, seeds...)
}

// TestNothingEscapesInARealBrowser (SYSTEM N3): no payload runs a script, loads anything from outside, or gets out of its box, with
// both engines, with either one knocked out, as a tree that a script builds, and as Markdown. The page has the policy that transport
// sends, and never needs it.
func TestNothingEscapesInARealBrowser(t *testing.T) {
	all := hostile(t)
	s := newStage(t)
	for _, c := range []struct {
		name string
		make func(string) (string, error)
	}{
		{"both engines", func(p string) (string, error) { return shown(clean.HTML(p)) }},
		{"cleaning on save is knocked out", func(p string) (string, error) { return shown(clean.Fragment{HTML: p}, nil) }},
		{"cleaning on render is knocked out", func(p string) (string, error) { f, err := clean.HTML(p); return f.HTML, err }},
		{"a tree, with cleaning on save knocked out", tree},
		{"typed as Markdown", func(p string) (string, error) {
			d, err := richtext.FromMarkdown("", p)
			return shown(clean.Fragment{HTML: d.HTML}, err)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.trees = strings.HasPrefix(c.name, "a tree")
			refused := 0
			texts := distinct(all, func(p string) string {
				text, err := c.make(p)
				if err != nil {
					refused++
				}
				return text
			})
			pages := 0
			for batch := range slices.Chunk(texts, 400) {
				if got := s.look(t, batch); got != "" {
					t.Errorf("%s", got)
				}
				pages++
			}
			if asked := s.took(); len(asked) > 0 {
				t.Errorf("asked for %q", asked)
			}
			t.Logf("%d payloads, %d refused as a whole; %d texts on %d pages", len(all), refused, len(texts), pages)
		})
	}
	t.Run("what the test sees where no engine has been", func(t *testing.T) { s.seesFaults(t) })
}

func shown(f clean.Fragment, err error) (string, error) {
	if err != nil {
		return "", err
	}
	m, err := render.HTML(f.HTML, every)
	return string(m.HTML()), err
}

func tree(p string) (string, error) {
	nodes, err := render.Tree(p, every)
	if err != nil {
		return "[]", err
	}
	text, err := json.Marshal(nodes)
	return string(text), err
}

func distinct(all []string, text func(string) string) []string {
	var texts []string
	for _, p := range all {
		texts = append(texts, text(p))
	}
	slices.Sort(texts)
	return slices.Compact(texts)
}

// seesFaults puts HTML that nobody has cleaned into a box each: the page must say what is wrong with every one.
func (s *stage) seesFaults(t *testing.T) {
	s.trees = false
	for _, c := range []struct{ html, want string }{
		{`<script>alert(1)</script>`, "holds script"}, {`<p onclick="alert(1)">a</p>`, "p has onclick"}, {`<img src="/files/a" alt="" onerror="alert(1)">`, "img has onerror"},
		{`<img src="https://evil.example/a" alt="">`, "an image of https://evil.example/a"}, {`<a href="javascript:alert(1)" target="_blank" rel="noopener noreferrer">a</a>`, "a link to javascript:"},
		{`<a href="/sign-out" target="_blank" rel="noopener noreferrer">a</a>`, "a link to https:"}, {`</div>a`, "is not what it was"}, {`<li>a`, "is not what it was"},
		{`<p id="x">a</p>`, "p has id"}, {`<svg></svg>`, "holds svg"}, {`<!-- a -->`, "holds a comment"}, {`<table><td>a</td></table>`, "holds table"}, {`<plaintext>`, "boxes: "},
		{`<style>*{position:fixed}</style>`, "the policy had to refuse style-src-elem"}, {`<em>a`, "elements outside the boxes"},
	} {
		got := s.look(t, []string{c.html, "a"})
		t.Log(c.html, got)
		if !strings.Contains(got, c.want) {
			t.Errorf("%s: the page says %q, want %q", c.html, got, c.want)
		}
	}
	s.took()
}

// TestThePolicyAloneInARealBrowser (SYSTEM N3, T2): with both engines knocked out the policy still lets no payload run a script or load
// anything from outside. Every payload stands in a frame as it came, twenty to a frame; a sample of them, alone. With the policy gone,
// too, those of the sample run: that is the proof that they are live, in both kinds of frames, and that the test would see it.
func TestThePolicyAloneInARealBrowser(t *testing.T) {
	var markup, away []string
	for _, p := range distinct(hostile(t), func(p string) string { return p }) {
		switch {
		case leading.MatchString(p):
			away = append(away, p)
		case strings.Contains(p, "<"):
			markup = append(markup, p)
		}
	}
	together, alone := bundles(markup, 20), sample(markup, 20)
	for _, c := range []struct {
		name  string
		texts []string
		page  int // how many of them are on one
		bare  bool
		live  float64 // the part of the texts of which something runs, at least
		leads bool
	}{
		{"the policy alone", together, 20, false, 0, false},
		{"the policy alone, each payload in a frame of its own", alone, 20, false, 0, false},
		{"the policy alone, payloads that lead away", away, 40, false, 0, true},
		{"no defence", bundles(alone, 20), 1, true, 0.5, true},
		{"no defence, each payload in a frame of its own", alone, 20, true, 0.1, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStage(t)
			s.bare = c.bare
			begin := time.Now()
			ran := s.ran(t, c.texts, c.page)
			if !c.bare {
				for text, what := range ran {
					t.Errorf("%q got as far as %s", text, what)
				}
			}
			asked := s.took()
			hosts, connected := beginning(asked, "outside: "), beginning(asked, "connected: ")
			t.Logf("of %d texts %d ran a script; %d places outside were asked, and %d connected to; %v", len(c.texts), len(ran), len(hosts), len(connected), time.Since(begin).Round(time.Second))
			if float64(len(ran)) < c.live*float64(len(c.texts)) || c.bare && len(hosts) == 0 {
				t.Error("too few payloads are live, so that the tests above say nothing")
			}
			if !c.leads && len(hosts) > 0 {
				t.Errorf("it asked for %q", hosts)
			}
		})
	}
}

// leading finds pages that send their reader away. No directive of a policy stops that, as none stops a link; there is no script in it.
var leading = regexp.MustCompile(`(?i)http-equiv`)

// beginning gives what was asked that begins so, each once. To be connected to is less than to be asked: a browser connects to the host
// of a frame before it looks whether the policy allows the frame.
func beginning(asked []string, with string) []string {
	var some []string
	for _, a := range asked {
		if strings.HasPrefix(a, with) {
			some = append(some, a)
		}
	}
	return distinct(some, strings.Clone)
}

// bundles puts n payloads each into one text, with an end for whatever one of them leaves open. One of plain text without end is last.
func bundles(payloads []string, n int) (texts []string) {
	const end = "\n--></script></style></title></textarea></xmp></noscript></noembed></noframes></iframe></template></svg></math></select></table></object></form></div>\n"
	var open []string
	for batch := range slices.Chunk(payloads, n) {
		var b strings.Builder
		for _, p := range batch {
			if strings.Contains(strings.ToLower(p), "<plaintext") {
				open = append(open, p)
				continue
			}
			b.WriteString("<div>" + p + end)
		}
		texts = append(texts, b.String())
	}
	return append(texts, open...)
}

// ran gives the texts of which something ran, each with what that was.
func (s *stage) ran(t *testing.T, texts []string, page int) map[string]string {
	t.Helper()
	ran := map[string]string{}
	for batch := range slices.Chunk(texts, page) {
		for _, record := range s.play(t, batch) {
			n, what, _ := strings.Cut(record, " ")
			i, err := strconv.Atoi(n)
			if err != nil {
				t.Fatal(err)
			}
			if i < 0 {
				ran["one of those in "+batch[0]] = what
			} else {
				ran[batch[i]] = what
			}
		}
	}
	return ran
}
