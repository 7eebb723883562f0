package signon

import (
	"errors"
	"slices"

	"github.com/redoubt-dev/redoubt/layer"
)

// The causes of a refusal: each names the one check that refused. None of them, and nothing wrapped with them, holds a token, a
// code or a secret.
var (
	ErrPending         = errors.New("the pending sign-in is empty or malformed")
	ErrStale           = errors.New("the pending sign-in or the logout token is too old, or from the future")
	ErrQuery           = errors.New("the callback repeats a parameter, or has too long a one")
	ErrState           = errors.New("the state is not the one that was begun with")
	ErrReplayed        = errors.New("the answer was taken before")
	ErrMixUp           = errors.New("the answer does not carry the iss of this provider (RFC 9207)")
	ErrCode            = errors.New("the answer does not carry exactly one code")
	ErrExchange        = errors.New("the provider does not exchange the code")
	ErrTokenResponse   = errors.New("the provider's token response cannot be read")
	ErrNoIDToken       = errors.New("the token response has no ID token")
	ErrMalformed       = errors.New("the token is not a compact, strict JSON Web Token within bounds")
	ErrAlgorithm       = errors.New("the token's algorithm is not an allowed one")
	ErrType            = errors.New("the token is of another type")
	ErrKey             = errors.New("the token's key is not one of the provider's")
	ErrSignature       = errors.New("the token's signature is wrong")
	ErrIssuer          = errors.New("the token is from another issuer")
	ErrAudience        = errors.New("the token is for another audience")
	ErrAuthorizedParty = errors.New("the token's azp is missing or another party")
	ErrExpired         = errors.New("the token has expired, or says not when")
	ErrNotYet          = errors.New("the token is not valid yet")
	ErrIssuedAt        = errors.New("the token's iat is missing, in the future, or before the sign-in began")
	ErrNonce           = errors.New("the token's nonce is not the one that was begun with")
	ErrAccessTokenHash = errors.New("the token's at_hash does not belong to the access token")
	ErrAuthTime        = errors.New("the person has not proved themselves recently enough")
	ErrSubject         = errors.New("the token's sub is empty, too long or not printable")
	ErrEmail           = errors.New("the token's email is too long or not printable")
	ErrGroups          = errors.New("the token's groups are not a list of strings within bounds")
	ErrEvent           = errors.New("the token is not a logout event, or carries a nonce")
	ErrSecondOpinion   = errors.New("the second verifier refuses the token")
	ErrDiscovery       = errors.New("the provider's discovery document is wrong")
	ErrUnreachable     = errors.New("the provider does not answer")
	ErrNoLogout        = errors.New("the provider has no end_session_endpoint")
)

// A ProviderError is an error that the provider itself reported. Code is from the registered lists, or "unregistered": what
// stands in a query is an attacker's, and does not reach the log.
type ProviderError struct{ Code string }

// Error implements error.
func (e *ProviderError) Error() string { return "the provider reports " + e.Code }

// The codes of RFC 6749 sections 4.1.2.1 and 5.2, and of OpenID Connect Core 1.0 section 3.1.2.6.
var registered = []string{"invalid_request", "unauthorized_client", "access_denied", "unsupported_response_type", "invalid_scope",
	"server_error", "temporarily_unavailable", "invalid_client", "invalid_grant", "unsupported_grant_type", "interaction_required",
	"login_required", "account_selection_required", "consent_required", "invalid_request_uri", "invalid_request_object",
	"request_not_supported", "request_uri_not_supported", "registration_not_supported", "unmet_authentication_requirements"}

func reported(code string) *ProviderError {
	if !slices.Contains(registered, code) {
		code = "unregistered"
	}
	return &ProviderError{code}
}

// refuse turns a cause into the refusal that leaves this package. The person reads the same sentence whatever the check was: it
// says what to do, and tells an attacker nothing.
func refuse(cause error) error {
	var code *ProviderError
	if errors.Is(cause, ErrUnreachable) || errors.Is(cause, ErrDiscovery) ||
		errors.As(cause, &code) && (code.Code == "server_error" || code.Code == "temporarily_unavailable") {
		return unavailable(cause)
	}
	return &layer.Refusal{By: layer.Identity, Reason: layer.Unauthenticated,
		Public: "Sign-in was not completed. Please start again.", Cause: cause}
}

func unavailable(cause error) error {
	return &layer.Refusal{By: layer.Identity, Reason: layer.Unavailable,
		Public: "The sign-in provider does not answer. Please try again in a moment.", Cause: cause}
}
