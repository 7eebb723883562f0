package picture

import (
	"fmt"
	"strings"

	"github.com/redoubt-dev/redoubt/drill/report"
)

// A grid is the matrix in a terminal: two cells for each unit, a blank between layers.
type grid struct {
	*screen
	layers []band[report.Unit]
	titles int // cells for an attack's title
	bars   int // for its depth
}

const (
	threatWide  = 5
	leastTitles = 32
	mostTitles  = 72
	mostUpright = 16 // of a unit's name, which is written downwards
)

func (t *screen) grid() *grid {
	g := &grid{screen: t, layers: layers(t.r), bars: 10}
	for _, a := range t.r.Attacks {
		g.bars = max(g.bars, 7+a.Depth, 7+a.Effective)
	}
	g.titles = leastTitles
	longest := leastTitles
	for _, a := range t.r.Attacks {
		longest = max(longest, cells(a.Title))
	}
	g.titles += max(0, min(t.width-g.least(), longest-leastTitles, mostTitles-leastTitles))
	return g
}

// least is how wide the grid is.
func (g *grid) least() int {
	sum := threatWide + g.titles + g.bars + 2
	for _, l := range g.layers {
		sum += g.wide(l) + 2
	}
	return sum
}

// wide is the cells of a layer: of its columns, or of its name if that is wider.
func (g *grid) wide(l band[report.Unit]) int { return max(2*len(l.of)-1, min(cells(l.name), 10)) }

func (g *grid) draw() {
	g.out.WriteString("\n")
	lead := strings.Repeat(" ", threatWide+g.titles)
	line := lead
	for _, l := range g.layers {
		line += "  " + g.paint("1", pad(clip(l.name, g.wide(l)), g.wide(l)))
	}
	g.out.WriteString(strings.TrimRight(line, " ") + "\n")
	g.uprights(lead)
	for _, b := range groups(g.r) {
		g.out.WriteString(g.paint("1;36", caption(b.name)) + "\n")
		for _, a := range b.of {
			g.row(a)
		}
	}
	g.sum("attacks that it stops alone", func(u *report.Unit) int { return u.Solo })
	g.sum("attacks that nothing else stops", func(u *report.Unit) int { return u.Last })
	g.out.WriteString("\n")
	g.lines("2", g.sign("●")+" stops it alone; "+g.sign("◐")+" in company; "+g.sign("◆")+" is a cause that lets it through by itself, "+g.sign("◇")+" with something else; "+
		g.sign("█")+" depth; "+g.sign("░")+" what more it would be if causes did not count as one")
}

// uprights writes the names of units downwards, ending just above the first row.
func (g *grid) uprights(lead string) {
	high := 0
	for i := range g.r.Units {
		high = max(high, len([]rune(clip(label(&g.r.Units[i]), mostUpright))))
	}
	for y := range high {
		line := lead
		for _, l := range g.layers {
			letters := make([]string, len(l.of))
			for i, u := range l.of {
				name := []rune(clip(label(u), mostUpright))
				letters[i] = " "
				if at := y - (high - len(name)); at >= 0 && cellsOf(name[at]) == 1 {
					letters[i] = string(name[at])
				}
			}
			line += "  " + pad(strings.Join(letters, " "), g.wide(l))
		}
		g.out.WriteString(strings.TrimRight(line, " ") + "\n")
	}
}

func (g *grid) row(a *report.Attack) {
	code := fateCode(a)
	line := g.paint("2", pad(clip(a.Threat, threatWide-1), threatWide)) + g.paint(code, pad(clip(a.Title, g.titles), g.titles))
	for _, l := range g.layers {
		signs := make([]string, len(l.of))
		for i, u := range l.of {
			signs[i] = g.mark(a, u)
		}
		line += "  " + strings.Join(signs, " ") + strings.Repeat(" ", g.wide(l)-(2*len(l.of)-1))
	}
	g.out.WriteString(strings.TrimRight(line+"  "+g.bar(a), " ") + "\n")
}

func (g *grid) mark(a *report.Attack, u *report.Unit) string {
	switch p := partOf(a, u); {
	case p == alone && u.Layer == "":
		return g.paint("1;31", g.sign("◆"))
	case p == company && u.Layer == "":
		return g.paint("31", g.sign("◇"))
	case p == alone:
		return g.paint("36", g.sign("●"))
	case p == company:
		return g.paint("36", g.sign("◐"))
	}
	return g.paint("2", g.sign("·"))
}

func (g *grid) bar(a *report.Attack) string {
	text := pad(depthOf(a), 4)
	if fate(a) != "invalid" && a.Effective >= 0 {
		text += strings.Repeat(g.sign("█"), a.Effective) + strings.Repeat(g.sign("░"), max(0, a.Depth-a.Effective))
	}
	return g.paint(fateCode(a), text)
}

// sum is a row of numbers, each beneath its unit; a number of two digits takes the blank before it too.
func (g *grid) sum(words string, of func(*report.Unit) int) {
	line := fmt.Sprintf("%*s", threatWide+g.titles, words)
	for _, l := range g.layers {
		line += " "
		for _, u := range l.of {
			switch {
			case u.Layer == "":
				line += "  "
			case of(u) > 99:
				line += " *"
			default:
				line += fmt.Sprintf("%2d", of(u))
			}
		}
		line += strings.Repeat(" ", g.wide(l)-(2*len(l.of)-1))
	}
	g.out.WriteString(strings.TrimRight(line, " ") + "\n")
}
