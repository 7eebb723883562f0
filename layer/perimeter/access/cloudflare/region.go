package cloudflare

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
)

// A region is the paths about which all rules say the same: one path alone, or what lies beneath it and beneath no longer path that
// a rule names. Access has an application for each.
type region struct {
	host    string
	path    string // "/admin"; empty for the whole host
	beneath bool
}

func (r region) String() string {
	if r.beneath && r.path != "" {
		return r.host + r.path + "/*"
	}
	return r.host + r.path
}

// expressible paths are those whose spelling Access and we cannot understand differently.
var expressible = regexp.MustCompile(`^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+$`)

// paths are those of a host that rules name and Access can name too, shorter ones first.
func (x *exporter) paths(host string) (all []string) {
	for _, rule := range x.rules {
		for _, e := range entities(rule.AST) {
			h, rest, ok := strings.Cut(string(e.ID), "/")
			if e.Type == "Path" && ok && h == host && expressible.MatchString("/"+rest) {
				all = append(all, "/"+rest)
			}
		}
	}
	slices.SortFunc(all, func(a, b string) int {
		if d := strings.Count(a, "/") - strings.Count(b, "/"); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	return slices.Compact(all)
}

// entities are all that a rule names.
func entities(p *ast.Policy) (all []cedar.EntityUID) {
	for _, scope := range []ast.IsScopeNode{p.Principal, p.Resource} {
		switch s := scope.(type) {
		case ast.ScopeTypeEq:
			all = append(all, s.Entity)
		case ast.ScopeTypeIn:
			all = append(all, s.Entity)
		case ast.ScopeTypeIsIn:
			all = append(all, s.Entity)
		}
	}
	for _, c := range p.Conditions {
		ast.Inspect(ast.NewNode(c.Body), func(n ast.IsNode) bool {
			if v, ok := n.(ast.NodeValue); ok {
				if e, ok := v.Value.(cedar.EntityUID); ok {
					all = append(all, e)
				}
			}
			return true
		})
	}
	return all
}

// A truth is yes, no, or that it depends on what Access cannot see.
type truth int

const (
	no truth = iota
	yes
	depends
)

func truly(b bool) truth {
	if b {
		return yes
	}
	return no
}

// is says whether every path of the region is e.
func (r region) is(e cedar.EntityUID) truth {
	host, path, ok := strings.Cut(string(e.ID), "/")
	path = "/" + path
	switch {
	case e.Type != "Path" || !ok || host != r.host:
		return no
	case !r.beneath:
		return truly(path == r.path)
	case path == "/" && r.path == "":
		return depends // the home page has no application of its own
	case path == "/":
		return no
	case expressible.MatchString(path):
		return no // it has a region of its own
	case strings.HasPrefix(path, r.path+"/"):
		return depends
	}
	return no
}

// in says whether every path of the region lies in e.
func (r region) in(e cedar.EntityUID) truth {
	host, path, ok := strings.Cut(string(e.ID), "/")
	switch {
	case host != r.host:
		return no
	case e.Type == "Host" || ok && path == "":
		return yes
	case e.Type != "Path":
		return no
	}
	path = "/" + path
	switch {
	case r.path == path || strings.HasPrefix(r.path, path+"/"):
		return yes
	case r.beneath && !expressible.MatchString(path) && strings.HasPrefix(path, r.path+"/"):
		return depends
	}
	return no
}

// nameable reports whether Access can name a host: it knows no ports, and no addresses.
func nameable(host string) bool {
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err != nil && !strings.Contains(host, ":") && strings.Contains(host, ".")
}
