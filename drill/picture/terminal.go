package picture

import (
	"fmt"
	"io"
	"strings"

	"github.com/redoubt-dev/redoubt/drill/report"
)

// How wide a terminal is taken to be, whatever it says of itself.
const (
	leastWide = 40
	mostWide  = 240
)

// Terminal writes the drill for a terminal of so many columns: the matrix where it fits, else a list of attacks with their depth and
// what stops them. Without colour, every sign is ASCII, for files and pipes. // SYSTEM G5
func Terminal(w io.Writer, r *report.Report, width int, color bool) error {
	t := &screen{r: tidied(r), width: min(max(width, leastWide), mostWide), color: color}
	t.head()
	if g := t.grid(); g.least() <= t.width {
		g.draw()
	} else {
		t.attacks()
	}
	t.list("thin", "33", "At effective depth 1: one failure suffices")
	t.pairs()
	t.idle()
	t.sentences("Anomalies", "33", t.r.Anomalies)
	t.out.WriteString("\n")
	t.lines("2", measured(t.r)+" "+relative(t.r))
	_, err := io.WriteString(w, t.out.String())
	return err
}

// The signs of the picture, and what stands for them without colour.
var signs = map[string]string{"●": "#", "◐": "+", "◆": "X", "◇": "x", "·": ".", "█": "=", "░": "-"}

func (t *screen) sign(s string) string {
	if t.color {
		return s
	}
	return signs[s]
}

type screen struct {
	out   strings.Builder
	r     *report.Report
	width int
	color bool
}

// paint is text in one of the sixteen colours that every terminal has, by its code; "1" is bold and "2" is faint.
func (t *screen) paint(code, text string) string {
	if !t.color || code == "" || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (t *screen) head() {
	t.lines("1", headline(t.r))
	if !t.r.Complete {
		t.lines("33", unfinished)
	}
	t.list("breach", "1;31", "Breaches: harm was done with everything in place")
	t.sentences("Faults: the drill has failed", "1;31", t.r.Faults)
}

// lines writes words, broken at the terminal's width.
func (t *screen) lines(code, words string) { t.item("", code, words) }

// item writes words after a mark; their further lines stand beneath the first.
func (t *screen) item(mark, code, words string) {
	for i, line := range broken(words, t.width-cells(mark)) {
		if i == 1 {
			mark = strings.Repeat(" ", cells(mark))
		}
		t.out.WriteString(mark + t.paint(code, line) + "\n")
	}
}

// broken parts words into lines of at most so many cells.
func broken(words string, width int) (all []string) {
	line := ""
	for _, word := range strings.Fields(words) {
		if line != "" && cells(line)+1+cells(word) > width {
			all, line = append(all, line), ""
		}
		line = strings.TrimSpace(line + " " + clip(word, width))
	}
	return append(all, line)
}

func (t *screen) title(code, words string) {
	t.out.WriteString("\n")
	t.lines(code, words)
}

func (t *screen) sentences(words, code string, all []string) {
	if len(all) == 0 {
		return
	}
	t.title(code, words)
	for _, s := range all {
		t.item("  - ", "", s)
	}
}

// list names the attacks of one fate.
func (t *screen) list(kind, code, words string) {
	found := with(t.r, kind)
	if len(found) == 0 {
		return
	}
	t.title(code, words)
	for _, a := range found {
		why := a.Title
		if kind == "thin" {
			why = reason(a)
		}
		t.out.WriteString("  " + t.paint("1", clip(a.Name, t.width-2)) + "\n")
		t.item("      ", "", why)
	}
}

// attacks is the narrow form: two lines for each.
func (t *screen) attacks() {
	for _, g := range groups(t.r) {
		t.title("1;36", caption(g.name))
		for _, a := range g.of {
			t.attack(a)
		}
	}
	t.out.WriteString("\n")
	t.lines("2", "Depth is the failures that it takes, common causes counting as one; after the stroke, where they do not.")
}

func (t *screen) attack(a *report.Attack) {
	depth := pad(depthOf(a), 5)
	threat := pad(clip(a.Threat, 4), 5)
	title := clip(a.Title, t.width-12)
	if code := fateCode(a); code != "" {
		depth, title = t.paint(code, depth), t.paint(code, title)
	}
	t.out.WriteString("  " + depth + t.paint("2", threat) + title + "\n")
	if words := t.why(a); words != "" {
		t.item(strings.Repeat(" ", 12), "2", words)
	}
}

// depthOf is "2", or "2/3" where common causes make a difference.
func depthOf(a *report.Attack) string {
	switch {
	case fate(a) == "invalid":
		return "n/a"
	case a.Depth == a.Effective || a.Breach:
		return number(a.Effective)
	}
	return number(a.Effective) + "/" + number(a.Depth)
}

func fateCode(a *report.Attack) string {
	return map[string]string{"breach": "1;31", "thin": "33", "invalid": "2"}[fate(a)]
}

// why says in words what a row of the matrix says in signs.
func (t *screen) why(a *report.Attack) string {
	if fate(a) == "invalid" {
		return "invalid: it does no harm even with everything out"
	}
	var words []string
	for _, said := range []struct {
		p      part
		causes bool
		words  string
	}{{alone, false, "stopped alone by"}, {company, false, "in company by"}, {alone, true, "let through by"}} {
		if names := parts(t.r, a, said.p, said.causes); len(names) > 0 {
			words = append(words, said.words+" "+strings.Join(names, ", "))
		}
	}
	return strings.Join(words, "; ")
}

func (t *screen) pairs() {
	all := weakest(t.r)
	if len(all) == 0 {
		return
	}
	t.title("1", fmt.Sprintf("Weakest pairs, of %s", thousands(len(t.r.Pairs))))
	for i, p := range all {
		if i == 5 {
			t.out.WriteString(t.paint("2", fmt.Sprintf("  and %s more", thousands(len(all)-i))) + "\n")
			break
		}
		t.item(fmt.Sprintf("%5d ", len(p.Attacks)), "", p.A+" + "+p.B)
	}
}

// idle names the units of layers that were not seen to be of use.
func (t *screen) idle() {
	var all []string
	for i := range t.r.Units {
		if why := doubt(t.r, &t.r.Units[i]); why != "" {
			all = append(all, t.r.Units[i].Name+": "+why)
		}
	}
	t.sentences("Units in doubt", "33", all)
}
