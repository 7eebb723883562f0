package picture

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/redoubt-dev/redoubt/drill/report"
)

// Where docs/drill.md, whose text Markdown writes, looks for the drawings.
const (
	MatrixFile = "images/drill.svg"
	PairsFile  = "images/drill-pairs.svg"
)

// maxTable bounds the rows of tables that a reader is not expected to need whole.
const maxTable = 20

// Markdown writes the whole of docs/drill.md. // SYSTEM G5
func Markdown(r *report.Report) []byte {
	d := &document{r: tidied(r)}
	d.line("<!-- Written by `redoubt drill`; change drill/picture, not this file. -->", "", "# The drill", "")
	d.line("**" + prose(headline(d.r)) + ".**")
	d.line("", prose(relative(d.r)), prose(measured(d.r)), "")
	d.warnings()
	d.line("![A row for each attack, a column for each unit, and how many failures each attack needs]("+MatrixFile+")", "")
	d.line(explanation...)
	d.thin()
	d.attacks()
	d.units()
	d.causes()
	d.pairs()
	d.anomalies()
	return []byte(strings.TrimRight(d.out.String(), "\n") + "\n")
}

// explanation says how to read the numbers.
var explanation = []string{
	"## How to read it", "",
	"Each unit is one mechanism of one layer. The drill takes units out of a disposable copy, alone, in pairs and as often as it needs, and",
	"carries out the same attacks again. Whether harm was done is seen in what was stolen or changed, never in a status.", "",
	"- **Depth** is the fewest units that have to be out before an attack does harm. 0 is a breach.",
	"- **Effective depth** is the same where a common cause, one failure that several layers share, counts as one too. It is the number to quote.",
	"- A unit **stops** an attack **alone** if the attack does no harm although everything else is out.",
	"- It does so **in company** if it has to be out for the harm to be done, in one way of doing it, but is not enough by itself.",
	"- An attack that does no harm even with everything out proves nothing: it is **invalid**, and counts for nothing.",
	"- What is called **–** is deeper than the drill has looked.", "",
}

type document struct {
	out strings.Builder
	r   *report.Report
}

func (d *document) line(lines ...string) {
	for _, l := range lines {
		d.out.WriteString(l + "\n")
	}
}

// table writes a table's head; a column whose name begins with ">" holds numbers.
func (d *document) table(columns ...string) {
	head, rule := "|", "|"
	for _, c := range columns {
		name, numbers := strings.CutPrefix(c, ">")
		head += " " + name + " |"
		if numbers {
			rule += "--:|"
		} else {
			rule += "---|"
		}
	}
	d.line(head, rule)
}

func (d *document) row(cells ...string) { d.line("| " + strings.Join(cells, " | ") + " |") }

func (d *document) bullets(all []string) {
	for _, s := range all {
		d.line("- " + prose(s))
	}
	d.line("")
}

// warnings are what a reader has to know before believing a number.
func (d *document) warnings() {
	if !d.r.Complete {
		d.line("**"+unfinished+"**", "")
	}
	if breaches := with(d.r, "breach"); len(breaches) > 0 {
		d.line("## Breaches", "", "Harm was done with everything in place:", "")
		for _, a := range breaches {
			d.line("- **" + prose(a.Name) + "**: " + prose(a.Title))
		}
		d.line("")
	}
	if len(d.r.Faults) > 0 {
		d.line("## Faults", "", "The drill has failed:", "")
		d.bullets(d.r.Faults)
	}
}

func (d *document) thin() {
	found := with(d.r, "thin")
	d.line("## At effective depth 1", "")
	if len(found) == 0 {
		d.line("None: every attack needs two failures or more.", "")
		return
	}
	d.line("One failure suffices for these.", "")
	d.table("attack", "what it does", "why one suffices")
	for _, a := range found {
		d.row(prose(a.Name), prose(a.Title), prose(reason(a)))
	}
	d.line("")
}

func (d *document) attacks() {
	d.line("## The attacks", "")
	for _, g := range groups(d.r) {
		d.line("### "+prose(caption(g.name)), "")
		d.table("", "attack", ">effective", ">depth", "stopped alone by", "in company by", "lets it through, at the least")
		for _, a := range g.of {
			if fate(a) == "invalid" {
				d.row(prose(a.Threat), prose(a.Title), "invalid", "", "", "", "")
				continue
			}
			d.row(prose(a.Threat), prose(a.Title), bold(number(a.Effective)), number(a.Depth),
				names(parts(d.r, a, alone, false)), names(parts(d.r, a, company, false)), breaks(a))
		}
		d.line("")
	}
}

// breaks are the smallest known ways to let an attack through, causes included, at most three of them.
func breaks(a *report.Attack) string {
	least := smallest(a)
	const shown = 3
	var all []string
	for i, set := range least {
		if i == shown {
			all = append(all, fmt.Sprintf("%d more", len(least)-i))
			break
		}
		all = append(all, strings.ReplaceAll(names(set), ", ", " + "))
	}
	return strings.Join(all, "; ")
}

// smallest are the cut sets, of units and of causes, that have as many members as the effective depth.
func smallest(a *report.Attack) (least [][]string) {
	for _, of := range [][][]string{a.Cuts, a.Causes} {
		for _, set := range of {
			if len(set) > 0 && len(set) == a.Effective {
				least = append(least, set)
			}
		}
	}
	return least
}

func (d *document) units() {
	d.line("## The units", "", "A unit that stops nothing alone can still be one of those that have to fall.", "")
	d.table("unit", "what it is", "in its place, when it is out", ">stops alone", ">nothing else stops")
	for i := range d.r.Units {
		if u := &d.r.Units[i]; u.Layer != "" {
			d.row(names([]string{u.Name}), prose(u.What)+doubted(d.r, u), prose(u.Gone), fmt.Sprint(u.Solo), fmt.Sprint(u.Last))
		}
	}
	d.line("")
}

func doubted(r *report.Report, u *report.Unit) string {
	if why := doubt(r, u); why != "" {
		return " (in doubt: " + prose(why) + ")"
	}
	return ""
}

func (d *document) causes() {
	if all := layers(d.r); len(all) == 0 || all[len(all)-1].of[0].Layer != "" {
		return
	}
	d.line("## Common causes", "", "One failure each, which several layers share.", "")
	d.table("cause", "what it is", "what is done to the copy", ">lets through by itself", ">with something else")
	for i := range d.r.Units {
		u := &d.r.Units[i]
		if u.Layer != "" {
			continue
		}
		n := map[part]int{}
		for j := range d.r.Attacks {
			n[partOf(&d.r.Attacks[j], u)]++
		}
		d.row(names([]string{u.Name}), prose(u.What)+doubted(d.r, u), prose(u.Gone), fmt.Sprint(n[alone]), fmt.Sprint(n[company]))
	}
	d.line("")
}

func (d *document) pairs() {
	if len(d.r.Pairs) == 0 {
		return
	}
	d.line("## Two failures at once", "", "![For every two units, how many attacks do harm when both are out]("+PairsFile+")", "")
	worst := weakest(d.r)
	if len(worst) == 0 {
		d.line(fmt.Sprintf("No attack does harm in any of %s.", count(len(d.r.Pairs), "pair")), "")
		return
	}
	d.table("out together", ">attacks", "which")
	for i, p := range worst {
		if i == maxTable {
			d.row(fmt.Sprintf("%s more", thousands(len(worst)-i)), "", "")
			break
		}
		d.row(names([]string{p.A})+" + "+names([]string{p.B}), fmt.Sprint(len(p.Attacks)), prose(strings.Join(p.Attacks, ", ")))
	}
	d.line("")
}

func (d *document) anomalies() {
	if len(d.r.Anomalies) > 0 {
		d.line("## Anomalies", "", "What contradicts what was expected:", "")
		d.bullets(d.r.Anomalies)
	}
}

// MatrixMarkdown writes the short table of the README: for each group of attacks, in how many of them each layer has a part. // SYSTEM G5
func MatrixMarkdown(r *report.Report) []byte {
	d := &document{r: tidied(r)}
	d.line(prose(headline(d.r))+". "+prose(relative(d.r)), "")
	if !d.r.Complete || len(d.r.Faults) > 0 {
		d.line("**The drill has failed, or was not finished: these numbers are not to be relied upon.**", "")
	}
	columns := []string{"attacks on", ">number"}
	var shown []string
	for _, u := range d.r.Units {
		if u.Layer != "" && !slices.Contains(shown, u.Layer) {
			shown = append(shown, u.Layer)
			columns = append(columns, ">"+prose(u.Layer))
		}
	}
	d.table(append(columns, ">median effective depth", ">least")...)
	for _, g := range groups(d.r) {
		cells := []string{prose(g.name), fmt.Sprint(len(g.of))}
		for _, name := range shown {
			cells = append(cells, blankZero(taking(d.r, g.of, name)))
		}
		middle, least := depths(g.of)
		d.row(append(cells, middle, least)...)
	}
	d.line("", "A number beneath a layer says how many of the attacks it has a part in stopping.", "")
	for _, a := range with(d.r, "breach") {
		d.line("- Breach: **" + prose(a.Name) + "**. " + prose(a.Title) + ".")
	}
	for _, a := range with(d.r, "thin") {
		d.line("- Effective depth 1: **" + prose(a.Name) + "**. " + prose(a.Title) + ". " + prose(reason(a)))
	}
	return []byte(strings.TrimRight(d.out.String(), "\n") + "\n")
}

// taking counts the attacks in whose stopping a layer has a part.
func taking(r *report.Report, attacks []*report.Attack, layer string) (n int) {
	for _, a := range attacks {
		for i := range r.Units {
			u := &r.Units[i]
			if u.Layer == layer && partOf(a, u) != none {
				n++
				break
			}
		}
	}
	return n
}

// depths are the median and the least effective depth of some attacks.
func depths(attacks []*report.Attack) (middle, least string) {
	depth, ok := median(attacks)
	if !ok {
		return "", ""
	}
	lowest := -1
	for _, a := range attacks {
		if (a.Valid || a.Breach) && deeper(a.Effective, lowest) < 0 {
			lowest = a.Effective
		}
	}
	return number(depth), number(lowest)
}

func blankZero(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

func bold(text string) string { return "**" + text + "**" }

// plainName is a name that nothing in Markdown could read in another way.
var plainName = regexp.MustCompile(`^[a-z0-9]+([/-][a-z0-9]+)*$`)

// names writes units as code, where that is safe.
func names(all []string) string {
	written := make([]string, len(all))
	for i, name := range all {
		if written[i] = prose(name); plainName.MatchString(name) {
			written[i] = "`" + name + "`"
		}
	}
	return strings.Join(written, ", ")
}

// prose writes text so that Markdown, and HTML within it, reads nothing into it: no link, table, heading, element, mention or address.
func prose(text string) string {
	var out strings.Builder
	for i, c := range text {
		switch {
		case c == '<':
			out.WriteString("&lt;")
		case c == '>':
			out.WriteString("&gt;")
		case c == '&':
			out.WriteString("&amp;")
		case c == '@' || c == '#':
			fmt.Fprintf(&out, "&#%d;", c) // a backslash would not keep GitHub from making a mention of it
		case strings.ContainsRune("\\`*_[]|~$", c), c == ':' && strings.HasPrefix(text[i:], "://"), c == '.' && strings.HasSuffix(strings.ToLower(text[:i]), "www"):
			out.WriteString("\\" + string(c))
		case i == 0 && strings.ContainsRune("+-=", c):
			out.WriteString("\\" + string(c))
		case (c == '.' || c == ')') && i < 4 && isNumber(text[:i]): // it would begin a numbered list
			out.WriteString("\\" + string(c))
		default:
			out.WriteRune(c)
		}
	}
	return out.String()
}

func isNumber(text string) bool { return text != "" && strings.Trim(text, "0123456789") == "" }
