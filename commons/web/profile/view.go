// Package profile is the model of the viewer's own profile, GET and POST /profile.
package profile

import (
	"time"

	"github.com/redoubt-dev/redoubt/commons/web/attached"
)

// A View is the profile that the application keeps, beside the facts that the identity provider owns (SYSTEM I2).
// Its form has "display_name" and "bio"; POST /profile/avatar has a file, "picture", and POST /profile/avatar/delete nothing; another,
// POST /profile/delete, has nothing either and deletes the viewer (SYSTEM I8).
type View struct {
	DisplayName string
	Bio         string
	Picture     string          // the file with the viewer's picture; empty for none
	Upload      attached.Limits // of the form for it
	MaxName     int             // characters; zero shows no counter
	MaxBio      int

	// Read-only: the provider's.
	Name     string
	Email    string
	Provider string // as people know it: "Acme sign-on", or the issuer
	Groups   []string
	Joined   time.Time // when the profile was made
}
