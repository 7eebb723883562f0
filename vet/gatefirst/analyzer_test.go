package gatefirst_test

import (
	"testing"

	"github.com/redoubt-dev/redoubt/vet/gatefirst"
	"github.com/redoubt-dev/redoubt/vet/internal/vettest"
)

func TestAChangeAsksTheGateFirst(t *testing.T) { // SYSTEM A3, G2
	vettest.Run(t, gatefirst.Analyzer, "gatefirst")
}
