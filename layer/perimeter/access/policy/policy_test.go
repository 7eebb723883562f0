package policy_test

import (
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cedar-policy/cedar-go"

	"github.com/redoubt-dev/redoubt/layer/perimeter/access/policy"
	"github.com/redoubt-dev/redoubt/layer/perimeter/assertion"
)

var names = policy.Names{
	Hosts:     []string{"app.example", "wiki.example", "localhost:8443", "[::1]:8443"},
	Providers: []string{"okta", "partner"},
	Services:  []string{"backup", "ci"},
}

func parse(t testing.TB, text string) *policy.Set {
	t.Helper()
	s, err := policy.Parse(names, []policy.File{{Name: "app.cedar", Text: text}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var (
	office = netip.MustParseAddr("10.1.2.3")
	away   = netip.MustParseAddr("198.51.100.7")
	people = map[string]assertion.SignOn{
		"nobody":              {By: assertion.ByNobody},
		"no word at all":      {},
		"alice of staff":      {By: assertion.ByProvider, Provider: "okta", Subject: "1", Email: "alice@acme.test", Groups: []string{"staff", "a/b"}},
		"bob the admin":       {By: assertion.ByProvider, Provider: "okta", Subject: "2", Email: "Bob@Acme.test", Groups: []string{"staff", "admins"}},
		"carol, suspended":    {By: assertion.ByProvider, Provider: "okta", Subject: "3", Email: "carol@acme.test", Groups: []string{"staff", "admins", "suspended"}},
		"partner's admin":     {By: assertion.ByProvider, Provider: "partner", Subject: "9", Email: "pat@partner.test", Groups: []string{"admins", "okta/admins", "staff"}},
		"partner's liar":      {By: assertion.ByProvider, Provider: "okta/admins", Subject: "9", Email: "liar@partner.test", Groups: []string{"admins", ""}},
		"dora by mail":        {By: assertion.ByMail, Email: "dora@guest.test", Groups: []string{"staff"}, Provider: "okta"},
		"eve by mail":         {By: assertion.ByMail, Email: "eve@evil.test"},
		"eve of a near name":  {By: assertion.ByMail, Email: "alice@notacme.test"},
		"eve of a long name":  {By: assertion.ByMail, Email: "alice@acme.test.evil.test"},
		"eve with two signs":  {By: assertion.ByMail, Email: `"alice@acme.test"@evil.test`},
		"eve in Cyrillic":     {By: assertion.ByMail, Email: "аlice@acme.test"},
		"eve with a long s":   {By: assertion.ByMail, Email: "dora@guest.te\u017ft"},
		"without an address":  {By: assertion.ByProvider, Provider: "okta", Subject: "4"},
		"service backup":      {By: assertion.ByService, Subject: "backup", Groups: []string{"staff"}, Provider: "okta", Email: "bob@acme.test"},
		"service ci":          {By: assertion.ByService, Subject: "ci"},
		"a nameless service":  {By: assertion.ByService},
		"a way in from later": {By: "passkey", Email: "bob@acme.test", Provider: "okta", Groups: []string{"admins"}},
	}
)

const corpus = `
@id("front") @public("the way in")
permit(principal, action in Action::"read", resource == Path::"app.example/");
@id("assets") @public("pictures and styles")
permit(principal, action in Action::"read", resource in Path::"app.example/assets");
@id("staff")
permit(principal in Group::"okta/staff", action, resource in Host::"app.example");
@id("guests")
permit(principal is Person, action == Action::"GET", resource in Path::"app.example/shared")
when { principal.by == "mail" && ["dora@guest.test"].contains(principal.email) };
@id("acme")
permit(principal is Person, action in [Action::"GET", Action::"HEAD"], resource in Path::"app.example/acme")
when { principal.domain == "acme.test" && principal.provider == "okta" };
@id("backup")
permit(principal == Service::"backup", action == Action::"POST", resource == Path::"app.example/jobs/backup");
@id("bob") @anyprovider("they are both ours")
permit(principal == Person::"bob@acme.test", action, resource in Host::"wiki.example");
@id("loop") @public("development")
permit(principal, action, resource in Host::"localhost:8443");
@id("six") @public("development")
permit(principal, action, resource in Path::"[::1]:8443/ok");
@id("admin-area")
forbid(principal, action, resource in Path::"app.example/admin")
unless { principal is Person && principal in Group::"okta/admins" };
@id("admin-from-office")
forbid(principal, action in Action::"write", resource in Path::"app.example/admin")
unless { context.network.isInRange(ip("10.0.0.0/8")) };
@id("suspended")
forbid(principal in Group::"okta/suspended", action, resource);
`

// SYSTEM P4: who may pass, sentence by sentence. An empty rule is a denial for want of one that lets in.
func TestTheCorpus(t *testing.T) {
	s := parse(t, corpus)
	for _, c := range []struct {
		sentence     string
		who          string
		from         netip.Addr
		method, host string
		path         string
		allow        bool
		rule         string // its id
	}{
		{"anybody sees the front page", "nobody", away, "GET", "app.example", "/", true, "front"},
		{"the zero value is nobody, who sees it too", "no word at all", away, "HEAD", "app.example", "/", true, "front"},
		{"but nobody posts to it", "nobody", away, "POST", "app.example", "/", false, ""},
		{"an unknown method is no reading", "nobody", away, "PROPFIND", "app.example", "/", false, ""},
		{"nor is GET in small letters", "nobody", away, "get", "app.example", "/", false, ""},
		{"what is public is beneath its path", "nobody", away, "GET", "app.example", "/assets/css/app.css", true, "assets"},
		{"and is the path itself", "nobody", away, "GET", "app.example", "/assets", true, "assets"},
		{"and its directory", "nobody", away, "GET", "app.example", "/assets/", true, "assets"},
		{"but not a longer name", "nobody", away, "GET", "app.example", "/assets2", false, ""},
		{"nor a name within another directory", "nobody", away, "GET", "app.example", "/x/assets", false, ""},
		{"another case is another path", "nobody", away, "GET", "app.example", "/ASSETS", false, ""},
		{"nobody sees the rest", "nobody", away, "GET", "app.example", "/board", false, ""},
		{"staff sees the rest", "alice of staff", away, "GET", "app.example", "/board", true, "staff"},
		{"staff uses any method", "alice of staff", away, "MKCOL", "app.example", "/board", true, "staff"},
		{"staff of one host is nobody at another", "alice of staff", away, "GET", "wiki.example", "/", false, ""},
		{"a host with the port that https implies is the same", "alice of staff", away, "GET", "App.Example:443", "/board", true, "staff"},
		{"a host with another port is not served", "alice of staff", away, "GET", "app.example:8443", "/board", false, ""},
		{"a host with a letter that becomes a k is not served", "nobody", away, "GET", "wi\u212ai.example", "/x", false, ""},
		{"a host that ends with a dot is not served", "alice of staff", away, "GET", "app.example.", "/board", false, ""},
		{"an unknown host is not served", "alice of staff", away, "GET", "evil.example", "/assets", false, ""},
		{"a host with a port is served by its name", "nobody", away, "GET", "localhost:8443", "/x", true, "loop"},
		{"and not without it", "nobody", away, "GET", "localhost", "/x", false, ""},
		{"a host may be an address", "nobody", away, "GET", "[::1]:8443", "/ok/x", true, "six"},
		{"with its own paths", "nobody", away, "GET", "[::1]:8443", "/no", false, ""},
		{"staff is kept out of the admin area", "alice of staff", office, "GET", "app.example", "/admin", false, "admin-area"},
		{"with everything beneath", "alice of staff", office, "GET", "app.example", "/admin/users/1", false, "admin-area"},
		{"not out of what begins alike", "alice of staff", office, "GET", "app.example", "/administrator", true, "staff"},
		{"an admin goes in", "bob the admin", away, "GET", "app.example", "/admin", true, "staff"},
		{"an admin changes nothing from afar", "bob the admin", away, "POST", "app.example", "/admin", false, "admin-from-office"},
		{"nor by an unknown method", "bob the admin", away, "MOVE", "app.example", "/admin", false, "admin-from-office"},
		{"but from the office", "bob the admin", office, "POST", "app.example", "/admin", true, "staff"},
		{"also when IPv4 comes as IPv6", "bob the admin", netip.MustParseAddr("::ffff:10.1.2.3"), "POST", "app.example", "/admin", true, "staff"},
		{"an IPv6 client is not in an IPv4 network", "bob the admin", netip.MustParseAddr("::10.1.2.3"), "POST", "app.example", "/admin", false, "admin-from-office"},
		{"without an address nobody is judged", "bob the admin", netip.Addr{}, "GET", "app.example", "/", false, ""},
		{"a suspended admin is out everywhere", "carol, suspended", office, "GET", "app.example", "/board", false, "suspended"},
		{"even where everybody is let in", "carol, suspended", office, "GET", "app.example", "/", false, "suspended"},
		{"another provider's group of the same name is another group", "partner's admin", office, "GET", "app.example", "/board", false, ""},
		{"a provider whose name has a slash gives no groups", "partner's liar", office, "GET", "app.example", "/board", false, ""},
		{"an address on a list is let in by mail", "dora by mail", away, "GET", "app.example", "/shared/x", true, "guests"},
		{"for what the list says", "dora by mail", away, "POST", "app.example", "/shared/x", false, ""},
		{"mail gives no groups", "dora by mail", away, "GET", "app.example", "/board", false, ""},
		{"an address that is not on it is not", "eve by mail", away, "GET", "app.example", "/shared/x", false, ""},
		{"nor one with a letter that becomes an s", "eve with a long s", away, "GET", "app.example", "/shared/x", false, ""},
		{"a domain is the whole domain", "eve of a near name", away, "GET", "app.example", "/acme", false, ""},
		{"and its end", "eve of a long name", away, "GET", "app.example", "/acme", false, ""},
		{"behind the last sign", "eve with two signs", away, "GET", "app.example", "/acme", false, ""},
		{"with Latin letters before it", "eve in Cyrillic", away, "GET", "app.example", "/acme", false, ""},
		{"somebody of the domain is let in", "bob the admin", away, "GET", "app.example", "/acme/x", true, "staff"},
		{"addresses are compared without case", "bob the admin", away, "GET", "wiki.example", "/x", true, "bob"},
		{"who has no address is not bob", "without an address", away, "GET", "wiki.example", "/x", false, ""},
		{"a service does its own", "service backup", away, "POST", "app.example", "/jobs/backup", true, "backup"},
		{"and nothing beneath", "service backup", away, "POST", "app.example", "/jobs/backup/x", false, ""},
		{"nor its directory", "service backup", away, "POST", "app.example", "/jobs/backup/", false, ""},
		{"nor another method", "service backup", away, "GET", "app.example", "/jobs/backup", false, ""},
		{"a service is in no group and has no address", "service backup", away, "GET", "wiki.example", "/", false, ""},
		{"another service does not", "service ci", away, "POST", "app.example", "/jobs/backup", false, ""},
		{"a service without a name is nobody", "a nameless service", away, "POST", "app.example", "/jobs/backup", false, ""},
		{"a way in that is not known is nobody's", "a way in from later", office, "GET", "wiki.example", "/", false, ""},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			who, ok := people[c.who]
			if !ok {
				t.Fatalf("who is %q?", c.who)
			}
			got := s.Decide(policy.Request{Host: c.host, Path: c.path, Method: c.method, Client: c.from, Who: who})
			_, rule, _ := strings.Cut(got.Rule, " ")
			if got.Allow != c.allow || rule != c.rule {
				t.Errorf("got %+v, want %t by %q", got, c.allow, c.rule)
			}
			if public := c.allow && slices.Contains([]string{"front", "assets", "loop", "six"}, c.rule); got.Public != public {
				t.Errorf("got %+v, want public %t", got, public)
			}
		})
	}
}

// Whatever passes an edge is one path to us and another, or none, to an application that is less careful. In each row the plain
// reading, with Cedar alone, lets somebody in who was to be shut out.
func TestWalksAroundARuleThatShutsOut(t *testing.T) { // SYSTEM P4
	const text = `
permit(principal in Group::"okta/staff", action, resource in Host::"app.example");
forbid(principal, action, resource in Path::"app.example/admin");
forbid(principal, action, resource == Path::"app.example/Secret.html");
permit(principal in Group::"partner/admins", action, resource in Host::"app.example")
unless { resource in Path::"app.example/admin" || resource == Path::"app.example/Secret.html" };
`
	s := parse(t, text)
	plain, err := cedar.NewPolicySetFromBytes("app.cedar", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, who := range []string{"alice of staff", "partner's admin"} {
		for _, path := range []string{
			"/ADMIN", "/Admin/users", "/aDmIn", "/%41dmin", "/admin;jsessionid=1", "/admin;/users", "/admin%3bx", "/admin.json", "/admin.",
			"/admin%20", "/admin%20.json", "/admin.%20/users", "/admin.tar.gz", "/%EF%BC%A1dmin", "/%EF%BD%81dmin/x", "/;x/admin", "/%C5%BFecret", "/ad%E2%80%8Bmin", "/%F0%9D%90%9Admin", "/Secret",
			"/secret.html", "/SECRET.HTML/", "/secret.xml", "/secret;x",
		} {
			r := policy.Request{Host: "app.example", Path: path, Method: "GET", Client: away, Who: people[who]}
			entities, request := naive(r)
			if decision, _ := cedar.Authorize(plain, entities, request); decision != cedar.Allow {
				t.Errorf("%s: Cedar alone denies %s, so that this shows nothing", path, who)
			}
			if got := s.Decide(r); got.Allow {
				t.Errorf("%s passes for %s: %+v", path, who, got)
			}
		}
		for _, path := range []string{"/Board", "/board.json", "/administrator", "/x;y=1/z.", "/secrets", "/A/admin", "/%2Dadmin"} {
			if got := s.Decide(policy.Request{Host: "app.example", Path: path, Method: "GET", Client: away, Who: people[who]}); !got.Allow {
				t.Errorf("%s does not pass for %s: %+v", path, who, got)
			}
		}
	}
}

// A rule that lets in is met as it is written, by its own spelling, however odd that is.
func TestARuleThatLetsInMeansItsOwnSpelling(t *testing.T) {
	s := parse(t, `
@public("for robots") permit(principal, action, resource == Path::"app.example/robots.txt");
@public("for browsers") permit(principal, action, resource) when { resource == Path::"app.example/favicon.ico" || resource in Path::"app.example/Docs/v1.2" };
@public("a list") permit(principal, action, resource) when { [Path::"app.example/a.b", Path::"app.example/C"].contains(resource) };
@public("a set") permit(principal, action, resource) when { resource in [Path::"app.example/D.x", Path::"app.example/e"] };
@public("letters") permit(principal, action, resource == Path::"app.example/Straße/été");
`)
	for path, want := range map[string]bool{
		"/robots.txt": true, "/robots": false, "/robots.xml": false, "/Robots.txt": false, "/robots.txt/": false, "/robots.txt;x": false,
		"/favicon.ico": true, "/favicon": false, "/Docs/v1.2": true, "/Docs/v1.2/A.b": true, "/docs/v1.2": false, "/Docs/v1": false, "/Docs/v1.3": false,
		"/a.b": true, "/a": false, "/C": true, "/c": false, "/D.x": true, "/D.x/y.z": true, "/D": false, "/e/F.g": true, "/E": false,
		"/Stra%C3%9Fe/%C3%A9t%C3%A9": true, "/Stra%C3%9Fe/e%CC%81te%CC%81": false, "/Strasse/%C3%A9t%C3%A9": false,
	} {
		if got := s.Decide(policy.Request{Host: "app.example", Path: path, Method: "GET", Client: away}); got.Allow != want {
			t.Errorf("%s: got %+v, want %t", path, got, want)
		}
	}
}

// The first trap: a rule that shuts out and fails is skipped by Cedar. No rule that passes our checks fails, so they are left out here.
func TestARuleThatFailsDenies(t *testing.T) { // SYSTEM P4
	const text = `
permit(principal, action, resource);
forbid(principal, action, resource in Path::"app.example/x") when { context.banned } when { context.banned == 1 };
`
	plain, err := cedar.NewPolicySetFromBytes("x.cedar", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	r := policy.Request{Host: "app.example", Path: "/x", Method: "GET", Client: away}
	entities, request := naive(r)
	if got, d := cedar.Authorize(plain, entities, request); got != cedar.Allow || len(d.Errors) != 1 {
		t.Fatalf("Cedar alone: got %v, %v, want it to let in with an error", got, d)
	}
	s := policy.Unchecked("app.example", text)
	if got := s.Decide(r); got.Allow || got.Why != policy.Erred || got.Rule != "x.cedar:1" && got.Rule != "x.cedar:3" {
		t.Errorf("got %+v, want a denial by the failing rule", got)
	}
	if e := s.Explain(r); len(e.Applied) == 0 || !strings.Contains(e.String(), "could not be evaluated") {
		t.Errorf("it is explained as\n%s", e)
	}
	r.Path = "/y"
	if got := s.Decide(r); !got.Allow {
		t.Errorf("got %+v where the rule that fails is not asked", got)
	}
}

// The second trap: Cedar takes a name that does not exist, and the rule never holds.
func TestCedarTakesWhatDoesNotExist(t *testing.T) {
	const text = `forbid(principal, action == Action::"FETCH", resource in Pfad::"app.example/admin") when { principal.emial == "x" };`
	if _, err := cedar.NewPolicySetFromBytes("x.cedar", []byte(text)); err != nil {
		t.Fatalf("Cedar refuses by itself: %v", err)
	}
	if _, err := policy.Parse(names, []policy.File{{Name: "x.cedar", Text: text}}); err == nil {
		t.Error("it was taken")
	}
}

func TestDenialsThatNoRuleChanges(t *testing.T) {
	s := parse(t, `@public("all") permit(principal, action, resource);`)
	many := make([]string, policy.MaxGroups+1)
	for want, r := range map[string]policy.Request{
		"":                {Host: "app.example", Path: "/", Client: away},
		policy.OtherHost:  {Host: "other.example", Path: "/", Client: away},
		policy.OddPath:    {Host: "app.example", Path: "/a//b", Client: away},
		policy.NoAddress:  {Host: "app.example", Path: "/"},
		policy.ManyGroups: {Host: "app.example", Path: "/", Client: away, Who: assertion.SignOn{By: assertion.ByProvider, Provider: "okta", Groups: many}},
	} {
		got := s.Decide(r)
		if got.Allow != (want == "") || !got.Allow && got.Why != want {
			t.Errorf("got %+v, want %q", got, want)
		}
		if !got.Allow && s.Hopeful(r) {
			t.Errorf("%s: signing on is said to help", want)
		}
		if e := s.Explain(r); e.Decision != got {
			t.Errorf("explained as %+v, decided as %+v", e.Decision, got)
		}
	}
	if got := (&policy.Set{}).Decide(policy.Request{Host: "app.example", Path: "/", Client: away}); got.Allow {
		t.Error("the zero Set lets in")
	}
	if got := parse(t, "// nothing yet\n").Decide(policy.Request{Host: "app.example", Path: "/", Client: away}); got.Allow || got.Why != policy.NoRule {
		t.Errorf("a policy without rules: %+v", got)
	}
}

func TestASetIsUsedByManyAtOnce(t *testing.T) {
	s := parse(t, corpus)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			r := newRandom(9)
			for range 200 {
				q := randomRequest(r)
				if a, b := s.Decide(q), s.Decide(q); a != b {
					t.Errorf("%+v, then %+v", a, b)
				}
				s.Hopeful(q)
				s.Welcome(q.Who, q.Client)
				_ = s.Explain(q).String()
			}
		})
	}
	all.Wait()
}
