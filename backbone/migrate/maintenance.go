package migrate

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Roles belong to the whole server: somebody who migrates another database of it may close the door that was just opened.
const maintenanceTries = 10

const (
	lockRoles  = "lock table pg_catalog.pg_authid in share row exclusive mode;"
	letIn      = lockRoles + "alter role redoubt_maintenance login password '%s'; commit"
	letNobody  = lockRoles + "alter role redoubt_maintenance nologin password null; commit"
	whoIsThere = "redoubt_maintenance"
)

// maintainer connects as redoubt_maintenance where like connects as another. The role can be logged in as for that moment alone, with
// a password that only this function has known. A connection of its own, and not the superuser's with SET ROLE: what the file
// says cannot step back to more.
func maintainer(ctx context.Context, admin *pgx.Conn, like *pgx.ConnConfig) (conn *pgx.Conn, err error) {
	password := rand.Text()
	verifier, err := scramVerifier(password)
	if err != nil {
		return nil, err
	}
	defer func() {
		if shut := script(context.WithoutCancel(ctx), admin, "begin;"+letNobody); shut != nil && err == nil {
			conn.Close(context.WithoutCancel(ctx))
			err = fmt.Errorf("closing maintenance: %w", shut)
		}
	}()
	as := like.Copy()
	as.User, as.Password = whoIsThere, password
	for range maintenanceTries {
		if err = script(ctx, admin, "begin;"+fmt.Sprintf(letIn, verifier)); err != nil {
			return nil, fmt.Errorf("opening maintenance: %w", err)
		}
		if conn, err = pgx.ConnectConfig(ctx, as); err == nil {
			return conn, nil
		}
	}
	return nil, fmt.Errorf("connecting for maintenance: %w", err)
}
