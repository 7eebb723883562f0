// Package directorycreated is the model of the one page that ever shows the credential of a provider's connection. It answers POST
// /admin/directory directly, so that the credential is in no address, no store and no second response.
package directorycreated

// A View is a connection that has just been made.
type View struct {
	Name       string
	Address    string
	Credential string // shown here and never again
}
