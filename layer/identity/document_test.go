package identity_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt/layer/identity"
	"github.com/redoubt-dev/redoubt/layer/layertest"
)

// What docs/machines.md tells scanners and administrators is what the program does.
func TestTheDocumentOfMachinesIsTrue(t *testing.T) { // SYSTEM I9
	text, err := os.ReadFile("../../docs/machines.md")
	if err != nil {
		t.Fatal(err)
	}
	w := layertest.World(t, scoped)
	mustTrust(t, w, w.Administrator("Acme").Principal(), newTrust())
	issued, err := exchange(t, w, w.MachineToken("Acme").Sign(t))
	if err != nil {
		t.Fatal(err)
	}
	secrets := map[string]string{identity.KeyPattern: w.Member("Acme").APIKey("posts:write"), identity.MachinePattern: issued.Token, identity.EndpointPattern: ""}
	for pattern, secret := range secrets {
		if !strings.Contains(string(text), "`"+pattern+"` |") {
			t.Errorf("the document does not have %s", pattern)
		}
		if secret != "" && !regexp.MustCompile(`^`+pattern+`$`).MatchString(secret) {
			t.Errorf("a secret does not match %s", pattern)
		}
	}
	rows := regexp.MustCompile("(?m)^\\| `([^`]+)` \\| `([^`]+)` \\| (fits|does not) \\|$").FindAllStringSubmatch(string(text), -1)
	if len(rows) < 8 {
		t.Fatalf("the document has %d examples of patterns", len(rows))
	}
	for _, row := range rows {
		if got := identity.Fits(row[1], row[2]); got != (row[3] == "fits") {
			t.Errorf("the document says that %s %s %s", row[2], row[3], row[1])
		}
	}
	for _, word := range []string{"api_key.new_network", "federation.refused", "federation.altered"} {
		if !strings.Contains(string(text), "`"+word+"`") {
			t.Errorf("the document does not have %s", word)
		}
	}
}
