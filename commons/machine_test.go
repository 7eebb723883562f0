package commons_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/commons"
	"github.com/redoubt-dev/redoubt/commons/account"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/layertest"
)

// A machine with every scope that its maker could give is still nobody: it reads what the organization has, makes nothing in anybody's
// name, and opens no page.
func TestAMachineIsNobodysMember(t *testing.T) { // SYSTEM I9, A1, A3
	c := newCast(t)
	var all []string
	for _, scopes := range [][]string{commons.App.Scopes.Member, commons.App.Scopes.Administrator} {
		all = append(all, scopes...)
	}
	machine := c.boss.Machine(all...)
	for _, r := range c.w.Routes() {
		if r.Access == redoubt.Public {
			continue
		}
		for _, s := range statesOf(t, r) {
			resp := machine.Do(request(t, machine, r, s.make(c)))
			if by, _ := resp.RefusedBy(); resp.Code >= 500 || (r.Access == redoubt.Members || r.Access == redoubt.Administrators) && by != layer.GateRoute {
				t.Errorf("%s, %s: got %s", r.Pattern, s.name, cell(resp))
			}
			c.fill()
		}
	}
}

func TestAMachineReadsAndWritesNothingInAnybodysName(t *testing.T) { // SYSTEM I9
	w := layertest.World(t, commons.App)
	alice, boss, dave := w.Member("Acme"), w.Administrator("Acme"), w.Member("Globex")
	post := alice.Post("/api/v1/posts", kv{"body": "Hello."}).Created()
	theirs := dave.Post("/api/v1/posts", kv{"body": "Hello."}).Created()
	machine := boss.Machine("posts:read", "posts:write")
	machine.Get("/api/v1/posts/" + post.ID).OK()
	machine.Get("/api/v1/posts/" + theirs.ID).NotFound(layer.RLS)
	machine.Get("/api/v1/orders").Refused(http.StatusForbidden, layer.GateRoute)
	machine.Post("/api/v1/posts", kv{"body": "By nobody."}).Refused(http.StatusForbidden, layer.RLS)
	machine.Delete("/api/v1/posts/"+post.ID).Refused(http.StatusForbidden, layer.GateAction)
}

func TestAnAdministratorTrustsAMachineOnItsPage(t *testing.T) { // SYSTEM I9
	w := layertest.World(t, commons.App)
	boss := w.Administrator("Acme").Browser()
	page := string(boss.Get("/admin/machines").OK().Body)
	for _, want := range []string{"No machine is trusted", layertest.MachineIssuer, w.Identity.MachineAudience(w.Organization("Acme")), redoubt.TokenPath} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	form := url.Values{"name": {"Builds"}, "issuer": {layertest.MachineIssuer}, "subject_pattern": {"repo:acme/web:ref:refs/heads/main"}, "scopes": {"posts:read"}, "uses": {"1"}, "expires_in_days": {"0"}}
	with := func(name string, values ...string) url.Values {
		other := url.Values{}
		for k, v := range form {
			other[k] = v
		}
		other[name] = values
		return other
	}
	for name, c := range map[string]struct {
		form url.Values
		says string
	}{
		"everybody's subject": {with("subject_pattern", "repo:*/*"), "none of them empty"},
		"another issuer":      {with("issuer", "https://evil.example"), "must be one of the issuers"},
		"no use":              {with("uses", "0"), "between 1 and 1000"},
		"nothing to do":       {with("scopes"), ""},
	} {
		resp := boss.Post("/admin/machines", c.form)
		if resp.Code != http.StatusUnprocessableEntity || !strings.Contains(string(resp.Body), c.says) || strings.Contains(string(resp.Body), "evil.example") {
			t.Errorf("%s: got %d, want the form again with %q", name, resp.Code, c.says)
		}
	}
	boss.Post("/admin/machines", form).Status(http.StatusSeeOther)
	var list account.MachineList
	boss.Get("/api/v1/machines").OK().JSON(&list)
	if len(list.Machines) != 1 || list.Machines[0].Name != "Builds" || list.Machines[0].ExpiresAt != nil || len(list.Issuers) != 2 {
		t.Fatalf("got %+v", list)
	}
	boss.Post("/admin/machines/"+string(list.Machines[0].ID)+"/revoke", url.Values{}).Status(http.StatusSeeOther)
	if page := string(boss.Get("/admin/machines").OK().Body); !strings.Contains(page, "revoked") {
		t.Error("the page does not say that it is revoked")
	}
}

// A key that turned up elsewhere is shown as such, to its owner and in the audit trail.
func TestAKeyInANewPlaceIsShown(t *testing.T) { // SYSTEM I9, M2
	w := layertest.World(t, commons.App)
	boss := w.Administrator("Acme")
	key := boss.WithKey("posts:read", "keys:write")
	for _, address := range []string{"198.51.100.7:1", "198.51.100.8:1", "203.0.113.9:1"} {
		r := key.Request(http.MethodGet, "/api/v1/posts", nil)
		r.RemoteAddr = address
		key.Do(r).OK()
	}
	if page := string(boss.Browser().Get("/keys").OK().Body); !strings.Contains(page, "1 new network") || !strings.Contains(page, "203.0.113.0/24") || strings.Contains(page, "203.0.113.9") {
		t.Error("the page does not show the new network")
	}
	if page := string(boss.Browser().Get("/admin/audit").OK().Body); !strings.Contains(page, "api_key.new_network") {
		t.Error("the audit trail does not show it")
	}
	var list account.KeyList
	boss.Browser().Get("/api/v1/api-keys").OK().JSON(&list)
	if n := list.Keys[0].Networks; len(n) != 2 || !n[0].Suspect || n[1].Suspect || n[1].Network != "198.51.100.0/24" {
		t.Errorf("got %+v", n)
	}
}
