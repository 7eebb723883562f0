package identity_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/fstest"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/backbone/migrate"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/identity"
	"github.com/redoubt-dev/redoubt/layer/layertest"
)

func TestMain(m *testing.M) { layertest.Main(m) }

// scoped is an application that has scopes and nothing else.
var scoped = redoubt.App{
	Schema: []migrate.Line{{Name: "scopes", Application: true, Files: fstest.MapFS{"0001_scopes.sql": {Data: []byte(`
SELECT redoubt.allow('member', 'keys:write', 'sessions:write', 'posts:write');
SELECT redoubt.allow('administrator', 'keys:write', 'sessions:write', 'posts:write', 'members:read', 'members:write', 'machines:write');
`)}}}},
	Scopes: identity.Scopes{Member: []string{"keys:write", "sessions:write", "posts:write"}, Administrator: []string{"members:read", "members:write", "machines:write"}},
}

const cookieName = "__Host-redoubt"

// with is a request that carries this session's cookie.
func with(t *testing.T, token string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), "GET", "https://app.example.test/", nil)
	r.AddCookie(&http.Cookie{Name: cookieName, Value: token})
	return r
}

// by is a request with this Authorization.
func by(t *testing.T, authorization ...string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), "GET", "https://app.example.test/", nil)
	r.Header["Authorization"] = authorization
	return r
}

// change is what somebody who can write to the session store does.
func change(t *testing.T, w *layertest.W, sql string, args ...any) {
	t.Helper()
	tag, err := w.Admin(t).Exec(t.Context(), sql, args...)
	if err != nil || tag.RowsAffected() != 1 {
		t.Fatalf("%s: %d rows, %v", sql, tag.RowsAffected(), err)
	}
}

func scan[T any](t *testing.T, w *layertest.W, sql string, args ...any) (v T) {
	t.Helper()
	if err := w.Admin(t).QueryRow(t.Context(), sql, args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

func refused(t *testing.T, err error, reason layer.Reason) {
	t.Helper()
	var r *layer.Refusal
	if !errors.As(err, &r) || r.By != layer.Identity || r.Reason != reason || r.Public == "" {
		t.Errorf("got %v, want %s by identity", err, reason)
	}
}

// living checks whether a session's cookie still opens anything.
func living(t *testing.T, w *layertest.W, token string, want bool) {
	t.Helper()
	alive(t, w.Identity, token, want)
}

func alive(t *testing.T, service *identity.Service, token string, want bool) {
	t.Helper()
	who, err := service.Identify(with(t, token))
	if err != nil || who.Nobody() == want {
		t.Errorf("the session lives: %t (%v), want %t", !who.Nobody(), err, want)
	}
}
