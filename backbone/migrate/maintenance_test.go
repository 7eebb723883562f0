package migrate_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/backbone/migrate"
)

const (
	notes = `create schema app;
create table app.note (organization_id uuid not null, id uuid not null, body text not null, primary key (organization_id, id));
create table app.reply (organization_id uuid not null, id uuid not null, note_id uuid not null, primary key (organization_id, id))`

	fill = `
insert into app.note (organization_id, id, body) select o, o, 'Hello' from (values ('00000000-0000-4000-8000-000000000001'::uuid), ('00000000-0000-4000-8000-000000000002')) v (o);
insert into app.reply (organization_id, id, note_id) select organization_id, id, id from app.note`

	backfill = `
alter table app.note add words int;
update app.note set words = 1;
alter table app.note alter words set not null;
alter table app.reply add foreign key (organization_id, note_id) references app.note (organization_id, id)`
)

func TestARowOfEveryOrganizationIsChangedWithAReason(t *testing.T) { // SYSTEM D3, U1
	p := newPlace(t)
	lines := func(pairs ...string) []migrate.Line {
		return append(redoubt.LayerSchema(), migrate.Line{Name: "app", Application: true, Files: files(append([]string{"0001.sql", notes, "0002.sql", "-- maintenance: rows to begin with" + fill}, pairs...)...)})
	}
	if _, _, err := p.run(lines()...); err != nil {
		t.Fatal(err)
	}
	if _, _, err := p.run(lines("0003.sql", backfill)...); err == nil || !strings.Contains(err.Error(), "28000") {
		t.Errorf("as the owner, a backfill: %v, want it to be refused", err)
	}
	for _, without := range []string{"-- maintenance:", "-- maintenance: because"} {
		if _, _, err := p.run(lines("0003.sql", without+backfill)...); !errors.Is(err, migrate.ErrNoReason) {
			t.Errorf("%q: %v", without, err)
		}
	}
	const reason = "notes count their words from now on"
	good := lines("0003.sql", "-- maintenance: "+reason+backfill)
	plan, err := migrate.Plan(t.Context(), migrate.Config{Admin: p.Admin, Lines: good})
	if err != nil || len(plan) != 1 || plan[0].As != "redoubt_maintenance" || plan[0].Reason != reason {
		t.Errorf("the plan is %+v, %v", plan, err)
	}
	if _, n, err := p.run(good...); n != 1 || err != nil {
		t.Fatalf("applied %d: %v", n, err)
	}
	if got := p.ask(`select concat(count(*), ' ', sum(words)) from app.note`); got != "2 2" {
		t.Errorf("backfilled %s", got)
	}
	if got := p.ask(`select reason from backbone.migration where name = '0003.sql'`); got != reason {
		t.Errorf("recorded %q", got)
	}
	if got := p.ask(`select concat(count(*), ' ', count(actor), ' ', min(db_role), ' ', count(distinct organization_id)) from audit.log where entity = 'app.note' and action = 'update'`); got != "2 0 redoubt_maintenance 2" {
		t.Errorf("the trail has %s", got)
	}
	if got := p.ask(`select concat(rolcanlogin, ' ', rolpassword is null) from pg_authid where rolname = 'redoubt_maintenance'`); got != "f t" {
		t.Errorf("afterwards the role can log in, and has no password: %s", got)
	}
}

func TestMaintenanceIsStillUnderTheGuard(t *testing.T) { // SYSTEM D3, D5
	p := newPlace(t)
	lines := func(sql string) []migrate.Line {
		return append(redoubt.LayerSchema(), migrate.Line{Name: "app", Application: true, Files: files("0001.sql", notes, "0002.sql", "-- maintenance: I say so, and that is that\n"+sql)})
	}
	for _, hostile := range []struct{ sql, want string }{
		{"reset role; create role x", "permission denied"},
		{"reset session authorization; select * from redoubt.seal_key", "permission denied"},
		{"select * from identity.session", "permission denied"},
		{"set role redoubt_keys", "permission denied"},
		{"delete from audit.log", "permission denied"},
		{"drop policy redoubt_floor on app.note", "cannot be dropped"},
		{"alter table app.note no force row level security", "forced"},
		{"alter table app.note disable trigger audit_row", "audit trigger"},
		{"create table app.mine (organization_id uuid not null, id uuid not null, primary key (organization_id, id))", "redoubt_owner"},
		{"alter role redoubt_maintenance password 'x'; alter role redoubt_app superuser", "42501"},
		{"grant redoubt_maintenance to redoubt_app", "42501"},
	} {
		if _, _, err := p.run(lines(hostile.sql)...); err == nil || !strings.Contains(err.Error(), hostile.want) {
			t.Errorf("%s: got %v, want %s", hostile.sql, err, hostile.want)
		}
	}
	if _, err := pgx.Connect(t.Context(), p.ConnString("redoubt_maintenance", password)); err == nil {
		t.Error("somebody logs in for maintenance while none is done")
	}
}
