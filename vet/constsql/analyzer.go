// Package constsql finds SQL that is not a constant of the program (SYSTEM N4, G2): whatever is put together at run time may be put
// together from what somebody sent, now or in an earlier request.
//
// SQL is what goes to a parameter called sql, of any function, and to one called query of the database packages (pgx, database/sql,
// sqlx, gorm). So a helper that takes SQL calls its parameter sql: within the helper it then counts as constant, and every caller
// is held to the rule instead. Constant are, besides what the compiler calls so: concatenations of constants, a choice among them in
// a variable, a list or a map that holds nothing else, and a file that is embedded as text.
//
// Package rls takes SQL as a type that it does not export, so that only constants fit. There are ways around that which compile: a
// function whose type parameter the compiler infers to be that type can convert any text to it. They all begin with taking rls.One,
// or another such function, as a value or with naming the type by inference, and both are found here.
//
// Also found: PostgreSQL's simple protocol, which takes several statements in one text and mixes values into it.
//
// What is not seen: package reflect and package unsafe; a method that is called through an interface of the program's own whose
// parameter has another name than sql.
package constsql

import (
	"go/ast"
	"go/constant"
	"go/types"
	"slices"
	"strings"

	"golang.org/x/tools/go/analysis"

	"github.com/redoubt-dev/redoubt/vet/internal/source"
)

// Analyzer is the analyzer.
var Analyzer = &analysis.Analyzer{
	Name: "constsql",
	Doc:  "SQL is constant, and values are its parameters",
	URL:  "https://pkg.go.dev/" + source.Module + "/vet/constsql",
	Run:  run,
}

// databases are packages, with those beneath them, in which a parameter called query is SQL too.
var databases = []string{"database/sql", "github.com/jackc/pgx", "github.com/jmoiron/sqlx", "gorm.io/gorm"}

const (
	pgx     = "github.com/jackc/pgx/v5"
	setting = "default_query_exec_mode=simple_protocol" // of a connection string
	advice  = "write it as a constant and what varies as a parameter, $1 (SYSTEM N4)"
	simple  = "the simple protocol mixes values into the text: leave it to pgx to prepare statements (SYSTEM N4)"
)

type checker struct {
	pass   *analysis.Pass
	values source.Values
	asking map[types.Object]bool // variables that are being looked at
	called map[*ast.Ident]bool   // names of functions that are called, and not taken as values
}

func run(pass *analysis.Pass) (any, error) {
	c := &checker{pass, source.ValuesOf(pass), map[types.Object]bool{}, map[*ast.Ident]bool{}}
	for n := range source.Nodes(pass) {
		switch n := n.(type) {
		case *ast.CallExpr:
			c.call(n)
		case *ast.Ident:
			c.name(n)
		case *ast.CompositeLit:
			c.queued(n)
		case *ast.BasicLit:
			if v := pass.TypesInfo.Types[n].Value; v != nil && v.Kind() == constant.String && strings.Contains(constant.StringVal(v), setting) {
				source.Report(pass, n, "simple_protocol", simple)
			}
		}
	}
	return nil, nil
}

func (c *checker) call(call *ast.CallExpr) {
	if to := source.Converted(c.pass, call); to != nil {
		c.converted(call, to)
		return
	}
	if name := source.Function(call.Fun); name != nil {
		c.called[name] = true
	}
	signature, ok := c.pass.TypesInfo.TypeOf(call.Fun).Underlying().(*types.Signature)
	if !ok {
		return
	}
	callee := source.Callee(c.pass, call)
	for i, arg := range call.Args {
		if i < signature.Params().Len() && takesSQL(signature.Params().At(i), callee) && !c.constant(arg) {
			source.Report(c.pass, arg, source.Short(callee), "SQL that is not constant: %s", advice)
		}
	}
}

// converted: within the package of an unexported type that stands for constants, only constants become one.
func (c *checker) converted(call *ast.CallExpr, to types.Type) {
	if named := guarded(to); named != nil && named.Obj().Pkg() == c.pass.Pkg && c.isSQL(named) && !c.constant(call.Args[0]) {
		source.Report(c.pass, call, named.Obj().Name(), "only a constant becomes one of these: %s", advice)
	}
}

// isSQL reports whether a parameter called sql, of a function of this package, has the type.
func (c *checker) isSQL(named *types.Named) bool {
	for _, obj := range c.pass.TypesInfo.Defs {
		if v, ok := obj.(*types.Var); ok && v.Kind() == types.ParamVar && v.Name() == "sql" && types.Identical(v.Type(), named) {
			return true
		}
	}
	return false
}

// guarded is t if it is a type of text that its package does not export; nil otherwise.
func guarded(t types.Type) *types.Named {
	named, ok := types.Unalias(t).(*types.Named)
	if !ok || named.Obj().Exported() || named.Obj().Pkg() == nil || !source.IsString(named) {
		return nil
	}
	return named
}

func takesSQL(param *types.Var, callee types.Object) bool {
	if !source.IsString(param.Type()) {
		return false
	}
	return param.Name() == "sql" || param.Name() == "query" && callee != nil && ofDatabase(callee)
}

func ofDatabase(obj types.Object) bool {
	return obj.Pkg() != nil && slices.ContainsFunc(databases, func(of string) bool {
		path := source.Path(obj.Pkg())
		return path == of || strings.HasPrefix(path, of+"/")
	})
}

// name looks at a name that is used: a function that takes SQL, as a value, takes it from anybody; an instance for another package's
// unexported type can make values of that type.
func (c *checker) name(id *ast.Ident) {
	obj := c.pass.TypesInfo.Uses[id]
	if obj == nil {
		return
	}
	if source.Name(obj) == pgx+".QueryExecModeSimpleProtocol" {
		source.Report(c.pass, id, id.Name, simple)
	}
	for t := range c.pass.TypesInfo.Instances[id].TypeArgs.Types() {
		if named := guarded(t); named != nil && named.Obj().Pkg() != c.pass.Pkg {
			source.Report(c.pass, id, id.Name, "it is made for %s.%s, which is not this package's to make: %s", named.Obj().Pkg().Name(), named.Obj().Name(), advice)
		}
	}
	if fn, ok := obj.(*types.Func); ok && !c.called[id] && fn.Pkg() != nil && sqlParam(fn) {
		source.Report(c.pass, id, source.Short(fn), "as a value it takes SQL from anybody: call it where the SQL is written (SYSTEM N4)")
	}
}

func sqlParam(fn *types.Func) bool {
	for param := range fn.Signature().Params().Variables() {
		if takesSQL(param, fn) {
			return true
		}
	}
	return false
}

// queued looks at a statement that is put into a batch without Queue.
func (c *checker) queued(literal *ast.CompositeLit) {
	if source.TypeName(c.pass.TypesInfo.TypeOf(literal)) != pgx+".QueuedQuery" {
		return
	}
	for _, e := range literal.Elts {
		if field, ok := e.(*ast.KeyValueExpr); ok {
			if key, ok := field.Key.(*ast.Ident); ok && key.Name == "SQL" && !c.constant(field.Value) {
				source.Report(c.pass, field.Value, "QueuedQuery", "SQL that is not constant: %s", advice)
			}
		}
	}
}
