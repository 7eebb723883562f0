package picture_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"flag"
	"html"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/redoubt-dev/redoubt/drill/picture"
	"github.com/redoubt-dev/redoubt/drill/report"
)

var (
	update = flag.Bool("update", false, "rewrite testdata/*.golden from what the code does")
	look   = flag.String("look", "", "write the pictures of a large report into this folder, for a person to look at")
)

// forms are all pictures of a report.
var forms = map[string]func(*report.Report) []byte{
	"terminal-40":    screen(40, false),
	"terminal-80":    screen(80, false),
	"terminal-160":   screen(160, false),
	"terminal-color": screen(160, true),
	"matrix.svg":     picture.SVG,
	"pairs.svg":      picture.PairsSVG,
	"page.html":      picture.HTML,
	"drill.md":       picture.Markdown,
	"readme.md":      picture.MatrixMarkdown,
	"headline":       func(r *report.Report) []byte { return []byte(picture.Headline(r) + "\n") },
}

func screen(width int, color bool) func(*report.Report) []byte {
	return func(r *report.Report) []byte {
		var out bytes.Buffer
		if err := picture.Terminal(&out, r, width, color); err != nil {
			panic(err)
		}
		return out.Bytes()
	}
}

func TestPicturesKeepTheirForm(t *testing.T) { // SYSTEM G5
	for name, form := range forms {
		got := withoutStyle(form(small()))
		file := filepath.Join("testdata", name+".golden")
		if *update {
			if err := os.WriteFile(file, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s differs from %s (go test -update, then read the difference):\n%s", name, file, got)
		}
	}
}

var (
	styleForm = regexp.MustCompile(`(?s)<style>.*?</style>`)
	hashForm  = regexp.MustCompile(`sha256-[A-Za-z0-9+/=&#;]+`)
	dataForm  = regexp.MustCompile(`base64,[A-Za-z0-9+/=&#;]+`)
)

// withoutStyle leaves out what would hide a change of form among changes of taste.
func withoutStyle(picture []byte) []byte {
	picture = styleForm.ReplaceAll(picture, []byte("<style>…</style>"))
	picture = hashForm.ReplaceAll(picture, []byte("sha256-…"))
	return dataForm.ReplaceAll(picture, []byte("base64,…"))
}

func TestTheSameReportGivesTheSameBytes(t *testing.T) {
	for name, form := range forms {
		r := large()
		first := form(r)
		for range 3 {
			if !bytes.Equal(form(r), first) || !bytes.Equal(form(large()), first) {
				t.Errorf("%s differs from one time to the next", name)
			}
		}
		if *look != "" {
			if err := os.WriteFile(filepath.Join(*look, name), first, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestAReportIsLeftAsItIs(t *testing.T) {
	for name, form := range forms {
		r := nasty()
		form(r)
		if r.Attacks[0].Title != nasty().Attacks[0].Title || r.Units[0].Name != hostile || r.Attacks[0].Runs[2].Steps[0].Who != hostile {
			t.Errorf("%s has changed the report", name)
		}
	}
}

func TestAnEmptyReportIsDrawn(t *testing.T) {
	half := &report.Report{Units: []report.Unit{{}}, Attacks: []report.Attack{{}, {Valid: true, Depth: -1, Effective: -1, Runs: []report.Run{{}}}}, Pairs: []report.Pair{{}}}
	for name, form := range forms {
		for _, r := range []*report.Report{{}, half} {
			if len(form(r)) == 0 {
				t.Errorf("%s says nothing", name)
			}
		}
	}
}

var paint = regexp.MustCompile(`\x1b\[[0-9;]{1,4}m`)

func TestHostileWordsSteerNothing(t *testing.T) {
	for name, form := range forms {
		got := string(form(nasty()))
		if name == "terminal-color" {
			got = paint.ReplaceAllString(got, "")
		}
		if !utf8.ValidString(got) {
			t.Errorf("%s is no UTF-8", name)
		}
		for _, c := range got {
			if c != '\n' && !unicode.IsGraphic(c) {
				t.Fatalf("%s holds %U", name, c)
			}
		}
	}
}

func TestHostileWordsAreNoElements(t *testing.T) {
	page := strings.ToLower(string(picture.HTML(nasty())))
	for _, never := range []string{"<script", "href", "</title></svg>very", "zgotmplz"} {
		if strings.Contains(page, never) {
			t.Errorf("the page holds %s", never)
		}
	}
	for _, once := range []string{"<title>", "</title>", "<style>", "</style>", "</html>", "<main>"} {
		if n := strings.Count(page, once); n != 1 {
			t.Errorf("the page holds %s %d times", once, n)
		}
	}
	for name, draw := range map[string]func(*report.Report) []byte{"matrix": picture.SVG, "pairs": picture.PairsSVG} {
		for _, r := range []*report.Report{nasty(), large()} {
			if err := onlyDrawn(draw(r)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// onlyDrawn reads an SVG as strictly as a browser does, and wants nothing in it but what is drawn.
func onlyDrawn(svg []byte) error {
	drawn := []string{"svg", "title", "desc", "style", "rect", "line", "circle", "path", "text"}
	attributes := []string{"xmlns", "viewBox", "width", "height", "role", "aria-labelledby", "id", "class", "x", "y", "rx", "x1", "y1", "x2", "y2", "cx", "cy", "r", "d", "font-size", "text-anchor", "transform"}
	for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		start, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		if !slices.Contains(drawn, start.Name.Local) {
			return errors.New("it holds the element " + start.Name.Local)
		}
		for _, a := range start.Attr {
			if !slices.Contains(attributes, a.Name.Local) {
				return errors.New("it holds the attribute " + a.Name.Local)
			}
		}
	}
}

func TestHostileWordsStayInTheirCell(t *testing.T) {
	escapes := regexp.MustCompile(`\\.`)
	for _, form := range []func(*report.Report) []byte{picture.Markdown, picture.MatrixMarkdown} {
		columns := 0
		for i, line := range strings.Split(string(form(nasty())), "\n") {
			plain := escapes.ReplaceAllString(line, "")
			if strings.HasPrefix(line, "<!--") || strings.HasPrefix(line, "![") {
				continue
			}
			if strings.ContainsAny(plain, "<[]@") || strings.Contains(plain, "](") || strings.HasPrefix(strings.TrimLeft(plain, "- "), "# Gone") {
				t.Errorf("line %d means more than it says: %s", i+1, line)
			}
			switch n := strings.Count(plain, "|"); {
			case n == 0:
				columns = 0
			case columns == 0:
				columns = n
			case n != columns:
				t.Errorf("line %d has %d bars, its table %d: %s", i+1, n, columns, line)
			}
		}
	}
}

func TestATerminalIsNotOverrun(t *testing.T) {
	for _, r := range []*report.Report{small(), large(), nasty()} {
		for _, width := range []int{-1, 40, 80, 132, 160, 240, 1 << 20} {
			for line := range strings.Lines(paint.ReplaceAllString(string(screen(width, true)(r)), "")) {
				if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > max(40, min(width, 240)) {
					t.Fatalf("a line of %d characters in %d columns: %s", n, width, line)
				}
			}
		}
	}
}

func TestPlainMeansASCII(t *testing.T) {
	for _, width := range []int{80, 200} {
		for _, c := range string(screen(width, false)(large())) {
			if c > 126 && c != '…' {
				t.Fatalf("%q in %d columns without colour", c, width)
			}
		}
	}
}

// TestThePageLetsNothingRun: its policy names the hash of its one style, and allows nothing else but pictures that are in it.
func TestThePageLetsNothingRun(t *testing.T) {
	page := string(picture.HTML(nasty()))
	style := regexp.MustCompile(`(?s)<style>(.*?)</style>`).FindStringSubmatch(page)
	policy := regexp.MustCompile(`<meta http-equiv="Content-Security-Policy" content="([^"]*)">`).FindStringSubmatch(page)
	if style == nil || policy == nil {
		t.Fatal("no style, or no policy")
	}
	hash := sha256.Sum256([]byte(style[1]))
	want := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) + "'; img-src data:; base-uri 'none'; form-action 'none'"
	if got := html.UnescapeString(policy[1]); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if strings.Contains(page, " style=") || strings.Contains(page, " on") && regexp.MustCompile(`<[a-z]+[^>"]* on[a-z]+=`).MatchString(page) {
		t.Error("the page has styles or handlers in attributes, which its policy forbids")
	}
}

func TestLongReportsStayInBounds(t *testing.T) {
	r := large()
	for i := range r.Attacks {
		a := &r.Attacks[i]
		for len(a.Runs) < 300 {
			a.Runs = append(a.Runs, a.Runs[0])
		}
		for len(a.Runs[0].Steps) < 900 {
			a.Runs[0].Steps = append(a.Runs[0].Steps, a.Runs[0].Steps[0])
		}
		for len(a.Cuts) < 900 {
			a.Cuts = append(a.Cuts, a.Cuts[0])
		}
	}
	if n := len(picture.HTML(r)); n > 12<<20 {
		t.Errorf("the page has %d bytes", n)
	}
	for len(r.Attacks) < 2000 {
		r.Attacks = append(r.Attacks, r.Attacks[0])
	}
	for len(r.Faults) < 2000 {
		r.Faults = append(r.Faults, "a fault")
	}
	svg := picture.SVG(r)
	if n := len(svg); n > 4<<20 {
		t.Errorf("the matrix has %d bytes", n)
	}
	for _, want := range []string{"1,600 more are in the page.", "1,976 more are in the page."} {
		if !bytes.Contains(svg, []byte(want)) {
			t.Errorf("the matrix does not say that %s", want)
		}
	}
}

func TestTheHeadlineSaysHowItIs(t *testing.T) {
	none := large()
	none.Pairs = none.Pairs[:1]
	none.Pairs[0].Attacks = nil
	deep := small()
	deep.Attacks = deep.Attacks[5:]
	for name, c := range map[string]struct {
		r    *report.Report
		want string
	}{
		"everything once": {small(), "6 attacks, 1 breach, 1 at effective depth 1, 1 invalid, median effective depth 2, weakest pair gate/action + rls/floor: 1 attack"},
		"no weak pair":    {none, "47 attacks, 0 breaches, 7 at effective depth 1, median effective depth 2, no pair of failures lets an attack through"},
		"no bottom found": {deep, "1 attack, 0 breaches, 0 at effective depth 1, median effective depth beyond what was tried, weakest pair gate/action + rls/floor: 1 attack"},
		"nothing at all":  {&report.Report{}, "0 attacks, 0 breaches, 0 at effective depth 1"},
	} {
		if got := picture.Headline(c.r); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestWhatIsWrongIsSaidEverywhere(t *testing.T) {
	r := small()
	r.Complete = false
	r.Attacks[1].Honest = ""
	for name, form := range forms {
		if name == "headline" || name == "pairs.svg" {
			continue
		}
		got := strings.Join(strings.Fields(html.UnescapeString(string(form(r)))), " ")
		for what, words := range map[string]string{"that it is not finished": "not finished", "a breach": "Carol takes it all", "a gap": "this is a gap"} {
			if !strings.Contains(got, words) {
				t.Errorf("%s does not say %s", name, what)
			}
		}
		if name != "readme.md" && (!strings.Contains(got, "everything does harm") || !strings.Contains(got, "of which its author")) {
			t.Errorf("%s names no fault, or no anomaly", name)
		}
	}
}

// FuzzWords shows any words in every form that a terminal or a browser reads.
func FuzzWords(f *testing.F) {
	for _, words := range []string{"", hostile, "a  b", " ", "\u202eabc", "\xff\xfe", "e\u0301\u0301\u0301\u0301", strings.Repeat("字", 500), "]]>", "1. one", "www.example.test"} {
		f.Add(words)
	}
	f.Fuzz(func(t *testing.T, words string) {
		r := small()
		r.Attacks[0].Title, r.Attacks[0].Name, r.Attacks[1].Honest, r.Units[0].Name, r.Machine, r.Faults[0] = words, words, words, words, words, words
		for _, svg := range [][]byte{picture.SVG(r), picture.PairsSVG(r)} {
			if err := onlyDrawn(svg); err != nil {
				t.Error(err)
			}
		}
		for _, form := range []func(*report.Report) []byte{screen(60, false), picture.HTML, picture.Markdown} {
			for _, c := range string(form(r)) {
				if c != '\n' && !unicode.IsGraphic(c) {
					t.Errorf("got %U", c)
				}
			}
		}
	})
}

func TestAWriterThatFailsIsReported(t *testing.T) {
	if err := picture.Terminal(full{}, small(), 80, false); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("got %v", err)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, io.ErrShortWrite }
