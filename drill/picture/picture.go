// Package picture shows people what a drill has found out: in a terminal, as drawings, as a page that opens row by row, and as the
// documents of this repository. It computes nothing that the report does not say, so that no picture can be kinder than what was measured,
// and the same report gives the same bytes.
//
// A report holds the words of whoever wrote an attack, and answers that an attacked program gave. All of them are cleaned and bounded
// in one place, tidied, before anything is drawn; each form then escapes what it prints in its own way.
package picture

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/redoubt-dev/redoubt/drill/report"
)

// What a unit is for an attack.
type part int

const (
	none    part = iota
	company      // it stops it together with others; of a cause: it breaks it together with others
	alone        // it stops it by itself; of a cause: it breaks it by itself
)

// partOf says what unit u is for attack a.
func partOf(a *report.Attack, u *report.Unit) part {
	if !a.Valid {
		return none
	}
	if u.Layer == "" {
		return causeOf(a, u.Name)
	}
	switch {
	case slices.Contains(a.Solo, u.Name):
		return alone
	case slices.Contains(a.Company, u.Name):
		return company
	}
	return none
}

func causeOf(a *report.Attack, name string) (p part) {
	for _, set := range a.Causes {
		if slices.Contains(set, name) {
			p = max(p, company)
			if len(set) == 1 {
				return alone
			}
		}
	}
	return p
}

// parts are the names of the units that are p for a: units of layers, or causes.
func parts(r *report.Report, a *report.Attack, p part, causes bool) (names []string) {
	for i := range r.Units {
		if u := &r.Units[i]; (u.Layer == "") == causes && partOf(a, u) == p {
			names = append(names, u.Name)
		}
	}
	return names
}

// doubt is why a unit cannot be relied upon to be of use; "" if nothing speaks against it.
func doubt(r *report.Report, u *report.Unit) string {
	switch {
	case u.Bites != "":
		return u.Bites
	case u.Layer != "" && !slices.ContainsFunc(r.Attacks, func(a report.Attack) bool { return partOf(&a, u) != none }):
		return "it has no part in stopping any attack"
	}
	return ""
}

// A band is what stands together in a picture: units of one layer, attacks of one group.
type band[T any] struct {
	name string
	of   []*T
}

// layers are the units in their order, those of neighbouring layers with one first name together; causes come last, as "causes".
func layers(r *report.Report) (all []band[report.Unit]) {
	for i := range r.Units {
		u := &r.Units[i]
		name, _, _ := strings.Cut(u.Layer, "/")
		if name == "" {
			name = "causes"
		}
		if n := len(all); n > 0 && all[n-1].name == name {
			all[n-1].of = append(all[n-1].of, u)
			continue
		}
		all = append(all, band[report.Unit]{name, []*report.Unit{u}})
	}
	return all
}

// groups are the attacks by group, in the order in which the groups appear.
func groups(r *report.Report) (all []band[report.Attack]) {
	for i := range r.Attacks {
		a := &r.Attacks[i]
		at := slices.IndexFunc(all, func(b band[report.Attack]) bool { return b.name == a.Group })
		if at < 0 {
			at = len(all)
			all = append(all, band[report.Attack]{name: a.Group})
		}
		all[at].of = append(all[at].of, a)
	}
	return all
}

// label is a unit's name without its layer's: "csp" for "transport/csp".
func label(u *report.Unit) string {
	if _, after, found := strings.Cut(u.Name, "/"); found && after != "" {
		return after
	}
	return u.Name
}

// caption is a group's name as a heading.
func caption(name string) string {
	if name == "" {
		return "Others"
	}
	return strings.ToUpper(name[:1]) + name[1:]
}

// How an attack fares, which is also the name of its colour.
func fate(a *report.Attack) string {
	switch {
	case a.Breach || a.Valid && a.Effective == 0:
		return "breach"
	case !a.Valid:
		return "invalid"
	case a.Effective == 1:
		return "thin"
	}
	return "held"
}

func with(r *report.Report, kind string) (all []*report.Attack) {
	for i := range r.Attacks {
		if fate(&r.Attacks[i]) == kind {
			all = append(all, &r.Attacks[i])
		}
	}
	return all
}

// unexplained is said of an attack at effective depth 1 that gives no reason.
const unexplained = "No reason is given: this is a gap."

// reason is why one failure suffices.
func reason(a *report.Attack) string { return cmp.Or(a.Honest, unexplained) }

// median is the lower median of the effective depths of valid attacks, so that it is one of them, and never kinder than half of them.
// What was not found within the bound is deeper than anything that was: -1 says that the median is such. Without a valid attack, ok is false.
func median(attacks []*report.Attack) (depth int, ok bool) {
	var depths []int
	for _, a := range attacks {
		if a.Valid || a.Breach {
			depths = append(depths, a.Effective)
		}
	}
	if len(depths) == 0 {
		return 0, false
	}
	slices.SortFunc(depths, deeper)
	return depths[(len(depths)-1)/2], true
}

// deeper orders depths; -1 is beyond all others.
func deeper(a, b int) int {
	if (a < 0) != (b < 0) {
		return cmp.Compare(b, a)
	}
	return cmp.Compare(a, b)
}

// number is a depth for people.
func number(depth int) string {
	if depth < 0 {
		return "–"
	}
	return fmt.Sprint(depth)
}

func allOf(r *report.Report) (list []*report.Attack) {
	for i := range r.Attacks {
		list = append(list, &r.Attacks[i])
	}
	return list
}

// weakest are the pairs that let something through, those that let most through first.
func weakest(r *report.Report) []report.Pair {
	pairs := slices.DeleteFunc(slices.Clone(r.Pairs), func(p report.Pair) bool { return len(p.Attacks) == 0 })
	slices.SortStableFunc(pairs, func(a, b report.Pair) int { return cmp.Compare(len(b.Attacks), len(a.Attacks)) })
	return pairs
}

// Headline is the drill in one line: how many attacks, what came of them, and what hurts most. It is no probability.
func Headline(r *report.Report) string { return headline(tidied(r)) }

func headline(r *report.Report) string {
	words := []string{count(len(r.Attacks), "attack"), count(len(with(r, "breach")), "breach"), fmt.Sprintf("%d at effective depth 1", len(with(r, "thin")))}
	if n := len(with(r, "invalid")); n > 0 {
		words = append(words, fmt.Sprintf("%d invalid", n))
	}
	switch depth, ok := median(allOf(r)); {
	case ok && depth < 0:
		words = append(words, "median effective depth beyond what was tried")
	case ok:
		words = append(words, fmt.Sprintf("median effective depth %d", depth))
	}
	if pairs := weakest(r); len(pairs) > 0 {
		words = append(words, fmt.Sprintf("weakest pair %s + %s: %s", pairs[0].A, pairs[0].B, count(len(pairs[0].Attacks), "attack")))
	} else if len(r.Pairs) > 0 {
		words = append(words, "no pair of failures lets an attack through")
	}
	return strings.Join(words, ", ")
}

// A figure is one of the numbers at the top.
type figure struct{ Number, Words, Class string }

func figures(r *report.Report) []figure {
	breaches, thin := len(with(r, "breach")), len(with(r, "thin"))
	all := []figure{
		{thousands(len(r.Attacks)), plural(len(r.Attacks), "attack"), ""},
		{thousands(breaches), plural(breaches, "breach"), "is-held"},
		{thousands(thin), "at effective depth 1", ""},
	}
	if breaches > 0 {
		all[1].Class = "is-breach"
	}
	if thin > 0 {
		all[2].Class = "is-thin"
	}
	if n := len(with(r, "invalid")); n > 0 {
		all = append(all, figure{thousands(n), "invalid", ""})
	}
	if depth, ok := median(allOf(r)); ok {
		all = append(all, figure{number(depth), "median effective depth", ""})
	}
	return all
}

// measured says on what the numbers rest.
func measured(r *report.Report) string {
	return fmt.Sprintf("%s on %s, seed %d: %s on %s, %s of legitimate use.", day(r), r.Machine, r.Seed,
		count(r.Runs, "run"), count(r.Configurations, "copy"), count(r.Controls, "day"))
}

func day(r *report.Report) string { return r.Began.UTC().Format("2 January 2006") }

// relative is said beside every depth.
func relative(r *report.Report) string {
	return fmt.Sprintf("Depth is relative to these %s of %s. It is no probability.", count(len(r.Attacks), "attack"), day(r))
}

// count is "1 attack", "2 attacks", "0 breaches", "3 copies".
func count(n int, noun string) string { return thousands(n) + " " + plural(n, noun) }

func plural(n int, noun string) string {
	switch {
	case n == 1:
		return noun
	case strings.HasSuffix(noun, "y") && noun != "day":
		return strings.TrimSuffix(noun, "y") + "ies"
	case strings.HasSuffix(noun, "ch"):
		return noun + "es"
	}
	return noun + "s"
}

// thousands is 34,498.
func thousands(n int) string {
	digits := fmt.Sprint(n)
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}

// unfinished is said of a report that is not complete.
const unfinished = "The drill was not finished: this is a part of it."
