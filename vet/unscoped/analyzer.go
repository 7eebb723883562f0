// Package unscoped finds uses of what goes around a layer (SYSTEM G2). Redoubt calls such things by names that say so, and every
// program that uses one gives its reason in the list of exceptions: functions and fields that begin with Insecure or Forge, the cookie
// of a session that tests send, the doors of package mint, and the packages that are for development, for tests or for the drill.
//
// Who declares an escape hatch may of course use it; package mint's door to Principals is analyzer forgedprincipal's to watch.
package unscoped

import (
	"go/ast"
	"go/types"
	"path"
	"strconv"
	"strings"

	"golang.org/x/tools/go/analysis"

	"github.com/redoubt-dev/redoubt/vet/internal/source"
)

// Analyzer is the analyzer.
var Analyzer = &analysis.Analyzer{
	Name: "unscoped",
	Doc:  "what goes around a layer is used for a written reason",
	URL:  "https://pkg.go.dev/" + source.Module + "/vet/unscoped",
	Run:  run,
}

const mint = source.Module + "/layer/internal/mint"

// packages are hatches as a whole, each with what it does.
var packages = map[string]string{
	source.Module + "/internal/devidp":    "it signs anybody in",
	source.Module + "/internal/pgtest":    "its databases are for tests",
	source.Module + "/layer/layertest":    "it is for tests: it signs anybody in",
	source.Module + "/layer/rls/unscoped": "it reads across organizations",
	source.Module + "/drill/knockout":     "it removes layers",
}

func run(pass *analysis.Pass) (any, error) {
	for n := range source.Nodes(pass) {
		switch n := n.(type) {
		case *ast.ImportSpec:
			imported, err := strconv.Unquote(n.Path.Value)
			if why := packages[imported]; err == nil && why != "" {
				source.Report(pass, n, path.Base(imported), "%s; do without it, or write down why not", why)
			}
		case *ast.Ident:
			use(pass, n)
		}
	}
	return nil, nil
}

func use(pass *analysis.Pass, id *ast.Ident) {
	obj := pass.TypesInfo.Uses[id]
	if obj == nil || obj.Pkg() == nil || obj.Pkg() == pass.Pkg || !ours(obj.Pkg()) {
		return
	}
	switch name := obj.Name(); {
	case source.Path(obj.Pkg()) == mint && outermost(obj):
		if name != "Principal" {
			source.Report(pass, id, "mint."+name, "whoever has it is believed by a layer; do without it, or write down why not")
		}
	case strings.HasPrefix(name, "Insecure") || strings.HasPrefix(name, "Forge"):
		source.Report(pass, id, name, "it goes around a layer; do without it, or write down why not")
	case source.Name(obj) == source.Module+"/layer/identity.SessionCookie":
		source.Report(pass, id, name, "it is for tests: identity sets its cookies itself")
	}
}

func ours(pkg *types.Package) bool {
	at := source.Path(pkg)
	return at == source.Module || strings.HasPrefix(at, source.Module+"/")
}

// outermost leaves out fields and methods, of what is already named.
func outermost(obj types.Object) bool { return obj.Parent() == obj.Pkg().Scope() }
