package tidy

import (
	"path"
	"slices"
	"strings"
)

// rings reads the drawing of ARCHITECTURE.md: blank lines part its rings, the outermost first. The drawing is the law; change it
// when the design changes, and not to make a build pass.
func (h *house) rings() (ringOf map[string]int, fault string) {
	_, block, found := strings.Cut(h.files["ARCHITECTURE.md"], "```onion\n")
	block, _, closed := strings.Cut(block, "\n```")
	if !found || !closed {
		return nil, "ARCHITECTURE.md has no block that begins with ```onion: draw the rings of packages there, outermost first, a blank line between two rings"
	}
	ringOf = map[string]int{}
	for i, ring := range strings.Split(strings.TrimSpace(block), "\n\n") {
		for member := range strings.FieldsSeq(ring) {
			ringOf[member] = i
		}
	}
	return ringOf, ""
}

// memberOf finds whom a folder belongs to: the nearest drawn folder above it. A drawn folder beneath which others are drawn
// stands for itself alone, so that nothing slips into a ring by where it lies.
func memberOf(dir string, ringOf map[string]int) (member string, ok bool) {
	for at := dir; ; at = path.Dir(at) {
		if _, drawn := ringOf[at]; drawn {
			return at, at == dir || !parted(at, ringOf)
		}
		if at == "." {
			return "", false
		}
	}
}

func parted(member string, ringOf map[string]int) bool {
	if member == "." {
		return true
	}
	for other := range ringOf {
		if strings.HasPrefix(other, member+"/") {
			return true
		}
	}
	return false
}

func onion(h *house) (faults []string) {
	ringOf, fault := h.rings()
	if fault != "" {
		return []string{fault}
	}
	lived := map[string]bool{}
	for _, dir := range h.dirs() {
		member, ok := memberOf(dir, ringOf)
		if !ok {
			faultf(&faults, "%s is on no ring: draw it in ARCHITECTURE.md where it belongs", dir)
			continue
		}
		lived[member] = true
		for _, known := range h.rooms[dir].knows() {
			other, ok := memberOf(known, ringOf)
			switch {
			case !ok || other == member: // an undrawn folder is a fault of its own
			case ringOf[other] == ringOf[member]:
				faultf(&faults, "%s imports %s, of the same ring: neighbours know nothing of each other, or they would decide by the same code; move what both need further in", dir, known)
			case ringOf[other] < ringOf[member]:
				faultf(&faults, "%s imports %s, which is drawn outside it: turn the dependency around", dir, known)
			}
		}
	}
	for member := range ringOf {
		if !lived[member] {
			faultf(&faults, "ARCHITECTURE.md draws %s, which is not there: take it out of the drawing", member)
		}
	}
	return faults
}

// reach is every own package that a folder's program can get at, through others too.
func (h *house) reach(dir string, seen map[string]bool) map[string]bool {
	if r := h.rooms[dir]; r != nil {
		for _, known := range r.knows() {
			if !seen[known] {
				seen[known] = true
				h.reach(known, seen)
			}
		}
	}
	return seen
}

// threeGates: the same check in two places by the same code is one check that runs twice (SYSTEM A4).
func threeGates(h *house) (faults []string) {
	gates := []string{"layer/gate/route", "layer/gate/page", "layer/gate/action"}
	nouns := []string{"layer", "layer/internal/mint"} // words and no decisions
	for i, one := range gates {
		for _, two := range gates[i+1:] {
			shared := h.reach(two, map[string]bool{})
			for dir := range h.reach(one, map[string]bool{}) {
				if shared[dir] && !slices.Contains(nouns, dir) {
					faultf(&faults, "%s and %s both rest on %s: each gate asks in its own way, or they are one gate", one, two, dir)
				}
			}
		}
	}
	return faults
}

// layersAlone: whoever takes one layer into a program of their own takes none of the house around it.
func layersAlone(h *house) (faults []string) {
	for _, dir := range h.dirs() {
		if dir != "layer" && !strings.HasPrefix(dir, "layer/") || dir == "layer/layertest" {
			continue
		}
		for _, known := range h.rooms[dir].knows() {
			if known != "layer" && !strings.HasPrefix(known, "layer/") {
				faultf(&faults, "%s imports %s: a layer can be used alone, so it rests on layers alone", dir, known)
			}
		}
	}
	return faults
}

// applicationOutside: Commons shows what a team can write, and a team cannot import what is internal.
func applicationOutside(h *house) (faults []string) {
	for _, dir := range h.dirs() {
		if dir != "commons" && !strings.HasPrefix(dir, "commons/") {
			continue
		}
		for _, known := range h.rooms[dir].knows() {
			if strings.Contains("/"+known+"/", "/internal/") {
				faultf(&faults, "%s imports %s: the reference application is written against the public packages, as a team's own would be", dir, known)
			}
		}
		for _, s := range h.rooms[dir].files {
			for _, imported := range s.imports() {
				if !s.test && (strings.HasPrefix(imported, "github.com/jackc/pgx") || strings.HasPrefix(imported, "database/sql")) {
					faultf(&faults, "%s imports %s: an application reaches the database through package rls and the action gate alone", s.path, imported)
				}
			}
		}
	}
	return faults
}
