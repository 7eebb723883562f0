package cloudflare

import (
	"slices"
	"strings"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
)

// kind is "principal is Person".
func (t *translator) kind(variable string, of cedar.EntityType, not bool) formula {
	switch variable {
	case "principal":
		return constant((string(of) == t.class.kind) != not)
	case "resource":
		return constant((of == "Path") != not)
	case "action":
		return constant((of == "Action") != not)
	}
	return t.unknown("Access has no such condition")
}

// within is "in", of one entity or of a set.
func (t *translator) within(variable string, n ast.IsNode, not bool) formula {
	var members []ast.IsNode
	switch v := n.(type) {
	case ast.NodeValue:
		members = []ast.IsNode{v}
	case ast.NodeTypeSet:
		members = v.Elements
	}
	out := constant(not)
	for _, m := range members {
		e, ok := entity(m)
		if !ok {
			return t.unknown("Access has no such condition")
		}
		out = t.either(out, t.lies(variable, e, not), not)
	}
	if members == nil {
		return t.unknown("Access has no such condition")
	}
	return out
}

// either joins the parts of a choice, or of what holds where the choice does not.
func (t *translator) either(a, b formula, not bool) formula {
	if not {
		return t.and(a, b)
	}
	return t.or(a, b)
}

func entity(n ast.IsNode) (cedar.EntityUID, bool) {
	v, ok := n.(ast.NodeValue)
	if !ok {
		return cedar.EntityUID{}, false
	}
	e, ok := v.Value.(cedar.EntityUID)
	return e, ok
}

func (t *translator) lies(variable string, e cedar.EntityUID, not bool) formula {
	switch variable {
	case "principal":
		if e.Type != "Group" {
			return t.who(e, not)
		}
		return t.member(e, not)
	case "resource":
		return t.truth(t.region.in(e), not, paths)
	case "action":
		return t.unknown(methods)
	}
	return t.unknown("Access has no such condition")
}

// equal is "==": of an attribute with a text, of a variable with a name, of the address.
func (t *translator) equal(a, b ast.IsNode, not bool) formula {
	if _, literal := a.(ast.NodeValue); literal {
		a, b = b, a
	}
	if call, ok := b.(ast.NodeTypeExtensionCall); ok && attribute(a) == "context.network" {
		return t.address(call, not)
	}
	if e, ok := entity(b); ok {
		return t.named(variable(a), e, not)
	}
	v, ok := b.(ast.NodeValue)
	text, isText := v.Value.(types.String)
	if !ok || !isText {
		return t.unknown("Access has no such condition")
	}
	return t.compared(attribute(a), string(text), not)
}

func (t *translator) named(variable string, e cedar.EntityUID, not bool) formula {
	switch variable {
	case "principal":
		return t.who(e, not)
	case "resource":
		return t.truth(t.region.is(e), not, paths)
	case "action":
		return t.unknown(methods)
	}
	return t.unknown("Access has no such condition")
}

// attribute is "principal.email" and the like.
func attribute(n ast.IsNode) string {
	if a, ok := n.(ast.NodeTypeAccess); ok {
		return variable(a.Arg) + "." + string(a.Value)
	}
	return ""
}

// compared is an attribute of a person's, compared with a text.
func (t *translator) compared(attribute, text string, not bool) formula {
	if t.class.kind != "Person" {
		return constant(t.loosely) // Cedar has not come here, since "is Person &&" stands before it
	}
	switch attribute {
	case "principal.email":
		return t.atom(selector{kind: "email", value: text}, not)
	case "principal.domain":
		return t.atom(selector{kind: "email_domain", value: text}, not)
	case "principal.by":
		return t.by(text, not)
	case "principal.provider":
		if !t.exporter.provides(text) {
			return t.unknown("the export knows no provider " + text)
		}
		return t.atom(selector{kind: "login", value: text}, not)
	}
	return t.unknown("Access does not compare " + strings.TrimPrefix(attribute, "principal."))
}

// by is the way in. Without mail there is one way.
func (t *translator) by(way string, not bool) formula {
	byMail := (way == "mail") != not
	if !t.exporter.config.Mail {
		return constant(!byMail)
	}
	return t.atom(selector{kind: "login", value: mail}, !byMail)
}

// mail is the login method by a code sent to an address.
const mail = ""

// oneOf is "[…].contains(…)".
func (t *translator) oneOf(v ast.NodeTypeContains, not bool) formula {
	set, ok := v.Left.(ast.NodeTypeSet)
	if !ok {
		return t.unknown("Access has no such condition")
	}
	out := constant(not)
	for _, e := range set.Elements {
		out = t.either(out, t.equal(v.Right, e, not), not)
	}
	return out
}

// like is "*@acme.test" alone: whatever else could be written matches in another way at Access.
func (t *translator) like(v ast.NodeTypeLike, not bool) formula {
	pattern := strings.Trim(string(v.Value.MarshalCedar()), `"`)
	domain, ok := strings.CutPrefix(pattern, "*@")
	if attribute(v.Arg) != "principal.email" || !ok || strings.Contains(domain, "*") {
		return t.unknown("Access has no patterns")
	}
	return t.compared("principal.domain", domain, not)
}

// network is context.network.isInRange(ip("…")).
func (t *translator) network(v ast.NodeTypeExtensionCall, not bool) formula {
	if v.Name != "isInRange" || len(v.Args) != 2 || attribute(v.Args[0]) != "context.network" {
		return t.unknown("Access has no such condition on addresses")
	}
	call, ok := v.Args[1].(ast.NodeTypeExtensionCall)
	if !ok {
		return t.unknown("Access has no such condition on addresses")
	}
	return t.address(call, not)
}

// address compares the client's with ip("…").
func (t *translator) address(call ast.NodeTypeExtensionCall, not bool) formula {
	if call.Name == "ip" && len(call.Args) == 1 {
		if v, ok := call.Args[0].(ast.NodeValue); ok {
			if text, ok := v.Value.(types.String); ok {
				if ip, err := types.ParseIPAddr(string(text)); err == nil {
					return t.atom(selector{kind: "ip", value: ip.Prefix().String()}, not)
				}
			}
		}
	}
	return t.unknown("Access has no such condition on addresses")
}

// provides reports whether the export knows a provider.
func (x *exporter) provides(name string) bool {
	return slices.ContainsFunc(x.config.Providers, func(p Provider) bool { return p.Name == name })
}
