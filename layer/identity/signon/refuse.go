package signon

import (
	"errors"
	"slices"

	"github.com/redoubt-dev/redoubt/layer"
)

// A cause is one check that refuses. Its name is for the audit trail and for detectors (SYSTEM M1), and stays the same when the
// sentence is written better.
type cause struct{ name, sentence string }

// Error implements error.
func (c *cause) Error() string { return c.sentence }

var vocabulary []string

func because(name, sentence string) error {
	vocabulary = append(vocabulary, name)
	return &cause{name, sentence}
}

// The causes of a refusal: each names the one check that refused. None of them, and nothing wrapped with them, holds a token, a
// code or a secret.
var (
	ErrPending         = because("pending", "the pending sign-in is empty or malformed")
	ErrStale           = because("stale", "the pending sign-in or the logout token is too old, or from the future")
	ErrQuery           = because("query", "the callback repeats a parameter, or has too long a one")
	ErrState           = because("state", "the state is not the one that was begun with")
	ErrReplayed        = because("replayed", "the answer was taken before")
	ErrMixUp           = because("mix_up", "the answer is of another provider than the one that was asked, or does not say (RFC 9207)")
	ErrCode            = because("code", "the answer does not carry exactly one code")
	ErrExchange        = because("exchange", "the provider does not exchange the code")
	ErrTokenResponse   = because("token_response", "the provider's token response cannot be read")
	ErrNoIDToken       = because("no_id_token", "the token response has no ID token")
	ErrMalformed       = because("malformed", "the token is not a compact, strict JSON Web Token within bounds")
	ErrHeader          = because("header", "the token's header brings a key, an extension or a nested token")
	ErrAlgorithm       = because("algorithm", "the token's algorithm is not an allowed one")
	ErrType            = because("type", "the token is of another type")
	ErrKey             = because("key", "the token's key is not one of the provider's")
	ErrSignature       = because("signature", "the token's signature is wrong")
	ErrIssuer          = because("issuer", "the token is from another issuer")
	ErrAudience        = because("audience", "the token is for another audience")
	ErrAuthorizedParty = because("authorized_party", "the token's azp is missing or another party")
	ErrExpired         = because("expired", "the token has expired, or says not when")
	ErrNotYet          = because("not_yet", "the token is not valid yet")
	ErrIssuedAt        = because("issued_at", "the token's iat is missing, in the future, or too long ago")
	ErrNonce           = because("nonce", "the token's nonce is not the one that was begun with")
	ErrAccessTokenHash = because("at_hash", "the token's at_hash does not belong to the access token")
	ErrAuthTime        = because("auth_time", "the person has not proved themselves recently enough")
	ErrSubject         = because("subject", "the sub is empty, too long, not printable, or another person's")
	ErrEmail           = because("email", "the token's email is too long or not printable")
	ErrGroups          = because("groups", "the token's groups are not a list of strings within bounds")
	ErrUserinfo        = because("userinfo", "the provider's userinfo cannot be read, or is about somebody else")
	ErrEvent           = because("event", "the token is not a logout event, or carries a nonce")
	ErrSecondOpinion   = because("second_opinion", "the second verifier refuses the token")
	ErrDiscovery       = because("discovery", "the provider's discovery document is wrong")
	ErrUnreachable     = because("unreachable", "the provider does not answer")
	ErrNoLogout        = because("no_logout", "the provider has no end_session_endpoint")
	ErrRefused         = because("refresh_refused", "the provider does not renew the sign-in, or not for this person")
	ErrMemory          = because("memory", "whether the logout token was heeded before cannot be found out")
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

const unregistered = "unregistered"

func reported(code string) *ProviderError {
	if !slices.Contains(registered, code) {
		code = unregistered
	}
	return &ProviderError{code}
}

// Name returns the short name of the check because of which err refused, for the audit trail, and "" for an error that is not of
// this package. It is always one of Names. Of a refused refresh it names the check behind it, if there is one.
func Name(err error) string {
	name := nameOf(err)
	if name == "" && errors.Is(err, ErrRefused) {
		return nameOf(ErrRefused.(*cause))
	}
	return name
}

// nameOf walks err as errors.As does, from the outside in and from the left to the right, and takes the first name that says
// more than that a refresh was refused.
func nameOf(err error) string {
	switch e := err.(type) {
	case *cause:
		return e.name
	case *ProviderError:
		return "provider." + e.Code
	}
	for _, inner := range unwrap(err) {
		if inner == ErrRefused {
			continue
		}
		if name := nameOf(inner); name != "" {
			return name
		}
	}
	return ""
}

func unwrap(err error) []error {
	switch e := err.(type) {
	case interface{ Unwrap() []error }:
		return e.Unwrap()
	case interface{ Unwrap() error }:
		return []error{e.Unwrap()}
	default:
		return nil
	}
}

// Names is the closed vocabulary of Name: a detector or a document that knows all of these knows all there are.
func Names() []string {
	names := slices.Clone(vocabulary)
	for _, code := range append(slices.Clone(registered), unregistered) {
		names = append(names, "provider."+code)
	}
	return names
}

// refuse turns a cause into the refusal that leaves this package. The person reads the same sentence whatever the check was: it
// says what to do, and tells an attacker nothing.
func refuse(cause error) error {
	var code *ProviderError
	if errors.Is(cause, ErrUnreachable) || errors.Is(cause, ErrDiscovery) || errors.Is(cause, ErrMemory) ||
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
