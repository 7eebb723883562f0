// Package profile is the model of the viewer's own profile, GET and POST /profile.
package profile

import "time"

// A View is the profile that the application keeps, beside the facts that the identity provider owns (SYSTEM I2).
// Its form has "display_name" and "bio"; another, POST /profile/delete, has nothing and deletes the viewer (SYSTEM I8).
type View struct {
	DisplayName string
	Bio         string
	MaxName     int // characters; zero shows no counter
	MaxBio      int

	// Read-only: the provider's.
	Name     string
	Email    string
	Provider string // as people know it: "Acme sign-on", or the issuer
	Groups   []string
	Joined   time.Time // when the profile was made
}
