package rls_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/redoubt-dev/redoubt/layer/layertest"
)

const parts = `
create table app.letter (
  organization_id uuid not null, id uuid not null default gen_random_uuid(), author_id uuid not null default redoubt.profile(), body text not null,
  primary key (organization_id, id)
) partition by hash (organization_id);
create table app.letter_0 partition of app.letter for values with (modulus 4, remainder 0);
create table app.letter_1 partition of app.letter for values with (modulus 4, remainder 1);
create table app.letter_2 partition of app.letter for values with (modulus 4, remainder 2);
create table app.letter_3 partition of app.letter for values with (modulus 4, remainder 3);
create policy own_read on app.letter as restrictive for select using (body not like 'draft%' or author_id = (select redoubt.profile()));
create table app.stamp (organization_id uuid not null, id uuid not null default gen_random_uuid(), letter_id uuid not null, primary key (organization_id, id),
  foreign key (organization_id, letter_id) references app.letter (organization_id, id) on delete cascade);
grant select, insert, delete, update (body) on app.letter to redoubt_app;
grant select, insert on app.stamp to redoubt_app;
`

func must(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	if got, state := say(t, conn, sql); state != "" {
		t.Fatalf("%s: %q %s", sql, got, state)
	}
}

func TestPartitionsByOrganization(t *testing.T) { // SYSTEM D1, D5, D8
	w := layertest.Disposable(t, notes)
	admin := w.Admin(t)
	must(t, admin, `set role redoubt_owner; `+parts+`; reset role; select guard.check_all()`)

	t.Run("what is refused to the owner", func(t *testing.T) {
		for _, c := range []struct{ name, sql, state string }{
			{"range", `create table app.x (organization_id uuid not null, id int) partition by range (organization_id)`, "42501"},
			{"another column", `create table app.x (organization_id uuid not null, id int) partition by hash (id)`, "42501"},
			{"one more column", `create table app.x (organization_id uuid not null, id int) partition by hash (organization_id, id)`, "42501"},
			{"an expression", `create table app.x (organization_id uuid not null, id int) partition by hash ((md5(organization_id::text)))`, "42501"},
			{"two levels", `create table app.x (organization_id uuid not null) partition by hash (organization_id); create table app.y partition of app.x for values with (modulus 1, remainder 0) partition by hash (organization_id)`, "42501"},
			{"inheritance", `create table app.x () inherits (app.note)`, "42501"},
			{"a partition in another schema", `create schema authorization redoubt_owner create table x (organization_id uuid not null)`, ""},
			{"a right on a partition", `grant select on app.letter_0 to redoubt_app`, "42501"},
			{"a right on a partition's column", `grant select (body) on app.letter_0 to redoubt_app`, "42501"},
			{"no row level security on a partition", `alter table app.letter_0 disable row level security`, "42501"},
			{"a partition that is not forced", `alter table app.letter_0 no force row level security`, "42501"},
			{"a partition without its floor", `drop policy redoubt_floor on app.letter_0`, "42501"},
			{"a partition whose trigger is off", `alter table app.letter_0 disable trigger audit_row`, "42501"},
			{"a table without row level security", `alter table app.letter disable row level security`, "42501"},
			{"attaching another table", `create table app.x (like app.letter including all); alter table app.letter detach partition app.letter_3; alter table app.letter attach partition app.x for values with (modulus 4, remainder 3)`, "28000"},
			{"detaching, by the migration's last question", `alter table app.letter detach partition app.letter_3; reset role; select guard.check_all()`, "28000"},
			{"a unique index without the organization", `create unique index on app.letter (id)`, "0A000"},
			{"a unique index on a partition", `create unique index on app.letter_0 (id)`, "42501"},
			{"a view without the invoker", `create view app.v as select * from app.letter_0`, "42501"},
			{"another partitioned table", `create table app.x (organization_id uuid not null, id uuid not null, primary key (organization_id, id)) partition by list (organization_id); create table app.x_big partition of app.x for values in ('00000000-0000-4000-8000-000000000001'); create table app.x_rest partition of app.x default`, ""},
			{"a column", `alter table app.letter add subject text`, ""},
			{"personal columns", `select guard.personal('app.letter', 'body')`, ""},
			{"an index", `create index on app.letter (organization_id, body)`, ""},
			{"dropping a partition", `drop table app.letter_3`, "2BP01"},
		} {
			tx, err := admin.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got, state := say(t, admin, `set local role redoubt_owner; `+c.sql); state != c.state {
				t.Errorf("%s: got %q %q, want %q", c.name, got, state, c.state)
			} else if state == "" {
				if got, state := say(t, admin, `reset role; select guard.check_all()`); state != "" && c.name != "a partition in another schema" {
					t.Errorf("%s, afterwards: %q %s", c.name, got, state)
				}
			}
			tx.Rollback(t.Context())
		}
	})

	alice, dave := w.Member("Acme"), w.Member("Globex")
	as := func(c *layertest.Caller, sql string) (string, string) {
		conn := w.AsApp(t)
		if _, err := conn.Exec(t.Context(), `begin`); err != nil {
			t.Fatal(err)
		}
		enter(t, conn, c.Session())
		got, state := say(t, conn, sql)
		if state == "" {
			say(t, conn, `commit`)
		}
		conn.Close(t.Context())
		return got, state
	}
	letter, state := as(alice, `insert into app.letter (body) values ('acme secret') returning id`)
	if state != "" {
		t.Fatal(state)
	}
	as(alice, `insert into app.stamp (letter_id) values ('`+letter+`')`)
	as(dave, `insert into app.letter (body) values ('globex words'), ('draft of dave')`)
	erin := w.Member("Globex")
	org := string(w.Organization("Acme"))
	for _, c := range []struct{ name, sql, got, state string }{
		{"the whole", `select body from app.letter order by 1`, "globex words", ""},
		{"by id", `select body from app.letter where id = '` + letter + `'`, "", ""},
		{"by organization", `select body from app.letter where organization_id = '` + org + `'`, "", ""},
		{"a partition itself", `select body from app.letter_0 union all select body from app.letter_1 union all select body from app.letter_2 union all select body from app.letter_3`, "", "42501"},
		{"where a row lies", `select tableoid::regclass from app.letter where organization_id = '` + org + `'`, "", ""},
		{"into their organization", `insert into app.letter (organization_id, body) values ('` + org + `', 'x')`, "", "42501"},
		{"into a partition", `insert into app.letter_0 (body) values ('x')`, "", "42501"},
		{"moving", `update app.letter set organization_id = '` + org + `'`, "", "42501"},
		{"defacing", `update app.letter set body = 'x' where id = '` + letter + `'`, "UPDATE 0", ""},
		{"deleting all", `delete from app.letter where id = '` + letter + `'`, "DELETE 0", ""},
		{"a key to theirs", `insert into app.stamp (letter_id) values ('` + letter + `')`, "", "23503"},
		{"without a credential", `rollback; select * from app.letter`, "", "28000"},
	} {
		if got, state := as(erin, c.sql); got != c.got && state == "" || state != c.state {
			t.Errorf("%s: got %q %s, want %q %s", c.name, got, state, c.got, c.state)
		}
	}
	// the owner is bound on a partition too
	must(t, admin, `set role redoubt_owner`)
	if got, state := say(t, admin, `select count(*) from app.letter_0`); state != "28000" {
		t.Errorf("the owner, on a partition: %q %s", got, state)
	}
	must(t, admin, `reset role`)
	if got, _ := say(t, admin, `select string_agg(distinct entity, ' ') from audit.log where organization_id = '`+org+`' and category = 'row'`); got != "app.letter app.stamp" {
		t.Errorf("the trail says %q", got)
	}
	if got, _ := as(erin, `explain (analyze, costs off, timing off, summary off) select * from app.letter`); len(regexp.MustCompile(`letter_\d letter_\d \(never executed\)`).FindAllString(got, -1)) != 3 {
		t.Errorf("pruning: %s", got)
	}
	// positive control: with the floors gone the whole is seen
	must(t, admin, `alter event trigger redoubt_command disable; alter event trigger redoubt_drop disable; do $$ declare r record; begin for r in select polrelid::regclass t from pg_policy where polname = 'redoubt_floor' and polrelid::regclass::text like 'app.letter%' loop execute format('drop policy redoubt_floor on %s', r.t); end loop; end $$`)
	if got, _ := as(erin, `select body from app.letter order by 1`); !strings.Contains(got, "acme secret") {
		t.Errorf("without the floor: %q", got)
	}
}
