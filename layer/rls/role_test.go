package rls_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/internal/postgres"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/gate/action"
	"github.com/redoubt-dev/redoubt/layer/identity"
	"github.com/redoubt-dev/redoubt/layer/layertest"
	"github.com/redoubt-dev/redoubt/layer/rls"
)

// grantJob enqueues a job as who, in a transaction that commits.
func grantJob(t *testing.T, w *layertest.W, who layer.Principal, scopes ...string) string {
	t.Helper()
	grant, err := action.Do(t.Context(), w.DB, who, "notes:write", func(tx *action.Tx) (string, error) {
		return w.Identity.GrantJob(tx.Tx, who, "notes.export", scopes, time.Hour)
	})
	if err != nil {
		t.Fatal(err)
	}
	return grant
}

// addEndpoint makes an endpoint as an administrator does.
func addEndpoint(t *testing.T, w *layertest.W, boss layer.Principal, scopes ...string) (credential, id string) {
	t.Helper()
	made, err := action.Do(t.Context(), w.DB, boss, "endpoints:write", func(tx *action.Tx) (identity.Endpoint, error) {
		secret, e, err := w.Identity.AddEndpoint(tx.Tx, boss, "payments", scopes)
		credential = secret
		return e, err
	})
	if err != nil {
		t.Fatal(err)
	}
	return credential, made.ID
}

func TestEachRolePresentsCredentialsOfItsOwnKind(t *testing.T) { // SYSTEM D2, D3
	h := newTheft(t, layertest.World)
	endpoint, _ := addEndpoint(t, h.W, h.Administrator("Globex").Principal(), "notes:write")
	credentials := []struct {
		kind string
		make func() string
		may  []string
	}{
		{"a session", h.dave.Session, []string{"redoubt_app"}},
		{"an API key", func() string { return h.dave.APIKey("notes:write") }, []string{"redoubt_app", "redoubt_analytics"}},
		{"a job grant", func() string { return grantJob(t, h.W, h.dave.Principal(), "notes:write") }, []string{"redoubt_worker"}},
		{"an endpoint's", func() string { return endpoint }, []string{"redoubt_webhook"}},
	}
	for _, role := range redoubt.LoginRoles() {
		conn := h.AsRole(t, role)
		for _, c := range credentials {
			begin(t, conn)
			_, err := conn.Exec(t.Context(), `select redoubt.enter($1, '', true)`, c.make())
			state := stateOf(t, err)
			switch may := slices.Contains(c.may, role); {
			case may && state != "":
				t.Errorf("%s presents %s: SQLSTATE %s", role, c.kind, state)
			case !may && state != "28000" && state != "42501" && state != "25006":
				t.Errorf("%s presents %s: SQLSTATE %q", role, c.kind, state)
			case may && role != "redoubt_webhook":
				if got, state := say(t, conn, readAll); got != own {
					t.Errorf("%s with %s reads %q %s", role, c.kind, got, state)
				}
			}
			say(t, conn, `rollback`)
		}
	}
}

func TestAJobGrantIsRedeemedOnce(t *testing.T) { // SYSTEM D2, K3
	h := newTheft(t, layertest.Disposable)
	grant := func() string { return grantJob(t, h.W, h.dave.Principal(), "notes:write") }
	worker, other := h.AsRole(t, "redoubt_worker"), h.AsRole(t, "redoubt_worker")
	redeem := func(conn *pgx.Conn, grant string) string {
		begin(t, conn)
		_, err := conn.Exec(t.Context(), `select redoubt.enter($1)`, grant)
		return stateOf(t, err)
	}

	t.Run("by a transaction that commits", func(t *testing.T) {
		g := grant()
		if state := redeem(worker, g); state != "" {
			t.Fatal(state)
		}
		if got, state := say(t, worker, `update app.note set body = 'done' where body = 'globex words'; select body from app.note`); got != "done" {
			t.Errorf("the job: %q %s", got, state)
		}
		say(t, worker, `commit`)
		if state := redeem(worker, g); state != "28000" {
			t.Errorf("a second time: SQLSTATE %q", state)
		}
		say(t, worker, `rollback`)
		h.restore(t)
	})
	t.Run("again, if the transaction is rolled back", func(t *testing.T) {
		g := grant()
		for range 3 {
			if state := redeem(worker, g); state != "" {
				t.Fatal(state)
			}
			say(t, worker, `rollback`)
		}
	})
	t.Run("by one of two workers at once", func(t *testing.T) {
		g := grant()
		if state := redeem(worker, g); state != "" {
			t.Fatal(state)
		}
		second := make(chan string)
		go func() { second <- redeem(other, g) }() // waits for the first
		time.Sleep(50 * time.Millisecond)
		say(t, worker, `commit`)
		if state := <-second; state != "28000" {
			t.Errorf("the second: SQLSTATE %q", state)
		}
		say(t, other, `rollback`)
	})
	t.Run("never, if the transaction that enqueued it was rolled back", func(t *testing.T) {
		var g string
		action.Do(t.Context(), h.DB, h.dave.Principal(), "notes:write", func(tx *action.Tx) (int, error) {
			g, _ = h.Identity.GrantJob(tx.Tx, h.dave.Principal(), "notes.export", []string{"notes:write"}, time.Hour)
			return 0, os.ErrDeadlineExceeded
		})
		if state := redeem(worker, g); g == "" || state != "28000" {
			t.Errorf("%q: SQLSTATE %q", g, state)
		}
		say(t, worker, `rollback`)
	})
	t.Run("never in another's name", func(t *testing.T) {
		g := grant()
		if state := redeem(worker, g); state != "" {
			t.Fatal(state)
		}
		if got, _ := say(t, worker, readAll); got != own || strings.Contains(got, secret) {
			t.Errorf("read %q", got)
		}
		if _, state := say(t, worker, h.fill.Replace(`insert into app.note (organization_id, body) values ('{their org}', 'x')`)); state != "42501" {
			t.Errorf("writing into another organization: SQLSTATE %q", state)
		}
		say(t, worker, `rollback`)
	})

	// alter is what has happened since the job was enqueued; it is undone afterwards.
	key := h.dave.APIKey("notes:write")
	since := []struct{ name, alter, state string }{
		{"nothing", `select 1`, ""},
		{"its time is over", `update identity.job_grant set expires_at = now() - interval '1 second' where hash = sha256('{grant}')`, "28000"},
		{"the member was stopped", `update identity.membership set active = false where id = '{me}'`, "28000"},
		{"the organization was stopped", `update identity.organization set active = false where id = '{my org}'`, "28000"},
		{"the session that enqueued it has ended", `update identity.session set revoked_at = now() where profile_id = '{me}'`, ""},
		{"the key that enqueued it was revoked", `update identity.job_grant set granted_by = (select id from identity.api_key where hash = sha256('` + key + `')) where hash = sha256('{grant}');
			update identity.api_key set revoked_at = now() where hash = sha256('` + key + `')`, "28000"},
	}
	for _, c := range since {
		t.Run("after "+c.name, func(t *testing.T) {
			g := grant()
			begin(t, h.admin)
			if _, state := say(t, h.admin, h.fill.Replace(strings.ReplaceAll(c.alter, "{grant}", g))); state != "" {
				t.Fatal(state)
			}
			say(t, h.admin, `set local session authorization redoubt_worker`)
			_, err := h.admin.Exec(t.Context(), `select redoubt.enter($1)`, g)
			if state := stateOf(t, err); state != c.state {
				t.Errorf("SQLSTATE %q, want %q", state, c.state)
			}
			h.admin.Exec(t.Context(), `rollback`)
		})
	}
}

// The same through Go: identity looks it up for itself, and the database for itself.
func TestAWorkerRunsAJobAsWhoeverEnqueuedIt(t *testing.T) { // SYSTEM D2, K3
	w := layertest.World(t, notes)
	dave := w.Member("Globex").Principal()
	workers, err := rls.Open(t.Context(), rls.Config{Connection: w.Connection("redoubt_worker"), MaxConns: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(workers.Close)
	who, err := w.Identity.Job(t.Context(), grantJob(t, w, dave, "notes:write"))
	if err != nil {
		t.Fatal(err)
	}
	if who.Organization() != dave.Organization() || who.Profile() != dave.Profile() || who.Interactive() || !who.Has("notes:write") || who.Has("keys:write") {
		t.Errorf("the job runs as %v", who)
	}
	next, err := action.Do(t.Context(), workers, who, "notes:write", func(tx *action.Tx) (string, error) {
		if _, err := rls.Do(tx, `insert into app.note (body) values ('by a job')`); err != nil {
			return "", err
		}
		return w.Identity.GrantJob(tx.Tx, who, "notes.export, part 2", []string{"notes:write"}, time.Hour)
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = action.Do(t.Context(), workers, who, "notes:write", func(*action.Tx) (int, error) { t.Error("it ran twice"); return 0, nil })
	refused(t, err, layer.RLS, layer.Unauthenticated)
	if _, err := w.Identity.Job(t.Context(), next); err != nil {
		t.Errorf("the next part: %v", err)
	}
	author, err := rls.One[layer.ProfileID](w.DB.As(t.Context(), dave), `select author_id from app.note where body = 'by a job'`)
	if err != nil || author != dave.Profile() {
		t.Errorf("written by %v, %v", author, err)
	}
	// More than the one who enqueues it may, a job may not: by the claims, and by the database.
	_, err = action.Do(t.Context(), w.DB, dave, "notes:write", func(tx *action.Tx) (string, error) {
		return w.Identity.GrantJob(tx.Tx, dave, "notes.clear", []string{"notes:clear"}, time.Hour)
	})
	refused(t, err, layer.Identity, layer.Forbidden)
	_, err = action.Do(t.Context(), w.DB, dave, "notes:write", func(tx *action.Tx) (int64, error) {
		return rls.Do(tx, `select redoubt.add_job_grant(gen_random_uuid(), sha256('x'), 'x', '{notes:clear}', false, now() + interval '1 hour', sha256('x'))`)
	})
	refused(t, err, layer.GateAction, layer.Forbidden)
	_, err = action.Do(t.Context(), w.DB, dave, "notes:write", func(tx *action.Tx) (int64, error) {
		return rls.Do(tx, `select redoubt.add_job_grant(gen_random_uuid(), sha256('x'), 'x', '{notes:write}', true, now() + interval '1 hour', sha256('x'))`)
	})
	refused(t, err, layer.GateAction, layer.Forbidden)
	_, err = action.Do(t.Context(), w.DB, dave, "notes:write", func(tx *action.Tx) (int64, error) {
		return rls.Do(tx, `select redoubt.add_job_grant(gen_random_uuid(), sha256('x'), 'x', '{notes:write}', false, now() + interval '8 days', sha256('x'))`)
	})
	refused(t, err, layer.RLS, layer.Conflict)
}

func TestWaitingJobsAreBounded(t *testing.T) {
	w := layertest.World(t, notes)
	dave := w.Member("Globex").Principal()
	add := func(n int) error {
		_, err := action.Do(t.Context(), w.DB, dave, "notes:write", func(tx *action.Tx) (int64, error) {
			return rls.Do(tx, `select redoubt.add_job_grant(gen_random_uuid(), sha256((random()::text || i)::bytea), 'x', '{notes:write}', false, now() + interval '1 hour', sha256('x')) from generate_series(1, $1::int) i`, n)
		})
		return err
	}
	for range 10 {
		if err := add(100); err != nil {
			t.Fatalf("at the limit: %v", err)
		}
	}
	refused(t, add(1), layer.RLS, layer.Conflict)
}

func TestAnEndpointIsNobodyAndDeliversToItsOrganization(t *testing.T) { // SYSTEM D2, W1
	w := layertest.World(t, notes)
	boss := w.Administrator("Globex").Principal()
	credential, id := addEndpoint(t, w, boss, "notes:write")
	hooks, err := rls.Open(t.Context(), rls.Config{Connection: w.Connection("redoubt_webhook"), MaxConns: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(hooks.Close)
	who, err := w.Identity.Endpoint(t.Context(), credential)
	if err != nil || who.Organization() != boss.Organization() || who.Profile() != "" || who.Interactive() || who.Administrator() {
		t.Fatalf("the endpoint is %v, %v", who, err)
	}
	job, err := action.Do(t.Context(), hooks, who, "notes:write", func(tx *action.Tx) (string, error) {
		if _, err := rls.Do(tx, `insert into app.note (body) values ('delivered')`); err != nil {
			return "", err
		}
		return w.Identity.GrantJob(tx.Tx, who, "notes.fan-out", []string{"notes:write"}, time.Hour)
	})
	if err != nil {
		t.Fatal(err)
	}
	note, err := rls.One[struct {
		Nobody bool
		Org    layer.OrgID
	}](w.DB.As(t.Context(), boss), `select author_id is null as nobody, organization_id as org from app.note where body = 'delivered'`)
	if err != nil || !note.Nobody || note.Org != boss.Organization() {
		t.Errorf("delivered %+v, %v", note, err)
	}
	_, err = action.Do(t.Context(), hooks, who, "notes:clear", func(*action.Tx) (int, error) { t.Error("ran"); return 0, nil })
	refused(t, err, layer.GateAction, layer.Forbidden)
	if _, err := w.Identity.Job(t.Context(), job); err != nil {
		t.Errorf("the endpoint's job: %v", err)
	}

	revoke := func(as layer.Principal) error {
		_, err := action.Do(t.Context(), w.DB, as, "endpoints:write", func(tx *action.Tx) (bool, error) { return true, identity.RevokeEndpoint(tx.Tx, id) })
		return err
	}
	refused(t, revoke(w.Administrator("Acme").Principal()), layer.RLS, layer.NotFound)
	if list, err := identity.Endpoints(w.DB.As(t.Context(), w.Administrator("Acme").Principal())); err != nil || len(list) > 0 {
		t.Errorf("another organization sees %v, %v", list, err)
	}
	if err := revoke(boss); err != nil {
		t.Fatal(err)
	}
	_, err = rls.One[int](hooks.As(t.Context(), who), `select 1`)
	refused(t, err, layer.RLS, layer.Unauthenticated)
	_, err = w.Identity.Endpoint(t.Context(), credential)
	refused(t, err, layer.Identity, layer.Unauthenticated)
	worker := w.AsRole(t, "redoubt_worker")
	begin(t, worker)
	if _, err := worker.Exec(t.Context(), `select redoubt.enter($1)`, job); stateOf(t, err) != "28000" {
		t.Errorf("the job of a revoked endpoint: %v", err)
	}
}

// What each role may not, whatever is typed (SYSTEM D3). The application's own list is misuses, in attack_test.go.
var overreach = []struct{ role, name, sql, state string }{
	{"redoubt_worker", "reading sessions", `select * from identity.session`, "42501"},
	{"redoubt_worker", "reading grants", `select * from identity.job_grant`, "42501"},
	{"redoubt_worker", "redeeming past enter", `select redoubt.redeem_job(sha256('x'))`, "42501"},
	{"redoubt_worker", "emptying a table", `truncate app.note`, "42501"},
	{"redoubt_worker", "making endpoints", `select redoubt.add_endpoint(gen_random_uuid(), sha256('x'), 'x', '{notes:write}', sha256('x'))`, "42501"},
	{"redoubt_webhook", "reading what it was not granted", `select * from app.reply`, "42501"},
	{"redoubt_webhook", "changing", `update app.note set body = 'x'`, "42501"},
	{"redoubt_analytics", "inserting", `insert into app.note (body) values ('x')`, "42501"},
	{"redoubt_analytics", "updating", `update app.note set body = 'x'`, "42501"},
	{"redoubt_analytics", "deleting", `delete from app.note`, "42501"},
	{"redoubt_analytics", "reading the audit trail", `select * from audit.log`, "42501"},
	{"redoubt_analytics", "granting jobs", `select redoubt.add_job_grant(gen_random_uuid(), sha256('x'), 'x', '{notes:write}', false, now() + interval '1 hour', sha256('x'))`, "42501"},
	{"redoubt_identity", "reading a tenant's rows", `select * from app.note`, "42501"},
	{"redoubt_identity", "making an endpoint", `insert into identity.endpoint (hash) values (sha256('x'))`, "42501"},
	{"redoubt_identity", "making a grant", `insert into identity.job_grant (hash) values (sha256('x'))`, "42501"},
	{"redoubt_auditor", "reading a tenant's rows", `select * from app.note`, "42501"},
	{"redoubt_auditor", "reading people", `select * from identity.person`, "42501"},
	{"redoubt_auditor", "adding to the trail", `insert into audit.log (category, action, entity, entity_id) values ('row', 'x', '', '')`, "42501"},
	{"redoubt_auditor", "appending to the trail", `select audit.append('system', 'x', '', '')`, "42501"},
	{"redoubt_auditor", "changing the trail", `update audit.log set actor = null`, "42501"},
	{"redoubt_auditor", "entering", `select redoubt.enter('rds_')`, "42501"},
	{"redoubt_backup", "inserting", `insert into app.note (organization_id, body) values (gen_random_uuid(), 'x')`, "42501"},
	{"redoubt_backup", "updating", `update app.note set body = 'x'`, "42501"},
	{"redoubt_backup", "deleting sessions", `delete from identity.session`, "42501"},
	{"redoubt_backup", "emptying the trail", `truncate audit.log`, "42501"},
	{"redoubt_backup", "entering", `select redoubt.enter('rds_')`, "42501"},
	{"redoubt_backup", "reading passwords", `select rolpassword from pg_authid`, "42501"},
	{"redoubt_backup", "reading files", `select pg_read_file('/etc/passwd')`, "42501"},
	{"redoubt_migrator", "maintaining", `set role redoubt_maintenance`, "42501"},
	{"redoubt_migrator", "reading a tenant's rows", `set role redoubt_owner; select * from app.note`, "28000"},
	{"redoubt_migrator", "reading people", `select * from identity.person`, "42501"},
	{"redoubt_migrator", "keeping a context", `set role redoubt_owner; set backtrace_functions = 'x'`, "42501"},
	{"redoubt_migrator", "giving the parameter away", `grant set on parameter backtrace_functions to redoubt_app`, "42501"},
	{"redoubt_migrator", "changing how contexts are kept", `select guard.keep_context('seal')`, "42501"},
	{"redoubt_migrator", "replacing what verifies", `set role redoubt_owner; create or replace function redoubt.verified() returns text language sql as 'select 1::text'`, "42501"},
}

func TestEachRoleHasItsOwnRightsAndNoOther(t *testing.T) { // SYSTEM D3
	w := layertest.World(t, notes)
	conns := map[string]*pgx.Conn{}
	for _, a := range overreach {
		if conns[a.role] == nil {
			conns[a.role] = w.AsRole(t, a.role)
		}
		conn := conns[a.role]
		say(t, conn, `reset role; set default_transaction_read_only = off`) // a seat belt, not a wall
		if got, state := say(t, conn, a.sql); state != a.state {
			t.Errorf("%s, %s: got %q SQLSTATE %q, want %q", a.role, a.name, got, state, a.state)
		}
		for _, role := range []string{"redoubt_owner", "redoubt_keys", "redoubt_audit", "redoubt_maintenance", "redoubt_app", "redoubt_backup", "postgres"} {
			if role == a.role || role == "redoubt_owner" && a.role == "redoubt_migrator" {
				continue
			}
			if _, state := say(t, conn, `set role `+role); state != "42501" {
				t.Errorf("%s becomes %s: SQLSTATE %q", a.role, role, state)
			}
		}
	}
	admin := w.Admin(t)
	if got, _ := say(t, admin, `select rolname from pg_roles where rolname like 'redoubt%' and (rolsuper or rolcreaterole or rolcreatedb or rolreplication)`); got != "" {
		t.Errorf("%s may do what nobody needs", got)
	}
	if got, _ := say(t, admin, `select rolname, rolcanlogin from pg_roles where rolname like 'redoubt%' and rolbypassrls order by 1`); got != "redoubt_backup t redoubt_maintenance f" {
		t.Errorf("BYPASSRLS have %s", got)
	}
	if got, _ := say(t, admin, `select string_agg(rolname, ' ' order by rolname) from pg_roles where rolname like 'redoubt%' and rolcanlogin`); got != strings.Join(slices.Sorted(slices.Values(redoubt.LoginRoles())), " ") {
		t.Errorf("who may log in: %s", got)
	}
}

func TestTheAuditorReadsTheTrailOfEveryOrganization(t *testing.T) { // SYSTEM D3, U1
	h := newTheft(t, layertest.World)
	if got, state := say(t, h.AsRole(t, "redoubt_auditor"), h.fill.Replace(`select count(distinct organization_id) from audit.log where organization_id in ('{my org}', '{their org}') and action = 'insert'`)); got != "2" {
		t.Errorf("sees %s organizations %s", got, state)
	}
	conn := h.AsApp(t)
	begin(t, conn)
	if got, state := say(t, conn, `select count(*) from audit.log`); state != "28000" {
		t.Errorf("the application reads %q %s without a credential", got, state)
	}
}

// A backup by its own role leaves nothing out but the sealing keys, and what was restored from it is isolated.
func TestABackupIsWholeAndHoldsNoSealingKey(t *testing.T) { // SYSTEM D3, S4
	h := newTheft(t, layertest.Disposable)
	found, err := postgres.Find(t.Context(), postgres.FindConfig{})
	if err != nil {
		t.Fatal(err)
	}
	dump, err := exec.CommandContext(t.Context(), filepath.Join(found.Bin, "pg_dump"), "--exclude-table=redoubt.seal_key", h.Connection("redoubt_backup")).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%.2000s", err, dump)
	}
	for _, part := range []string{secret, own, "COPY identity.session", "COPY identity.job_grant", "COPY audit.log", "COPY backbone.migration", "COPY guard.global_table", "CREATE EVENT TRIGGER redoubt_command"} {
		if !strings.Contains(string(dump), part) {
			t.Errorf("the backup lacks %q", part)
		}
	}
	key, _ := say(t, h.admin, `select encode(key, 'hex') from redoubt.seal_key`)
	if len(key) != 64 || strings.Contains(string(dump), key) {
		t.Error("the backup holds a sealing key")
	}
	if _, err := exec.CommandContext(t.Context(), filepath.Join(found.Bin, "pg_dump"), h.Connection("redoubt_backup")).CombinedOutput(); err == nil {
		t.Error("a dump with the sealing keys succeeds")
	}
}

func TestTheGuardRefusesRightsThatNobodyNeeds(t *testing.T) { // SYSTEM D3, D5
	w := layertest.Disposable(t, notes)
	conn := w.AsMigrator(t)
	say(t, conn, `set role redoubt_owner`)
	for _, c := range []struct{ grant, state string }{
		{`grant select on app.note to redoubt_analytics`, ""},
		{`grant select, insert, delete on app.reply to redoubt_worker`, ""},
		{`grant insert on app.note to redoubt_analytics`, "42501"},
		{`grant update (body) on app.note to redoubt_analytics`, "42501"},
		{`grant truncate on app.note to redoubt_worker`, "42501"},
		{`grant trigger on app.note to redoubt_webhook`, "42501"},
		{`grant references on app.note to redoubt_app`, "42501"},
		{`grant update on app.note to redoubt_worker`, "42501"}, // organization_id is among the columns
		{`grant update (organization_id) on app.note to redoubt_webhook`, "42501"},
		{`grant insert on app.note to redoubt_backup`, "42501"},
		{`grant select on app.note to redoubt_identity`, "42501"},
		{`grant select on app.note to redoubt_auditor`, "42501"},
		{`grant select (body) on app.note to redoubt_auditor`, "42501"},
		{`grant select on app.note to redoubt_migrator`, "42501"},
		{`grant all on app.note to redoubt_maintenance`, "42501"},
		{`grant select on app.note to public`, "42501"},
		{`alter default privileges grant insert on tables to redoubt_analytics; create table app.later (organization_id uuid not null, id uuid not null, primary key (organization_id, id))`, "42501"},
	} {
		if _, state := say(t, conn, c.grant); state != c.state {
			t.Errorf("%s: SQLSTATE %q, want %q", c.grant, state, c.state)
		}
	}
}
