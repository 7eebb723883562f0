package devidp

import (
	"encoding/json"
	"net/http"
)

// The two levels of assurance. Whoever signs in chooses between them with a tick, so that step-up can be tried (SYSTEM I6).
const (
	ACROneFactor = "urn:redoubt:dev:one-factor"
	ACRTwoFactor = "urn:redoubt:dev:two-factor"
)

// discovery is OpenID Connect Discovery 1.0, section 3, and RFC 8414.
func (p *Provider) discovery(w http.ResponseWriter, _ *http.Request) {
	at := func(path string) string { return p.cfg.Issuer + path }
	writeJSON(w, http.StatusOK, map[string]any{
		"issuer":                                p.cfg.Issuer,
		"authorization_endpoint":                at("/authorize"),
		"token_endpoint":                        at("/token"),
		"userinfo_endpoint":                     at("/userinfo"),
		"end_session_endpoint":                  at("/end_session"),
		"jwks_uri":                              at("/jwks"),
		"response_types_supported":              []string{"code"},
		"response_modes_supported":              []string{"query"},
		"grant_types_supported":                 []string{"authorization_code", "refresh_token"},
		"subject_types_supported":               []string{"public"},
		"id_token_signing_alg_values_supported": []string{p.cfg.Algorithm},
		"scopes_supported":                      []string{"openid", "profile", "email", "groups", "offline_access"},
		"claims_supported": []string{"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "at_hash", "sid", "email",
			"email_verified", "name", "groups", "amr", "acr"},
		"acr_values_supported":                           []string{ACROneFactor, ACRTwoFactor},
		"prompt_values_supported":                        []string{"none", "login", "select_account", "consent"},
		"token_endpoint_auth_methods_supported":          []string{"client_secret_basic", "client_secret_post"},
		"code_challenge_methods_supported":               []string{"S256"},
		"authorization_response_iss_parameter_supported": true,
		"backchannel_logout_supported":                   true,
		"backchannel_logout_session_supported":           true,
		"claims_parameter_supported":                     false,
		"request_parameter_supported":                    false,
		"request_uri_parameter_supported":                false,
	})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v) // the peer has gone if this fails, and there is nobody left to tell
}
