package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/internal/devedge"
	"github.com/redoubt-dev/redoubt/layer/identity"
	"github.com/redoubt-dev/redoubt/layer/identity/signon"
	"github.com/redoubt-dev/redoubt/layer/input/file/store"
	"github.com/redoubt-dev/redoubt/layer/perimeter"
	"github.com/redoubt-dev/redoubt/layer/perimeter/assertion"
	"github.com/redoubt-dev/redoubt/layer/perimeter/enrol"
	"github.com/redoubt-dev/redoubt/layer/perimeter/provision"
	"github.com/redoubt-dev/redoubt/layer/rls"
)

// The servers, by name.
const (
	bareTold     = "bare"
	bareSession  = "bare-session"
	conventional = "conventional"
	full         = "redoubt"
	fullKey      = "redoubt-key"
	fullTunnel   = "redoubt-tunnel"
	edgeServer   = "edge"

	where        = "where"         // Redoubt, with WHERE by hand
	whereOnce    = "where-once"    // … and without the second look-up
	whereAudited = "where-audited" // … with both, and an audit trail
)

var sessionCookie = identity.SessionCookie("").Name

// A task is what a server's process is told on its standard input. What follows there, any JSON value, asks for its usage.
type task struct {
	Server  string `json:"server"`
	Profile string `json:"profile"` // file for a CPU profile; empty for none
	stores
	Origin string `json:"origin"`
	Keys   string `json:"keys"` // the folder of the public certificate and its authority
	Folder string `json:"edge"` // the edge's

	Credential *enrol.Credential `json:"credential"` // of the connector that is behind that edge; null for the others
}

// stores is how a server reaches its database.
type stores struct {
	Database         string `json:"database"`
	IdentityDatabase string `json:"identity_database"`
	ClaimsKey        []byte `json:"claims_key"`
	TokenKey         []byte `json:"token_key"`
	ByHand           string `json:"by_hand"` // the database that WHERE is written for; empty for none
	Schema           string `json:"schema"`  // of the tables in the database without Redoubt
}

// ready is what the process says when it can be asked.
type ready struct {
	Address string `json:"address"`
}

const maxTask = 1 << 20 // bytes of standard input: a task, and two bytes for each measurement

func (w *world) stores() stores {
	return stores{Database: w.as("redoubt_app", guarded), IdentityDatabase: w.as("redoubt_identity", guarded), ClaimsKey: w.claims, TokenKey: w.token}
}

func (w *world) task(server string) task {
	t := task{Server: server, stores: w.stores(), Origin: origin, Keys: w.dir + "/tls", Folder: w.dir + "/edge"}
	switch server {
	case bareTold, bareSession, conventional:
		t.stores = stores{Database: w.as(plainRole, plain), Schema: bareSchema}
	case where, whereOnce, whereAudited:
		t.ByHand, t.Schema = w.as(whereRole, plain), bareSchema
	}
	switch server {
	case conventional:
		t.Schema = conventionalSchema
	case whereAudited:
		t.Schema = auditedSchema
	}
	return t
}

// origin is where the servers that are asked directly believe to be.
const origin = "https://localhost"

// Serve is the life of one server under measurement. Run starts it, and its standard input ends it.
func Serve(ctx context.Context, app redoubt.App, stdin io.Reader, stdout io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	orders := json.NewDecoder(io.LimitReader(stdin, maxTask))
	var t task
	if err := orders.Decode(&t); err != nil {
		return errors.New("the task on standard input is not readable: `redoubt bench` starts this command")
	}
	address, stop, err := t.serve(ctx, app)
	if err != nil {
		return err
	}
	defer stop()
	if t.Profile != "" {
		end, err := profile(t.Profile)
		if err != nil {
			return err
		}
		defer end()
	}
	answers := json.NewEncoder(stdout)
	if err := answers.Encode(ready{address}); err != nil {
		return err
	}
	asked := make(chan error)
	go func() {
		var nothing struct{}
		for orders.Decode(&nothing) == nil {
			answers.Encode(ownUsage()) // nobody there to read it: then standard input ends too
		}
		close(asked)
	}()
	select {
	case <-asked:
	case <-ctx.Done():
	}
	return nil
}

func profile(path string) (end func(), err error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("making a profile: %w", err)
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return nil, errors.Join(fmt.Errorf("making a profile: %w", err), file.Close())
	}
	return func() { pprof.StopCPUProfile(); file.Close() }, nil
}

func (t task) serve(ctx context.Context, app redoubt.App) (address string, stop func(), err error) {
	switch t.Server {
	case bareTold, bareSession, conventional:
		return t.servePlain(ctx)
	case full, fullKey:
		return t.serveFull(ctx, app)
	case where, whereOnce, whereAudited:
		return t.serveByHand(ctx, app)
	case fullTunnel:
		return t.serveTunnel(ctx, app)
	case edgeServer:
		return t.serveEdge(ctx)
	}
	return "", nil, fmt.Errorf("there is no server %q", t.Server)
}

// listen serves h in the same way for all of those that listen.
func listen(h http.Handler) (address string, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, fmt.Errorf("listening: %w", err)
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute}
	go server.Serve(l)
	return l.Addr().String(), func() { server.Close() }, nil
}

func (t task) servePlain(ctx context.Context) (string, func(), error) {
	// As many as Redoubt's two pools together.
	pool, err := openPool(ctx, t.Database, t.Schema, max(8, 4*runtime.GOMAXPROCS(0))+max(4, runtime.NumCPU()))
	if err != nil {
		return "", nil, err
	}
	s := newBare(pool, t.Server == bareSession)
	if t.Server == conventional {
		s = newConventional(pool)
	}
	address, stop, err := listen(s.handler())
	if err != nil {
		pool.Close()
		return "", nil, err
	}
	return address, func() { stop(); pool.Close() }, nil
}

// openPool connects to the tables of a schema.
func openPool(ctx context.Context, connection, schema string, most int) (*pgxpool.Pool, error) {
	pc, err := pgxpool.ParseConfig(connection)
	if err != nil {
		return nil, errors.New("reading a connection string: it is not valid")
	}
	pc.MaxConns = int32(most)
	pc.ConnConfig.RuntimeParams["search_path"] = schema + ", public"
	pool, err := pgxpool.NewWithConfig(ctx, pc)
	if err != nil {
		return nil, fmt.Errorf("opening a pool: %w", err)
	}
	return pool, nil
}

// serveByHand is serveFull with another way to the orders and posts, by a pool as large as Redoubt's own.
func (t task) serveByHand(ctx context.Context, app redoubt.App) (string, func(), error) {
	pool, err := openPool(ctx, t.ByHand, t.Schema, max(8, 4*runtime.GOMAXPROCS(0)))
	if err != nil {
		return "", nil, err
	}
	h := &hand{pool: pool, once: t.Server == whereOnce, audited: t.Server == whereAudited}
	address, stop, err := t.serveFull(ctx, inHand(app, h))
	if err != nil {
		pool.Close()
		return "", nil, err
	}
	return address, func() { stop(); pool.Close() }, nil
}

// open makes the application inside its layers.
func (t task) open(ctx context.Context, app redoubt.App, edge func() []assertion.VerifyKey) (*redoubt.Server, func(), error) {
	db, ids, err := openStores(ctx, app, t.stores)
	if err != nil {
		return nil, nil, err
	}
	folder, err := os.MkdirTemp(filepath.Dir(t.Keys), "files-") // nothing that is measured puts one there
	if err != nil {
		ids.Close()
		db.Close()
		return nil, nil, err
	}
	done := func() { ids.Close(); db.Close(); os.RemoveAll(folder) }
	files, err := store.OpenDir(folder)
	if err != nil {
		done()
		return nil, nil, err
	}
	server, err := redoubt.New(redoubt.Config{App: app, Files: files, Origin: t.Origin, DB: db, Identity: ids, ClaimsKey: t.ClaimsKey, TokenKey: t.TokenKey,
		Edge: edge, Audience: app.Name, InsecureWithoutPerimeter: edge == nil, Log: slog.New(slog.NewJSONHandler(os.Stderr, nil))})
	if err != nil {
		done()
		return nil, nil, err
	}
	return server, done, nil
}

func provider() signon.Config {
	return signon.Config{Issuer: issuer, ClientID: "bench", ClientSecret: "unused", RedirectURL: "https://localhost" + redoubt.CallbackPath}
}

func openStores(ctx context.Context, app redoubt.App, s stores) (*rls.DB, *identity.Service, error) {
	p, err := signon.New(provider())
	if err != nil {
		return nil, nil, err
	}
	db, err := rls.Open(ctx, rls.Config{Connection: s.Database})
	if err != nil {
		return nil, nil, err
	}
	ids, err := identity.Open(ctx, identity.Config{Connection: s.IdentityDatabase, Providers: []identity.Provider{{SignOn: p}}, Key: s.ClaimsKey, Scopes: app.Scopes})
	if err != nil {
		db.Close()
		return nil, nil, err
	}
	return db, ids, nil
}

func (t task) serveFull(ctx context.Context, app redoubt.App) (string, func(), error) {
	server, done, err := t.open(ctx, app, nil)
	if err != nil {
		return "", nil, err
	}
	address, stop, err := listen(server)
	if err != nil {
		done()
		return "", nil, err
	}
	return address, func() { stop(); done() }, nil
}

// serveTunnel serves without listening, as `redoubt serve` does.
func (t task) serveTunnel(ctx context.Context, app redoubt.App) (string, func(), error) {
	server, done, err := t.open(ctx, app, t.Credential.Keys)
	if err != nil {
		return "", nil, err
	}
	connector, err := perimeter.NewConnector(perimeter.ConnectorConfig{Credential: t.Credential, Handler: server})
	if err != nil {
		done()
		return "", nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() { connector.Run(ctx); close(ended) }()
	select {
	case <-connector.Ready():
	case <-time.After(startLimit):
		err = errors.New("the application does not reach its edge")
	}
	return "", func() { cancel(); <-ended; done() }, err
}

// serveEdge runs an edge, which logs every request as that of `redoubt up` does.
func (t task) serveEdge(ctx context.Context) (string, func(), error) {
	keys, err := provision.Open(t.Keys, nil)
	if err != nil {
		return "", nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, fmt.Errorf("listening: %w", err)
	}
	edge, err := devedge.New(devedge.Config{Folder: t.Folder, Application: "Commons", Origin: originAt(l.Addr().String()), GetCertificate: keys.GetCertificate,
		Access: os.Stderr, Log: slog.New(slog.NewJSONHandler(os.Stderr, nil))})
	if err != nil {
		l.Close()
		return "", nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() { edge.Serve(ctx, l, nil); close(ended) }()
	return l.Addr().String(), func() { cancel(); <-ended }, nil
}
