// Package onboarding is the model of the page that a person meets at the first sign-in, GET and POST /onboarding (SYSTEM I2).
package onboarding

// A View proposes what the provider knows; the person decides. Its form has "display_name" and "bio".
type View struct {
	DisplayName string // proposed
	Bio         string // proposed; usually empty
	MaxName     int    // characters; zero shows no counter
	MaxBio      int
}
