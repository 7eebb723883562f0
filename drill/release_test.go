package drill_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestNoReleaseCanTakeALayerOut looks for the drill in the program that is released, and finds it in the drill's own.
func TestNoReleaseCanTakeALayerOut(t *testing.T) { // SYSTEM G5
	for program, has := range map[string]bool{"redoubt": false, "drill": true} {
		built := filepath.Join(t.TempDir(), program)
		if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", built, "github.com/redoubt-dev/redoubt/cmd/"+program).CombinedOutput(); err != nil {
			t.Fatalf("building %s: %v\n%s", program, err, out)
		}
		out, err := exec.CommandContext(t.Context(), "go", "tool", "nm", built).Output()
		if err != nil {
			t.Fatalf("reading the symbols of %s: %v", program, err)
		}
		symbols := string(out)
		if !strings.Contains(symbols, "redoubt/command.Main") && !has {
			t.Fatal("these are no symbols of ours")
		}
		for _, of := range []string{"redoubt/drill/knockout", "redoubt/drill/target", "redoubt/drill/attack"} {
			if strings.Contains(symbols, of+".") != has {
				t.Errorf("%s holds symbols of %s: %t, want %t", program, of, !has, has)
			}
		}
		if strings.Contains(symbols, "knockedout") {
			t.Errorf("%s holds the switch of a drill's copy", program)
		}
	}
}
