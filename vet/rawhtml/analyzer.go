// Package rawhtml finds text that becomes HTML without being escaped (SYSTEM N3, G2): conversions of anything but constants to the types
// that html/template believes (HTML, JS, CSS, URL …), fields of those types that a decoder or a database row fills, and text/template
// writing to a browser, which escapes nothing.
//
// What is not seen: bytes that a handler writes to a response by itself. An application on Redoubt never holds one.
package rawhtml

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
	Name: "rawhtml",
	Doc:  "only constants are HTML without being escaped",
	URL:  "https://pkg.go.dev/" + source.Module + "/vet/rawhtml",
	Run:  run,
}

var believed = []string{"HTML", "HTMLAttr", "JS", "JSStr", "CSS", "URL", "Srcset"}

func run(pass *analysis.Pass) (any, error) {
	for n := range source.Nodes(pass) {
		switch n := n.(type) {
		case *ast.CallExpr:
			call(pass, n)
		case *ast.Field:
			if name := believedType(pass.TypesInfo.TypeOf(n.Type)); name != "" && filled(n.Tag) {
				source.Report(pass, n, "template."+name, "whoever fills this field writes HTML: take a string and let the template escape it")
			}
		case *ast.Ident:
			for t := range pass.TypesInfo.Instances[n].TypeArgs.Types() {
				if name := believedType(t); name != "" {
					source.Report(pass, n, "template."+name, "what comes out of %s is believed to be HTML: take a string and let the template escape it", n.Name)
				}
			}
		}
	}
	return nil, nil
}

func call(pass *analysis.Pass, c *ast.CallExpr) {
	if name := believedType(source.Converted(pass, c)); name != "" && !source.IsConstant(pass, c.Args[0]) && believedType(pass.TypesInfo.TypeOf(c.Args[0])) != name {
		source.Report(pass, c, "template."+name, "what is converted is not constant and will not be escaped: give the template a string (SYSTEM N3)")
	}
	switch source.Called(pass, c) {
	case "text/template.Template.Execute", "text/template.Template.ExecuteTemplate":
		if len(c.Args) > 0 && isResponse(pass.TypesInfo.TypeOf(c.Args[0])) {
			source.Report(pass, c, "text/template", "it escapes nothing: use html/template")
		}
	}
}

// believedType is the name of a type that html/template does not escape; "" for all others.
func believedType(t types.Type) string {
	if t == nil {
		return ""
	}
	if name, ok := strings.CutPrefix(source.TypeName(t), "html/template."); ok && slices.Contains(believed, name) {
		return name
	}
	return ""
}

// filled reports whether a field's tag invites decoders or rows.
func filled(tag *ast.BasicLit) bool {
	return tag != nil && slices.ContainsFunc([]string{`json:"`, `db:"`, `query:"`, `path:"`, `form:"`, `header:"`}, func(key string) bool { return strings.Contains(tag.Value, key) })
}

func isResponse(t types.Type) bool {
	if source.TypeName(t) == "net/http.ResponseWriter" {
		return true
	}
	header, _, _ := types.LookupFieldOrMethod(t, true, nil, "WriteHeader")
	return header != nil
}
