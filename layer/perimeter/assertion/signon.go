package assertion

import (
	"errors"
	"slices"
	"time"
	"unicode/utf8"
)

// The ways in which somebody was let in.
const (
	ByProvider = "provider" // signed in at an OpenID Connect provider
	ByMail     = "mail"     // by a link sent to their address
	ByService  = "service"  // a program, by its token
	ByNobody   = "nobody"   // a policy lets everybody in here
)

// A SignOn is whom the edge let in. The application may show it or compare it; it decides nothing by itself there.
type SignOn struct {
	By       string    `json:"by"`
	Subject  string    `json:"sub,omitempty"`   // the provider's name for the person, or the service's name
	Provider string    `json:"idp,omitempty"`   // the provider's name in the edge's configuration
	Email    string    `json:"email,omitempty"` // verified
	Groups   []string  `json:"groups,omitempty"`
	Session  string    `json:"sid,omitempty"` // of the edge, not a secret
	At       time.Time `json:"auth_time,omitzero"`
	// GroupsOmitted says that there are groups, too many for the assertion: Groups is empty, and not because they are in none.
	GroupsOmitted bool `json:"groups_omitted,omitempty"`
}

// Nobody reports whether a policy let everybody in, so that there is no one to name.
func (s SignOn) Nobody() bool { return s.By == ByNobody }

// Equal reports whether both say the same, to the second.
func (s SignOn) Equal(o SignOn) bool {
	return s.By == o.By && s.Subject == o.Subject && s.Provider == o.Provider && s.Email == o.Email && s.Session == o.Session &&
		s.At.Unix() == o.At.Unix() && s.GroupsOmitted == o.GroupsOmitted && slices.Equal(s.Groups, o.Groups)
}

// Clone shares nothing with s.
func (s SignOn) Clone() SignOn {
	s.Groups = slices.Clone(s.Groups)
	return s
}

// check refuses what contradicts itself, at both ends: nobody with a name would be somebody to a careless reader.
func (s SignOn) check() error {
	switch s.By {
	case ByProvider:
		if s.Subject == "" || s.Provider == "" {
			return errors.New("somebody whom a provider signed in has no name there")
		}
	case ByMail:
		if s.Email == "" {
			return errors.New("somebody who was let in by mail has no address")
		}
	case ByService:
		if s.Subject == "" {
			return errors.New("a service has no name")
		}
	case ByNobody:
		if !s.Equal(SignOn{By: ByNobody, At: s.At}) {
			return errors.New("nobody has a name")
		}
	default:
		return errors.New("it is not said how somebody was let in")
	}
	for _, text := range append([]string{s.Subject, s.Provider, s.Email, s.Session}, s.Groups...) {
		if !utf8.ValidString(text) {
			return errors.New("a name is not UTF-8, so that two of them would be spelled alike")
		}
	}
	if s.GroupsOmitted && len(s.Groups) > 0 {
		return errors.New("groups are both named and left out")
	}
	return nil
}
