package picture

import (
	"fmt"

	"github.com/redoubt-dev/redoubt/drill/report"
)

// maxPaired bounds the units of the pair matrix, whose size grows with their square.
const maxPaired = 80

// PairsSVG draws which two failures hurt: for every two units that were out together, the number of attacks that did harm then, and did
// none with either alone. // SYSTEM G5
func PairsSVG(r *report.Report) []byte { return pairsOf(tidied(r)) }

func pairsOf(r *report.Report) []byte {
	p := newPairing(r)
	p.heading()
	if len(p.units) == 0 {
		p.text("soft", 14, margin, 190, "start", "No two units were out together: run the drill with --pairs.")
		return p.whole(atLeast, 230, "Two failures at once", "No two units were out together.")
	}
	for i := range p.units {
		p.names(i)
		for j := range i {
			p.cell(i, j)
		}
	}
	p.list()
	bottom := p.top + p.step*float64(len(p.units))
	p.text("faint", 12, margin, bottom+36, "start", fit(measured(p.r), 12, atLeast-2*margin))
	p.text("faint", 12, margin, bottom+55, "start", relative(p.r))
	return p.whole(atLeast, bottom+80, "Two failures at once", headline(p.r)+". "+relative(p.r))
}

type pairing struct {
	drawing
	r     *report.Report
	units []*report.Unit // that were ever out with another one
	found map[[2]string]int
	most  int // attacks of one pair
	step, left,
	top float64
}

func newPairing(r *report.Report) *pairing {
	p := &pairing{r: r, found: map[[2]string]int{}, left: 216, top: 150}
	paired := map[string]bool{}
	for _, pair := range r.Pairs {
		paired[pair.A], paired[pair.B] = true, true
		p.found[[2]string{pair.A, pair.B}], p.found[[2]string{pair.B, pair.A}] = len(pair.Attacks), len(pair.Attacks)
		p.most = max(p.most, len(pair.Attacks))
	}
	for i := range r.Units {
		if paired[r.Units[i].Name] && len(p.units) < maxPaired {
			p.units = append(p.units, &r.Units[i])
		}
	}
	p.step = min(30, (atLeast-p.left-120)/float64(max(1, len(p.units))))
	return p
}

func (p *pairing) heading() {
	hurt := len(weakest(p.r))
	p.text("serif", 32, margin, 62, "start", "Two failures at once")
	p.text("soft", 14, margin, 88, "start", "How many attacks do harm when two units are out together, and none when either is out alone.")
	if len(p.r.Pairs) > 0 {
		p.text("soft", 14, margin, 108, "start", fmt.Sprintf("%s were tried; %d of them let something through.", count(len(p.r.Pairs), "pair"), hurt))
	}
}

// names are at the left of a unit's row, and again where its column begins, on the diagonal.
func (p *pairing) names(i int) {
	u, y := p.units[i], p.top+p.step*float64(i)
	class := "soft"
	if u.Layer == "" {
		class = "is-cause"
	}
	if i == 0 || p.units[i-1].Layer != u.Layer {
		p.line("hair", margin, y-1, p.left+p.step*float64(i), y-1)
	}
	p.text(class, 12, p.left-10, y+p.step/2+4, "end", fit(u.Name, 12, p.left-margin-10))
	x := p.left + p.step*(float64(i)+0.5)
	fmt.Fprintf(&p.body, `<text class="%s" font-size="11.5" transform="translate(%s %s) rotate(-45)">%s</text>`+"\n",
		class, px(x-2), px(y+p.step-5), escaped(fit(label(u), 11.5, 104)))
}

func (p *pairing) cell(i, j int) {
	n, tried := p.found[[2]string{p.units[i].Name, p.units[j].Name}]
	if !tried {
		return
	}
	x, y := p.left+p.step*float64(j), p.top+p.step*float64(i)
	p.rect(fmt.Sprintf("heat-%d", heat(n, p.most)), x+1, y+1, p.step-2, p.step-2, 3)
	if n > 0 {
		p.text(fmt.Sprintf("bold num on-heat-%d", heat(n, p.most)), min(12, p.step/2), x+p.step/2, y+p.step/2+4.2, "middle", fmt.Sprint(n))
	}
}

// heat is how strongly n is coloured: 0 for none, 4 for the most that there is.
func heat(n, most int) int {
	if n == 0 {
		return 0
	}
	return max(1, (4*n+most-1)/most)
}

// list puts the weakest pairs into the corner that the matrix leaves empty.
func (p *pairing) list() {
	const lines, size = 8, 13
	worst := weakest(p.r)
	worst = worst[:min(lines, len(worst))]
	x, y := atLeast-margin-360.0, p.top+34
	if len(worst) == 0 || len(p.units) < 24 { // the corner is too small below that
		return
	}
	p.text("serif is-breach", 17, x, y, "start", "What hurts most")
	for _, pair := range worst {
		y += 24
		p.text("bold num", size, x+16, y, "end", fmt.Sprint(len(pair.Attacks)))
		p.text("", size, x+28, y, "start", fit(pair.A+" + "+pair.B, size, 330))
	}
}
