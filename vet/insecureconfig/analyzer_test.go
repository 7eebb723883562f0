package insecureconfig_test

import (
	"testing"

	"github.com/redoubt-dev/redoubt/vet/insecureconfig"
	"github.com/redoubt-dev/redoubt/vet/internal/vettest"
)

func TestNoSettingSwitchesACheckOff(t *testing.T) { // SYSTEM T3, P3, G2
	vettest.Run(t, insecureconfig.Analyzer, "insecureconfig")
}
