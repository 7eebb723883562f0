// Package logsecret finds secrets on their way into a log, a terminal or an error (SYSTEM S6, U5, G2): what secret.Value.Reveal gives, the
// credential of a Principal, session tokens and API keys as identity makes them, and the headers and cookies in which callers present
// theirs.
//
// An expression is followed through conversions, formatting and one variable. What is not seen: a secret that goes through a function
// of the program's own, or through a field.
package logsecret

import (
	"go/ast"
	"go/constant"
	"go/types"
	"net/textproto"
	"slices"
	"strings"

	"golang.org/x/tools/go/analysis"

	"github.com/redoubt-dev/redoubt/vet/internal/source"
)

// Analyzer is the analyzer.
var Analyzer = &analysis.Analyzer{
	Name: "logsecret",
	Doc:  "no secret goes into a log, a terminal or an error",
	URL:  "https://pkg.go.dev/" + source.Module + "/vet/logsecret",
	Run:  run,
}

// secrets are functions whose first result is a secret.
var secrets = map[string]string{
	source.Module + "/backbone/secret.Value.Reveal":          "the secret",
	source.Module + "/backbone/secret.Value.Bytes":           "the secret",
	source.Module + "/layer/internal/mint.Credential":        "the caller's credential",
	source.Module + "/layer/identity.Service.InsecureSignIn": "the session's token",
	source.Module + "/layer/identity.Service.AddKey":         "the API key",
	"net/http.Request.BasicAuth":                             "the caller's password",
	"net/http.Request.Cookie":                                "the caller's cookie",
	"net/http.Request.Cookies":                               "the caller's cookies",
	"net/http/httputil.DumpRequest":                          "the caller's headers",
	"net/http/httputil.DumpRequestOut":                       "our own credential",
}

// headers are those in which credentials travel.
var headers = []string{"Authorization", "Cookie", "Proxy-Authorization", "Set-Cookie", "X-Api-Key"}

// whole are types that carry such headers.
var whole = map[string]string{"net/http.Header": "every header", "net/http.Cookie": "the cookie", "net/http.Request": "the request, with its headers,"}

func run(pass *analysis.Pass) (any, error) {
	r := &reader{pass, source.ValuesOf(pass)}
	for n := range source.Nodes(pass) {
		call, ok := n.(*ast.CallExpr)
		if !ok || !writes(source.Callee(pass, call)) {
			continue
		}
		for _, arg := range call.Args {
			if what := r.secret(arg, true); what != "" {
				source.Report(pass, arg, source.Short(source.Callee(pass, call)), "%s would be written down: leave it out, or name it by an identifier (SYSTEM S6)", what)
			}
		}
	}
	return nil, nil
}

// writes reports whether what a function is given ends where people read: a log, a terminal, an error.
func writes(obj types.Object) bool {
	fn, ok := obj.(*types.Func)
	if !ok || fn.Pkg() == nil {
		return false
	}
	switch fn.Pkg().Path() {
	case "log", "log/slog":
		return true
	case "fmt":
		return strings.HasPrefix(fn.Name(), "Print") || fn.Name() == "Errorf"
	case "errors":
		return fn.Name() == "New"
	}
	return false
}

type reader struct {
	pass   *analysis.Pass
	values source.Values
}

// secret says which secret an expression holds; "" for none.
func (r *reader) secret(e ast.Expr, follow bool) (what string) {
	if t := r.pass.TypesInfo.TypeOf(e); t != nil && whole[source.TypeName(t)] != "" {
		return whole[source.TypeName(t)]
	}
	switch e := ast.Unparen(e).(type) {
	case *ast.Ident:
		if follow {
			return r.held(e)
		}
	case *ast.BinaryExpr:
		if what = r.secret(e.X, follow); what == "" && source.IsString(r.pass.TypesInfo.TypeOf(e)) {
			return r.secret(e.Y, follow)
		}
		if !source.IsString(r.pass.TypesInfo.TypeOf(e)) {
			return "" // it is compared, not written
		}
	case *ast.SliceExpr:
		return r.secret(e.X, follow)
	case *ast.IndexExpr:
		if source.TypeName(r.pass.TypesInfo.TypeOf(e.X)) == "net/http.Header" {
			return r.header(e.Index)
		}
		return r.secret(e.X, follow)
	case *ast.CallExpr:
		return r.call(e, follow)
	}
	return what
}

func (r *reader) call(c *ast.CallExpr, follow bool) string {
	callee := source.Callee(r.pass, c)
	name := source.Name(callee)
	switch {
	case secrets[name] != "":
		return secrets[name]
	case name == "net/http.Header.Get" || name == "net/http.Header.Values":
		return r.header(c.Args[0])
	case source.Converted(r.pass, c) != nil || passesOn(name):
		for _, arg := range c.Args {
			if what := r.secret(arg, follow); what != "" {
				return what
			}
		}
	}
	return ""
}

// passesOn reports whether a function's result still holds what it was given.
func passesOn(name string) bool {
	for _, prefix := range []string{"fmt.Sprint", "strings.Join", "strings.Trim", "strings.To", "strings.Replace", "strconv.Quote", "encoding/hex.EncodeToString",
		"encoding/base64.Encoding.EncodeToString"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

func (r *reader) header(name ast.Expr) string {
	v := r.pass.TypesInfo.Types[name].Value
	if v == nil || v.Kind() != constant.String {
		return ""
	}
	if canonical := textproto.CanonicalMIMEHeaderKey(constant.StringVal(v)); slices.Contains(headers, canonical) {
		return "the caller's " + canonical
	}
	return ""
}

// held follows a variable to what was put into it.
func (r *reader) held(id *ast.Ident) string {
	for _, value := range r.values[r.pass.TypesInfo.ObjectOf(id)] {
		if value.Expr == nil || value.How == source.Contains {
			continue
		}
		if what := r.secret(value.Expr, false); what != "" {
			return what
		}
	}
	return ""
}
