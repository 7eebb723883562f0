package drill_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/redoubt-dev/redoubt/drill"
	"github.com/redoubt-dev/redoubt/drill/attack"
	"github.com/redoubt-dev/redoubt/drill/knockout"
	"github.com/redoubt-dev/redoubt/layer"
)

// open is a database that keeps nobody from anything.
var open = knockout.Unit{Name: "rls/everything", Layer: layer.RLS, SQL: []string{`
set session_replication_role = replica; -- the guard looks at everything that is done to a table
do $$ declare t record; begin
  for t in select c.oid::regclass as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
            where c.relkind in ('r', 'p') and n.nspname in ('commons', 'identity', 'files') loop
    execute format('alter table %s disable row level security', t.name);
    execute format('grant all on %s to redoubt_app', t.name);
  end loop;
  grant usage on schema identity, files to redoubt_app;
end $$;
reset session_replication_role`}}

// SYSTEM G5: the attacks that every application is given do no harm to one that is whole, and see when it is not.
func TestStandardAttacks(t *testing.T) {
	c, err := template(t).Start(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	all, err := drill.Standard(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, a := range all {
		names = append(names, a.Name)
		harm, err := a.Run(t.Context(), &attack.Scene{Copy: c, Rand: rand.New(rand.NewPCG(1, uint64(len(names))))})
		if harm || err != nil {
			t.Errorf("%s: harm %t, %v, with everything in place", a.Name, harm, err)
		}
	}
	if err := c.Stop(); err != nil {
		t.Error(err)
	}
	t.Logf("%d attacks: %v", len(all), names)
	if c, err = template(t).Start(t.Context(), []knockout.Unit{open}); err != nil {
		t.Fatal(err)
	}
	defer c.Stop()
	for _, a := range all {
		if !slices.Contains([]string{"every-table-read", "every-table-write"}, a.Name) {
			continue
		}
		s := &attack.Scene{Copy: c, Rand: rand.New(rand.NewPCG(1, 2))}
		harm, err := a.Run(t.Context(), s)
		if !harm || err != nil {
			t.Errorf("%s: harm %t, %v, where the database keeps nobody from anything", a.Name, harm, err)
		}
		if steps := s.Steps(); len(steps) == 0 || steps[len(steps)-1].Who != "the drill" {
			t.Errorf("%s does not say what gave way: %v", a.Name, steps)
		}
	}
}
