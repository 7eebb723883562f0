package rls_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/gate/action"
	"github.com/redoubt-dev/redoubt/layer/identity"
	"github.com/redoubt-dev/redoubt/layer/layertest"
)

const readAll = `select body from app.note order by body`

// The two ways in which a context is kept (schema/0002_keeping.sql), and the setting that holds it.
var ways = map[string]string{"parameter": "backtrace_functions", "seal": "redoubt.context"}

// A keeping is a theft from a database that keeps contexts in one of the ways.
type keeping struct {
	*theft
	way string
}

func eachWay(t *testing.T, do func(t *testing.T, h keeping)) {
	for way := range ways {
		t.Run(way, func(t *testing.T) {
			h := newTheft(t, layertest.Disposable)
			if _, err := h.admin.Exec(t.Context(), `select guard.keep_context($1)`, way); err != nil {
				t.Fatal(err)
			}
			do(t, keeping{h, way})
		})
	}
}

// kept reads the context of the transaction that conn is in. It is no secret.
func (h keeping) kept(t *testing.T, conn *pgx.Conn) (c string) {
	t.Helper()
	if err := conn.QueryRow(t.Context(), `select current_setting('`+ways[h.way]+`')`).Scan(&c); err != nil || len(c) < 130 {
		t.Fatalf("reading the context: %q %v", c, err)
	}
	return c
}

// wear puts a context in place, as somebody who can type SQL would; a parameter refuses already that. A context holds no quotes.
func (h keeping) wear(t *testing.T, conn *pgx.Conn, how, context string) {
	t.Helper()
	in := conn.PgConn().TxStatus() == 'T'
	for _, setting := range ways {
		if in {
			say(t, conn, `savepoint wearing`)
		}
		_, state := say(t, conn, how+` `+setting+` = '`+context+`'`)
		if want := map[bool]string{true: "", false: "42501"}[setting == "redoubt.context"]; state != want {
			t.Fatalf("setting %s: SQLSTATE %q, want %q", setting, state, want)
		}
		if in && state != "" {
			say(t, conn, `rollback to wearing`)
		}
	}
}

func bare(id layer.OrgID) string { return strings.ReplaceAll(string(id), "-", "") }

func TestAContextIsGoodForOneTransactionOfOneConnection(t *testing.T) { // SYSTEM D2
	eachWay(t, func(t *testing.T, h keeping) {
		mine, theirs := bare(h.Organization("Globex")), bare(h.Organization("Acme"))
		// Each puts conn into a transaction in which readAll must be refused; or, if it began with entering, show no more than one's own.
		attacks := []struct {
			name    string
			entered bool
			do      func(t *testing.T, conn *pgx.Conn)
		}{
			{"nothing was presented", false, func(t *testing.T, conn *pgx.Conn) { begin(t, conn) }},
			{"nothing was presented, outside a transaction", false, func(t *testing.T, conn *pgx.Conn) {}},
			{"an empty context", false, func(t *testing.T, conn *pgx.Conn) { begin(t, conn); h.wear(t, conn, "set local", "") }},
			{"an invented context", false, func(t *testing.T, conn *pgx.Conn) {
				begin(t, conn)
				h.wear(t, conn, "set local", strings.Repeat(theirs, 4)+"s,")
			}},
			{"an invented context with an invented seal", false, func(t *testing.T, conn *pgx.Conn) {
				begin(t, conn)
				h.wear(t, conn, "set local", strings.Repeat("0", 64)+"01"+strings.Repeat(theirs, 4)+"s,")
			}},
			{"an invented context for the whole session", false, func(t *testing.T, conn *pgx.Conn) {
				h.wear(t, conn, "set session", strings.Repeat(theirs, 4)+"s,")
				begin(t, conn)
			}},
			{"a context too short to cut up", false, func(t *testing.T, conn *pgx.Conn) { begin(t, conn); h.wear(t, conn, "set local", "x") }},
			{"a context of one megabyte", false, func(t *testing.T, conn *pgx.Conn) {
				begin(t, conn)
				h.wear(t, conn, "set local", strings.Repeat("x", 1<<20))
			}},
			{"a context with the victim's organization written into it", true, func(t *testing.T, conn *pgx.Conn) {
				begin(t, conn)
				enter(t, conn, h.dave.Session())
				h.wear(t, conn, "set local", strings.Replace(h.kept(t, conn), mine, theirs, 1))
			}},
			{"a context with more scopes written into it", true, func(t *testing.T, conn *pgx.Conn) {
				begin(t, conn)
				enter(t, conn, h.dave.Session())
				h.wear(t, conn, "set local", strings.Replace(h.kept(t, conn), "keys0write", "keys0write,audit0read", 1))
			}},
			{"a context under a key that does not exist", true, func(t *testing.T, conn *pgx.Conn) {
				begin(t, conn)
				enter(t, conn, h.dave.Session())
				c := h.kept(t, conn)
				h.wear(t, conn, "set local", c[:64]+"99"+c[66:])
			}},
			{"a context with another seal", true, func(t *testing.T, conn *pgx.Conn) {
				begin(t, conn)
				enter(t, conn, h.dave.Session())
				c := h.kept(t, conn)
				h.wear(t, conn, "set local", strings.Repeat("f", 64)+c[64:])
			}},
			{"after the commit", false, func(t *testing.T, conn *pgx.Conn) {
				begin(t, conn)
				enter(t, conn, h.dave.Session())
				say(t, conn, `commit`)
				begin(t, conn)
			}},
			{"after the commit, in the same batch of statements", false, func(t *testing.T, conn *pgx.Conn) {
				say(t, conn, `begin; select redoubt.enter('`+h.dave.Session()+`'); commit; begin`)
			}},
			{"one's own, kept from an earlier transaction", false, func(t *testing.T, conn *pgx.Conn) {
				begin(t, conn)
				enter(t, conn, h.dave.Session())
				h.wear(t, conn, "set session", h.kept(t, conn))
				say(t, conn, `commit`)
				begin(t, conn)
			}},
			{"the victim's, seen in an earlier transaction of this connection", false, func(t *testing.T, conn *pgx.Conn) {
				begin(t, conn)
				enter(t, conn, h.alice.Session())
				c := h.kept(t, conn)
				say(t, conn, `commit`)
				begin(t, conn)
				h.wear(t, conn, "set local", c)
			}},
			{"the victim's, copied while their transaction is open elsewhere", false, func(t *testing.T, conn *pgx.Conn) {
				other := h.AsApp(t)
				begin(t, other)
				enter(t, other, h.alice.Session())
				begin(t, conn)
				h.wear(t, conn, "set local", h.kept(t, other))
			}},
			{"the victim's, over one's own", true, func(t *testing.T, conn *pgx.Conn) {
				other := h.AsApp(t)
				begin(t, other)
				enter(t, other, h.alice.Session())
				begin(t, conn)
				enter(t, conn, h.dave.Session())
				h.wear(t, conn, "set local", h.kept(t, other))
			}},
			{"presented in a savepoint that was undone", false, func(t *testing.T, conn *pgx.Conn) {
				begin(t, conn)
				say(t, conn, `savepoint s`)
				enter(t, conn, h.dave.Session())
				say(t, conn, `rollback to s`)
			}},
			{"reset to what the connection began with", false, func(t *testing.T, conn *pgx.Conn) {
				begin(t, conn)
				enter(t, conn, h.dave.Session())
				say(t, conn, `reset all`)
			}},
			{"a role's own default", false, func(t *testing.T, conn *pgx.Conn) {
				if _, state := say(t, conn, `alter role redoubt_app set backtrace_functions = 'x'`); state != "42501" {
					t.Errorf("SQLSTATE %q", state)
				}
				begin(t, conn)
			}},
			{"the very function that keeps a context", false, func(t *testing.T, conn *pgx.Conn) {
				if _, state := say(t, conn, `select redoubt.keep('`+strings.Repeat(theirs, 4)+`s,', false)`); state != "42501" {
					t.Errorf("SQLSTATE %q", state)
				}
				begin(t, conn)
			}},
		}
		for _, a := range attacks {
			t.Run(a.name, func(t *testing.T) {
				conn := h.AsApp(t)
				a.do(t, conn)
				kept := a.entered && h.way == "parameter" // the attack was refused before it began
				for _, sql := range []string{readAll, `insert into app.note (body) values ('x')`, `select redoubt.profile()`, `select audit.append('system', 'x', '', '')`} {
					say(t, conn, `savepoint before`)
					got, state := say(t, conn, sql)
					if !kept && state != "28000" || kept && (state != "" || sql == readAll && got != own) {
						t.Errorf("%s: got %q SQLSTATE %q", sql, got, state)
					}
					say(t, conn, `rollback to before`)
				}
			})
		}
	})
}

// Somebody starts the connection with a context of their own making.
func TestAConnectionCannotBeginWithAContext(t *testing.T) { // SYSTEM D2
	h := newTheft(t, layertest.World)
	for _, setting := range ways {
		cfg, err := pgx.ParseConfig(h.Connection("redoubt_app"))
		if err != nil {
			t.Fatal(err)
		}
		cfg.RuntimeParams[setting] = strings.Repeat(bare(h.Organization("Acme")), 4) + "s,"
		conn, err := pgx.ConnectConfig(t.Context(), cfg)
		if err != nil {
			if !strings.Contains(err.Error(), "42501") {
				t.Errorf("%s: %v", setting, err)
			}
			continue
		}
		if got, state := say(t, conn, readAll); state != "28000" {
			t.Errorf("%s: got %q SQLSTATE %q", setting, got, state)
		}
		conn.Close(t.Context())
	}
}

func TestASavepointKeepsTheContext(t *testing.T) { // legitimate use
	h := newTheft(t, layertest.World)
	conn := h.AsApp(t)
	begin(t, conn)
	enter(t, conn, h.dave.Session())
	say(t, conn, `savepoint s; select 1/0`)
	say(t, conn, `rollback to s`)
	if got, state := say(t, conn, readAll); got != own {
		t.Errorf("got %q %s", got, state)
	}
}

func TestACredentialOpensWhatItNamesAndNothingElse(t *testing.T) { // SYSTEM D2, I5, I7, I9
	h := newTheft(t, layertest.World)
	session, key := h.dave.Session(), h.dave.APIKey("notes:write")
	at := func(seconds string) string { return `now() + interval '` + seconds + ` seconds'` }
	// alter is what somebody has done meanwhile; {hash} is the credential's, and it is undone afterwards.
	cases := []struct{ name, credential, alter, state string }{
		{"a living session", session, ``, ""},
		{"a living key", key, ``, ""},
		{"nothing", ``, ``, "28000"},
		{"a session's beginning", `rds_`, ``, "28000"},
		{"a key's beginning", `rdk_`, ``, "28000"},
		{"a session called a key", `rdk_` + session[4:], ``, "28000"},
		{"a key called a session", `rds_` + key[4:], ``, "28000"},
		{"a session in capitals", strings.ToUpper(session), ``, "28000"},
		{"a session with something behind it", session + "x", ``, "28000"},
		{"a session with a space before it", " " + session, ``, "28000"},
		{"a credential of another kind", `rdj_` + session[4:], ``, "28000"},
		{"a session's hash", `rds_\x` + strings.Repeat("00", 32), ``, "28000"},
		{"one megabyte", `rds_` + strings.Repeat("x", 1<<20), ``, "28000"},
		{"a quote", `rds_' or 1 = 1 --`, ``, "28000"},
		{"a separator of the context", `rds_|||`, ``, "28000"},
		{"a character of four bytes", "rds_\U0001F511", ``, "28000"},
		{"a NUL byte", "rds_\x00" + session, ``, "22021"},
		{"bytes that are no text", "rds_\xff\xfe" + session, ``, "22021"},
		{"a revoked session", session, `update identity.session set revoked_at = now() where hash = {hash}`, "28000"},
		{"an expired session", session, `update identity.session set expires_at = ` + at("-1") + ` where hash = {hash}`, "28000"},
		{"an idle session", session, `update identity.session set seen_at = now() - idle - interval '1 second' where hash = {hash}`, "28000"},
		{"a session one second before it idles", session, `update identity.session set seen_at = now() - idle + interval '10 seconds' where hash = {hash}`, ""},
		{"a stopped member's session", session, `update identity.membership set active = false where id = '{me}'`, "28000"},
		{"a stopped organization's session", session, `update identity.organization set active = false where id = '{my org}'`, "28000"},
		{"a revoked key", key, `update identity.api_key set revoked_at = now() where hash = {hash}`, "28000"},
		{"an expired key", key, `update identity.api_key set expires_at = ` + at("-1") + ` where hash = {hash}`, "28000"},
		{"a stopped member's key", key, `update identity.membership set active = false where id = '{me}'`, "28000"},
		{"a stopped organization's key", key, `update identity.organization set active = false where id = '{my org}'`, "28000"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			// In the superuser's own transaction, which is undone: nobody else sees the change.
			begin(t, h.admin)
			if c.alter != "" {
				alter := strings.ReplaceAll(h.fill.Replace(c.alter), "{hash}", `sha256('`+c.credential+`')`)
				if got, state := say(t, h.admin, alter); got != "UPDATE 1" {
					t.Fatalf("altering: %s %s", got, state)
				}
			}
			say(t, h.admin, `set local session authorization redoubt_app`)
			_, err := h.admin.Exec(t.Context(), `select redoubt.enter($1)`, c.credential)
			if state := stateOf(t, err); state != c.state {
				t.Fatalf("got SQLSTATE %q, want %q", state, c.state)
			}
			if got, state := say(t, h.admin, readAll); c.state == "" && got != own {
				t.Errorf("got %q %s", got, state)
			}
			h.admin.Exec(t.Context(), `rollback`)
		})
	}
}

func TestAStoppedMemberIsRefusedAtTheVeryNextStatement(t *testing.T) { // SYSTEM I7
	w := layertest.World(t, notes)
	boss, bob := w.Administrator("Acme"), w.Member("Acme")
	begun, err := action.Do(t.Context(), w.DB, boss.Principal(), "members:write", func(tx *action.Tx) (bool, error) {
		return true, identity.SetMemberActive(tx.Tx, bob.Principal().Profile(), false)
	})
	if err != nil || !begun {
		t.Fatal(err)
	}
	conn := w.AsApp(t)
	begin(t, conn)
	_, err = conn.Exec(t.Context(), `select redoubt.enter($1)`, bob.Session())
	if state := stateOf(t, err); state != "28000" {
		t.Errorf("got SQLSTATE %q", state)
	}
}

func TestTheSealingKeyRotatesWhileTheDatabaseIsInUse(t *testing.T) { // SYSTEM D2
	h := newTheft(t, layertest.Disposable)
	if _, err := h.admin.Exec(t.Context(), `select guard.keep_context('seal')`); err != nil {
		t.Fatal(err)
	}
	k := keeping{h, "seal"}
	entered := func() *pgx.Conn {
		conn := h.AsApp(t)
		begin(t, conn)
		enter(t, conn, h.dave.Session())
		return conn
	}
	first := entered()
	migrator := h.AsMigrator(t)
	for _, want := range []string{"02", "03"} {
		before := entered()
		if got, state := say(t, migrator, `select redoubt.rotate_seal_key()`); got != want {
			t.Fatalf("rotated to %q (%s), want %s", got, state, want)
		}
		if got, state := say(t, before, readAll); got != own {
			t.Errorf("a context sealed before the rotation: %q %s", got, state)
		}
		if c := k.kept(t, entered()); c[64:66] != want {
			t.Errorf("sealed with key %s, want %s", c[64:66], want)
		}
	}
	if _, state := say(t, first, readAll); state != "28000" {
		t.Errorf("a context sealed two rotations ago: SQLSTATE %q", state)
	}
	for range 99 { // the numbers begin again
		say(t, migrator, `select redoubt.rotate_seal_key()`)
	}
	if got, state := say(t, entered(), readAll); got != own {
		t.Errorf("after a hundred rotations: %q %s", got, state)
	}
	if got, _ := say(t, h.admin, `select count(*) from redoubt.seal_key`); got != "2" {
		t.Errorf("%s keys are kept, want 2", got)
	}
	for _, role := range []string{"redoubt_app", "redoubt_worker", "redoubt_backup"} {
		if _, state := say(t, h.AsRole(t, role), `select redoubt.rotate_seal_key()`); state != "42501" {
			t.Errorf("%s rotates: SQLSTATE %q", role, state)
		}
		if _, state := say(t, h.AsRole(t, role), `select key from redoubt.seal_key`); state != "42501" {
			t.Errorf("%s reads the keys: SQLSTATE %q", role, state)
		}
	}
}

func TestTheAuditTrailNamesWhoeverTheDatabaseSees(t *testing.T) { // SYSTEM U1, U2
	h := newTheft(t, layertest.World)
	conn := h.AsApp(t)
	tx := begin(t, conn)
	enter(t, conn, h.dave.Session())
	say(t, conn, h.fill.Replace(`update app.note set body = 'changed' where id = '{my note}'; select audit.append('system', 'tea.made', 'tea', '1', '{"actor": "{them}", "organization_id": "{their org}"}')`))
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, _ := say(t, h.admin, h.fill.Replace(`select action, actor = '{me}', credential = '`+h.dave.Principal().CredentialID()+`', entity, changes ->> 'body'
		from audit.log where organization_id = '{my org}' and action in ('update', 'tea.made') order by id`))
	if want := `update t t app.note ["globex words", "changed"] tea.made t t tea `; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	for _, who := range []struct{ name, credential, want string }{
		{"a member without the scope", h.dave.Session(), "0"},
		{"another organization's administrator", h.Administrator("Acme").Session(), "0"},
		{"the organization's administrator", h.Administrator("Globex").Session(), "2"},
	} {
		reader := h.AsApp(t)
		begin(t, reader)
		enter(t, reader, who.credential)
		if got, state := say(t, reader, h.fill.Replace(`select count(*) from audit.log where actor = '{me}' and action in ('update', 'tea.made')`)); got != who.want {
			t.Errorf("%s reads %s lines (%s), want %s", who.name, got, state, who.want)
		}
	}
}

func TestNobodyChangesTheAuditTrail(t *testing.T) { // SYSTEM U2
	h := newTheft(t, layertest.World)
	for _, role := range []string{"redoubt_audit", "redoubt_owner", "redoubt_keys", "redoubt_identity", "redoubt_migrator", "redoubt_app", "postgres"} {
		for _, sql := range []string{`update audit.log set actor = null`, `delete from audit.log`, `truncate audit.log`} {
			tx := begin(t, h.admin)
			say(t, h.admin, `set local role `+role)
			got, state := say(t, h.admin, sql)
			if state != "42501" && got != "UPDATE 0" && got != "DELETE 0" { // the owner, who is under forced row level security, sees no row
				t.Errorf("%s: %s: got %q SQLSTATE %q", role, sql, got, state)
			}
			tx.Rollback(t.Context())
		}
	}
}

// Functions with their owner's rights that have no search path of their own are parsed under the caller's: somebody who owns the tables as
// well could put operators of theirs before PostgreSQL's.
func TestAnOperatorOfSomebodyElsesIsNotCalledByEntering(t *testing.T) { // SYSTEM D2, D3
	eachWay(t, func(t *testing.T, h keeping) {
		const taken = "P0666"
		if _, state := say(t, h.admin, `set role redoubt_owner; create schema evil; grant usage on schema evil to public;
			create function evil.take(text, text) returns text language plpgsql as $$ begin raise exception 'taken as %', current_user using errcode = '`+taken+`'; end $$;
			create function evil.same(text, text) returns boolean language plpgsql as $$ begin raise exception 'taken as %', current_user using errcode = '`+taken+`'; end $$;
			grant execute on all functions in schema evil to public;
			create operator evil.|| (leftarg = text, rightarg = text, function = evil.take);
			create operator evil.= (leftarg = text, rightarg = text, function = evil.same); reset role`); state != "" {
			t.Fatal(state)
		}
		conn := h.AsApp(t)
		say(t, conn, `set search_path = evil, pg_catalog`)
		if _, state := say(t, conn, `select 'a'::text || 'b'::text`); state != taken {
			t.Fatalf("the operator is not found at all: SQLSTATE %q", state)
		}
		begin(t, conn)
		if _, state := say(t, conn, `select redoubt.enter_session('`+h.dave.Session()+`', 'visit', true)`); state != "" {
			t.Errorf("entering: SQLSTATE %q", state)
		}
		for _, ask := range []string{readAll, `select redoubt.profile()`, `select redoubt.has('notes:write')`, `select redoubt.visit()`, `select redoubt.interactive()`, `select redoubt.require('notes:write')`} {
			say(t, conn, `savepoint before`)
			if got, state := say(t, conn, ask); state != "" || ask == readAll && got != own {
				t.Errorf("%s: %q SQLSTATE %q", ask, got, state)
			}
			say(t, conn, `rollback to before`)
		}
	})
}
