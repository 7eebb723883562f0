package assertion_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/assertion"
)

// An office signs by a clock and with a key that a test sets.
type office struct {
	*assertion.Signer
	at  time.Time
	key assertion.SigningKey
}

func newOffice(t testing.TB, tokens int) *office {
	t.Helper()
	o := &office{at: now, key: signing}
	s, err := assertion.NewSigner(assertion.SignerConfig{
		Key:  func() assertion.SigningKey { return o.key },
		Keys: func() []assertion.VerifyKey { return []assertion.VerifyKey{o.key.Public()} }, Tokens: tokens,
		Now: func() time.Time { return o.at },
	})
	if err != nil {
		t.Fatal(err)
	}
	o.Signer = s
	return o
}

func (o *office) token(t testing.TB, application, link string, who assertion.SignOn) string {
	t.Helper()
	text, err := o.Token(application, link, who)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// SYSTEM P5: what is signed is what is read, for everybody who can be let in.
func TestWhoWasLetInArrives(t *testing.T) {
	o := newOffice(t, 0)
	for _, who := range []assertion.SignOn{
		alice, nobody,
		{By: assertion.ByMail, Email: "bob@acme.test", Session: "s2", At: now},
		{By: assertion.ByService, Subject: "deploy"},
		{By: assertion.ByProvider, Provider: "p", Subject: "<&\"\\é€>", GroupsOmitted: true},
	} {
		got, err := assertion.Open(o.token(t, "app", "link-1", who), keys, "app", "link-1", now)
		if err != nil || !got.Who.Equal(who) || !got.Issued.Equal(now) || !got.Expires.Equal(now.Add(assertion.TokenLife)) || got.Key != signing.ID {
			t.Errorf("token: got %+v, %v, want %+v", got, err, who)
		}
		header, err := o.Header("app", facts, who)
		if err != nil {
			t.Fatal(err)
		}
		word, err := assertion.OpenHeader(header, keys, "app", facts, now)
		if err != nil || !word.Who.Equal(who) || word.Request != facts || !word.Expires.Equal(now.Add(assertion.HeaderLife)) {
			t.Errorf("header: got %+v, %v, want %+v", word, err, who)
		}
	}
}

func TestWhatIsNotWholeIsNotSigned(t *testing.T) {
	o := newOffice(t, 0)
	change := func(f func(*assertion.SignOn)) assertion.SignOn { s := alice; f(&s); return s }
	for name, who := range map[string]assertion.SignOn{
		"no way in":                     {},
		"an unknown way in":             {By: "magic"},
		"nobody with a name":            {By: assertion.ByNobody, Subject: "alice"},
		"nobody with a group":           {By: assertion.ByNobody, Groups: []string{"ops"}},
		"nobody with a session":         {By: assertion.ByNobody, Session: "s"},
		"a provider's without a name":   change(func(s *assertion.SignOn) { s.Subject = "" }),
		"mail without an address":       {By: assertion.ByMail},
		"a service without a name":      {By: assertion.ByService},
		"a name that is not UTF-8":      change(func(s *assertion.SignOn) { s.Subject = "a\xff" }),
		"a group that is not UTF-8":     change(func(s *assertion.SignOn) { s.Groups = []string{"\xfe"} }),
		"a name without end":            change(func(s *assertion.SignOn) { s.Subject = strings.Repeat("x", assertion.MaxToken) }),
		"groups both named and omitted": change(func(s *assertion.SignOn) { s.GroupsOmitted = true }),
	} {
		if _, err := o.Token("app", "link-1", who); err == nil {
			t.Errorf("token for %s", name)
		}
		if _, err := o.Header("app", facts, who); err == nil {
			t.Errorf("header for %s", name)
		}
	}
	for _, at := range [][2]string{{"", "link-1"}, {"app", ""}} {
		if _, err := o.Token(at[0], at[1], alice); err == nil {
			t.Errorf("token for application %q, link %q", at[0], at[1])
		}
	}
	for name, r := range map[string]assertion.RequestFacts{
		"nothing":         {},
		"no client":       {Method: "GET", Host: "h", Target: "/", ID: "i"},
		"a long id":       {Method: "GET", Host: "h", Target: "/", ID: strings.Repeat("i", assertion.MaxID+1), Client: facts.Client},
		"no id":           {Method: "GET", Host: "h", Target: "/", Client: facts.Client},
		"no host":         {Method: "GET", Target: "/", ID: "i", Client: facts.Client},
		"no target":       {Method: "GET", Host: "h", ID: "i", Client: facts.Client},
		"no method":       {Host: "h", Target: "/", ID: "i", Client: facts.Client},
		"a host too long": {Method: "GET", Host: strings.Repeat("h", assertion.MaxHeader), Target: "/", ID: "i", Client: facts.Client},
	} {
		if _, err := o.Header("app", r, alice); err == nil {
			t.Errorf("header for a request of %s", name)
		}
	}
}

// Three hundred groups lock nobody out, and nobody is told that there are none.
func TestManyGroupsAreLeftOut(t *testing.T) {
	o := newOffice(t, 0)
	who := alice.Clone()
	for i := range 300 {
		who.Groups = append(who.Groups, fmt.Sprintf("a-group-with-quite-a-long-name-%d", i))
	}
	header, err := o.Header("app", facts, who)
	if err != nil || len(header) > assertion.MaxHeader {
		t.Fatalf("%d bytes, %v", len(header), err)
	}
	word, err := assertion.OpenHeader(header, keys, "app", facts, now)
	if err != nil || !word.Who.GroupsOmitted || word.Who.Groups != nil || word.Who.Subject != "alice" {
		t.Errorf("header: got %+v, %v", word.Who, err)
	}
	for range 300 {
		who.Groups = append(who.Groups, "another-group-with-quite-a-long-name")
	}
	got, err := assertion.Open(o.token(t, "app", "link-1", who), keys, "app", "link-1", now)
	if err != nil || !got.Who.GroupsOmitted || got.Who.Groups != nil {
		t.Errorf("token: got %+v, %v", got.Who, err)
	}
}

// SYSTEM P5: a token is signed once for half its life, and anew as soon as anything in it is different.
func TestTokensAreKept(t *testing.T) {
	o := newOffice(t, 0)
	first := o.token(t, "app", "link-1", alice)
	o.at = o.at.Add(assertion.TokenLife/2 - time.Second)
	if got := o.token(t, "app", "link-1", alice); got != first {
		t.Error("it was signed again")
	}
	change := func(f func(*assertion.SignOn)) assertion.SignOn { s := alice.Clone(); f(&s); return s }
	for name, got := range map[string]string{
		"another application": o.token(t, "app2", "link-1", alice),
		"another link":        o.token(t, "app", "link-2", alice),
		"nobody":              o.token(t, "app", "link-1", nobody),
		"another session":     o.token(t, "app", "link-1", change(func(s *assertion.SignOn) { s.Session = "s9" })),
		"other groups":        o.token(t, "app", "link-1", change(func(s *assertion.SignOn) { s.Groups[0] = "admin" })),
		"another address":     o.token(t, "app", "link-1", change(func(s *assertion.SignOn) { s.Email = "a@b.test" })),
		"signed on anew":      o.token(t, "app", "link-1", change(func(s *assertion.SignOn) { s.At = now })),
	} {
		if got == first {
			t.Errorf("%s: it was not signed again", name)
		}
	}
	first = o.token(t, "app", "link-1", alice)
	o.at = o.at.Add(assertion.TokenLife / 2)
	second := o.token(t, "app", "link-1", alice)
	if second == first {
		t.Error("it was not signed again at half its life")
	}
	o.key = assertion.NewSigningKey(other)
	if third := o.token(t, "app", "link-1", alice); third == second {
		t.Error("it was not signed again with the new key")
	} else if _, err := assertion.Open(third, []assertion.VerifyKey{o.key.Public()}, "app", "link-1", o.at); err != nil {
		t.Error(err)
	}
	before := o.token(t, "app", "link-1", alice)
	o.at = o.at.Add(-time.Hour)
	if o.token(t, "app", "link-1", alice) == before {
		t.Error("after the clock was set back, a token from the future is sent")
	}
}

// The caller's groups may change after the call; what is kept does not.
func TestKeptTokensShareNothing(t *testing.T) {
	o := newOffice(t, 0)
	who := alice.Clone()
	o.token(t, "app", "link-1", who)
	who.Groups[0] = "admin"
	got, err := assertion.Open(o.token(t, "app", "link-1", who), keys, "app", "link-1", now)
	if err != nil || got.Who.Groups[0] != "admin" {
		t.Errorf("got %v, %v", got.Who.Groups, err)
	}
}

// SYSTEM T6: kept tokens are bounded, and the one that was not used for longest goes.
func TestKeptTokensAreBounded(t *testing.T) {
	o := newOffice(t, 3)
	who := func(i int) assertion.SignOn { return assertion.SignOn{By: assertion.ByService, Subject: fmt.Sprint(i)} }
	first := o.token(t, "app", "link-1", who(0))
	for i := range 100 {
		o.token(t, "app", "link-1", who(i))
		if got := o.Kept(); got > 3 {
			t.Fatalf("%d are kept", got)
		}
		o.at = o.at.Add(time.Second) // so that one that is signed again differs
		if o.token(t, "app", "link-1", who(0)) != first {
			t.Fatal("one that is in use was forgotten")
		}
	}
	last := o.token(t, "app", "link-1", who(99))
	o.at = o.at.Add(time.Second)
	o.token(t, "app", "link-1", who(1))
	o.token(t, "app", "link-1", who(2))
	o.token(t, "app", "link-1", who(3))
	if o.token(t, "app", "link-1", who(99)) == last {
		t.Error("one that was pushed out is still there")
	}
}

// Concurrent use is safe, whatever the key does meanwhile.
func TestSignersAreSharedSafely(t *testing.T) {
	o := newOffice(t, 2)
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for range 20 {
				text, err := o.Token("app", fmt.Sprint(i%3), alice)
				if err == nil {
					_, err = assertion.Open(text, keys, "app", fmt.Sprint(i%3), now)
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
}

func TestSignerProblemsAreReportedTogether(t *testing.T) {
	_, err := assertion.NewSigner(assertion.SignerConfig{Tokens: -1})
	for _, want := range []string{"key is missing", "publish", "negative"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
	if _, err := assertion.NewSigner(assertion.SignerConfig{Key: func() assertion.SigningKey { return assertion.SigningKey{} }}); err == nil {
		t.Error("an empty key is taken")
	}
}

// SYSTEM P5 P7: the published keys are public halves alone, in the form of RFC 7517 and RFC 8037.
func TestPublishedKeys(t *testing.T) {
	o := newOffice(t, 0)
	text, err := o.JWKS()
	if err != nil {
		t.Fatal(err)
	}
	var set struct{ Keys []map[string]string }
	if err := json.Unmarshal(text, &set); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": signing.ID, "x": "O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik"}
	if len(set.Keys) != 1 || fmt.Sprint(set.Keys[0]) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", set.Keys, want)
	}
}

// SYSTEM P5: a target of any length or spelling has one name in a header, and no two share it.
func TestTargetsOfAnyLengthFit(t *testing.T) {
	o := newOffice(t, 0)
	targets := []string{"/", "/?" + strings.Repeat("é", 3000), "/" + strings.Repeat("a", 60000), "/" + strings.Repeat("a", 511), "/" + strings.Repeat("a", 512),
		`/?"\`, "/\xff", "/\xfe", "/\ufffd", "*", "/a b", "/<&>"}
	for i, target := range targets {
		r := assertion.RequestFacts{Method: "GET", Host: "localhost", Target: target, ID: "id", Client: netip.MustParseAddr("2001:db8::1")}
		header, err := o.Header("app", r, nobody)
		if err != nil {
			t.Fatalf("%.20q: %v", target, err)
		}
		for j, asked := range targets {
			r.Target = asked
			if _, err := assertion.OpenHeader(header, keys, "app", r, now); (err == nil) != (i == j) {
				t.Errorf("%.20q for %.20q: %v", target, asked, err)
			}
		}
	}
}

// SYSTEM P5: what an assertion costs.
func BenchmarkAssertion(b *testing.B) {
	o := newOffice(b, 0)
	b.Run("a kept token", func(b *testing.B) {
		for b.Loop() {
			o.token(b, "app", "link-1", alice)
		}
	})
	b.Run("signing a header", func(b *testing.B) {
		for b.Loop() {
			if _, err := o.Header("app", facts, alice); err != nil {
				b.Fatal(err)
			}
		}
	})
	for _, f := range forms {
		b.Run("opening a "+f.name, func(b *testing.B) {
			good := f.good()
			for b.Loop() {
				if err := f.open(good, now); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
