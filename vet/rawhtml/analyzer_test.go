package rawhtml_test

import (
	"testing"

	"github.com/redoubt-dev/redoubt/vet/internal/vettest"
	"github.com/redoubt-dev/redoubt/vet/rawhtml"
)

func TestOnlyConstantsAreHTML(t *testing.T) { // SYSTEM N3, G2
	vettest.Run(t, rawhtml.Analyzer, "rawhtml")
}
