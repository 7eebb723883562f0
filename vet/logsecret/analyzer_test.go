package logsecret_test

import (
	"testing"

	"github.com/redoubt-dev/redoubt/vet/internal/vettest"
	"github.com/redoubt-dev/redoubt/vet/logsecret"
)

func TestNoSecretIsLogged(t *testing.T) { // SYSTEM S6, G2
	vettest.Run(t, logsecret.Analyzer, "logsecret")
}
