package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/gate/action"
	"github.com/redoubt-dev/redoubt/layer/identity"
	"github.com/redoubt-dev/redoubt/layer/identity/signon"
	"github.com/redoubt-dev/redoubt/layer/rls"
	"github.com/redoubt-dev/redoubt/layer/transport"
)

// signIn opens a session and makes an API key for each of the people who ask, and for as many who change things, in other
// organizations, by the ways that an application has.
func (w *world) signIn(ctx context.Context, admin *pgx.Conn) error {
	db, ids, err := openStores(ctx, w.app, w.stores())
	if err != nil {
		return err
	}
	defer ids.Close()
	defer db.Close()
	tokens, err := transport.New(transport.Config{Origin: origin, TokenKey: w.token, Refuse: func(http.ResponseWriter, *http.Request, *layer.Refusal) {}})
	if err != nil {
		return err
	}
	some := min(people, w.organizations/2)
	for o := range 2 * some {
		a, err := w.asker(ctx, db, ids, o)
		if err != nil {
			return fmt.Errorf("signing somebody in: %w", err)
		}
		if err := a.choose(ctx, admin); err != nil {
			return fmt.Errorf("choosing what somebody asks for: %w", err)
		}
		a.token = tokens.Token(a.sessionID)
		if o < some {
			w.askers = append(w.askers, a)
		} else {
			w.changers = append(w.changers, a)
		}
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
	return asker{organization: string(who.Organization()), profile: string(who.Profile()), sessionID: who.CredentialID(), session: token, key: key}, err
}

// choose finds what the person asks for among what is theirs.
func (a *asker) choose(ctx context.Context, admin *pgx.Conn) error {
	return admin.QueryRow(ctx, `
select array(select id::text from commons.order_ where buyer_id = $1 order by sha256(convert_to(id::text, 'UTF8')) limit $2),
       array(select id::text from commons.post where author_id = $1 order by id),
       (select id::text from commons.product where organization_id = $3 order by name limit 1)`, a.profile, perPerson, a.organization).Scan(&a.orders, &a.posts, &a.product)
}

func organizationID(o int) layer.OrgID {
	return layer.OrgID(fmt.Sprintf("5f0c5bba-3c66-4d2b-9c0e-%012d", o))
}

func copyTable(ctx context.Context, from, to *pgx.Conn, c copied) error {
	r, w := io.Pipe()
	sent := make(chan error, 1)
	go func() {
		_, err := from.PgConn().CopyTo(ctx, w, "copy (select "+c.columns+" from "+c.from+") to stdout (format binary)")
		w.CloseWithError(err)
		sent <- err
	}()
	_, err := to.PgConn().CopyFrom(ctx, r, "copy "+c.table+" ("+c.columns+") from stdin (format binary)")
	r.CloseWithError(err)
	return errors.Join(err, <-sent)
}
