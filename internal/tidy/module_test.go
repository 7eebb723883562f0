package tidy

import (
	"path"
	"slices"
	"strings"
)

// required reads go.mod's requirements: true for a direct one.
func (h *house) required() map[string]bool {
	direct := map[string]bool{}
	inside := false
	for line := range strings.Lines(h.files["go.mod"]) {
		line = strings.TrimSpace(line)
		rest, single := strings.CutPrefix(line, "require ")
		switch {
		case line == "require (":
			inside = true
		case line == ")":
			inside = false
		case inside && line != "" || single:
			fields := strings.Fields(rest)
			direct[fields[0]] = !strings.HasSuffix(line, "// indirect")
		}
	}
	return direct
}

// moduleOf is the required module that holds an import path: the longest that begins it.
func moduleOf(imported string, required map[string]bool) string {
	for at := imported; at != "." && at != "/"; at = path.Dir(at) {
		if _, ok := required[at]; ok {
			return at
		}
	}
	return ""
}

// modules: code of others runs with our rights. Each package that takes some in says why, and go.mod holds nothing more.
func modules(h *house) (faults []string) {
	required := h.required()
	used := map[use][]string{}
	direct := map[string]bool{}
	for _, dir := range h.dirs() {
		for _, s := range h.rooms[dir].files {
			for _, imported := range s.imports() {
				first, _, _ := strings.Cut(imported, "/")
				if _, own := ours(imported); own || !strings.Contains(first, ".") {
					continue
				}
				m := moduleOf(imported, required)
				if m == "" {
					faultf(&faults, "%s imports %s, of no module in go.mod: run go get for it", s.path, imported)
					continue
				}
				u := use{dir, m}
				if s.test {
					u.name += forTests
				}
				used[u] = append(used[u], s.path)
				direct[m] = true
			}
		}
	}
	excuse(used, h.lists.modules)
	judge(&faults, used, h.lists.modules, "code of others runs with our rights", "modules")
	for m, isDirect := range required {
		switch {
		case isDirect && !direct[m]:
			faultf(&faults, "go.mod requires %s, which nothing imports: run go mod tidy", m)
		case !isDirect && direct[m]:
			faultf(&faults, "go.mod calls %s indirect, though it is imported: run go mod tidy", m)
		}
	}
	slices.Sort(faults)
	return faults
}
