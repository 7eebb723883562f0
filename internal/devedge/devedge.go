// Package devedge is an edge for one application on this machine, whose policy lets everybody reach it unless it is given another: the
// application has a sign-on of its own. `redoubt up`, the measurements and tests stand behind it, so that nothing of a real edge is left out there: the
// link, the enrolment, the policies and the signatures are those of `redoubt edge`.
package devedge

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"

	"github.com/redoubt-dev/redoubt/layer/perimeter/access"
	"github.com/redoubt-dev/redoubt/layer/perimeter/access/policy"
	"github.com/redoubt-dev/redoubt/layer/perimeter/assertion"
	"github.com/redoubt-dev/redoubt/layer/perimeter/edge"
	"github.com/redoubt-dev/redoubt/layer/perimeter/enrol"
	"github.com/redoubt-dev/redoubt/layer/perimeter/state"
)

// Config says what is served where. All but the last three are required.
type Config struct {
	Folder         string // that keeps the edge's keys; it is made if it is missing
	Application    string
	Origin         string // "https://localhost:8443"
	GetCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	Policy         string       // in Cedar, as package policy reads it; "" lets everybody reach the application
	Access         io.Writer    // receives a line of JSON per request; nil discards them
	Log            *slog.Logger // nil discards what concerns the operator
}

// An Edge serves once.
type Edge struct {
	edge  *edge.Edge
	guard *access.Guard
}

// New opens the folder and puts the parts together.
func New(c Config) (*Edge, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	folder, err := state.Open(c.Folder)
	if err != nil {
		return nil, err
	}
	authority, err := enrol.New(enrol.Config{Folder: folder, Edge: "edge", Log: c.Log})
	if err != nil {
		return nil, err
	}
	signer, err := assertion.NewSigner(assertion.SignerConfig{Key: authority.Signer, Keys: authority.Keys})
	if err != nil {
		return nil, err
	}
	set, err := c.policies()
	if err != nil {
		return nil, err
	}
	guard, err := access.New(access.Config{Applications: []access.Application{{Name: c.Application, Origin: c.Origin}}, Folder: folder, Log: c.Log,
		Policies: func(string) *policy.Set { return set }})
	if err != nil {
		return nil, err
	}
	e, err := edge.New(edge.Config{Applications: []edge.Application{{Name: c.Application, Origin: c.Origin}}, Gate: guard, Signer: signer, Authority: authority,
		GetCertificate: c.GetCertificate, Access: c.Access, Log: c.Log})
	if err != nil {
		return nil, err
	}
	return &Edge{e, guard}, nil
}

// policies is what c says, or one rule, which says why.
func (c Config) policies() (*policy.Set, error) {
	host := strings.TrimSuffix(strings.TrimPrefix(c.Origin, "https://"), ":443")
	file := policy.File{Name: "policy.cedar", Text: c.Policy}
	if c.Policy == "" {
		file = policy.File{Name: "development.cedar", Text: fmt.Sprintf(
			"@id(\"everybody\") @public(\"the application signs its people on by itself\")\npermit (principal, action, resource in Host::%q);\n", host)}
	}
	return policy.Parse(policy.Names{Hosts: []string{host}}, []policy.File{file})
}

// Credential enrols a connector of the application, which dials these addresses. The edge whose folder it is may be running, here or in
// another process.
func Credential(folder, application string, edges ...string) (*enrol.Credential, error) {
	shared, err := state.Open(folder)
	if err != nil {
		return nil, err
	}
	authority, err := enrol.Open(shared, "edge")
	if err != nil {
		return nil, err
	}
	return authority.Provision(application, edges)
}

// Serve serves until ctx ends; plain may be nil.
func (e *Edge) Serve(ctx context.Context, public, plain net.Listener) error {
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	go e.guard.Run(running)
	return e.edge.Serve(ctx, public, plain)
}

// Shutdown finishes the requests under way until ctx ends.
func (e *Edge) Shutdown(ctx context.Context) error { return e.edge.Shutdown(ctx) }
