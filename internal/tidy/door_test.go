package tidy

import (
	"go/ast"
	"path"
	"slices"
	"strings"
)

// A use is one name of somebody else's that a package uses.
type use struct{ dir, name string }

// selected collects the names that a file takes from elsewhere: x.Name, and the fields of a composite literal.
func (s source) selected(each func(of, name string)) {
	ast.Inspect(s.syntax, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			of, _ := n.X.(*ast.Ident)
			if of == nil {
				of = &ast.Ident{}
			}
			each(of.Name, n.Sel.Name)
		case *ast.KeyValueExpr:
			if key, ok := n.Key.(*ast.Ident); ok {
				each("", key.Name)
			}
		}
		return true
	})
}

// importsAs is the name by which a file calls an imported package; "" if it does not import it.
func (s source) importsAs(imported string) string {
	for _, spec := range s.syntax.Imports {
		if strings.Trim(spec.Path.Value, `"`) != imported {
			continue
		}
		if spec.Name != nil {
			return spec.Name.Name
		}
		return path.Base(imported)
	}
	return ""
}

// forTests marks a use by a test alone, which is listed by itself.
const forTests = " (test)"

// excuse takes out the uses by tests of what their package may use in earnest.
func excuse(used map[use][]string, listed map[use]string) {
	for u := range used {
		if name, isTest := strings.CutSuffix(u.name, forTests); isTest && listed[use{u.dir, name}] != "" {
			delete(used, u)
		}
	}
}

// judge compares what is used with what is listed, both ways.
func judge(faults *[]string, used map[use][]string, listed map[use]string, what, list string) {
	for u, where := range used {
		if listed[u] == "" {
			faultf(faults, "%s uses %s (%s): %s; do without it, or write the reason into %s of internal/tidy/lists_test.go", u.dir, u.name, where[0], what, list)
		}
	}
	for u := range listed {
		if len(used[u]) == 0 {
			faultf(faults, "%s no longer uses %s: take it off the list %s in internal/tidy/lists_test.go", u.dir, u.name, list)
		}
	}
}

// mintDoors: whoever can mint can be anybody. A test that must be somebody says so in the list too.
func mintDoors(h *house) (faults []string) {
	const mint = "layer/internal/mint"
	used := map[use][]string{}
	for _, dir := range h.dirs() {
		for _, s := range h.rooms[dir].files {
			as := s.importsAs(module + "/" + mint)
			if as == "" || dir == mint {
				continue
			}
			if as == "." || as == "_" {
				faultf(&faults, "%s imports mint as %q: import it by its name, so that every use of a door can be seen", s.path, as)
				continue
			}
			s.selected(func(of, name string) {
				if of == as {
					u := use{dir, name}
					if s.test {
						u.name += forTests
					}
					used[u] = append(used[u], s.path)
				}
			})
		}
	}
	excuse(used, h.lists.mint)
	judge(&faults, used, h.lists.mint, "with it a value can be forged that the layers believe", "mint")
	return faults
}

// escapeHatches: what goes around a layer says so by its name, and each who uses it has a reason. Tests do not stand in for
// production, so they may.
func escapeHatches(h *house) (faults []string) {
	used := map[use][]string{}
	for _, dir := range h.dirs() {
		for _, s := range h.rooms[dir].files {
			if s.test {
				continue
			}
			s.selected(func(of, name string) {
				if (strings.HasPrefix(name, "Insecure") || strings.HasPrefix(name, "Forge")) && !h.declares(dir, name) {
					u := use{dir, name}
					used[u] = append(used[u], s.path)
				}
			})
			for _, tool := range []string{"internal/devidp", "internal/devmail", "drill/knockout"} {
				if !slices.Contains(s.imports(), module+"/"+tool) {
					continue
				}
				u := use{dir, tool}
				used[u] = append(used[u], s.path)
			}
		}
	}
	judge(&faults, used, h.lists.hatches, "it goes around a layer", "hatches")
	return faults
}

// declares reports whether a room's own program declares name, as a function, a method or a field.
func (h *house) declares(dir, name string) (found bool) {
	for _, s := range h.rooms[dir].files {
		ast.Inspect(s.syntax, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				found = found || n.Name.Name == name
			case *ast.Field:
				found = found || slices.ContainsFunc(n.Names, func(id *ast.Ident) bool { return id.Name == name })
			}
			return !found
		})
	}
	return found
}

// simpleProtocol: PostgreSQL's simple protocol takes several statements in one text and no parameters, which is what an
// injection wants (SYSTEM N4).
func simpleProtocol(h *house) (faults []string) {
	used := map[use][]string{}
	for _, dir := range h.dirs() {
		for _, s := range h.rooms[dir].files {
			ast.Inspect(s.syntax, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.SelectorExpr:
					if n.Sel.Name == "QueryExecModeSimpleProtocol" || n.Sel.Name == "QueryExecModeExec" {
						faultf(&faults, "%s uses %s: statements are prepared, so that a value can never become SQL", s.path, n.Sel.Name)
					}
				case *ast.CallExpr:
					if !s.test && isCall(n, "Exec") && isCall(n.Fun.(*ast.SelectorExpr).X, "PgConn") {
						u := use{dir, "PgConn().Exec"}
						used[u] = append(used[u], s.path)
					}
				}
				return true
			})
		}
	}
	judge(&faults, used, h.lists.simple, "it sends text by the simple protocol", "simple")
	return faults
}

// isCall reports whether n calls a method of that name.
func isCall(n ast.Node, name string) bool {
	call, ok := n.(*ast.CallExpr)
	if !ok {
		return false
	}
	method, ok := call.Fun.(*ast.SelectorExpr)
	return ok && method.Sel.Name == name
}
