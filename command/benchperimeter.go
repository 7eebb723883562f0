package command

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/redoubt-dev/redoubt/bench/perimeter"
)

const benchPerimeterLong = `Measures what the edge and the link cost a request, beside what one would use instead: an application that is asked directly, one
behind net/http's reverse proxy, one behind an inverted HTTP/2 connection, and one behind the edge, in the process that is the end of
the link and in one of its own. All speak TLS 1.3 to the public; policy and assertion are on. They take turns in rounds, and what is
compared is the ratio within each round. See docs/measurements.md.`

func benchPerimeterCommand() *cobra.Command {
	var file string
	var cfg perimeter.Config
	c := &cobra.Command{
		Use: "perimeter", Short: "Measure what the edge and the link cost, beside a reverse proxy", Long: benchPerimeterLong, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return measurePerimeter(c.Context(), cfg, file, c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	c.Flags().StringSliceVar(&cfg.Only, "only", nil, "make these measurements alone: "+strings.Join(perimeter.Measurements(), ", "))
	c.Flags().IntVar(&cfg.Rounds, "rounds", 5, "how often every server has its turn")
	c.Flags().DurationVar(&cfg.Duration, "duration", 3*time.Second, "of each measurement that is not of one transfer")
	c.Flags().IntSliceVar(&cfg.Connections, "connections", []int{1, 50, 400}, "how many ask at once, one measurement for each number")
	c.Flags().StringVar(&file, "json", "", "also write every number to this file")
	c.Flags().StringVar(&cfg.Profiles, "cpuprofile", "", "write a CPU profile of each process to this folder, for go tool pprof")
	c.AddCommand(&cobra.Command{
		Use: "server", Short: "Be one of the servers (started by bench perimeter)", Hidden: true, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return perimeter.Serve(c.Context(), c.InOrStdin(), c.OutOrStdout())
		},
	})
	return c
}

func measurePerimeter(ctx context.Context, cfg perimeter.Config, file string, stdout, stderr io.Writer) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	say, clear := progress(stderr)
	cfg.Server, cfg.Say = []string{self, "bench", "perimeter", "server"}, say
	result, err := perimeter.Run(ctx, cfg)
	clear()
	if err != nil {
		return err
	}
	return publish(result, file, stdout)
}
