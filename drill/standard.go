package drill

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/redoubt-dev/redoubt/drill/attack"
	"github.com/redoubt-dev/redoubt/drill/target"
)

// Standard makes the attacks that every application on Redoubt has to withstand from what the copy says of itself: the routes that it
// declares, and the tables in its catalogs that hold rows of tenants. There is one for each way to attack, which tries every route
// or table and ends with the first that gives way. The copy has everything in place and is not attacked.
func Standard(ctx context.Context, c *target.Copy) ([]attack.Attack, error) {
	s, err := look(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("generating attacks: %w", err)
	}
	all := []attack.Attack{
		{Name: "every-route-another-organizations-id", Expect: []string{"rls/floor", "rls/tags"},
			Title: "Programs of another organization read everything of the victim's that has an id", Run: s.readByID},
		{Name: "every-route-change-by-another-organizations-id", Expect: []string{"rls/floor", "rls/tags"}, Destroys: true,
			Title: "A program of another organization's administrator changes everything of the victim's that has an id", Run: s.changeByID},
		{Name: "every-route-without-a-session", Expect: []string{"gate/route", "rls/credential", "rls/floor"},
			Title: "Somebody who is not signed in reads what every route shows", Run: s.readAsNobody},
		{Name: "every-route-beyond-ones-role", Expect: []string{"gate/route", "gate/action", "rls/require"}, Destroys: true,
			Title: "A member's program uses every route whose scope it lacks", Run: s.beyondRole},
		{Name: "every-route-without-the-token", Expect: []string{"transport/origin", "transport/token"}, Destroys: true,
			Title: "A page of a neighbouring site uses every route that changes something, in a member's session", Run: s.withoutToken},
		{Name: "every-route-out-of-anothers-things", Expect: []string{"rls/floor", "rls/tags", "rls/constraints"}, Destroys: true,
			Title: "A member of another organization creates everything that they may, out of what is the victim's", Run: s.foreign},
		{Name: "every-table-read", Expect: []string{"rls/floor"}, Honest: attack.Captured,
			Title: "The application's role reads every table of tenants with the credential of another organization's member", Run: s.readTables},
		{Name: "every-table-write", Expect: []string{"rls/floor", "rls/own", "rls/grants"}, Destroys: true, Honest: attack.Captured,
			Title: "The application's role writes every table of tenants with the credential of another organization's member", Run: s.writeTables},
	}
	for i := range all {
		all[i].Group = "standard"
	}
	return all, nil
}

// readByID asks, as people of another organization, for what only the victim's are shown.
func (s *surface) readByID(ctx context.Context, scene *attack.Scene) (bool, error) {
	for _, who := range []*target.Client{scene.Program(s.attacker.administrator), scene.Program(s.attacker.member)} {
		if harm, err := s.read(ctx, scene, who, route.one, false); harm || err != nil {
			return harm, err
		}
	}
	return false, nil
}

func (s *surface) readAsNobody(ctx context.Context, scene *attack.Scene) (bool, error) {
	return s.read(ctx, scene, scene.Stranger(target.Inside), func(route) bool { return true }, false)
}

// read asks for every aim of the routes that are meant. Foreign is for the victim's own member.
func (s *surface) read(ctx context.Context, scene *attack.Scene, who *target.Client, meant func(route) bool, foreign bool) (bool, error) {
	for _, r := range s.routes {
		if !r.reads() || !meant(r) {
			continue
		}
		for _, at := range s.targets[r.String()] {
			a, err := who.Get(ctx, strings.ReplaceAll(r.path, "{id}", at.id))
			if err != nil {
				return false, err
			}
			needles := at.needles
			if foreign {
				needles = at.foreign
			}
			if leaks(a.Body, needles) {
				scene.Note("the drill", "looking at the answer of "+r.String(), "it shows what is the victim's")
				return true, nil
			}
		}
	}
	return false, nil
}

// changeByID uses every route that changes one thing.
func (s *surface) changeByID(ctx context.Context, scene *attack.Scene) (bool, error) {
	return s.change(ctx, scene, scene.Program(s.attacker.administrator), func(r route) bool { return r.one() })
}

// beyondRole uses the routes for which the member of the victim's organization was given no scope.
func (s *surface) beyondRole(ctx context.Context, scene *attack.Scene) (bool, error) {
	lacks := func(r route) bool {
		return len(r.scopes) > 0 && !slices.ContainsFunc(r.scopes, func(scope string) bool { return slices.Contains(s.has, scope) })
	}
	member := scene.Program(s.victim.member)
	if harm, err := s.read(ctx, scene, member, lacks, true); harm || err != nil {
		return harm, err
	}
	return s.change(ctx, scene, member, lacks)
}

// withoutToken is what a page can do that is not the application's but counts as the same site, so that the browser sends the cookie along.
func (s *surface) withoutToken(ctx context.Context, scene *attack.Scene) (bool, error) {
	member, err := scene.SignIn(ctx, s.victim.member)
	if err != nil {
		return false, err
	}
	member.Alter = func(r *http.Request) {
		r.Header.Set("Origin", "https://neighbour.localhost")
		r.Header.Set("Sec-Fetch-Site", "same-site")
		r.Header.Del("X-Redoubt-Token") // which it cannot read
	}
	return s.change(ctx, scene, member, func(r route) bool { return !r.one() })
}

// change uses the routes that are meant, with bodies that they allow, and looks whether rows have changed or come to be.
func (s *surface) change(ctx context.Context, scene *attack.Scene, who *target.Client, meant func(route) bool) (bool, error) {
	text := scene.Canary()
	for _, r := range s.routes {
		if r.reads() || !meant(r) {
			continue
		}
		aims := []aim{{}}
		if r.one() {
			aims = s.aims(r)
		}
		for _, at := range aims {
			if harm, err := s.changes(ctx, scene, who, r, at, text); harm || err != nil {
				return harm, err
			}
		}
	}
	return s.written(ctx, scene, s.victim.organization, text)
}

// aims are those of the longest route that reads and that this one begins with; of one for which there is none, the first rows of all
// tables that have ids.
func (s *surface) aims(r route) (aims []aim) {
	for path := r.path; path != ""; path = path[:max(strings.LastIndex(path, "/"), 0)] {
		if found := s.targets[http.MethodGet+" "+path]; len(found) > 0 && strings.Contains(path, "{id}") {
			return found
		}
	}
	seen := map[string]int{}
	for _, r := range s.routes {
		for _, at := range s.targets[r.String()] {
			if at.id != "" && seen[at.table.name] < 2 {
				seen[at.table.name]++
				aims = append(aims, at)
			}
		}
	}
	return aims
}

// changes sends one request, and compares the row.
func (s *surface) changes(ctx context.Context, scene *attack.Scene, who *target.Client, r route, at aim, text string) (bool, error) {
	row := func() (state string, err error) {
		if at.id == "" {
			return "", nil
		}
		err = scene.Admin().QueryRow(ctx, `select coalesce((select md5(t::text) from `+at.table.name+` t where organization_id = $1 and id::text = $2), '')`, s.victim.organization, at.id).Scan(&state)
		return state, err
	}
	before, err := row()
	if err != nil {
		return false, err
	}
	body, err := s.body(ctx, scene, r, text, s.victim.organization)
	if err != nil {
		return false, err
	}
	if _, err := who.Ask(ctx, r.method, strings.ReplaceAll(r.path, "{id}", at.id), body); err != nil {
		return false, err
	}
	after, err := row()
	if err == nil && before != after {
		scene.Note("the drill", "looking at a row of "+at.table.name+" after "+r.String(), "it has changed")
	}
	return before != after, err
}

// body is one that the route takes, which mentions things of an organization; nil for a route that takes none.
func (s *surface) body(ctx context.Context, scene *attack.Scene, r route, text, organization string) (any, error) {
	if r.body == nil {
		return nil, nil
	}
	var fault error
	id := func(property string) string {
		id, err := s.some(ctx, scene.Admin(), strings.TrimSuffix(property, "_id"), organization, scene.Rand)
		if err != nil {
			fault = err
		}
		return id
	}
	return s.declared.example("", *r.body, text, id, 0), fault
}

// some is the id of some row in the table that is called so; of none if there is no such table.
func (s *surface) some(ctx context.Context, conn *pgx.Conn, noun, organization string, r *rand.Rand) (string, error) {
	for _, t := range s.tables {
		_, name, _ := strings.Cut(t.name, ".")
		if !t.id || strings.Trim(name, `"_`) != noun {
			continue
		}
		found, err := ids(ctx, conn, t, organization, route{path: "{id}"})
		if err != nil {
			return "", err
		}
		if len(found) > 0 {
			return found[0], nil
		}
	}
	return uuid(r), nil
}

// written looks for a row of an organization that has all these texts in it.
func (s *surface) written(ctx context.Context, scene *attack.Scene, organization string, texts ...string) (bool, error) {
	var parts []string
	for _, t := range s.tables {
		if !strings.HasPrefix(t.name, "audit.") { // the trail tells what was tried, too
			parts = append(parts, `exists (select from `+t.name+` t where organization_id = $1 and not exists (select from unnest($2::text[]) x where strpos(t::text, x) = 0))`)
		}
	}
	return scene.Seen(ctx, `select `+strings.Join(parts, " or "), organization, texts)
}

// foreign creates what a member of another organization may, out of what is the victim's: a bill for their product, a mark on their post.
// (What says in a body whose it shall be has nothing to bind to, with or without layers: handlers take the members that they declare.)
func (s *surface) foreign(ctx context.Context, scene *attack.Scene) (bool, error) {
	member, text := scene.Program(s.attacker.member), scene.Canary()
	for _, r := range s.routes {
		if r.method != http.MethodPost || r.one() || r.body == nil {
			continue
		}
		body, err := s.body(ctx, scene, r, text, s.victim.organization)
		if err != nil {
			return false, err
		}
		if _, err := member.Ask(ctx, r.method, r.path, body); err != nil {
			return false, err
		}
		object, _ := body.(map[string]any)
		for name, value := range object {
			id, _ := value.(string)
			if !strings.HasSuffix(name, "_id") || !plain.MatchString(id) {
				continue
			}
			if harm, err := s.written(ctx, scene, s.attacker.organization, text, id); harm || err != nil {
				return harm, err
			}
		}
	}
	return false, nil
}

// as runs a statement as the application's role would, with the credential of another organization's member, in a transaction of its own.
func (s *surface) as(ctx context.Context, scene *attack.Scene, conn *pgx.Conn, what string, do func(pgx.Tx) error) error {
	tx, err := conn.Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback(context.WithoutCancel(ctx))
	if _, err = tx.Exec(ctx, `select redoubt.enter($1)`, scene.Key(s.attacker.member)); err == nil {
		err = do(tx)
	}
	if err == nil {
		err = tx.Commit(ctx)
	}
	answer := "done"
	if err != nil {
		answer = "refused"
	}
	scene.Note(appRole, what, answer)
	return nil // what the database refuses is no error of the attack
}

// appRole is who the application is in the database, and appSecret where its password lies.
const (
	appRole   = "redoubt_app"
	appSecret = "redoubt-app"
)

// readTables looks for rows of the victim in every table.
func (s *surface) readTables(ctx context.Context, scene *attack.Scene) (bool, error) {
	conn, err := scene.Connect(ctx, appRole, appSecret)
	if err != nil {
		return false, fmt.Errorf("connecting as the application: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for _, t := range s.tables {
		var seen bool
		err := s.as(ctx, scene, conn, "select from "+t.name, func(tx pgx.Tx) error {
			return tx.QueryRow(ctx, `select exists (select from `+t.name+` where organization_id = $1)`, s.victim.organization).Scan(&seen)
		})
		if seen || err != nil {
			scene.Note("the drill", "looking at what was read of "+t.name, "rows of the victim")
			return seen, err
		}
	}
	return false, nil
}

// writeTables changes rows of the victim in every table, and adds some.
func (s *surface) writeTables(ctx context.Context, scene *attack.Scene) (bool, error) {
	conn, err := scene.Connect(ctx, appRole, appSecret)
	if err != nil {
		return false, fmt.Errorf("connecting as the application: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for _, t := range s.tables {
		before, err := s.rows(ctx, scene, t)
		if err != nil {
			return false, err
		}
		for _, kind := range []string{"update", "insert"} {
			if err := s.as(ctx, scene, conn, kind+" "+t.name, func(tx pgx.Tx) error { return s.write(ctx, tx, kind, t) }); err != nil {
				return false, err
			}
		}
		after, err := s.rows(ctx, scene, t)
		if err != nil {
			return false, err
		}
		if before != after {
			scene.Note("the drill", "looking at the victim's rows in "+t.name, "they have changed")
			return true, nil
		}
	}
	return false, nil
}

// rows is which versions of rows the victim has in a table: one that was rewritten as it was is another.
func (s *surface) rows(ctx context.Context, scene *attack.Scene, t table) (state string, err error) {
	err = scene.Admin().QueryRow(ctx, `select coalesce(md5(string_agg(t.tableoid::text || t.ctid::text || t.xmin::text, ',' order by t.tableoid, t.ctid)), '') from `+t.name+` t where organization_id = $1`, s.victim.organization).Scan(&state)
	return state, err
}

const selectColumns = `
select quote_ident(attname) from pg_attribute
 where attrelid = $1::text::regclass and attnum > 0 and not attisdropped and attgenerated = '' and attidentity = '' and has_column_privilege(attrelid, attnum, $2) order by attnum`

// write rewrites the victim's rows in the first column that the role may write, or puts a copy of a row that it sees there.
func (s *surface) write(ctx context.Context, tx pgx.Tx, kind string, t table) error {
	rows, err := tx.Query(ctx, selectColumns, t.name, kind)
	if err != nil {
		return err
	}
	columns, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(columns) == 0 {
		return fmt.Errorf("there is no column to write: %w", err)
	}
	if kind == "update" {
		_, err = tx.Exec(ctx, `update `+t.name+` set `+columns[0]+` = `+columns[0]+` where organization_id = $1`, s.victim.organization)
		return err
	}
	values := slices.Clone(columns)
	for i, c := range values {
		switch c {
		case "organization_id":
			values[i] = `'` + s.victim.organization + `'`
		case "id":
			values[i] = `gen_random_uuid()`
		}
	}
	_, err = tx.Exec(ctx, `insert into `+t.name+` (`+strings.Join(columns, ", ")+`) select `+strings.Join(values, ", ")+` from `+t.name+` limit 1`)
	return err
}
