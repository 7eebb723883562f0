package command

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/redoubt-dev/redoubt/vet"
)

const vetLong = `Looks for places where a program goes around its layers: a change that does something before the action gate is asked, a route
without access, SQL that is not constant, text that becomes HTML unescaped, a setting that switches a check off, a Principal from anywhere
but identity, a secret on its way into a log, an escape hatch without a reason.

What must stay as it is has its reason in vet/allow.txt beneath the module's root, one line each: ANALYZER PATH THING REASON. A path is a
file, or a folder with the files directly in it; the thing is the word with which the finding begins. A line that nothing needs is a
finding itself. Tests are not looked at.

The go command can run the same analyzers, and remember what has not changed: go vet -vettool=$(which redoubt) ./...`

// vetTool is the program as the go command calls it for go vet -vettool; it returns if that is not how the program was called.
func vetTool(args []string) {
	if vet.IsTool(args) {
		vet.Tool()
	}
}

func vetCommand() *cobra.Command {
	var cfg vet.Config
	c := &cobra.Command{
		Use:   "vet [package...]",
		Short: "Find where a program goes around its layers",
		Long:  vetLong,
		Args:  cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, patterns []string) error {
			cfg.Patterns = patterns
			found, err := vet.Run(c.Context(), cfg)
			if err != nil {
				return err
			}
			for _, f := range found {
				fmt.Fprintln(c.OutOrStdout(), f)
			}
			return verdict(len(found))
		},
	}
	c.Flags().StringVar(&cfg.Allow, "allow", "", "the list of exceptions; vet/allow.txt beneath the module's root if absent")
	return c
}

func verdict(found int) error {
	if found == 0 {
		return nil
	}
	is := fmt.Errorf("vet found %d places", found)
	if found == 1 {
		is = fmt.Errorf("vet found one place")
	}
	return hinted{is, "mend them, or write into vet/allow.txt why they must stay: ANALYZER PATH THING REASON"}
}
