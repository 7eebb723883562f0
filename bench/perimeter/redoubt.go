package perimeter

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/perimeter"
	"github.com/redoubt-dev/redoubt/layer/perimeter/access"
	"github.com/redoubt-dev/redoubt/layer/perimeter/access/policy"
	"github.com/redoubt-dev/redoubt/layer/perimeter/assertion"
	"github.com/redoubt-dev/redoubt/layer/perimeter/edge"
	"github.com/redoubt-dev/redoubt/layer/perimeter/enrol"
	"github.com/redoubt-dev/redoubt/layer/perimeter/origin"
	"github.com/redoubt-dev/redoubt/layer/perimeter/state"
)

// name is the application's in the deployment.
const name = "app"

// policies let the load generator in, by a rule among others: as many as a small deployment has.
const policies = `
@id("staff")
permit(principal in Group::"acme/staff", action, resource in Host::"app.example");
@id("measuring")
permit(principal == Service::"bench", action, resource in Host::"app.example");
@id("reports")
permit(principal in Group::"acme/finance", action in Action::"read", resource in Path::"app.example/reports");
@public("the way in")
permit(principal, action == Action::"GET", resource == Path::"app.example/");
@id("inside-only")
forbid(principal, action, resource in Path::"app.example/admin")
unless { context.network.isInRange(ip("10.0.0.0/8")) };
`

// redoubt is what a task says to Redoubt's own servers.
type redoubt struct {
	Folder     string          `json:"folder"`     // that edges share
	Edge       string          `json:"edge"`       // the edge's name among them
	Service    []byte          `json:"service"`    // digest of the load generator's token
	Signed     bool            `json:"signed"`     // the edge signs each request, for an application that verifies by itself
	Credential json.RawMessage `json:"credential"` // the connector's
}

// credential is what lets the load generator in: a program's token.
type credential struct {
	field, value string
	digest       []byte
}

func newCredential() (c credential, err error) {
	token, s, err := access.NewService("bench")
	if err != nil {
		return c, fmt.Errorf("making a service's token: %w", err)
	}
	return credential{access.ServiceHeader, token, s.Hash[:]}, nil
}

// provision enrols a connector with the edges of a folder, at addresses that may be another's on the way.
func provision(folder string, edges ...string) (json.RawMessage, error) {
	shared, err := state.Open(folder)
	if err != nil {
		return nil, err
	}
	authority, err := enrol.Open(shared, "bench")
	if err != nil {
		return nil, err
	}
	c, err := authority.Provision(name, edges)
	if err != nil {
		return nil, err
	}
	return json.Marshal(c)
}

// linked puts an edge, a link and an application together.
func (h *hop) linked(ctx context.Context) (err error) {
	folder := filepath.Join(h.run.dir, fmt.Sprintf("deployment-%d", h.run.started))
	if h.c.edge, err = h.launch(ctx, task{Server: edgeServer, redoubt: redoubt{Folder: folder, Edge: "edge", Signed: h.c.name == signed}}); err != nil {
		return err
	}
	h.c.address = h.c.edge.address
	to, err := h.via(ctx, h.c.edge.address)
	if err != nil {
		return err
	}
	r := redoubt{}
	if r.Credential, err = provision(folder, to); err != nil {
		return err
	}
	if h.c.name == inside {
		h.c.app, err = h.launch(ctx, task{Server: appServer, redoubt: r})
		return err
	}
	if h.c.app, err = h.launch(ctx, task{Server: originServer}); err != nil {
		return err
	}
	r.Signed = h.c.name == signed
	h.c.connector, err = h.launch(ctx, task{Server: joinServer, To: h.c.app.address, redoubt: r})
	return err
}

// edge runs an edge as `redoubt edge` does, with its policies, its gate and a line of log for each request, which is written to
// nowhere: a disk is not what is measured.
func (t task) edge(ctx context.Context) (ready, func(), error) {
	shared, err := state.Open(t.Folder)
	if err != nil {
		return ready{}, nil, err
	}
	authority, err := enrol.Open(shared, t.Edge)
	if err != nil {
		return ready{}, nil, err
	}
	gate, err := t.gate(shared)
	if err != nil {
		return ready{}, nil, err
	}
	signer, err := assertion.NewSigner(assertion.SignerConfig{Key: authority.Signer, Keys: authority.Keys})
	if err != nil {
		return ready{}, nil, err
	}
	certificate, err := t.Public.load()
	if err != nil {
		return ready{}, nil, err
	}
	nowhere, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return ready{}, nil, err
	}
	e, err := edge.New(edge.Config{
		Applications:   []edge.Application{{Name: name, Origin: "https://" + host, MaxBody: -1, AssertionHeader: t.Signed}},
		Gate:           gate,
		Signer:         signer,
		Authority:      authority,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &certificate, nil },
		MaxConns:       2 * MaxConnections,
		MaxPerAddress:  2 * MaxConnections, // all of them come from one machine
		MaxInFlight:    MaxConnections,
		Access:         nowhere,
		Log:            logger(),
	})
	if err != nil {
		return ready{}, nil, err
	}
	return t.run(ctx, e, gate)
}

func (t task) run(ctx context.Context, e *edge.Edge, gate *access.Guard) (ready, func(), error) {
	l, err := t.listen()
	if err != nil {
		return ready{}, nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { gate.Run(ctx) })
	running.Go(func() {
		if err := e.Serve(ctx, l, nil); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	})
	return ready{Address: l.Addr().String()}, func() { cancel(); running.Wait() }, nil
}

func logger() *slog.Logger { return slog.New(slog.NewJSONHandler(os.Stderr, nil)) }

func (t task) gate(shared *state.Folder) (*access.Guard, error) {
	set, err := policy.Parse(policy.Names{Hosts: []string{host}, Providers: []string{"acme"}, Services: []string{"bench"}}, []policy.File{{Name: "bench.cedar", Text: policies}})
	if err != nil {
		return nil, err
	}
	s := access.Service{Name: "bench"}
	copy(s.Hash[:], t.Service)
	return access.New(access.Config{
		Applications: []access.Application{{Name: name, Origin: "https://" + host}},
		Policies:     func(string) *policy.Set { return set },
		Services:     []access.Service{s},
		Folder:       shared,
		Log:          logger(),
	})
}

// within is the application as the end of the link.
func (t task) within(ctx context.Context) (ready, func(), error) {
	return t.connect(ctx, application())
}

// joined forwards to an application of its own process.
func (t task) joined(ctx context.Context) (ready, func(), error) {
	forward, err := origin.New(origin.Config{Target: &url.URL{Scheme: "http", Host: t.To}, MaxConns: MaxConnections, Log: logger(), Visitor: visitor})
	if err != nil {
		return ready{}, nil, err
	}
	return t.connect(ctx, forward)
}

func visitor(ctx context.Context) (origin.Visitor, bool) {
	v, ok := perimeter.From(ctx)
	return origin.Visitor{Client: v.ClientIP, Scheme: v.Scheme, Host: v.Host, ID: v.RequestID}, ok
}

// connect serves what comes down the links, once it is verified.
func (t task) connect(ctx context.Context, h http.Handler) (ready, func(), error) {
	c := new(enrol.Credential)
	if err := json.Unmarshal(t.Credential, c); err != nil {
		return ready{}, nil, fmt.Errorf("reading a credential: %w", err)
	}
	verifier, err := perimeter.NewVerifier(perimeter.VerifierConfig{Keys: c.Keys, Audience: name, Refuse: refuse, Foreign: t.Signed})
	if err != nil {
		return ready{}, nil, err
	}
	connector, err := perimeter.NewConnector(perimeter.ConnectorConfig{Credential: c, Handler: verifier.Handler(h), Log: logger()})
	if err != nil {
		return ready{}, nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() {
		if err := connector.Run(ctx); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	})
	stop := func() { cancel(); running.Wait() }
	select {
	case <-connector.Ready():
		return ready{}, stop, nil
	case <-time.After(startLimit / 2):
		stop()
		return ready{}, nil, errors.New("the edge is not reached")
	}
}

// refuse answers what the edge does not vouch for; then the measurement fails.
func refuse(w http.ResponseWriter, _ *http.Request, r *layer.Refusal) {
	w.WriteHeader(http.StatusForbidden)
	io.WriteString(w, r.Error())
}
