// Package gatefirst finds changes that do something before they have asked the action gate (SYSTEM A3, G2). The gate is the only
// door to a transaction that writes, so this is about what no door guards: identity, other databases, messages, files.
//
// A route changes something if it is a redoubt.Form, or a redoubt.JSON whose method is not GET, HEAD or OPTIONS. Its handler, and
// what it calls in its own package, up to three calls deep, is read in the order in which it runs. Before a call of action.Do nothing
// may happen but local computation: declarations, conditions, builtins, conversions, the methods of package layer, and functions of
// the standard library that touch nothing (strings, strconv, slices, time …). A gate whose refusal is dropped is no gate.
//
// A handler that cannot be read, because it is another package's or a variable, is reported too: declare a route where its handler is.
package gatefirst

import (
	"go/ast"
	"go/constant"
	"go/types"
	"strings"

	"golang.org/x/tools/go/analysis"

	"github.com/redoubt-dev/redoubt/vet/internal/source"
)

// Analyzer is the analyzer.
var Analyzer = &analysis.Analyzer{
	Name: "gatefirst",
	Doc:  "a change asks the action gate before it does anything else",
	URL:  "https://pkg.go.dev/" + source.Module + "/vet/gatefirst",
	Run:  run,
}

func run(pass *analysis.Pass) (any, error) {
	r := &reader{pass: pass, bodies: map[types.Object]*ast.FuncDecl{}, said: map[ast.Node]bool{}}
	for n := range source.Nodes(pass) {
		if fn, ok := n.(*ast.FuncDecl); ok && fn.Body != nil {
			r.bodies[pass.TypesInfo.Defs[fn.Name]] = fn
		}
	}
	for n := range source.Nodes(pass) {
		if call, ok := n.(*ast.CallExpr); ok && len(call.Args) == 3 && changes(pass, call) {
			r.handler(types.ExprString(call.Args[0]), call.Args[2])
		}
	}
	return nil, nil
}

// changes reports whether a call declares a route that changes something. A pattern that is put together may be one.
func changes(pass *analysis.Pass, call *ast.CallExpr) bool {
	switch source.Called(pass, call) {
	case source.Module + ".Form":
		return true
	case source.Module + ".JSON":
		pattern := pass.TypesInfo.Types[call.Args[0]].Value
		if pattern == nil {
			return true
		}
		method, _, _ := strings.Cut(constant.StringVal(pattern), " ")
		return method != "GET" && method != "HEAD" && method != "OPTIONS"
	}
	return false
}

// handler reads one handler. Each thing that it does too early is said once, whichever route leads there.
func (r *reader) handler(pattern string, handler ast.Expr) {
	r.early, r.why = nil, ""
	var found reach
	switch h := r.unwrap(handler).(type) {
	case *ast.FuncLit:
		found = r.block(h.Body.List)
	case *ast.Ident:
		found = r.function(handler, r.pass.TypesInfo.ObjectOf(h))
	default:
		found = r.breach(handler, "its handler cannot be read here: declare the route where the handler is written")
	}
	if found == breached && !r.said[r.early] {
		r.said[r.early] = true
		source.Report(r.pass, r.early, r.thing(), "%s: %s (SYSTEM A3)", pattern, r.why)
	}
}

// unwrap looks through parentheses, conversions to Handler and instantiations, to a function's name or its text.
func (r *reader) unwrap(e ast.Expr) ast.Expr {
	switch e := ast.Unparen(e).(type) {
	case *ast.CallExpr:
		if source.Converted(r.pass, e) != nil {
			return r.unwrap(e.Args[0])
		}
		return nil
	case *ast.FuncLit:
		return e
	}
	if name := source.Function(e); name != nil {
		return name
	}
	return nil
}

// thing names what was found, for a list of exceptions.
func (r *reader) thing() string {
	switch n := r.early.(type) {
	case *ast.CallExpr:
		return source.Short(source.Callee(r.pass, n))
	case ast.Expr:
		if text := types.ExprString(n); !strings.ContainsAny(text, " \t\n") {
			return text
		}
	}
	return "handler"
}
