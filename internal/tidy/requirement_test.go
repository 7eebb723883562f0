package tidy

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A requirement is one row of docs/requirements.md.
type requirement struct {
	number, status, code, tests string
	line                        int
}

var (
	numberForm = regexp.MustCompile(`^([A-Z]\d{1,2}|R\b)`)
	listForm   = regexp.MustCompile(`^(?:, and |, | and | )`)
)

const requirementsFile = "docs/requirements.md"

// table reads the table: | number | what | status | where in code | where in tests |.
func (h *house) table() (rows []requirement, faults []string) {
	for i, line := range prose(h.files[requirementsFile]) {
		cells := strings.Split(line, "|")
		if len(cells) < 3 || !numberForm.MatchString(strings.TrimSpace(cells[1])) {
			continue
		}
		if len(cells) != 7 {
			faultf(&faults, "%s:%d has %d cells: a row is | number | what | status | code | tests |", requirementsFile, i+1, len(cells)-2)
			continue
		}
		for j := range cells {
			cells[j] = strings.TrimSpace(cells[j])
		}
		rows = append(rows, requirement{cells[1], cells[3], cells[4], cells[5], i + 1})
	}
	if len(rows) == 0 {
		faultf(&faults, "%s has no table of requirements", requirementsFile)
	}
	return rows, faults
}

// requirements holds the table and the comments of the code together, both ways.
func requirements(h *house) (faults []string) {
	rows, faults := h.table()
	inCode, inTests := h.citations()
	known := map[string]bool{}
	for _, r := range rows {
		at := fmt.Sprintf("%s:%d: %s", requirementsFile, r.line, r.number)
		if known[r.number] {
			faultf(&faults, "%s has two rows", at)
		}
		known[r.number] = true
		switch r.status {
		case "met":
			if inCode[r.number] == "" {
				faultf(&faults, "%s is met, but no code says // SYSTEM %s: cite it where it is met, or say partly", at, r.number)
			}
			if inTests[r.number] == "" {
				faultf(&faults, "%s is met, but no test says // SYSTEM %s: cite it where it is proved, or say partly", at, r.number)
			}
		case "partly":
			if r.code == "" {
				faultf(&faults, "%s is met in part, but nowhere: name the folder", at)
			}
		case "not yet":
		default:
			faultf(&faults, "%s has the status %q: it is met, partly or not yet", at, r.status)
		}
	}
	for _, cited := range []map[string]string{inCode, inTests} {
		for _, number := range slices.Sorted(maps.Keys(cited)) {
			if !known[number] {
				faultf(&faults, "%s cites SYSTEM %s, which %s does not have", cited[number], number, requirementsFile)
			}
		}
	}
	return faults
}

// citations are the numbers that program and tests cite, each with one place.
func (h *house) citations() (inCode, inTests map[string]string) {
	inCode, inTests = map[string]string{}, map[string]string{}
	for _, at := range h.paths(".go", ".sql", ".html", ".css", ".js", ".txtar") {
		into := inCode
		if strings.HasSuffix(at, "_test.go") || strings.Contains(at, "testdata/") || strings.HasPrefix(at, "layer/layertest/") {
			into = inTests
		}
		if path.Dir(at) == "internal/tidy" && !strings.HasSuffix(at, "onion_test.go") {
			continue // examples of how to cite are no citations
		}
		for _, after := range strings.Split(h.files[at], "SYSTEM ")[1:] {
			for _, number := range numbers(after) {
				into[number] = at
			}
		}
	}
	return inCode, inTests
}

// numbers reads a list such as "P1", "P3, P5", "D1–D4" or "I1–I5, I9" from the beginning of s.
func numbers(s string) (all []string) {
	for {
		first := numberForm.FindString(s)
		if first == "" {
			return all
		}
		s = s[len(first):]
		if rest, ok := strings.CutPrefix(s, "–"); ok && numberForm.MatchString(rest) {
			last := numberForm.FindString(rest)
			s = rest[len(last):]
			all = append(all, between(first, last)...)
		} else {
			all = append(all, first)
		}
		s = s[len(listForm.FindString(s)):]
	}
}

// between is every number from first to last, which are of one letter.
func between(first, last string) (all []string) {
	from, errFrom := strconv.Atoi(first[1:])
	to, errTo := strconv.Atoi(last[1:])
	if errFrom != nil || errTo != nil || first[0] != last[0] {
		return []string{first, last}
	}
	for n := from; n <= to; n++ {
		all = append(all, first[:1]+strconv.Itoa(n))
	}
	return all
}
