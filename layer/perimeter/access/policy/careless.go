package policy

import (
	"errors"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
)

// carelessCopy is a rule about the same paths as a careless application reads them. What is compared by "in" keeps a last name's
// extension, because a careless reading of a request lies in both; what is compared otherwise loses it. Uneven reports whether
// anything is different. A construct that we do not know is an error: a rule that is judged in one reading alone is no rule.
func carelessCopy(p *ast.Policy) (copied *ast.Policy, uneven bool, err error) {
	c := copier{}
	q := *p
	q.Conditions = nil
	switch s := p.Resource.(type) {
	case ast.ScopeTypeEq:
		q.Resource = ast.ScopeTypeEq{Entity: c.entity(s.Entity, false)}
	case ast.ScopeTypeIn:
		q.Resource = ast.ScopeTypeIn{Entity: c.entity(s.Entity, true)}
	case ast.ScopeTypeIsIn:
		q.Resource = ast.ScopeTypeIsIn{Type: s.Type, Entity: c.entity(s.Entity, true)}
	}
	for _, condition := range p.Conditions {
		q.Conditions = append(q.Conditions, ast.ConditionType{Condition: condition.Condition, Body: c.node(condition.Body, false)})
	}
	return &q, c.uneven, c.err
}

var errStrange = errors.New("the rule computes with something that is not judged here: a condition is of ==, !=, in, is, has, like, " +
	"contains, containsAny, containsAll, isEmpty, isInRange, &&, ||, ! and if")

// A copier copies expressions; beneath is for what stands at the right of "in".
type copier struct {
	uneven bool
	err    error
}

func (c *copier) entity(e cedar.EntityUID, beneath bool) cedar.EntityUID {
	if e.Type != typePath {
		return e
	}
	p, ok := literalPlace(string(e.ID))
	if !ok {
		return e // inspect has reported it
	}
	id := careless(p.id, p.host)
	if !beneath {
		id = cutExtension(id, p.host)
	}
	c.uneven = c.uneven || id != p.id
	return cedar.NewEntityUID(typePath, cedar.String(id))
}

func (c *copier) both(b ast.BinaryNode, beneath bool) ast.BinaryNode {
	return ast.BinaryNode{Left: c.node(b.Left, beneath), Right: c.node(b.Right, beneath)}
}

func (c *copier) one(u ast.UnaryNode, beneath bool) ast.UnaryNode {
	return ast.UnaryNode{Arg: c.node(u.Arg, beneath)}
}

func (c *copier) all(nodes []ast.IsNode, beneath bool) []ast.IsNode {
	out := make([]ast.IsNode, len(nodes))
	for i, n := range nodes {
		out[i] = c.node(n, beneath)
	}
	return out
}

func (c *copier) node(n ast.IsNode, beneath bool) ast.IsNode {
	switch v := n.(type) {
	case ast.NodeValue:
		if e, ok := v.Value.(cedar.EntityUID); ok {
			return ast.NodeValue{Value: c.entity(e, beneath)}
		}
		return v
	case ast.NodeTypeVariable:
		return v
	case ast.NodeTypeIn:
		return ast.NodeTypeIn{BinaryNode: ast.BinaryNode{Left: c.node(v.Left, false), Right: c.node(v.Right, true)}}
	case ast.NodeTypeIsIn:
		return ast.NodeTypeIsIn{NodeTypeIs: ast.NodeTypeIs{Left: c.node(v.Left, false), EntityType: v.EntityType}, Entity: c.node(v.Entity, true)}
	case ast.NodeTypeIs:
		return ast.NodeTypeIs{Left: c.node(v.Left, false), EntityType: v.EntityType}
	case ast.NodeTypeSet:
		return ast.NodeTypeSet{Elements: c.all(v.Elements, beneath)}
	case ast.NodeTypeIfThenElse:
		return ast.NodeTypeIfThenElse{If: c.node(v.If, false), Then: c.node(v.Then, beneath), Else: c.node(v.Else, beneath)}
	case ast.NodeTypeExtensionCall:
		return ast.NodeTypeExtensionCall{Name: v.Name, Args: c.all(v.Args, false)}
	case ast.NodeTypeLike:
		return ast.NodeTypeLike{Arg: c.node(v.Arg, false), Value: v.Value}
	case ast.NodeTypeHas:
		return ast.NodeTypeHas{StrOpNode: ast.StrOpNode{Arg: c.node(v.Arg, false), Value: v.Value}}
	case ast.NodeTypeAccess:
		return ast.NodeTypeAccess{StrOpNode: ast.StrOpNode{Arg: c.node(v.Arg, beneath), Value: v.Value}}
	}
	return c.operator(n)
}

// operator copies what joins or compares values.
func (c *copier) operator(n ast.IsNode) ast.IsNode {
	switch v := n.(type) {
	case ast.NodeTypeAnd:
		return ast.NodeTypeAnd{BinaryNode: c.both(v.BinaryNode, false)}
	case ast.NodeTypeOr:
		return ast.NodeTypeOr{BinaryNode: c.both(v.BinaryNode, false)}
	case ast.NodeTypeNot:
		return ast.NodeTypeNot{UnaryNode: c.one(v.UnaryNode, false)}
	case ast.NodeTypeEquals:
		return ast.NodeTypeEquals{BinaryNode: c.both(v.BinaryNode, false)}
	case ast.NodeTypeNotEquals:
		return ast.NodeTypeNotEquals{BinaryNode: c.both(v.BinaryNode, false)}
	case ast.NodeTypeContains:
		return ast.NodeTypeContains{BinaryNode: c.both(v.BinaryNode, false)}
	case ast.NodeTypeContainsAll:
		return ast.NodeTypeContainsAll{BinaryNode: c.both(v.BinaryNode, false)}
	case ast.NodeTypeContainsAny:
		return ast.NodeTypeContainsAny{BinaryNode: c.both(v.BinaryNode, false)}
	case ast.NodeTypeIsEmpty:
		return ast.NodeTypeIsEmpty{UnaryNode: c.one(v.UnaryNode, false)}
	}
	c.err = errStrange
	return n
}
