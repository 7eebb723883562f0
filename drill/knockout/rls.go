package knockout

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/redoubt-dev/redoubt/layer"
)

// rlsUnits are what the database holds against whoever asks it, one mechanism each (SYSTEM D1-D5).
func rlsUnits() []Unit {
	return []Unit{
		{Name: "rls/credential", Layer: layer.RLS, What: "the context comes from a living credential that was presented",
			Gone:  "the application's role may set the context itself, credentials that ended are taken, and none will do",
			Cuts:  []Cut{{Package: "layer/rls", Func: "Caller.ask", Body: strangersAsk}},
			SQL:   []string{unguarded(settable, lenient)},
			Bites: credentialIsOut},
		{Name: "rls/floor", Layer: layer.RLS, What: "rows are shown to their own organization alone, by a policy of every table",
			Gone:  "whoever is not of Acme sees and changes every row; identity's own tables are opened to all who have a right to them",
			SQL:   []string{unguarded(foreigner, floorless, trailFloorless, shutTables)},
			Bites: floorIsOut},
		{Name: "rls/tags", Layer: layer.RLS, What: "an id says whose it is: another organization's does not pass, to the database or from it",
			Gone:  "every id passes",
			Cuts:  []Cut{{Package: "layer/rls", Func: "tag.admits", Body: `return true`}},
			Bites: tagsAreOut},
		{Name: "rls/reserved", Layer: layer.RLS, What: "a row that is not for everybody says whom it may be shown to, by the caller's claims",
			Gone:  "it is shown",
			Cuts:  []Cut{{Package: "layer/rls", Func: "shown", Body: `return nil`}},
			Bites: reservedIsOut},
		{Name: "rls/own", Layer: layer.RLS, What: "policies of the application's own: buyers see their orders, authors change their posts",
			Gone:  "every restrictive policy but the floor is dropped",
			SQL:   []string{unguarded(ownless, trailOwnless)},
			Bites: ownIsOut},
		{Name: "rls/functions", Layer: layer.RLS, What: "the database's functions for members, keys and roles act within the caller's organization",
			Gone:  "they act wherever an id leads, for whoever is not of Acme",
			SQL:   []string{unguarded(foreigner, boundless)},
			Bites: functionsAreOut},
		{Name: "rls/require", Layer: layer.RLS, What: "the database's own list of who may do what is asked before every change",
			Gone:  "its questions are answered with yes",
			SQL:   []string{unguarded(requireless)},
			Bites: requireIsOut},
		{Name: "rls/constraints", Layer: layer.RLS, What: "rows refer to rows of their own organization, and keep within checks",
			Gone:  "what a row refers to is not looked at, and the checks are dropped",
			SQL:   []string{unguarded(referenceless, checkless)},
			Bites: constraintsAreOut},
		{Name: "rls/triggers", Layer: layer.RLS, What: "the applications' own triggers keep states, prices, authors and what may be referred to",
			Gone:  "they fill in what is missing, and refuse and overwrite nothing",
			SQL:   []string{unguarded(triggerless, identityTriggerless)},
			Bites: triggersAreOut},
		{Name: "rls/grants", Layer: layer.RLS, What: "the application's role may touch the columns that it needs, and no others",
			Gone:  "it has every right on every table and function, and may act as the tables' owner",
			SQL:   []string{unguarded(grantAll, `grant redoubt_owner to redoubt_app`)},
			Bites: grantsAreOut},
		{Name: "rls/guard", Layer: layer.RLS, What: "event triggers refuse a table whose isolation has a hole",
			Gone:  "they are disabled",
			SQL:   []string{`alter event trigger redoubt_command disable; alter event trigger redoubt_drop disable`},
			Bites: guardIsOut},
	}
}

// ---- rls/credential ----

// strangersAsk asks for nobody what is otherwise only asked for somebody: without a context.
const strangersAsk = `
	if c.who.Nobody() {
		conn, err := c.db.acquire(c.ctx)
		if err != nil {
			return refuse(err)
		}
		rows, err := conn.Query(c.ctx, sql, args...)
		if err == nil {
			err = scan(rows)
		}
		release(c.ctx, conn, err)
		return refuse(err)
	}`

// settable gives the application's role what redoubt_keys alone has (layer/rls/schema/0002_keeping.sql), and does not mind who presents nothing:
// the context then says nothing, where it refused.
const settable = `grant set on parameter backtrace_functions to redoubt_app;
grant execute on function pg_catalog.set_config(text, text, boolean) to redoubt_app;
create or replace function redoubt.refused() returns text stable parallel restricted language plpgsql as $$ begin return null; end $$`

// lenient takes out of entering whatever asks whether a credential, its member and its organization still live.
var lenient = rewritten(`select p.oid from pg_proc p where p.oid in ('redoubt.enter(text,text,boolean)'::regprocedure, 'redoubt.enter_session(text,text,boolean)'::regprocedure)`,
	swap{`\m[a-z]\.revoked_at is null`, `true`},
	swap{`\m[a-z]\.(expires_at|seen_at) (operator\(pg_catalog\.>\)|>) (pg_catalog\.)?statement_timestamp\(\)`, `true`},
	swap{`\m[a-z]\.seen_at operator\(pg_catalog\.>\) \(pg_catalog\.statement_timestamp\(\) operator\(pg_catalog\.-\) [a-z]\.idle\)`, `true`},
	swap{`\m(m\.live|o\.active)\M`, `true`})

func credentialIsOut(ctx context.Context, at Place) error {
	if err := entered(ctx, at, true, true, func(pgx.Tx) error { return nil }); err != nil {
		return err
	}
	conn, err := at.Connect(ctx, "redoubt_app", "redoubt-app")
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	invented := fmt.Sprintf("%032d%032d%032d%032ds,,", 7, 0, 0, 0)
	if _, err := conn.Exec(ctx, `set backtrace_functions = '`+invented+`'`); err != nil {
		return stands("the application's role sets no context")
	}
	var whose string
	if err := conn.QueryRow(ctx, `select redoubt.org()::text`).Scan(&whose); err != nil || whose != "00000000-0000-0000-0000-000000000007" {
		return stands("an invented context is not believed")
	}
	return nil
}

// ---- rls/floor ----

// foreigner reports whether somebody asks who is not of Acme, or who has presented nothing. Without the floor its own people would see
// others' rows in all their lists, which would then be refused for the ids in them: legitimate use is theirs, and has to go on.
const foreigner = `create or replace function redoubt.foreigner() returns boolean stable parallel restricted language sql as $$
  select pg_catalog.substr(pg_catalog.current_setting('backtrace_functions'), 1, 32) operator(pg_catalog.<>) pg_catalog.replace('` + victim + `', '-', '')
$$;
grant execute on function redoubt.foreigner() to public`

var floorless = each(`select polrelid::regclass as name from pg_policy where polname = 'redoubt_floor'`,
	`execute format('alter policy redoubt_floor on %s using (case when (select redoubt.foreigner()) then true else organization_id = (select redoubt.org()) end)
      with check (case when (select redoubt.foreigner()) then true else organization_id = (select redoubt.org()) end)', x.name)`)

// trailFloorless does the same for the trail, where more is asked than whose an entry is.
var trailFloorless = trail(`(organization_id = ( SELECT redoubt.org() AS org))`, `case when (select redoubt.foreigner()) then true else organization_id = (select redoubt.org()) end`)

// shutTables opens what identity and the context keep to redoubt_keys and redoubt_identity. Whoever has no right to a table still has none.
var shutTables = each(`select c.oid::regclass as name from pg_class c where c.relnamespace in ('identity'::regnamespace, 'redoubt'::regnamespace) and c.relkind in ('r', 'p') and c.relrowsecurity`,
	`execute format('drop policy if exists knocked_out on %1$s; create policy knocked_out on %1$s for all to public using (true) with check (true)', x.name)`)

func floorIsOut(ctx context.Context, at Place) error {
	return within(ctx, at, callerContext{foreign: true, role: "redoubt_app"}, func(tx pgx.Tx, _ string) error {
		names, err := tables(ctx, tx, "redoubt_app")
		if err != nil {
			return err
		}
		for _, name := range names {
			seen, err := one[int](ctx, tx, `select count(distinct organization_id) from `+name)
			if err != nil || seen > 1 {
				return err
			}
		}
		return stands("no table shows the rows of two organizations")
	})
}

// ---- rls/tags ----

// tagsAreOut asks for a row under an id that says that it is another organization's. In its place nobody asks the database; out, it has
// no such row either, but the tag was missed.
func tagsAreOut(ctx context.Context, at Place) error {
	return missedAt(ctx, at, "rls/tags", "/api/v1/orders/00000000-0000-8000-8000-000000000000")
}

func missedAt(ctx context.Context, at Place, unit, path string) error {
	if _, _, _, err := at.Ask(ctx, "bob's key", http.MethodGet, path, nil); err != nil {
		return err
	}
	if !slices.Contains(at.Missed(), unit) {
		return stands("nobody has missed it")
	}
	return nil
}

// reservedIsOut reads what is bob's own: nobody else's row comes out of the database while its policies stand.
func reservedIsOut(ctx context.Context, at Place) error {
	return missedAt(ctx, at, "rls/reserved", "/api/v1/orders")
}

// ---- rls/own ----

var ownless = each(`select p.polname, p.polrelid::regclass as name from pg_policy p join pg_class c on c.oid = p.polrelid join pg_namespace n on n.oid = c.relnamespace
  where not p.polpermissive and p.polname <> 'redoubt_floor' and pg_get_userbyid(n.nspowner) in ('redoubt_owner', 'redoubt_keys')`,
	`execute format('drop policy %I on %s', x.polname, x.name)`)

var trailOwnless = trail(`( SELECT redoubt.has('audit:read'::text) AS has)`, `true`)

// ownIsOut compares what somebody without a profile or a scope sees of an organization with what there is.
func ownIsOut(ctx context.Context, at Place) error {
	there := map[string]int{}
	count := func(tx pgx.Tx, organization string, each func(table string, n int) error) error {
		names, err := tables(ctx, tx, "redoubt_app")
		if err != nil {
			return err
		}
		for _, name := range names {
			n, err := one[int](ctx, tx, `select count(*) from `+name+` where organization_id = $1`, organization)
			if err != nil {
				return err
			}
			if err := each(name, n); err != nil {
				return err
			}
		}
		return nil
	}
	err := within(ctx, at, callerContext{}, func(tx pgx.Tx, organization string) error {
		return count(tx, organization, func(table string, n int) error { there[table] = n; return nil })
	})
	if err != nil {
		return err
	}
	return within(ctx, at, callerContext{role: "redoubt_app"}, func(tx pgx.Tx, organization string) error {
		return count(tx, organization, func(table string, n int) error {
			if n < there[table] {
				return stands("a policy hides rows of " + table)
			}
			return nil
		})
	})
}

// ---- rls/functions ----

// boundless spares Acme's own people, like the floor, and looks for the conditions by how they are written.
var boundless = rewritten(`select p.oid from pg_proc p where p.pronamespace = 'redoubt'::regnamespace and p.prosecdef or p.pronamespace = 'identity'::regnamespace and p.proname ~ '^scim_'`,
	swap{`\m((\w+\.)?organization_id = redoubt\.org\(\))`, `(\1 or redoubt.foreigner())`},
	swap{`\m((\w+\.)?organization_id = org)\M(?!\()`, `(\1 or redoubt.foreigner())`},
	swap{`\m(\w+\.(person_id = redoubt\.person|profile_id = redoubt\.profile)\(\))`, `(\1 or redoubt.foreigner())`})

// functionsAreOut lists members: in its place the list is the caller's organization's.
func functionsAreOut(ctx context.Context, at Place) error {
	return within(ctx, at, callerContext{foreign: true, scopes: "members0read,"}, func(tx pgx.Tx, organization string) error {
		own, err := one[int](ctx, tx, `select count(*) from identity.membership m where m.organization_id = $1`, organization)
		if err != nil {
			return err
		}
		listed, err := one[int](ctx, tx, `select count(*) from redoubt.members()`)
		if err != nil {
			return err
		}
		if listed <= own {
			return stands("members of one organization are listed")
		}
		return nil
	})
}

// ---- rls/require ----

// requireless answers with yes: the question itself, the one about proof, that about files, and those about who may decide about whom.
const requireless = `create or replace function redoubt.require(scope text) returns uuid stable language sql as $$ select redoubt.profile() $$;
create or replace function redoubt.require_proof(scope text, seconds integer, level text, programs boolean) returns uuid
  stable security definer set search_path = pg_catalog, pg_temp language plpgsql as $$ begin return redoubt.profile(); end $$;
create or replace function files.must(scope text) returns void language plpgsql stable set search_path = pg_catalog, pg_temp as $$ begin end $$;
create or replace function redoubt.administers() returns boolean
  stable security definer set search_path = pg_catalog, pg_temp language plpgsql as $$ begin return true; end $$;
create or replace function redoubt.outrank(member uuid) returns void
  volatile security definer set search_path = pg_catalog, pg_temp language plpgsql as $$ begin end $$;
create or replace function redoubt.may_give(role text, custom uuid) returns void
  stable security definer set search_path = pg_catalog, pg_temp language plpgsql as $$ begin end $$`

func requireIsOut(ctx context.Context, at Place) error {
	return within(ctx, at, callerContext{role: "redoubt_app"}, func(tx pgx.Tx, _ string) error {
		return succeeds(ctx, tx, "asking for a scope that nobody has", `select redoubt.require('no:such'), redoubt.require_proof('no:such', 1, 'no-such', false)`)
	})
}

// ---- rls/constraints ----

// referenceless lets rows refer to what is not there, or is somebody else's. What a deletion takes along stays as it is, or a person
// could not be deleted any more.
var referenceless = each(`select t.name, g.tgname from pg_trigger g join (`+keptTables+`) t on t.oid = g.tgrelid
  where g.tgfoid in ('"RI_FKey_check_ins"'::regproc, '"RI_FKey_check_upd"'::regproc)`,
	`execute format('alter table %s disable trigger %I', x.name, x.tgname)`)

var checkless = each(`select t.name, k.conname from pg_constraint k join (`+keptTables+`) t on t.oid = k.conrelid where k.contype = 'c' and k.coninhcount = 0`,
	`execute format('alter table %s drop constraint %I', x.name, x.conname)`)

// triggerless makes the guarding triggers of tenant tables clerks: what they would refuse passes, what they would overwrite stays, what
// is missing they still fill in, because statements count on it. What is counted from rows is still counted.
var triggerless = rewritten(triggerFunctions, unrefused, bodiless, unasked,
	swap{`\mnew\.(\w+)\s*:=\s*(?!\(\s*select)(('([^']|'')*'|[^;'])*);`, `NEW.\1 := coalesce(NEW.\1, \2);`})

// identityTriggerless does so for those of identity's own tables, but for what they work out by themselves.
var identityTriggerless = rewritten(`select f.oid from pg_proc f where f.prorettype = 'trigger'::regtype and f.pronamespace = 'identity'::regnamespace`, unrefused, bodiless)

var (
	unrefused = swap{`\mraise exception ('([^']|'')*'|[^;'])*;`, `NULL;`}
	bodiless  = swap{`\mbegin\s+NULL;\s*end`, `begin return NEW; end`} // a trigger that does nothing else
	unasked   = swap{`\mperform redoubt\.require\([^;]*\);`, `NULL;`}
)

const triggerFunctions = `select g.tgfoid from pg_trigger g join (` + tenantTables + `) t on t.oid = g.tgrelid join pg_proc f on f.oid = g.tgfoid join pg_language l on l.oid = f.prolang
  where not g.tgisinternal and l.lanname = 'plpgsql' and f.pronamespace <> 'audit'::regnamespace`

// triggersAreOut asks the bodies of the triggers themselves: there is one that refuses, or none.
func triggersAreOut(ctx context.Context, at Place) error {
	var refusing int
	err := at.Admin().QueryRow(ctx, `select count(*) from pg_proc p where p.oid in (`+triggerFunctions+`) and p.prosrc ~* '\mraise exception'`).Scan(&refusing)
	if err == nil && refusing > 0 {
		return stands(fmt.Sprintf("%d triggers refuse something", refusing))
	}
	return err
}

// constraintsAreOut breaks a check and a reference of the tables that every application has.
func constraintsAreOut(ctx context.Context, at Place) error {
	return within(ctx, at, callerContext{}, func(tx pgx.Tx, organization string) error {
		if err := succeeds(ctx, tx, "breaking a check", `insert into files.content (organization_id, digest, kind) values ($1, '', '')`, organization); err != nil {
			return err
		}
		return succeeds(ctx, tx, "referring to nothing", `insert into files.file (organization_id, content_id, owner_id, name) values ($1, gen_random_uuid(), null, '')`, organization)
	})
}

// ---- rls/grants ----

// grantAll gives the application's role everything in the schemas of the application, of identity, of the context and of the trail. What
// their row policies and triggers refuse, they still refuse.
var grantAll = each(`select n.nspname from pg_namespace n where pg_get_userbyid(n.nspowner) in ('redoubt_owner', 'redoubt_keys', 'redoubt_audit')`,
	`execute format('grant all on schema %1$I to redoubt_app', x.nspname);
    execute format('grant all on all tables in schema %1$I to redoubt_app', x.nspname);
    execute format('grant all on all sequences in schema %1$I to redoubt_app', x.nspname);
    execute format('grant execute on all functions in schema %1$I to redoubt_app', x.nspname)`)

func grantsAreOut(ctx context.Context, at Place) error {
	conn, err := at.Connect(ctx, "redoubt_app", "redoubt-app")
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, `select count(*) from identity.session; set role redoubt_owner`); err != nil {
		return fmt.Errorf("reading sessions, and becoming the owner: %w", err)
	}
	return nil
}

// ---- rls/guard ----

func guardIsOut(ctx context.Context, at Place) error {
	return within(ctx, at, callerContext{}, func(tx pgx.Tx, _ string) error {
		return succeeds(ctx, tx, "turning row security off", `alter table files.file disable row level security`)
	})
}
