package bench

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/redoubt-dev/redoubt"
)

// The servers that Redoubt is measured against, as a good programmer in a hurry writes them: net/http, pgx, SQL by hand. They
// answer the same bytes.

// order is what one order looks like outside. Its field names are those of Commons.
type order struct {
	ID          string    `json:"id"`
	ProductID   string    `json:"product_id"`
	ProductName string    `json:"product_name"`
	Buyer       string    `json:"buyer"`
	Quantity    int       `json:"quantity"`
	UnitCents   int64     `json:"unit_cents"`
	TotalCents  int64     `json:"total_cents"`
	Notes       string    `json:"notes"`
	CreatedAt   time.Time `json:"created_at"`
}

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

const columns = `o.id, o.product_id, o.product_name, b.display_name, o.quantity, o.unit_cents, o.total_cents, o.notes, o.created_at`

// An administrator, who sees every order, would be asked for by two more statements without the last condition of the bare ones.
const (
	bareOrder = `select ` + columns + `
  from bare.order_ o join bare.profile b on b.organization_id = o.organization_id and b.id = o.buyer_id
 where o.id = $1 and o.organization_id = $2 and o.buyer_id = $3`
	bareOrders = `select ` + columns + `
  from bare.order_ o join bare.profile b on b.organization_id = o.organization_id and b.id = o.buyer_id
 where o.organization_id = $2 and o.buyer_id = $3
 order by o.created_at desc, o.id desc limit $1`

	conventionalSet   = `select set_config('app.organization', $1, true), set_config('app.profile', $2, true), set_config('app.administrator', $3, true)`
	conventionalOrder = `select ` + columns + `
  from conventional.order_ o join conventional.profile b on b.organization_id = o.organization_id and b.id = o.buyer_id
 where o.id = $1`
	conventionalOrders = `select ` + columns + `
  from conventional.order_ o join conventional.profile b on b.organization_id = o.organization_id and b.id = o.buyer_id
 order by o.created_at desc, o.id desc limit $1`
)

// A plainServer is either of them.
type plainServer struct {
	pool   *pgxpool.Pool
	who    func(*http.Request) (viewer, error)
	query  func(ctx context.Context, v viewer, sql string, arg any) ([]order, error)
	one    string
	listed string
}

func newBare(pool *pgxpool.Pool, sessions bool) *plainServer {
	s := &plainServer{pool: pool, one: bareOrder, listed: bareOrders}
	s.who, s.query = s.believe, s.direct
	if sessions {
		s.who = s.lookUp
	}
	return s
}

func newConventional(pool *pgxpool.Pool) *plainServer {
	s := &plainServer{pool: pool, one: conventionalOrder, listed: conventionalOrders}
	s.who, s.query = s.lookUp, s.within
	return s
}

func (s *plainServer) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/orders/{id}", func(w http.ResponseWriter, r *http.Request) {
		s.answer(w, r, s.one, r.PathValue("id"), func(found []order) any { return found[0] })
	})
	mux.HandleFunc("GET /api/v1/orders", func(w http.ResponseWriter, r *http.Request) {
		limit, err := strconv.Atoi(r.URL.Query().Get("limit"))
		if err != nil || limit < 1 || limit > 100 {
			http.Error(w, "limit is a number up to 100", http.StatusBadRequest)
			return
		}
		s.answer(w, r, s.listed, limit+1, func(found []order) any {
			found, next := redoubt.Paged(found, limit, func(o order) redoubt.Cursor { return redoubt.CursorAt(o.CreatedAt, o.ID) })
			return orderList{found, next}
		})
	})
	return mux
}

func (s *plainServer) answer(w http.ResponseWriter, r *http.Request, sql string, arg any, shape func([]order) any) {
	v, err := s.who(r)
	if err != nil {
		http.Error(w, "not signed in", http.StatusUnauthorized)
		return
	}
	found, err := s.query(r.Context(), v, sql, arg)
	if err == nil && len(found) == 0 {
		err = pgx.ErrNoRows
	}
	if err != nil {
		slog.Error("asking the database", "cause", err)
		http.Error(w, "something went wrong", http.StatusInternalServerError)
		return
	}
	body, err := json.Marshal(shape(found))
	if err != nil {
		http.Error(w, "something went wrong", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(append(body, '\n'))
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
func (s *plainServer) direct(ctx context.Context, v viewer, sql string, arg any) ([]order, error) {
	rows, err := s.pool.Query(ctx, sql, arg, v.organization, v.profile)
	return collect(rows, err)
}

// within is the conventional way: a transaction, two settings that policies read, the query.
func (s *plainServer) within(ctx context.Context, v viewer, sql string, arg any) (found []order, err error) {
	tx, err := s.pool.Begin(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, tx.Rollback(context.WithoutCancel(ctx)))
		}
	}()
	if _, err = tx.Exec(ctx, conventionalSet, v.organization, v.profile, strconv.FormatBool(v.administrator)); err != nil {
		return nil, err
	}
	rows, err := tx.Query(ctx, sql, arg)
	if found, err = collect(rows, err); err != nil {
		return nil, err
	}
	return found, tx.Commit(ctx)
}

func collect(rows pgx.Rows, err error) ([]order, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var found []order
	for rows.Next() {
		var o order
		if err := rows.Scan(&o.ID, &o.ProductID, &o.ProductName, &o.Buyer, &o.Quantity, &o.UnitCents, &o.TotalCents, &o.Notes, &o.CreatedAt); err != nil {
			return nil, err
		}
		found = append(found, o)
	}
	return found, rows.Err()
}
