package commons_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt/commons"
	"github.com/redoubt-dev/redoubt/layer/layertest"
)

// An administrator connects a provider, which deletes a member: what they wrote stays, without them (SYSTEM I7, I8).
func TestAProviderKeepsTheListOfMembers(t *testing.T) {
	w := layertest.World(t, commons.App)
	boss, member := w.Administrator("Acme"), w.Member("Acme")
	key := member.WithKey()
	post := one(key.Post("/api/v1/posts", kv{"body": "I was here."}))[0]
	var made struct{ ID, Credential string }
	boss.Browser().Post("/api/v1/directories", kv{"name": "Provider"}).JSON(&made)
	page := boss.Browser().Get("/admin/directory").OK()
	if !strings.Contains(string(page.Body), "/scim/v2") || strings.Contains(string(page.Body), made.Credential) {
		t.Error("the page does not say where, or shows the credential again")
	}
	ask := func(method, path, body string) int {
		r := httptest.NewRequestWithContext(t.Context(), method, layertest.Origin+"/scim/v2"+path, strings.NewReader(body))
		if body == "" {
			r.Body, r.ContentLength = http.NoBody, 0
		}
		r.Header.Set("Authorization", "Bearer "+made.Credential)
		r.Header.Set("Content-Type", "application/scim+json")
		rec := httptest.NewRecorder()
		w.Server.ServeHTTP(rec, r)
		return rec.Code
	}
	user := "/Users/" + string(member.Principal().Profile())
	if got := ask("PATCH", user, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"active","value":false}]}`); got != http.StatusOK {
		t.Fatalf("stopping a member is answered %d", got)
	}
	key.Get("/api/v1/posts/" + post).Status(http.StatusUnauthorized)
	if got := ask("DELETE", user, ""); got != http.StatusNoContent {
		t.Fatalf("deleting a member is answered %d", got)
	}
	boss.Get("/api/v1/posts/" + post).OK()
	boss.Delete("/api/v1/directories/" + made.ID).NoContent()
	if got := ask("GET", "/Users", ""); got != http.StatusUnauthorized {
		t.Errorf("a provider that is disconnected is answered %d", got)
	}
}
