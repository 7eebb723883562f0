package layertest_test

import (
	"testing"

	"github.com/redoubt-dev/redoubt/commons"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/layertest"
)

func TestMain(m *testing.M) { layertest.Main(m) }

func TestAWorldServesItsMembersAndNobodyElse(t *testing.T) {
	w := layertest.World(t, commons.App)
	alice, dave := w.Member("Acme"), w.Member("Globex")
	post := alice.Post("/api/v1/posts", map[string]string{"body": "Hello."}).Created()
	alice.Get("/api/v1/posts/" + post.ID).OK()
	alice.Browser().Get("/posts/" + post.ID).OK()
	dave.Get("/api/v1/posts/" + post.ID).NotFound(layer.RLS)
	dave.Browser().Get("/posts/" + post.ID).NotFound(layer.RLS)
	w.Stranger().Get("/api/v1/posts/"+post.ID).Refused(401, layer.GateRoute)
	alice.WithKey("orders:read").Get("/api/v1/posts/"+post.ID).Refused(403, layer.GateRoute)
	alice.Browser().Put("/api/v1/posts/"+post.ID, map[string]string{"body": "Hello again."}).OK()
	alice.Delete("/api/v1/posts/" + post.ID).NoContent()
}

func TestASessionIsFreshUnlessItIsSaidToBeStale(t *testing.T) { // SYSTEM I6
	w := layertest.World(t, commons.App)
	alice := w.Member("Acme")
	key := map[string]any{"name": "Key", "scopes": []string{"posts:read"}, "expires_in_days": 1}
	alice.Browser().Post("/api/v1/api-keys", key).Created()
	stale := alice.Browser().Stale()
	stale.Post("/api/v1/api-keys", key).Refused(401, layer.GateRoute)
	stale.Get("/api/v1/api-keys").OK()
	stale.SignIn("Acme").Browser().Post("/api/v1/api-keys", key).Refused(401, layer.GateRoute) // stale is how they sign in
	if stale.Principal().Person() != alice.Principal().Person() || alice.Principal().Assured("mfa") || !alice.Assured("mfa").Principal().Assured("mfa") {
		t.Error("they are somebody else, or assured of something else")
	}
}
