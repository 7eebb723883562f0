package unscoped

import (
	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/layer/identity"
	_ "github.com/redoubt-dev/redoubt/layer/layertest" // want `layertest: it is for tests`
)

// InsecureOfOurOwn is not Redoubt's.
func InsecureOfOurOwn() {}

func around(ids *identity.Service, cfg redoubt.Config) {
	ids.InsecureSignIn("ada@acme.test")                // want `InsecureSignIn: it goes around a layer`
	cfg.InsecureWithoutPerimeter = true                // want `InsecureWithoutPerimeter: it goes around a layer`
	_ = redoubt.Config{InsecureWithoutPerimeter: true} // want `InsecureWithoutPerimeter: it goes around a layer`
	_ = identity.SessionCookie("token")                // want `SessionCookie: it is for tests`
	InsecureOfOurOwn()
	signIn := ids.InsecureSignIn // want `InsecureSignIn: it goes around a layer`
	signIn("")
}
