package bench

import (
	"context"
	"crypto/rand"
	"fmt"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/backbone/migrate"
	"github.com/redoubt-dev/redoubt/internal/postgres"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/identity"
)

// How much the database holds: enough that an index beats reading a table whole, little enough to be made in seconds and to
// stay in memory.
const (
	organizations = 200
	members       = 3  // of each organization, with 100 orders and 40 sessions each
	people        = 64 // who ask, each in another organization if there are so many
	perPerson     = 16 // different orders that each of them asks for
)

// A world is the database and those who ask.
type world struct {
	app           redoubt.App
	dir           string
	organizations int
	cluster       *postgres.Cluster
	admin         string            // the superuser's password
	password      map[string]string // by role
	claims        []byte
	token         []byte
	askers        []asker // who read
	changers      []asker // who change things, in other organizations, so that what is read stays
	version       string
	filled        time.Time // when the last row was made that is there in every round
}

// An asker is a person with everything that a server may want to know them by, and the ids of orders of theirs.
type asker struct {
	organization, profile string
	session, key          string
	sessionID             string   // the session's id, which is no secret
	token                 string   // the session's synchroniser token
	orders                []string // some of their own
	posts                 []string // all of their own
	product               string   // one that they can buy
}

const issuer = "https://provider.invalid" // nobody asks it anything: sessions are opened without it

// As whom the servers without Redoubt connect, and the one inside Redoubt's layers that writes WHERE.
const (
	plainRole = "plain_app"
	whereRole = "where_app"
)

// build starts a database server of this run's own and fills it.
func build(ctx context.Context, cfg Config, dir string) (*world, error) {
	w := &world{app: cfg.App, dir: dir, organizations: cfg.organizations, admin: rand.Text(), claims: make([]byte, 32), token: make([]byte, 32), password: map[string]string{}}
	rand.Read(w.claims)
	rand.Read(w.token)
	for _, role := range []string{"redoubt_migrator", "redoubt_app", "redoubt_identity", plainRole, whereRole} {
		w.password[role] = rand.Text()
	}
	binaries, err := postgres.Find(ctx, cfg.Find)
	if err != nil {
		return nil, err
	}
	// Memory for every table, the cost of a page as on a solid-state disk, and nothing that works in the background meanwhile.
	settings := map[string]string{"shared_buffers": "128MB", "random_page_cost": "1.1", "max_connections": "200", "autovacuum": "off"}
	w.cluster, err = postgres.Start(ctx, postgres.Config{Binaries: binaries, Dir: filepath.Join(dir, "server"), Profile: postgres.Disposable, Password: w.admin, Settings: settings})
	if err != nil {
		return nil, err
	}
	w.version = binaries.Version
	if err := w.fill(ctx); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *world) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return w.cluster.Stop(ctx)
}

func (w *world) super(database string) string {
	return w.cluster.ConnString(postgres.Superuser, w.admin, database)
}

func (w *world) as(role, database string) string {
	return w.cluster.ConnString(role, w.password[role], database)
}

// The two databases: Redoubt's, and the copy of its content for servers without it.
const (
	guarded = "redoubt"
	plain   = "plain"
)

func (w *world) fill(ctx context.Context) error {
	first, err := pgx.Connect(ctx, w.super("postgres"))
	if err != nil {
		return fmt.Errorf("connecting to the new server: %w", err)
	}
	defer first.Close(context.WithoutCancel(ctx))
	if err := script(ctx, first, "create database "+guarded, "create database "+plain); err != nil {
		return fmt.Errorf("making the databases: %w", err)
	}
	roles := map[string]string{}
	for _, role := range []string{"redoubt_migrator", "redoubt_app", "redoubt_identity"} {
		roles[role] = w.password[role]
	}
	_, err = migrate.Run(ctx, migrate.Config{Admin: w.super(guarded), Migrator: func() string { return w.as("redoubt_migrator", guarded) },
		Lines: append(redoubt.LayerSchema(), w.app.Schema...), Roles: roles})
	if err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, w.super(guarded))
	if err != nil {
		return fmt.Errorf("connecting to fill the database: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if err := w.provision(ctx, conn); err != nil {
		return err
	}
	if err := w.signIn(ctx, conn); err != nil {
		return err
	}
	w.filled = time.Now()
	return w.copy(ctx, conn)
}

func script(ctx context.Context, conn *pgx.Conn, statements ...string) error {
	for _, sql := range statements {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

// content fills the tables of Commons. Triggers rest meanwhile: they would ask who the caller is, and there is none.
var content = []string{
	`set session_replication_role = replica`,
	`insert into commons.profile (organization_id, id, display_name)
	 select organization_id, id, 'Member ' || row_number() over (partition by organization_id order by id) from identity.membership`,
	`insert into commons.product (organization_id, name, price_cents)
	 select o.id, 'Product ' || n, 100 * n from identity.organization o, generate_series(1, 5) n`,
	`insert into commons.order_ (organization_id, buyer_id, product_id, product_name, quantity, unit_cents, total_cents, notes, created_at)
	 select m.organization_id, m.id, p.id, p.name, 2, p.price_cents, 2 * p.price_cents, 'Order ' || n || ', to the back door, please.',
	        now() - make_interval(mins => 7 * n) - make_interval(secs => 60 * abs(hashtext(m.id::text) % 60))
	   from identity.membership m, generate_series(1, 100) n
	   join lateral (select * from commons.product p where p.organization_id = m.organization_id and p.name = 'Product ' || 1 + n % 5) p on true`,
	`insert into commons.post (organization_id, author_id, body, created_at)
	 select organization_id, id, 'Post ' || n || ', about nothing in particular, as posts are.', now() - make_interval(mins => 7 * n) from identity.membership, generate_series(1, 10) n`,
	`insert into commons.comment (organization_id, post_id, author_id, body)
	 select organization_id, id, author_id, 'Remark ' || n from commons.post, generate_series(1, 2) n`,
	`insert into commons.post_like (organization_id, post_id, profile_id)
	 select p.organization_id, p.id, m.id from commons.post p join identity.membership m on m.organization_id = p.organization_id`,
	`insert into identity.session (hash, organization_id, profile_id, person_id, administrator, claims, mac, idle, expires_at)
	 select sha256(convert_to(m.id::text || n, 'UTF8')), m.organization_id, m.id, m.person_id, false, '{}', sha256('{}'), '30 minutes', now() + interval '12 hours'
	   from identity.membership m, generate_series(1, 40) n`,
	`set session_replication_role = default`,
}

func (w *world) provision(ctx context.Context, conn *pgx.Conn) error {
	names := map[layer.OrgID]string{}
	var admitted []identity.Provisioned
	for o := range w.organizations {
		id := organizationID(o)
		names[id] = fmt.Sprintf("Organization %d", o)
		for m := range members {
			admitted = append(admitted, identity.Provisioned{Issuer: issuer, Subject: fmt.Sprintf("person-%d-%d", o, m), Name: "Somebody", Organizations: []layer.OrgID{id}})
		}
	}
	if err := identity.Provision(ctx, conn, names, admitted); err != nil {
		return err
	}
	if err := script(ctx, conn, content...); err != nil {
		return fmt.Errorf("filling the database: %w", err)
	}
	return nil
}
