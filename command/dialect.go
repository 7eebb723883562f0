package command

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/redoubt-dev/redoubt/layer/rls/dialect"
)

const dbDialectLong = `Prints what isolates the tenant tables of a database on another engine, and what of its schema that engine refuses, does
otherwise or does silently worse, each with the page that says so. Both are derived from the catalogs of a PostgreSQL that the guard
watches. It only reads: the session is read-only. Nothing of it was run on those engines; docs/scaling.md says what was.

The text is SQL with the findings as comments, to be read before any of it is run. Without --database-url the environment says which
database, in PGHOST, PGDATABASE, PGUSER, PGPASSWORD and the others that PostgreSQL's own programs read.

Engines: postgresql, citus, cockroachdb, yugabytedb. The exit status is 1 when something would protect less without a word.`

// dbDialectCommand meets SYSTEM D8.
func dbDialectCommand() *cobra.Command {
	var cfg dialect.Config
	var engine string
	var asJSON bool
	c := &cobra.Command{
		Use:   "dialect",
		Short: "Print the isolation of a database's tables for another engine, and what stands in the way",
		Long:  dbDialectLong,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 { // which may be an address with its password: it is not repeated
				return errors.New("dialect takes flags alone; the engine follows --engine and the database's address --database-url")
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error {
			cfg.Engine = dialect.Engine(engine)
			return dbDialect(c, cfg, asJSON)
		},
	}
	wrapArgs(c) // the root wraps its own children alone
	c.Flags().StringVar(&engine, "engine", "", "postgresql, citus, cockroachdb or yugabytedb")
	c.Flags().StringVar(&cfg.ConnString, "database-url", "", "the database, as postgres://user@host:port/name; empty: what PGHOST and its like say")
	c.Flags().BoolVar(&asJSON, "json", false, "report as JSON")
	return c
}

func dbDialect(c *cobra.Command, cfg dialect.Config, asJSON bool) error {
	report, err := dialect.Read(c.Context(), cfg)
	switch {
	case dialect.Misused(err):
		return hinted{usageError{err}, hintFor(err)}
	case err != nil:
		return err
	}
	write := report.WriteText
	if asJSON {
		write = report.WriteJSON
	}
	if err := write(c.OutOrStdout()); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	if n := report.Count(dialect.Silent); n > 0 {
		return hinted{fmt.Errorf("%s would protect less there without a word", plural(n, "object")), "read what is marked as silent before anything of this is run"}
	}
	return nil
}
