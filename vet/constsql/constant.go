package constsql

import (
	"go/ast"
	"go/token"
	"go/types"

	"github.com/redoubt-dev/redoubt/vet/internal/source"
)

// constant reports whether the program's text alone says what an expression is.
func (c *checker) constant(e ast.Expr) bool {
	if source.IsConstant(c.pass, e) {
		return true
	}
	switch e := ast.Unparen(e).(type) {
	case *ast.BinaryExpr:
		return e.Op == token.ADD && c.constant(e.X) && c.constant(e.Y)
	case *ast.CallExpr:
		return source.Converted(c.pass, e) != nil && source.IsString(c.pass.TypesInfo.TypeOf(e.Args[0])) && c.constant(e.Args[0])
	case *ast.IndexExpr:
		return c.constants(e.X)
	case *ast.Ident:
		return c.variable(e, source.Whole)
	}
	return false
}

// constants reports whether a list or map has constants alone.
func (c *checker) constants(e ast.Expr) bool {
	switch e := ast.Unparen(e).(type) {
	case *ast.CompositeLit:
		for _, element := range e.Elts {
			if pair, ok := element.(*ast.KeyValueExpr); ok {
				element = pair.Value
			}
			if !c.constant(element) {
				return false
			}
		}
		return listOfStrings(c.pass.TypesInfo.TypeOf(e))
	case *ast.Ident:
		return c.variable(e, source.Contains)
	}
	return false
}

func listOfStrings(t types.Type) bool {
	list, ok := t.Underlying().(interface{ Elem() types.Type })
	return ok && source.IsString(list.Elem())
}

// variable reports whether all that a variable can hold is constant: itself, or, for Contains, its elements.
func (c *checker) variable(id *ast.Ident, as source.How) bool {
	v, ok := c.pass.TypesInfo.ObjectOf(id).(*types.Var)
	if !ok {
		return false
	}
	if v.Kind() == types.ParamVar {
		// Its callers answer for it: they are held to the rule, or the compiler holds them to it.
		named := guarded(v.Type())
		return (v.Name() == "sql" || named != nil && c.isSQL(named)) && len(c.values[v]) == 0 && c.declared(v)
	}
	if v.Kind() == types.PackageVar && (v.Exported() || v.Pkg() != c.pass.Pkg) {
		return false // others may assign to it
	}
	if c.asking[v] {
		return true // by itself, in a loop; its other values decide
	}
	c.asking[v] = true
	defer delete(c.asking, v)
	for _, held := range c.values[v] {
		if !c.held(held, as) {
			return false
		}
	}
	return len(c.values[v]) > 0
}

func (c *checker) held(held source.Value, as source.How) bool {
	switch held.How {
	case source.Nothing:
		return true
	case source.Whole:
		if as == source.Contains {
			return c.constants(held.Expr)
		}
		return c.constant(held.Expr)
	case source.Grown:
		return as == source.Whole && c.constant(held.Expr)
	case source.Element:
		return as == source.Whole && c.constants(held.Expr)
	case source.Contains:
		return as == source.Contains && c.constant(held.Expr)
	}
	return false
}

// declared reports whether a parameter belongs to a function that has a name, so that its calls can be found.
func (c *checker) declared(param *types.Var) bool {
	for n := range source.Nodes(c.pass) {
		fn, ok := n.(*ast.FuncDecl)
		if !ok || param.Pos() < fn.Type.Pos() || param.Pos() > fn.Type.End() {
			continue
		}
		return true
	}
	return false
}
