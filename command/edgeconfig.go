package command

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/redoubt-dev/redoubt/backbone/secret"
)

// An edgeFile is edge.toml. Names are those of the file; what a field means when it is left out stands beside it.
type edgeFile struct {
	Name       string `toml:"name"`        // this edge's, among those that share the state folder; "edge"
	Listen     string `toml:"listen"`      // for TLS; ":443"
	ListenHTTP string `toml:"listen_http"` // redirects, and answers HTTP-01; empty: nothing listens
	Operator   string `toml:"operator"`    // metrics and /readyz, without TLS; "127.0.0.1:9443"
	State      string `toml:"state"`       // the folder that the edges share; required
	OldestTLS  string `toml:"oldest_tls"`  // "1.3", or "1.2" by choice
	HTTP3      bool   `toml:"http3"`       // on the same port of UDP; off

	Certificate  edgeCertificate   `toml:"certificate"`
	Limits       edgeLimits        `toml:"limits"`
	Mail         *edgeMail         `toml:"mail"`
	Providers    []edgeProvider    `toml:"provider"`
	Services     []edgeService     `toml:"service"`
	Applications []edgeApplication `toml:"application"`

	dir string // of the file: relative paths start there
}

// An edgeCertificate says where the public certificate comes from: exactly one of the three.
type edgeCertificate struct {
	Local bool       `toml:"local"` // of an authority that is made here, for this machine's own use
	Files []edgePair `toml:"file"`  // read again when they change
	ACME  *edgeACME  `toml:"acme"`
}

type edgePair struct {
	Certificate string `toml:"certificate"`
	Key         string `toml:"key"`
}

type edgeACME struct {
	Directory string   `toml:"directory"` // of the authority; required
	Email     string   `toml:"email"`
	Agreed    bool     `toml:"agreed_to_terms"` // of the authority's service; required to be true
	Roots     string   `toml:"roots"`           // a PEM file, for an authority of one's own
	Program   string   `toml:"dns_program"`     // sets and removes records, for DNS-01; empty: HTTP-01 and TLS-ALPN-01
	Variables []string `toml:"dns_environment"` // the variables of our environment that it gets
}

// edgeLimits are those of package edge; zero means its defaults.
type edgeLimits struct {
	Connections   int     `toml:"connections"`
	PerAddress    int     `toml:"connections_per_address"`
	InFlight      int     `toml:"requests_per_link"`
	RatePerSecond float64 `toml:"requests_per_second"` // of one address; zero: no limit
	RateBurst     int     `toml:"requests_burst"`
	SessionHours  int     `toml:"session_hours"` // of the edge's own sign-on; zero means 8
}

type edgeMail struct {
	Server       string `toml:"server"`
	From         string `toml:"from"`
	Username     string `toml:"username"`
	PasswordName string `toml:"password_secret"` // REDOUBT_SECRET_<NAME>, or a file that REDOUBT_SECRET_<NAME>_FILE names
	Implicit     bool   `toml:"implicit_tls"`
	Catch        bool   `toml:"insecure_loopback"` // without TLS, to a catcher of mail on this machine
}

type edgeProvider struct {
	Name        string `toml:"name"`
	Title       string `toml:"title"` // on the page; empty: the name
	Issuer      string `toml:"issuer"`
	ClientID    string `toml:"client_id"`
	SecretName  string `toml:"client_secret"` // a secret's name, as above
	GroupsClaim string `toml:"groups_claim"`  // "groups"
	Roots       string `toml:"roots"`         // a PEM file, for a provider with an authority of its own
}

type edgeService struct {
	Name string `toml:"name"`
	Hash string `toml:"sha256"` // of its token, as `redoubt edge token` prints it
}

type edgeApplication struct {
	Name      string   `toml:"name"`
	Origin    string   `toml:"origin"`  // "https://app.example"
	Aliases   []string `toml:"aliases"` // other hosts that are sent on to the origin
	Policies  []string `toml:"policies"`
	Assertion bool     `toml:"assertion_header"`   // for an application that is not Redoubt's: says in a header who was let in
	MaxBody   int64    `toml:"max_body_bytes"`     // zero: 64 MiB; -1: any
	Answer    int      `toml:"answer_seconds"`     // to begin an answer; zero: 60
	Standby   string   `toml:"maintenance_file"`   // while it exists, the standby page answers
	Notice    string   `toml:"maintenance_notice"` // one sentence on that page
}

// maxEdgeFile bounds what is read, in bytes.
const maxEdgeFile = 1 << 20

// readEdgeFile reads and checks; every problem is reported at once.
func readEdgeFile(path string) (*edgeFile, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, hinted{fmt.Errorf("reading the edge's configuration: %w", err), "`redoubt edge --help` shows one to begin with"}
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxEdgeFile+1))
	if err != nil || len(text) > maxEdgeFile {
		return nil, errors.Join(fmt.Errorf("reading %s: it is not a file of at most 1 MiB", path), err)
	}
	e, err := parseEdgeFile(text)
	if err != nil {
		return nil, fmt.Errorf("%s:\n%w", path, err)
	}
	e.dir = filepath.Dir(path)
	return e, nil
}

func parseEdgeFile(text []byte) (*edgeFile, error) {
	e := &edgeFile{Name: "edge", Listen: ":443", Operator: "127.0.0.1:9443", OldestTLS: "1.3"}
	d := toml.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	err := d.Decode(e)
	var unknown *toml.StrictMissingError
	var wrong *toml.DecodeError
	switch {
	case errors.As(err, &unknown):
		return nil, fmt.Errorf("nothing has this name here:\n%s", unknown.String())
	case errors.As(err, &wrong):
		line, column := wrong.Position()
		return nil, fmt.Errorf("line %d, column %d: %w\n%s", line, column, err, wrong.String())
	case err != nil:
		return nil, err
	}
	return e, e.check()
}

func (e *edgeFile) check() error {
	var problems []error
	say := func(format string, a ...any) { problems = append(problems, fmt.Errorf(format, a...)) }
	if e.State == "" {
		say("state: no folder is named")
	}
	for name, address := range map[string]string{"listen": e.Listen, "listen_http": e.ListenHTTP, "operator": e.Operator} {
		if _, _, err := net.SplitHostPort(address); address != "" && err != nil {
			say("%s: %q is not an address and a port", name, address)
		}
	}
	if host, _, _ := net.SplitHostPort(e.Operator); e.Operator != "" && !loopback(host) {
		say("operator: %q is not an address of this machine alone; metrics are not for everybody", e.Operator)
	}
	if e.OldestTLS != "1.3" && e.OldestTLS != "1.2" {
		say("oldest_tls: it is 1.3 or 1.2")
	}
	problems = append(problems, e.checkCertificate()...)
	problems = append(problems, e.checkPeople()...)
	problems = append(problems, e.checkApplications()...)
	return errors.Join(problems...)
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (e *edgeFile) checkCertificate() (problems []error) {
	c, sources := e.Certificate, 0
	for _, is := range []bool{c.Local, len(c.Files) > 0, c.ACME != nil} {
		if is {
			sources++
		}
	}
	if sources != 1 {
		problems = append(problems, errors.New("certificate: say one of local = true, [[certificate.file]] or [certificate.acme]"))
	}
	for _, p := range c.Files {
		if p.Certificate == "" || p.Key == "" {
			problems = append(problems, errors.New("certificate.file: certificate and key are both needed"))
		}
	}
	if c.ACME != nil && (c.ACME.Directory == "" || !c.ACME.Agreed) {
		problems = append(problems, errors.New("certificate.acme: directory and agreed_to_terms = true are both needed"))
	}
	return problems
}

func (e *edgeFile) checkPeople() (problems []error) {
	names := map[string]bool{}
	for _, p := range e.Providers {
		if p.Name == "" || p.Issuer == "" || p.ClientID == "" || p.SecretName == "" {
			problems = append(problems, fmt.Errorf("provider %q: name, issuer, client_id and client_secret are needed", p.Name))
		}
		if names[p.Name] {
			problems = append(problems, fmt.Errorf("provider %q is there twice", p.Name))
		}
		names[p.Name] = true
	}
	for _, s := range e.Services {
		if hash, err := hex.DecodeString(s.Hash); s.Name == "" || err != nil || len(hash) != sha256.Size {
			problems = append(problems, fmt.Errorf("service %q: name and sha256 are needed, as `redoubt edge token` prints them", s.Name))
		}
	}
	if m := e.Mail; m != nil && (m.Server == "" || m.From == "") {
		problems = append(problems, errors.New("mail: server and from are needed"))
	}
	return problems
}

func (e *edgeFile) checkApplications() (problems []error) {
	if len(e.Applications) == 0 {
		problems = append(problems, errors.New("application: there is none"))
	}
	names, hosts := map[string]bool{}, map[string]bool{}
	for _, a := range e.Applications {
		u, err := url.Parse(a.Origin)
		if a.Name == "" || err != nil || u.Scheme != "https" || u.Host == "" || a.Origin != "https://"+u.Host {
			problems = append(problems, fmt.Errorf("application %q: it needs a name, and an origin of the form https://host or https://host:port", a.Name))
			continue
		}
		if len(a.Policies) == 0 {
			problems = append(problems, fmt.Errorf("application %q: no policy file is named, so that nobody could pass", a.Name))
		}
		if names[a.Name] || hosts[u.Host] {
			problems = append(problems, fmt.Errorf("application %q: its name or its host is there twice", a.Name))
		}
		names[a.Name], hosts[u.Host] = true, true
	}
	return problems
}

// path is where a path of the file leads.
func (e *edgeFile) path(p string) string {
	if p == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(e.dir, p)
}

// hosts are the names that the public certificate is for.
func (e *edgeFile) hosts() (all []string) {
	for _, a := range e.Applications {
		u, _ := url.Parse(a.Origin) // checked
		all = append(all, u.Hostname())
		for _, alias := range a.Aliases {
			host, _, err := net.SplitHostPort(alias)
			if err != nil {
				host = alias
			}
			all = append(all, strings.ToLower(host))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// secretOf reads a secret by its name.
func secretOf(ctx context.Context, name string) (string, error) {
	v, err := secret.Env("REDOUBT_SECRET_").Get(ctx, name)
	if err != nil {
		return "", err
	}
	return string(v.Reveal()), nil
}
