package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/backbone/migrate"
	"github.com/redoubt-dev/redoubt/backbone/secret"
)

const migrateLong = `Applies what is missing of the schema: each layer's line of files as the superuser that --database-url names, then the application's
as redoubt_migrator. Each file is one transaction; after each of the application's the catalogs are asked whether every tenant table is
still isolated. A failure leaves the database as it was before that file. Two programs never migrate one database at once.

The passwords of redoubt_migrator, redoubt_app and redoubt_identity are the secrets of the same names with hyphens: files in the
folder --secrets, or REDOUBT_SECRET_REDOUBT_MIGRATOR and so on. They are set on the roles. Those of the roles that not everybody uses
(redoubt-worker, redoubt-webhook, redoubt-analytics, redoubt-auditor, redoubt-backup) are set where there is one; nobody can log in as the
others.`

type migrateFlags struct {
	databaseURL, secrets string
	plan, json           bool
}

func migrateCommand(app redoubt.App) *cobra.Command {
	var f migrateFlags
	c := &cobra.Command{
		Use:   "migrate",
		Short: "Bring a database to the schema of this program",
		Long:  migrateLong,
		RunE:  func(c *cobra.Command, _ []string) error { return migrateDatabase(c, app, f) },
	}
	c.Flags().StringVar(&f.databaseURL, "database-url", "", "the database, as a superuser (REDOUBT_DATABASE_URL)")
	c.Flags().StringVar(&f.secrets, "secrets", "", "the folder with the roles' passwords; the environment is asked first")
	c.Flags().BoolVar(&f.plan, "plan", false, "list what would be applied, and change nothing")
	c.Flags().BoolVar(&f.json, "json", false, "print one JSON object per line")
	return c
}

func migrateDatabase(c *cobra.Command, app redoubt.App, f migrateFlags) error {
	if f.databaseURL == "" {
		f.databaseURL = os.Getenv("REDOUBT_DATABASE_URL")
	}
	u, err := url.Parse(f.databaseURL)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return usageError{errors.New("--database-url is not a postgres:// address")}
	}
	tell := newTeller(c.OutOrStdout(), f.json)
	cfg := migrate.Config{Admin: u.String(), Lines: append(redoubt.LayerSchema(), app.Schema...), Assert: redoubt.Isolated,
		Say: func(file string) { tell.step("applying", file) }}
	if f.plan {
		return plan(c, cfg, tell)
	}
	if cfg.Roles, err = rolePasswords(c, f.secrets); err != nil {
		return err
	}
	cfg.Migrator = func() string {
		as := *u
		as.User = url.UserPassword("redoubt_migrator", cfg.Roles["redoubt_migrator"])
		return as.String()
	}
	n, err := migrate.Run(c.Context(), cfg)
	if err != nil {
		return migrationError(err)
	}
	tell.step("done", plural(n, "file")+" applied")
	return nil
}

func plan(c *cobra.Command, cfg migrate.Config, tell *teller) error {
	steps, err := migrate.Plan(c.Context(), cfg)
	if err != nil {
		return migrationError(err)
	}
	for _, s := range steps {
		if tell.json {
			line, err := json.Marshal(s)
			if err != nil {
				return err
			}
			fmt.Fprintln(tell.out, string(line))
			continue
		}
		fmt.Fprintf(tell.out, "  %-10s %-24s as %-34s %s\n", s.Line, s.Name, s.As, tell.paint("2", s.SHA256[:16]))
		if s.Reason != "" {
			fmt.Fprintf(tell.out, "  %-10s sees every organization's rows: %s\n", "", s.Reason)
		}
	}
	if !tell.json {
		fmt.Fprintln(tell.out, plural(len(steps), "file")+" to apply")
	}
	return nil
}

// needed are the roles without which nothing runs.
var needed = []string{"redoubt_migrator", "redoubt_app", "redoubt_identity"}

// rolePasswords asks the environment, and then the folder, for each login role's.
func rolePasswords(c *cobra.Command, dir string) (map[string]string, error) {
	stores := []secret.Store{secret.Env("REDOUBT_SECRET_")}
	if dir != "" {
		stores = append(stores, secret.Dir(dir))
	}
	passwords := map[string]string{}
	for _, role := range redoubt.LoginRoles() {
		name := strings.ReplaceAll(role, "_", "-")
		v, err := secret.First(stores...).Get(c.Context(), name)
		switch {
		case err == nil:
			passwords[role] = v.Reveal()
		case !errors.Is(err, secret.ErrNotFound):
			return nil, err
		case slices.Contains(needed, role):
			return nil, hinted{fmt.Errorf("there is no password for %s", role), "put it into a file " + name + " (mode 0600) in the folder --secrets, or into the environment; `redoubt migrate --help` says how"}
		}
	}
	return passwords, nil
}

// migrationError gives the hint that fits.
func migrationError(err error) error {
	if errors.Is(err, migrate.ErrChanged) {
		return hinted{err, "the database was made by another version of this program: a file that has been applied must stay as it was"}
	}
	return err
}
