package unscoped

import "github.com/redoubt-dev/redoubt/layer/identity"

var cookie = identity.SessionCookie("a test may")
