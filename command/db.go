package command

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/redoubt-dev/redoubt/layer/rls/inspect"
)

const dbCheckLong = `Inspects a PostgreSQL database, from version 13 on and whether or not it is Redoubt's, for whatever keeps it from holding
tenants apart: tables without row level security, policies that let too much pass, keys and foreign keys that reach across
tenants, views, functions and roles that pass by. Each finding says why it matters and, where SQL can do it, what mends it.

It only reads: the session is read-only and so is its transaction. Without --database-url the environment says which database,
in PGHOST, PGDATABASE, PGUSER, PGPASSWORD and the others that PostgreSQL's own programs read.

The exit status is 1 when there are errors or something could not be decided, and 0 with warnings and notes alone.`

// formats are the ways to write a report.
var formats = map[string]func(*inspect.Report, io.Writer) error{
	"text": func(r *inspect.Report, w io.Writer) error {
		return r.WriteText(w, isTerminal(w) && os.Getenv("NO_COLOR") == "")
	},
	"json":  (*inspect.Report).WriteJSON,
	"sarif": (*inspect.Report).WriteSARIF,
}

func dbCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "db", Short: "Look at a database", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(dbCheckCommand(), dbContextCommand(), dbDialectCommand())
	return c
}

// dbCheckCommand meets SYSTEM D6.
func dbCheckCommand() *cobra.Command {
	var cfg inspect.Config
	var format string
	c := &cobra.Command{
		Use:   "check",
		Short: "Find what keeps a PostgreSQL from holding tenants apart, and what mends it",
		Long:  dbCheckLong,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 { // which may be an address with its password: it is not repeated
				return errors.New("check takes flags alone; the database's address follows --database-url")
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error {
			write := formats[format]
			if write == nil {
				return usageError{fmt.Errorf("--format is text, json or sarif")}
			}
			return dbCheck(c, cfg, write)
		},
	}
	wrapArgs(c) // the root wraps its own children alone
	c.Flags().StringVar(&cfg.ConnString, "database-url", "", "the database, as postgres://user@host:port/name; empty: what PGHOST and its like say")
	c.Flags().StringVar(&format, "format", "text", "how to report: text, json or sarif")
	c.Flags().StringVar(&cfg.TenantColumn, "tenant-column", "", "the column that says whose a row is; empty: guessed")
	c.Flags().StringSliceVar(&cfg.Schemas, "schema", nil, "look at this schema alone; may be given more than once")
	return c
}

func dbCheck(c *cobra.Command, cfg inspect.Config, write func(*inspect.Report, io.Writer) error) error {
	report, err := inspect.Check(c.Context(), cfg)
	switch {
	case inspect.Misused(err):
		return hinted{usageError{err}, hintFor(err)}
	case err != nil:
		return err
	}
	if err := write(report, c.OutOrStdout()); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	if n := report.Count(inspect.Error); n > 0 {
		return hinted{fmt.Errorf("the database has %s of isolation", plural(n, "fault")), "run the SQL of each finding once you have read it, then check again"}
	}
	if n := len(report.Undecided); n > 0 {
		return hinted{fmt.Errorf("%s could not be decided", plural(n, "rule")), "inspect as a role that may read the catalogs, or one --schema at a time"}
	}
	return nil
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
