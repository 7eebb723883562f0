package command

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/backbone/migrate"
	"github.com/redoubt-dev/redoubt/internal/devidp"
	"github.com/redoubt-dev/redoubt/internal/postgres"
	"github.com/redoubt-dev/redoubt/layer/perimeter"
	"github.com/redoubt-dev/redoubt/layer/perimeter/provision"
)

// A system is everything that up has started.
type system struct {
	app   redoubt.App
	flags upFlags
	dir   upDir
	tell  *teller

	cluster  *postgres.Cluster // nil with --database-url
	database func(user, password string) string
	admin    string
	secrets  map[string]string
	keys     *provision.Keys
	origin   string
	plainURL string
	issuer   string
	ports    ports

	remembered memory // of earlier runs
	people     []devPerson
	child      *application
	failed     chan error
	stops      []func(context.Context) error // run in reverse
}

// stopLimit bounds an orderly end; what has not ended by then is ended.
const stopLimit = 40 * time.Second

func (s *system) later(stop func(context.Context) error) { s.stops = append(s.stops, stop) }

func (s *system) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
	defer cancel()
	var faults []error
	for _, stop := range slices.Backward(s.stops) {
		faults = append(faults, stop(ctx))
	}
	return errors.Join(faults...)
}

// start starts every part, from the inside out.
func (s *system) start(ctx context.Context) error {
	s.failed = make(chan error, 8)
	for _, step := range []func(context.Context) error{s.startDatabase, s.migrate, s.recall, s.listen, s.startProvider, s.fill, s.startEdge, s.startApplication} {
		err := step(ctx)
		if ctx.Err() != nil {
			return errors.New("interrupted before everything had started")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// wait ends when ctx does, or when a part fails.
func (s *system) wait(ctx context.Context) error {
	var server <-chan struct{}
	if s.cluster != nil {
		server = s.cluster.Done()
	}
	select {
	case <-ctx.Done():
		if !s.tell.json {
			fmt.Fprintln(s.tell.out, "\nStopping.")
		}
		return nil
	case <-server:
		return hinted{errors.New("the database server has ended by itself"), "read postgres.log beside the database's files"}
	case err := <-s.failed:
		return err
	}
}

// ---- database ----

var secretNames = []string{"postgres", "redoubt-migrator", "redoubt-app", "redoubt-identity", "claims-key", "token-key", "client-secret"}

func (s *system) startDatabase(ctx context.Context) error {
	if err := s.dir.create(); err != nil {
		return err
	}
	if s.flags.databaseURL != "" {
		return s.useDatabase(ctx)
	}
	cache, err := cacheDir()
	if err != nil {
		return err
	}
	binaries, err := postgres.Find(ctx, postgres.FindConfig{CacheDir: cache, Download: true, Say: s.tell.say})
	if err != nil {
		return err
	}
	cluster, err := s.clusterDir(binaries)
	if err != nil {
		return err
	}
	if s.flags.reset {
		if err := s.reset(cluster); err != nil {
			return err
		}
	}
	if err := s.readSecrets(); err != nil {
		return err
	}
	s.cluster, err = postgres.Start(ctx, postgres.Config{Binaries: binaries, Dir: cluster, Profile: postgres.Durable, Password: s.secrets["postgres"]})
	if err != nil {
		return err
	}
	s.later(s.cluster.Stop)
	s.database = func(user, password string) string { return s.cluster.ConnString(user, password, "redoubt") }
	s.admin = s.database("postgres", s.secrets["postgres"])
	if err := createDatabase(ctx, s.cluster.ConnString("postgres", s.secrets["postgres"], "postgres")); err != nil {
		return err
	}
	s.tell.step("database", "PostgreSQL "+binaries.Version+", private, on a Unix socket")
	return nil
}

// cacheDir is where a downloaded PostgreSQL is kept. Its server runs as another account when root starts it, which must reach it.
func cacheDir() (string, error) {
	if os.Geteuid() == 0 {
		return "/var/cache/redoubt", nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding a folder for downloads: %w", err)
	}
	return filepath.Join(dir, "redoubt"), nil
}

// useDatabase takes somebody else's server. Its connections differ only in who they are.
func (s *system) useDatabase(ctx context.Context) error {
	u, err := url.Parse(s.flags.databaseURL)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return usageError{errors.New("--database-url is not a postgres:// address")}
	}
	if s.flags.reset {
		return usageError{errors.New("--reset does not touch a database that is not up's own; drop it yourself")}
	}
	if err := s.readSecrets(); err != nil {
		return err
	}
	s.admin = u.String()
	s.database = func(user, password string) string {
		as := *u
		as.User = url.UserPassword(user, password)
		return as.String()
	}
	conn, err := pgx.Connect(ctx, s.admin)
	if err != nil {
		return hinted{errors.New("the database at --database-url cannot be reached"), "check the address, that the server runs, and that the password is right"}
	}
	defer conn.Close(ctx)
	var version int
	var super bool
	if err := conn.QueryRow(ctx, `select current_setting('server_version_num')::int, rolsuper from pg_roles where rolname = current_user`).Scan(&version, &super); err != nil {
		return fmt.Errorf("looking at the database: %w", err)
	}
	switch {
	case version < 150000:
		return hinted{fmt.Errorf("the database is PostgreSQL %d; 15 or later is needed", version/10000), "use a newer server, or leave --database-url out"}
	case !super:
		return hinted{errors.New("--database-url must name a superuser, for setting up alone"), "roles, event triggers and rights on built-in functions are made with it; the application itself never connects so"}
	}
	s.tell.step("database", fmt.Sprintf("PostgreSQL %d.%d at %s", version/10000, version%10000, u.Host))
	return nil
}

func (s *system) readSecrets() error {
	s.secrets = map[string]string{}
	for _, name := range secretNames {
		v, err := s.dir.secrets().Once(name, 32)
		if err != nil {
			return err
		}
		s.secrets[name] = v.Reveal()
	}
	return nil
}

// clusterDir is where the database's files are: in the data directory, unless root started us and the server's account, which is
// never root, cannot get there. Then they are in a folder of their own, which belongs to this data directory alone.
func (s *system) clusterDir(b postgres.Binaries) (string, error) {
	dir := string(s.dir)
	if postgres.Reachable(b, dir) == nil {
		return dir, nil
	}
	sum := sha256.Sum256([]byte(dir))
	apart := filepath.Join("/var/lib/redoubt/clusters", hex.EncodeToString(sum[:8]))
	s.tell.say("the database server's account cannot enter " + dir + ", so its files are in " + apart)
	if err := os.MkdirAll(apart, 0o711); err != nil {
		return "", fmt.Errorf("making the database's folder: %w", err)
	}
	if _, err := os.Stat(string(s.dir.secrets())); errors.Is(err, fs.ErrNotExist) {
		return apart, empty(apart) // the data directory is new: what is there belonged to an earlier one of the same name
	}
	return apart, nil
}

// reset removes what earlier runs left, but not while one of them runs, and not the authority that browsers may trust.
func (s *system) reset(cluster string) error {
	if err := empty(cluster); err != nil {
		return err
	}
	for _, name := range []string{"secrets", "people.json", "application.log", "edge.log"} {
		if err := os.RemoveAll(filepath.Join(string(s.dir), name)); err != nil {
			return fmt.Errorf("removing earlier data: %w", err)
		}
	}
	s.tell.step("reset", "earlier data is gone")
	return nil
}

// empty throws a cluster away that nobody runs.
func empty(cluster string) error {
	release, err := postgres.Hold(cluster)
	if err != nil {
		return err
	}
	defer release()
	for _, name := range []string{"pg", "postgres.log", "postgres.log.1"} {
		if err := os.RemoveAll(filepath.Join(cluster, name)); err != nil {
			return fmt.Errorf("removing earlier data: %w", err)
		}
	}
	return nil
}

func createDatabase(ctx context.Context, admin string) error {
	conn, err := pgx.Connect(ctx, admin)
	if err != nil {
		return fmt.Errorf("connecting to the new server: %w", err)
	}
	defer conn.Close(ctx)
	var there bool
	if err := conn.QueryRow(ctx, `select exists (select from pg_database where datname = 'redoubt')`).Scan(&there); err != nil || there {
		return err
	}
	_, err = conn.Exec(ctx, `create database redoubt`)
	return err
}

func (s *system) migrate(ctx context.Context) error {
	passwords := map[string]string{"redoubt_migrator": s.secrets["redoubt-migrator"], "redoubt_app": s.secrets["redoubt-app"], "redoubt_identity": s.secrets["redoubt-identity"]}
	n, err := migrate.Run(ctx, migrate.Config{
		Admin: s.admin, Migrator: func() string { return s.database("redoubt_migrator", passwords["redoubt_migrator"]) },
		Lines: append(redoubt.LayerSchema(), s.app.Schema...), Roles: passwords,
	})
	if errors.Is(err, migrate.ErrChanged) {
		return hinted{err, "the database was made by another version of this program; `redoubt up --reset` makes it anew"}
	}
	if err != nil {
		return err
	}
	s.tell.step("schema", plural(n, "new migration"))
	return nil
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// ---- network ----

// ports are the addresses that up listens on. They are taken first, so that each part can be told where the others are.
type ports struct{ public, plain, provider net.Listener }

func (s *system) listen(context.Context) (err error) {
	if s.keys, err = provision.Open(s.dir.tls(), nil); err != nil {
		return err
	}
	if s.ports.public, err = s.port("--listen", s.flags.listen); err != nil {
		return err
	}
	if s.ports.plain, err = s.port("--listen-http", s.flags.listenHTTP); err != nil {
		return err
	}
	if s.ports.provider, err = s.providerPort(); err != nil {
		return err
	}
	s.origin = browserAddress("localhost", s.ports.public)
	s.issuer = browserAddress("127.0.0.1", s.ports.provider)
	s.plainURL = "http://localhost:" + portOf(s.ports.plain)
	return nil
}

// port takes a port until the system stops.
func (s *system) port(flag, address string) (net.Listener, error) {
	l, err := takePort(flag, address)
	if err == nil {
		s.later(func(context.Context) error { l.Close(); return nil }) // no harm if its server has closed it
	}
	return l, err
}

// providerPort takes the provider's port of the last run, or the one beside the usual port of the edge, or else any. People are
// known by their issuer, which holds the port: fill moves them along if it had to change.
func (s *system) providerPort() (net.Listener, error) {
	wanted := []string{}
	if last, err := url.Parse(s.remembered.Issuer); err == nil && last.Host != "" {
		wanted = append(wanted, last.Host)
	}
	if _, port, _ := net.SplitHostPort(s.flags.listen); port == "8443" {
		wanted = append(wanted, "127.0.0.1:8444")
	}
	for _, address := range append(wanted, "127.0.0.1:0") {
		if l, err := s.port("", address); err == nil {
			return l, nil
		}
	}
	return nil, errors.New("no port of this machine is free for the identity provider")
}

// takePort listens on address, and says whose mistake it is if that does not work.
func takePort(flag, address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, hinted{fmt.Errorf("%s %s cannot be listened on: %w", flag, address, errors.Unwrap(err)), "choose another address with " + flag + ", or end the program that has it"}
	}
	return l, nil
}

// browserAddress is how a browser names a listener of ours: by localhost, so that cookies of the application and of the provider,
// which is at 127.0.0.1, stay apart (cookies do not tell ports apart).
func browserAddress(host string, l net.Listener) string {
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return "https://" + net.JoinHostPort(host, port)
}

// logTo opens a log in the data directory. It begins anew when it has grown large.
func (s *system) logTo(name string) (*os.File, error) {
	path := s.dir.log(name)
	if info, err := os.Stat(path); err == nil && info.Size() > maxLog {
		if err := os.Rename(path, path+".1"); err != nil {
			return nil, fmt.Errorf("putting a long log aside: %w", err)
		}
	}
	return os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
}

const maxLog = 16 << 20

func (s *system) startEdge(ctx context.Context) error {
	log, err := s.logTo("edge")
	if err != nil {
		return err
	}
	edge, err := perimeter.NewEdge(perimeter.EdgeConfig{Origin: s.origin, Audience: s.app.Name, Signer: s.keys.Edge.Signer, GetCertificate: s.keys.Edge.GetCertificate,
		Link: s.keys.Edge.Link, Connectors: s.keys.Edge.Connectors, Log: slog.New(slog.NewJSONHandler(log, nil))})
	if err != nil {
		return err
	}
	s.background(func() error { return edge.Serve(context.WithoutCancel(ctx), s.ports.public, s.ports.plain) })
	s.later(func(ctx context.Context) error { defer log.Close(); return edge.Shutdown(ctx) })
	s.tell.step("edge", s.origin+", TLS by the authority in "+s.keys.CAFile)
	return nil
}

func portOf(l net.Listener) string {
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// background runs a part and reports if it ends with an error.
func (s *system) background(run func() error) {
	go func() {
		if err := run(); err != nil && !errors.Is(err, http.ErrServerClosed) {
			s.failed <- err
		}
	}()
}

func (s *system) startProvider(ctx context.Context) error {
	provider, err := devidp.New(devidp.Config{Issuer: s.issuer, People: devPeople(), Clients: []devidp.Client{{
		ID: s.app.Name, Secret: s.secrets["client-secret"], RedirectURIs: []string{s.origin + redoubt.CallbackPath}, PostLogoutRedirectURIs: []string{s.origin + redoubt.SignedOutPath},
	}}})
	if err != nil {
		return err
	}
	server := &http.Server{Handler: provider, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute,
		MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS13, GetCertificate: s.keys.Edge.GetCertificate}}
	s.background(func() error { return server.ServeTLS(s.ports.provider, "", "") })
	s.later(server.Shutdown)
	s.tell.step("sign-on", s.issuer+", for development: anyone can become anyone")
	return nil
}

// applicationOrder is what the application's process is told.
func (s *system) applicationOrder() (order, error) {
	ca, err := os.ReadFile(s.keys.CAFile)
	if err != nil {
		return order{}, err
	}
	o := order{
		Origin: s.origin, Audience: s.app.Name, Edge: s.ports.public.Addr().String(),
		Database:         s.database("redoubt_app", s.secrets["redoubt-app"]),
		IdentityDatabase: s.database("redoubt_identity", s.secrets["redoubt-identity"]),
		ClaimsKey:        []byte(s.secrets["claims-key"]), TokenKey: []byte(s.secrets["token-key"]),
		Issuer: s.issuer, ClientID: s.app.Name, ClientSecret: s.secrets["client-secret"], ProviderCA: ca, ProviderName: "Your development sign-on",
	}
	return o, o.setLink(s.keys.Application)
}
