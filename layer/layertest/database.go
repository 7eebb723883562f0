package layertest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/url"
	"slices"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/backbone/migrate"
)

// password opens every role of a test's server, which is private to the account that runs the tests. It is one for all because
// roles belong to the whole server, and many packages' tests share it.
const password = "layertest"

var background = context.Background() // for ending what a test's own context has outlived

// template names a database by everything that its schema is made of, and says how to build it.
func template(app redoubt.App) (key string, build func(context.Context, string) error) {
	lines := slices.Concat(redoubt.LayerSchema(), app.Schema)
	return "layertest " + digest(lines), func(ctx context.Context, admin string) error {
		_, err := migrate.Run(ctx, migrate.Config{
			Admin: admin, Lines: lines, Migrator: func() string { return as(admin, "redoubt_migrator") },
			Roles: passwords(),
		})
		if err != nil || len(app.Schema) > 0 {
			return err
		}
		return setPasswords(ctx, admin) // which the first application line would have done
	}
}

// closed holds a sync.Once for each shared database.
var closed sync.Map

// closeDatabase repeats what a copy of a database does not inherit from it: the rights on the database itself.
func closeDatabase(tb testing.TB, admin string) {
	tb.Helper()
	_, err := connect(tb, admin).Exec(tb.Context(), `select guard.close_database()`)
	must(tb, "closing the database", err)
}

func setPasswords(ctx context.Context, admin string) error {
	conn, err := pgx.Connect(ctx, admin)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	return migrate.SetPasswords(ctx, conn, passwords())
}

// passwords opens all of Redoubt's login roles.
func passwords() map[string]string {
	all := map[string]string{}
	for _, role := range redoubt.LoginRoles() {
		all[role] = password
	}
	return all
}

// as is the same database's address for another role.
func as(admin, role string) string {
	u, err := url.Parse(admin)
	if err != nil {
		panic(err) // pgtest made it
	}
	u.User = url.UserPassword(role, password)
	return u.String()
}

func digest(lines []migrate.Line) string {
	h := sha256.New()
	for _, line := range lines {
		fmt.Fprintf(h, "line %s %t\n", line.Name, line.Application)
		fs.WalkDir(line.Files, ".", func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			text, err := fs.ReadFile(line.Files, path)
			fmt.Fprintf(h, "file %s %d\n", path, len(text))
			h.Write(text)
			return err // migrate reports it, with its sentence
		})
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Connection is the world's database's address for one of redoubt.LoginRoles.
func (w *W) Connection(role string) string { return w.database.ConnString(role, password) }

// AsApp connects as the application does, for attacks that type SQL by hand: the password is stolen, the credential is not.
func (w *W) AsApp(tb testing.TB) *pgx.Conn { return connect(tb, w.Connection("redoubt_app")) }

// AsIdentity connects as package identity does.
func (w *W) AsIdentity(tb testing.TB) *pgx.Conn { return connect(tb, w.Connection("redoubt_identity")) }

// AsMigrator connects as the program that migrates does.
func (w *W) AsMigrator(tb testing.TB) *pgx.Conn { return connect(tb, w.Connection("redoubt_migrator")) }

// AsRole connects as one of redoubt.LoginRoles.
func (w *W) AsRole(tb testing.TB, role string) *pgx.Conn { return connect(tb, w.Connection(role)) }

// Admin connects as the superuser, who sees everything: to look what an attack has left, and to damage a Disposable world.
func (w *W) Admin(tb testing.TB) *pgx.Conn { return connect(tb, w.database.Admin) }

func connect(tb testing.TB, address string) *pgx.Conn {
	tb.Helper()
	conn, err := pgx.Connect(tb.Context(), address)
	must(tb, "connecting to the database", err)
	tb.Cleanup(func() { conn.Close(background) })
	return conn
}
