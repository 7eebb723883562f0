package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/gate/action"
	"github.com/redoubt-dev/redoubt/layer/identity"
	"github.com/redoubt-dev/redoubt/layer/identity/signon"
	"github.com/redoubt-dev/redoubt/layer/rls"
)

// signIn opens a session and makes an API key for each of the people who ask, by the ways that an application has.
func (w *world) signIn(ctx context.Context, admin *pgx.Conn) error {
	db, ids, err := openStores(ctx, w.app, w.stores())
	if err != nil {
		return err
	}
	defer ids.Close()
	defer db.Close()
	for o := range min(people, w.organizations) {
		a, err := w.asker(ctx, db, ids, o)
		if err != nil {
			return fmt.Errorf("signing somebody in: %w", err)
		}
		rows, err := admin.Query(ctx, `select id::text from commons.order_ where buyer_id = $1 order by sha256(convert_to(id::text, 'UTF8')) limit $2`, a.profile, perPerson)
		if err != nil {
			return fmt.Errorf("choosing orders: %w", err)
		}
		if a.orders, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
			return fmt.Errorf("choosing orders: %w", err)
		}
		w.askers = append(w.askers, a)
	}
	return nil
}

func (w *world) asker(ctx context.Context, db *rls.DB, ids *identity.Service, o int) (asker, error) {
	said := signon.Claims{Issuer: issuer, Subject: fmt.Sprintf("person-%d-0", o), AuthTime: time.Now()}
	token, who, err := ids.InsecureSignIn(ctx, said, organizationID(o))
	if err != nil {
		return asker{}, err
	}
	key, err := action.Do(ctx, db, who, "keys:write", func(tx *action.Tx) (string, error) {
		secret, _, err := ids.AddKey(tx.Tx, who, "Measuring", []string{"orders:read"}, time.Hour)
		return secret, err
	})
	return asker{organization: string(who.Organization()), profile: string(who.Profile()), session: token, key: key}, err
}

func organizationID(o int) layer.OrgID {
	return layer.OrgID(fmt.Sprintf("5f0c5bba-3c66-4d2b-9c0e-%012d", o))
}

// ---- the copy without Redoubt ----

// plainSchema is what the servers without Redoubt have: sessions as Redoubt has them, and the orders twice, with and without the
// conventional policy. Keys and indexes are the same as in Commons.
var plainSchema = []string{
	`create schema bare`,
	`create schema conventional`,
	`create table organization (id uuid primary key, active boolean not null)`,
	`create table membership (organization_id uuid not null references organization, id uuid not null, active boolean not null, primary key (organization_id, id))`,
	`create table session (hash bytea primary key, organization_id uuid not null, profile_id uuid not null, administrator boolean not null, seen_at timestamptz not null, idle interval not null,
	   expires_at timestamptz not null, revoked_at timestamptz, foreign key (organization_id, profile_id) references membership (organization_id, id))`,
	`create table bare.profile (organization_id uuid not null, id uuid not null, display_name text not null, primary key (organization_id, id))`,
	`create table bare.order_ (organization_id uuid not null, id uuid not null, buyer_id uuid not null, product_id uuid not null, product_name text not null,
	   quantity int not null, unit_cents bigint not null, total_cents bigint not null, notes text not null, created_at timestamptz not null,
	   primary key (organization_id, id), foreign key (organization_id, buyer_id) references bare.profile (organization_id, id))`,
	`create index on bare.order_ (organization_id, created_at desc, id desc)`,
	`create index on bare.order_ (organization_id, buyer_id, created_at desc, id desc)`,
	`create index on bare.order_ (organization_id, product_id)`,
	`create table conventional.profile (like bare.profile including all)`,
	`create table conventional.order_ (like bare.order_ including all, foreign key (organization_id, buyer_id) references conventional.profile (organization_id, id))`,
	`alter table conventional.profile enable row level security`,
	`alter table conventional.order_ enable row level security`,
	// Wrapped in a select, as the better guides advise: evaluated once for each statement.
	`create policy tenant on conventional.profile using (organization_id = (select current_setting('app.organization')::uuid))`,
	`create policy tenant on conventional.order_ using (organization_id = (select current_setting('app.organization')::uuid))`,
	// The rule of Commons: a buyer sees their own orders, an administrator all.
	`create policy own on conventional.order_ as restrictive using (buyer_id = (select current_setting('app.profile')::uuid) or (select current_setting('app.administrator')::boolean))`,
}

// copies are what is copied from Redoubt's database, by table of the other.
var copies = [][2]string{
	{"organization", `select id, active from identity.organization`},
	{"membership", `select organization_id, id, active from identity.membership`},
	{"session", `select hash, organization_id, profile_id, administrator, seen_at, idle, expires_at, revoked_at from identity.session`},
	{"bare.profile", `select organization_id, id, display_name from commons.profile`},
	{"bare.order_", `select organization_id, id, buyer_id, product_id, product_name, quantity, unit_cents, total_cents, notes, created_at from commons.order_`},
	{"conventional.profile", `select organization_id, id, display_name from commons.profile`},
	{"conventional.order_", `select organization_id, id, buyer_id, product_id, product_name, quantity, unit_cents, total_cents, notes, created_at from commons.order_`},
}

func (w *world) copy(ctx context.Context, from *pgx.Conn) error {
	to, err := pgx.Connect(ctx, w.super(plain))
	if err != nil {
		return fmt.Errorf("connecting to copy the database: %w", err)
	}
	defer to.Close(context.WithoutCancel(ctx))
	if err := script(ctx, to, plainSchema...); err != nil {
		return fmt.Errorf("making the tables of the others: %w", err)
	}
	for _, c := range copies {
		if err := copyTable(ctx, from, to, c[0], c[1]); err != nil {
			return fmt.Errorf("copying to %s: %w", c[0], err)
		}
	}
	err = script(ctx, to, "create role "+plainRole+" login password '"+w.password[plainRole]+"'", // made by rand.Text: letters and digits
		"grant usage on schema bare, conventional to "+plainRole,
		"grant select on all tables in schema public, bare, conventional to "+plainRole)
	if err != nil {
		return fmt.Errorf("admitting the others: %w", err)
	}
	for _, conn := range []*pgx.Conn{from, to} {
		if err := script(ctx, conn, "vacuum analyze"); err != nil {
			return fmt.Errorf("gathering statistics: %w", err)
		}
	}
	return nil
}

func copyTable(ctx context.Context, from, to *pgx.Conn, table, query string) error {
	r, w := io.Pipe()
	sent := make(chan error, 1)
	go func() {
		_, err := from.PgConn().CopyTo(ctx, w, "copy ("+query+") to stdout (format binary)")
		w.CloseWithError(err)
		sent <- err
	}()
	_, err := to.PgConn().CopyFrom(ctx, r, "copy "+table+" from stdin (format binary)")
	r.CloseWithError(err)
	return errors.Join(err, <-sent)
}
