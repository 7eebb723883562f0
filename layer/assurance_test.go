package layer_test

import (
	"errors"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/internal/mint"
)

func TestAnAssuranceIsTold(t *testing.T) { // SYSTEM I6
	for want, a := range map[string]layer.Assurance{
		"":                         {},
		"fresh 30m":                {Within: 30 * time.Minute},
		"fresh 1.5m":               {Within: 90 * time.Second},
		"mfa":                      {Level: "mfa"},
		"fresh 60m, mfa, keys too": {Within: time.Hour, Level: "mfa", Keys: true},
	} {
		if got := a.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if asks := a.Within != 0 || a.Level != ""; a.Asks() != asks {
			t.Errorf("%q asks: %t", want, a.Asks())
		}
	}
	why := errors.New("too old")
	unmet := &layer.Unmet{Needs: layer.Assurance{Within: time.Minute}, Err: why}
	if !errors.Is(unmet, why) || unmet.Error() != "too old (needs fresh 1m)" {
		t.Errorf("got %q", unmet)
	}
}

func TestAPrincipalIsAssuredOfWhatItsProviderSaid(t *testing.T) { // SYSTEM I6
	said := []string{"mfa", "pwd"}
	p := made(mint.Facts{Kind: "session", Assurance: said})
	said[0] = "urn:gold"
	for level, want := range map[string]bool{"mfa": true, "pwd": true, "urn:gold": false, "": false, "mf": false} {
		if p.Assured(level) != want {
			t.Errorf("%q: got %t", level, !want)
		}
	}
	if made(mint.Facts{Kind: "session", Assurance: []string{""}}).Assured("") || (layer.Principal{}).Assured("mfa") {
		t.Error("an empty level, or nobody, is assured")
	}
}
