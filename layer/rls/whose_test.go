package rls_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/gate/action"
	"github.com/redoubt-dev/redoubt/layer/layertest"
	"github.com/redoubt-dev/redoubt/layer/rls"
)

// A noteID is an id as applications have them: of a type of its own. A rawID is one as other packages have them.
type (
	noteID string
	rawID  [16]byte
)

// open takes the policies from every table of the application, for good: what is left is what the ids say.
func (h *theft) open(t *testing.T) {
	t.Helper()
	const off = `alter event trigger redoubt_command disable;
		alter table app.note disable row level security; alter table app.reply disable row level security;
		alter event trigger redoubt_command enable`
	if _, err := h.admin.Exec(t.Context(), off); err != nil {
		t.Fatal(err)
	}
}

func TestAnIDBeginsWithItsOrganization(t *testing.T) { // SYSTEM A5
	eachWay(t, func(t *testing.T, h keeping) {
		org := h.Organization("Globex")
		conn := h.AsApp(t)
		begin(t, conn)
		enter(t, conn, h.dave.Session())
		seen := map[string]bool{}
		for _, sql := range []string{`select redoubt.new_id()`, `select redoubt.new_id('` + string(org) + `')`, `insert into app.note (body) values ('x') returning id`} {
			for range 50 {
				id, state := say(t, conn, sql)
				want := rls.NewID(org)
				if state != "" || len(id) != len(want) || id[:8] != want[:8] || id[14] != '8' || !strings.ContainsRune("89ab", rune(id[19])) || seen[id] {
					t.Fatalf("%s: got %q %s, want an id like %s, once", sql, id, state, want)
				}
				seen[id] = true
			}
		}
		if id, state := say(t, conn, `select redoubt.new_id('`+string(h.Organization("Acme"))+`')`); state != "" || id[:8] != rls.NewID(h.Organization("Acme"))[:8] {
			t.Errorf("of another organization: %q %s", id, state)
		}
		for who, conn := range map[string]*pgx.Conn{"a migration": h.Admin(t), "the application, before it has presented anything": h.AsApp(t)} {
			if id, state := say(t, conn, `select redoubt.new_id()`); state != "" || id[14] != '4' {
				t.Errorf("%s: got %q %s, want version 4", who, id, state)
			}
		}
	})
}

type row struct {
	ID   *noteID
	Body string
}

// all asks a statement whose rows are all of one type.
func all[T any](got []T, err error) (any, error) { return got, err }

// stolen are statements of which only the answer can tell that they ask for Acme's.
func (h *theft) stolen() map[string]func(rls.Asker) (any, error) {
	type later struct {
		Body, Slug string
		ID         noteID
	}
	note := h.fill.Replace("{their note}")
	return map[string]func(rls.Asker) (any, error){
		"a row by its text": func(as rls.Asker) (any, error) {
			return all(rls.All[row](as, `select id, body from app.note where slug = $1`, secret))
		},
		"one row": func(as rls.Asker) (any, error) {
			return rls.One[row](as, `select id, body from app.note where slug = $1`, secret)
		},
		"all rows": func(as rls.Asker) (any, error) {
			return all(rls.All[row](as, `select id, body from app.note order by body desc`))
		},
		"the id in the last place": func(as rls.Asker) (any, error) {
			return all(rls.All[later](as, `select body, slug, id from app.note order by body`))
		},
		"an id that refers to it": func(as rls.Asker) (any, error) { return all(rls.All[noteID](as, `select note_id from app.reply`)) },
		"their author": func(as rls.Asker) (any, error) {
			return all(rls.All[row](as, `select author_id as id, body from app.note`))
		},
		"ids in a list": func(as rls.Asker) (any, error) {
			return all(rls.All[[]noteID](as, `select array_agg(id order by body desc) from app.note`))
		},
		"ids in a list of lists": func(as rls.Asker) (any, error) {
			return all(rls.All[[][]*noteID](as, `select array_agg(array[null, id] order by body desc) from app.note`))
		},
		"an id that is null at first": func(as rls.Asker) (any, error) {
			return all(rls.All[row](as, `select case when body = $1 then id end as id, '' as body from app.note order by body desc`, secret))
		},
		"more ids than are expected": func(as rls.Asker) (any, error) {
			type many struct{ A, B, C, D, E, F noteID }
			return all(rls.All[many](as, `select redoubt.new_id() as a, redoubt.new_id() as b, redoubt.new_id() as c, redoubt.new_id() as d, redoubt.new_id() as e, id as f from app.note`))
		},
		"an id by a plain string": func(as rls.Asker) (any, error) {
			return all(rls.All[row](as, `select id, body from app.note where id = $1`, note))
		},
		"an id within a text": func(as rls.Asker) (any, error) {
			return all(rls.All[row](as, `select id, body from app.note where id = substr($1, 4)::uuid`, noteID("id:"+note)))
		},
	}
}

func TestAnAnswerWithAnotherOrganizationsIDIsRefused(t *testing.T) { // SYSTEM A5, D1
	h := newTheft(t, layertest.Disposable)
	db, wire := oneConn(t, h.W)
	dave, alice := db.As(t.Context(), h.dave.Principal()), db.As(t.Context(), h.alice.Principal())
	for name, ask := range h.stolen() {
		got, err := ask(dave)
		var r *layer.Refusal
		if errors.Is(err, rls.ErrForeignRow) || err != nil && !errors.As(err, &r) || strings.Contains(fmt.Sprint(got), secret) {
			t.Errorf("%s, as it is: got %v, %v", name, got, err)
		}
	}
	h.open(t)
	before := h.victim(t)
	for name, ask := range h.stolen() {
		t.Run(name, func(t *testing.T) {
			got, err := ask(dave)
			r := refused(t, err, layer.RLS, layer.NotFound)
			if !errors.Is(r, rls.ErrForeignRow) || strings.Contains(fmt.Sprint(got), secret) || !strings.HasPrefix(r.Cause.Error(), "column ") {
				t.Errorf("got %v, %v", got, err)
			}
			if _, err := action.Do(t.Context(), db, h.dave.Principal(), "notes:write", func(tx *action.Tx) (any, error) { return ask(tx) }); !errors.Is(err, rls.ErrForeignRow) {
				t.Errorf("in a transaction: %v", err)
			}
		})
	}
	if got, err := rls.One[string](alice, `select body from app.note where slug = $1`, secret); err != nil || got != secret {
		t.Errorf("to whom it belongs: got %q, %v", got, err)
	}
	if h.victim(t) != before {
		t.Error("something was changed")
	}
	if n := wire.opened.Load(); n != 1 {
		t.Errorf("%d connections, want 1: a refusal must not cost one", n)
	}
}

// What the ids cannot tell is the policies' alone; docs/decisions/0042-an-id-says-whose-it-is.md says so.
func TestWhatNoIDSaysIsForThePolicies(t *testing.T) { // SYSTEM D1
	h := newTheft(t, layertest.Disposable)
	if _, err := h.admin.Exec(t.Context(), h.fill.Replace(`set session_replication_role = replica;
		insert into app.note (organization_id, id, author_id, body, slug) values ('{their org}', '5f0c5bba-3c66-4d2b-9c0e-0a1c0f1d00aa', null, 'acme secret too', 'old')`)); err != nil {
		t.Fatal(err)
	}
	dave := h.DB.As(t.Context(), h.dave.Principal())
	reads := map[string]func() (string, error){
		"a row without its id": func() (string, error) {
			return rls.One[string](dave, `select body from app.note where slug = $1`, secret)
		},
		"a row whose id is of version 4": func() (string, error) {
			r, err := rls.One[row](dave, `select id, body from app.note where id = $1`, noteID("5f0c5bba-3c66-4d2b-9c0e-0a1c0f1d00aa"))
			return r.Body, err
		},
		"an id as a text": func() (string, error) {
			type texts struct{ ID, Body string }
			r, err := rls.One[texts](dave, `select id::text as id, body from app.note where slug = $1`, secret)
			return r.Body, err
		},
		"ids in JSON": func() (string, error) {
			return rls.One[string](dave, `select to_json(n)::text from app.note n where slug = $1`, secret)
		},
	}
	for name, read := range reads {
		if got, err := read(); err == nil || got != "" {
			t.Errorf("%s, by the policies: got %q, %v", name, got, err)
		}
	}
	h.open(t)
	for name, read := range reads {
		if got, err := read(); err != nil || !strings.Contains(got, secret) {
			t.Errorf("%s, without policies: got %q, %v: say so in the decision", name, got, err)
		}
	}
}

// named are the ways to name an id of Acme's in an argument.
func named(id string) map[string]any {
	var raw [16]byte
	if _, err := hex.Decode(raw[:], []byte(strings.ReplaceAll(id, "-", ""))); err != nil {
		panic(err)
	}
	one, bare := noteID(id), strings.ReplaceAll(id, "-", "")
	indirect := &one
	return map[string]any{
		"an id": one, "in capitals": noteID(strings.ToUpper(id)), "without hyphens": noteID(bare), "in braces": noteID("{" + id + "}"),
		"with a hyphen after each four": noteID(strings.Join([]string{bare[:4], bare[4:8], bare[8:12], bare[12:16], bare[16:20], bare[20:24], bare[24:28], bare[28:]}, "-")),
		"a pointer":                     &one, "a pointer to a pointer": &indirect, "sixteen bytes": raw, "sixteen bytes of a type": rawID(raw), "a list of those": []rawID{raw}, "pgtype's": pgtype.UUID{Bytes: raw, Valid: true},
		"a pointer to sixteen bytes": &raw, "a pointer to pgtype's": &pgtype.UUID{Bytes: raw, Valid: true},
		"a list": []noteID{"", one}, "a list of pointers": []*noteID{nil, &one}, "an array": [2]noteID{"", one}, "a list of any": []any{1, nil, one},
		"a list of lists": [][]noteID{nil, {one}}, "a list of sixteen bytes": [][16]byte{raw}, "pgtype's list": pgtype.FlatArray[pgtype.UUID]{{Bytes: raw, Valid: true}},
	}
}

func TestAnIDOfAnotherOrganizationIsNotEvenAskedFor(t *testing.T) { // SYSTEM A4, A5
	h := newTheft(t, layertest.Disposable)
	db, wire := oneConn(t, h.W)
	dave := db.As(t.Context(), h.dave.Principal())
	_, absent := rls.One[row](dave, `select id, body from app.note where id = $1`, noteID("00000000-0000-4000-8000-000000000000"))
	want := refused(t, absent, layer.RLS, layer.NotFound)
	for name, arg := range named(h.fill.Replace("{their note}")) {
		before := wire.trips.Load()
		_, err := rls.Do(dave, `select $2, $1`, arg, "x")
		if r := refused(t, err, layer.RLS, layer.NotFound); r.Public != want.Public || strings.Contains(err.Error(), "-") && strings.Contains(err.Error(), h.fill.Replace("{their note}")) {
			t.Errorf("%s: got %v, want what is said of nothing: %v", name, err, want)
		}
		if n := wire.trips.Load() - before; n != 0 {
			t.Errorf("%s: %d round trips, want none", name, n)
		}
	}
	for name, arg := range map[string]any{"one's own": noteID(h.fill.Replace("{my note}")), "of version 4": noteID("5f0c5bba-3c66-4d2b-9c0e-0a1c0f1d00aa"), "nothing": (*noteID)(nil), "pgtype's nothing": (*pgtype.UUID)(nil),
		"pgtype's null": pgtype.UUID{}, "no array": (*rawID)(nil)} {
		if _, err := rls.Do(dave, `select $1::uuid`, arg); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got, err := rls.One[string](dave, `select $1::text`, "about "+h.fill.Replace("{their note}")); err != nil || got == "" {
		t.Errorf("within a text: %v", err)
	}
	if got, err := rls.One[string](dave, `select $1::text`, h.fill.Replace("{their note}")); err != nil || got == "" {
		t.Errorf("as a text: %v", err)
	}
	if n := wire.opened.Load(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

// The policies are gone, and nothing comes back that could be judged.
func TestAChangeOfAnotherOrganizationsRowIsRefused(t *testing.T) { // SYSTEM A5, D1
	h := newTheft(t, layertest.Disposable)
	h.open(t)
	before, note := h.victim(t), noteID(h.fill.Replace("{their note}"))
	for name, act := range map[string]func(*action.Tx) error{
		"by its id": func(tx *action.Tx) error {
			_, err := rls.Do(tx, `update app.note set body = 'x' where id = $1`, note)
			return err
		},
		"by several ids": func(tx *action.Tx) error {
			_, err := rls.Do(tx, `delete from app.note where id = any ($1)`, []noteID{note})
			return err
		},
		"at the end": func(tx *action.Tx) error { return tx.Queue(`update app.note set body = 'x' where id = $1`, note) },
		"by its text, returning": func(tx *action.Tx) error {
			_, err := rls.Do(tx, `update app.note set body = 'x' where slug = $1 returning id`, secret)
			return err
		},
		"all, returning": func(tx *action.Tx) error {
			_, err := rls.All[noteID](tx, `update app.note set body = 'x' returning id`)
			return err
		},
		"and nobody looks at the refusal": func(tx *action.Tx) error {
			rls.Do(tx, `update app.note set body = 'x' where slug = $1 returning id`, secret)
			_, err := rls.Do(tx, `select`)
			return err
		},
		"before another, and nobody looks": func(tx *action.Tx) error {
			rls.Do(tx, `update app.note set body = 'x' where id = $1`, note)
			_, err := rls.Do(tx, `update app.note set body = 'x'`)
			return err
		},
	} {
		_, err := action.Do(t.Context(), h.DB, h.dave.Principal(), "notes:write", func(tx *action.Tx) (int, error) { act(tx); return 0, nil }) // the commit has to know
		refused(t, err, layer.RLS, layer.NotFound)
		if h.victim(t) != before {
			t.Fatalf("%s: their note was changed", name)
		}
	}
}

// The database is wrong about who asks, because somebody wrote to it; the Principal is not.
func TestAContextThatIsWrongShowsInTheIDs(t *testing.T) { // SYSTEM A5, D2
	h := newTheft(t, layertest.World)
	if _, err := h.admin.Exec(t.Context(), `update identity.session set organization_id = $1, profile_id = $2, person_id = $3 where id = $4`,
		h.Organization("Acme"), h.alice.Principal().Profile(), h.alice.Principal().Person(), h.dave.Principal().CredentialID()); err != nil {
		t.Fatal(err)
	}
	dave := h.DB.As(t.Context(), h.dave.Principal())
	if org, err := rls.One[layer.OrgID](dave, `select redoubt.org()`); err != nil || org != h.Organization("Acme") {
		t.Fatalf("the context is not wrong: %v, %v", org, err)
	}
	if _, err := rls.All[row](dave, `select id, body from app.note`); !errors.Is(err, rls.ErrForeignRow) {
		t.Errorf("reading: got %v", err)
	}
	_, err := rls.One[row](dave, `select id, body from app.note where id = $1`, noteID(h.fill.Replace("{their note}")))
	refused(t, err, layer.RLS, layer.NotFound)
}

func TestWhichIDsMayBeAnOrganizations(t *testing.T) { // SYSTEM A5
	const acme, globex = layer.OrgID("5f0c5bba-3c66-4d2b-9c0e-0a1c0f1d00aa"), layer.OrgID("5f0c5bba-3c66-4d2b-9c0e-0a1c0f1d00ab")
	change := func(id string, at int, to string) string { return id[:at] + to + id[at+1:] }
	for _, c := range []struct {
		name string
		org  layer.OrgID
		id   string
		want bool
	}{
		{"its own", acme, rls.NewID(acme), true},
		{"its own, written otherwise", "5F0C5BBA3C664D2B9C0E0A1C0F1D00AA", rls.NewID(acme), true},
		{"another's", acme, rls.NewID(globex), false},
		{"of version 4", acme, change(rls.NewID(globex), 14, "4"), true},
		{"of version 7", acme, change(rls.NewID(globex), 14, "7"), true},
		{"of another variant", acme, change(rls.NewID(globex), 19, "c"), true},
		{"the nil UUID", acme, "00000000-0000-0000-0000-000000000000", true},
		{"the last UUID", acme, "ffffffff-ffff-ffff-ffff-ffffffffffff", true},
		{"asked by nobody", "", rls.NewID(acme), false},
		{"asked by nobody, of nobody", "", rls.NewID(""), false},
		{"asked by what is no organization", "acme", rls.NewID("acme"), false},
	} {
		id, ok := rls.ParseID(c.id)
		if got := rls.Admits(c.org, id); !ok || got != c.want {
			t.Errorf("%s: got %t, want %t", c.name, got, c.want)
		}
	}
}

func FuzzAnIDIsReadAsTheDatabaseReadsIt(f *testing.F) {
	for _, s := range []string{"5f0c5bba-3c66-8d2b-9c0e-0a1c0f1d00aa", "{5F0C5BBA3C668D2B9C0E0A1C0F1D00AA}", "5f0c-5bba-3c66-8d2b-9c0e-0a1c-0f1d-00aa", "", "-", "5f0c5bba3c668d2b9c0e0a1c0f1d00a", strings.Repeat("-", 100)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, ok := rls.ParseID(s)
		var theirs pgtype.UUID
		if err := theirs.Scan(s); err == nil && (!ok || theirs.Bytes != id) {
			t.Errorf("%q: pgtype reads %x, we %x %t", s, theirs.Bytes, id, ok)
		}
		digits := strings.Map(func(r rune) rune {
			if strings.ContainsRune("-{}", r) {
				return -1
			}
			return r
		}, s)
		if ok && hex.EncodeToString(id[:]) != strings.ToLower(digits) {
			t.Errorf("%q is read as %x", s, id)
		}
		if !ok && len(s) <= 49 && len(digits) == 32 && strings.Trim(strings.ToLower(digits), "0123456789abcdef") == "" {
			t.Errorf("%q is not read", s)
		}
	})
}
