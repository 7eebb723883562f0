package picture

import (
	"slices"
	"strings"
	"unicode"

	"github.com/redoubt-dev/redoubt/drill/report"
)

// What is kept of a report's words, in characters.
const (
	maxName = 80  // of an attack, a unit, a group
	maxText = 400 // of a title, a reason, a sentence
	maxStep = 300 // of what one step did, or got
)

// maxSteps is how many steps of a run are kept.
const maxSteps = 40

// tidied is a copy of r, all of whose words are clean and bounded. What is drawn is drawn from it alone.
func tidied(r *report.Report) *report.Report {
	c := *r
	c.Machine = clean(r.Machine, maxText)
	c.Faults, c.Anomalies = cleaned(r.Faults, maxText), cleaned(r.Anomalies, maxText)
	c.Units, c.Attacks, c.Pairs = slices.Clone(r.Units), slices.Clone(r.Attacks), slices.Clone(r.Pairs)
	for i := range c.Units {
		u := &c.Units[i]
		u.Name, u.Layer = clean(u.Name, maxName), clean(u.Layer, maxName)
		u.What, u.Gone, u.Bites = clean(u.What, maxText), clean(u.Gone, maxText), clean(u.Bites, maxText)
	}
	for i := range c.Attacks {
		tidyAttack(&c.Attacks[i])
	}
	for i := range c.Pairs {
		p := &c.Pairs[i]
		p.A, p.B, p.Attacks = clean(p.A, maxName), clean(p.B, maxName), cleaned(p.Attacks, maxName)
	}
	return &c
}

func tidyAttack(a *report.Attack) {
	a.Name, a.Threat, a.Group = clean(a.Name, maxName), clean(a.Threat, 8), clean(a.Group, maxName)
	a.Title, a.Honest, a.By = clean(a.Title, maxText), clean(a.Honest, maxText), clean(a.By, maxName)
	a.Expect, a.Solo, a.Company = cleaned(a.Expect, maxName), cleaned(a.Solo, maxName), cleaned(a.Company, maxName)
	a.Cuts, a.Causes, a.Runs = cleanSets(a.Cuts), cleanSets(a.Causes), slices.Clone(a.Runs)
	for i := range a.Runs {
		run := &a.Runs[i]
		run.Out, run.By = cleaned(run.Out, maxName), clean(run.By, maxName)
		run.Outcome, run.Note, run.Steps = clean(run.Outcome, maxName), clean(run.Note, maxText), slices.Clone(run.Steps[:min(maxSteps, len(run.Steps))])
		for j := range run.Steps {
			s := &run.Steps[j]
			s.Who, s.Did, s.Answer = clean(s.Who, maxName), clean(s.Did, maxStep), clean(s.Answer, maxStep)
		}
	}
}

func cleaned(texts []string, most int) []string {
	texts = slices.Clone(texts)
	for i := range texts {
		texts[i] = clean(texts[i], most)
	}
	return texts
}

func cleanSets(of [][]string) [][]string {
	of = slices.Clone(of)
	for i := range of {
		of[i] = cleaned(of[i], maxName)
	}
	return of
}

// clean makes one line of text without anything that steers what shows it: no controls of terminals, no characters that turn the
// direction of writing around or have no shape, no towers of marks above a letter, nothing that XML forbids.
func clean(text string, most int) string {
	if len(text) <= most && harmless(text) {
		return text
	}
	var out strings.Builder
	length, marks := 0, 0
	for _, c := range strings.Join(strings.Fields(text), " ") {
		if unicode.Is(unicode.M, c) {
			if marks++; marks > 2 {
				continue
			}
		} else {
			marks = 0
		}
		if length++; length > most {
			return out.String() + "…"
		}
		switch {
		case unicode.IsSpace(c):
			c = ' '
		case !unicode.IsGraphic(c):
			c = unicode.ReplacementChar
		}
		out.WriteRune(c)
	}
	return out.String()
}

// harmless spares most words the longer look: letters, digits and signs of ASCII, with single blanks between them.
func harmless(text string) bool {
	blank := true // none at the beginning, nor two of them
	for i := range len(text) {
		c := text[i]
		if c < ' ' || c > '~' || c == ' ' && blank {
			return false
		}
		blank = c == ' '
	}
	return text == "" || !blank
}

// clip shortens text to so many cells of a terminal.
func clip(text string, most int) string {
	if cells(text) <= most {
		return text
	}
	used := 0
	for i, c := range text {
		if used += cellsOf(c); used > most-1 {
			return strings.TrimRight(text[:i], " ") + "…"
		}
	}
	return text
}

// cells are how many columns of a terminal a text takes.
func cells(text string) (n int) {
	for _, c := range text {
		n += cellsOf(c)
	}
	return n
}

func cellsOf(c rune) int {
	switch {
	case unicode.Is(unicode.M, c):
		return 0
	case c >= 0x1100 && (c <= 0x115f || c >= 0x2e80 && c <= 0xa4cf || c >= 0xac00 && c <= 0xd7a3 || c >= 0xf900 && c <= 0xfaff ||
		c >= 0xfe30 && c <= 0xfe6f || c >= 0xff00 && c <= 0xff60 || c >= 0xffe0 && c <= 0xffe6 || c >= 0x1f000):
		return 2 // East Asian wide, and pictures
	}
	return 1
}

// pad fills text up with spaces.
func pad(text string, width int) string {
	return text + strings.Repeat(" ", max(0, width-cells(text)))
}

// wide is how wide a text is at most, of a size in pixels, in the wider of the fonts that systems bring along: a drawing brings none.
func wide(text string, size float64) (sum float64) {
	for _, c := range text {
		sum += wideOf(c) * size
	}
	return sum
}

func wideOf(c rune) float64 {
	switch {
	case unicode.Is(unicode.M, c):
		return 0
	case strings.ContainsRune("iIjl.,:;'|!", c):
		return 0.31
	case strings.ContainsRune(" ftr()[]/-", c):
		return 0.39
	case strings.ContainsRune("mwMW@%—…<>=+~", c):
		return 0.97
	case c > 0x2000:
		return 1
	case unicode.IsUpper(c):
		return 0.7
	}
	return 0.61
}

// fit shortens text so that it is no wider than most.
func fit(text string, size, most float64) string {
	used, cut := 0.0, 0
	for i, c := range text {
		if used+wideOf('…')*size <= most {
			cut = i
		}
		if used += wideOf(c) * size; used > most {
			return strings.TrimRight(text[:cut], " ,") + "…"
		}
	}
	return text
}

// fitBold is fit for words in bold type.
func fitBold(text string, size, most float64) string { return fit(text, size*1.14, most) }

// wrapped breaks text into at most so many lines, each no wider than most.
func wrapped(text string, size, most float64, lines int) (all []string) {
	line := ""
	for _, word := range strings.Fields(text) {
		longer := strings.TrimSpace(line + " " + word)
		if line == "" || wide(longer, size) <= most {
			line = longer
			continue
		}
		if len(all) == lines-1 {
			return append(all, fit(line+" "+word+"…", size, most))
		}
		all, line = append(all, fit(line, size, most)), word
	}
	return append(all, fit(line, size, most))
}
