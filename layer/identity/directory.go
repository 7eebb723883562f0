package identity

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/rls"
)

// eventProvisioningRefused: a provider's program, or somebody in its place, was refused; the entity's id is the refusal's reason. What its
// requests do is recorded by the functions of schema/0008_scim.sql: scim.user_created, scim.user_changed, scim.user_deleted, scim.user_claimed,
// scim.group_created, scim.group_changed, scim.group_deleted, scim.role_given, scim.provider_chosen, and member.* as for everybody.
const eventProvisioningRefused = "scim.refused"

const (
	speakOf      = `select redoubt.scim_speak_of($1, $2)`
	ownProviders = `select issuer from redoubt.scim_providers()`
)

// IdentifyEndpoint returns as whom a request is taken that presents an endpoint's credential in the Authorization header, and nothing
// else. A request without that header is nobody's: a session's cookie counts for nothing here, and an endpoint's credential counts for nothing in Identify.
func (s *Service) IdentifyEndpoint(r *http.Request) (layer.Principal, error) {
	headers, ok := r.Header["Authorization"]
	if !ok {
		return layer.Principal{}, nil
	}
	if len(headers) != 1 {
		return layer.Principal{}, refuse(layer.Unauthenticated, "Present the credential of one endpoint.", errScheme)
	}
	scheme, credential, _ := strings.Cut(headers[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return layer.Principal{}, refuse(layer.Unauthenticated, "Present the credential of one endpoint.", errScheme)
	}
	return s.Endpoint(r.Context(), credential)
}

// RecordRefusedProvisioning writes to the audit trail that a request to provision was refused. That it could not be written lets nobody
// in: the refusal stands. A store that does not answer is no refusal of anybody's.
func (s *Service) RecordRefusedProvisioning(ctx context.Context, who layer.Principal, refusal *layer.Refusal) {
	if refusal.Reason == layer.Unavailable || errors.Is(refusal.Cause, context.Canceled) {
		return
	}
	var organization, endpoint *string
	if !who.Nobody() {
		org, id := string(who.Organization()), who.CredentialID()
		organization, endpoint = &org, &id
	}
	s.pool.Exec(ctx, recordEvent, organization, nil, endpoint, layer.VisitFrom(ctx).String(), "security", eventProvisioningRefused, "endpoint", string(refusal.Reason))
}

// SpeakOf chooses of which of its organization's providers an endpoint speaks, where there are several: whose people it announces. It needs
// the scopes endpoints:write and scim:manage, and a session.
func SpeakOf(tx *rls.Tx, endpoint, issuer string) error {
	return found(rls.One[bool](tx, speakOf, rowID(endpoint), issuer))
}

// OwnProviders lists the issuers that whoever provisions has said are the asker's organization's own. Without one its provider can announce
// nobody, and of several SpeakOf chooses. It needs the scope scim:manage.
func OwnProviders(asker rls.Asker) ([]string, error) { return rls.All[string](asker, ownProviders) }
