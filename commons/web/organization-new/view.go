// Package organizationnew is the model of the page that makes an organization, GET /organizations/new.
package organizationnew

// A View offers the form, POST /organizations with "name".
type View struct {
	MaxName int // characters
}
