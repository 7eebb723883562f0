package command

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/redoubt-dev/redoubt/layer/perimeter/trust"
)

func trustCommand() *cobra.Command {
	var dir string
	var undo bool
	c := &cobra.Command{
		Use:   "trust",
		Short: "Let this machine's browsers trust the local certificate authority",
		Long: "Installs the certificate authority that `redoubt up` made for localhost into the stores of the system and of its browsers, " +
			"so that they show the page without a warning. The authority can sign for this machine's names alone.",
		RunE: func(c *cobra.Command, _ []string) error {
			file := upDir(dir).ca()
			act, done := trust.Trust, "is now trusted; restart a browser that is open"
			if undo {
				act, done = trust.Untrust, "is no longer trusted"
			}
			if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
				return hinted{fmt.Errorf("there is no certificate authority at %s yet", file), "`redoubt up` makes it; give both commands the same --data-dir"}
			}
			if err := act(file); err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "The local certificate authority %s %s.\n", file, done)
			return nil
		},
	}
	c.Flags().StringVar(&dir, "data-dir", defaultDataDir(), "where `redoubt up` keeps its files")
	c.Flags().BoolVar(&undo, "undo", false, "take it out again")
	return c
}
