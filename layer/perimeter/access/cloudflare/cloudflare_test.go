package cloudflare_test

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt/layer/perimeter/access/cloudflare"
	"github.com/redoubt-dev/redoubt/layer/perimeter/access/policy"
)

var update = flag.Bool("update", false, "write golden files")

var names = policy.Names{Hosts: []string{"app.example", "wiki.example", "localhost:8443"}, Providers: []string{"okta", "corp"}, Services: []string{"backup", "ci"}}

func config(t testing.TB, text string) cloudflare.Config {
	t.Helper()
	names := names
	if text != corpus {
		names.Providers = nil // so that rules may go by any address
	}
	s, err := policy.Parse(names, []policy.File{{Name: "app.cedar", Text: text}})
	if err != nil {
		t.Fatal(err)
	}
	return cloudflare.Config{
		Policies:     s,
		Applications: []cloudflare.Application{{"app.example", "http://127.0.0.1:3000"}, {"wiki.example", "http://127.0.0.1:3001"}},
		Providers:    []cloudflare.Provider{{Name: "okta", Kind: "okta"}, {Name: "corp", Kind: "oidc", Claim: "roles"}},
		Mail:         true,
	}
}

func export(t testing.TB, c cloudflare.Config) cloudflare.Output {
	t.Helper()
	o, err := cloudflare.Export(c)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s", name, got)
	}
}

const corpus = `
@id("assets") @public("pictures and styles")
permit(principal, action, resource in Path::"app.example/assets");
@id("health") @public("for the monitor")
permit(principal, action, resource == Path::"app.example/healthz");
@id("front") @public("the way in")
permit(principal, action == Action::"GET", resource == Path::"app.example/");
@id("staff")
permit(principal in Group::"okta/staff", action, resource in Host::"app.example");
@id("acme")
permit(principal is Person, action, resource in Path::"app.example/acme")
when { principal.domain == "acme.test" || principal.email like "*@acme.org" }
unless { principal.by == "mail" };
@id("guests")
permit(principal is Person, action, resource in Path::"app.example/shared")
when { principal.by == "mail" && ["dora@guest.test", "dan@guest.test"].contains(principal.email) && context.network.isInRange(ip("192.0.2.0/24")) };
@id("backup")
permit(principal == Service::"backup", action, resource == Path::"app.example/jobs/backup");
@id("readers")
permit(principal in Group::"corp/readers", action in Action::"read", resource in Host::"wiki.example");
@id("editors")
permit(principal in Group::"corp/editors", action, resource in Host::"wiki.example");
@id("admin-area")
forbid(principal, action, resource in Path::"app.example/admin")
unless { principal is Person && principal in Group::"okta/admins" && context.network.isInRange(ip("10.0.0.0/8")) };
@id("suspended")
forbid(principal in Group::"okta/suspended", action, resource);
@id("here") @public("development")
permit(principal, action, resource in Host::"localhost:8443");
`

// What redoubt edge export cloudflare prints, for people to read (SYSTEM P7).
func TestTheExport(t *testing.T) {
	c := config(t, corpus)
	c.Applications = append(c.Applications, cloudflare.Application{Host: "localhost:8443", To: "http://127.0.0.1:3002"})
	o := export(t, c)
	golden(t, "access.tf", o.Terraform)
	golden(t, "config.yml", o.Tunnel)
	var limits []string
	for _, l := range o.Limits {
		limits = append(limits, l.String())
		if l.Kind != cloudflare.Denied && l.Kind != cloudflare.Differs {
			t.Errorf("a limit of the kind %q", l.Kind)
		}
		if !strings.Contains(o.Terraform, "#   "+l.String()) || !strings.Contains(o.Tunnel, "#   "+l.String()) {
			t.Errorf("the output does not say %q", l)
		}
	}
	for _, want := range []string{"denied · localhost:8443: ", "denied · app.example · app.cedar:6 front: the rule is left out", "denied · app.cedar:19 readers: the rule is left out: Access does not see the method",
		"differs · app.example/assets · app.cedar:26 suspended: everybody is let in"} {
		if !slices.ContainsFunc(limits, func(l string) bool { return strings.HasPrefix(l, want) }) {
			t.Errorf("no limit says %q:\n%s", want, strings.Join(limits, "\n"))
		}
	}
}

func TestConfigurationProblemsAreReportedTogether(t *testing.T) {
	if _, err := cloudflare.Export(cloudflare.Config{}); err == nil || !strings.Contains(err.Error(), "there are none") {
		t.Errorf("got %v", err)
	}
	c := config(t, "")
	c.Applications = []cloudflare.Application{{"other.example", "http://127.0.0.1:1"}, {"app.example", "127.0.0.1"}, {"app.example", "http://x/y"}}
	c.Providers = []cloudflare.Provider{{Name: "okta", Kind: "ldap"}, {Name: "okta", Kind: "okta"}}
	c.Session = "8h\"}"
	_, err := cloudflare.Export(c)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{`"other.example"`, `"app.example" is there twice`, "no address", `"okta" is of none`, `"okta" is there twice`, "session's length"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %s", err, want)
		}
	}
	c = config(t, "")
	c.Providers, c.Mail = nil, false
	if _, err := cloudflare.Export(c); err == nil || !strings.Contains(err.Error(), "no way to sign on") {
		t.Errorf("got %v", err)
	}
	c = config(t, many(cloudflare.MaxApplications))
	if _, err := cloudflare.Export(c); err == nil || !strings.Contains(err.Error(), "is the limit") {
		t.Errorf("got %v", err)
	}
}

func many(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(`permit(principal == Person::"a@b.test", action, resource in Path::"app.example/` + strings.Repeat("x", i+1) + "\");\n")
	}
	return b.String()
}

// Names of groups and paths may hold what means something in Terraform or YAML.
func TestNothingBreaksOutOfItsString(t *testing.T) {
	o := export(t, config(t, `
@note("\"\n}\nresource \"x\" \"y\" {}")
permit(principal in Group::"okta/a\"b\\c${file(\"/etc/passwd\")}%{ if true }\n}", action, resource in Host::"app.example");
permit(principal in Group::"corp/a", action, resource in Path::"app.example/a_b") when { principal is Person && principal.email == "x'y{}$@b.test" };
permit(principal in Group::"corp/b", action, resource in Path::"app.example/a.b");
permit(principal in Group::"corp/c", action, resource in Path::"app.example/a-b");
`))
	for _, want := range []string{`name = "a\"b\\c$${file(\"/etc/passwd\")}%%{ if true }\u000a}"`, `"app_example_a_b"`, `"app_example_a_b_2"`, `"app_example_a_b_3"`} {
		if !strings.Contains(o.Terraform, want) {
			t.Errorf("it does not have %s:\n%s", want, o.Terraform)
		}
	}
	for line := range strings.Lines(o.Terraform) {
		if strings.HasPrefix(line, `resource "x"`) {
			t.Errorf("got %q", line)
		}
	}
}
