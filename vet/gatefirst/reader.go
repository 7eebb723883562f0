package gatefirst

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"

	"golang.org/x/tools/go/analysis"

	"github.com/redoubt-dev/redoubt/vet/internal/source"
)

// reach is how far the reading of a handler has come.
type reach int

const (
	local    reach = iota // nothing has happened yet that anybody else could notice
	gated                 // the gate has been asked
	breached              // something has happened before
)

// gates are the functions that ask the action gate.
var gates = []string{source.Module + "/layer/gate/action.Do", source.Module + "/layer/gate/action.DoAssured"}

// askers do nothing before they have asked the gate themselves, each time. Whoever calls them may still have to.
var askers = []string{source.Module + "/layer/input/file.Files.Keep", source.Module + "/layer/input/file.Files.KeepAll", source.Module + "/layer/input/file.Files.Drop",
	source.Module + "/layer/input/file.Files.Discard", source.Module + "/layer/input/file.Files.Sweep"}

const (
	deepest = 3 // calls between a handler and its gate; whoever reads a handler finds the gate soon, or not at all
)

// A reader reads statements in the order in which they run.
type reader struct {
	pass   *analysis.Pass
	bodies map[types.Object]*ast.FuncDecl
	said   map[ast.Node]bool
	depth  int
	early  ast.Node // what happens too early
	why    string
}

func (r *reader) breach(at ast.Node, why string) reach {
	r.early, r.why = at, why
	return breached
}

func (r *reader) block(list []ast.Stmt) reach {
	for _, s := range list {
		if found := r.stmt(s); found != local {
			return found
		}
	}
	return local
}

func (r *reader) stmt(s ast.Stmt) reach {
	switch s := s.(type) {
	case nil, *ast.EmptyStmt:
		return local
	case *ast.ReturnStmt:
		return r.exprs(s.Results...)
	case *ast.ExprStmt:
		return r.kept(s, r.exprs(s.X), true)
	case *ast.AssignStmt:
		return r.assign(s)
	case *ast.IncDecStmt:
		return r.places(s, s.X)
	case *ast.DeclStmt:
		return r.declare(s)
	case *ast.BlockStmt:
		return r.block(s.List)
	case *ast.LabeledStmt:
		return r.stmt(s.Stmt)
	case *ast.DeferStmt:
		return r.deferred(s)
	case *ast.BranchStmt:
		if s.Tok != token.GOTO {
			return local
		}
	case *ast.IfStmt, *ast.SwitchStmt, *ast.TypeSwitchStmt, *ast.ForStmt, *ast.RangeStmt:
		return r.branching(s)
	}
	return r.breach(s, "what runs here cannot be put in an order: ask the action gate first")
}

// kept refuses a gate whose answer nobody looks at.
func (r *reader) kept(at ast.Node, found reach, dropped bool) reach {
	if found == gated && dropped {
		return r.breach(at, "the refusal of the action gate is dropped: return it")
	}
	return found
}

func (r *reader) assign(s *ast.AssignStmt) reach {
	last, _ := s.Lhs[len(s.Lhs)-1].(*ast.Ident)
	found := r.kept(s, r.exprs(s.Rhs...), last != nil && last.Name == "_" && len(s.Rhs) == 1)
	if found != local {
		return found
	}
	return r.places(s, s.Lhs...)
}

// places looks at what is assigned to: only what ends with the handler may change before the gate.
func (r *reader) places(at ast.Node, places ...ast.Expr) reach {
	for _, place := range places {
		if found := r.exprs(place); found != local {
			return found
		}
		variable := r.root(place)
		if variable == nil || variable.Name() == "_" {
			continue
		}
		if variable.Kind() == types.PackageVar || variable.Kind() == types.RecvVar {
			return r.breach(at, "what outlives the request is changed before the action gate is asked")
		}
	}
	return local
}

func (r *reader) root(e ast.Expr) *types.Var {
	for {
		switch at := ast.Unparen(e).(type) {
		case *ast.Ident:
			variable, _ := r.pass.TypesInfo.ObjectOf(at).(*types.Var)
			return variable
		case *ast.SelectorExpr:
			if _, qualified := r.pass.TypesInfo.Selections[at]; !qualified { // another package's variable
				variable, _ := r.pass.TypesInfo.ObjectOf(at.Sel).(*types.Var)
				return variable
			}
			e = at.X
		case *ast.IndexExpr:
			e = at.X
		case *ast.StarExpr:
			e = at.X
		default:
			return nil
		}
	}
}

func (r *reader) declare(s *ast.DeclStmt) reach {
	decl, ok := s.Decl.(*ast.GenDecl)
	if !ok {
		return local
	}
	for _, spec := range decl.Specs {
		values, ok := spec.(*ast.ValueSpec)
		if !ok {
			continue
		}
		dropped := len(values.Names) > 0 && values.Names[len(values.Names)-1].Name == "_"
		if found := r.kept(s, r.exprs(values.Values...), dropped); found != local {
			return found
		}
	}
	return local
}

// deferred: what is put off runs even if the gate refuses.
func (r *reader) deferred(s *ast.DeferStmt) reach {
	if found := r.call(s.Call); found == local || found == breached {
		return found
	}
	return r.breach(s, "the action gate is asked last: ask it first")
}

// branching: every way through must be as good as the others. Where only some ask the gate, what follows must ask it too.
func (r *reader) branching(s ast.Stmt) reach {
	var first []ast.Stmt
	var asked []ast.Expr
	var ways [][]ast.Stmt
	every := false // one of the ways is always taken
	switch s := s.(type) {
	case *ast.IfStmt:
		first, asked, ways = []ast.Stmt{s.Init}, []ast.Expr{s.Cond}, [][]ast.Stmt{s.Body.List}
		if s.Else != nil {
			ways, every = append(ways, []ast.Stmt{s.Else}), true
		}
	case *ast.SwitchStmt:
		first, asked = []ast.Stmt{s.Init}, []ast.Expr{s.Tag}
		ways, every = clauses(s.Body, &asked)
	case *ast.TypeSwitchStmt:
		first = []ast.Stmt{s.Init, s.Assign}
		ways, every = clauses(s.Body, nil)
	case *ast.ForStmt:
		first, asked, ways = []ast.Stmt{s.Init}, []ast.Expr{s.Cond}, [][]ast.Stmt{s.Body.List, {s.Post}}
	case *ast.RangeStmt:
		asked, ways = []ast.Expr{s.X}, [][]ast.Stmt{s.Body.List}
	}
	if found := r.block(first); found != local {
		return found
	}
	if found := r.exprs(asked...); found != local {
		return found
	}
	for _, way := range ways {
		switch r.block(way) {
		case breached:
			return breached
		case local:
			every = false
		}
	}
	if every {
		return gated
	}
	return local
}

func clauses(body *ast.BlockStmt, asked *[]ast.Expr) (ways [][]ast.Stmt, every bool) {
	for _, s := range body.List {
		clause := s.(*ast.CaseClause)
		if asked != nil {
			*asked = append(*asked, clause.List...)
		}
		ways, every = append(ways, clause.Body), every || clause.List == nil
	}
	return ways, every
}

func (r *reader) exprs(list ...ast.Expr) reach {
	for _, e := range list {
		if found := r.expr(e); found != local {
			return found
		}
	}
	return local
}

func (r *reader) expr(e ast.Expr) reach {
	switch e := e.(type) {
	case *ast.CallExpr:
		return r.call(e)
	case *ast.BinaryExpr:
		found := r.expr(e.X)
		if found != local {
			return found
		}
		if found = r.expr(e.Y); found == gated && (e.Op == token.LAND || e.Op == token.LOR) {
			return local // it may not be asked
		}
		return found
	case *ast.ParenExpr:
		return r.expr(e.X)
	case *ast.SelectorExpr:
		return r.expr(e.X)
	case *ast.IndexExpr:
		return r.exprs(e.X, e.Index)
	case *ast.SliceExpr:
		return r.exprs(e.X, e.Low, e.High, e.Max)
	case *ast.StarExpr:
		return r.expr(e.X)
	case *ast.UnaryExpr:
		return r.expr(e.X)
	case *ast.TypeAssertExpr:
		return r.expr(e.X)
	case *ast.KeyValueExpr:
		return r.exprs(e.Key, e.Value)
	case *ast.CompositeLit:
		return r.exprs(e.Elts...)
	}
	return local // names, constants, types, and functions that are not called
}

func (r *reader) call(c *ast.CallExpr) reach {
	if found := r.exprs(append([]ast.Expr{c.Fun}, c.Args...)...); found != local {
		return found
	}
	if source.Converted(r.pass, c) != nil {
		return local
	}
	if text, ok := ast.Unparen(c.Fun).(*ast.FuncLit); ok {
		return r.block(text.Body.List)
	}
	switch called := source.Callee(r.pass, c).(type) {
	case *types.Builtin:
		if slices.Contains([]string{"append", "cap", "complex", "copy", "imag", "len", "make", "max", "min", "new", "panic", "real"}, called.Name()) {
			return local
		}
	case *types.Var:
		if source.TypeName(called.Type()) == "context.CancelFunc" {
			return local
		}
	case *types.Func:
		switch {
		case slices.Contains(gates, source.Name(called)):
			return gated
		case slices.Contains(askers, source.Name(called)):
			return local
		case touchesNothing(called):
			return r.callbacks(c)
		case r.bodies[called] != nil:
			return r.function(c, called)
		}
	}
	return r.breach(c, "this runs before the action gate is asked: begin with action.Do")
}

// function reads a function of this package.
func (r *reader) function(at ast.Node, fn types.Object) reach {
	body := r.bodies[source.Origin(fn)]
	if body == nil {
		return r.breach(at, "its handler cannot be read here: declare the route where the handler is written")
	}
	if r.depth == deepest {
		return r.breach(at, "the action gate is too far away to be seen: begin with action.Do")
	}
	r.depth++
	defer func() { r.depth-- }()
	return r.block(body.Body.List)
}

// callbacks: functions that are given to one that touches nothing must touch nothing either.
func (r *reader) callbacks(c *ast.CallExpr) reach {
	for _, arg := range c.Args {
		if _, isFunc := r.pass.TypesInfo.TypeOf(arg).Underlying().(*types.Signature); !isFunc {
			continue
		}
		text, ok := ast.Unparen(arg).(*ast.FuncLit)
		if !ok || r.block(text.Body.List) != local {
			return r.breach(c, "this runs before the action gate is asked: begin with action.Do")
		}
	}
	return local
}

// harmless are packages whose functions compute and touch nothing.
var harmless = []string{"bytes", "cmp", "context", "encoding/base64", "encoding/hex", "errors", "html", "maps", "math", "net/mail", "net/netip", "net/url",
	"path", "regexp", "slices", "sort", "strconv", "strings", "unicode", "unicode/utf8", source.Module + "/layer",
	source.Module + "/layer/input/richtext", source.Module + "/layer/input/richtext/render"}

func touchesNothing(fn *types.Func) bool {
	name := source.Name(fn)
	switch path := source.Path(fn.Pkg()); path {
	case "fmt":
		return strings.HasPrefix(fn.Name(), "Sprint") || strings.HasPrefix(fn.Name(), "Append") || fn.Name() == "Errorf"
	case "time":
		return name != "time.Sleep" && name != "time.AfterFunc"
	case source.Module:
		return strings.HasPrefix(name, source.Module+".Cursor") || name == source.Module+".Paged"
	default:
		return slices.Contains(harmless, path)
	}
}
