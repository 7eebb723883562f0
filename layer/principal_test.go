package layer_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/internal/mint"
)

const credential = "rds_the-callers-own-secret"

func made(f mint.Facts) layer.Principal { return mint.Principal(f).(layer.Principal) }

var alice = mint.Facts{Person: "p", Profile: "alice", Organization: "acme", Kind: "session", ID: "s1", Administrator: true,
	Scopes: []string{"posts:read"}, Credential: credential}

func TestAPrincipalNeverPrintsItsCredential(t *testing.T) { // SYSTEM U5, S6
	p := made(alice)
	printed := map[string]string{}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%p", "%t", "%T", "%w", "% x", "%#x"} {
		printed[verb] = fmt.Sprintf(verb, p)
		printed[verb+" of a pointer"] = fmt.Sprintf(verb, &p)
		printed[verb+" of a slice"] = fmt.Sprintf(verb, []layer.Principal{p})
		printed[verb+" of a struct"] = fmt.Sprintf(verb, struct{ Who layer.Principal }{p})
		printed[verb+" of a hidden field"] = fmt.Sprintf(verb, struct{ who layer.Principal }{p})
		printed[verb+" of a map"] = fmt.Sprintf(verb, map[string]any{"who": p})
	}
	text, err := json.Marshal(map[string]any{"who": p, "also": []any{&p}})
	if err != nil {
		t.Fatal(err)
	}
	printed["json"] = string(text)
	var log bytes.Buffer
	for _, h := range []slog.Handler{slog.NewJSONHandler(&log, nil), slog.NewTextHandler(&log, nil)} {
		slog.New(h).Info("asked", "who", p, "pointer", &p, slog.Group("g", "who", p), "in", struct{ Who layer.Principal }{p})
	}
	printed["slog"] = log.String()
	printed["an error"] = fmt.Errorf("asking as %v: %w", p, errors.New("x")).Error()
	for how, got := range printed {
		if strings.Contains(got, credential) || strings.Contains(got, fmt.Sprintf("%x", credential)) || strings.Contains(got, "secret") {
			t.Errorf("%s prints the credential: %s", how, got)
		}
	}
	if got, want := p.String(), "session alice of acme"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := mint.Credential(p); got != credential {
		t.Errorf("the one door gives %q", got)
	}
}

func TestTheZeroPrincipalIsNobody(t *testing.T) {
	var p layer.Principal
	if !p.Nobody() || p.Interactive() || p.Administrator() || p.Has("") || p.Has("posts:read") || p.Organization() != "" || p.Profile() != "" ||
		p.Person() != "" || p.CredentialID() != "" || !p.AuthTime().IsZero() || p.String() != "nobody" || mint.Credential(p) != "" {
		t.Errorf("nobody is somebody: %v", p)
	}
}

func TestAPrincipalCannotBeChangedAfterwards(t *testing.T) {
	facts := alice
	facts.Scopes = []string{"posts:read"}
	p := made(facts)
	facts.Scopes[0], facts.Organization = "posts:write", "globex"
	if p.Has("posts:write") || !p.Has("posts:read") || p.Organization() != "acme" {
		t.Errorf("its maker's values changed it: %v", p)
	}
}

func TestARefusalCarriesItsAuthor(t *testing.T) {
	cause := errors.New("why")
	var err error = &layer.Refusal{By: layer.RLS, Reason: layer.NotFound, Public: "There is nothing here.", Cause: cause}
	if !errors.Is(err, cause) || err.Error() != "rls refused (not-found): why" {
		t.Errorf("got %q", err)
	}
	if got := (&layer.Refusal{By: layer.Input, Reason: layer.Invalid, Public: "No."}).Error(); got != "input refused (invalid): No." {
		t.Errorf("got %q", got)
	}
}

func TestAVisitIsTold(t *testing.T) {
	for _, c := range []struct {
		visit layer.Visit
		want  string
	}{
		{layer.Visit{}, "- "},
		{layer.Visit{RequestID: "r1"}, "- r1"},
		{layer.Visit{Address: netip.MustParseAddr("2001:db8::1"), RequestID: "r1"}, "2001:db8::1 r1"},
	} {
		if got := layer.VisitFrom(layer.WithVisit(t.Context(), c.visit)).String(); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
	if got := layer.VisitFrom(t.Context()); got != (layer.Visit{}) {
		t.Errorf("got %v from a bare context", got)
	}
}

func TestEveryLayerIsListedOnce(t *testing.T) {
	seen := map[layer.Layer]bool{}
	for _, l := range layer.All {
		if l == "" || seen[l] {
			t.Errorf("%q is listed twice", l)
		}
		seen[l] = true
	}
}
