package redoubt

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/identity"
)

// TokenPath is where a machine exchanges the ID token of its own provider for an access token of ours (SYSTEM I9).
const TokenPath = "/oauth/token"

// The words of RFC 8693 sections 2.1, 2.2.1 and 3.
const (
	grantTokenExchange = "urn:ietf:params:oauth:grant-type:token-exchange"
	typeIDToken        = "urn:ietf:params:oauth:token-type:id_token"
	typeJWT            = "urn:ietf:params:oauth:token-type:jwt"
	typeAccessToken    = "urn:ietf:params:oauth:token-type:access_token"
)

// tokenExchange is a request by RFC 8693 section 2.1. There are no clients here, and so no secret of one: client_id is taken because
// libraries send it, and not looked at. A parameter that is not here is refused, and not ignored as RFC 6749 section 3.2 has it:
// who sends one expects it to matter.
type tokenExchange struct {
	GrantType          string `json:"grant_type" minLength:"1" maxLength:"200" doc:"urn:ietf:params:oauth:grant-type:token-exchange"`
	SubjectToken       string `json:"subject_token" minLength:"1" maxLength:"16384" secret:"true" doc:"the ID token"`
	SubjectTokenType   string `json:"subject_token_type" minLength:"1" maxLength:"200" doc:"urn:ietf:params:oauth:token-type:id_token, or :jwt"`
	RequestedTokenType string `json:"requested_token_type,omitempty" maxLength:"200" doc:"urn:ietf:params:oauth:token-type:access_token, or nothing"`
	Audience           string `json:"audience,omitempty" maxLength:"500" doc:"that of the ID token, or nothing"`
	Scope              string `json:"scope,omitempty" maxLength:"4096" doc:"some of what the trust gives, with spaces between them; all of it for nothing"`
	ClientID           string `json:"client_id,omitempty" maxLength:"255" doc:"not looked at"`
}

// issuedToken is the answer of RFC 8693 section 2.2.1.
type issuedToken struct {
	AccessToken     string `json:"access_token"`
	IssuedTokenType string `json:"issued_token_type"`
	TokenType       string `json:"token_type"`
	ExpiresIn       int    `json:"expires_in"`
	Scope           string `json:"scope"`
}

// tokenError is the answer of RFC 6749 section 5.2.
type tokenError struct {
	Error       string `json:"error"`
	Description string `json:"error_description,omitempty"`
}

// forMachines are Redoubt's own routes that programs call without a credential of ours, and browsers never.
func (s *Server) forMachines() []Route {
	exchange := own[tokenExchange]("POST "+TokenPath, Public, s.exchangeToken)
	exchange.refused, exchange.machines = refuseToken, true
	return []Route{exchange}
}

func (s *Server) exchangeToken(c *call) error {
	if _, ok := c.r.Header["Authorization"]; ok {
		return oauthError("invalid_client")
	}
	if media, _, err := mime.ParseMediaType(c.r.Header.Get("Content-Type")); err != nil || media != "application/x-www-form-urlencoded" {
		return oauthError("invalid_request")
	}
	said := c.r.PostFormValue
	switch kind := said("subject_token_type"); {
	case said("grant_type") != grantTokenExchange:
		return oauthError("unsupported_grant_type")
	case kind != typeIDToken && kind != typeJWT:
		return oauthError("invalid_request")
	case said("requested_token_type") != "" && said("requested_token_type") != typeAccessToken:
		return oauthError("invalid_request")
	}
	issued, err := s.cfg.Identity.Exchange(c.r.Context(), identity.Exchange{Token: said("subject_token"), Scopes: strings.Fields(said("scope")), Audience: said("audience")})
	if err != nil {
		return err
	}
	return c.tokenAnswer(http.StatusOK, issuedToken{issued.Token, typeAccessToken, "Bearer", int(issued.Life.Seconds()), strings.Join(issued.Scopes, " ")})
}

// oauthError refuses with a code of RFC 6749 section 5.2.
func oauthError(code string) error {
	return &layer.Refusal{By: layer.Identity, Reason: layer.Malformed, Public: oauthErrors[code], Cause: oauthCode(code)}
}

type oauthCode string

// Error implements error.
func (c oauthCode) Error() string { return "the token endpoint answers " + string(c) }

// oauthErrors are the codes that the token endpoint answers, each with what its description says.
var oauthErrors = map[string]string{
	"invalid_request":         "The request is not one by RFC 8693, or its token is not exchanged here.",
	"invalid_client":          "Clients are not authenticated here: the token alone counts.",
	"unsupported_grant_type":  "Tokens are exchanged here (RFC 8693), and nothing else.",
	"invalid_scope":           "No trust gives this machine all of these scopes.",
	"invalid_target":          "The token is for another audience than the one asked for.",
	"temporarily_unavailable": "Please try again in a moment.",
	"server_error":            "This is our fault and has been recorded.",
}

// refuseToken renders every refusal of the route as programs of OAuth read it, and sees to it that the audit trail has it. What is
// wrong with a token is not said: whoever holds a stolen one learns nothing of how to mend it.
func refuseToken(c *call, p *Problem, refusal *layer.Refusal) {
	var known oauthCode
	code, status := "invalid_request", http.StatusBadRequest
	switch {
	case errors.As(refusal.Cause, &known):
		code = string(known)
	case c.r.Header["Authorization"] != nil:
		code = "invalid_client"
	case errors.Is(refusal.Cause, identity.ErrScope):
		code = "invalid_scope"
	case errors.Is(refusal.Cause, identity.ErrTarget): // RFC 8693 section 2.2.2
		code = "invalid_target"
	case refusal.Reason == layer.Unavailable, refusal.Reason == layer.Limited:
		code, status = "temporarily_unavailable", p.Status
	case p.Status >= http.StatusInternalServerError:
		code, status = "server_error", p.Status
	}
	if code == "invalid_client" { // RFC 6749 section 5.2
		status = http.StatusUnauthorized
		c.w.Header().Set("WWW-Authenticate", "Bearer")
	}
	if status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests {
		c.w.Header().Set("Retry-After", "5")
	}
	if status < http.StatusInternalServerError {
		c.s.cfg.Identity.RecordMalformed(c.r.Context(), refusal)
	}
	if err := c.tokenAnswer(status, tokenError{code, oauthErrors[code]}); err != nil {
		c.s.log.Error("answering a token request", "cause", err)
	}
}

// tokenAnswer writes a response that nobody may keep (RFC 6749 section 5.1).
func (c *call) tokenAnswer(status int, answer any) error {
	body, err := json.Marshal(answer)
	if err != nil {
		return fmt.Errorf("writing a token's answer: %w", err)
	}
	h := c.w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache")
	c.w.WriteHeader(status)
	c.w.Write(append(body, '\n'))
	return nil
}

// split leads what programs alone call past the check that browsers need: it demands instead that nothing of a browser's be there.
func (s *Server) split() http.Handler {
	serve := http.HandlerFunc(s.serve)
	people, machines := s.transport.Handler(serve), s.transport.Machines(serve)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.machines[r.URL.Path] {
			machines.ServeHTTP(w, r)
			return
		}
		people.ServeHTTP(w, r)
	})
}
