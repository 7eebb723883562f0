package tidy

import (
	"go/ast"
	"path"
	"regexp"
	"slices"
	"strings"
)

// The words are put together here, so that this file does not hold them. Each form has the beginnings of what it finds: looking
// for those first spares most files the slower look.
var (
	laterForm   = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X|HA` + `CK)\b(\([A-Z]\d{0,2}\))?`)
	stopgapForm = regexp.MustCompile(`(?i)\b(for` + ` now|lorem` + ` ipsum|not` + ` implemented|temporary` + ` hack|place` + `holder text)\b`)
	placeForm   = regexp.MustCompile(`(^|["' (=` + "`" + `])/(work|home|Users)/\w`)

	beginnings = []string{"to" + "do", "fix" + "me", "xx" + "x", "ha" + "ck", "for" + " now", "lorem" + " ", "not" + " impl", "place" + "holder text", "/wo" + "rk/", "/ho" + "me/", "/us" + "ers/"}
)

// writing is the files whose every word is somebody's.
func (h *house) writing() []string {
	return slices.DeleteFunc(h.paths(".go", ".sql", ".md", ".html", ".css", ".js"), func(at string) bool {
		return strings.Contains(at, "testdata/")
	})
}

// leftovers: what is not done is a number in docs/requirements.md, not a remark in the code.
func leftovers(h *house) (faults []string) {
	for _, at := range h.writing() {
		low := strings.ToLower(h.files[at])
		if !slices.ContainsFunc(beginnings, func(b string) bool { return strings.Contains(low, b) }) {
			continue
		}
		for i, line := range strings.Split(h.files[at], "\n") {
			if m := laterForm.FindStringSubmatch(line); m != nil && (m[2] == "" || !strings.HasPrefix(m[1], "TO")) {
				faultf(&faults, "%s:%d leaves something for later: finish it, or cite the capability's number in parentheses", at, i+1)
			}
			if m := stopgapForm.FindString(line); m != "" {
				faultf(&faults, "%s:%d says %q: write what holds, and why", at, i+1, m)
			}
			if m := placeForm.FindString(line); m != "" {
				faultf(&faults, "%s:%d names a folder of one machine: %s", at, i+1, strings.TrimSpace(m))
			}
		}
	}
	return faults
}

const longest = 700

func lengths(h *house) (faults []string) {
	for _, at := range h.writing() {
		lines := strings.Count(h.files[at], "\n")
		reason := h.lists.long[at]
		switch {
		case lines > longest && reason == "":
			faultf(&faults, "%s has %d lines, more than %d: part it by what its pieces are for", at, lines, longest)
		case lines <= longest && reason != "":
			faultf(&faults, "%s is no longer long: take it off the list long in internal/tidy/lists_test.go", at)
		}
	}
	return faults
}

// nowhere are names that say nothing about what is inside.
var nowhere = []string{"util", "utils", "common", "helper", "helpers", "type", "types", "model", "models", "manager", "managers", "misc", "base", "lib", "shared", "pkg"}

func folderNames(h *house) (faults []string) {
	for _, dir := range h.dirs() {
		if slices.Contains(nowhere, path.Base(dir)) {
			faultf(&faults, "%s is named after nothing in particular: name the folder by what it is about", dir)
		}
	}
	return faults
}

// messages: "opening link: refused" tells more than that it did not work, and reads well when wrapped.
func messages(h *house) (faults []string) {
	for _, dir := range h.dirs() {
		for _, s := range h.rooms[dir].files {
			if s.test {
				continue
			}
			ast.Inspect(s.syntax, func(n ast.Node) bool {
				if lit, ok := n.(*ast.BasicLit); ok && strings.Contains(strings.ToLower(text(lit)), "failed"+" to ") {
					faultf(&faults, "%s says %s: name what was being done, as in \"opening link: %%w\"", s.path, lit.Value)
				}
				return true
			})
		}
	}
	return faults
}
