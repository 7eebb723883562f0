// Package directory lets an organization's administrators connect its identity provider, which then keeps the list of its people
// (SYSTEM I1, I7): it announces who may come, and withdraws who may not, by SCIM.
package directory

import (
	"context"
	"reflect"
	"slices"
	"time"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/commons/web/directory"
	directorycreated "github.com/redoubt-dev/redoubt/commons/web/directory-created"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/gate/action"
	"github.com/redoubt-dev/redoubt/layer/identity"
	"github.com/redoubt-dev/redoubt/layer/identity/scim"
	"github.com/redoubt-dev/redoubt/layer/rls"
)

// A Directory is the handlers of this noun.
type Directory struct {
	db       *rls.DB
	identity *identity.Service
	address  string
}

// New makes them.
func New(p redoubt.Parts) *Directory {
	return &Directory{p.DB, p.Identity, p.Origin + redoubt.SCIMPrefix}
}

// lately is how long ago somebody may have proved who they are to hand the list of people to a program: its credential lasts.
const lately = 5 * time.Minute

// Routes are those of this noun.
func (d *Directory) Routes() []redoubt.Route {
	return []redoubt.Route{
		redoubt.Page("GET /admin/directory", redoubt.Administrators, d.page),
		redoubt.Form("POST /admin/directory", redoubt.Administrators, d.connectPage).Fresh(lately).Back("GET /admin/directory"),
		redoubt.Form("POST /admin/directory/{id}/revoke", redoubt.Administrators, d.disconnect).Then("/admin/directory", "The provider is disconnected. Whom it has announced stays as they are."),

		redoubt.JSON("GET /api/v1/directories", redoubt.Scope(scim.Scope), d.list).Doc("List the connections of the organization's identity providers"),
		redoubt.JSON("POST /api/v1/directories", redoubt.Scope(scim.Scope), d.connect).Fresh(lately).Doc("Connect an identity provider by SCIM; the credential is in this answer and never again. Only a person does"),
		redoubt.JSON("DELETE /api/v1/directories/{id}", redoubt.Scope(scim.Scope), d.disconnect).Doc("Disconnect one. Whom it has announced stays"),
	}
}

// An ID names a connection.
type ID string

// Constraints says that an ID is a UUID.
func (ID) Constraints() reflect.StructTag { return `format:"uuid"` }

type (
	empty struct{}
	one   struct {
		ID ID `path:"id"`
	}
)

// A Connection is what an identity provider's program presents itself with.
type Connection struct {
	ID         ID         `json:"id"`
	Name       string     `json:"name"`
	CreatedAt  time.Time  `json:"created_at"`
	RevokedAt  *time.Time `json:"revoked_at"`
	Credential string     `json:"credential,omitempty" doc:"shown once, when it is made"`
}

// Location is where it is listed.
func (c Connection) Location() string { return "/directories" }

// A List is all connections, and what a provider has to be told.
type List struct {
	Connections []Connection `json:"connections"`
	Address     string       `json:"address" doc:"SCIM's base address"`
	Issuers     []string     `json:"issuers" doc:"the organization's own providers; without one nobody can be announced"`
}

// Connect asks for a connection.
type Connect struct {
	Name   string `json:"name" minLength:"1" maxLength:"100" pattern:"\\S(.*\\S)?"`
	Issuer string `json:"issuer,omitempty" maxLength:"500" doc:"of which of the organization's own providers it speaks; only where there are several"`
}

func (d *Directory) list(ctx context.Context, who layer.Principal, _ empty) (List, error) {
	asker := d.db.As(ctx, who)
	endpoints, err := identity.Endpoints(asker)
	if err != nil {
		return List{}, err
	}
	list := List{Connections: []Connection{}, Address: d.address}
	if list.Issuers, err = identity.OwnProviders(asker); err != nil {
		return List{}, err
	}
	for _, e := range endpoints {
		if slices.Contains(e.Scopes, scim.Scope) {
			list.Connections = append(list.Connections, Connection{ID: ID(e.ID), Name: e.Name, CreatedAt: e.CreatedAt, RevokedAt: e.RevokedAt})
		}
	}
	return list, nil
}

func (d *Directory) connect(ctx context.Context, who layer.Principal, in Connect) (Connection, error) {
	return action.DoAssured(ctx, d.db, who, "endpoints:write", layer.Assurance{Within: lately}, func(tx *action.Tx) (Connection, error) {
		credential, made, err := d.identity.AddEndpoint(tx.Tx, who, in.Name, []string{scim.Scope})
		if err == nil && in.Issuer != "" {
			err = identity.SpeakOf(tx.Tx, made.ID, in.Issuer)
		}
		return Connection{ID: ID(made.ID), Name: made.Name, CreatedAt: made.CreatedAt, Credential: credential}, err
	})
}

func (d *Directory) disconnect(ctx context.Context, who layer.Principal, in one) (empty, error) {
	return action.Do(ctx, d.db, who, "endpoints:write", func(tx *action.Tx) (empty, error) {
		return empty{}, identity.RevokeEndpoint(tx.Tx, string(in.ID))
	})
}

func (d *Directory) page(ctx context.Context, who layer.Principal, _ empty) (redoubt.View, error) {
	list, err := d.list(ctx, who, empty{})
	if err != nil {
		return redoubt.View{}, err
	}
	view := directory.View{Address: list.Address, Issuers: list.Issuers, MaxName: 100}
	for _, c := range list.Connections {
		view.Connections = append(view.Connections, directory.Connection{ID: string(c.ID), Name: c.Name, Made: c.CreatedAt, Revoked: c.RevokedAt != nil})
	}
	return redoubt.View{Page: "directory", Title: "Directory", Data: view}, nil
}

func (d *Directory) connectPage(ctx context.Context, who layer.Principal, in Connect) (redoubt.View, error) {
	made, err := d.connect(ctx, who, in)
	if err != nil {
		return redoubt.View{}, err
	}
	return redoubt.View{Page: "directory-created", Title: "Connected", Data: directorycreated.View{Name: made.Name, Address: d.address, Credential: made.Credential}}, nil
}
