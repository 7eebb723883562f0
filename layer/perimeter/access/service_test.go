package access_test

import (
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt/layer/perimeter/access"
	"github.com/redoubt-dev/redoubt/layer/perimeter/assertion"
)

func newService(t testing.TB, name string) (string, access.Service) {
	t.Helper()
	token, s, err := access.NewService(name)
	if err != nil {
		t.Fatal(err)
	}
	return token, s
}

func TestAProgramPresentsItsToken(t *testing.T) { // SYSTEM P4
	token, backup := newService(t, "backup")
	second, backupToo := newService(t, "backup")
	otherToken, other := newService(t, "re-port")
	w := newWorld(t, noMail, func(w *world) { w.setting.Services = []access.Service{backup, backupToo, other} })
	g := w.gate()
	b := w.browser(g, "")
	ask := func(method, address string, values ...string) page {
		r := b.request(method, address, nil)
		r.Header.Del("Sec-Fetch-Mode")
		r.Header.Set("Accept", "*/*")
		r.Header[access.ServiceHeader] = values
		return b.send(r)
	}
	for _, good := range []string{token, second} {
		if p := ask("GET", wiki+"/export/all", good); b.passed == nil || b.gone.Who.By != assertion.ByService || b.gone.Who.Subject != "backup" || b.passed.Header[access.ServiceHeader] != nil {
			t.Fatalf("not let in: %d %s", p.StatusCode, p.text)
		}
	}
	again := b.gone.Again
	for what, c := range map[string]struct {
		status  int
		method  string
		address string
		values  []string
	}{
		"another path":                          {403, "GET", wiki + "/x", []string{token}},
		"another method":                        {403, "POST", wiki + "/export/all", []string{token}},
		"another host":                          {403, "GET", shop + "/export/all", []string{token}},
		"another service":                       {403, "GET", wiki + "/export/all", []string{otherToken}},
		"a wrong secret":                        {401, "GET", wiki + "/export/all", []string{token[:30] + "a" + token[31:]}},
		"a token cut short":                     {401, "GET", wiki + "/export/all", []string{token[:len(token)-1]}},
		"a longer token":                        {401, "GET", wiki + "/export/all", []string{token + "a"}},
		"in capitals":                           {401, "GET", wiki + "/export/all", []string{strings.ToUpper(token)}},
		"another's name":                        {401, "GET", wiki + "/export/all", []string{strings.Replace(otherToken, "re-port", "backup", 1)}},
		"nothing":                               {401, "GET", wiki + "/export/all", []string{""}},
		"two":                                   {401, "GET", wiki + "/export/all", []string{token, token}},
		"a wrong one, where everybody may pass": {401, "GET", wiki + "/hello", []string{"x"}},
		"a very long one":                       {401, "GET", wiki + "/export/all", []string{strings.Repeat("a", 60_000)}},
		"in the query":                          {400, "GET", wiki + "/export/all?token=" + token, nil},
		"in the query of what is public":        {400, "GET", wiki + "/hello?x=1&a=b" + token + "&c=d", nil},
		"escaped in the query":                  {400, "GET", wiki + "/hello?x=" + strings.ReplaceAll(token, "-", "%2D"), nil},
	} {
		if p := ask(c.method, c.address, c.values...); p.StatusCode != c.status || b.passed != nil || !strings.Contains(p.text, "perimeter") || strings.Contains(p.text, token[20:40]) {
			t.Errorf("%s: got %d %s", what, p.StatusCode, p.text)
		}
	}
	if ask("GET", wiki+"/hello?q=redoubt-service-what-is-it&r=redoubt-service-x-"+strings.Repeat("a", 59)); b.passed == nil {
		t.Error("who asks about service tokens is taken for one who has one")
	}
	for name, values := range map[string][]string{"Authorization": {"Bearer " + token}, "Cookie": {"token=" + token}} {
		r := b.request("GET", wiki+"/export/all", nil)
		r.Header[name] = values
		if b.send(r); b.passed != nil {
			t.Errorf("let in by %s", name)
		}
	}

	if err := g.SetServices([]access.Service{other, backup}); err != nil {
		t.Fatal(err)
	}
	if again() {
		t.Error("what a token began that was taken back goes on")
	}
	if ask("GET", wiki+"/export/all", second); b.passed != nil {
		t.Error("a token that was taken back lets in")
	}
	if ask("GET", wiki+"/export/all", token); b.passed == nil {
		t.Error("one that was not does not")
	}
}

func TestServicesThatAreNone(t *testing.T) {
	w := newWorld(t)
	g := w.gate()
	for what, s := range map[string]access.Service{
		"without a name":   {Hash: sha256.Sum256([]byte("x"))},
		"an odd name":      {Name: "Back Up", Hash: sha256.Sum256([]byte("x"))},
		"without a digest": {Name: "backup"},
	} {
		if err := g.SetServices([]access.Service{s}); err == nil {
			t.Errorf("%s: taken", what)
		}
	}
	if err := g.SetServices(make([]access.Service, access.MaxServices+1)); err == nil {
		t.Error("too many: taken")
	}
	if _, _, err := access.NewService("Back Up"); err == nil {
		t.Error("a token for an odd name")
	}
}

// A configuration in which names and digests were mixed up gives nobody another's rights.
func TestATokenCarriesItsOwnName(t *testing.T) { // SYSTEM P4
	token, s := newService(t, "report")
	w := newWorld(t, noMail, func(w *world) { w.setting.Services = []access.Service{{Name: "backup", Hash: s.Hash}} })
	b := w.browser(w.gate(), "")
	r := b.request("GET", wiki+"/export/all", nil)
	r.Header.Set(access.ServiceHeader, token)
	if p := b.send(r); b.passed != nil || p.StatusCode != 401 {
		t.Errorf("let in: %t, %d", b.passed != nil, p.StatusCode)
	}
}

// A token is compared with what a program would see of one that leaks.
func TestTheFormOfAToken(t *testing.T) {
	token, s := newService(t, "a-b-c")
	if !strings.HasPrefix(token, "redoubt-service-a-b-c-") || len(token) != len("redoubt-service-a-b-c-")+59 || s.Hash != sha256.Sum256([]byte(token)) || s.Name != "a-b-c" {
		t.Errorf("got %q", token)
	}
	if again, _ := newService(t, "a-b-c"); again == token {
		t.Error("two are the same")
	}
}
