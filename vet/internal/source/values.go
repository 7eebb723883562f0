package source

import (
	"go/ast"
	"go/token"
	"go/types"

	"golang.org/x/tools/go/analysis"
)

// How a variable comes by a value.
type How int

const (
	Unknown  How = iota // by a way that is not followed, as when its address is taken
	Nothing             // declared without a value: the zero one
	Whole               // it becomes Expr
	Grown               // Expr is added to it
	Element             // it becomes an element of Expr
	Contains            // Expr becomes one of its elements or fields
	First               // it becomes the first of the values that Expr gives
)

// A Value is one that a variable may hold.
type Value struct {
	How  How
	Expr ast.Expr // nil for Unknown and Nothing
}

// Values has everything that is put into each variable of a package, by any file of it. A variable that is not in it is a parameter,
// a result, or somebody else's.
type Values map[types.Object][]Value

// ValuesOf reads a package.
func ValuesOf(pass *analysis.Pass) Values {
	v := Values{}
	for n := range Nodes(pass) {
		switch n := n.(type) {
		case *ast.ValueSpec:
			v.declare(pass, n)
		case *ast.AssignStmt:
			v.assign(pass, n)
		case *ast.RangeStmt:
			v.put(pass, n.Key, Value{})
			v.put(pass, n.Value, Value{Element, n.X})
		case *ast.IncDecStmt:
			v.put(pass, n.X, Value{})
		case *ast.UnaryExpr:
			if n.Op == token.AND {
				v.put(pass, n.X, Value{})
			}
		}
	}
	return v
}

func (v Values) declare(pass *analysis.Pass, spec *ast.ValueSpec) {
	for i, name := range spec.Names {
		switch {
		case len(spec.Values) == 0:
			v.put(pass, name, Value{How: Nothing})
		case len(spec.Values) == len(spec.Names):
			v.put(pass, name, Value{Whole, spec.Values[i]})
		default:
			v.put(pass, name, Value{})
		}
	}
}

func (v Values) assign(pass *analysis.Pass, s *ast.AssignStmt) {
	for i, to := range s.Lhs {
		switch {
		case len(s.Lhs) != len(s.Rhs) && i == 0:
			v.put(pass, to, Value{First, s.Rhs[0]})
		case len(s.Lhs) != len(s.Rhs):
			v.put(pass, to, Value{})
		case s.Tok == token.ASSIGN || s.Tok == token.DEFINE:
			v.put(pass, to, Value{Whole, s.Rhs[i]})
		case s.Tok == token.ADD_ASSIGN:
			v.put(pass, to, Value{Grown, s.Rhs[i]})
		default:
			v.put(pass, to, Value{})
		}
	}
}

// put follows x[i], x.f and *x to the variable x that holds the place.
func (v Values) put(pass *analysis.Pass, to ast.Expr, value Value) {
	inside := false
	for {
		switch e := ast.Unparen(to).(type) {
		case *ast.Ident:
			obj := pass.TypesInfo.ObjectOf(e)
			if variable, ok := obj.(*types.Var); ok && !variable.IsField() {
				if inside && value.How == Whole {
					value.How = Contains
				} else if inside {
					value = Value{}
				}
				v[obj] = append(v[obj], value)
			}
			return
		case *ast.IndexExpr:
			to, inside = e.X, true
		case *ast.SelectorExpr:
			to, inside = e.X, true
		case *ast.StarExpr:
			to, inside = e.X, true
		default:
			return
		}
	}
}

// IsZero reports whether an expression is the zero value of its struct type, plainly: a literal without fields, *new(T), or a
// variable that nothing is ever put into.
func (v Values) IsZero(pass *analysis.Pass, e ast.Expr) bool {
	switch e := ast.Unparen(e).(type) {
	case *ast.CompositeLit:
		return len(e.Elts) == 0
	case *ast.StarExpr:
		call, ok := ast.Unparen(e.X).(*ast.CallExpr)
		return ok && Callee(pass, call) == types.Universe.Lookup("new")
	case *ast.Ident:
		obj := pass.TypesInfo.ObjectOf(e)
		held := v[obj]
		for _, value := range held {
			if literal, ok := value.Expr.(*ast.CompositeLit); value.How != Nothing && !(value.How == Whole && ok && len(literal.Elts) == 0) {
				return false
			}
		}
		return len(held) > 0
	}
	return false
}
