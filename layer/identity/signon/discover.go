package signon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-json-experiment/json"
	"golang.org/x/oauth2"
)

const metadataLife = time.Hour

// metadata is what the provider says about itself, checked.
type metadata struct {
	oauth *oauth2.Config

	Issuer        string   `json:"issuer"`
	Authorization string   `json:"authorization_endpoint"`
	Token         string   `json:"token_endpoint"`
	Keys          string   `json:"jwks_uri"`
	Userinfo      string   `json:"userinfo_endpoint"`
	EndSession    string   `json:"end_session_endpoint"`
	Scopes        []string `json:"scopes_supported"`
	Challenges    []string `json:"code_challenge_methods_supported"`
	AuthMethods   []string `json:"token_endpoint_auth_methods_supported"`
	Algorithms    []string `json:"id_token_signing_alg_values_supported"`
	SendsIssuer   bool     `json:"authorization_response_iss_parameter_supported"`
}

// discover is OpenID Connect Discovery 1.0 section 4. A member given twice is refused, and the document has to name our issuer byte
// for byte, or it would be another's.
func (a *authority) discover(ctx context.Context) (metadata, error) {
	body, err := a.fetch(ctx, "discovery", strings.TrimSuffix(a.issuer, "/")+"/.well-known/openid-configuration")
	if err != nil {
		return metadata{}, err
	}
	m, err := a.readMetadata(body)
	if err != nil {
		return metadata{}, fmt.Errorf("%w: %w", ErrDiscovery, err)
	}
	return m, nil
}

func (a *authority) readMetadata(body []byte) (m metadata, err error) {
	switch {
	case json.Unmarshal(body, &m) != nil:
		return m, errors.New("it is not a JSON object with members of the right types, each once")
	case m.Issuer != a.issuer:
		return m, errors.New("it names another issuer")
	case !a.endpoint(m.Keys):
		return m, errors.New("its jwks_uri is missing, or is not https or of this machine")
	case len(m.Algorithms) > 0 && !slices.ContainsFunc(m.Algorithms, func(name string) bool { return slices.Contains(a.algorithms, name) }):
		return m, errors.New("the provider signs with no algorithm that is allowed here")
	}
	return m, a.check(&m)
}

// checkMetadata holds what the provider says of itself against what a sign-in needs.
func (p *Provider) checkMetadata(m *metadata) error {
	for _, endpoint := range []string{m.Authorization, m.Token} {
		if !p.endpoint(endpoint) {
			return errors.New("an endpoint is missing, or is not https or of this machine")
		}
	}
	for _, endpoint := range []string{m.EndSession, m.Userinfo} {
		if endpoint != "" && !p.endpoint(endpoint) {
			return errors.New("an endpoint is not https or of this machine")
		}
	}
	if p.cfg.Userinfo && m.Userinfo == "" {
		return errors.New("the provider has no userinfo_endpoint")
	}
	// A provider that does not say is asked with S256 all the same; one that says plain alone would ignore it.
	if len(m.Challenges) > 0 && !slices.Contains(m.Challenges, "S256") {
		return errors.New("the provider does not take PKCE with S256")
	}
	style, err := m.style()
	m.oauth = &oauth2.Config{ClientID: p.cfg.ClientID, ClientSecret: p.cfg.ClientSecret, RedirectURL: p.cfg.RedirectURL,
		Scopes: m.scopes(p.cfg), Endpoint: oauth2.Endpoint{AuthURL: m.Authorization, TokenURL: m.Token, AuthStyle: style}}
	return err
}

// style picks how we authenticate. It is never left to be found out by trial, because the first trial would burn the code.
func (m *metadata) style() (oauth2.AuthStyle, error) {
	switch {
	case len(m.AuthMethods) == 0 || slices.Contains(m.AuthMethods, "client_secret_basic"): // the default of Discovery section 3
		return oauth2.AuthStyleInHeader, nil
	case slices.Contains(m.AuthMethods, "client_secret_post"):
		return oauth2.AuthStyleInParams, nil
	default:
		return 0, errors.New("the provider takes neither client_secret_basic nor client_secret_post")
	}
}

func (m *metadata) scopes(cfg Config) []string {
	scopes := slices.Clone(cfg.Scopes)
	if len(scopes) == 0 {
		scopes = []string{oidc.ScopeOpenID, "profile", "email"}
		if slices.Contains(m.Scopes, "groups") {
			scopes = append(scopes, "groups")
		}
	}
	// Some providers refuse a scope that they do not know, and give refresh tokens for another reason (Config.Parameters).
	known := len(m.Scopes) == 0 || slices.Contains(m.Scopes, oidc.ScopeOfflineAccess)
	if cfg.Refresh && known && !slices.Contains(scopes, oidc.ScopeOfflineAccess) {
		scopes = append(scopes, oidc.ScopeOfflineAccess)
	}
	return scopes
}
