package picture

import (
	"fmt"
	"strings"

	"github.com/redoubt-dev/redoubt/drill/report"
)

// The matrix, in pixels.
const (
	margin    = 32
	atLeast   = 1200 // how wide it is; more only where the columns would be too narrow to be told apart
	titles    = 400  // for an attack's number and title
	bars      = 104  // for its depth
	gap       = 7    // between layers
	rowHigh   = 22
	groupHigh = 30
	narrowest = 13 // column
	widest    = 26
	maxRows   = 400 // attacks that are drawn; the page has them all
	maxListed = 24  // sentences of one kind that are written out
)

// SVG draws the matrix: a row for each attack, a column for each unit from the outside in, how deep each attack has to dig at the
// right, and what each unit is good for at the bottom. // SYSTEM G5
func SVG(r *report.Report) []byte {
	m := newMatrix(tidied(r))
	m.heading()
	m.list("breach", "Breaches: harm was done with everything in place")
	m.legend()
	m.columns()
	for _, g := range m.groups {
		m.group(g)
	}
	m.sums()
	m.list("thin", "At effective depth 1: one failure suffices")
	m.sentences("Faults: the drill has failed", "is-breach", m.r.Faults)
	m.sentences("Anomalies: not what was expected", "", m.r.Anomalies)
	m.footer()
	return m.whole(m.width, m.y+8, "The drill", headline(m.r)+". "+relative(m.r))
}

type matrix struct {
	drawing
	r      *report.Report
	layers []band[report.Unit]
	groups []band[report.Attack]
	at     map[*report.Unit]float64 // the middle of its column
	panels []panel
	column float64
	segment,
	width float64
	y float64 // where the next thing is drawn
	left, right,
	top float64 // of the rows
	rest int // attacks that are not drawn
}

type panel struct {
	name        string
	from, width float64
}

func newMatrix(r *report.Report) *matrix {
	m := &matrix{r: r, layers: layers(r), at: map[*report.Unit]float64{}, width: atLeast}
	drawn := *r
	if m.rest = max(0, len(r.Attacks)-maxRows); m.rest > 0 {
		drawn.Attacks = r.Attacks[:maxRows]
	}
	m.groups = groups(&drawn)
	m.column = widest
	for m.place() > m.width-margin-bars-6 && m.column > narrowest {
		m.column -= 0.25
	}
	m.right = m.place() + 6
	m.width = max(m.width, m.right+bars+margin)
	m.right = m.width - margin - bars
	deepest := 4
	for _, a := range r.Attacks {
		deepest = max(deepest, a.Depth, a.Effective)
	}
	m.segment = min(14, 68/float64(deepest))
	return m
}

// place puts the columns where they stand, and says where they end.
func (m *matrix) place() (end float64) {
	m.left, m.panels = margin+titles, nil
	end = m.left
	for _, l := range m.layers {
		columns := m.column * float64(len(l.of))
		width := max(columns, min(wide(l.name, 10.5)+6, 90))
		m.panels = append(m.panels, panel{l.name, end, width})
		for i, u := range l.of {
			m.at[u] = end + (width-columns)/2 + m.column*(float64(i)+0.5)
		}
		end += width + gap
	}
	return end - gap
}

// heading is the drill's name and its five numbers.
func (m *matrix) heading() {
	m.text("serif", 32, margin, 62, "start", "The drill")
	m.text("soft", 14, margin, 86, "start", "Each layer is taken out of a copy in turn,")
	m.text("soft", 14, margin, 105, "start", "and the same attacks are carried out again.")
	x := m.left
	for _, f := range figures(m.r) {
		m.text("serif num "+f.Class, 32, x, 66, "start", f.Number)
		m.text("soft", 13, x, 88, "start", f.Words)
		x += max(wide(f.Number, 32), wide(f.Words, 13)) + 26
	}
	if pairs := weakest(m.r); len(pairs) > 0 {
		room := m.width - margin - x
		m.text("bold", 13, x, 48, "start", fitBold(pairs[0].A, 13, room))
		m.text("bold", 13, x, 66, "start", fitBold("+ "+pairs[0].B, 13, room))
		m.text("soft", 13, x, 88, "start", fit("weakest pair: "+count(len(pairs[0].Attacks), "attack"), 13, room))
	}
	m.y = 124
	if len(m.r.Faults) > 0 || !m.r.Complete {
		m.rect("row-breach", margin, m.y, m.width-2*margin, 30, 6)
		m.text("bold is-breach", 13, margin+12, m.y+20, "start", fitBold(m.alarm(), 13, m.width-2*margin-24))
		m.y += 42
	}
}

// alarm says why the numbers are not to be relied upon.
func (m *matrix) alarm() string {
	words := unfinished
	if m.r.Complete {
		words = ""
	}
	if n := len(m.r.Faults); n > 0 {
		words += fmt.Sprintf(" The drill has failed: %s, below.", count(n, "fault"))
	}
	return strings.TrimSpace(words)
}

// legend stands where the columns' names leave room.
func (m *matrix) legend() {
	y := m.y + 22
	for _, l := range []struct {
		draw  func(y float64)
		words string
	}{
		{func(y float64) { m.stop(margin+7, y, 5) }, "stops it alone, everything else being out"},
		{func(y float64) { m.stopTogether(margin+7, y, 5) }, "stops it in company"},
		{func(y float64) { m.falls("cause", margin+7, y, 5.5) }, "one cause that lets it through by itself"},
		{func(y float64) { m.falls("cause-line", margin+7, y, 4.5) }, "… together with something else"},
		{func(y float64) {
			m.rect("bar-held", margin, y-5, 8, 10, 1.5)
			m.rect("bar-line", margin+10.5, y-4.5, 7, 9, 1.5)
		}, "depth: failures needed; filled if causes count as one"},
	} {
		l.draw(y)
		m.text("soft", 12, margin+26, y+4.2, "start", l.words)
		y += 20
	}
}

// columns are the names of layers and units, and the panels under them.
func (m *matrix) columns() {
	const size = 11.5
	high := 0.0
	for i := range m.r.Units {
		high = max(high, wide(fit(label(&m.r.Units[i]), size, 100), size))
	}
	m.top = max(m.y+24+high+10, m.y+122)
	bottom := m.top + 52
	for _, g := range m.groups {
		bottom += groupHigh + rowHigh*float64(len(g.of))
	}
	for i, p := range m.panels {
		class := "caps"
		if m.layers[i].of[0].Layer == "" {
			class = "caps is-cause"
		}
		m.rect("panel", p.from, m.top-high-14, p.width, bottom-m.top+high+14, 5)
		m.text(class, 10.5, p.from+p.width/2, m.top-high-20, "middle", fitBold(p.name, 10.5, p.width+gap))
	}
	for i := range m.r.Units {
		u := &m.r.Units[i]
		class := "soft"
		if doubt(m.r, u) != "" {
			class = "bold is-thin"
		}
		m.upright(class, size, m.at[u]+4, m.top-6, fit(label(u), size, 100))
	}
	m.text("caps", 10.5, m.right, m.top-high-20, "start", "depth")
	m.y = m.top
}

func (m *matrix) group(g band[report.Attack]) {
	m.text("caps is-held", 11.5, margin, m.y+groupHigh-9, "start", fitBold(caption(g.name), 12.5, titles-12))
	m.line("rule", margin, m.y+groupHigh-0.5, m.width-margin, m.y+groupHigh-0.5)
	m.y += groupHigh
	for i, a := range g.of {
		m.row(a, i < len(g.of)-1)
		m.y += rowHigh
	}
}

func (m *matrix) row(a *report.Attack, more bool) {
	kind, middle := fate(a), m.y+rowHigh/2
	if kind == "thin" || kind == "breach" {
		m.rect("row-"+kind, margin-8, m.y+1, m.width-2*margin+16, rowHigh-2, 4)
	}
	if more {
		m.line("hair", margin, m.y+rowHigh-0.5, m.width-margin, m.y+rowHigh-0.5)
	}
	m.text("faint num", 11, margin, middle+4, "start", fit(a.Threat, 11, 30))
	title, class := fit(a.Title, 12.5, titles-32-10), ""
	switch kind {
	case "invalid":
		class = "is-invalid"
	case "breach":
		title, class = fitBold(a.Title, 12.5, titles-32-10), "bold is-breach"
	}
	m.text(class, 12.5, margin+32, middle+4.4, "start", title)
	for i := range m.r.Units {
		m.cell(a, &m.r.Units[i], middle)
	}
	m.depth(a, kind, middle)
}

func (m *matrix) cell(a *report.Attack, u *report.Unit, y float64) {
	x, r := m.at[u], min(5.5, m.column/2-1.5)
	switch p := partOf(a, u); {
	case p == alone && u.Layer == "":
		m.falls("cause", x, y, r+0.5)
	case p == company && u.Layer == "":
		m.falls("cause-line", x, y, r-1)
	case p == alone:
		m.stop(x, y, r)
	case p == company:
		m.stopTogether(x, y, r)
	default:
		m.circle("blank", x, y, 1)
	}
}

// depth is a block for each failure that is needed: filled as far as causes count as one.
func (m *matrix) depth(a *report.Attack, kind string, y float64) {
	if kind == "invalid" {
		m.text("is-invalid", 11.5, m.right, y+4, "start", "invalid")
		return
	}
	class := "bold num"
	if kind != "held" {
		class += " is-" + kind
	}
	m.text(class, 13, m.right, y+4.5, "start", number(a.Effective))
	x := m.right + 17
	switch {
	case kind == "breach":
		m.rect("bar-breach", x, y-5, 4, 10, 1.5)
		return
	case a.Effective < 0:
		m.text("faint", 11, x, y+4, "start", "not reached")
		return
	}
	for i := range max(a.Depth, a.Effective) {
		if i < a.Effective {
			m.rect("bar-"+kind, x, y-5, m.segment-2, 10, 1.5)
		} else {
			m.rect("bar-line", x+0.5, y-4.5, m.segment-3, 9, 1.5)
		}
		x += m.segment
	}
	if a.Depth != a.Effective {
		m.text("faint num", 10.5, x+2, y+4, "start", number(a.Depth))
	}
}

// sums are what each unit is good for.
func (m *matrix) sums() {
	m.line("rule", margin, m.y+6, m.width-margin, m.y+6)
	m.text("soft", 12, m.left-12, m.y+24, "end", "attacks that it stops alone")
	m.text("soft", 12, m.left-12, m.y+43, "end", "attacks that nothing else stops")
	for i := range m.r.Units {
		u := &m.r.Units[i]
		if u.Layer == "" {
			continue
		}
		for j, n := range []int{u.Solo, u.Last} {
			class := "bold num"
			if n == 0 {
				class = "faint num"
			}
			if j == 1 && n > 0 {
				class = "bold num is-thin"
			}
			m.text(class, 10.5, m.at[u], m.y+24+19*float64(j), "middle", fmt.Sprint(n))
		}
	}
	m.y += 52
	if m.rest > 0 {
		m.more(m.rest)
	}
}

// list names the attacks that nobody should overlook, each with its reason.
func (m *matrix) list(kind, words string) {
	found := with(m.r, kind)
	if len(found) == 0 {
		return
	}
	m.title("is-"+kind, words)
	for i, a := range found {
		if i == maxListed {
			m.more(len(found) - i)
			break
		}
		m.y += 25
		m.text("bold", 12.5, margin, m.y, "start", fitBold(a.Name, 12.5, titles-20))
		why := a.Title
		if kind == "thin" {
			why = reason(a)
		}
		m.lines(why, m.left, 3)
	}
	m.y += 14
}

// sentences are what the drill itself has to say.
func (m *matrix) sentences(words, class string, all []string) {
	if len(all) == 0 {
		return
	}
	m.title(class, words)
	for i, s := range all {
		if i == maxListed {
			m.more(len(all) - i)
			break
		}
		m.y += 23
		m.lines(s, margin, 2)
	}
	m.y += 14
}

func (m *matrix) title(class, words string) {
	m.y += 34
	m.text("serif "+class, 17, margin, m.y, "start", words)
	m.y += 2
}

func (m *matrix) more(n int) {
	m.y += 23
	m.text("faint", 12.5, margin, m.y, "start", fmt.Sprintf("%s more are in the page.", thousands(n)))
}

// lines writes at most so many lines from x on; the first of them stands at y.
func (m *matrix) lines(words string, x float64, most int) {
	for i, line := range wrapped(words, 12.5, m.width-margin-x, most) {
		if i > 0 {
			m.y += 18
		}
		m.text("soft", 12.5, x, m.y, "start", line)
	}
}

func (m *matrix) footer() {
	m.y += 34
	m.line("hair", margin, m.y-20, m.width-margin, m.y-20)
	m.text("faint", 12, margin, m.y, "start", fit(measured(m.r), 12, m.width-2*margin))
	m.y += 19
	m.text("faint", 12, margin, m.y, "start", relative(m.r))
	m.y += 12
}
