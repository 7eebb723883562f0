// Package insecureconfig finds settings that switch a check off (SYSTEM T3, P3, G2): TLS without verification or older than 1.2, or with
// its keys written to a log; OpenID Connect that skips a claim; a token endpoint whose manner is guessed; cookies that a script or an
// eavesdropper can read. Any field or function of another module whose name begins with Insecure counts too.
//
// What is not seen: a setting that is made by reflection, or in a configuration file.
package insecureconfig

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
	Name: "insecureconfig",
	Doc:  "no setting switches a check off",
	URL:  "https://pkg.go.dev/" + source.Module + "/vet/insecureconfig",
	Run:  run,
}

const (
	tlsConfig = "crypto/tls.Config"
	cookie    = "net/http.Cookie"
	oidc      = "github.com/coreos/go-oidc/v3/oidc"
	oauth2    = "golang.org/x/oauth2"
	tls12     = 0x0303 // RFC 5246, appendix A.1; what is older was withdrawn by RFC 8996
)

func run(pass *analysis.Pass) (any, error) {
	sent := map[*ast.CompositeLit]bool{} // cookies that a client sends, which have a name and a value alone
	for n := range source.Nodes(pass) {
		switch n := n.(type) {
		case *ast.CallExpr:
			if source.Called(pass, n) == "net/http.Request.AddCookie" {
				sent[literal(n.Args[0])] = true
			}
		case *ast.CompositeLit:
			fields(pass, n)
			missing(pass, n, sent[n])
		case *ast.AssignStmt:
			for i, to := range n.Lhs {
				if selector, ok := ast.Unparen(to).(*ast.SelectorExpr); ok && len(n.Lhs) == len(n.Rhs) {
					set(pass, to, source.TypeName(pass.TypesInfo.TypeOf(selector.X)), selector.Sel, n.Rhs[i])
				}
			}
		case *ast.Ident:
			named(pass, n)
		}
	}
	return nil, nil
}

func literal(e ast.Expr) *ast.CompositeLit {
	if address, ok := ast.Unparen(e).(*ast.UnaryExpr); ok {
		e = address.X
	}
	l, _ := ast.Unparen(e).(*ast.CompositeLit)
	return l
}

func fields(pass *analysis.Pass, l *ast.CompositeLit) {
	of := source.TypeName(pass.TypesInfo.TypeOf(l))
	for _, e := range l.Elts {
		if pair, ok := e.(*ast.KeyValueExpr); ok {
			if field, ok := pair.Key.(*ast.Ident); ok {
				set(pass, pair, of, field, pair.Value)
			}
		}
	}
}

// set looks at one field that is given a value.
func set(pass *analysis.Pass, at ast.Node, of string, field *ast.Ident, value ast.Expr) {
	known := pass.TypesInfo.Types[value].Value
	obj, isField := pass.TypesInfo.Uses[field].(*types.Var)
	if !isField || !obj.IsField() || obj.Pkg() == nil || obj.Pkg() == pass.Pkg {
		return
	}
	off := known != nil && known.Kind() == constant.Bool && !constant.BoolVal(known)
	name := field.Name
	switch {
	case of == tlsConfig && (name == "MinVersion" || name == "MaxVersion"):
		if version, exact := constant.Uint64Val(constant.ToInt(orZero(known))); known == nil || exact && version > 0 && version < tls12 {
			source.Report(pass, at, name, "TLS older than 1.2 is broken (RFC 8996): say tls.VersionTLS13, as a constant")
		}
	case of == tlsConfig && name == "KeyLogWriter" && !pass.TypesInfo.Types[value].IsNil():
		source.Report(pass, at, name, "whoever reads these keys reads every connection")
	case of == cookie && (name == "Secure" || name == "HttpOnly") && off:
		source.Report(pass, at, name, "the cookie can be read by others: leave it true (SYSTEM T3)")
	case foreign(obj.Pkg()) && strings.HasPrefix(name, "Insecure") && isBool(obj) && !off,
		strings.HasPrefix(of, oidc+".") && strings.HasPrefix(name, "Skip") && isBool(obj) && !off:
		source.Report(pass, at, name, "it switches a check off; leave it out, or write down who checks instead")
	}
}

func orZero(v constant.Value) constant.Value {
	if v == nil {
		return constant.MakeInt64(0)
	}
	return v
}

func isBool(obj types.Object) bool {
	basic, ok := obj.Type().Underlying().(*types.Basic)
	return ok && basic.Info()&types.IsBoolean != 0
}

// foreign leaves Redoubt's own names to analyzer unscoped.
func foreign(pkg *types.Package) bool {
	at := source.Path(pkg)
	return at != source.Module && !strings.HasPrefix(at, source.Module+"/")
}

// missing looks for the fields that a literal leaves out, where zero is the dangerous value.
func missing(pass *analysis.Pass, l *ast.CompositeLit, sent bool) {
	has := func(name string) bool {
		return slices.ContainsFunc(l.Elts, func(e ast.Expr) bool {
			pair, ok := e.(*ast.KeyValueExpr)
			if !ok {
				return true // without keys, every field is there
			}
			key, ok := pair.Key.(*ast.Ident)
			return ok && key.Name == name
		})
	}
	switch of := source.TypeName(pass.TypesInfo.TypeOf(l)); {
	case of == cookie && len(l.Elts) > 0 && !sent:
		for _, name := range []string{"Secure", "HttpOnly"} {
			if !has(name) {
				source.Report(pass, l, name, "a cookie without it can be read by others: set it true (SYSTEM T3)")
			}
		}
	case of == oauth2+".Endpoint" && has("TokenURL") && !has("AuthStyle"):
		source.Report(pass, l, "AuthStyle", "without it the client's secret is tried in one way after the other: say AuthStyleInHeader")
	}
}

// named looks at functions and values whose name alone says it.
func named(pass *analysis.Pass, id *ast.Ident) {
	obj := pass.TypesInfo.Uses[id]
	switch name := source.Name(obj); {
	case name == oauth2+".AuthStyleAutoDetect":
		source.Report(pass, id, id.Name, "the client's secret is tried in one way after the other: say AuthStyleInHeader")
	case name == "net/http.SameSiteNoneMode":
		source.Report(pass, id, id.Name, "every site may make the browser send this cookie (SYSTEM T3)")
	case name != "" && obj.Pkg() != pass.Pkg && foreign(obj.Pkg()) && strings.HasPrefix(id.Name, "Insecure"):
		if _, isFunc := obj.(*types.Func); isFunc {
			source.Report(pass, id, id.Name, "it switches a check off; leave it out, or write down who checks instead")
		}
	}
}
