package perimeter_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/perimeter"
	"github.com/redoubt-dev/redoubt/layer/perimeter/assertion"
	"github.com/redoubt-dev/redoubt/layer/perimeter/link"
)

var (
	verifyingNow = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	edgeKey      = assertion.NewSigningKey(ed25519.NewKeyFromSeed(make([]byte, 32)))
	strangerKey  = assertion.NewSigningKey(ed25519.NewKeyFromSeed([]byte("another seed of thirty-two bytes")))
	visiting     = netip.MustParseAddr("192.0.2.1")
	alice        = assertion.SignOn{By: assertion.ByProvider, Provider: "acme", Subject: "alice", Groups: []string{"staff"}, Session: "s1", At: verifyingNow}
)

// A believing application stands behind a real link, at whose other end is whoever holds that end: the edge, or somebody who took it.
type believing struct {
	t        testing.TB
	at       time.Time
	keys     []assertion.VerifyKey
	link     *link.Conn // at the edge's end
	verifier *perimeter.Verifier
	visit    perimeter.Visit // of the last request that was let through
	header   http.Header
	refusal  *layer.Refusal // of the last one that was not
}

func newBelieving(t testing.TB, changes ...func(*perimeter.VerifierConfig)) *believing {
	t.Helper()
	b := &believing{t: t, at: verifyingNow, keys: []assertion.VerifyKey{edgeKey.Public()}}
	c := perimeter.VerifierConfig{
		Keys: func() []assertion.VerifyKey { return b.keys }, Audience: "app", Now: func() time.Time { return b.at },
		Refuse: func(w http.ResponseWriter, _ *http.Request, got *layer.Refusal) { b.refusal = got; w.WriteHeader(401) },
	}
	for _, change := range changes {
		change(&c)
	}
	v, err := perimeter.NewVerifier(c)
	if err != nil {
		t.Fatal(err)
	}
	b.verifier = v
	b.link = b.dial()
	return b
}

func (b *believing) dial() *link.Conn {
	outside, inside := net.Pipe()
	key := link.Key{1}
	copy(key[1:], fmt.Sprint(time.Now().UnixNano()))
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan struct{})
	go func() {
		defer close(served)
		link.Serve(ctx, inside, key, b.handler(), time.Second, link.Config{}, nil)
	}()
	c := link.Accept(outside, key, link.Config{})
	b.t.Cleanup(func() { c.Close(); stop(); <-served })
	return c
}

func (b *believing) handler() http.Handler {
	return b.verifier.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		visit, ok := perimeter.From(r.Context())
		if !ok {
			b.t.Error("there is no visit")
		}
		b.visit, b.header = visit, r.Header.Clone()
	}))
}

// get is a request as the edge would send it, without a token.
func (b *believing) get() *link.Request {
	return &link.Request{Method: "GET", Scheme: "https", Host: "localhost", Target: "/a?b=c", Client: visiting, ID: "id", Header: http.Header{}}
}

// try sends r over c and returns the refusal, or nil if it was let through.
func (b *believing) try(c *link.Conn, r *link.Request) *layer.Refusal {
	b.t.Helper()
	b.visit, b.header, b.refusal = perimeter.Visit{}, nil, nil
	answer, err := c.RoundTrip(b.t.Context(), r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		b.t.Fatal(err)
	}
	if (answer.Status == 200) != (b.refusal == nil && b.header != nil) {
		b.t.Fatalf("status %d, refusal %v", answer.Status, b.refusal)
	}
	return b.refusal
}

// signer signs as somebody with that key would, at the moment of b.
func (b *believing) signer(key assertion.SigningKey) *assertion.Signer {
	b.t.Helper()
	s, err := assertion.NewSigner(assertion.SignerConfig{
		Key:  func() assertion.SigningKey { return key },
		Keys: func() []assertion.VerifyKey { return nil }, Now: func() time.Time { return b.at },
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

func (b *believing) token(key assertion.SigningKey, application, link string, who assertion.SignOn) string {
	b.t.Helper()
	text, err := b.signer(key).Token(application, link, who)
	if err != nil {
		b.t.Fatal(err)
	}
	return text
}

func (b *believing) good() string { return b.token(edgeKey, "app", b.link.ID(), alice) }

func (b *believing) word(r *link.Request, who assertion.SignOn) string {
	b.t.Helper()
	text, err := b.signer(edgeKey).Header("app", assertion.RequestFacts{Method: r.Method, Host: r.Host, Target: r.Target, ID: r.ID, Client: r.Client}, who)
	if err != nil {
		b.t.Fatal(err)
	}
	return text
}

// SYSTEM P5: the application learns what the edge knows, about somebody and about nobody.
func TestTheEdgesWordIsBelieved(t *testing.T) {
	b := newBelieving(t)
	for _, who := range []assertion.SignOn{alice, {By: assertion.ByNobody}} {
		r := b.get()
		r.Token = b.token(edgeKey, "app", b.link.ID(), who)
		for range 2 { // the second time from memory
			if why := b.try(b.link, r); why != nil {
				t.Fatal(why)
			}
			got := b.visit
			if !got.Who.Equal(who) {
				t.Errorf("got %+v, want %+v", got.Who, who)
			}
			got.Who = assertion.SignOn{}
			if fmt.Sprint(got) != fmt.Sprint(perimeter.Visit{ClientIP: visiting, RequestID: "id", Scheme: "https", Host: "localhost", Issued: time.Unix(verifyingNow.Unix(), 0)}) {
				t.Errorf("got %+v", got)
			}
		}
	}
}

// SYSTEM P5: nothing but the edge's word, for this application and this link, is believed; whoever has the link itself included.
func TestWhatTheEdgeDidNotSayIsRefused(t *testing.T) {
	b := newBelieving(t)
	other := b.dial()
	parts := strings.Split(b.good(), ".")
	header := b.word(b.get(), alice)
	token := func(text string) func(*link.Request) { return func(r *link.Request) { r.Token = text } }
	for _, a := range []struct {
		name  string
		spoil func(*link.Request)
	}{
		{"no token", token("")},
		{"a word", token("alice")},
		{"a token of another link", token(b.token(edgeKey, "app", other.ID(), alice))},
		{"a token of another application", token(b.token(edgeKey, "app2", b.link.ID(), alice))},
		{"a token of a stranger's", token(b.token(strangerKey, "app", b.link.ID(), alice))},
		{"an unsigned token", token(parts[0] + "." + parts[1] + ".")},
		{"two tokens in one", token(b.good() + "," + b.good())},
		{"a token with another's claims", token(parts[0] + "." + strings.Split(b.token(edgeKey, "app", b.link.ID(), assertion.SignOn{By: assertion.ByService, Subject: "x"}), ".")[1] + "." + parts[2])},
		{"the header form as token", token(header)},
		{"a token in the header alone", func(r *link.Request) { r.Token, r.Header[assertion.HeaderName] = "", []string{b.good()} }},
		{"the header form in the header alone", func(r *link.Request) { r.Token, r.Header[assertion.HeaderName] = "", []string{header} }},
		{"a client that is no address", func(r *link.Request) { r.Client = netip.Addr{} }},
		{"no identifier", func(r *link.Request) { r.ID = "" }},
	} {
		t.Run(a.name, func(t *testing.T) {
			r := b.get()
			r.Token = b.good()
			if why := b.try(b.link, r); why != nil {
				t.Fatalf("a good one is refused: %v", why)
			}
			a.spoil(r)
			got := b.try(b.link, r)
			if got == nil {
				t.Fatal("it was let through")
			}
			if got.By != layer.Perimeter || got.Reason != layer.Unauthenticated || got.Cause == nil {
				t.Errorf("got %+v", got)
			}
			if len(r.Token) > 20 && strings.Contains(got.Error(), r.Token[:20]) {
				t.Errorf("the refusal quotes the token: %.80s", got.Error())
			}
		})
	}
	r := b.get()
	r.Token = b.good() // good, and by now remembered, but not for this link
	if got := b.try(other, r); got == nil {
		t.Error("a remembered token was believed on another link")
	}
}

// SYSTEM P1 P5: no header makes a request arrive. What did not come over a link is refused, whatever it carries.
func TestWithoutALinkNothingIsBelieved(t *testing.T) {
	b := newBelieving(t)
	for name, header := range map[string]http.Header{
		"bare":              {},
		"with a token":      {assertion.HeaderName: {b.good()}, "Redoubt-Token": {b.good()}, "Redoubt-Link": {b.link.ID()}},
		"with a header":     {assertion.HeaderName: {b.word(b.get(), alice)}},
		"with every name":   {"Redoubt-Arrival": {"x"}, "Redoubt-Client": {"192.0.2.1"}, "Redoubt-Id": {"id"}},
		"with an authority": {"Authorization": {"Bearer " + b.good()}},
	} {
		for _, foreign := range []bool{false, true} {
			v := newBelieving(t, func(c *perimeter.VerifierConfig) { c.Foreign = foreign }).verifier
			r := httptest.NewRequest("GET", "https://localhost/a?b=c", nil)
			r.Header = header
			w := httptest.NewRecorder()
			v.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Errorf("%s: it was let through", name) })).ServeHTTP(w, r)
			if w.Code != 401 {
				t.Errorf("%s: got %d", name, w.Code)
			}
		}
	}
}

// SYSTEM P5: headers of our names, in any spelling, do not come through; others do.
func TestOurHeadersAreDropped(t *testing.T) {
	b := newBelieving(t)
	r := b.get()
	r.Token = b.good()
	for _, name := range []string{assertion.HeaderName, "Redoubt-User", "redoubt-user", "REDOUBT-X", "Redoubt_Assertion", "redoubt_assertion", "Redoubtable", "Redoubt", "X-Redoubt-User", "Cookie"} {
		r.Header[name] = []string{"x"}
	}
	if why := b.try(b.link, r); why != nil {
		t.Fatal(why)
	}
	var got []string
	for name := range b.header {
		got = append(got, http.CanonicalHeaderKey(name))
	}
	slices.Sort(got)
	if want := []string{"Cookie", "Redoubt", "Redoubtable", "X-Redoubt-User"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// SYSTEM P5 P7: what a foreign application is to verify by itself is verified here too, and is about the same visitor.
func TestForeignApplicationsGetTheEdgesWordAlone(t *testing.T) {
	b := newBelieving(t, func(c *perimeter.VerifierConfig) { c.Foreign = true })
	good := func() *link.Request {
		r := b.get()
		r.Token = b.good()
		r.Header[assertion.HeaderName] = []string{b.word(r, alice)}
		return r
	}
	if why := b.try(b.link, good()); why != nil {
		t.Fatal(why)
	}
	if got := b.header[assertion.HeaderName]; len(got) != 1 || got[0] != b.word(b.get(), alice) {
		t.Errorf("the application got %q", got)
	}
	admin := alice.Clone()
	admin.Subject = "admin"
	for _, a := range []struct {
		name  string
		spoil func(r *link.Request)
	}{
		{"no header", func(r *link.Request) { delete(r.Header, assertion.HeaderName) }},
		{"two", func(r *link.Request) {
			r.Header[assertion.HeaderName] = append(r.Header[assertion.HeaderName], b.word(r, alice))
		}},
		{"one in another spelling", func(r *link.Request) {
			r.Header["redoubt_assertion"] = r.Header[assertion.HeaderName]
			delete(r.Header, assertion.HeaderName)
		}},
		{"a token", func(r *link.Request) { r.Header[assertion.HeaderName] = []string{b.good()} }},
		{"one about somebody else", func(r *link.Request) { r.Header[assertion.HeaderName] = []string{b.word(r, admin)} }},
		{"one of another request", func(r *link.Request) { r.Target = "/admin" }},
		{"one of another method", func(r *link.Request) { r.Method = "POST" }},
		{"one of another identifier", func(r *link.Request) { r.ID = "id2" }},
		{"one of another client", func(r *link.Request) { r.Client = netip.MustParseAddr("192.0.2.2") }},
		{"nonsense", func(r *link.Request) { r.Header[assertion.HeaderName] = []string{"x"} }},
	} {
		r := good()
		a.spoil(r)
		if b.try(b.link, r) == nil {
			t.Errorf("%s: it was let through", a.name)
		}
	}
	r := good()
	b.at = b.at.Add(assertion.HeaderLife + assertion.Skew)
	if b.try(b.link, r) == nil {
		t.Error("late: it was let through")
	}
}

// SYSTEM P5: what is remembered ends with the token, and with its key, on the very next request.
func TestWhatIsRememberedEnds(t *testing.T) {
	b := newBelieving(t)
	r := b.get()
	r.Token = b.good()
	steps := []struct {
		name string
		at   time.Duration
		keys []assertion.VerifyKey
		want bool
	}{
		{"at once", 0, nil, true},
		{"again", time.Second, nil, true},
		{"by a clock that was set back a little", -4 * time.Second, nil, true},
		{"by a clock that was set back", -time.Minute, nil, false},
		{"at its end", assertion.TokenLife - time.Second, nil, true},
		{"within the skew", assertion.TokenLife + 4*time.Second, nil, true},
		{"too late", assertion.TokenLife + 5*time.Second, nil, false},
		{"in time again", time.Minute, nil, true},
		{"with the next key beside it", time.Minute, []assertion.VerifyKey{strangerKey.Public(), edgeKey.Public()}, true},
		{"with its key taken out", time.Minute, []assertion.VerifyKey{strangerKey.Public()}, false},
		{"with another key under its name", time.Minute, []assertion.VerifyKey{{ID: edgeKey.ID, Public: strangerKey.Public().Public}}, false},
		{"without any key", time.Minute, []assertion.VerifyKey{}, false},
	}
	for _, s := range steps {
		b.at = verifyingNow.Add(s.at)
		if b.keys = s.keys; s.keys == nil {
			b.keys = []assertion.VerifyKey{edgeKey.Public()}
		}
		if why := b.try(b.link, r); (why == nil) != s.want {
			t.Errorf("%s: got %v, want it taken: %t", s.name, why, s.want)
		}
	}
}

// SYSTEM T6: memory is bounded, and what has no place is verified anew instead of refused.
func TestRememberedTokensAreBounded(t *testing.T) {
	b := newBelieving(t)
	s := b.signer(edgeKey)
	for i := range perimeter.MaxVerified + 500 {
		token, err := s.Token("app", b.link.ID(), assertion.SignOn{By: assertion.ByService, Subject: fmt.Sprint(i)})
		if err != nil {
			t.Fatal(err)
		}
		if why := b.verifier.Believe(link.Arrival{Token: token, Link: b.link.ID()}); why != nil {
			t.Fatal(why)
		}
		if i > perimeter.MaxVerified-2 && b.verifier.Remembered() > perimeter.MaxVerified {
			t.Fatalf("%d are remembered", b.verifier.Remembered())
		}
	}
	if got := b.verifier.Remembered(); got < perimeter.MaxVerified-10 {
		t.Errorf("only %d are remembered", got)
	}
}

// A handler that changes what it was told changes nothing for the next one.
func TestVisitsShareNothing(t *testing.T) {
	b := newBelieving(t)
	r := b.get()
	r.Token = b.good()
	b.try(b.link, r)
	b.visit.Who.Groups[0] = "admin"
	b.try(b.link, r)
	if b.visit.Who.Groups[0] != "staff" {
		t.Error("a handler changed what the next one is told")
	}
	if _, ok := perimeter.From(t.Context()); ok {
		t.Error("a visit out of nothing")
	}
}

// The context of a request keeps its own values and its end.
func TestAVisitKeepsTheContext(t *testing.T) {
	type key struct{}
	b := newBelieving(t)
	outside, inside := net.Pipe()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	got := make(chan error, 1)
	h := b.verifier.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancel(context.WithValue(r.Context(), key{}, "x"))
		defer cancel()
		if _, ok := perimeter.From(ctx); !ok || ctx.Value(key{}) != "x" {
			t.Error("values are lost")
		}
		<-ctx.Done()
		got <- ctx.Err()
	}))
	go link.Serve(ctx, inside, link.Key{7}, h, time.Second, link.Config{}, nil)
	c := link.Accept(outside, link.Key{7}, link.Config{})
	defer c.Close()
	r := b.get()
	r.Token = b.token(edgeKey, "app", c.ID(), alice)
	asking, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	c.RoundTrip(asking, r)
	select {
	case err := <-got:
		if err == nil {
			t.Error("no reason")
		}
	case <-time.After(5 * time.Second):
		t.Error("the handler was not told that the client went away")
	}
}

func TestVerifierProblemsAreReportedTogether(t *testing.T) {
	_, err := perimeter.NewVerifier(perimeter.VerifierConfig{})
	for _, want := range []string{"no key", "audience", "refused requests"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
	_, err = perimeter.NewVerifier(perimeter.VerifierConfig{Keys: func() []assertion.VerifyKey { return []assertion.VerifyKey{{}} }})
	if err == nil || !strings.Contains(err.Error(), "incomplete") {
		t.Errorf("got %v", err)
	}
}

// FuzzArrival: whatever a link brings, nothing that the edge did not sign is believed.
func FuzzArrival(f *testing.F) {
	b := newBelieving(f)
	const on = "link-1"
	good := b.token(edgeKey, "app", on, alice)
	f.Add(good, on)
	f.Add(good, "")
	f.Add("a.b.c", "x")
	signed := good[:strings.LastIndexByte(good, '.')+1]
	f.Fuzz(func(t *testing.T, token, came string) {
		if b.verifier.Believe(link.Arrival{Token: token, Link: came}) == nil && (!strings.HasPrefix(token, signed) || came != on) {
			t.Errorf("believed %q on %q", token, came)
		}
	})
}

// SYSTEM P5: what believing costs for each request, when its token is known.
func BenchmarkVerifier(b *testing.B) {
	w := newBelieving(b)
	arrival := link.Arrival{ID: "id", Link: w.link.ID(), Token: w.good(), Scheme: "https", Client: visiting}
	h := w.verifier.HandlerFor(arrival, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if _, ok := perimeter.From(r.Context()); !ok {
			b.Fatal("no visit")
		}
	}))
	r := httptest.NewRequest("GET", "https://localhost/a?b=c", nil)
	r.Header = http.Header{"Accept": {"x"}, "User-Agent": {"x"}, "Cookie": {"x"}, "Accept-Language": {"x"}}
	rw := httptest.NewRecorder()
	rw.Body = &bytes.Buffer{}
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(rw, r)
	}
}
