package knockout

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// databaseCauses are failures that several mechanisms of the database share: each costs one, whatever it takes with it.
func databaseCauses() []Unit {
	return []Unit{
		{Name: "cause/context", What: "the database's context is that of whoever presents a credential",
			Gone:  "it says Acme, and every scope, for whoever presents any living credential",
			SQL:   []string{unguarded(wrongTenant)},
			Bites: contextIsOut},
		{Name: "cause/owner", What: "the application connects as a role without power",
			Gone:  "its role passes by row security, owns what there is, and has every right",
			SQL:   []string{unguarded(foreigner, floorless, ownless, trailFloorless, trailOwnless, openTrail, shutTables, grantAll, owning)},
			Bites: ownerIsOut},
	}
}

// owning makes the application's role whatever there is to be. BYPASSRLS itself would show Acme's people the rows of others (see foreigner), so
// the policies are opened that it would pass by.
const owning = `alter role redoubt_app inherit; grant redoubt_owner, redoubt_keys, redoubt_audit to redoubt_app`

// wrongTenant puts the victim's organization and every scope that there is into what is made of a verified credential. Person, profile and
// the credential's own id stay the caller's: only the tenant was mixed up.
const wrongTenant = `do $context$
declare
  victim uuid := (select o.id from identity.organization o where o.id = '` + victim + `');
  every text := (select redoubt.written(array_agg(distinct s)) from redoubt.role r, unnest(r.scopes) s);
  was text := pg_get_functiondef('redoubt.context(uuid,uuid,uuid,uuid,text,text,text)'::regprocedure);
  becomes text := replace(replace(was, 'concat(organization, ', format('concat(%L::pg_catalog.uuid, ', victim)), ', written,', format(', %L::pg_catalog.text,', every));
begin
  if victim is null or becomes = was then
    raise exception 'there is nothing here to take out';
  end if;
  execute becomes;
end $context$`

func contextIsOut(ctx context.Context, at Place) error {
	return entered(ctx, at, false, false, func(tx pgx.Tx) error {
		wrong, err := one[bool](ctx, tx, `select redoubt.org() = '`+victim+`'
       and not exists (select from redoubt.role r, unnest(r.scopes) s where not redoubt.has(s))`)
		if err == nil && !wrong {
			return stands("the context is the caller's own")
		}
		return err
	})
}

func ownerIsOut(ctx context.Context, at Place) error {
	conn, err := at.Connect(ctx, "redoubt_app", "redoubt-app")
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, `select count(*) from files.file; select count(*) from identity.session`); err != nil {
		return fmt.Errorf("reading without a credential: %w", err)
	}
	return nil
}
