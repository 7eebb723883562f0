// Package cloudflare writes an edge's hosts and policies down as Cloudflare Tunnel and Access configuration, for those who rent
// their edge instead of running one (SYSTEM P7): a config.yml for cloudflared, and Access applications with their policies as
// Terraform for version 5 of Cloudflare's provider.
//
// The two do not say the same things. Access knows neither methods nor a path alone, and it decides about persons when they sign
// on, not at each request. The rule of this package is that what cannot be said is not let in: a rule that lets in is left out if a
// part of it cannot be written, a rule that shuts out shuts out more. Each such place is a Limit, of the kind Denied. What Cloudflare
// does otherwise by itself, and no configuration changes, is a Limit of the kind Differs. Both stand in the output as comments.
//
// What is believed of Access is what Cloudflare documents: the application with the most specific path decides alone; a path
// covers whole segments and what lies beneath, "/*" what lies beneath alone; bypass and service authentication come before block
// and allow, which are taken in their order; nothing that matches is a denial. TestNothingIsLetInThatWeDeny holds the output to
// policy.Set by an evaluator of those sentences.
package cloudflare

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/redoubt-dev/redoubt/layer/perimeter/access/policy"
)

// A Config says what to write down. All fields are needed but those that say so.
type Config struct {
	Policies     *policy.Set
	Applications []Application
	Providers    []Provider // those that policies name; one that is not here has no groups at Cloudflare
	Mail         bool       // whether people sign on by mail; at Cloudflare, with a one-time code
	Session      string     // how long a sign-on lasts, as Terraform has it; empty means "8h"
}

// An Application is one host.
type Application struct {
	Host string // as policies name it
	To   string // where cloudflared sends requests, such as "http://127.0.0.1:3000"
}

// A Provider is an identity provider, as Access calls it a login method.
type Provider struct {
	Name  string // in policies
	Kind  string // "okta", "azure", "google", "oidc" or "saml": how Access compares groups
	Claim string // for oidc and saml: where groups are; empty means "groups"
}

// The kinds of Limit.
const (
	Denied  = "denied"  // our edge lets in what the configuration does not
	Differs = "differs" // Cloudflare does otherwise
)

// A Limit is a place in which the configuration does not say what the policies do.
type Limit struct {
	Kind string `json:"kind"`
	Rule string `json:"rule,omitempty"` // "file:line id"
	Path string `json:"path,omitempty"` // where
	What string `json:"what"`
}

// String is for comments and people.
func (l Limit) String() string {
	s := l.Kind
	for _, part := range []string{l.Path, l.Rule} {
		if part != "" {
			s += " · " + part
		}
	}
	return s + ": " + l.What
}

// An Output is what to apply.
type Output struct {
	Tunnel    string  // config.yml of cloudflared
	Terraform string  // Access, as a .tf file
	Limits    []Limit // where it does not say the same
}

// MaxApplications bounds what is written: Cloudflare has a limit of 500 to an account.
const MaxApplications = 200

var kinds = []string{"okta", "azure", "google", "oidc", "saml"}

// Export writes c down.
func Export(c Config) (Output, error) {
	if err := c.check(); err != nil {
		return Output{}, err
	}
	c.Session = cmp.Or(c.Session, "8h")
	x := newExporter(c)
	applications := x.applications()
	if len(applications) > MaxApplications {
		return Output{}, fmt.Errorf("exporting policies: they need %d Access applications, and %d is the limit", len(applications), MaxApplications)
	}
	x.general(applications)
	return Output{tunnel(c, applications, x.limits), terraform(c, applications, x.limits), x.limits}, nil
}

func (c Config) check() error {
	var errs []error
	if c.Policies == nil {
		return errors.New("exporting policies: there are none")
	}
	if len(c.Applications) == 0 {
		errs = append(errs, errors.New("there is no application"))
	}
	hosts := map[string]bool{}
	for _, a := range c.Applications {
		if !slices.Contains(c.Policies.Names().Hosts, a.Host) || hosts[a.Host] {
			errs = append(errs, fmt.Errorf("the host %q is there twice, or is not one that the policies were read for", a.Host))
		}
		hosts[a.Host] = true
		if u, err := url.Parse(a.To); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Path != "" && u.Path != "/" {
			errs = append(errs, fmt.Errorf("the application at %s has no address like http://127.0.0.1:3000", a.Host))
		}
	}
	names := map[string]bool{}
	for _, p := range c.Providers {
		if !slices.Contains(kinds, p.Kind) {
			errs = append(errs, fmt.Errorf("the provider %q is of none of the kinds %s", p.Name, strings.Join(kinds, ", ")))
		}
		if p.Name == "" || names[p.Name] {
			errs = append(errs, fmt.Errorf("the provider %q is there twice, or has no name", p.Name))
		}
		names[p.Name] = true
	}
	if len(c.Providers) == 0 && !c.Mail {
		errs = append(errs, errors.New("there is no way to sign on: neither a provider nor mail"))
	}
	if c.Session != "" && strings.Trim(c.Session, "0123456789hms") != "" {
		errs = append(errs, fmt.Errorf("the session's length %q is not like 8h", c.Session))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("exporting policies: %w", err)
	}
	return nil
}
