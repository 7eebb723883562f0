// Package layertest lets an application's tests say what should be refused, and by which layer. A World is the application inside
// its real layers, on a real PostgreSQL, with organizations and people of its own; requests go straight into the handler, so
// that no test waits for a socket. Nothing here is a mock: what a test sees refused is refused in production.
//
//	func TestMain(m *testing.M) { layertest.Main(m) }
//
//	func TestOrdersStayHome(t *testing.T) {
//		w := layertest.World(t, commons.App)
//		alice, dave := w.Member("Acme"), w.Member("Globex")
//		order := alice.Post("/api/v1/orders", shop.PlaceOrder{ProductID: product, Quantity: 2}).Created()
//		dave.Get("/api/v1/orders/" + order.ID).NotFound(layer.RLS)
//	}
//
// Tests of one package share a database and keep apart by using fresh organizations, as tenants do.
package layertest

import (
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/internal/pgtest"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/identity"
	"github.com/redoubt-dev/redoubt/layer/identity/signon"
	"github.com/redoubt-dev/redoubt/layer/input/file/store"
	"github.com/redoubt-dev/redoubt/layer/rls"
)

// Main runs the tests of a package that uses worlds. It does not return.
func Main(m *testing.M) { pgtest.Main(m) }

// Origin is where a World's application believes to be.
const Origin = "https://app.example.test"

// issuer is the identity provider that everybody has signed in at. Nobody ever contacts it: who begins to sign in is sent there.
const issuer = "https://sign-on.example.test"

// sealed answers in place of the issuer what is needed to send somebody there, and nothing more.
type sealed struct{}

func (sealed) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.String() != issuer+"/.well-known/openid-configuration" {
		return nil, errors.New("the provider of tests is not to be asked")
	}
	const text = `{"issuer": "` + issuer + `", "authorization_endpoint": "` + issuer + `/authorize", "token_endpoint": "` + issuer + `/token", "jwks_uri": "` + issuer + `/keys"}`
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(text)), Request: r}, nil
}

// A W is a world: an application inside its layers, its database, its organizations and people. It may be used concurrently.
type W struct {
	DB       *rls.DB
	Identity *identity.Service
	Hooks    *rls.DB         // opened as redoubt_webhook, for what presents an endpoint's credential
	Files    store.Store     // keeps what is uploaded, in FilesDir
	FilesDir string          // the folder with what has been uploaded; nothing there is readable by its name
	Server   *redoubt.Server // nil for an application without Start, which has only a schema

	ClaimsKey []byte // authenticates claims; for tests that forge them with and without it

	tb       testing.TB
	app      redoubt.App
	database *pgtest.DB

	mu    sync.Mutex // guards admin and orgs
	admin *pgx.Conn  // made when first needed
	orgs  map[string]layer.OrgID
}

// World makes a world for a test. Its database is shared by the package's tests of the same schema; its organizations are not.
func World(tb testing.TB, app redoubt.App) *W {
	tb.Helper()
	key, build := template(app)
	database := pgtest.Shared(tb, key, build)
	once, _ := closed.LoadOrStore(database.Name, new(sync.Once))
	once.(*sync.Once).Do(func() { closeDatabase(tb, database.Admin) })
	return open(tb, app, database)
}

// Disposable is World with a database of the test's own, which the test may damage.
func Disposable(tb testing.TB, app redoubt.App) *W {
	tb.Helper()
	key, build := template(app)
	database := pgtest.Database(tb, key, build)
	closeDatabase(tb, database.Admin)
	return open(tb, app, database)
}

func open(tb testing.TB, app redoubt.App, database *pgtest.DB) *W {
	tb.Helper()
	w := &W{tb: tb, app: app, database: database, orgs: map[string]layer.OrgID{}, ClaimsKey: random(32)}
	tb.Cleanup(w.close)
	provider := signon.Config{Issuer: issuer, ClientID: "layertest", ClientSecret: "layertest", RedirectURL: Origin + redoubt.CallbackPath, HTTP: &http.Client{Transport: sealed{}}}
	idp, err := signon.New(provider)
	must(tb, "configuring the identity provider", err)
	w.DB, err = rls.Open(tb.Context(), rls.Config{Connection: w.Connection("redoubt_app"), MaxConns: 8})
	must(tb, "opening the database", err)
	w.Identity, err = identity.Open(tb.Context(), identity.Config{Connection: w.Connection("redoubt_identity"), Providers: []identity.Provider{{SignOn: idp}}, Key: w.ClaimsKey, Scopes: app.Scopes, Machines: machines(), CreatorGroup: Creators})
	must(tb, "opening the session store", err)
	w.Hooks, err = rls.Open(tb.Context(), rls.Config{Connection: w.Connection("redoubt_webhook"), MaxConns: 4})
	must(tb, "opening the database for endpoints", err)
	if app.Start == nil {
		return w
	}
	w.FilesDir = filepath.Join(tb.TempDir(), "files")
	w.Files, err = store.OpenDir(w.FilesDir)
	must(tb, "opening the folder of files", err)
	w.Server, err = redoubt.New(redoubt.Config{
		App: app, Files: w.Files, Spool: tb.TempDir(), Origin: Origin, DB: w.DB, Identity: w.Identity, Deliveries: w.Hooks, ClaimsKey: w.ClaimsKey, TokenKey: random(32),
		Log: slog.New(witness{}), InsecureWithoutPerimeter: true,
	})
	must(tb, "starting the application", err)
	return w
}

func (w *W) close() {
	if w.Identity != nil {
		w.Identity.Close()
	}
	for _, db := range []*rls.DB{w.DB, w.Hooks} {
		if db != nil {
			db.Close()
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.admin != nil {
		w.admin.Close(background)
	}
}

// Routes is everything that is answered, by the application and by Redoubt itself, for tests that ask for all there is.
func (w *W) Routes() []redoubt.Route { return w.Server.Routes() }

// Parts is what an application builds on, to make one of its parts by hand.
func (w *W) Parts() redoubt.Parts {
	w.tb.Helper()
	parts := redoubt.Parts{DB: w.DB, Identity: w.Identity, Provider: "the provider of tests"}
	if w.Files != nil {
		var err error
		parts.Files, err = redoubt.OpenFiles(w.DB, w.Files)
		must(w.tb, "opening the files", err)
	}
	return parts
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

func must(tb testing.TB, doing string, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatalf("%s: %v", doing, err)
	}
}
