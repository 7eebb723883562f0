package routeaccess_test

import (
	"testing"

	"github.com/redoubt-dev/redoubt/vet/internal/vettest"
	"github.com/redoubt-dev/redoubt/vet/routeaccess"
)

func TestARouteSaysWhoMayAsk(t *testing.T) { // SYSTEM A1, G2
	vettest.Run(t, routeaccess.Analyzer, "routeaccess")
}
