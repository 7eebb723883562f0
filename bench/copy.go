package bench

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// The copy of Redoubt's content for servers without it. Columns, checks, keys and indexes are the same as in Commons.

// people of the copy: what is asked in order to find a session, with the conditions and joins that Redoubt asks with.
var plainPeople = []string{
	`create table organization (id uuid primary key, active boolean not null)`,
	`create table role (name text primary key, scopes text[] not null)`,
	`create table membership (organization_id uuid not null references organization, id uuid not null, role text not null references role, active boolean not null, live boolean not null, may text not null, primary key (organization_id, id))`,
	`create table session (id uuid primary key, hash bytea not null unique, organization_id uuid not null, profile_id uuid not null, person_id uuid not null, administrator boolean not null,
	   seen_at timestamptz not null, idle interval not null, expires_at timestamptz not null, revoked_at timestamptz,
	   foreign key (organization_id, profile_id) references membership (organization_id, id))`,
}

// plainTables is made once in each of the schemas, whose name takes the place of {s}.
var plainTables = []string{
	`create schema {s}`,
	`create table {s}.profile (organization_id uuid not null, id uuid not null, display_name text not null, avatar_id uuid, primary key (organization_id, id))`,
	`create table {s}.product (organization_id uuid not null, id uuid not null, name text not null, price_cents bigint not null, active boolean not null, primary key (organization_id, id))`,
	`create table {s}.order_ (organization_id uuid not null, id uuid not null default gen_random_uuid(), buyer_id uuid,
	   buyer_name text generated always as (case when buyer_id is null then '[Deleted User]' end) stored, product_id uuid not null, product_name text not null,
	   quantity int not null check (quantity between 1 and 100), unit_cents bigint not null check (unit_cents >= 0),
	   total_cents bigint not null check (total_cents >= 0 and total_cents = quantity * unit_cents), notes text not null default '' check (length(notes) <= 500),
	   created_at timestamptz not null default now(), state text not null default 'placed' check (state in ('placed', 'paid', 'fulfilled', 'cancelled', 'refunded')),
	   paid_at timestamptz check (paid_at >= created_at), fulfilled_at timestamptz check (fulfilled_at >= paid_at),
	   cancelled_at timestamptz check (cancelled_at >= created_at), refunded_at timestamptz check (refunded_at >= paid_at),
	   primary key (organization_id, id),
	   foreign key (organization_id, product_id) references {s}.product (organization_id, id),
	   foreign key (organization_id, buyer_id) references {s}.profile (organization_id, id) on delete set null (buyer_id),
	   check ((paid_at is not null) = (state in ('paid', 'fulfilled', 'refunded'))), check ((fulfilled_at is not null) = (state = 'fulfilled')),
	   check ((cancelled_at is not null) = (state = 'cancelled')), check ((refunded_at is not null) = (state = 'refunded')))`,
	`create index on {s}.order_ (organization_id, created_at desc, id desc)`,
	`create index on {s}.order_ (organization_id, buyer_id, created_at desc, id desc)`,
	`create index on {s}.order_ (organization_id, product_id)`,
	`create table {s}.post (organization_id uuid not null, id uuid not null default gen_random_uuid(), author_id uuid,
	   author_name text generated always as (case when author_id is null then '[Deleted User]' end) stored, body text not null check (length(body) between 1 and 5000),
	   html text not null default '' check (length(html) <= 60000), created_at timestamptz not null default now(), edited_at timestamptz, primary key (organization_id, id),
	   foreign key (organization_id, author_id) references {s}.profile (organization_id, id))`,
	`create index on {s}.post (organization_id, created_at desc, id desc)`,
	`create index on {s}.post (organization_id, author_id)`,
	`create table {s}.attachment (organization_id uuid not null, id uuid not null, name text not null, kind text not null, size bigint not null, width int, height int, primary key (organization_id, id))`,
	`create table {s}.post_file (organization_id uuid not null, post_id uuid not null, file_id uuid not null, position int not null, inline bool not null, primary key (organization_id, post_id, file_id),
	   foreign key (organization_id, post_id) references {s}.post (organization_id, id) on delete cascade,
	   foreign key (organization_id, file_id) references {s}.attachment (organization_id, id))`,
	`create table {s}.post_link (organization_id uuid not null, post_id uuid not null, url text not null, title text not null, description text not null, site text not null, primary key (organization_id, post_id),
	   foreign key (organization_id, post_id) references {s}.post (organization_id, id) on delete cascade)`,
	`create table {s}.comment (organization_id uuid not null, id uuid not null default gen_random_uuid(), post_id uuid not null, author_id uuid,
	   author_name text generated always as (case when author_id is null then '[Deleted User]' end) stored, body text not null,
	   created_at timestamptz not null default now(), primary key (organization_id, id),
	   foreign key (organization_id, post_id) references {s}.post (organization_id, id) on delete cascade,
	   foreign key (organization_id, author_id) references {s}.profile (organization_id, id))`,
	`create index on {s}.comment (organization_id, post_id, created_at, id)`,
	`create index on {s}.comment (organization_id, author_id)`,
	`create table {s}.post_like (organization_id uuid not null, post_id uuid not null, profile_id uuid not null, created_at timestamptz not null default now(),
	   primary key (organization_id, post_id, profile_id),
	   foreign key (organization_id, post_id) references {s}.post (organization_id, id) on delete cascade,
	   foreign key (organization_id, profile_id) references {s}.profile (organization_id, id))`,
	`create index on {s}.post_like (organization_id, profile_id)`,
	`create table {s}.bookmark (organization_id uuid not null, profile_id uuid not null, post_id uuid not null, created_at timestamptz not null default now(),
	   primary key (organization_id, profile_id, post_id))`,
	// The price is the product's, as in Commons.
	`create function {s}.price_order() returns trigger language plpgsql as $$
	 declare p record;
	 begin
	   select name, price_cents into p from {s}.product where organization_id = new.organization_id and id = new.product_id and active;
	   if not found then
	     raise exception 'no such product';
	   end if;
	   new.product_name := p.name;
	   new.unit_cents := p.price_cents;
	   new.total_cents := p.price_cents * new.quantity;
	   return new;
	 end $$`,
	`create trigger price_order before insert on {s}.order_ for each row execute function {s}.price_order()`,
	`create function {s}.begin_order() returns trigger language plpgsql as $$
	 begin
	   if new.state <> 'placed' then
	     raise exception 'an order begins as placed';
	   end if;
	   return new;
	 end $$`,
	`create trigger begin_order before insert on {s}.order_ for each row execute function {s}.begin_order()`,
}

// The schemas: of the servers that write WHERE, of the one that has policies, and once more with an audit trail.
const (
	bareSchema         = "bare"
	conventionalSchema = "conventional"
	auditedSchema      = "audited"
)

// conventionalPolicies are wrapped in selects, as the better guides advise: evaluated once for each statement. The rules are those
// of Commons: a buyer sees their own orders, an administrator all; nobody writes in another's name.
var conventionalPolicies = []string{
	`alter table conventional.profile enable row level security`,
	`alter table conventional.product enable row level security`,
	`alter table conventional.order_ enable row level security`,
	`alter table conventional.post enable row level security`,
	`alter table conventional.attachment enable row level security`,
	`alter table conventional.post_file enable row level security`,
	`alter table conventional.post_link enable row level security`,
	`alter table conventional.comment enable row level security`,
	`alter table conventional.post_like enable row level security`,
	`alter table conventional.bookmark enable row level security`,
	`create policy tenant on conventional.profile using (organization_id = (select current_setting('app.organization')::uuid))`,
	`create policy tenant on conventional.product using (organization_id = (select current_setting('app.organization')::uuid))`,
	`create policy tenant on conventional.order_ using (organization_id = (select current_setting('app.organization')::uuid))`,
	`create policy tenant on conventional.post using (organization_id = (select current_setting('app.organization')::uuid))`,
	`create policy tenant on conventional.attachment using (organization_id = (select current_setting('app.organization')::uuid))`,
	`create policy tenant on conventional.post_file using (organization_id = (select current_setting('app.organization')::uuid))`,
	`create policy tenant on conventional.post_link using (organization_id = (select current_setting('app.organization')::uuid))`,
	`create policy tenant on conventional.comment using (organization_id = (select current_setting('app.organization')::uuid))`,
	`create policy tenant on conventional.post_like using (organization_id = (select current_setting('app.organization')::uuid))`,
	`create policy tenant on conventional.bookmark using (organization_id = (select current_setting('app.organization')::uuid))`,
	`create policy own on conventional.order_ as restrictive for select using (buyer_id = (select current_setting('app.profile')::uuid) or (select current_setting('app.administrator')::boolean))`,
	`create policy own_insert on conventional.order_ as restrictive for insert with check (buyer_id = (select current_setting('app.profile')::uuid))`,
	`create policy own_update on conventional.post as restrictive for update using (author_id = (select current_setting('app.profile')::uuid))`,
	`create policy own_insert on conventional.post as restrictive for insert with check (author_id = (select current_setting('app.profile')::uuid))`,
	`alter table conventional.order_ alter organization_id set default current_setting('app.organization')::uuid, alter buyer_id set default current_setting('app.profile')::uuid`,
	`alter table conventional.post alter organization_id set default current_setting('app.organization')::uuid, alter author_id set default current_setting('app.profile')::uuid`,
}

// auditTrail is Redoubt's, as far as it records: the same columns, and a trigger that does the same work, but believes a setting
// about who did it.
var auditTrail = []string{
	`create table audited.log (organization_id uuid, id bigint generated always as identity primary key, at timestamptz not null default clock_timestamp(), actor uuid, credential uuid,
	   visit text not null default '', db_role text not null default session_user, category text not null check (category in ('row', 'lifecycle', 'state', 'credential', 'payment', 'system', 'security')),
	   action text not null check (length(action) between 1 and 100), entity text not null check (length(entity) <= 100), entity_id text not null check (length(entity_id) <= 100), changes jsonb not null default '{}')`,
	`create index on audited.log (organization_id, id desc)`,
	`create function audited.row() returns trigger security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
	 declare
	   o jsonb := case when tg_op <> 'INSERT' then to_jsonb(old) end;
	   n jsonb := case when tg_op <> 'DELETE' then to_jsonb(new) end;
	   changed jsonb := coalesce(n, o);
	 begin
	   if tg_op = 'UPDATE' then
	     select jsonb_object_agg(k, jsonb_build_array(o -> k, n -> k)) into changed from jsonb_object_keys(n) k where o -> k is distinct from n -> k;
	     if changed is null then
	       return null;
	     end if;
	   end if;
	   insert into audited.log (organization_id, actor, credential, visit, category, action, entity, entity_id, changes)
	   values ((coalesce(n, o) ->> 'organization_id')::uuid, current_setting('app.profile')::uuid, current_setting('app.credential')::uuid, current_setting('app.visit'), 'row', lower(tg_op),
	           tg_table_schema || '.' || tg_table_name, coalesce(coalesce(n, o) ->> 'id', ''), changed);
	   return null;
	 end $$`,
	`create trigger audit_row after insert or update or delete on audited.order_ for each row execute function audited.row()`,
	`create trigger audit_row after insert or update or delete on audited.post for each row execute function audited.row()`,
	`create trigger audit_row after insert or update or delete on audited.post_file for each row execute function audited.row()`,
	`create trigger audit_row after insert or update or delete on audited.post_link for each row execute function audited.row()`,
	`create function audited.append(category text, action text, entity text, entity_id text, changes jsonb default '{}') returns void
	 volatile security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
	 begin
	   insert into audited.log (organization_id, actor, credential, visit, category, action, entity, entity_id, changes)
	   values (current_setting('app.organization')::uuid, current_setting('app.profile')::uuid, current_setting('app.credential')::uuid, current_setting('app.visit'), append.category, append.action, append.entity, append.entity_id, append.changes);
	 end $$`,
}

func plainSchema() (all []string) {
	all = append(all, plainPeople...)
	for _, schema := range []string{bareSchema, conventionalSchema, auditedSchema} {
		for _, sql := range plainTables {
			all = append(all, strings.ReplaceAll(sql, "{s}", schema))
		}
	}
	all = append(all, conventionalPolicies...)
	return append(all, auditTrail...)
}

// A copied table is filled from one of Redoubt's, column by column.
type copied struct{ table, from, columns string }

var copiedPeople = []copied{
	{"organization", "identity.organization", "id, active"},
	{"role", "redoubt.role", "name, scopes"},
	{"membership", "identity.membership", "organization_id, id, role, active, live, may"},
	{"session", "identity.session", "id, hash, organization_id, profile_id, person_id, administrator, seen_at, idle, expires_at, revoked_at"},
}

var copiedTables = []copied{
	{"profile", "commons.profile", "organization_id, id, display_name"},
	{"product", "commons.product", "organization_id, id, name, price_cents, active"},
	{"order_", "commons.order_", "organization_id, id, buyer_id, product_id, product_name, quantity, unit_cents, total_cents, notes, created_at"},
	{"post", "commons.post", "organization_id, id, author_id, body, created_at, edited_at"},
	{"comment", "commons.comment", "organization_id, id, post_id, author_id, body, created_at"},
	{"post_like", "commons.post_like", "organization_id, post_id, profile_id, created_at"},
}

// The rights of those without Redoubt. The one inside Redoubt's layers has the limits of Redoubt's role, since limits cost too.
func (w *world) admit() (all []string) {
	for _, role := range []string{plainRole, whereRole} {
		all = append(all, "create role "+role+" login password '"+w.password[role]+"'", // made by rand.Text: letters and digits
			"grant usage on schema bare, conventional, audited to "+role,
			"grant select, insert, update, delete on all tables in schema public, bare, conventional to "+role,
			"grant select, insert, update, delete on audited.profile, audited.product, audited.order_, audited.post, audited.post_file, audited.post_link, audited.attachment, audited.comment, audited.post_like, audited.bookmark to "+role)
	}
	return append(all, "alter role "+whereRole+" set statement_timeout = '5s'", "alter role "+whereRole+" set lock_timeout = '2s'",
		"alter role "+whereRole+" set idle_in_transaction_session_timeout = '10s'")
}

func (w *world) copy(ctx context.Context, from *pgx.Conn) error {
	to, err := pgx.Connect(ctx, w.super(plain))
	if err != nil {
		return fmt.Errorf("connecting to copy the database: %w", err)
	}
	defer to.Close(context.WithoutCancel(ctx))
	if err := script(ctx, to, plainSchema()...); err != nil {
		return fmt.Errorf("making the tables of the others: %w", err)
	}
	if err := w.copyTables(ctx, from, to); err != nil {
		return err
	}
	if err := script(ctx, to, w.admit()...); err != nil {
		return fmt.Errorf("admitting the others: %w", err)
	}
	for _, conn := range []*pgx.Conn{from, to} {
		if err := script(ctx, conn, "vacuum analyze"); err != nil {
			return fmt.Errorf("gathering statistics: %w", err)
		}
	}
	return nil
}

// copyTables keeps triggers from working meanwhile: they did, where the rows come from.
func (w *world) copyTables(ctx context.Context, from, to *pgx.Conn) error {
	all := copiedPeople
	for _, schema := range []string{bareSchema, conventionalSchema, auditedSchema} {
		for _, c := range copiedTables {
			all = append(all[:len(all):len(all)], copied{schema + "." + c.table, c.from, c.columns})
		}
	}
	if err := script(ctx, to, `set session_replication_role = replica`); err != nil {
		return err
	}
	for _, c := range all {
		if err := copyTable(ctx, from, to, c); err != nil {
			return fmt.Errorf("copying to %s: %w", c.table, err)
		}
	}
	// Redoubt's sessions are touched once a minute; these would idle out during a long run.
	return script(ctx, to, `update session set idle = '1 day'`, `set session_replication_role = default`)
}
