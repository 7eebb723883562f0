package policy_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cedar-policy/cedar-go"

	"github.com/redoubt-dev/redoubt/layer/perimeter/access/policy"
	"github.com/redoubt-dev/redoubt/layer/perimeter/assertion"
)

// The words of random rules and requests. Paths are chosen so that they lie in each other, and look alike.
var (
	places     = []string{"app.example/", "app.example/a", "app.example/a/b", "app.example/A", "app.example/a/b.c", "app.example/ab", "wiki.example/a", "app.example/é"}
	askedPaths = []string{"/", "/a", "/a/", "/a/b", "/a/b/c", "/A", "/A/b", "/a/b.c", "/a/b.x", "/a/B.C/d", "/ab", "/a;x/b", "/%61/b", "/%C3%A9", "/%C3%89", "/e%CC%81", "/x"}
	someone    = []string{`principal`, `principal is Person`, `principal is Service`, `principal == Person::"alice@acme.test"`, `principal in Group::"okta/staff"`,
		`principal is Person in Group::"okta/admins"`, `principal in Group::"partner/admins"`, `principal == Service::"ci"`, `principal == Nobody::"nobody"`}
	doing = []string{`action`, `action == Action::"GET"`, `action in Action::"write"`, `action in [Action::"GET", Action::"POST"]`, `action == Action::"other"`}
	tests = []string{`context.network.isInRange(ip("10.0.0.0/8"))`, `principal is Person && principal.domain == "acme.test"`, `principal is Person && principal.by == "mail"`,
		`resource in Path::"app.example/a/b"`, `resource == Path::"app.example/A"`, `[Path::"app.example/a/b.c", Path::"app.example/x"].contains(resource)`,
		`resource in [Path::"app.example/ab", Path::"wiki.example/"]`, `action == Action::"PUT"`, `action in Action::"write"`, `action in [Action::"read", Action::"other"]`, `principal is Person && principal in Group::"okta/suspended"`, `principal has email`, `principal in [Group::"okta/admins", Group::"partner/admins"]`, `principal == Person::"alice@acme.test" || principal == Service::"ci"`,
		`principal is Person && ["partner", "okta"].contains(principal.provider) && principal.subject != "9"`, `principal is Person && [Person::"alice@acme.test"].contains(principal)`, `principal is Person in Group::"okta/staff"`,
		`if resource != Path::"app.example/a" then true else context.network.isIpv4()`}
	asking = []string{"GET", "HEAD", "POST", "PUT", "MOVE"}
)

func newRandom(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, seed)) }

func pick[T any](r *rand.Rand, of []T) T { return of[r.IntN(len(of))] }

// A written rule is one in its parts.
type written struct{ annotations, effect, principal, action, resource, conditions string }

func (w written) String() string {
	return w.annotations + w.effect + "(" + w.principal + ", " + w.action + ", " + w.resource + ")" + w.conditions + ";\n"
}

func text(rules []written) string {
	var b strings.Builder
	for _, w := range rules {
		b.WriteString(w.String())
	}
	return b.String()
}

// randomRule writes a rule that is taken.
func randomRule(r *rand.Rand, effect string) written {
	principal, resource := pick(r, someone), "resource"
	switch r.IntN(5) {
	case 0:
	case 1:
		resource = `resource == Path::"` + pick(r, places) + `"`
	case 2:
		resource = `resource in Host::"app.example"`
	default:
		resource = `resource in Path::"` + pick(r, places) + `"`
	}
	var conditions, annotations string
	asksPrincipal := false
	for range r.IntN(3) {
		test := pick(r, tests)
		asksPrincipal = asksPrincipal || strings.Contains(test, "principal")
		conditions += pick(r, []string{" when", " unless"}) + " { " + test + " }"
	}
	if effect == "permit" {
		switch {
		case principal == "principal" || strings.Contains(principal, "Nobody"):
			annotations = `@public("x") `
		case principal == "principal is Person" && !asksPrincipal:
			annotations = `@anyone("x") `
		}
	}
	return written{annotations, effect, principal, pick(r, doing), resource, conditions}
}

func randomRules(r *rand.Rand) (rules []written) {
	for range 1 + r.IntN(5) {
		rules = append(rules, randomRule(r, "permit"))
	}
	for range r.IntN(4) {
		rules = append(rules, randomRule(r, "forbid"))
	}
	r.Shuffle(len(rules), func(i, j int) { rules[i], rules[j] = rules[j], rules[i] })
	return rules
}

func randomRequest(r *rand.Rand) policy.Request {
	who := pick(r, slices.Sorted(func(yield func(string) bool) {
		for name := range people {
			if !yield(name) {
				return
			}
		}
	}))
	q := policy.Request{Host: pick(r, []string{"app.example", "app.example", "wiki.example"}), Path: pick(r, askedPaths), Method: pick(r, asking), Client: office, Who: people[who]}
	if r.IntN(2) == 0 {
		q.Client = away
	}
	return q
}

// parseAny reads rules without a list of providers, so that rules may go by any address.
func parseAny(t *testing.T, text string) *policy.Set {
	t.Helper()
	s, err := policy.Parse(policy.Names{Hosts: names.Hosts}, []policy.File{{Name: "app.cedar", Text: text}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const rounds = 400

func TestTakingARuleThatLetsInAwayNeverLetsMoreIn(t *testing.T) { // SYSTEM P4
	r := newRandom(1)
	changed := 0
	for range rounds {
		rules := randomRules(r)
		i := slices.IndexFunc(rules, func(w written) bool { return w.effect == "permit" })
		more, less := parseAny(t, text(rules)), parseAny(t, text(slices.Delete(slices.Clone(rules), i, i+1)))
		for range 10 {
			q := randomRequest(r)
			a, b := more.Decide(q).Allow, less.Decide(q).Allow
			if b && !a {
				t.Fatalf("without\n%s\n%+v is let in by\n%s", rules[i], q, text(rules))
			}
			if a != b {
				changed++
			}
		}
	}
	if changed < 8 {
		t.Errorf("it made a difference %d times: this shows nothing", changed)
	}
}

func TestAddingARuleThatShutsOutNeverLetsMoreIn(t *testing.T) { // SYSTEM P4
	r := newRandom(2)
	changed := 0
	for range rounds {
		rules := randomRules(r)
		added := randomRule(r, "forbid")
		before, after := parseAny(t, text(rules)), parseAny(t, text(slices.Insert(slices.Clone(rules), r.IntN(len(rules)), added)))
		for range 10 {
			q := randomRequest(r)
			a, b := before.Decide(q).Allow, after.Decide(q).Allow
			if b && !a {
				t.Fatalf("with\n%s\n%+v is let in by\n%s", added, q, text(rules))
			}
			if a != b {
				changed++
			}
		}
	}
	if changed < 8 {
		t.Errorf("it made a difference %d times: this shows nothing", changed)
	}
}

// Cedar alone, with every rule and every entity, is the oracle. What we let in it lets in; and where a path and the rules look the
// same to a careless application, it is the same both ways.
func TestDecisionsAreCedars(t *testing.T) { // SYSTEM P4
	r := newRandom(3)
	let, same, stricter := 0, 0, 0
	for range rounds {
		rules := text(randomRules(r))
		s := parseAny(t, rules)
		plain, err := cedar.NewPolicySetFromBytes("app.cedar", []byte(rules))
		if err != nil {
			t.Fatal(err)
		}
		even := !strings.Contains(rules, "/A") && !strings.Contains(rules, "b.c")
		for range 10 {
			q := randomRequest(r)
			if identified := q.Who.Email; strings.ContainsAny(identified, `"аſ`) || q.Who.By == "passkey" || q.Who.By == assertion.ByService && q.Who.Subject == "" ||
				strings.Contains(q.Who.Provider, "/") {
				continue // the oracle believes anybody
			}
			entities, request := naive(q)
			want, _ := cedar.Authorize(plain, entities, request)
			got := s.Decide(q)
			id, in, careless, ok := policy.Segments(q.Host, q.Path)
			switch {
			case !ok:
				t.Fatalf("%s is not read", q.Path)
			case got.Allow && want != cedar.Allow:
				t.Fatalf("%+v is let in, but not by Cedar:\n%s", q, rules)
			case even && id == careless && len(in) > 0 && got.Allow != bool(want):
				t.Fatalf("%+v: got %+v, Cedar says %v:\n%s", q, got, want, rules)
			case got.Allow:
				let++
			case bool(want):
				stricter++
			default:
				same++
			}
		}
	}
	if let < 100 || same < 300 || stricter < 5 {
		t.Errorf("let in %d, denied %d, stricter %d: this shows nothing", let, same, stricter)
	}
}

// The index answers the scopes of action and resource; it must find what Cedar finds, in both readings.
func TestTheIndexIsCedars(t *testing.T) {
	r := newRandom(4)
	for range rounds {
		rules := randomRules(r)
		s := parseAny(t, text(rules))
		q := randomRequest(r)
		got := policy.Candidates(s, q.Host, q.Path, q.Method, false)
		var want []int
		entities, request := naive(q)
		for i, w := range rules {
			var p cedar.Policy
			if err := p.UnmarshalCedar([]byte("permit(principal, " + w.action + ", " + w.resource + ");")); err != nil {
				t.Fatalf("%s: %v", w, err)
			}
			if ok, _ := cedar.Authorize(cedar.PolicyMap{"": &p}, entities, request); ok == cedar.Allow {
				want = append(want, i)
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%+v: got %v, want %v of\n%s", q, got, want, text(rules))
		}
	}
}

// Whether signing on could help, and whom a link is sent, is never no where the answer is yes.
func TestHopeIsNeverDeniedToThoseWhoAreLetIn(t *testing.T) { // SYSTEM P4
	r := newRandom(5)
	hopeless, unwelcome := 0, 0
	for range rounds {
		rules := text(randomRules(r))
		s := parseAny(t, rules)
		for range 10 {
			q := randomRequest(r)
			anonymous := q
			anonymous.Who = assertion.SignOn{}
			got, somebody := s.Decide(q), q.Who.By == assertion.ByProvider || q.Who.By == assertion.ByMail || q.Who.By == assertion.ByService && q.Who.Subject != ""
			hope, welcome := s.Hopeful(anonymous), s.Welcome(q.Who, q.Client)
			if somebody && got.Allow && !got.Public && !hope {
				t.Fatalf("%+v is let in, but signing on is said not to help:\n%s", q, rules)
			}
			if somebody && got.Allow && !got.Public && !welcome {
				t.Fatalf("%+v is let in, but is said not to be welcome:\n%s", q, rules)
			}
			if !hope {
				hopeless++
			}
			if !welcome {
				unwelcome++
			}
		}
	}
	if hopeless < 30 || unwelcome < 30 {
		t.Errorf("hopeless %d, unwelcome %d: this shows nothing", hopeless, unwelcome)
	}
}

func TestWhoIsSentALink(t *testing.T) {
	s := parse(t, corpus)
	for who, want := range map[string]bool{"dora by mail": true, "eve by mail": false, "eve of a near name": false, "nobody": false, "alice of staff": true, "service backup": true, "service ci": false} {
		if got := s.Welcome(people[who], away); got != want {
			t.Errorf("%s: got %t, want %t", who, got, want)
		}
	}
	if s.Welcome(people["dora by mail"], [1]policy.Request{}[0].Client) {
		t.Error("somebody without an address is welcome")
	}
}

// Two spellings of one path, by escapes that mean nothing (RFC 3986 section 6.2.2), are one path to every rule.
func TestSpellingsOfOnePathAreOne(t *testing.T) {
	r := newRandom(6)
	for range rounds {
		s := parseAny(t, text(randomRules(r)))
		q := randomRequest(r)
		other := q
		other.Path = ""
		for i := 0; i < len(q.Path); i++ {
			c := q.Path[i]
			switch {
			case c == '%':
				other.Path += pick(r, []string{strings.ToLower(q.Path[i : i+3]), strings.ToUpper(q.Path[i : i+3])})
				i += 2
			case c != '/' && r.IntN(2) == 0:
				other.Path += fmt.Sprintf(pick(r, []string{"%%%02x", "%%%02X"}), c)
			default:
				other.Path += string(c)
			}
		}
		if a, b := s.Decide(q), s.Decide(other); a != b {
			t.Fatalf("%s: %+v, but %s: %+v", q.Path, a, other.Path, b)
		}
	}
}
