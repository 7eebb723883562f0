package bench

import (
	"context"
	"errors"
	"reflect"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/input/richtext"
)

// The comparator that isolates isolation: the application inside all of Redoubt's layers, but for four routes, which read and
// change tables without row security, with WHERE written by hand. Everything else that a request costs is the same: transport,
// identity, the gates, the input's schema, JSON, round trips and, if it is asked for, the second look-up.

// lookUpSession has the join and the conditions of redoubt.enter_session, as a query. The application does not have the session's token, so it
// asks by the session's id, which is found in the same way.
const (
	lookUpColumns = `select s.organization_id, s.profile_id, s.person_id, s.id, m.may`
	lookUpTables  = `
  from session s
  join membership m on m.organization_id = s.organization_id and m.id = s.profile_id
 where s.id = $1 and s.revoked_at is null and s.expires_at > statement_timestamp() and s.seen_at > statement_timestamp() - s.idle and m.live`
	lookUpSession = lookUpColumns + lookUpTables
	// lookUpAudited also says who asks, for the triggers of an audit trail. They believe it.
	lookUpAudited = lookUpColumns + `,
       set_config('app.organization', s.organization_id::text, true), set_config('app.profile', s.profile_id::text, true),
       set_config('app.credential', s.id::text, true), set_config('app.visit', $2, true)` + lookUpTables
	// mayDo is the action gate's question.
	mayDo = `select m.id from membership m join role r on r.name = m.role where m.organization_id = $1 and m.id = $2 and $3 = any (r.scopes)`
)

// What those who write WHERE by hand say. $1 is the organization and $2 whose the thing is, wherever Commons' policies ask for it.
// Tables are named without their schema, which the connection's search_path says.
const (
	handOrder       = ordersOf + `$2` + ordersFrom + `order_` + ordersJoin + ` where o.organization_id = $1 and o.buyer_id = $2 and o.id = $3`
	handOrders      = ordersOf + `$2` + ordersFrom + `order_` + ordersJoin + ` where o.organization_id = $1 and o.buyer_id = $2 order by o.created_at desc, o.id desc limit $3`
	handInsertOrder = `insert into order_ (organization_id, buyer_id, product_id, quantity, notes) values ($1, $2, $3, $4, $5) returning id`
	handInsertPost  = `insert into post (organization_id, author_id, body) values ($1, $2, $3) returning id`
	handPostAuthor  = `select coalesce(author_id::text, '') from post where organization_id = $1 and id = $2`
	handUpdatePost  = `update post set body = $4, html = $5, edited_at = now() where organization_id = $1 and author_id = $2 and id = $3`
	handStripFiles  = `delete from post_file where organization_id = $1 and post_id = $2`
	handStripLink   = `delete from post_link where organization_id = $1 and post_id = $2`
	handPost        = postsOf + `$2` + postsMarked + `$2` + postsCounted + `$2` + postsFrom + `post` + postsJoin + ` where p.organization_id = $1 and p.id = $3`
	handAppend      = `select append('payment', 'order.placed', 'order', $1)`
)

// The columns of an order and of a post, in pieces: between them stand what the caller's profile is called, and where the rows are.
const (
	ordersOf = `
select o.id, o.product_id, o.product_name, coalesce(b.display_name, o.buyer_name) as buyer, coalesce(o.buyer_id = `
	ordersFrom = `, false) as mine,
       o.quantity, o.unit_cents, o.total_cents, o.notes, o.state, o.created_at, o.paid_at, o.fulfilled_at, o.cancelled_at, o.refunded_at
  from `
	ordersJoin = ` o left join profile b on b.organization_id = o.organization_id and b.id = o.buyer_id`

	postsOf = `
select p.id, p.author_id, coalesce(a.display_name, p.author_name) as author, a.avatar_id as author_avatar_id, p.body, p.html,
       (select coalesce(jsonb_agg(to_jsonb(f) || jsonb_build_object('inline', h.inline) order by h.position), '[]')
          from post_file h join attachment f on f.organization_id = h.organization_id and f.id = h.file_id
         where h.organization_id = p.organization_id and h.post_id = p.id) as files,
       (select jsonb_build_object('url', k.url, 'title', k.title, 'description', k.description, 'site', k.site) from post_link k where k.organization_id = p.organization_id and k.post_id = p.id) as link,
       p.created_at, p.edited_at,
       (select count(*) from post_like l where l.organization_id = p.organization_id and l.post_id = p.id) as likes,
       exists (select from post_like l where l.organization_id = p.organization_id and l.post_id = p.id and l.profile_id = `
	postsMarked = `) as liked,
       exists (select from bookmark b where b.organization_id = p.organization_id and b.post_id = p.id and b.profile_id = `
	postsCounted = `) as bookmarked,
       (select count(*) from comment c where c.organization_id = p.organization_id and c.post_id = p.id) as comments,
       coalesce(p.author_id = `
	postsFrom = `, false) as mine
  from `
	postsJoin = ` p left join profile a on a.organization_id = p.organization_id and a.id = p.author_id`
)

// A hand is the four routes. It may be used concurrently.
type hand struct {
	pool    *pgxpool.Pool
	once    bool // without the second look-up
	audited bool // with an audit trail
}

// inHand is app with the four routes in the place of its own.
func inHand(app redoubt.App, h *hand) redoubt.App {
	start := app.Start
	app.Start = func(p redoubt.Parts) (redoubt.Routes, error) {
		routes, err := start(p)
		if err != nil {
			return routes, err
		}
		ours := map[string]redoubt.Route{}
		for _, r := range h.routes() {
			ours[r.Pattern] = r
		}
		for i, r := range routes.Routes {
			if mine, ok := ours[r.Pattern]; ok {
				routes.Routes[i] = mine
				delete(ours, r.Pattern)
			}
		}
		if len(ours) > 0 {
			return routes, errors.New("bench: the application lacks a route that it is measured by")
		}
		return routes, nil
	}
	return app
}

func (h *hand) routes() []redoubt.Route {
	return []redoubt.Route{
		redoubt.JSON("GET /api/v1/orders/{id}", redoubt.Scope("orders:read"), h.order),
		redoubt.JSON("GET /api/v1/orders", redoubt.Scope("orders:read"), h.orders),
		redoubt.JSON("POST /api/v1/orders", redoubt.Scope("orders:write"), h.place),
		redoubt.JSON("PUT /api/v1/posts/{id}", redoubt.Scope("posts:write"), h.edit),
	}
}

// thingID is the id of an order, a product or a post.
type thingID string

// Constraints says that a thingID is a UUID.
func (thingID) Constraints() reflect.StructTag { return `format:"uuid"` }

type (
	oneThing struct {
		ID thingID `path:"id"`
	}
	placeOrder struct {
		ProductID thingID `json:"product_id"`
		Quantity  int     `json:"quantity" minimum:"1" maximum:"100"`
		Notes     string  `json:"notes,omitempty" maxLength:"500" multiline:"true"`
	}
	editPost struct {
		ID   thingID `path:"id"`
		Body string  `json:"body" minLength:"1" maxLength:"5000" multiline:"true"`
	}
)

func (h *hand) order(ctx context.Context, who layer.Principal, in oneThing) (order, error) {
	found, err := handed[order](ctx, h, who, handOrder, in.ID)
	if err != nil || len(found) != 1 {
		return order{}, missing(err)
	}
	return found[0], nil
}

func (h *hand) orders(ctx context.Context, who layer.Principal, in redoubt.Window) (orderList, error) {
	found, err := handed[order](ctx, h, who, handOrders, in.Size()+1)
	if err != nil {
		return orderList{}, err
	}
	found, next := redoubt.Paged(found, in.Size(), func(o order) redoubt.Cursor { return redoubt.CursorAt(o.CreatedAt, o.ID) })
	return orderList{found, next}, nil
}

func (h *hand) place(ctx context.Context, who layer.Principal, in placeOrder) (order, error) {
	return change(ctx, h, who, "orders:write", func(conn *pgxpool.Conn, last *pgx.Batch) (o order, err error) {
		id, err := single[string](ctx, conn, handInsertOrder, who.Organization(), who.Profile(), in.ProductID, in.Quantity, in.Notes)
		if err != nil {
			return o, err
		}
		if h.audited {
			last.Queue(handAppend, id)
		}
		return single[order](ctx, conn, handOrder, who.Organization(), who.Profile(), id)
	})
}

func (h *hand) edit(ctx context.Context, who layer.Principal, in editPost) (post, error) {
	return change(ctx, h, who, "posts:write", func(conn *pgxpool.Conn, _ *pgx.Batch) (p post, err error) {
		text, err := richtext.FromMarkdown("body", in.Body)
		if err != nil {
			return p, err
		}
		author, err := single[string](ctx, conn, handPostAuthor, who.Organization(), in.ID)
		if err != nil {
			return p, err
		}
		if author != string(who.Profile()) {
			return p, errNotTheirs
		}
		if _, err := conn.Exec(ctx, handUpdatePost, who.Organization(), who.Profile(), in.ID, text.Source, text.HTML); err != nil {
			return p, err
		}
		for _, sql := range []string{handStripFiles, handStripLink} {
			if _, err := conn.Exec(ctx, sql, who.Organization(), in.ID); err != nil {
				return p, err
			}
		}
		return single[post](ctx, conn, handPost, who.Organization(), who.Profile(), in.ID)
	})
}

var errNotTheirs = errors.New("it is not theirs")

func missing(err error) error {
	if err != nil {
		return err
	}
	return pgx.ErrNoRows
}

// handed asks in one round trip, the look-up first if there is one. The organization and the profile go before args.
func handed[T any](ctx context.Context, h *hand, who layer.Principal, sql string, args ...any) (found []T, err error) {
	conn, err := h.acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Release()
	batch := &pgx.Batch{}
	h.queueLookUp(batch, who)
	batch.Queue(sql, append([]any{who.Organization(), who.Profile()}, args...)...)
	results := conn.SendBatch(ctx, batch)
	defer func() { err = errors.Join(err, results.Close()) }()
	if err := h.lookedUp(results, who); err != nil {
		return nil, err
	}
	rows, err := results.Query()
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[T])
}

// change opens a transaction and asks whether who may, in one round trip, and commits in another, as action.Do does.
func change[T any](ctx context.Context, h *hand, who layer.Principal, scope string, act func(*pgxpool.Conn, *pgx.Batch) (T, error)) (result T, err error) {
	if !who.Has(scope) {
		return result, errNotTheirs
	}
	conn, err := h.acquire(ctx)
	if err != nil {
		return result, err
	}
	defer conn.Release() // closes a connection whose transaction has not ended
	if err := h.begin(ctx, conn, who, scope); err != nil {
		return result, err
	}
	last := &pgx.Batch{}
	if result, err = act(conn, last); err != nil {
		return result, err
	}
	last.Queue("commit")
	return result, conn.SendBatch(ctx, last).Close()
}

func (h *hand) begin(ctx context.Context, conn *pgxpool.Conn, who layer.Principal, scope string) (err error) {
	batch := &pgx.Batch{}
	batch.Queue("begin")
	h.queueLookUp(batch, who)
	batch.Queue(mayDo, who.Organization(), who.Profile(), scope)
	results := conn.SendBatch(ctx, batch)
	defer func() { err = errors.Join(err, results.Close()) }()
	if _, err := results.Exec(); err != nil {
		return err
	}
	if err := h.lookedUp(results, who); err != nil {
		return err
	}
	var profile layer.ProfileID
	if err := results.QueryRow().Scan(&profile); err != nil || profile != who.Profile() {
		return errors.Join(err, errNotTheirs)
	}
	return nil
}

func (h *hand) acquire(ctx context.Context) (*pgxpool.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	return h.pool.Acquire(ctx)
}

func (h *hand) queueLookUp(b *pgx.Batch, who layer.Principal) {
	switch {
	case h.once:
	case h.audited:
		b.Queue(lookUpAudited, who.CredentialID(), visit)
	default:
		b.Queue(lookUpSession, who.CredentialID())
	}
}

// lookedUp reads the look-up's answer, of which only the organization matters here.
func (h *hand) lookedUp(results pgx.BatchResults, who layer.Principal) error {
	if h.once {
		return nil
	}
	rows, err := results.Query()
	if err != nil {
		return err
	}
	defer rows.Close()
	if !rows.Next() {
		return errors.Join(rows.Err(), errNotTheirs)
	}
	values := rows.RawValues()
	var organization layer.OrgID
	if err := rows.Conn().TypeMap().Scan(rows.FieldDescriptions()[0].DataTypeOID, rows.FieldDescriptions()[0].Format, values[0], &organization); err != nil {
		return err
	}
	if organization != who.Organization() {
		return errNotTheirs
	}
	return nil
}

// single asks for one row: a struct by its columns' names, or a string.
func single[T any](ctx context.Context, conn *pgxpool.Conn, sql string, args ...any) (one T, err error) {
	rows, err := conn.Query(ctx, sql, args...)
	if err != nil {
		return one, err
	}
	if reflect.TypeFor[T]().Kind() == reflect.String {
		return pgx.CollectExactlyOneRow(rows, pgx.RowTo[T])
	}
	return pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[T])
}
