package signon

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

const metadataLife = time.Hour

// metadata is what the provider says about itself, checked.
type metadata struct {
	oauth *oauth2.Config

	Authorization string   `json:"authorization_endpoint"`
	Token         string   `json:"token_endpoint"`
	Keys          string   `json:"jwks_uri"`
	EndSession    string   `json:"end_session_endpoint"`
	Scopes        []string `json:"scopes_supported"`
	Challenges    []string `json:"code_challenge_methods_supported"`
	AuthMethods   []string `json:"token_endpoint_auth_methods_supported"`
	Algorithms    []string `json:"id_token_signing_alg_values_supported"`
	SendsIssuer   bool     `json:"authorization_response_iss_parameter_supported"`
}

// discover is OpenID Connect Discovery 1.0 section 4. go-oidc holds the document's issuer against ours.
func (p *Provider) discover(ctx context.Context) (metadata, error) {
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, p.cfg.HTTP), p.cfg.Issuer)
	if err != nil {
		return metadata{}, discoveryError(err)
	}
	var m metadata
	if err := provider.Claims(&m); err != nil {
		return metadata{}, fmt.Errorf("%w: its members have other types", ErrDiscovery)
	}
	if err := m.check(p.cfg.Algorithms); err != nil {
		return metadata{}, fmt.Errorf("%w: %w", ErrDiscovery, err)
	}
	style, err := m.style()
	if err != nil {
		return metadata{}, fmt.Errorf("%w: %w", ErrDiscovery, err)
	}
	m.oauth = &oauth2.Config{ClientID: p.cfg.ClientID, ClientSecret: p.cfg.ClientSecret, RedirectURL: p.cfg.RedirectURL,
		Scopes: m.scopes(p.cfg.Scopes), Endpoint: oauth2.Endpoint{AuthURL: m.Authorization, TokenURL: m.Token, AuthStyle: style}}
	return m, nil
}

// discoveryError keeps the reason and drops the document, which an error of go-oidc repeats in full.
func discoveryError(err error) error {
	var mismatch *oidc.IssuerMismatchError
	var network *url.Error
	switch {
	case errors.As(err, &mismatch):
		return fmt.Errorf("%w: it names another issuer", ErrDiscovery)
	case errors.As(err, &network):
		return fmt.Errorf("%w: %w", ErrUnreachable, network)
	default:
		return fmt.Errorf("%w: it is not there, or cannot be read", ErrDiscovery)
	}
}

func (m metadata) check(algorithms []string) error {
	for _, endpoint := range []string{m.Authorization, m.Token, m.Keys} {
		if !secure(endpoint) {
			return errors.New("an endpoint is missing, or is not https or loopback")
		}
	}
	if m.EndSession != "" && !secure(m.EndSession) {
		return errors.New("the end_session_endpoint is not https or loopback")
	}
	// A provider that does not say is asked with S256 all the same; one that says plain alone would ignore it.
	if len(m.Challenges) > 0 && !slices.Contains(m.Challenges, "S256") {
		return errors.New("the provider does not take PKCE with S256")
	}
	if len(m.Algorithms) > 0 && !slices.ContainsFunc(m.Algorithms, func(a string) bool { return slices.Contains(algorithms, a) }) {
		return errors.New("the provider signs with no algorithm that is allowed here")
	}
	return nil
}

// style picks how we authenticate. It is never left to be found out by trial, because the first trial would burn the code.
func (m metadata) style() (oauth2.AuthStyle, error) {
	switch {
	case len(m.AuthMethods) == 0 || slices.Contains(m.AuthMethods, "client_secret_basic"): // the default of Discovery section 3
		return oauth2.AuthStyleInHeader, nil
	case slices.Contains(m.AuthMethods, "client_secret_post"):
		return oauth2.AuthStyleInParams, nil
	default:
		return 0, errors.New("the provider takes neither client_secret_basic nor client_secret_post")
	}
}

func (m metadata) scopes(configured []string) []string {
	if len(configured) > 0 {
		return configured
	}
	scopes := []string{oidc.ScopeOpenID, "profile", "email"}
	if slices.Contains(m.Scopes, "groups") {
		scopes = append(scopes, "groups")
	}
	return scopes
}
