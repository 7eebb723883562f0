package commons_test

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/layertest"
)

var update = flag.Bool("update", false, "rewrite golden files")

const golden = "testdata/gates.golden"

// A role is somebody who asks.
type role struct {
	name string
	who  func(m *matrix) *layertest.Caller // made again after each change: some end a session
}

// roles are the columns of the matrix, in this order, each with who it is. People ask by a browser.
var roles = []role{
	{"stranger", func(m *matrix) *layertest.Caller { return m.w.Stranger().Browser() }},
	{"expired", func(m *matrix) *layertest.Caller { return m.expired }},
	{"stopped", func(m *matrix) *layertest.Caller { return m.stopped }},
	{"member", func(m *matrix) *layertest.Caller { return m.cast.member.SignIn("Acme").Browser() }},
	{"administrator", func(m *matrix) *layertest.Caller { return m.boss.SignIn("Acme").Browser() }},
	{"admin, stale", func(m *matrix) *layertest.Caller { return m.boss.Stale().Browser() }},
	{"outsider", func(m *matrix) *layertest.Caller { return m.outsider.SignIn("Globex").Browser() }},
	{"member's key", func(m *matrix) *layertest.Caller { return m.memberKey }},
	{"admin's key", func(m *matrix) *layertest.Caller { return m.bossKey }},
	{"key without it", func(m *matrix) *layertest.Caller { return nil }}, // see matrix.caller
}

// public are the routes that no gate guards, with the reason why. It is not written by -update, and only shrinks.
var public = map[string]string{
	"GET /{$}":                  "welcomes strangers, and shows a member their feed by the rows that are theirs",
	"GET /assets/{path}":        "styles and pictures, the same for everybody",
	"GET /sign-in":              "leads to the provider",
	"GET /invitations/{token}":  "shows an invitation to whoever holds its link; identity finds it by the hash of a secret of 256 bits",
	"POST /invitations/{token}": "leads to the provider, to come back as somebody whose verified address it was sent to",
	"GET /sign-in/callback":     "comes back from there; identity verifies what it says",
	"GET /signed-out":           "says so, to somebody who is a stranger by then",
	"GET /api/v1/openapi.json":  "describes the interface, without a word about what is in it",
	"POST /sign-on/logout":      "hears identity providers, whose signed word ends sessions and does nothing else",
	"POST /oauth/token":         "exchanges a machine's token for one of ours; identity verifies what its issuer says",
	"POST /csp-reports":         "hears browsers, which send no credential; it answers nothing and changes nothing",
}

// A matrix asks every route as every role, about an object in every state.
type matrix struct {
	*cast
	expired, stopped   *layertest.Caller
	memberKey, bossKey *layertest.Caller
	bare               map[redoubt.Access]*layertest.Caller // keys with one scope, by that scope

	callers map[string]*layertest.Caller // by role, until something changes
	made    map[string][]string          // ids by noun and state, until it changes
}

func newMatrix(t *testing.T) *matrix {
	t.Helper()
	m := &matrix{cast: newCast(t), bare: map[redoubt.Access]*layertest.Caller{}, callers: map[string]*layertest.Caller{}, made: map[string][]string{}}
	m.keys()
	m.expired, m.stopped = m.w.Member("Acme").Browser(), m.w.Member("Acme").Browser()
	for _, c := range []*layertest.Caller{m.expired, m.stopped} {
		c.Request(http.MethodPost, "/", nil) // reads a page's token, while there is a page for them
	}
	if _, err := m.w.Admin(t).Exec(t.Context(), `update identity.session set expires_at = now() where id = $1`, m.expired.Principal().CredentialID()); err != nil {
		t.Fatal(err)
	}
	m.boss.Post("/api/v1/members/"+profile(m.stopped)[0]+"/deactivate", nil).NoContent()
	return m
}

// keys are made by new sessions: of those of one person, only the last lived (SYSTEM I5).
func (m *matrix) keys() {
	m.memberKey, m.bossKey = m.cast.member.SignIn("Acme").WithKey(), m.boss.SignIn("Acme").WithKey()
	for _, scope := range []string{"profile:read", "posts:read"} {
		m.bare[redoubt.Scope(scope)] = m.cast.member.SignIn("Acme").WithKey(scope)
	}
}

func (m *matrix) caller(name string, r redoubt.Route) *layertest.Caller {
	if name == "key without it" {
		return m.bare[other(r.Access)]
	}
	if m.callers[name] == nil {
		m.callers[name] = roles[slices.IndexFunc(roles, func(x role) bool { return x.name == name })].who(m)
	}
	return m.callers[name]
}

// other is a scope of a member's that is not the one asked for.
func other(a redoubt.Access) redoubt.Access {
	if a == redoubt.Scope("profile:read") {
		return redoubt.Scope("posts:read")
	}
	return redoubt.Scope("profile:read")
}

func place(r redoubt.Route, s state) string { return aboutOf(r) + " " + s.name }

// ids are of an object in that state, which is made when there is none that nobody has changed.
func (m *matrix) ids(r redoubt.Route, s state) []string {
	at := place(r, s)
	if _, ok := m.made[at]; !ok {
		m.made[at] = s.make(m.cast)
	}
	return m.made[at]
}

// ask sends one request. A refused one has changed nothing, so that its object serves the next; one that was answered may have
// changed its object, or anything if it names none, and may have ended the session that asked.
func (m *matrix) ask(role string, r redoubt.Route, s state) *layertest.Response {
	m.t.Helper()
	c := m.caller(role, r)
	resp := c.Do(request(m.t, c, r, m.ids(r, s)))
	if by, _ := resp.RefusedBy(); by == "" && r.Method() != http.MethodGet {
		m.forget(role, r, s)
	}
	return resp
}

func (m *matrix) forget(role string, r redoubt.Route, s state) {
	delete(m.callers, role)
	delete(m.callers, "admin, stale") // whose session the administrator may have ended
	delete(m.made, place(r, s))
	if aboutOf(r) == "" {
		clear(m.made)
	}
	if m.fill() {
		m.keys()
		clear(m.callers)
		clear(m.made)
	}
}

// cell is how the matrix writes an answer: that it was given, or who refused it. What is not there for the caller is neither.
func cell(r *layertest.Response) string {
	by, _ := r.RefusedBy()
	switch {
	case by == "":
		return fmt.Sprintf("✔ %d", r.Code)
	case r.Code == http.StatusNotFound:
		return fmt.Sprintf("404 %s", by)
	}
	return fmt.Sprintf("✘ %d %s", r.Code, by)
}

// A row is one route and one state of its object, with a cell for each role.
type row struct {
	route redoubt.Route
	state string
	cells []string
}

const preamble = `# Who may do what to which object, and who refuses them. Every cell is a request that was really sent, with a body that is valid.
#
#   ✔ 200             answered              ✘ 403 gate/route  refused, by which layer        404 rls  not there for them, by which layer
#
# The member, the administrator and who else stands in a column are of Acme; the outsider administers another organization, Globex,
# and what is "another organization's" is Globex's, or has an id that would be. Rewrite with: go test ./commons -run Matrix -update

`

// rows sends everything.
func (m *matrix) rows() (all []row) {
	for _, r := range m.w.Routes() {
		for _, s := range statesOf(m.t, r) {
			line := row{route: r, state: s.name}
			for _, role := range roles {
				resp := m.ask(role.name, r, s)
				if _, reason := resp.RefusedBy(); resp.Code >= 500 || reason == layer.Invalid && s.name != absent && s.name != gone {
					m.t.Errorf("%s, %s, %s: got %s: what is sent must be valid, and answered", r.Pattern, s.name, role.name, cell(resp))
				}
				line.cells = append(line.cells, cell(resp))
			}
			all = append(all, line)
		}
	}
	return all
}

func render(all []row) string {
	var b strings.Builder
	b.WriteString(preamble)
	line := func(first string, cells []string) {
		fmt.Fprintf(&b, "%-34s", first)
		for _, c := range cells {
			fmt.Fprintf(&b, " %-17s", c)
		}
		b.WriteString("\n")
	}
	var names []string
	for _, role := range roles {
		names = append(names, role.name)
	}
	line("", names)
	last := ""
	for _, x := range all {
		if x.route.Pattern != last {
			fmt.Fprintf(&b, "\n%s   (%s)\n", x.route.Pattern, x.route.Asks())
		}
		last = x.route.Pattern
		line("    "+cmp.Or(x.state, "—"), x.cells)
	}
	lines := strings.Split(b.String(), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

func TestTheMatrixOfRolesAndRoutes(t *testing.T) { // SYSTEM A1, A4, A5, A6
	t.Parallel() // with organizations of its own
	all := newMatrix(t).rows()
	for _, fault := range untrue(all) {
		t.Error(fault)
	}
	got := render(all)
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
	was, is := lines(string(want)), lines(got)
	for _, at := range slices.Sorted(maps.Keys(is)) {
		if was[at] != is[at] {
			t.Errorf("%s:\n\tgot  %s\n\twant %s", at, is[at], was[at])
		}
	}
	for at := range was {
		if _, ok := is[at]; !ok {
			t.Errorf("%s: is no more", at)
		}
	}
}

// lines are those of a matrix, by route and state.
func lines(text string) map[string]string {
	all, route := map[string]string{}, ""
	for line := range strings.SplitSeq(text, "\n") {
		if line != "" && !strings.HasPrefix(line, " ") {
			route = line
			all[route] = ""
		} else if line != "" {
			all[route+", "+strings.TrimSpace(line[:min(34, len(line))])] = strings.Join(strings.Fields(line), " ")
		}
	}
	return all
}

// untrue holds the matrix, whatever it says in particular, to what is true of every matrix (SYSTEM A4).
func untrue(all []row) (faults []string) {
	columns := map[string]int{}
	for i, role := range roles {
		columns[role.name] = i
	}
	for _, x := range all {
		at := x.route.Pattern + ", " + x.state
		if slices.Contains(x.cells, "") || len(x.cells) != len(roles) {
			faults = append(faults, at+": a role has no cell")
			continue
		}
		if x.route.Access == redoubt.Public {
			continue
		}
		for _, role := range []string{"stranger", "expired", "stopped", "key without it"} {
			if strings.HasPrefix(x.route.Path(), redoubt.SCIMPrefix) && x.cells[columns[role]] == "✘ 401 identity" {
				continue // an API key is no endpoint's credential, whatever its scopes
			}
			if c := x.cells[columns[role]]; !strings.HasSuffix(c, string(layer.GateRoute)) {
				faults = append(faults, fmt.Sprintf("%s: %s gets %s past the first gate", at, role, c))
			}
		}
		if needs := x.route.Needs(); needs.Asks() { // SYSTEM I6
			for _, role := range []string{"admin, stale", "member's key", "admin's key"} {
				if c := x.cells[columns[role]]; !strings.HasSuffix(c, string(layer.GateRoute)) && (role == "admin, stale" || !needs.Keys) {
					faults = append(faults, fmt.Sprintf("%s: %s, who proves nothing, gets %s past the first gate", at, role, c))
				}
			}
		}
		if strings.HasPrefix(x.cells[columns["outsider"]], "✔") && x.state != "" && x.state != theirs && !slices.Contains(indifferent, x.route.Pattern) {
			faults = append(faults, at+": an outsider is answered")
		}
	}
	return append(faults, told(all, columns)...)
}

// told finds where a caller can tell what belongs to another organization from what that organization does not have, or from what nobody has;
// but that an id is another's, which it says by itself, it may say.
func told(all []row, columns map[string]int) (faults []string) {
	found := map[string]row{}
	for _, x := range all {
		found[x.route.Pattern+", "+x.state] = x
	}
	for _, x := range all {
		nothing, ok := found[x.route.Pattern+", "+absent]
		nobodys, too := found[x.route.Pattern+", "+gone]
		if x.state != theirs || !ok || !too {
			continue
		}
		for role, i := range columns {
			if i >= min(len(x.cells), len(nothing.cells), len(nobodys.cells)) || role == "outsider" {
				continue
			}
			if x.cells[i] != nobodys.cells[i] || x.cells[i] != nothing.cells[i] && x.cells[i] != "404 rls" {
				faults = append(faults, fmt.Sprintf("%s: %s can tell another organization's (%s) from nothing (%s, %s)", x.route.Pattern, role, x.cells[i], nothing.cells[i], nobodys.cells[i]))
			}
		}
	}
	return faults
}

// Every route that is not public refuses whom its declaration leaves out, and the first gate is who does it. Every route at all
// refuses what nobody declared. Each refusal stands beside a request that differs in that alone, and is not refused for it.
func TestEveryRouteRefuses(t *testing.T) { // SYSTEM A1, A4, A6
	m := newMatrix(t)
	for _, r := range m.w.Routes() {
		states := statesOf(t, r)
		if len(states) == 0 {
			continue
		}
		t.Run(r.Pattern, func(t *testing.T) {
			reason, listed := public[r.Pattern]
			if open := r.Access == redoubt.Public; open != listed {
				t.Fatalf("public %t, listed as public %t (%s)", open, listed, reason)
			}
			if !listed {
				m.refusals(t, r, states[0])
			}
			if r.Pattern == "POST /csp-reports" || provisions(r) {
				return // answers 204 to everything: a browser does not read it
			}
			c := m.caller("administrator", r)
			extra := request(t, c, r, m.ids(r, states[0]))
			extra.URL.RawQuery = "undeclared=1"
			extra.RequestURI += "?undeclared=1"
			status := http.StatusUnprocessableEntity
			if r.ForPrograms() {
				status = http.StatusBadRequest // in the form of their protocol
			}
			c.Do(extra).Refused(status, layer.Input)
		})
	}
	for pattern := range public {
		if !slices.ContainsFunc(m.w.Routes(), func(r redoubt.Route) bool { return r.Pattern == pattern }) {
			t.Errorf("%s is listed as public, and is no route", pattern)
		}
	}
}

// provisions tells the routes by which an identity provider announces people. They take the credential of an endpoint alone, so that
// nobody of the matrix gets further than a stranger; layer/identity/scim attacks them with one.
func provisions(r redoubt.Route) bool { return strings.HasPrefix(r.Path(), redoubt.SCIMPrefix) }

// scopeOf is the scope that r's access names; empty if it names none.
func scopeOf(r redoubt.Route) string {
	if scope, ok := strings.CutPrefix(r.Access.String(), "members with "); ok {
		return scope
	}
	scope, _ := strings.CutPrefix(r.Access.String(), "scope ")
	if scope == r.Access.String() {
		return ""
	}
	return scope
}

// refusals asks r as each kind of caller whom it must refuse, and as one whom it must not.
func (m *matrix) refusals(t *testing.T, r redoubt.Route, s state) {
	status := http.StatusUnauthorized
	if r.Method() == http.MethodGet && !strings.HasPrefix(r.Path(), "/api/") && !provisions(r) {
		status = http.StatusSeeOther // to sign in
	}
	for _, role := range []string{"stranger", "expired", "stopped"} {
		m.ask(role, r, s).Refused(status, layer.GateRoute)
	}
	if r.Needs().Asks() {
		if status == http.StatusUnauthorized && !strings.HasPrefix(r.Path(), "/api/") {
			status = http.StatusSeeOther // to prove who they are
		}
		m.ask("admin, stale", r, s).Refused(status, layer.GateRoute)
	}
	scope, scoped := strings.CutPrefix(r.Access.String(), "scope ")
	switch {
	case provisions(r):
		m.ask("administrator", r, s).Refused(status, layer.GateRoute)
		m.ask("admin's key", r, s).Refused(status, layer.Identity)
		return
	case scoped:
		m.ask("key without it", r, s).Refused(http.StatusForbidden, layer.GateRoute)
		if !m.cast.member.Principal().Has(scope) {
			m.ask("member", r, s).Refused(http.StatusForbidden, layer.GateRoute)
		}
	case r.Access == redoubt.Administrators || scopeOf(r) != "" && !m.cast.member.Principal().Has(scopeOf(r)):
		m.ask("member", r, s).NotFound(layer.GateRoute)
		m.ask("admin's key", r, s).Refused(http.StatusForbidden, layer.GateRoute)
	default:
		m.ask("member's key", r, s).Refused(http.StatusForbidden, layer.GateRoute)
	}
	if r.Pattern == "GET /step-up" {
		return // shows itself to whoever was sent there from a route that asks for it, and is not there for anybody else
	}
	if by, _ := m.ask("administrator", r, s).RefusedBy(); by == layer.GateRoute {
		t.Error("an administrator is refused too") // who may ask for everything
	}
}

// A matrix that lacks a cell, lets a stranger in, answers an outsider or tells what is another's from nothing is found out.
func TestAnUntrueMatrixIsFoundOut(t *testing.T) { // SYSTEM A4, A6
	route := redoubt.Route{Pattern: "GET /things/{id}", Access: redoubt.Members}
	honest := func(state string) row {
		x := row{route: route, state: state}
		for _, role := range roles {
			c := "404 rls"
			if role.name == "member" && state == "the member's" {
				c = "✔ 200"
			}
			if slices.Contains([]string{"stranger", "expired", "stopped", "key without it"}, role.name) {
				c = "✘ 401 gate/route"
			}
			x.cells = append(x.cells, c)
		}
		return x
	}
	at := func(name string) int { return slices.IndexFunc(roles, func(x role) bool { return x.name == name }) }
	for _, c := range []struct {
		name, want string
		change     func(all []row)
	}{
		{"the honest twin", "", func([]row) {}},
		{"a role without a cell", "no cell", func(all []row) { all[0].cells = all[0].cells[:len(roles)-1] }},
		{"an empty cell", "no cell", func(all []row) { all[0].cells[at("member")] = "" }},
		{"a stranger who is answered", "past the first gate", func(all []row) { all[0].cells[at("stranger")] = "✔ 200" }},
		{"a stopped member whom only the rows refuse", "past the first gate", func(all []row) { all[2].cells[at("stopped")] = "404 rls" }},
		{"a stale session that is answered", "proves nothing", func(all []row) {
			all[0].route = all[0].route.Fresh(time.Minute)
			all[0].cells[at("admin, stale")] = "✔ 200"
			all[0].cells[at("member's key")], all[0].cells[at("admin's key")] = "✘ 403 gate/route", "✘ 403 gate/route"
		}},
		{"a key that passes where a proof is asked for", "proves nothing", func(all []row) {
			all[0].route = all[0].route.Assured("mfa")
			all[0].cells[at("admin, stale")], all[0].cells[at("admin's key")] = "✘ 303 gate/route", "✘ 403 gate/route"
		}},
		{"an outsider who is answered", "an outsider is answered", func(all []row) { all[0].cells[at("outsider")] = "✔ 200" }},
		{"a member who can tell", "can tell", func(all []row) { all[1].cells[at("member")] = "✘ 403 gate/action" }},
		{"a key that can tell it from nothing", "can tell", func(all []row) {
			all[1].cells[at("member's key")], all[3].cells[at("member's key")] = "✘ 409 rls", "✘ 409 rls"
		}},
		{"a key that can tell by whom it is refused", "can tell", func(all []row) { all[3].cells[at("member's key")] = "404 gate/action" }},
	} {
		all := []row{honest("the member's"), honest(theirs), honest(absent), honest(gone)}
		c.change(all)
		if got := strings.Join(untrue(all), "\n"); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: found %q, want %q", c.name, got, c.want)
		}
	}
}
