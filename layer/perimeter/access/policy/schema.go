package policy

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
	"github.com/cedar-policy/cedar-go/x/exp/schema"
	"github.com/cedar-policy/cedar-go/x/exp/schema/validate"
)

// The types of entities.
const (
	typeHost    cedar.EntityType = "Host"
	typePath    cedar.EntityType = "Path"
	typeGroup   cedar.EntityType = "Group"
	typePerson  cedar.EntityType = "Person"
	typeService cedar.EntityType = "Service"
	typeNobody  cedar.EntityType = "Nobody"
	typeAction  cedar.EntityType = "Action"
)

// nobody is the only one of its type.
var nobody = cedar.NewEntityUID(typeNobody, "nobody")

// Schema is what policies are checked against, in Cedar's own notation, for editors and for people.
const Schema = `entity Host;
entity Path in [Path, Host];
entity Group;
entity Person in [Group] = {
  by: String,
  provider: String,
  subject: String,
  email: String,
  domain: String,
};
entity Service;
entity Nobody enum ["nobody"];

action read, write;
action GET, HEAD, OPTIONS in [read] appliesTo {
  principal: [Person, Service, Nobody],
  resource: [Path],
  context: { network: ipaddr },
};
action POST, PUT, PATCH, DELETE, other in [write] appliesTo {
  principal: [Person, Service, Nobody],
  resource: [Path],
  context: { network: ipaddr },
};
`

// A checker validates rules. This file alone knows the validator, whose package is marked experimental: pinned by go.mod, and
// held to what we need of it by TestTheSchemaRefuses.
type checker struct{ v *validate.Validator }

var newChecker = sync.OnceValues(func() (checker, error) {
	var s schema.Schema
	s.SetFilename("schema")
	if err := s.UnmarshalCedar([]byte(Schema)); err != nil {
		return checker{}, fmt.Errorf("reading the schema of policies: %w", err)
	}
	resolved, err := s.Resolve()
	if err != nil {
		return checker{}, fmt.Errorf("resolving the schema of policies: %w", err)
	}
	return checker{validate.New(resolved, validate.WithStrict())}, nil
})

// check says everything that is wrong with a rule by the schema. A validator that panics has not found the rule good.
func (c checker) check(p *ast.Policy) (faults []string) {
	defer func() {
		if recover() != nil {
			faults = append(faults, "the rule cannot be checked against the schema")
		}
	}()
	return flatten(c.v.Policy("", p))
}

func flatten(err error) (faults []string) {
	if err == nil {
		return nil
	}
	var many interface{ Unwrap() []error }
	if errors.As(err, &many) {
		for _, e := range many.Unwrap() {
			faults = append(faults, flatten(e)...)
		}
		return faults
	}
	return []string{strings.TrimSpace(err.Error())}
}
