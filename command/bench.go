package command

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/bench"
	"github.com/redoubt-dev/redoubt/internal/postgres"
)

const benchLong = `Measures, in one run on a database of its own, how many requests servers answer and what each request costs: a bare handler,
the conventional way to keep tenants apart, this application inside its layers, the same with WHERE written by hand in the place
of row security, and the same behind the edge. They take turns, so that the ratios mean something on a machine that does other
work too. With --database it measures single round trips instead, by the processor time of the backend that serves them.
See docs/measurements.md.`

func benchCommand(app redoubt.App) *cobra.Command {
	var file string
	var database bool
	cfg := bench.Config{App: app}
	c := &cobra.Command{
		Use:   "bench",
		Short: "Measure what the layers cost, against servers without them",
		Long:  benchLong,
		RunE: func(c *cobra.Command, _ []string) error {
			if cfg.Duration <= 0 || cfg.Connections <= 0 || cfg.Rounds <= 0 {
				return usageError{fmt.Errorf("--duration, --connections and --rounds are above zero")}
			}
			return measure(c.Context(), cfg, database, file, c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	c.Flags().DurationVar(&cfg.Duration, "duration", 5*time.Second, "of each measurement; there are 28 in a round")
	c.Flags().IntVar(&cfg.Connections, "connections", 16, "how many ask at once")
	c.Flags().IntVar(&cfg.Rounds, "rounds", 5, "how often every server has its turn")
	c.Flags().StringVar(&file, "json", "", "also write every number to this file")
	c.Flags().StringVar(&cfg.Profiles, "cpuprofile", "", "write a CPU profile of each server to this folder, for go tool pprof")
	c.Flags().BoolVar(&database, "database", false, "instead, measure what round trips cost a backend of PostgreSQL, to the microsecond (Linux)")
	c.AddCommand(benchServerCommand(app), benchPerimeterCommand())
	for _, sub := range c.Commands() {
		wrapArgs(sub)
	}
	return c
}

func benchServerCommand(app redoubt.App) *cobra.Command {
	return &cobra.Command{
		Use: "server", Short: "Be one of the servers (started by bench)", Hidden: true, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return bench.Serve(c.Context(), app, c.InOrStdin(), c.OutOrStdout())
		},
	}
}

func measure(ctx context.Context, cfg bench.Config, database bool, file string, stdout, stderr io.Writer) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	cache, err := cacheDir()
	if err != nil {
		return err
	}
	say, clear := progress(stderr)
	cfg.Server, cfg.Say = []string{self, "bench", "server"}, say
	cfg.Find = postgres.FindConfig{CacheDir: cache, Download: true, Say: say}
	result, err := run(ctx, cfg, database)
	clear()
	if err != nil {
		return err
	}
	return publish(result, file, stdout)
}

// publish prints a result, and keeps every number of it in file if that is named.
func publish(result report, file string, stdout io.Writer) error {
	result.Print(stdout)
	if file == "" {
		return nil
	}
	text, err := json.MarshalIndent(result, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}

// A report is what either measurement gives: for people, and as JSON.
type report interface{ Print(io.Writer) }

func run(ctx context.Context, cfg bench.Config, database bool) (report, error) {
	if database {
		return bench.Database(ctx, cfg)
	}
	return bench.Run(ctx, cfg)
}

// progress says what is under way: on one line of a terminal, or line by line elsewhere.
func progress(w io.Writer) (say func(string), clear func()) {
	file, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return func(text string) { fmt.Fprintln(w, text) }, func() {}
	}
	return func(text string) { fmt.Fprintf(w, "\r\x1b[K%s", text) }, func() { fmt.Fprint(w, "\r\x1b[K") }
}
