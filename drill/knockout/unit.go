package knockout

import (
	"cmp"
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/redoubt-dev/redoubt/layer"
)

// A Unit is what can be taken out by itself: one mechanism of one layer, or one cause that several share.
type Unit struct {
	Name  string      // "transport/csp"; begins with its layer's name, or with "cause/"
	Layer layer.Layer // whose mechanism it is; "" for a common cause
	What  string      // what it is, in a few words, for people
	Gone  string      // what is there in its place when it is out

	// How it is taken out: any of these, all of the disposable copy alone.
	Cuts     []Cut    // functions of the copy's source that let everything pass
	SQL      []string // said to the copy's database by its superuser, when everything has started
	NoPolicy bool     // the edge is started without its access policy

	// Bites proves that it is out: it fails unless, in a copy where this unit alone is missing, something passes that the unit would have
	// stopped by itself, or is seen to be gone (the catalogs, a header). It must fail where the unit is in place.
	Bites func(ctx context.Context, at Place) error
}

// Common reports whether it is a common cause: one failure that several layers share, and that costs one (effective depth).
func (u Unit) Common() bool { return u.Layer == "" }

// A Cut replaces the beginning of one function of the copy's source.
type Cut struct {
	Package string   // its folder: "layer/gate/page"
	Func    string   // "Check", or "Gate.Check" for a method of Gate or *Gate
	Body    string   // statements in Go, put before those of the function; usually they return
	Imports []string // paths that Body needs and the file does not import
}

// A Place is a running copy, as far as a proof needs it. Package target has one, and says there who can ask.
type Place interface {
	Admin() *pgx.Conn // the copy's superuser
	Ask(ctx context.Context, who, method, path string, form map[string]string, header ...string) (status int, answer map[string][]string, body string, err error)
	Send(ctx context.Context, who, method, path, kind string, content []byte) (status int, answer map[string][]string, body string, err error)
	Connect(ctx context.Context, role, secret string) (*pgx.Conn, error) // as one of the database's roles, with a password of the copy's
	Missed() []string                                                    // units that are out and were asked for
}

// Units are all of them: layers in the order in which a request meets them, then common causes.
func Units() []Unit {
	all := slices.Concat(perimeterUnits(), transportUnits(), identityUnits(), gateUnits(), inputUnits(), rlsUnits(), auditUnits())
	slices.SortStableFunc(all, func(a, b Unit) int {
		return cmp.Compare(slices.Index(layer.All, a.Layer), slices.Index(layer.All, b.Layer))
	})
	return append(all, causes()...)
}
