package layertest_test

import (
	"fmt"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/commons"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/layertest"
)

// A listener is a test that hears what it is failed with, instead of failing.
type listener struct {
	testing.TB
	heard string
}

func (l *listener) Helper() {}
func (l *listener) Fatal(args ...any) {
	l.heard = fmt.Sprint(args...)
	runtime.Goexit()
}
func (l *listener) Fatalf(format string, args ...any) {
	l.heard = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func (l *listener) hear(f func()) string {
	l.heard = ""
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	<-done
	return l.heard
}

func TestAFailedCheckSaysWhoRefusedWhat(t *testing.T) {
	l := &listener{TB: t}
	w := layertest.World(l, commons.App)
	alice := w.Member("Acme")
	const missing = "/api/v1/orders/00000000-0000-4000-8000-000000000000"
	for _, c := range []struct {
		name string
		do   func()
		want string // empty passes
	}{
		{"the right layer", func() { alice.Get(missing).NotFound(layer.RLS) }, ""},
		{"another layer", func() { alice.Get(missing).NotFound(layer.GateRoute) }, "GET " + missing + ": got 404 refused by rls: "},
		{"no refusal", func() { alice.Get("/api/v1/orders").NotFound(layer.RLS) }, "got 200 OK, want 404 by rls"},
		{"a refusal", func() { alice.Get(missing).OK() }, "got 404 refused by rls"},
		{"another status", func() { alice.Get(missing).Refused(403, layer.RLS) }, "want 403 by rls"},
		{"a refusal of a page, which names no layer", func() { alice.Browser().Get("/orders/" + missing[15:]).NotFound(layer.RLS) }, ""},
		{"nothing created", func() { alice.Post("/api/v1/posts", map[string]string{}).Created() }, "got 422 refused by input"},
		{"no content", func() { alice.Get("/api/v1/orders").NoContent() }, "want 204"},
		{"no JSON", func() { alice.Browser().Get("/").OK().JSON(&struct{}{}) }, "reading 200 OK"},
		{"too wide a key", func() { alice.APIKey("audit:read") }, "making an API key"},
	} {
		if got := l.hear(c.do); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: said %q, want %q", c.name, got, c.want)
		}
	}
}

func TestPeopleAreWhoTheyAreSaidToBe(t *testing.T) {
	w := layertest.World(t, commons.App)
	erin := w.Member("Acme", layertest.Named("Erin Eze"), layertest.AlsoOf("Globex"))
	there := erin.SignIn("Globex")
	if erin.Principal().Person() != there.Principal().Person() || erin.Principal().Organization() == there.Principal().Organization() {
		t.Errorf("got %v and %v", erin.Principal(), there.Principal())
	}
	if page := erin.Browser().Get("/profile").OK(); !strings.Contains(string(page.Body), "Erin Eze") {
		t.Error("the page does not know their name")
	}
	if to := w.Member("Acme", layertest.Unintroduced()).Browser().Get("/profile").Status(http.StatusSeeOther).Header.Get("Location"); to != commons.App.Onboarding {
		t.Errorf("somebody who has not been introduced is led to %q", to)
	}
	if a, b := w.Organization("Acme"), layertest.World(t, commons.App).Organization("Acme"); a == b {
		t.Error("two worlds share an organization")
	}
	if !w.Administrator("Acme").Principal().Administrator() || erin.Principal().Administrator() || !w.Administrator("Acme").WithKey("members:read").Principal().Administrator() {
		t.Error("administrators are mistaken")
	}
	erin.Browser().Post("/posts", layertest.Multipart{Fields: url.Values{"body": {"By hand."}}}).Status(http.StatusSeeOther)
}

func TestADisposableWorldIsDamagedAlone(t *testing.T) {
	w := layertest.Disposable(t, redoubt.App{})
	if _, err := w.Admin(t).Exec(t.Context(), `drop schema audit cascade`); err != nil {
		t.Fatal(err)
	}
	layertest.World(t, redoubt.App{}).Member("Acme") // whose sign-in is recorded
	for want, conn := range map[string]*pgx.Conn{"redoubt_app": w.AsApp(t), "redoubt_identity": w.AsIdentity(t), "redoubt_migrator": w.AsMigrator(t)} {
		var got string
		if err := conn.QueryRow(t.Context(), `select session_user`).Scan(&got); err != nil || got != want {
			t.Errorf("connected as %q, %v, want %s", got, err, want)
		}
	}
}
