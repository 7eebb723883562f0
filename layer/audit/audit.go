// Package audit records who did what, for those who must answer for it later (SYSTEM U1, U2). There is one append-only table,
// owned by a role that nobody can log in as; row changes are recorded by triggers that the guard puts on every tenant table,
// and applications add events in the same transaction as what they describe.
//
// # What it assumes has failed
//
// The application lies about who acts: the actor is taken from the credential context that the database sealed. The
// application's or the tables' owner's password is stolen: neither can change or delete an entry.
//
// # What it stops
//
// UPDATE, DELETE and TRUNCATE by anyone; an entry in another's name or for another organization; a change without its entry,
// since both commit together; reading the trail of another organization, or of one's own without the scope for it.
//
// # What it does not stop
//
// A superuser of the database from rewriting history unseen; that takes the Merkle log (SYSTEM U3).
//
// # How it is knocked out in a drill
//
// The trigger of one table of the disposable copy is disabled, or its append-only triggers are.
//
// # Example
//
//	if err := audit.Append(tx, audit.Payment, "order.placed", string(order.ID)); err != nil {
//		return err
//	}
package audit

import (
	"embed"
	"strings"
	"time"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/rls"
)

// Schema is this layer's line of migrations.
//
//go:embed schema/*.sql
var Schema embed.FS

// A Category sorts events for those who read them (SYSTEM U1). Row changes have their own, which only triggers use.
type Category string

// The categories.
const (
	Row        Category = "row"        // a row of a tenant table was inserted, updated or deleted
	Lifecycle  Category = "lifecycle"  // something came into being or ended
	State      Category = "state"      // something moved from one state to another
	Credential Category = "credential" // sessions, keys, sign-ins
	Payment    Category = "payment"
	System     Category = "system"
	Security   Category = "security" // refusals and alarms
)

const appendEvent = `select audit.append($1, $2, $3, $4)`

// Append records an event in tx, so that it exists exactly if what it describes does. action reads "order.placed"; what stands
// before its first dot is the kind of thing that id names. It is sent with the commit and costs no round trip.
func Append(tx *rls.Tx, category Category, action, id string) error {
	entity, _, _ := strings.Cut(action, ".")
	return tx.Queue(appendEvent, string(category), action, entity, id)
}

// An Entry is one line of the trail. Actor and Credential are empty for a stranger.
type Entry struct {
	ID       int64
	At       time.Time
	Actor    *layer.ProfileID
	Visit    string
	Category Category
	Action   string
	Entity   string
	EntityID string
	Changes  map[string]any // new values, or [old, new] for an update
}

const readEntries = `
select id, at, actor, visit, category, action, entity, entity_id, changes
  from audit.log
 where ($1::bigint = 0 or id < $1) and ($2 = '' or starts_with(action, $2) or starts_with(entity, $2))
 order by id desc
 limit $3`

// maxPage bounds a page of the trail.
const maxPage = 200

// Read returns up to limit entries of the asker's organization, newest first, older than the entry with id before (zero for the
// newest), whose action or entity begins with prefix. Who lacks the scope audit:read reads an empty trail: the database says so.
func Read(asker rls.Asker, before int64, prefix string, limit int) ([]Entry, error) {
	return rls.All[Entry](asker, readEntries, before, prefix, min(limit, maxPage))
}
