// Package keycreated is the model of the one page that ever shows a key's secret. It answers POST /keys directly, so that
// the secret is in no address, no store and no second response (SYSTEM I9).
package keycreated

import "time"

// A View is a key that has just been made.
type View struct {
	Name    string
	Secret  string // shown here and never again
	Scopes  []string
	Expires time.Time
}
