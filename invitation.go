package redoubt

import (
	"net/http"
)

// AcceptPath is the path of an invitation with its token: an application shows the invitation there (identity.Service.Offer), and Redoubt
// takes the form of that page, which says yes.
const AcceptPath = "/invitations/{token}"

type (
	acceptance struct {
		Token    string `path:"token" maxLength:"64"`
		Provider string `json:"provider,omitempty" maxLength:"32" doc:"at which provider to sign in, where there are several"`
	}
	newOrganization struct {
		Name string `json:"name" minLength:"1" maxLength:"100" pattern:"\\S(.*\\S)?"`
	}
)

// forOrganizations are Redoubt's own about who belongs where.
func (s *Server) forOrganizations() []Route {
	return []Route{
		own[acceptance]("POST "+AcceptPath, Public, s.acceptInvitation),
		own[newOrganization]("POST /organizations", Members, s.createOrganization),
	}
}

// acceptInvitation leads to the provider, also who is signed in: it alone can say which address is theirs. They come back by the callback
// of every sign-in, and only there is anything accepted.
func (s *Server) acceptInvitation(c *call) error {
	return s.cfg.Identity.AcceptInvitation(c.w, c.r, c.r.PostFormValue("provider"), c.r.PathValue("token"))
}

func (s *Server) createOrganization(c *call) error {
	if err := s.cfg.Identity.CreateOrganization(c.w, c.r, c.who, c.r.PostFormValue("name")); err != nil {
		return err
	}
	http.Redirect(c.w, c.r, "/", http.StatusSeeOther)
	return nil
}
