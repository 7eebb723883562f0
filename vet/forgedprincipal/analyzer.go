// Package forgedprincipal finds a layer.Principal that does not come from package identity (SYSTEM A4, D2, G2). The compiler already keeps
// its fields from everybody; what is left are the door of package mint, memory that is written past the compiler (unsafe, reflect), and
// places in which one caller's Principal waits for the next caller: a context, a variable of a package. The zero Principal, handed
// to a layer, is nobody and is refused at run time; here it is found before.
//
// What is not seen: a Principal kept in a field of a value that lives longer than its request.
package forgedprincipal

import (
	"go/ast"
	"go/types"
	"slices"
	"strings"

	"golang.org/x/tools/go/analysis"

	"github.com/redoubt-dev/redoubt/vet/internal/source"
)

// Analyzer is the analyzer.
var Analyzer = &analysis.Analyzer{
	Name: "forgedprincipal",
	Doc:  "a Principal comes from identity, and from nowhere else",
	URL:  "https://pkg.go.dev/" + source.Module + "/vet/forgedprincipal",
	Run:  run,
}

const (
	nouns     = source.Module + "/layer"
	principal = nouns + ".Principal"
	door      = nouns + "/internal/mint.Principal"
	identity  = nouns + "/identity"
)

// takers are the functions that ask a layer in a Principal's name.
var takers = []string{nouns + "/rls.DB.As", nouns + "/rls.Begin", nouns + "/gate/action.Do", nouns + "/gate/action.DoAssured"}

func run(pass *analysis.Pass) (any, error) {
	if source.Path(pass.Pkg) == nouns {
		return nil, nil // where it is declared
	}
	values := source.ValuesOf(pass)
	for n := range source.Nodes(pass) {
		switch n := n.(type) {
		case *ast.CallExpr:
			call(pass, values, n)
		case *ast.CompositeLit:
			if len(n.Elts) > 0 && is(pass.TypesInfo.TypeOf(n)) {
				source.Report(pass, n, "Principal", "a Principal comes from identity, which has verified whose it is")
			}
		case *ast.Ident:
			if source.Name(pass.TypesInfo.Uses[n]) == door && source.Path(pass.Pkg) != identity {
				source.Report(pass, n, "mint.Principal", "whoever can mint can be anybody: identity alone may")
			}
			if v, ok := pass.TypesInfo.Defs[n].(*types.Var); ok && v.Kind() == types.PackageVar && holds(v.Type()) {
				source.Report(pass, n, n.Name, "one caller's Principal would be there for the next: who asks is a parameter")
			}
		case *ast.IndexExpr:
			reflected(pass, n)
		}
	}
	return nil, nil
}

func is(t types.Type) bool { return source.TypeName(t) == principal }

// holds reports whether a type is a Principal, or a list, map or pointer of them.
func holds(t types.Type) bool {
	if is(t) {
		return true
	}
	if of, ok := t.Underlying().(interface{ Elem() types.Type }); ok {
		return holds(of.Elem())
	}
	return false
}

func call(pass *analysis.Pass, values source.Values, c *ast.CallExpr) {
	if to := source.Converted(pass, c); to != nil {
		from := pass.TypesInfo.TypeOf(c.Args[0])
		if isUnsafe(to) && holds(from) || isUnsafe(from) && holds(to) {
			source.Report(pass, c, "unsafe.Pointer", "a Principal is written past the compiler")
		}
		return
	}
	switch name := source.Called(pass, c); {
	case slices.Contains(takers, name):
		for _, arg := range c.Args {
			if is(pass.TypesInfo.TypeOf(arg)) && values.IsZero(pass, arg) {
				source.Report(pass, arg, "Principal", "the zero Principal is nobody: pass on who asks")
			}
		}
	case name == "context.WithValue" && len(c.Args) == 3 && holds(pass.TypesInfo.TypeOf(c.Args[2])):
		source.Report(pass, c, "context.WithValue", "what has authority does not travel unseen: who asks is a parameter")
	case strings.HasPrefix(name, "reflect."):
		for _, arg := range c.Args {
			if holds(pass.TypesInfo.TypeOf(arg)) {
				source.Report(pass, c, source.Short(source.Callee(pass, c)), "a Principal is looked into past the compiler")
			}
		}
	}
}

func isUnsafe(t types.Type) bool { return types.Identical(t, types.Typ[types.UnsafePointer]) }

// reflected finds reflect.TypeFor[layer.Principal], with which a new one can be made.
func reflected(pass *analysis.Pass, e *ast.IndexExpr) {
	selector, ok := ast.Unparen(e.X).(*ast.SelectorExpr)
	if ok && source.Name(pass.TypesInfo.Uses[selector.Sel]) == "reflect.TypeFor" && holds(pass.TypesInfo.TypeOf(e.Index)) {
		source.Report(pass, e, "reflect.TypeFor", "a Principal is looked into past the compiler")
	}
}
