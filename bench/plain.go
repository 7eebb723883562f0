package bench

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/layer/input/richtext"
)

// The servers that Redoubt is measured against, as a good programmer in a hurry writes them: net/http, pgx, SQL by hand. They
// answer the same bytes.

// order is what one order looks like outside, and post a post. Their field names are those of Commons.
type (
	order struct {
		ID          string     `json:"id"`
		ProductID   string     `json:"product_id"`
		ProductName string     `json:"product_name"`
		Buyer       string     `json:"buyer"`
		Mine        bool       `json:"mine"`
		Quantity    int        `json:"quantity"`
		UnitCents   int64      `json:"unit_cents"`
		TotalCents  int64      `json:"total_cents"`
		Notes       string     `json:"notes"`
		State       string     `json:"state"`
		CreatedAt   time.Time  `json:"created_at"`
		PaidAt      *time.Time `json:"paid_at"`
		FulfilledAt *time.Time `json:"fulfilled_at"`
		CancelledAt *time.Time `json:"cancelled_at"`
		RefundedAt  *time.Time `json:"refunded_at"`
	}
	post struct {
		ID             string           `json:"id"`
		AuthorID       *string          `json:"author_id"`
		Author         string           `json:"author"`
		AuthorAvatarID *string          `json:"author_avatar_id"`
		Body           string           `json:"body"`
		HTML           string           `json:"html"`
		Files          []map[string]any `json:"files"`
		Link           map[string]any   `json:"link"`
		CreatedAt      time.Time        `json:"created_at"`
		EditedAt       *time.Time       `json:"edited_at"`
		Likes          int              `json:"likes"`
		Liked          bool             `json:"liked"`
		Bookmarked     bool             `json:"bookmarked"`
		Comments       int              `json:"comments"`
		Mine           bool             `json:"mine"`
	}
)

// Location is where the order can be found.
func (o order) Location() string { return "/orders/" + o.ID }

type orderList struct {
	Orders []order        `json:"orders"`
	Next   redoubt.Cursor `json:"next,omitempty"`
}

// A viewer is who asks, by the session that was found, or by their own word.
type viewer struct {
	organization, profile string
	administrator         bool
}

// Fields by which the server that looks up no session is told who asks. It believes them.
const (
	organizationField = "X-Organization"
	profileField      = "X-Profile"
)

const findSession = `
select s.organization_id, s.profile_id, s.administrator
  from session s
  join membership m on m.organization_id = s.organization_id and m.id = s.profile_id
  join organization o on o.id = s.organization_id
 where s.hash = $1 and s.revoked_at is null and s.expires_at > now() and s.seen_at > now() - s.idle and m.active and o.active`

const conventionalSet = `select set_config('app.organization', $1, true), set_config('app.profile', $2, true), set_config('app.administrator', $3, true)`

// A change and its answer are one statement. The bare server says what those say who write WHERE by hand; an administrator, who sees
// every order, would be asked for by two more statements without the condition on the buyer. The conventional one says nothing of
// who asks: policies do, and columns' defaults.
const (
	barePlace = `with changed as (insert into order_ (organization_id, buyer_id, product_id, quantity, notes) values ($1, $2, $3, $4, $5) returning *) ` + ordersOf + `$2` + ordersFrom + `changed` + ordersJoin
	bareEdit  = `with changed as (` + handUpdatePost + ` returning *), unfiled as (delete from post_file where organization_id = $1 and post_id = $3),
		unlinked as (delete from post_link where organization_id = $1 and post_id = $3) ` + postsOf + `$2` + postsMarked + `$2` + postsCounted + `$2` + postsFrom + `changed` + postsJoin

	settingProfile     = `(select current_setting('app.profile')::uuid)`
	conventionalOrder  = ordersOf + settingProfile + ordersFrom + `order_` + ordersJoin + ` where o.id = $1`
	conventionalOrders = ordersOf + settingProfile + ordersFrom + `order_` + ordersJoin + ` order by o.created_at desc, o.id desc limit $1`
	conventionalPlace  = `with changed as (insert into order_ (product_id, quantity, notes) values ($1, $2, $3) returning *) ` + ordersOf + settingProfile + ordersFrom + `changed` + ordersJoin
	conventionalEdit   = `with changed as (update post set body = $2, html = $3, edited_at = now() where id = $1 returning *), unfiled as (delete from post_file where post_id = $1),
		unlinked as (delete from post_link where post_id = $1) ` +
		postsOf + settingProfile + postsMarked + settingProfile + postsCounted + settingProfile + postsFrom + `changed` + postsJoin
)

// A plainServer is either of them.
type plainServer struct {
	pool         *pgxpool.Pool
	conventional bool
	who          func(*http.Request) (viewer, error)
	query        func(ctx context.Context, v viewer, sql string, args []any, read func(pgx.Rows) error) error
}

func newBare(pool *pgxpool.Pool, sessions bool) *plainServer {
	s := &plainServer{pool: pool}
	s.who, s.query = s.believe, s.direct
	if sessions {
		s.who = s.lookUp
	}
	return s
}

func newConventional(pool *pgxpool.Pool) *plainServer {
	s := &plainServer{pool: pool, conventional: true}
	s.who, s.query = s.lookUp, s.within
	return s
}

func (s *plainServer) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/orders/{id}", s.one)
	mux.HandleFunc("GET /api/v1/orders", s.list)
	mux.HandleFunc("POST /api/v1/orders", s.place)
	mux.HandleFunc("PUT /api/v1/posts/{id}", s.edit)
	return mux
}

func (s *plainServer) one(w http.ResponseWriter, r *http.Request) {
	args := []any{r.PathValue("id")}
	if s.conventional {
		answer(s, w, r, http.StatusOK, conventionalOrder, args, scanOrder, first)
	} else {
		answer(s, w, r, http.StatusOK, handOrder, args, scanOrder, first)
	}
}

func (s *plainServer) list(w http.ResponseWriter, r *http.Request) {
	limit, err := strconv.Atoi(r.URL.Query().Get("limit"))
	if err != nil || limit < 1 || limit > 100 {
		http.Error(w, "limit is a number up to 100", http.StatusBadRequest)
		return
	}
	args := []any{limit + 1}
	page := func(found []order) any {
		found, next := redoubt.Paged(found, limit, func(o order) redoubt.Cursor { return redoubt.CursorAt(o.CreatedAt, o.ID) })
		return orderList{found, next}
	}
	if s.conventional {
		answer(s, w, r, http.StatusOK, conventionalOrders, args, scanOrder, page)
	} else {
		answer(s, w, r, http.StatusOK, handOrders, args, scanOrder, page)
	}
}

func (s *plainServer) place(w http.ResponseWriter, r *http.Request) {
	in, ok := body[placeOrder](w, r)
	args := []any{in.ProductID, in.Quantity, in.Notes}
	switch {
	case !ok:
	case s.conventional:
		answer(s, w, r, http.StatusCreated, conventionalPlace, args, scanOrder, first)
	default:
		answer(s, w, r, http.StatusCreated, barePlace, args, scanOrder, first)
	}
}

func (s *plainServer) edit(w http.ResponseWriter, r *http.Request) {
	in, ok := body[editPost](w, r)
	text, err := richtext.FromMarkdown("body", in.Body)
	args := []any{r.PathValue("id"), text.Source, text.HTML}
	switch {
	case !ok:
	case err != nil:
		http.Error(w, "not readable", http.StatusBadRequest)
	case s.conventional:
		answer(s, w, r, http.StatusOK, conventionalEdit, args, scanPost, first)
	default:
		answer(s, w, r, http.StatusOK, bareEdit, args, scanPost, first)
	}
}

func first[T any](found []T) any { return found[0] }

// body reads what was sent, as far as a programmer in a hurry looks at it.
func body[T any](w http.ResponseWriter, r *http.Request) (in T, ok bool) {
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16)).Decode(&in); err != nil {
		http.Error(w, "not readable", http.StatusBadRequest)
		return in, false
	}
	return in, true
}

func answer[T any](s *plainServer, w http.ResponseWriter, r *http.Request, status int, sql string, args []any, scan func(pgx.Rows, *T) error, shape func([]T) any) {
	v, err := s.who(r)
	if err != nil {
		http.Error(w, "not signed in", http.StatusUnauthorized)
		return
	}
	var found []T
	err = s.query(r.Context(), v, sql, args, func(rows pgx.Rows) error {
		for rows.Next() {
			var one T
			if err := scan(rows, &one); err != nil {
				return err
			}
			found = append(found, one)
		}
		return rows.Err()
	})
	if err == nil && len(found) == 0 {
		err = pgx.ErrNoRows
	}
	if err != nil {
		slog.Error("asking the database", "cause", err)
		http.Error(w, "something went wrong", http.StatusInternalServerError)
		return
	}
	text, err := json.Marshal(shape(found))
	if err != nil {
		http.Error(w, "something went wrong", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(append(text, '\n'))
}

func scanOrder(rows pgx.Rows, o *order) error {
	return rows.Scan(&o.ID, &o.ProductID, &o.ProductName, &o.Buyer, &o.Mine, &o.Quantity, &o.UnitCents, &o.TotalCents, &o.Notes, &o.State, &o.CreatedAt, &o.PaidAt, &o.FulfilledAt, &o.CancelledAt, &o.RefundedAt)
}

func scanPost(rows pgx.Rows, p *post) error {
	return rows.Scan(&p.ID, &p.AuthorID, &p.Author, &p.AuthorAvatarID, &p.Body, &p.HTML, &p.Files, &p.Link, &p.CreatedAt, &p.EditedAt, &p.Likes, &p.Liked, &p.Bookmarked, &p.Comments, &p.Mine)
}

// ---- who asks ----

func (s *plainServer) believe(r *http.Request) (viewer, error) {
	return viewer{organization: r.Header.Get(organizationField), profile: r.Header.Get(profileField)}, nil
}

func (s *plainServer) lookUp(r *http.Request) (v viewer, err error) {
	cookie, err := r.Cookie(sessionCookie)
	if err != nil {
		return v, err
	}
	hash := sha256.Sum256([]byte(cookie.Value))
	return v, s.pool.QueryRow(r.Context(), findSession, hash[:]).Scan(&v.organization, &v.profile, &v.administrator)
}

// ---- what they get ----

// direct has no defence but the condition that somebody remembered to write.
func (s *plainServer) direct(ctx context.Context, v viewer, sql string, args []any, read func(pgx.Rows) error) error {
	rows, err := s.pool.Query(ctx, sql, append([]any{v.organization, v.profile}, args...)...)
	if err != nil {
		return err
	}
	defer rows.Close()
	return read(rows)
}

// within is the conventional way: a transaction, two settings that policies read, the query.
func (s *plainServer) within(ctx context.Context, v viewer, sql string, args []any, read func(pgx.Rows) error) error {
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, conventionalSet, v.organization, v.profile, strconv.FormatBool(v.administrator)); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		return read(rows)
	})
}
