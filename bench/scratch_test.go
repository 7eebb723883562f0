package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/redoubt-dev/redoubt/commons"
)

func backendNS(pid uint32) time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", pid))
	if err != nil {
		panic(err)
	}
	var n int64
	fmt.Sscan(string(b), &n)
	return time.Duration(n)
}

const scratchFindSession = `
select s.id, s.organization_id, s.profile_id, s.person_id, s.claims, s.mac, s.seen_at < now() - interval '1 minute' as unseen, s.expires_at, s.id_token
  from identity.session s
  join identity.membership m on m.organization_id = s.organization_id and m.id = s.profile_id
  join identity.organization o on o.id = s.organization_id
 where s.hash = $1 and s.revoked_at is null and s.expires_at > now() and s.seen_at > now() - s.idle and m.active and o.active`

const scratchOrder = `
select o.id, o.product_id, o.product_name, b.display_name as buyer, o.quantity, o.unit_cents, o.total_cents, o.notes, o.created_at
  from commons.order_ o join commons.profile b on b.organization_id = o.organization_id and b.id = o.buyer_id
 where o.id = $1`
const scratchOrders = `
select o.id, o.product_id, o.product_name, b.display_name as buyer, o.quantity, o.unit_cents, o.total_cents, o.notes, o.created_at
  from commons.order_ o join commons.profile b on b.organization_id = o.organization_id and b.id = o.buyer_id
 where $1::timestamptz is null or (o.created_at, o.id) < ($1, $2::uuid)
 order by o.created_at desc, o.id desc limit $3`

func TestScratch(t *testing.T) {
	ctx := context.Background()
	dir, err := folder()
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	w, err := build(ctx, Config{App: commons.App, organizations: 200}, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	admin, err := pgx.Connect(ctx, w.super(guarded))
	if err != nil {
		t.Fatal(err)
	}
	type variant struct {
		name string
		conn *pgx.Conn
		do   func(c *pgx.Conn, i int) error
		ns   []time.Duration
	}
	var vs []*variant
	add := func(name, role, db string, do func(c *pgx.Conn, i int) error) {
		c, err := pgx.Connect(ctx, w.as(role, db))
		if err != nil {
			t.Fatal(err)
		}
		vs = append(vs, &variant{name: name, conn: c, do: do})
	}
	enter := os.Getenv("ENTER")
	if enter == "" {
		enter = `select redoubt.enter($1, $2, true)`
	}
	drain := func(r pgx.Rows) error { for r.Next() { r.Values() }; return r.Err() }
	ask := func(sql string, args func(a asker, i int) []any) func(c *pgx.Conn, i int) error {
		return func(c *pgx.Conn, i int) error {
			a := w.askers[i%len(w.askers)]
			b := &pgx.Batch{}
			b.Queue(enter, a.session, "127.0.0.1 ABCDEFGHIJKLMNOPQRSTUVWXYZ")
			b.Queue(sql, args(a, i)...)
			r := c.SendBatch(ctx, b)
			if _, err := r.Exec(); err != nil { r.Close(); return err }
			rows, err := r.Query()
			if err == nil { err = drain(rows) }
			r.Close()
			return err
		}
	}
	none := func(asker, int) []any { return nil }
	oid := func(a asker, i int) []any { return []any{a.orders[i%len(a.orders)]} }
	add("select 1", "redoubt_app", guarded, func(c *pgx.Conn, i int) error { r, err := c.Query(ctx, "select 1"); if err != nil { return err }; return drain(r) })
	add("findSession", "redoubt_identity", guarded, func(c *pgx.Conn, i int) error {
		h := hash32(w.askers[i%len(w.askers)].session)
		r, err := c.Query(ctx, scratchFindSession, h); if err != nil { return err }; return drain(r)
	})
	add("plain findSession", plainRole, plain, func(c *pgx.Conn, i int) error {
		h := hash32(w.askers[i%len(w.askers)].session)
		r, err := c.Query(ctx, findSession, h); if err != nil { return err }; return drain(r)
	})
	add("enter+select 1", "redoubt_app", guarded, ask("select 1", none))
	add("enter+org()", "redoubt_app", guarded, ask("select redoubt.org()", none))
	add("enter+profile", "redoubt_app", guarded, ask("select display_name from commons.profile where id=$1", func(a asker, i int) []any { return []any{a.profile} }))
	add("enter+order", "redoubt_app", guarded, ask(scratchOrder, oid))
	add("enter+list", "redoubt_app", guarded, ask(scratchOrders, func(a asker, i int) []any { return []any{nil, nil, 21} }))
	add("bare order", plainRole, plain, func(c *pgx.Conn, i int) error { a := w.askers[i%len(w.askers)]; r, err := c.Query(ctx, bareOrder, a.orders[i%len(a.orders)], a.organization, a.profile); if err != nil { return err }; return drain(r) })
	add("bare list", plainRole, plain, func(c *pgx.Conn, i int) error { a := w.askers[i%len(w.askers)]; r, err := c.Query(ctx, bareOrders, 21, a.organization, a.profile); if err != nil { return err }; return drain(r) })
	conv := func(sql string, arg func(a asker, i int) any) func(c *pgx.Conn, i int) error {
		return func(c *pgx.Conn, i int) error {
			a := w.askers[i%len(w.askers)]
			tx, err := c.Begin(ctx); if err != nil { return err }
			if _, err := tx.Exec(ctx, conventionalSet, a.organization, a.profile); err != nil { return err }
			r, err := tx.Query(ctx, sql, arg(a, i)); if err != nil { return err }
			if err := drain(r); err != nil { return err }
			return tx.Commit(ctx)
		}
	}
	add("conventional order", plainRole, plain, conv(conventionalOrder, func(a asker, i int) any { return a.orders[i%len(a.orders)] }))
	add("conventional list", plainRole, plain, conv(conventionalOrders, func(a asker, i int) any { return 21 }))

	measure := func(title string) {
		for _, v := range vs {
			v.ns = nil
			v.conn.Close(ctx)
			cfg := v.conn.Config()
			if v.conn, err = pgx.ConnectConfig(ctx, cfg); err != nil { t.Fatal(err) }
			for i := range 60 { if err := v.do(v.conn, i); err != nil { t.Log(title, v.name, err); break } }
		}
		for range 25 {
			for _, v := range vs {
				pid := v.conn.PgConn().PID()
				a := backendNS(pid)
				for i := range 60 { if err := v.do(v.conn, i); err != nil { break } }
				v.ns = append(v.ns, (backendNS(pid)-a)/60)
			}
		}
		fmt.Println("==", title)
		for _, v := range vs {
			slices.Sort(v.ns)
			fmt.Printf("%-22s %6.1f us\n", v.name, float64(v.ns[len(v.ns)/5])/1000)
		}
	}
	if os.Getenv("PERF") != "" {
		for _, v := range vs {
			if !strings.Contains(os.Getenv("PERF"), v.name) { continue }
			for i := range 60 { v.do(v.conn, i) }
			perfOn(v.conn.PgConn().PID(), strings.ReplaceAll(v.name, " ", "_"), func() { for i := range 20000 { v.do(v.conn, i) } })
		}
		return
	}
	measure("as is")
	files, _ := filepath.Glob("/tmp/variants/*.sql")
	for _, f := range files {
		text, _ := os.ReadFile(f)
		if err := admin.PgConn().Exec(ctx, string(text)).Close(); err != nil { t.Fatal(f, err) }
		measure(filepath.Base(f) + strings.Repeat(" ", 0))
	}
}
