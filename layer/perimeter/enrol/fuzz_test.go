package enrol_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt/layer/perimeter/enrol"
	"github.com/redoubt-dev/redoubt/layer/perimeter/state"
)

func authority(f *testing.F) *enrol.Authority {
	folder, err := state.Open(f.TempDir())
	if err != nil {
		f.Fatal(err)
	}
	a, err := enrol.Open(folder, "edge-1")
	if err != nil {
		f.Fatal(err)
	}
	return a
}

// A token has one spelling: what is read is written again as it was.
func FuzzToken(f *testing.F) {
	token, err := authority(f).Invite("wiki", []string{"edge.example:443", "[2001:db8::1]:8443"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(token)
	f.Add(token[:40])
	f.Add("redoubt-invite-")
	f.Fuzz(func(t *testing.T, token string) {
		again, err := enrol.ParseToken(token)
		if err == nil && again != strings.TrimSpace(token) {
			t.Errorf("got %q for %q", again, token)
		}
		body := enrol.Token([]byte(token)) // what bytes with a right checksum may hold
		if again, err := enrol.ParseToken(body); err == nil && again != body {
			t.Errorf("got %q for %q", again, body)
		}
	})
}

// A message is taken or refused, and says the same when it is written again.
func FuzzMessage(f *testing.F) {
	f.Add([]byte(`{"ask":"news"}`))
	f.Add([]byte(`{"ask":"renew","key":"AA==","proof":"AA=="}`))
	f.Add([]byte(`{"is":"done","application":"wiki","authorities":["sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="],"keys":[],"edges":["a:1"]}`))
	f.Add([]byte(`{"is":"later"}{}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, parse := range []func([]byte) (any, error){enrol.ParseRequest, enrol.ParseAnswer} {
			first, err := parse(b)
			if err != nil {
				continue
			}
			again, err := json.Marshal(first)
			if err != nil {
				t.Fatal(err)
			}
			second, err := parse(again)
			if err != nil {
				t.Fatalf("%s is not taken again: %v", again, err)
			}
			if third, _ := json.Marshal(second); string(third) != string(again) {
				t.Errorf("%s became %s", again, third)
			}
		}
	})
}

// Whatever an edge answers, a connector's credential is whole afterwards; whatever a connector says, the authority goes on.
func FuzzControl(f *testing.F) {
	a := authority(f)
	c, err := a.Provision("wiki", []string{"edge.example:443"})
	if err != nil {
		f.Fatal(err)
	}
	all, err := a.Connectors()
	if err != nil {
		f.Fatal(err)
	}
	c.Want()
	renewal, err := c.Renewal()
	if err != nil {
		f.Fatal(err)
	}
	answer, err := a.Control(all[0], renewal)
	if err != nil {
		f.Fatal(err)
	}
	kept, err := c.MarshalJSON()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(renewal)
	f.Add(answer)
	f.Add(kept)
	f.Fuzz(func(t *testing.T, b []byte) {
		a.Control(all[0], b)
		var other enrol.Credential
		if err := other.UnmarshalJSON(kept); err != nil {
			t.Fatal(err)
		}
		other.Control(b)
		if other.ID() != c.ID() || other.Application() != "wiki" || len(other.Edges()) == 0 || len(other.Keys()) == 0 {
			t.Errorf("it became %v", &other)
		}
		var loaded enrol.Credential
		if loaded.UnmarshalJSON(b) == nil && (loaded.ID() == "" || len(loaded.Edges()) == 0 || len(loaded.Keys()) == 0) {
			t.Errorf("%q is taken for a credential", b)
		}
	})
}

// The largest answer fits a message.
func TestTheLargestAnswerFits(t *testing.T) {
	w := newWorld(t)
	b, err := enrol.LargestAnswer(w.join().Certificate().Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	if len(b) > enrol.MaxMessage {
		t.Errorf("it has %d bytes", len(b))
	}
	t.Logf("%d bytes", len(b))
}
