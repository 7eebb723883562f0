package rls_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/backbone/migrate"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/identity"
	"github.com/redoubt-dev/redoubt/layer/layertest"
)

func TestMain(m *testing.M) { layertest.Main(m) }

// notes is the smallest application that has something to steal. Its grants are wider than they should be, so that what refuses
// is the layer and not a grant.
var notes = redoubt.App{
	Name: "Notes",
	Schema: []migrate.Line{{Name: "app", Application: true, Files: fstest.MapFS{"0001_note.sql": {Data: []byte(`
CREATE SCHEMA app;
CREATE TABLE app.note (
  organization_id uuid NOT NULL,
  id              uuid NOT NULL DEFAULT redoubt.new_id(),
  author_id       uuid DEFAULT redoubt.profile(),
  body            text NOT NULL CHECK (length(body) BETWEEN 1 AND 100),
  slug            varchar(20),
  number          int  NOT NULL DEFAULT 0 CHECK (number >= 0),
  PRIMARY KEY (organization_id, id),
  UNIQUE (organization_id, slug)
);
CREATE TABLE app.reply (
  organization_id uuid NOT NULL,
  id              uuid NOT NULL DEFAULT redoubt.new_id(),
  note_id         uuid NOT NULL,
  PRIMARY KEY (organization_id, id),
  FOREIGN KEY (organization_id, note_id) REFERENCES app.note (organization_id, id) ON DELETE CASCADE
);
GRANT USAGE ON SCHEMA app TO redoubt_app, redoubt_worker, redoubt_webhook, redoubt_analytics;
GRANT SELECT, INSERT, DELETE, UPDATE (body, slug, number) ON app.note TO redoubt_worker;
GRANT SELECT, INSERT (organization_id, body) ON app.note TO redoubt_webhook;
GRANT SELECT ON app.note, app.reply TO redoubt_analytics;
GRANT SELECT, INSERT, DELETE, UPDATE (body, slug, number) ON app.note TO redoubt_app;
GRANT SELECT, INSERT, DELETE ON app.reply TO redoubt_app;
SELECT redoubt.allow('member', 'keys:write', 'notes:write', 'database:only');
SELECT redoubt.allow('administrator', 'keys:write', 'notes:write', 'notes:clear', 'members:write', 'members:erase', 'endpoints:write', 'audit:read');
`)}}}},
	Scopes: identity.Scopes{Member: []string{"keys:write", "notes:write", "claims:only"}, Administrator: []string{"notes:clear", "members:write", "members:erase", "endpoints:write", "audit:read"}},
}

// A theft is a world with something to steal: Acme's note, which Globex wants.
type theft struct {
	*layertest.W
	alice, dave *layertest.Caller // of Acme, the victim; and of Globex, the thief
	admin       *pgx.Conn
	fill        *strings.Replacer
}

const (
	secret = "acme secret"
	own    = "globex words"
)

func newTheft(t *testing.T, world func(testing.TB, redoubt.App) *layertest.W) *theft {
	t.Helper()
	w := world(t, notes)
	h := &theft{W: w, alice: w.Member("Acme"), dave: w.Member("Globex"), admin: w.Admin(t)}
	insert := func(c *layertest.Caller, body string) (note string) {
		conn := w.AsApp(t)
		tx := begin(t, conn)
		enter(t, conn, c.Session())
		err := conn.QueryRow(t.Context(), `insert into app.note (body, slug, number) values ($1, $2, 7) returning id`, body, body).Scan(&note)
		if err == nil {
			_, err = conn.Exec(t.Context(), `insert into app.reply (note_id) values ($1)`, note)
		}
		if err == nil {
			err = tx.Commit(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		return note
	}
	h.fill = strings.NewReplacer("{their note}", insert(h.alice, secret), "{my note}", insert(h.dave, own),
		"{their org}", string(w.Organization("Acme")), "{my org}", string(w.Organization("Globex")),
		"{them}", string(h.alice.Principal().Profile()), "{me}", string(h.dave.Principal().Profile()))
	return h
}

func begin(t testing.TB, conn *pgx.Conn) pgx.Tx {
	t.Helper()
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tx.Rollback(context.Background()) })
	return tx
}

func enter(t testing.TB, conn *pgx.Conn, credential string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), `select redoubt.enter($1)`, credential); err != nil {
		t.Fatalf("entering: %v", err)
	}
}

// say runs SQL as somebody typed it, several statements at once if they like, and returns what came back: every value of the
// last result that had rows, and the SQLSTATE.
func say(t testing.TB, conn *pgx.Conn, sql string) (got, state string) {
	t.Helper()
	results, err := conn.PgConn().Exec(t.Context(), sql).ReadAll()
	for _, r := range results {
		var row []string
		for _, values := range r.Rows {
			for _, v := range values {
				row = append(row, string(v))
			}
		}
		if len(r.Rows) > 0 || r.CommandTag.Select() {
			got = strings.Join(row, " ")
		} else if r.Err == nil {
			got = r.CommandTag.String()
		}
	}
	return got, stateOf(t, err)
}

func stateOf(t testing.TB, err error) string {
	t.Helper()
	var pg *pgconn.PgError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &pg):
		return pg.Code
	}
	t.Fatalf("not PostgreSQL's: %v", err)
	return ""
}

// victim is a fingerprint of everything that is Acme's.
func (h *theft) victim(t testing.TB) (sum string) {
	t.Helper()
	err := h.admin.QueryRow(t.Context(), `select md5(coalesce((select string_agg(n::text, '|' order by id) from app.note n where organization_id = $1), '') ||
		coalesce((select string_agg(r::text, '|' order by id) from app.reply r where organization_id = $1), '') ||
		(select count(*) from audit.log where organization_id = $1))`, h.Organization("Acme")).Scan(&sum)
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// refusal checks that err is a refusal by this layer for this reason, which tells nothing of what was submitted.
func refused(t testing.TB, err error, by layer.Layer, reason layer.Reason) *layer.Refusal {
	t.Helper()
	var r *layer.Refusal
	if !errors.As(err, &r) {
		t.Fatalf("got %v, want a refusal by %s", err, by)
	}
	if r.By != by || r.Reason != reason || r.Public == "" {
		t.Fatalf("got %s %s %q (%v), want %s by %s", r.By, r.Reason, r.Public, r.Cause, reason, by)
	}
	return r
}
