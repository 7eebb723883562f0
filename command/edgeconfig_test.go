package command

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// fenced returns the first block of this kind in a document.
func fenced(t *testing.T, document, kind string) string {
	t.Helper()
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "```"+kind+"\n")
	block, _, closed := strings.Cut(rest, "```")
	if !ok || !closed {
		t.Fatalf("%s has no block of %s", document, kind)
	}
	return block
}

// The example of docs/edge.md is a configuration that starts, and its policies say what the page says.
func TestTheExampleInTheDocumentsIsGood(t *testing.T) {
	dir := t.TempDir()
	for name, kind := range map[string]string{"edge.toml": "toml", "wiki.cedar": "cedar"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(fenced(t, "../docs/edge.md", kind)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("REDOUBT_SECRET_OKTA", "a secret of the test")
	file, err := readEdgeFile(filepath.Join(dir, "edge.toml"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.providers(t.Context()); err != nil {
		t.Error(err)
	}
	for _, c := range []struct {
		who     asker
		method  string
		path    string
		allowed bool
	}{
		{asker{}, "GET", "/health", true},
		{asker{}, "POST", "/health", false},
		{asker{}, "GET", "/", false},
		{asker{as: "bob@example.com", groups: []string{"okta/staff"}}, "GET", "/", true},
		{asker{as: "bob@example.com", groups: []string{"okta/staff"}}, "GET", "/admin", false},
		{asker{as: "bob@example.com", groups: []string{"okta/staff"}}, "GET", "/admin/users", false},
		{asker{as: "bob@example.com", groups: []string{"okta/staff"}}, "GET", "/administrators", true},
		{asker{as: "ada@example.com", groups: []string{"okta/staff", "okta/admins"}}, "POST", "/admin/users", true},
		{asker{as: "eve@example.com", groups: []string{"okta/admins"}}, "GET", "/admin", false},
	} {
		c.who.from = "192.0.2.1"
		got, err := file.explain(c.who, c.method, "https://wiki.example.com"+c.path)
		if err != nil {
			t.Fatal(err)
		}
		if got.Decision.Allow != c.allowed {
			t.Errorf("%s %s as %q %v: %v, by %s", c.method, c.path, c.who.as, c.who.groups, got.Decision.Allow, got.Decision.Rule)
		}
	}
}

// What docs/edge.md lists is all that there is: every name of the file, and no other.
func TestTheDocumentsListEverySetting(t *testing.T) {
	text, err := os.ReadFile("../docs/edge.md")
	if err != nil {
		t.Fatal(err)
	}
	_, list, ok := strings.Cut(string(text), "## Everything that edge.toml may say")
	_, list, opened := strings.Cut(list, "```toml\n")
	list, _, closed := strings.Cut(list, "```")
	if !ok || !opened || !closed {
		t.Fatal("docs/edge.md has no list of settings")
	}
	if _, err := parseEdgeFile([]byte(list)); err != nil {
		t.Errorf("the list does not start: %v", err)
	}
	for _, name := range settings(reflect.TypeFor[edgeFile]()) {
		if !regexp.MustCompile(`(?m)^(# )?\[*(\w+\.)?`+name+`\b`).MatchString(list) && name != "insecure_loopback" { // which is for tests with a catcher of mail
			t.Errorf("%s is not listed", name)
		}
	}
}

// settings are the names in a part of the file and in what is beneath it.
func settings(part reflect.Type) (names []string) {
	for part.Kind() == reflect.Pointer || part.Kind() == reflect.Slice {
		part = part.Elem()
	}
	if part.Kind() != reflect.Struct {
		return nil
	}
	for field := range part.Fields() {
		if name := field.Tag.Get("toml"); name != "" {
			names = append(append(names, name), settings(field.Type)...)
		}
	}
	return names
}

const smallest = `state = "s"
[certificate]
local = true
[[application]]
name = "a"
origin = "https://a.example"
policies = ["a.cedar"]
`

func TestAConfigurationSaysWhatIsWrongWithIt(t *testing.T) {
	if _, err := parseEdgeFile([]byte(smallest)); err != nil {
		t.Fatalf("the smallest one: %v", err)
	}
	for name, c := range map[string]struct{ text, want string }{
		"a name that nobody knows":         {"colour = 1\n" + smallest, "colour"},
		"a name in another spelling":       {strings.Replace(smallest, "policies", "policy", 1), "policy"},
		"the same name twice":              {"state = \"t\"\n" + smallest, "line 2"},
		"a number where a text belongs":    {strings.Replace(smallest, `"https://a.example"`, "1", 1), "line 6"},
		"no folder":                        {strings.Replace(smallest, "state = \"s\"\n", "", 1), "state: "},
		"no certificate":                   {strings.Replace(smallest, "local = true", "", 1), "certificate: say one of"},
		"two kinds of certificates":        {smallest + "[certificate.acme]\ndirectory = \"https://ca.example\"\nagreed_to_terms = true\n", "certificate: say one of"},
		"terms that nobody agreed to":      {strings.Replace(smallest, "local = true", "", 1) + "[certificate.acme]\ndirectory = \"https://ca.example\"\n", "agreed_to_terms"},
		"an operator's port for everybody": {"operator = \"0.0.0.0:9443\"\n" + smallest, "operator: "},
		"no application":                   {"state = \"s\"\n[certificate]\nlocal = true\n", "application: there is none"},
		"an application without policies":  {strings.Replace(smallest, "policies = [\"a.cedar\"]\n", "", 1), "nobody could pass"},
		"an origin without TLS":            {strings.Replace(smallest, "https:", "http:", 1), "origin of the form"},
		"an origin with a path":            {strings.Replace(smallest, "a.example", "a.example/", 1), "origin of the form"},
		"the same application twice":       {smallest + "[[application]]\nname = \"a\"\norigin = \"https://b.example\"\npolicies = [\"a.cedar\"]\n", "there twice"},
		"half a provider":                  {smallest + "[[provider]]\nname = \"okta\"\n", `provider "okta"`},
		"a service without its hash":       {smallest + "[[service]]\nname = \"ci\"\nsha256 = \"12\"\n", `service "ci"`},
		"TLS that is too old":              {"oldest_tls = \"1.1\"\n" + smallest, "oldest_tls: "},
		"mail without a sender":            {smallest + "[mail]\nserver = \"mx.example:587\"\n", "mail: "},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseEdgeFile([]byte(c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v\nwant something about %q", err, c.want)
			}
		})
	}
}

func FuzzEdgeFile(f *testing.F) {
	f.Add([]byte(smallest))
	f.Fuzz(func(t *testing.T, text []byte) {
		if e, err := parseEdgeFile(text); err == nil && (len(e.Applications) == 0 || e.State == "") {
			t.Error("an edge without an application or a folder was taken")
		}
	})
}
