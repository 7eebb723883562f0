package command

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/redoubt-dev/redoubt/backbone/mail"
	"github.com/redoubt-dev/redoubt/layer/perimeter/access"
	"github.com/redoubt-dev/redoubt/layer/perimeter/access/policy"
	"github.com/redoubt-dev/redoubt/layer/perimeter/assertion"
	"github.com/redoubt-dev/redoubt/layer/perimeter/certificate"
	authority "github.com/redoubt-dev/redoubt/layer/perimeter/certificate/acme"
	"github.com/redoubt-dev/redoubt/layer/perimeter/edge"
	"github.com/redoubt-dev/redoubt/layer/perimeter/edge/http3"
	"github.com/redoubt-dev/redoubt/layer/perimeter/enrol"
	"github.com/redoubt-dev/redoubt/layer/perimeter/provision"
	"github.com/redoubt-dev/redoubt/layer/perimeter/state"
)

// An openedEdge is an edge with all that it needs, before anything listens.
type openedEdge struct {
	edge           *edge.Edge
	folder         *state.Folder
	getCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	background     []func(context.Context) // runs until the edge has ended
}

// openEdge puts the parts together, from the folder outwards.
func openEdge(ctx context.Context, e *edgeFile, accessLog io.Writer, log *slog.Logger) (*openedEdge, error) {
	folder, authority, err := e.authority(log)
	if err != nil {
		return nil, err
	}
	o := &openedEdge{folder: folder}
	signer, err := assertion.NewSigner(assertion.SignerConfig{Key: authority.Signer, Keys: authority.Keys})
	if err != nil {
		return nil, err
	}
	guard, err := e.guard(ctx, folder, o, log)
	if err != nil {
		return nil, err
	}
	certificates, err := e.openCertificates(folder, o, log)
	if err != nil {
		return nil, err
	}
	c := edge.Config{
		Gate: guard, Signer: signer, Authority: authority, GetCertificate: certificates.GetCertificate, Expires: certificates.Expires, NextProtos: certificates.protos,
		PlainHandler: certificates.plain, MaxConns: e.Limits.Connections, MaxPerAddress: e.Limits.PerAddress, MaxInFlight: e.Limits.InFlight,
		Rate: edge.Rate{PerSecond: e.Limits.RatePerSecond, Burst: e.Limits.RateBurst}, Access: accessLog, Log: log,
	}
	if e.OldestTLS == "1.2" {
		c.MinVersion = tls.VersionTLS12
	}
	if e.HTTP3 {
		port, err := net.LookupPort("udp", portIn(e.Listen))
		if err != nil {
			return nil, fmt.Errorf("listen: %w", err)
		}
		c.AltSvc = http3.AltSvc(port)
	}
	for _, a := range e.Applications {
		c.Applications = append(c.Applications, a.behind(e))
	}
	o.getCertificate = certificates.GetCertificate
	o.edge, err = edge.New(c)
	return o, err
}

func portIn(address string) string {
	return address[strings.LastIndexByte(address, ':')+1:]
}

// authority opens what the deployment's edges share.
func (e *edgeFile) authority(log *slog.Logger) (*state.Folder, *enrol.Authority, error) {
	folder, err := state.Open(e.path(e.State))
	if err != nil {
		return nil, nil, err
	}
	authority, err := enrol.New(enrol.Config{Folder: folder, Edge: e.Name, Log: log})
	return folder, authority, err
}

// behind is how the edge is told of an application.
func (a edgeApplication) behind(e *edgeFile) edge.Application {
	told := edge.Application{Name: a.Name, Origin: a.Origin, AssertionHeader: a.Assertion, MaxBody: a.MaxBody, Response: time.Duration(a.Answer) * time.Second}
	for _, alias := range a.Aliases {
		told.Aliases = append(told.Aliases, "https://"+alias)
	}
	if a.Standby != "" {
		file := e.path(a.Standby)
		told.Standby = func() (string, bool) { return a.Notice, exists(file) }
	}
	return told
}

func (e *edgeFile) guard(ctx context.Context, folder *state.Folder, o *openedEdge, log *slog.Logger) (*access.Guard, error) {
	providers, err := e.providers(ctx)
	if err != nil {
		return nil, err
	}
	sources, err := e.policies()
	if err != nil {
		return nil, err
	}
	send, err := e.mailer(ctx)
	if err != nil {
		return nil, err
	}
	c := access.Config{Providers: providers, Mail: send, Folder: folder, SessionLife: time.Duration(e.Limits.SessionHours) * time.Hour, Log: log,
		Policies: func(application string) *policy.Set { return sources[application].Set() }}
	for _, a := range e.Applications {
		c.Applications = append(c.Applications, access.Application{Name: a.Name, Origin: a.Origin})
	}
	for _, s := range e.Services {
		c.Services = append(c.Services, access.Service{Name: s.Name, Hash: s.hash()})
	}
	guard, err := access.New(c)
	if err != nil {
		return nil, err
	}
	o.background = append(o.background, guard.Run)
	for name, source := range sources {
		o.background = append(o.background, func(ctx context.Context) { source.Watch(ctx, 0, told(log, name)) })
	}
	return guard, nil
}

// told says what came of a change of policies.
func told(log *slog.Logger, application string) func(error) {
	return func(err error) {
		if err != nil {
			log.Error("policies not taken, the ones before stay", "application", application, "problems", err.Error())
			return
		}
		log.Info("policies taken", "application", application)
	}
}

// host is the application's, as policies name it.
func (a edgeApplication) host() string {
	u, _ := url.Parse(a.Origin) // checked
	return strings.TrimSuffix(strings.ToLower(u.Host), ":443")
}

// names are what an application's policies may speak of.
func (e *edgeFile) names(a edgeApplication) policy.Names {
	n := policy.Names{Hosts: []string{a.host()}, Providers: []string{}, Services: []string{}}
	for _, p := range e.Providers {
		n.Providers = append(n.Providers, p.Name)
	}
	for _, s := range e.Services {
		n.Services = append(n.Services, s.Name)
	}
	return n
}

// policies reads each application's files.
func (e *edgeFile) policies() (map[string]*policy.Store, error) {
	all := map[string]*policy.Store{}
	var problems []error
	for _, a := range e.Applications {
		var paths []string
		for _, p := range a.Policies {
			paths = append(paths, e.path(p))
		}
		store, err := policy.Open(e.names(a), paths...)
		if err != nil {
			problems = append(problems, hinted{fmt.Errorf("application %q:\n%w", a.Name, err), "docs/edge.md says what a rule may speak of"})
		}
		all[a.Name] = store
	}
	return all, errors.Join(problems...)
}

func (e *edgeFile) providers(ctx context.Context) (all []access.Provider, err error) {
	var problems []error
	for _, p := range e.Providers {
		word, err := secretOf(ctx, p.SecretName)
		if err != nil {
			problems = append(problems, fmt.Errorf("provider %q: %w", p.Name, err))
		}
		client, err := e.trusting(p.Roots)
		if err != nil {
			problems = append(problems, fmt.Errorf("provider %q: %w", p.Name, err))
		}
		claim := p.GroupsClaim
		if claim == "" {
			claim = "groups"
		}
		all = append(all, access.Provider{Name: p.Name, Title: p.Title, Issuer: p.Issuer, ClientID: p.ClientID, ClientSecret: word, GroupsClaim: claim, HTTP: client})
	}
	return all, errors.Join(problems...)
}

// trusting is a client that believes the authorities in a file; nil, for the system's, if none is named.
func (e *edgeFile) trusting(roots string) (*http.Client, error) {
	if roots == "" {
		return nil, nil
	}
	pool, err := rootsIn(e.path(roots))
	if err != nil {
		return nil, err
	}
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
		MaxIdleConns: 4, IdleConnTimeout: time.Minute, ResponseHeaderTimeout: 10 * time.Second, ForceAttemptHTTP2: true}}, nil
}

func rootsIn(path string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading authorities: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("reading authorities: %s holds no certificate", path)
	}
	return pool, nil
}

// mailer sends links; nil if no mail is configured.
func (e *edgeFile) mailer(ctx context.Context) (func(ctx context.Context, to, subject, text string) error, error) {
	m := e.Mail
	if m == nil {
		return nil, nil
	}
	c := mail.Config{Address: m.Server, From: m.From, Implicit: m.Implicit, Username: m.Username, InsecureLoopback: m.Catch}
	if m.PasswordName != "" {
		word, err := secretOf(ctx, m.PasswordName)
		if err != nil {
			return nil, fmt.Errorf("mail: %w", err)
		}
		c.Password = word
	}
	sender, err := mail.New(c)
	if err != nil {
		return nil, fmt.Errorf("mail: %w", err)
	}
	return func(ctx context.Context, to, subject, text string) error {
		return sender.Send(ctx, mail.Message{To: to, Subject: subject, Text: text})
	}, nil
}

// edgeCertificates are the public certificate and how its authority is answered.
type edgeCertificates struct {
	certificate.Source
	protos []string
	plain  func(http.Handler) http.Handler
}

func (e *edgeFile) openCertificates(folder *state.Folder, o *openedEdge, log *slog.Logger) (edgeCertificates, error) {
	switch c := e.Certificate; {
	case c.Local:
		keys, err := provision.Open(filepath.Join(folder.Path(), "tls"), e.hosts())
		if err != nil {
			return edgeCertificates{}, err
		}
		return edgeCertificates{Source: keys}, nil
	case c.ACME != nil:
		return e.openACME(folder, o, log)
	}
	files, err := certificate.Open(certificate.Config{Pairs: e.pairs(), Log: log})
	if err != nil {
		return edgeCertificates{}, err
	}
	o.background = append(o.background, files.Run)
	return edgeCertificates{Source: files}, nil
}

func (e *edgeFile) pairs() (all []certificate.Pair) {
	for _, p := range e.Certificate.Files {
		all = append(all, certificate.Pair{Certificate: e.path(p.Certificate), Key: e.path(p.Key)})
	}
	return all
}

// checkCertificates reads what a start would read.
func (e *edgeFile) checkCertificates() error {
	if len(e.Certificate.Files) > 0 {
		_, err := certificate.Open(certificate.Config{Pairs: e.pairs()})
		return err
	}
	if a := e.Certificate.ACME; a != nil && a.Roots != "" {
		_, err := rootsIn(e.path(a.Roots))
		return err
	}
	return nil
}

func (e *edgeFile) openACME(folder *state.Folder, o *openedEdge, log *slog.Logger) (edgeCertificates, error) {
	a := e.Certificate.ACME
	c := authority.Config{Hosts: e.hosts(), Directory: a.Directory, Email: a.Email, Agreed: a.Agreed, Folder: folder, Log: log,
		HTTP01: e.ListenHTTP != "" && a.Program == "", TLSALPN01: a.Program == ""}
	if a.Roots != "" {
		roots, err := rootsIn(e.path(a.Roots))
		if err != nil {
			return edgeCertificates{}, err
		}
		c.Roots = roots
	}
	if a.Program != "" {
		c.DNS01 = authority.Exec{Program: e.path(a.Program), Env: a.Variables}
	}
	manager, err := authority.New(c)
	if err != nil {
		return edgeCertificates{}, err
	}
	o.background = append(o.background, manager.Run)
	found := edgeCertificates{Source: manager, protos: manager.NextProtos()}
	if c.HTTP01 {
		found.plain = manager.HTTPHandler
	}
	return found, nil
}
