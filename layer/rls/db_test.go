package rls_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/audit"
	"github.com/redoubt-dev/redoubt/layer/gate/action"
	"github.com/redoubt-dev/redoubt/layer/layertest"
	"github.com/redoubt-dev/redoubt/layer/rls"
)

// A wire stands between a pool and the server and counts: the server's ReadyForQuery answers are the round trips.
type wire struct {
	address string // for the pool
	trips   atomic.Int64
	opened  atomic.Int64 // connections
	flushes atomic.Int64 // a client that flushes waits without a ReadyForQuery
}

func newWire(t *testing.T, connection string) *wire {
	t.Helper()
	u, err := url.Parse(connection)
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	server := filepath.Join(query.Get("host"), ".s.PGSQL."+query.Get("port"))
	dir, err := os.MkdirTemp("", "wire") // short: a socket's path may have 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(dir, ".s.PGSQL."+query.Get("port")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close(); os.RemoveAll(dir) })
	query.Set("host", dir)
	u.RawQuery = query.Encode()
	w := &wire{address: u.String()}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			w.opened.Add(1)
			go w.join(client, server)
		}
	}()
	return w
}

func (w *wire) join(client net.Conn, address string) {
	defer client.Close()
	server, err := net.Dial("unix", address)
	if err != nil {
		return
	}
	var sides sync.WaitGroup
	sides.Go(func() { defer server.Close(); count(client, server, 'H', &w.flushes, true) })
	sides.Go(func() { defer client.Close(); count(server, client, 'Z', &w.trips, false) })
	sides.Wait()
}

// count passes messages on and counts those of one kind. A client's first message has no kind.
func count(from io.Reader, to io.Writer, kind byte, n *atomic.Int64, client bool) {
	for first := client; ; first = false {
		head := make([]byte, 5)
		if first {
			head = head[1:]
		}
		if _, err := io.ReadFull(from, head); err != nil {
			return
		}
		length := binary.BigEndian.Uint32(head[len(head)-4:])
		body, err := io.ReadAll(io.LimitReader(from, int64(length)-4))
		if err != nil {
			return
		}
		if !first && head[0] == kind {
			n.Add(1)
		}
		if _, err := to.Write(bytes.Join([][]byte{head, body}, nil)); err != nil {
			return
		}
	}
}

// oneConn opens a DB with a single connection over a wire.
func oneConn(t *testing.T, w *layertest.W) (*rls.DB, *wire) {
	t.Helper()
	wire := newWire(t, w.Connection("redoubt_app"))
	db, err := rls.Open(t.Context(), rls.Config{Connection: wire.address, MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db, wire
}

// trips tells how many round trips f takes, once its statements are prepared.
func (w *wire) tripsOf(t *testing.T, f func() error) int64 {
	t.Helper()
	for range 2 {
		if err := f(); err != nil {
			t.Fatal(err)
		}
	}
	before := w.trips.Load()
	if err := f(); err != nil {
		t.Fatal(err)
	}
	return w.trips.Load() - before
}

func TestPresentingTheCredentialCostsNoRoundTrip(t *testing.T) { // SYSTEM D7
	w := layertest.World(t, notes)
	db, wire := oneConn(t, w)
	who := w.Member("Acme").Principal()
	cases := []struct {
		name string
		want int64
		do   func() error
	}{
		{"a read", 1, func() error {
			_, err := rls.One[int](db.As(t.Context(), who), `select count(*) from app.note`)
			return err
		}},
		{"a read of many", 1, func() error {
			_, err := rls.All[string](db.As(t.Context(), who), `select body from app.note where number > $1`, 3)
			return err
		}},
		{"two reads", 2, func() error {
			as := db.As(t.Context(), who)
			_, err := rls.One[int](as, `select count(*) from app.note`)
			_, err2 := rls.Do(as, `select`)
			return errors.Join(err, err2)
		}},
		{"a transaction with nothing in it: opened with the gate's question, committed", 2, func() error {
			_, err := action.Do(t.Context(), db, who, "notes:write", func(tx *action.Tx) (int, error) { return 0, nil })
			return err
		}},
		{"a transaction with a statement", 3, func() error {
			_, err := action.Do(t.Context(), db, who, "notes:write", func(tx *action.Tx) (int64, error) {
				return rls.Do(tx, `insert into app.note (body) values ($1)`, "hello")
			})
			return err
		}},
		{"a transaction with a statement and three events", 3, func() error {
			_, err := action.Do(t.Context(), db, who, "notes:write", func(tx *action.Tx) (int64, error) {
				for range 3 {
					if err := tx.Audit(audit.State, "note.seen", "1"); err != nil {
						return 0, err
					}
				}
				return rls.Do(tx, `insert into app.note (body) values ($1)`, "hello")
			})
			return err
		}},
	}
	for _, c := range cases {
		if got := wire.tripsOf(t, c.do); got != c.want {
			t.Errorf("%s: %d round trips, want %d", c.name, got, c.want)
		}
	}
	if n := wire.flushes.Load(); n > 0 {
		t.Errorf("%d waits that were not counted", n)
	}
	if n := wire.opened.Load(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

func TestAReadChangesNothing(t *testing.T) {
	w := layertest.World(t, notes)
	as := w.DB.As(t.Context(), w.Member("Acme").Principal())
	_, err := rls.Do(as, `insert into app.note (body) values ('x')`)
	var r *layer.Refusal
	if err == nil || errors.As(err, &r) {
		t.Errorf("got %v, want a fault of ours", err)
	}
	if n, err := rls.One[int](as, `select count(*) from app.note`); n != 0 || err != nil {
		t.Errorf("%d rows, %v", n, err)
	}
}

func TestNobodyIsRefusedBeforeTheDatabaseIsAsked(t *testing.T) { // SYSTEM D2
	w := layertest.World(t, notes)
	_, err := rls.One[int](w.DB.As(t.Context(), layer.Principal{}), `select 1`)
	refused(t, err, layer.RLS, layer.Unauthenticated)
	_, err = action.Do(t.Context(), w.DB, layer.Principal{}, "notes:write", func(*action.Tx) (int, error) { t.Error("ran"); return 0, nil })
	refused(t, err, layer.RLS, layer.Unauthenticated)
}

func TestRowsAreBounded(t *testing.T) {
	w := layertest.World(t, notes)
	as := w.DB.As(t.Context(), w.Member("Acme").Principal())
	const series = `select x from generate_series(1, $1::int) x`
	if got, err := rls.All[int](as, series, 10_000); len(got) != 10_000 || err != nil {
		t.Errorf("at the limit: %d rows, %v", len(got), err)
	}
	if got, err := rls.All[int](as, series, 10_001); err == nil || !strings.Contains(err.Error(), "10,000 rows") {
		t.Errorf("beyond the limit: %d rows, %v", len(got), err)
	}
	if got, err := rls.All[int](as, series, 0); got == nil || len(got) != 0 || err != nil {
		t.Errorf("for none: %v, %v", got, err)
	}
}

func TestQueuedStatementsAreBounded(t *testing.T) {
	w := layertest.World(t, notes)
	who := w.Member("Acme").Principal()
	queue := func(n int) error {
		_, err := action.Do(t.Context(), w.DB, who, "notes:write", func(tx *action.Tx) (int, error) {
			for range n {
				if err := tx.Queue(`insert into app.note (body) values ('queued')`); err != nil {
					return 0, err
				}
			}
			return 0, nil
		})
		return err
	}
	if err := queue(100); err != nil {
		t.Errorf("at the limit: %v", err)
	}
	if err := queue(101); err == nil || !strings.Contains(err.Error(), "100 statements") {
		t.Errorf("beyond the limit: %v", err)
	}
	if n, err := rls.One[int](w.DB.As(t.Context(), who), `select count(*) from app.note`); n != 100 || err != nil {
		t.Errorf("%d rows, %v; want those of the first transaction", n, err)
	}
}

func TestAnExhaustedPoolRefuses(t *testing.T) {
	w := layertest.World(t, notes)
	db, _ := oneConn(t, w)
	who := w.Member("Acme").Principal()
	began := time.Now()
	_, err := action.Do(t.Context(), db, who, "notes:write", func(tx *action.Tx) (int, error) {
		return rls.One[int](db.As(t.Context(), who), `select 1`) // the only connection is the transaction's
	})
	refused(t, err, layer.RLS, layer.Unavailable)
	if took := time.Since(began); took < 2*time.Second || took > 6*time.Second {
		t.Errorf("refused after %v, want about 3 s", took)
	}
	if got, err := rls.One[int](db.As(t.Context(), who), `select 1`); got != 1 || err != nil {
		t.Errorf("afterwards: %d, %v", got, err)
	}
}

func TestAnAnswerThatDoesNotComeInTime(t *testing.T) {
	w := layertest.World(t, notes)
	wire := newWire(t, w.Connection("redoubt_app"))
	db, err := rls.Open(t.Context(), rls.Config{Connection: wire.address, MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	who := w.Member("Acme").Principal()
	db.Close()
	_, err = rls.One[int](db.As(t.Context(), who), `select 1`)
	if err == nil {
		t.Error("a closed pool answered")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := rls.One[int](w.DB.As(ctx, who), `select 1`); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller who has gone: %v", err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = rls.One[int](w.DB.As(ctx, who), `select count(*) from generate_series(1, 100000000)`)
	refused(t, err, layer.RLS, layer.Unavailable)
}

// backend is the process that serves the caller's connection.
func backend(t *testing.T, db *rls.DB, who layer.Principal) (pid int) {
	t.Helper()
	pid, err := rls.One[int](db.As(t.Context(), who), `select pg_backend_pid()`)
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func TestAConnectionThatWasToyedWithIsClosed(t *testing.T) { // nothing left behind on it meets the next caller
	w := layertest.World(t, notes)
	db, _ := oneConn(t, w)
	who := w.Member("Acme").Principal()
	revoked := w.Member("Acme")
	if err := w.Identity.EndSession(t.Context(), revoked.Session()); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name   string
		closed bool
		do     func(as rls.Caller) error
	}{
		{"nothing wrong", false, func(as rls.Caller) error { _, err := rls.Do(as, `select`); return err }},
		{"no such row", false, func(as rls.Caller) error { _, err := rls.One[int](as, `select 1 where false`); return err }},
		{"a value out of bounds", false, func(as rls.Caller) error { _, err := rls.Do(as, `select 'x'::int`); return err }},
		{"bad syntax", true, func(as rls.Caller) error { _, err := rls.Do(as, `selec`); return err }},
		{"a statement that is not allowed", true, func(as rls.Caller) error { _, err := rls.Do(as, `select * from identity.session`); return err }},
		{"a credential that is refused", true, func(rls.Caller) error {
			_, err := rls.Do(db.As(t.Context(), revoked.Principal()), `select`)
			return err
		}},
		{"a write in a read", true, func(as rls.Caller) error { _, err := rls.Do(as, `delete from app.note`); return err }},
		{"a loading past the policies", true, func(as rls.Caller) error { _, err := rls.Do(as, `copy app.note (body) from stdin`); return err }},
		{"two statements in one", true, func(as rls.Caller) error { _, err := rls.Do(as, `select 1; select 2`); return err }},
	}
	for _, c := range cases {
		before := backend(t, db, who)
		if err := c.do(db.As(t.Context(), who)); err == nil && c.closed {
			t.Errorf("%s: no error", c.name)
		}
		if after := backend(t, db, who); (after != before) != c.closed {
			t.Errorf("%s: connection closed: %t, want %t", c.name, after != before, c.closed)
		}
	}
}

// The attack that is left to somebody who can type any statement (and whom constant SQL and the extended protocol keep from it):
// a prepared statement of one's own under the name of one that the pool uses, left on the connection for the next caller, who runs it
// with a context of their own. Nothing in the database can tell; a strict pool has no statement that could be replaced.
func TestAStrictPoolHasNoStatementToReplace(t *testing.T) { // SYSTEM D2
	h := newTheft(t, layertest.World)
	const (
		innocent = `select body from app.note`
		name     = "stmtcache_51a546ca203567466dc6c7f056de634403f3ee59881d7581" // of innocent, as pgx names it
		forget   = `deallocate ` + name
		trap     = `prepare ` + name + ` as select 'what the thief wants to be read'::text as body`
	)
	for strict, want := range map[bool]string{false: "what the thief wants to be read", true: secret} {
		db, err := rls.Open(t.Context(), rls.Config{Connection: h.Connection("redoubt_app"), MaxConns: 1, Strict: strict})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(db.Close)
		alice, dave := db.As(t.Context(), h.alice.Principal()), db.As(t.Context(), h.dave.Principal())
		if got, err := rls.One[string](alice, innocent); got != secret || err != nil {
			t.Fatalf("strict %t: before: %q, %v", strict, got, err)
		}
		if _, err := rls.Do(dave, forget); (err != nil) != strict { // a strict pool has nothing of that name
			t.Fatal(err)
		}
		if _, err := rls.Do(dave, trap); err != nil {
			t.Fatal(err)
		}
		if got, err := rls.One[string](alice, innocent); got != want || err != nil {
			t.Errorf("strict %t: Alice reads %q, %v; want %q", strict, got, err, want)
		}
	}
}

func TestErrorsOfTheDatabaseHaveAnAuthor(t *testing.T) { // SYSTEM A4
	w := layertest.World(t, notes)
	who := w.Member("Acme").Principal()
	const id = "5f0c5bba-3c66-4d2b-9c0e-0a1c0f1d0009"
	do := func(do func(*action.Tx) error) error {
		_, err := action.Do(t.Context(), w.DB, who, "notes:write", func(tx *action.Tx) (int, error) { return 0, do(tx) })
		return err
	}
	if err := do(func(tx *action.Tx) error {
		_, err := rls.Do(tx, `insert into app.note (body, slug) values ('x', 'submitted')`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name   string
		by     layer.Layer
		reason layer.Reason
		do     func(*action.Tx) error
	}{
		{"no row", layer.RLS, layer.NotFound, func(tx *action.Tx) error {
			_, err := rls.One[string](tx, `select body from app.note where id = $1`, id)
			return err
		}},
		{"not an id", layer.RLS, layer.NotFound, func(tx *action.Tx) error {
			_, err := rls.One[string](tx, `select body from app.note where id = $1::text::uuid`, "submitted")
			return err
		}},
		{"a reference to nothing", layer.RLS, layer.NotFound, func(tx *action.Tx) error {
			_, err := rls.Do(tx, `insert into app.reply (note_id) values ($1)`, id)
			return err
		}},
		{"one like it", layer.RLS, layer.Conflict, func(tx *action.Tx) error {
			_, err := rls.Do(tx, `insert into app.note (body, slug) values ('x', $1)`, "submitted")
			return err
		}},
		{"out of bounds", layer.RLS, layer.Invalid, func(tx *action.Tx) error {
			_, err := rls.Do(tx, `insert into app.note (body, number) values ('submitted', $1)`, -1)
			return err
		}},
		{"a missing value", layer.RLS, layer.Invalid, func(tx *action.Tx) error {
			_, err := rls.Do(tx, `insert into app.note (body) values (null)`)
			return err
		}},
		{"a long value", layer.RLS, layer.Invalid, func(tx *action.Tx) error {
			_, err := rls.Do(tx, `insert into app.note (body, slug) values ('x', $1)`, strings.Repeat("submitted", 9))
			return err
		}},
		{"a large number", layer.RLS, layer.Invalid, func(tx *action.Tx) error { _, err := rls.Do(tx, `select 2147483647 + $1::int`, 1); return err }},
		{"a NUL byte", layer.RLS, layer.Invalid, func(tx *action.Tx) error {
			_, err := rls.Do(tx, `insert into app.note (body) values ($1)`, "sub\x00mitted")
			return err
		}},
		{"a policy", layer.RLS, layer.Forbidden, func(tx *action.Tx) error {
			_, err := rls.Do(tx, `insert into app.note (organization_id, body) values ($1, 'x')`, id)
			return err
		}},
		{"a grant", layer.RLS, layer.Forbidden, func(tx *action.Tx) error { _, err := rls.Do(tx, `update app.note set author_id = $1`, id); return err }},
		{"a scope", layer.GateAction, layer.Forbidden, func(tx *action.Tx) error {
			_, err := rls.Do(tx, `select redoubt.require($1)`, "members:write")
			return err
		}},
		{"a queued statement's", layer.RLS, layer.Conflict, func(tx *action.Tx) error {
			return tx.Queue(`insert into app.note (body, slug) values ('x', $1)`, "submitted")
		}},
		{"a statement that takes too long", layer.RLS, layer.Unavailable, func(tx *action.Tx) error {
			if _, err := rls.Do(tx, `set local statement_timeout = '20ms'`); err != nil {
				return err
			}
			_, err := rls.Do(tx, `select count(*) from generate_series(1, 100000000)`)
			return err
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := refused(t, do(c.do), c.by, c.reason)
			if text := r.Error() + r.Public + fmt.Sprintf("%+v", r.Fields); strings.Contains(text, "submitted") || strings.Contains(text, id) {
				t.Errorf("the refusal quotes what was submitted: %s", text)
			}
		})
	}
}

func TestAfterAnErrorATransactionIsOver(t *testing.T) {
	w := layertest.World(t, notes)
	who := w.Member("Acme").Principal()
	_, err := action.Do(t.Context(), w.DB, who, "notes:write", func(tx *action.Tx) (int, error) {
		if _, err := rls.Do(tx, `insert into app.note (body) values ('first')`); err != nil {
			t.Error(err)
		}
		_, err := rls.One[int](tx, `select 1 where false`)
		refused(t, err, layer.RLS, layer.NotFound) // which is no error to the database
		if _, err := rls.Do(tx, `insert into app.note (body) values ('second')`); err != nil {
			t.Error(err)
		}
		_, err = rls.Do(tx, `insert into app.note (body) values (null)`)
		refused(t, err, layer.RLS, layer.Invalid)
		_, err = rls.Do(tx, `insert into app.note (body) values ('third')`)
		refused(t, err, layer.RLS, layer.Invalid) // the first error, again
		return 0, nil                             // swallowed by the handler: nothing is committed all the same
	})
	refused(t, err, layer.RLS, layer.Invalid)
	if n, err := rls.One[int](w.DB.As(t.Context(), who), `select count(*) from app.note`); n != 0 || err != nil {
		t.Errorf("%d rows, %v", n, err)
	}
	var kept *action.Tx
	action.Do(t.Context(), w.DB, who, "notes:write", func(tx *action.Tx) (int, error) { kept = tx; return 0, nil })
	if _, err := rls.Do(kept, `select`); err == nil || kept.Commit() == nil {
		t.Error("a transaction was used after its end")
	}
	kept.Rollback() // does nothing
}

func TestOpenRefusesARoleThatCouldBypass(t *testing.T) { // SYSTEM D3
	w := layertest.Disposable(t, notes)
	admin := w.Admin(t)
	faults := []struct{ name, do, undo, mend string }{
		{"set_config", `grant execute on function pg_catalog.set_config(text, text, boolean) to public`, `revoke execute on function pg_catalog.set_config(text, text, boolean) from public`,
			`REVOKE EXECUTE ON FUNCTION pg_catalog.set_config(text, text, boolean) FROM PUBLIC`},
		{"temporary tables", `grant temporary on database {db} to public`, `revoke temporary on database {db} from public`, `REVOKE TEMPORARY ON DATABASE {db} FROM PUBLIC`},
		{"a table of its own", `create table public.x (y int); alter table public.x owner to redoubt_app`, `drop table public.x`, `ALTER TABLE public.x OWNER TO redoubt_owner`},
	}
	var name string
	if err := admin.QueryRow(t.Context(), `select current_database()`).Scan(&name); err != nil {
		t.Fatal(err)
	}
	fill := strings.NewReplacer("{db}", name)
	for _, f := range faults {
		if got, state := say(t, admin, fill.Replace(f.do)); state != "" {
			t.Fatalf("%s: %s %s", f.name, got, state)
		}
		db, err := rls.Open(t.Context(), rls.Config{Connection: w.Connection("redoubt_app"), MaxConns: 1})
		if !errors.Is(err, rls.ErrBypass) || !strings.Contains(err.Error(), fill.Replace(f.mend)) {
			t.Errorf("%s: got %v, want the statement %s", f.name, err, f.mend)
		}
		if db != nil {
			db.Close()
		}
		say(t, admin, fill.Replace(f.undo))
	}
	for connection, want := range map[string]string{
		w.Connection("redoubt_migrator"): `REVOKE redoubt_owner FROM redoubt_migrator`,
		admin.Config().ConnString():      `ALTER ROLE postgres NOSUPERUSER`,
		"postgres://app:hunter2@[::bad":  `not valid`,
	} {
		_, err := rls.Open(t.Context(), rls.Config{Connection: connection, MaxConns: 1})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	db, err := rls.Open(t.Context(), rls.Config{Connection: w.Connection("redoubt_app"), MaxConns: 1})
	if err != nil {
		t.Fatalf("mended: %v", err)
	}
	db.Close()
}

// A role's attributes belong to the whole server, so this uses a role of its own.
func TestOpenRefusesBypassRLS(t *testing.T) { // SYSTEM D3
	w := layertest.World(t, notes)
	admin := w.Admin(t)
	if _, state := say(t, admin, `create role redoubt_test_bypass login bypassrls password 'x'; grant connect on database `+pgx.Identifier{admin.Config().Database}.Sanitize()+` to redoubt_test_bypass`); state != "" {
		t.Fatal(state)
	}
	t.Cleanup(func() {
		admin.Exec(context.Background(), `drop owned by redoubt_test_bypass`)
		admin.Exec(context.Background(), `drop role redoubt_test_bypass`)
	})
	u, _ := url.Parse(w.Connection("redoubt_app"))
	u.User = url.UserPassword("redoubt_test_bypass", "x")
	_, err := rls.Open(t.Context(), rls.Config{Connection: u.String(), MaxConns: 1})
	if !errors.Is(err, rls.ErrBypass) || !strings.Contains(err.Error(), `ALTER ROLE redoubt_test_bypass NOBYPASSRLS`) {
		t.Errorf("got %v", err)
	}
}
