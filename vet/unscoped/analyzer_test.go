package unscoped_test

import (
	"testing"

	"github.com/redoubt-dev/redoubt/vet/internal/vettest"
	"github.com/redoubt-dev/redoubt/vet/unscoped"
)

func TestWhatGoesAroundALayerIsFound(t *testing.T) { // SYSTEM G2
	vettest.Run(t, unscoped.Analyzer, "unscoped", "github.com/redoubt-dev/redoubt/layer/identity")
}
