// Package vettest runs an analyzer over the small programs of vet/testdata, each of which says in comments what is to be found in it.
// Stand-ins for Redoubt and for the modules that the analyzers know are there too, so that a test builds nothing else.
package vettest

import (
	"path/filepath"
	"testing"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/analysistest"
)

// Run is for the tests of folders directly beneath vet.
func Run(t *testing.T, a *analysis.Analyzer, programs ...string) {
	t.Helper()
	dir, err := filepath.Abs("../testdata")
	if err != nil {
		t.Fatal(err)
	}
	analysistest.Run(t, dir, a, programs...)
}
