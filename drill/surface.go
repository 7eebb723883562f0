package drill

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/redoubt-dev/redoubt/drill/target"
)

// A surface is what there is to attack of any application: the routes that it declares, the tables in which its tenants' rows are, and
// what of one tenant would be recognised. It is found out once, on a copy with everything in place, and holds for all copies of
// the same template.
type surface struct {
	declared declaration
	routes   []route
	tables   []table
	targets  map[string][]aim // by route: what is attacked of the victim's

	victim, attacker people
	has              []string // scopes of the victim's member
}

// people are those of one organization.
type people struct {
	organization          string // its id
	administrator, member string // as target.Copy.Key knows them
}

// A table holds rows of tenants.
type table struct {
	name string // quoted, with its schema
	id   bool   // it has a column of that name
}

// An aim is one thing of the victim's, and what tells that it was seen.
type aim struct {
	id      string // "" for a list
	table   table
	needles []string // texts that nobody of the attacker's organization is ever shown; for what is no text, all of it
	foreign []string // those of them that the victim's member is not shown either
}

// look finds the surface out.
func look(ctx context.Context, c *target.Copy) (*surface, error) {
	s := &surface{targets: map[string][]aim{}}
	if err := s.meet(ctx, c); err != nil {
		return nil, err
	}
	var err error
	if s.routes, s.declared, err = routes(ctx, program(c, s.victim.administrator)); err != nil {
		return nil, err
	}
	if s.tables, err = tables(ctx, c.Admin()); err != nil {
		return nil, fmt.Errorf("looking for the tables of tenants: %w", err)
	}
	if err := c.Admin().QueryRow(ctx, selectScopes, s.victim.organization, s.victim.member).Scan(&s.has); err != nil {
		return nil, fmt.Errorf("looking what a member may do: %w", err)
	}
	if err := s.aim(ctx, c); err != nil {
		return nil, fmt.Errorf("looking for what could be stolen: %w", err)
	}
	return s, nil
}

const selectScopes = `
select k.scopes from identity.api_key k
  join identity.membership m on (m.organization_id, m.id) = (k.organization_id, k.profile_id)
  join identity.person p on p.id = m.person_id
 where k.organization_id = $1 and p.email like $2 || '@%' limit 1`

// meet chooses a victim and an attacker among the people of the example.
func (s *surface) meet(ctx context.Context, c *target.Copy) error {
	of := map[string]*people{}
	var order []*people
	for _, p := range c.People {
		if of[p.Organization] == nil {
			of[p.Organization] = &people{}
			order = append(order, of[p.Organization])
			if err := c.Admin().QueryRow(ctx, `select id from identity.organization where name = $1`, p.Organization).Scan(&of[p.Organization].organization); err != nil {
				return fmt.Errorf("looking for an organization: %w", err)
			}
		}
		name, _, _ := strings.Cut(p.Email, "@")
		switch here := of[p.Organization]; {
		case p.Role == "administrator" && here.administrator == "":
			here.administrator = name
		case p.Role == "member" && here.member == "":
			here.member = name
		}
	}
	if len(order) < 2 || order[0].administrator == "" || order[0].member == "" || order[1].administrator == "" || order[1].member == "" {
		return fmt.Errorf("the example needs two organizations, each with an administrator and a member")
	}
	s.victim, s.attacker = *order[0], *order[1]
	return nil
}

func program(c *target.Copy, who string) *target.Client {
	p := c.Client(target.Inside)
	p.Bearer = c.Key(who)
	return p
}

const selectTables = `
select quote_ident(n.nspname) || '.' || quote_ident(c.relname), exists (select from pg_attribute where attrelid = c.oid and attname = 'id' and atttypid = 'uuid'::regtype and not attisdropped)
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where c.relkind in ('r', 'p') and not c.relispartition
   and exists (select from pg_attribute where attrelid = c.oid and attname = 'organization_id' and not attisdropped)
 order by n.nspname in ('identity', 'audit', 'files'), 1`

func tables(ctx context.Context, conn *pgx.Conn) ([]table, error) {
	rows, err := conn.Query(ctx, selectTables)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (t table, err error) { return t, row.Scan(&t.name, &t.id) })
}

// maxAims bounds what is tried of one table.
const maxAims = 3

// aim asks as the victim's people for everything that they can read, keeps what worked, and forgets every text that the attacker's people,
// too, are shown somewhere.
func (s *surface) aim(ctx context.Context, c *target.Copy) error {
	readers := []*target.Client{program(c, s.victim.administrator), program(c, s.victim.member)}
	strangers := []*target.Client{program(c, s.attacker.administrator), program(c, s.attacker.member)}
	known, members := map[string]bool{}, map[string]bool{}
	for _, r := range s.routes {
		for _, of := range s.tables {
			if !r.reads() {
				break
			}
			theirs, err := ids(ctx, c.Admin(), of, s.victim.organization, r)
			if err != nil {
				return err
			}
			var aims []aim
			for _, id := range theirs {
				found := aim{id: id, table: of}
				for i, who := range readers {
					all := texts(shown(ctx, who, r, id), id)
					found.needles = append(found.needles, all...)
					if i == 1 {
						note(members, all)
					}
				}
				if len(found.needles) > 0 {
					aims = append(aims, found)
				}
			}
			if len(aims) == 0 {
				continue // it is not about rows of this table
			}
			s.targets[r.String()] = aims
			mine, err := ids(ctx, c.Admin(), of, s.attacker.organization, r)
			if err != nil {
				return err
			}
			for _, id := range mine {
				for _, who := range strangers {
					note(known, texts(shown(ctx, who, r, id), ""))
				}
			}
			break
		}
	}
	for name, aims := range s.targets {
		for i := range aims {
			aims[i].needles = slices.DeleteFunc(aims[i].needles, func(text string) bool { return known[text] })
			aims[i].foreign = slices.DeleteFunc(slices.Clone(aims[i].needles), func(text string) bool { return members[text] })
		}
		s.targets[name] = slices.DeleteFunc(aims, func(a aim) bool { return len(a.needles) == 0 })
	}
	return nil
}

// ids are some of an organization's in a table; a route that names none has one aim, without.
func ids(ctx context.Context, conn *pgx.Conn, of table, organization string, r route) ([]string, error) {
	switch {
	case !r.one():
		return []string{""}, nil
	case !of.id:
		return nil, nil
	}
	rows, err := conn.Query(ctx, `select id::text from `+of.name+` where organization_id = $1 order by id limit $2`, organization, maxAims)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// shown is what somebody is shown; "" for nothing.
func shown(ctx context.Context, who *target.Client, r route, id string) string {
	a, err := who.Get(ctx, strings.ReplaceAll(r.path, "{id}", id))
	if err != nil || a.Status != http.StatusOK {
		return ""
	}
	return a.Body
}

// minNeedle is how long a text is that nobody writes by chance.
const minNeedle = 10

// plain are texts that are in every organization's answers: times and ids.
var plain = regexp.MustCompile(`^(\d{4}-\d\d-\d\dT.*|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$`)

// texts are what one would recognise of an answer.
func texts(body, id string) (found []string) {
	var value any
	if json.Unmarshal([]byte(body), &value) != nil {
		if len(body) >= minNeedle {
			return []string{body}
		}
		return nil
	}
	var walk func(any)
	walk = func(value any) {
		switch v := value.(type) {
		case string:
			if len(v) >= minNeedle && v != id && !plain.MatchString(v) {
				found = append(found, v)
			}
		case []any:
			for _, item := range v {
				walk(item)
			}
		case map[string]any:
			for _, member := range v {
				walk(member)
			}
		}
	}
	walk(value)
	return found
}

func note(known map[string]bool, all []string) {
	for _, text := range all {
		known[text] = true
	}
}

// leaks reports whether an answer shows one of the needles.
func leaks(body string, needles []string) bool {
	for _, text := range texts(body, "") {
		if slices.Contains(needles, text) {
			return true
		}
	}
	return false
}
