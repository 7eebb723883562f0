package forgedprincipal_test

import (
	"testing"

	"github.com/redoubt-dev/redoubt/vet/forgedprincipal"
	"github.com/redoubt-dev/redoubt/vet/internal/vettest"
)

func TestAPrincipalComesFromIdentity(t *testing.T) { // SYSTEM A4, G2
	vettest.Run(t, forgedprincipal.Analyzer, "forgedprincipal", "github.com/redoubt-dev/redoubt/layer/cheat")
}
