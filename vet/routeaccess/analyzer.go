// Package routeaccess finds routes whose access nobody has declared, or whose declaration cannot be read where the route is (SYSTEM A1,
// G2): an Access that is plainly zero, a scope without a name, a Route that is not made by Page, Form or JSON or is changed after it was.
// It also finds who changes what redoubt.Members means: the declarations are variables, because Go has no constants of struct types.
//
// A route with the zero Access stops the program from starting; this says so before it is built. What a variable of the application
// holds when it runs is not followed.
package routeaccess

import (
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"slices"

	"golang.org/x/tools/go/analysis"

	"github.com/redoubt-dev/redoubt/vet/internal/source"
)

// Analyzer is the analyzer.
var Analyzer = &analysis.Analyzer{
	Name: "routeaccess",
	Doc:  "every route says who may ask for it, where it is declared",
	URL:  "https://pkg.go.dev/" + source.Module + "/vet/routeaccess",
	Run:  run,
}

const (
	root   = source.Module
	gate   = source.Module + "/layer/gate/route"
	advice = "say redoubt.Public, Members, Administrators or Scope (SYSTEM A1)"
)

var (
	makers       = []string{root + ".Page", root + ".Form", root + ".JSON"}
	scopes       = []string{root + ".Scope", gate + ".Scope"}
	declarations = []string{root + ".Public", root + ".Members", root + ".Administrators", gate + ".Public", gate + ".Members", gate + ".Administrators"}
)

func run(pass *analysis.Pass) (any, error) {
	values := source.ValuesOf(pass)
	called := map[*ast.Ident]bool{}
	for n := range source.Nodes(pass) {
		switch n := n.(type) {
		case *ast.CallExpr:
			call(pass, values, n)
			called[source.Function(n.Fun)] = true
		case *ast.Ident:
			if slices.Contains(makers, source.Name(pass.TypesInfo.Uses[n])) && !called[n] && source.Path(pass.Pkg) != root {
				source.Report(pass, n, n.Name, "a route is declared by calling this where the route is, so that its access can be read")
			}
		case *ast.CompositeLit:
			if len(n.Elts) > 0 && source.TypeName(pass.TypesInfo.TypeOf(n)) == root+".Route" && source.Path(pass.Pkg) != root {
				source.Report(pass, n, "Route", "a route is made by redoubt.Page, Form or JSON, which ask for its access")
			}
		case *ast.AssignStmt:
			for _, to := range n.Lhs {
				changed(pass, to)
			}
		case *ast.UnaryExpr:
			if n.Op == token.AND {
				changed(pass, n.X)
			}
		}
	}
	return nil, nil
}

func call(pass *analysis.Pass, values source.Values, c *ast.CallExpr) {
	name := source.Called(pass, c)
	if slices.Contains(makers, name) && len(c.Args) == 3 && values.IsZero(pass, c.Args[1]) {
		source.Report(pass, c.Args[1], "Access", "route %s declares no access: %s", types.ExprString(c.Args[0]), advice)
	}
	if slices.Contains(scopes, name) && len(c.Args) == 1 {
		if v := pass.TypesInfo.Types[c.Args[0]].Value; v != nil && constant.StringVal(v) == "" {
			source.Report(pass, c, "Scope", "a scope without a name is no declaration: %s", advice)
		}
	}
}

// changed looks at what is assigned to, or at what somebody takes the address of in order to.
func changed(pass *analysis.Pass, to ast.Expr) {
	selector, ok := ast.Unparen(to).(*ast.SelectorExpr)
	if !ok {
		return
	}
	obj := pass.TypesInfo.Uses[selector.Sel]
	switch {
	case slices.Contains(declarations, source.Name(obj)):
		source.Report(pass, to, selector.Sel.Name, "this changes who may ask for every route that declares it")
	case source.TypeName(pass.TypesInfo.TypeOf(selector.X)) == root+".Route" && source.Path(pass.Pkg) != root:
		source.Report(pass, to, "Route."+selector.Sel.Name, "a route stays as Page, Form or JSON declared it")
	}
}
