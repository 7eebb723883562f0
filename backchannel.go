package redoubt

import (
	"net/http"

	"github.com/redoubt-dev/redoubt/layer"
)

// LogoutPath is where an identity provider says that a session has ended there; registered with it as the back-channel logout URI.
const LogoutPath = "/sign-on/logout"

// logoutRequest is OpenID Connect Back-Channel Logout 1.0 section 2.5. Other parameters are refused, and not ignored: nobody is known
// to send one, and what is not declared is not read here.
type logoutRequest struct {
	Token string `json:"logout_token" minLength:"1" maxLength:"16384" secret:"true"`
}

// forProviders are Redoubt's own routes that identity providers call, without a credential and never by a browser.
func (s *Server) forProviders() []Route {
	logout := own[logoutRequest]("POST "+LogoutPath, Public, s.providerLogout)
	logout.refused, logout.machines = refuseLogout, true
	return []Route{logout}
}

// providerLogout ends sessions by the provider's signed word alone (SYSTEM I5). Section 2.8: 200 if they have ended, 400 if not.
func (s *Server) providerLogout(c *call) error {
	if err := s.cfg.Identity.EndByProvider(c.r.Context(), c.r.PostFormValue("logout_token")); err != nil {
		return err
	}
	c.w.Header().Set("Cache-Control", "no-store")
	c.w.WriteHeader(http.StatusOK)
	return nil
}

// refuseLogout says the same of every token that was not heeded: whoever made one up learns nothing of how to mend it. The log and the
// audit trail have the name of the check.
func refuseLogout(c *call, _ *Problem, refusal *layer.Refusal) {
	answer := tokenError{"invalid_request", "The logout token was not heeded."}
	if refusal.Reason == layer.Unavailable {
		answer = tokenError{"temporarily_unavailable", "Nothing has ended. Please send it again in a moment."}
	}
	if err := c.tokenAnswer(http.StatusBadRequest, answer); err != nil {
		c.s.log.Error("answering a provider's logout", "cause", err)
	}
}
