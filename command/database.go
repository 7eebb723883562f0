package command

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"github.com/jackc/pgx/v5"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/backbone/migrate"
	"github.com/redoubt-dev/redoubt/internal/postgres"
)

var secretNames = []string{"postgres", "redoubt-migrator", "redoubt-app", "redoubt-identity", "redoubt-webhook", "claims-key", "token-key", "client-secret"}

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
	for _, name := range []string{"secrets", "files", "spool", "people.json", "application.log", "edge.log"} {
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
	passwords := map[string]string{"redoubt_migrator": s.secrets["redoubt-migrator"], "redoubt_app": s.secrets["redoubt-app"], "redoubt_identity": s.secrets["redoubt-identity"],
		"redoubt_webhook": s.secrets["redoubt-webhook"]}
	n, err := migrate.Run(ctx, migrate.Config{
		Admin: s.admin, Migrator: func() string { return s.database("redoubt_migrator", passwords["redoubt_migrator"]) },
		Lines: append(redoubt.LayerSchema(), s.app.Schema...), Roles: passwords, Assert: redoubt.Isolated,
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
