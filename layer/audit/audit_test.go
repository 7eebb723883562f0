package audit_test

import (
	"context"
	"fmt"
	"testing"
	"testing/fstest"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/backbone/migrate"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/audit"
	"github.com/redoubt-dev/redoubt/layer/gate/action"
	"github.com/redoubt-dev/redoubt/layer/identity"
	"github.com/redoubt-dev/redoubt/layer/layertest"
	"github.com/redoubt-dev/redoubt/layer/rls"
)

func TestMain(m *testing.M) { layertest.Main(m) }

var teas = redoubt.App{
	Schema: []migrate.Line{{Name: "teas", Application: true, Files: fstest.MapFS{"0001_tea.sql": {Data: []byte(`
CREATE SCHEMA teas;
CREATE TABLE teas.tea (organization_id uuid NOT NULL, id uuid NOT NULL DEFAULT redoubt.new_id(), name text NOT NULL, PRIMARY KEY (organization_id, id));
GRANT USAGE ON SCHEMA teas TO redoubt_app;
GRANT SELECT, INSERT, DELETE, UPDATE (name) ON teas.tea TO redoubt_app;
SELECT redoubt.allow('member', 'teas:write');
SELECT redoubt.allow('administrator', 'teas:write', 'audit:read');
`)}}}},
	Scopes: identity.Scopes{Member: []string{"teas:write"}, Administrator: []string{"audit:read"}},
}

func do(t *testing.T, ctx context.Context, w *layertest.W, who layer.Principal, f func(*action.Tx) error) error {
	t.Helper()
	_, err := action.Do(ctx, w.DB, who, "teas:write", func(tx *action.Tx) (int, error) { return 0, f(tx) })
	return err
}

func TestEveryChangeIsRecordedWithItsActor(t *testing.T) { // SYSTEM U1
	w := layertest.World(t, teas)
	bob, boss := w.Member("Acme").Principal(), w.Administrator("Acme").Principal()
	ctx := layer.WithVisit(t.Context(), layer.Visit{RequestID: "request,|7é"}) // separators, and what a parameter cannot hold
	err := do(t, ctx, w, bob, func(tx *action.Tx) error {
		for _, sql := range []func() error{
			func() error { _, err := rls.Do(tx, `insert into teas.tea (name) values ('Assam')`); return err },
			func() error { _, err := rls.Do(tx, `update teas.tea set name = 'Darjeeling'`); return err },
			func() error { _, err := rls.Do(tx, `update teas.tea set name = name`); return err }, // no change, no line
			func() error { _, err := rls.Do(tx, `delete from teas.tea`); return err },
			func() error { return tx.Audit(audit.State, "tea.poured", "cup 1") },
		} {
			if err := sql(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	entries, err := audit.Read(w.DB.As(t.Context(), boss), 0, "", 50)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		if e.Action == "session.opened" {
			continue
		}
		name := e.Changes["name"]
		got = append(got, fmt.Sprint(e.Category, " ", e.Action, " ", e.Entity, " ", name))
		if e.Actor == nil || *e.Actor != bob.Profile() || e.Visit != "- request,|7é" || e.At.IsZero() {
			t.Errorf("got %+v, want it to be Bob's", e)
		}
	}
	want := []string{"state tea.poured tea <nil>", "row delete teas.tea Darjeeling", "row update teas.tea [Assam Darjeeling]", "row insert teas.tea Assam"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestWhoReadsTheTrail(t *testing.T) { // SYSTEM U1, D1
	w := layertest.World(t, teas)
	bob, boss, carol := w.Member("Acme").Principal(), w.Administrator("Acme").Principal(), w.Administrator("Globex").Principal()
	if err := do(t, t.Context(), w, bob, func(tx *action.Tx) error { return tx.Audit(audit.Lifecycle, "tea.bought", "1") }); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		who  layer.Principal
		want int
	}{{"a member", bob, 0}, {"the administrator", boss, 1}, {"another organization's administrator", carol, 0}} {
		if got, err := audit.Read(w.DB.As(t.Context(), c.who), 0, "tea.", 50); err != nil || len(got) != c.want {
			t.Errorf("%s reads %d lines, %v", c.name, len(got), err)
		}
	}
}

func TestTheTrailIsReadInPages(t *testing.T) {
	w := layertest.World(t, teas)
	boss := w.Administrator("Acme").Principal()
	for range 3 {
		err := do(t, t.Context(), w, boss, func(tx *action.Tx) error {
			for range 90 {
				if err := tx.Audit(audit.State, "tea.sipped", "1"); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	first, err := audit.Read(w.DB.As(t.Context(), boss), 0, "tea.sipped", 100_000)
	if err != nil || len(first) != 200 {
		t.Fatalf("got %d lines, %v, want the most of one page", len(first), err)
	}
	rest, err := audit.Read(w.DB.As(t.Context(), boss), first[199].ID, "tea.sipped", 200)
	if err != nil || len(rest) != 70 || rest[0].ID >= first[199].ID {
		t.Errorf("got %d lines, %v", len(rest), err)
	}
}

func TestWhatDidNotHappenIsNotRecorded(t *testing.T) { // SYSTEM U1
	w := layertest.World(t, teas)
	boss := w.Administrator("Acme").Principal()
	do(t, t.Context(), w, boss, func(tx *action.Tx) error {
		tx.Audit(audit.State, "tea.spilt", "1")
		return fmt.Errorf("no tea")
	})
	if err := do(t, t.Context(), w, boss, func(tx *action.Tx) error { return tx.Audit("row", "tea.forged", "1") }); err == nil {
		t.Error("an application wrote a row's change")
	}
	if err := do(t, t.Context(), w, boss, func(tx *action.Tx) error { return tx.Audit("gossip", "tea.told", "1") }); err == nil {
		t.Error("an application made a category up")
	}
	if got, err := audit.Read(w.DB.As(t.Context(), boss), 0, "tea", 50); err != nil || len(got) != 0 {
		t.Errorf("got %v %v", got, err)
	}
}
