package identity

// What package identity writes into the audit trail by itself (SYSTEM M1, U1). What the database's functions write, for a caller who
// is known, stands in the schema: session.revoked, session.revoked_others, member.*, api_key.*, endpoint.*.
const (
	eventOpened          = "session.opened"            // a person has signed in
	eventSwitched        = "session.switched"          // a person has gone on in another of their organizations, by a new session
	eventClosed          = "session.closed"            // a person has signed out
	eventRefreshed       = "session.refreshed"         // the provider was asked anew which groups the person is in, and has answered
	eventEndedByProvider = "session.ended_by_provider" // the provider says that the session is over: by a logout token, or instead of a refresh
	eventLimit           = "session.limit"             // the person's oldest session has ended, because they have opened one too many
	eventSignInRefused   = "sign_in.refused"           // nobody has come in; the entity's id names the check that refused
	eventLogoutRefused   = "logout_token.refused"      // a logout token was not heeded; the entity's id names the check that refused
)

// The same about proving once more who one is, written for the organization of the session that had to.
const (
	eventProved      = "session.proved"  // a person has proved once more who they are, and has a new session for the one that the entity names
	eventStepRefused = "step_up.refused" // a person who was to prove it did not; the entity's id is one of the words below
	otherSession     = "other_session"   // they came back to another session than they left, or it had ended
	otherPerson      = "other_person"    // somebody else signed in; the session that asked has ended
	tooWeak          = "too_weak"        // the provider does not say the level that was needed
)

// The same about machines. identity.use_api_key writes api_key.new_network, when a key is used from a network that it was never used from,
// and not for the first time; federation.created and federation.revoked are written with the trust itself.
const (
	eventExchanged = "federation.exchanged" // a machine's token of its issuer's was exchanged for one of ours; says by which trust, and for which subject
	eventUntrusted = "federation.refused"   // one was not; says the reason in one of the words below, and the trust if it was known
	eventAltered   = "federation.altered"   // a trust's row is not as its maker sealed it, and is not believed: somebody has written to the store
)

// Why an exchange was refused.
const (
	reasonMalformed = "malformed" // the request was not one by RFC 8693, or the token cannot be read at all
	reasonIssuer    = "issuer"    // the token is of no issuer that this deployment trusts
	reasonToken     = "token"     // the token is not authentic, or not of this day; the check that says so is named beside it
	reasonAudience  = "audience"  // the token is not for one organization of this deployment, and for it alone
	reasonTarget    = "target"    // the request names another audience than its token
	reasonSubject   = "subject"   // no living trust of the organization fits the token's issuer and subject
	reasonScope     = "scope"     // no trust that fits gives all that was asked for
	reasonReplayed  = "replayed"  // the token was exchanged before, as often as the trust allows
	reasonLimit     = "limit"     // the trust has a thousand living tokens
)

// The same about who belongs to an organization, written for the organization that it is about. What a caller does, the database's functions
// write: organization.changed, organization.transferred, member.appointed, role.*, invitation.created, .renewed and .revoked.
const (
	eventFounded           = "organization.created" // a person whose groups allow it has made an organization, and owns it
	eventAdmitted          = "member.admitted"      // somebody has come in because a group of theirs is mapped to the organization
	eventReadmitted        = "member.readmitted"    // a member who had left the group is in it again
	eventLapsed            = "member.lapsed"        // a member has left the group by which they came in, and with it the organization
	eventRoleFollowed      = "member.role_followed" // a member's role has become what their groups say now
	eventInvitationUsed    = "invitation.accepted"  // somebody whose verified address it was sent to has taken it
	eventInvitationRefused = "invitation.refused"   // a sign-in brought an invitation that did not let them in; the entity's id is the outcome of identity.accept_invitation
)
