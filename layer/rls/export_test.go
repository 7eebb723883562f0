package rls

import "github.com/redoubt-dev/redoubt/layer"

// ParseID is how an id that somebody sent is read before it is judged.
var ParseID = parseID

// Admits is what every id is judged by.
func Admits(org layer.OrgID, id [16]byte) bool { return tagOf(org).admits(id) }
