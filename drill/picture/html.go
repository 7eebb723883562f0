package picture

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"slices"
	"strings"

	"github.com/redoubt-dev/redoubt/drill/report"
)

// What the page shows of each attack, so that its size stays in bounds; everything is in the report itself.
const (
	maxRuns  = 24
	maxSets  = 24
	maxPairs = 200
)

var (
	//go:embed page.css
	pageStyle string
	//go:embed page.html
	pageText string

	pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
		"isCause": func(name string) bool { return strings.HasPrefix(name, "cause/") },
	}).Parse(pageText))
)

// HTML writes one page that needs nothing else: a row opens to its cut sets, and those to what was tried, step by step. Its policy lets
// nothing run and nothing be fetched; only the one style whose hash it names applies. // SYSTEM G5
func HTML(r *report.Report) []byte {
	r = tidied(r)
	style := palette + pageStyle
	hash := sha256.Sum256([]byte(style))
	p := page{
		Report: r, Headline: headline(r), Measured: measured(r), Relative: relative(r), Unfinished: unfinished,
		Style:   template.CSS(style),
		Hash:    "sha256-" + base64.StdEncoding.EncodeToString(hash[:]),
		Drawing: template.URL("data:image/svg+xml;base64," + base64.StdEncoding.EncodeToString(pairsOf(r))),
		Figures: figures(r), Breaches: with(r, "breach"), Pairs: firstPairs(r), Columns: len(r.Units) + 2, Roomy: len(r.Units) <= 20,
	}
	if len(p.Pairs) > 0 {
		p.Weakest = &pagePair{p.Pairs[0], count(len(p.Pairs[0].Attacks), "attack")}
	}
	p.layers()
	p.groups()
	var out bytes.Buffer
	if err := pageTemplate.Execute(&out, p); err != nil {
		panic(err) // the template and its data are this package's own, and a Buffer takes everything
	}
	return out.Bytes()
}

// A page is what page.html is filled with.
type page struct {
	Report                                   *report.Report
	Headline, Measured, Relative, Unfinished string
	Style                                    template.CSS
	Hash                                     string
	Drawing                                  template.URL
	Figures                                  []figure
	Weakest                                  *pagePair
	Breaches                                 []*report.Attack
	Thin                                     []pageAttack
	Layers                                   []pageLayer
	Groups                                   []pageGroup
	Pairs                                    []report.Pair
	Columns                                  int
	Roomy                                    bool // few enough columns to give each a little more
}

type pagePair struct {
	Pair  report.Pair
	Count string
}

type pageLayer struct {
	Name   string
	Causes bool
	Units  []pageUnit
}

type pageUnit struct {
	*report.Unit
	Label, Doubt string
	Cause        bool
}

type pageGroup struct {
	Name    string
	Attacks []pageAttack
}

type pageAttack struct {
	*report.Attack
	Fate, Effective, Nominal, Reason string
	Blocks                           []bool // for each failure that is needed: whether it is needed too if causes count as one
	Cells                            []pageCell
	Chips                            []pageCell
	Runs                             []pageRun
	Unshown                          string
}

type pageCell struct {
	First              bool
	Name, Class, Words string
}

type pageRun struct {
	report.Run
	Class, Words, Took string
}

func firstPairs(r *report.Report) []report.Pair {
	all := weakest(r)
	return all[:min(maxPairs, len(all))]
}

func (p *page) layers() {
	for _, l := range layers(p.Report) {
		drawn := pageLayer{Name: l.name, Causes: l.of[0].Layer == ""}
		for _, u := range l.of {
			drawn.Units = append(drawn.Units, pageUnit{u, label(u), doubt(p.Report, u), u.Layer == ""})
		}
		p.Layers = append(p.Layers, drawn)
	}
}

func (p *page) groups() {
	for _, g := range groups(p.Report) {
		drawn := pageGroup{Name: caption(g.name)}
		for _, a := range g.of {
			row := p.attack(a)
			drawn.Attacks = append(drawn.Attacks, row)
			if row.Fate == "thin" {
				p.Thin = append(p.Thin, row)
			}
		}
		p.Groups = append(p.Groups, drawn)
	}
}

func (p *page) attack(a *report.Attack) pageAttack {
	row := pageAttack{Attack: a, Fate: fate(a), Effective: number(a.Effective), Reason: reason(a)}
	for i := range max(a.Depth, a.Effective, 0) {
		row.Blocks = append(row.Blocks, i < a.Effective)
	}
	if a.Depth != a.Effective {
		row.Nominal = number(a.Depth)
	}
	for _, l := range p.Layers {
		for i, u := range l.Units {
			cell := cellOf(a, u.Unit)
			cell.First = i == 0
			row.Cells = append(row.Cells, cell)
			if cell.Class != "" && (!u.Cause || cell.Class == "cause alone") {
				row.Chips = append(row.Chips, cell)
			}
		}
	}
	bounded := *a
	bounded.Cuts, bounded.Causes = shortest(a.Cuts), shortest(a.Causes)
	row.Attack = &bounded
	runs := telling(a)
	if n := len(runs) - maxRuns; n > 0 {
		runs, row.Unshown = runs[:maxRuns], count(n, "more run")+", in the report itself."
	}
	for _, run := range runs {
		row.Runs = append(row.Runs, p.run(run))
	}
	return row
}

func cellOf(a *report.Attack, u *report.Unit) pageCell {
	cause := u.Layer == ""
	switch p := partOf(a, u); {
	case p == alone && cause:
		return pageCell{Name: u.Name, Class: "cause alone", Words: "lets it through"}
	case p == company && cause:
		return pageCell{Name: u.Name, Class: "cause company", Words: "lets it through with something else"}
	case p == alone:
		return pageCell{Name: u.Name, Class: "alone", Words: "stops it alone"}
	case p == company:
		return pageCell{Name: u.Name, Class: "company", Words: "stops it in company"}
	}
	return pageCell{Name: u.Name}
}

// shortest are the sets with the fewest members, first those.
func shortest(sets [][]string) [][]string {
	sets = slices.Clone(sets)
	slices.SortStableFunc(sets, func(a, b []string) int { return cmp.Compare(len(a), len(b)) })
	return sets[:min(maxSets, len(sets))]
}

// telling are an attack's runs, those first that say most: nothing out, then each known way to let it through, then what went
// wrong, then the others as they were tried.
func telling(a *report.Attack) []report.Run {
	runs := slices.Clone(a.Runs)
	rank := func(r report.Run) int {
		switch {
		case len(r.Out) == 0:
			return 0
		case isSet(a.Cuts, r.Out) || isSet(a.Causes, r.Out):
			return 1
		case r.Outcome != report.Harm && r.Outcome != report.Stopped:
			return 2
		}
		return 3
	}
	slices.SortStableFunc(runs, func(x, y report.Run) int { return cmp.Compare(rank(x), rank(y)) })
	return runs
}

func isSet(sets [][]string, out []string) bool {
	return slices.ContainsFunc(sets, func(set []string) bool {
		return len(set) == len(out) && !slices.ContainsFunc(set, func(u string) bool { return !slices.Contains(out, u) })
	})
}

func (p *page) run(r report.Run) pageRun {
	drawn := pageRun{Run: r, Class: "odd", Words: p.configuration(r.Out), Took: fmt.Sprintf("%d ms", r.Millis)}
	if r.Outcome == report.Harm || r.Outcome == report.Stopped {
		drawn.Class = r.Outcome
	}
	if r.Outcome != report.Stopped {
		drawn.By = "" // what refused last is no stop where harm was done
	}
	if len(r.Out) <= named {
		drawn.Out = nil // Words has named them
	}
	return drawn
}

// configuration names what was out or, where that is shorter, what was not.
func (p *page) configuration(out []string) string {
	var left []string
	for _, u := range p.Report.Units {
		if u.Layer != "" && !slices.Contains(out, u.Name) {
			left = append(left, u.Name)
		}
	}
	switch {
	case len(out) <= named:
		return outWords(out)
	case len(left) == 0:
		return "everything out"
	case len(left) <= named:
		return "nothing in place but " + strings.Join(left, ", ")
	}
	return outWords(out)
}

// named is how many units of a configuration are said by name.
const named = 4

// outWords names a configuration.
func outWords(out []string) string {
	switch n := len(out); {
	case n == 0:
		return "everything in place"
	case n > named:
		return fmt.Sprintf("without %s and %d more", clean(strings.Join(out[:named-1], ", "), maxText), n-named+1)
	}
	return "without " + clean(strings.Join(out, ", "), maxText)
}
