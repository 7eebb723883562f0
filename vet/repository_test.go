package vet_test

import (
	"testing"

	"github.com/redoubt-dev/redoubt/vet"
)

// The analyzers are run over Redoubt itself, Commons and its commands included: what they find is in vet/allow.txt, with its reason.
func TestThisRepository(t *testing.T) { // SYSTEM G2, N4, A3
	found, err := vet.Run(t.Context(), vet.Config{Dir: ".."})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		t.Error(f)
	}
}

func TestEveryAnalyzerIsDescribed(t *testing.T) {
	seen := map[string]bool{}
	for _, a := range vet.Analyzers() {
		if a.Name == "" || a.Doc == "" || a.Run == nil || seen[a.Name] {
			t.Errorf("%q is there twice, or says too little of itself", a.Name)
		}
		seen[a.Name] = true
	}
}
