// Package source answers the questions that every analyzer asks of a program: what is called here, of which type is this, what
// can this variable hold. It goes by types and never by spelling, so that another name for an import hides nothing.
package source

import (
	"fmt"
	"go/ast"
	"go/types"
	"iter"
	"strings"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/types/typeutil"
)

// Module is the path of Redoubt's module, whose names the analyzers know.
const Module = "github.com/redoubt-dev/redoubt"

// Files yields the files of a package that go into a program. Tests are left out: they do not stand in for production, and trying
// what must be refused is their business.
func Files(pass *analysis.Pass) iter.Seq[*ast.File] {
	return func(yield func(*ast.File) bool) {
		for _, f := range pass.Files {
			if !strings.HasSuffix(pass.Fset.File(f.FileStart).Name(), "_test.go") && !yield(f) {
				return
			}
		}
	}
}

// Nodes yields every node of Files, parents before children.
func Nodes(pass *analysis.Pass) iter.Seq[ast.Node] {
	return func(yield func(ast.Node) bool) {
		for f := range Files(pass) {
			for n := range ast.Preorder(f) {
				if !yield(n) {
					return
				}
			}
		}
	}
}

// Path is the import path of the package under analysis. A package that is built for a test has that test's name behind its own.
func Path(pkg *types.Package) string {
	path, _, _ := strings.Cut(pkg.Path(), " ")
	return path
}

// Name is the full name of what belongs to a package: "net/http.Header.Get", "github.com/redoubt-dev/redoubt/layer.Principal". It
// is "" for nil, builtins, fields and what is declared within a function.
func Name(obj types.Object) string {
	if obj == nil || obj.Pkg() == nil {
		return ""
	}
	if of := receiver(obj); of != "" {
		return Path(obj.Pkg()) + "." + of + "." + obj.Name()
	}
	if obj.Parent() != obj.Pkg().Scope() {
		return ""
	}
	return Path(obj.Pkg()) + "." + obj.Name()
}

// Short is the name by which people speak of it: "PgConn.Exec", "action.Do".
func Short(obj types.Object) string {
	if obj == nil {
		return "func"
	}
	if of := receiver(obj); of != "" {
		return of + "." + obj.Name()
	}
	if obj.Pkg() == nil {
		return obj.Name()
	}
	return obj.Pkg().Name() + "." + obj.Name()
}

func receiver(obj types.Object) string {
	fn, ok := obj.(*types.Func)
	if !ok || fn.Signature().Recv() == nil {
		return ""
	}
	if named := Named(fn.Signature().Recv().Type()); named != nil {
		return named.Obj().Name()
	}
	return "interface"
}

// Named is the named type behind aliases and one pointer; nil if there is none.
func Named(t types.Type) *types.Named {
	if t == nil {
		return nil
	}
	if p, ok := types.Unalias(t).(*types.Pointer); ok {
		t = p.Elem()
	}
	named, _ := types.Unalias(t).(*types.Named)
	return named
}

// TypeName is the full name of a type, of what it points at, or of the generic type that it is an instance of; "" if it has none.
func TypeName(t types.Type) string {
	if named := Named(t); named != nil {
		return Name(named.Obj())
	}
	return ""
}

// Callee is what a call calls: a function, a method, a builtin or a variable that holds a function; nil if that is an expression.
func Callee(pass *analysis.Pass, call *ast.CallExpr) types.Object {
	return Origin(typeutil.Callee(pass.TypesInfo, call))
}

// Origin is the function that a program writes, of which obj may be an instance.
func Origin(obj types.Object) types.Object {
	if fn, ok := obj.(*types.Func); ok {
		return fn.Origin()
	}
	return obj
}

// Called is the full name of what a call calls.
func Called(pass *analysis.Pass, call *ast.CallExpr) string { return Name(Callee(pass, call)) }

// Function is the name of a function behind parentheses, packages, receivers and type arguments; nil if it has none.
func Function(e ast.Expr) *ast.Ident {
	switch e := ast.Unparen(e).(type) {
	case *ast.Ident:
		return e
	case *ast.SelectorExpr:
		return e.Sel
	case *ast.IndexExpr:
		return Function(e.X)
	case *ast.IndexListExpr:
		return Function(e.X)
	}
	return nil
}

// Converted is the type to which a call converts its only argument; nil if it is no conversion.
func Converted(pass *analysis.Pass, call *ast.CallExpr) types.Type {
	if tv := pass.TypesInfo.Types[call.Fun]; tv.IsType() && len(call.Args) == 1 {
		return tv.Type
	}
	return nil
}

// IsConstant reports whether the compiler knows the value of an expression.
func IsConstant(pass *analysis.Pass, e ast.Expr) bool { return pass.TypesInfo.Types[e].Value != nil }

// IsString reports whether values of a type are text. For a type parameter, all that it stands for must be.
func IsString(t types.Type) bool {
	if t == nil {
		return false
	}
	if param, ok := types.Unalias(t).(*types.TypeParam); ok {
		return ofStrings(param)
	}
	basic, ok := t.Underlying().(*types.Basic)
	return ok && basic.Info()&types.IsString != 0
}

func ofStrings(param *types.TypeParam) bool {
	face := param.Constraint().Underlying().(*types.Interface)
	for t := range face.EmbeddedTypes() {
		union, ok := t.(*types.Union)
		if !ok {
			if IsString(t) {
				return true
			}
			continue
		}
		for term := range union.Terms() {
			if IsString(term.Type()) {
				return true
			}
		}
	}
	return false
}

// Report reports a finding. thing is the one word by which a list of exceptions names what was found.
func Report(pass *analysis.Pass, at ast.Node, thing, format string, args ...any) {
	pass.Report(analysis.Diagnostic{Pos: at.Pos(), End: at.End(), Category: thing, Message: thing + ": " + fmt.Sprintf(format, args...)})
}
