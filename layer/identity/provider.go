package identity

import (
	"errors"
	"fmt"
	"regexp"
	"sync/atomic"
	"time"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/identity/signon"
)

// A Provider is one place at which people may sign in (SYSTEM I1). A person is who their provider says at that provider: the same
// subject, or the same e-mail address, at another one is somebody else.
type Provider struct {
	ID     string           // in addresses: letters, digits and hyphens, at most 32; may be empty for the only one
	Title  string           // as people read it; may be empty for the only one
	SignOn *signon.Provider // required
}

// providers are those that are configured. What a provider that is not among them once said is not believed any more.
type providers struct {
	all      []*provider // in the order of the configuration
	byIssuer map[string]*provider
}

type provider struct {
	Provider
	quiet atomic.Int64 // nobody asks it for a refresh before, in Unix seconds: it did not answer
}

// quietTime is how long a provider that did not answer is left alone, so that one that is down is not waited for with every session.
const quietTime = 15 * time.Second

var providerID = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)

func checkProviders(all []Provider) (faults []error) {
	if len(all) == 0 {
		return []error{errors.New("identity: Providers is required")}
	}
	ids, issuers := map[string]bool{}, map[string]bool{}
	for i, p := range all {
		if p.SignOn == nil {
			faults = append(faults, fmt.Errorf("identity: Providers[%d] has no SignOn", i))
			continue
		}
		if len(all) > 1 && (!providerID.MatchString(p.ID) || ids[p.ID] || p.Title == "") {
			faults = append(faults, fmt.Errorf("identity: Providers[%d] needs a Title, and an ID of its own of lower-case letters, digits and hyphens", i))
		}
		if issuers[p.SignOn.Issuer()] { // whose word would count?
			faults = append(faults, fmt.Errorf("identity: Providers[%d] has the issuer of another", i))
		}
		ids[p.ID], issuers[p.SignOn.Issuer()] = true, true
	}
	if len(faults) == 0 {
		signOns := make([]*signon.Provider, len(all))
		for i, p := range all {
			signOns[i] = p.SignOn
		}
		if err := signon.Distinct(signOns...); err != nil {
			faults = append(faults, fmt.Errorf("identity: Providers: %w", err))
		}
	}
	return faults
}

func newProviders(all []Provider) providers {
	ps := providers{byIssuer: map[string]*provider{}}
	for _, p := range all {
		one := &provider{Provider: p}
		ps.all, ps.byIssuer[p.SignOn.Issuer()] = append(ps.all, one), one
	}
	return ps
}

// pick finds the provider of an ID, or the only one for none.
func (ps providers) pick(id string) (*provider, error) {
	if id == "" && len(ps.all) == 1 {
		return ps.all[0], nil
	}
	for _, p := range ps.all {
		if p.ID == id {
			return p, nil
		}
	}
	return nil, refuse(layer.NotFound, "There is nothing here.", errNoProvider)
}

var errNoProvider = errors.New("no provider has this ID or issuer")

// Providers lists where people may sign in, in the order of the configuration.
func (s *Service) Providers() []Provider {
	all := make([]Provider, len(s.providers.all))
	for i, p := range s.providers.all {
		all[i] = p.Provider
	}
	return all
}

// ProviderTitle is the title of the provider with that issuer; "" if none has it.
func (s *Service) ProviderTitle(issuer string) string {
	if p := s.providers.byIssuer[issuer]; p != nil {
		return p.Title
	}
	return ""
}
