package rls_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/redoubt-dev/redoubt/layer/gate/action"
	"github.com/redoubt-dev/redoubt/layer/identity"
	"github.com/redoubt-dev/redoubt/layer/layertest"
)

const readAll = `select body from app.note order by body`

// context reads the sealed context of the transaction that conn is in.
func sealed(t *testing.T, conn *pgx.Conn) (c string) {
	t.Helper()
	if err := conn.QueryRow(t.Context(), `select current_setting('redoubt.context')`).Scan(&c); err != nil || len(c) < 212 {
		t.Fatalf("reading the context: %q %v", c, err)
	}
	return c
}

// wear puts a context in place, as somebody who can type SQL would. A context holds no quotes.
func wear(t *testing.T, conn *pgx.Conn, how, context string) {
	t.Helper()
	if _, state := say(t, conn, how+` redoubt.context = '`+context+`'`); state != "" {
		t.Fatalf("setting the context: SQLSTATE %s", state)
	}
}

func TestAContextIsGoodForOneTransactionOfOneConnection(t *testing.T) { // SYSTEM D2
	h := newTheft(t, layertest.World)
	mine, theirs := string(h.Organization("Globex")), string(h.Organization("Acme"))
	// Each puts conn into a transaction in which readAll must be refused.
	attacks := []struct {
		name string
		do   func(t *testing.T, conn *pgx.Conn)
	}{
		{"nothing was presented", func(t *testing.T, conn *pgx.Conn) { begin(t, conn) }},
		{"nothing was presented, outside a transaction", func(t *testing.T, conn *pgx.Conn) {}},
		{"an empty context", func(t *testing.T, conn *pgx.Conn) { begin(t, conn); wear(t, conn, "set local", "") }},
		{"an invented context", func(t *testing.T, conn *pgx.Conn) {
			begin(t, conn)
			wear(t, conn, "set local", strings.Repeat("0", 64)+"01"+strings.Repeat(theirs, 4)+"s|1:1||")
		}},
		{"a context too short to cut up", func(t *testing.T, conn *pgx.Conn) { begin(t, conn); wear(t, conn, "set local", "x") }},
		{"a context of one megabyte", func(t *testing.T, conn *pgx.Conn) {
			begin(t, conn)
			wear(t, conn, "set local", strings.Repeat("x", 1<<20))
		}},
		{"a context with the victim's organization written into it", func(t *testing.T, conn *pgx.Conn) {
			begin(t, conn)
			enter(t, conn, h.dave.Session())
			wear(t, conn, "set local", strings.Replace(sealed(t, conn), mine, theirs, 1))
		}},
		{"a context with more scopes written into it", func(t *testing.T, conn *pgx.Conn) {
			begin(t, conn)
			enter(t, conn, h.dave.Session())
			wear(t, conn, "set local", strings.Replace(sealed(t, conn), "keys:write", "keys:write,audit:read", 1))
		}},
		{"a context under a key that does not exist", func(t *testing.T, conn *pgx.Conn) {
			begin(t, conn)
			enter(t, conn, h.dave.Session())
			c := sealed(t, conn)
			wear(t, conn, "set local", c[:64]+"99"+c[66:])
		}},
		{"a context with another seal", func(t *testing.T, conn *pgx.Conn) {
			begin(t, conn)
			enter(t, conn, h.dave.Session())
			c := sealed(t, conn)
			wear(t, conn, "set local", strings.Repeat("f", 64)+c[64:])
		}},
		{"after the commit", func(t *testing.T, conn *pgx.Conn) {
			begin(t, conn)
			enter(t, conn, h.dave.Session())
			say(t, conn, `commit`)
			begin(t, conn)
		}},
		{"after the commit, in the same batch of statements", func(t *testing.T, conn *pgx.Conn) {
			say(t, conn, `begin; select redoubt.enter('`+h.dave.Session()+`'); commit; begin`)
		}},
		{"one's own, kept from an earlier transaction", func(t *testing.T, conn *pgx.Conn) {
			begin(t, conn)
			enter(t, conn, h.dave.Session())
			wear(t, conn, "set session", sealed(t, conn))
			say(t, conn, `commit`)
			begin(t, conn)
		}},
		{"the victim's, seen in an earlier transaction of this connection", func(t *testing.T, conn *pgx.Conn) {
			begin(t, conn)
			enter(t, conn, h.alice.Session())
			c := sealed(t, conn)
			say(t, conn, `commit`)
			begin(t, conn)
			wear(t, conn, "set local", c)
		}},
		{"the victim's, copied while their transaction is open elsewhere", func(t *testing.T, conn *pgx.Conn) {
			other := h.AsApp(t)
			begin(t, other)
			enter(t, other, h.alice.Session())
			begin(t, conn)
			wear(t, conn, "set local", sealed(t, other))
		}},
		{"the victim's, over one's own", func(t *testing.T, conn *pgx.Conn) {
			other := h.AsApp(t)
			begin(t, other)
			enter(t, other, h.alice.Session())
			begin(t, conn)
			enter(t, conn, h.dave.Session())
			wear(t, conn, "set local", sealed(t, other))
		}},
		{"presented in a savepoint that was undone", func(t *testing.T, conn *pgx.Conn) {
			begin(t, conn)
			say(t, conn, `savepoint s`)
			enter(t, conn, h.dave.Session())
			say(t, conn, `rollback to s`)
		}},
		{"reset to what the connection began with", func(t *testing.T, conn *pgx.Conn) {
			begin(t, conn)
			say(t, conn, `reset redoubt.context`)
		}},
	}
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			conn := h.AsApp(t)
			a.do(t, conn)
			for _, sql := range []string{readAll, `insert into app.note (body) values ('x')`, `select redoubt.profile()`, `select audit.append('system', 'x', '', '')`} {
				say(t, conn, `savepoint before`)
				if got, state := say(t, conn, sql); state != "28000" {
					t.Errorf("%s: got %q SQLSTATE %q, want 28000", sql, got, state)
				}
				say(t, conn, `rollback to before`)
			}
		})
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

func TestAContextIsTheCallersUnderAnyKeyThatStillSeals(t *testing.T) { // rotation of the sealing key
	h := newTheft(t, layertest.Disposable)
	conn := h.AsApp(t)
	begin(t, conn)
	enter(t, conn, h.dave.Session())
	if _, err := h.admin.Exec(t.Context(), `insert into redoubt.seal_key (kid, key) values ('02', extension.gen_random_bytes(32))`); err != nil {
		t.Fatal(err)
	}
	if got, state := say(t, conn, readAll); got != own {
		t.Errorf("a context sealed before the rotation: %q %s", got, state)
	}
	next := h.AsApp(t)
	begin(t, next)
	enter(t, next, h.dave.Session())
	if c := sealed(t, next); c[64:66] != "02" {
		t.Errorf("sealed with key %s, want 02", c[64:66])
	}
	if _, err := h.admin.Exec(t.Context(), `delete from redoubt.seal_key where kid = '01'`); err != nil {
		t.Fatal(err)
	}
	if _, state := say(t, conn, readAll); state != "28000" {
		t.Errorf("a context under a key that was taken away: SQLSTATE %q", state)
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
