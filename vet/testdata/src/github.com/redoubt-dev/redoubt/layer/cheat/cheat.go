// Package cheat is where the compiler would let it forge.
package cheat

import (
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/internal/mint"
)

func forged() layer.Principal {
	return mint.Principal(mint.Facts{Profile: "ada"}).(layer.Principal) // want `mint\.Principal: whoever can mint can be anybody`
}

func taken() {
	mint.Principal = nil // want `mint\.Principal: whoever can mint can be anybody`
}
