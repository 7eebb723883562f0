package commons_test

import (
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/commons"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/layertest"
)

var update = flag.Bool("update", false, "rewrite golden files")

const golden = "testdata/gates.golden"

// roles are the columns of the matrix. Each asks every route with nothing in the body and an id of nothing.
var roles = []string{"stranger", "member", "administrator", "member's key", "admin's key", "key without it"}

// builtins are Redoubt's own routes, which every application has.
var builtins = []redoubt.Route{
	{Pattern: "POST /sign-out", Access: redoubt.Members},
	{Pattern: "POST /organization", Access: redoubt.Members},
	{Pattern: "GET /signed-out", Access: redoubt.Public},
	{Pattern: "GET /api/v1/openapi.json", Access: redoubt.Public},
}

// A matrix asks every route as every role.
type matrix struct {
	w            *layertest.W
	member, boss *layertest.Caller
	memberKey    *layertest.Caller // with everything that its maker may
	bossKey      *layertest.Caller
	bare         map[string]*layertest.Caller // by a key's only scope
}

func newMatrix(t *testing.T) *matrix {
	w := layertest.World(t, commons.App)
	m := &matrix{w: w, member: w.Member("Acme"), boss: w.Administrator("Acme")}
	m.memberKey, m.bossKey = m.member.WithKey(), m.boss.WithKey()
	m.bare = map[string]*layertest.Caller{"profile:read": m.member.WithKey("profile:read"), "posts:read": m.member.WithKey("posts:read")}
	return m
}

func (m *matrix) routes() []redoubt.Route {
	all := slices.Concat(m.w.Routes(), builtins)
	slices.SortFunc(all, func(a, b redoubt.Route) int {
		x, y := strings.SplitN(a.Pattern, " ", 2), strings.SplitN(b.Pattern, " ", 2)
		return strings.Compare(x[1]+" "+x[0], y[1]+" "+y[0])
	})
	return all
}

// ask sends one request. People get a session of their own each time, since some routes end it.
func (m *matrix) ask(role string, r redoubt.Route) *layertest.Response {
	method, path, _ := strings.Cut(r.Pattern, " ")
	path = strings.NewReplacer("{id}", "00000000-0000-4000-8000-000000000000", "{$}", "").Replace(path)
	var c *layertest.Caller
	switch role {
	case "stranger":
		c = m.w.Stranger()
	case "member":
		c = m.member.SignIn("Acme").Browser()
	case "administrator":
		c = m.boss.SignIn("Acme").Browser()
	case "member's key":
		c = m.memberKey
	case "admin's key":
		c = m.bossKey
	case "key without it":
		c = m.bare[other(r.Access)]
	}
	var body any
	if method == http.MethodPost || method == http.MethodPut {
		if body = any(url.Values{}); strings.HasPrefix(path, "/api/") {
			body = []byte("{}")
		}
	}
	req := c.Request(method, path, body)
	if role == "stranger" && !strings.HasPrefix(path, "/api/") {
		req.Header.Set("Accept", "text/html")
		req.Header.Set("Sec-Fetch-Site", "same-origin")
	} else if role == "stranger" { // else transport stops a request without a key or an origin, as a forged one
		req.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	return c.Do(req)
}

// other is a scope of a member's that is not the one asked for.
func other(a redoubt.Access) string {
	if a == redoubt.Scope("profile:read") {
		return "posts:read"
	}
	return "profile:read"
}

// outcome is how the matrix writes an answer: who refused, or that nobody of the gates did.
func outcome(r *layertest.Response) string {
	if by, _ := r.RefusedBy(); by != "" {
		return fmt.Sprintf("%s %d", by, r.Code)
	}
	return fmt.Sprint(r.Code)
}

func TestTheMatrixOfRolesAndRoutes(t *testing.T) { // SYSTEM A1, A6
	m := newMatrix(t)
	var b strings.Builder
	fmt.Fprintf(&b, "# Who may ask for what, and who refuses them: each route asked by each role with an empty body and an id of nothing.\n# A number alone passed every layer. Rewrite with: go test ./commons -run Matrix -update\n\n")
	fmt.Fprintf(&b, "%-45s %-22s", "route", "declared")
	for _, role := range roles {
		fmt.Fprintf(&b, " %-15s", role)
	}
	b.WriteString("\n")
	for _, r := range m.routes() {
		fmt.Fprintf(&b, "%-45s %-22s", r.Pattern, r.Access)
		for _, role := range roles {
			fmt.Fprintf(&b, " %-15s", outcome(m.ask(role, r)))
		}
		b.WriteString("\n")
	}
	got := trim(b.String())
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	wantLines, gotLines := strings.Split(string(want), "\n"), strings.Split(got, "\n")
	for _, line := range gotLines {
		if !slices.Contains(wantLines, line) {
			t.Errorf("new:  %s", line)
		}
	}
	for _, line := range wantLines {
		if !slices.Contains(gotLines, line) {
			t.Errorf("gone: %s", line)
		}
	}
}

func trim(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

// Every route that is not public refuses whom its declaration leaves out, and the first gate is who does it.
func TestEveryRouteRefuses(t *testing.T) { // SYSTEM A1, A4, A6
	m := newMatrix(t)
	for _, r := range m.routes() {
		if r.Access == redoubt.Public {
			continue
		}
		t.Run(r.Pattern, func(t *testing.T) {
			status := http.StatusUnauthorized
			if strings.HasPrefix(r.Pattern, "GET ") && !strings.Contains(r.Pattern, "/api/") {
				status = http.StatusSeeOther // to sign in
			}
			m.ask("stranger", r).Refused(status, layer.GateRoute)
			scope, scoped := strings.CutPrefix(r.Access.String(), "scope ")
			switch {
			case scoped:
				m.ask("key without it", r).Refused(http.StatusForbidden, layer.GateRoute)
				if !m.member.Principal().Has(scope) {
					m.ask("member", r).Refused(http.StatusForbidden, layer.GateRoute)
				}
			case r.Access == redoubt.Administrators:
				m.ask("member", r).NotFound(layer.GateRoute)
				m.ask("admin's key", r).Refused(http.StatusForbidden, layer.GateRoute)
			default:
				m.ask("member's key", r).Refused(http.StatusForbidden, layer.GateRoute)
			}
			if by, _ := m.ask("administrator", r).RefusedBy(); by == layer.GateRoute {
				t.Error("an administrator is refused too") // who may ask for everything
			}
		})
	}
}
