// Package command is the command line of every application on Redoubt: one binary, built from an App, that can run the whole
// system on a laptop (up), serve behind an edge (serve), and help whoever keeps it. It alone reads files, flags and the
// environment; everything it starts is given what it needs.
package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/redoubt-dev/redoubt"
)

// Exit codes, which scripts may rely on.
const (
	exitOK    = 0
	exitError = 1 // it did not work
	exitUsage = 2 // it was asked for wrongly
	exitNo    = 3 // it was asked, and the answer is no
)

// Main runs the command line for app and ends the process.
func Main(app redoubt.App) {
	vetTool(os.Args[1:])
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := Run(ctx, app, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// Run is Main without the process, for tests. It ends when ctx does.
func Run(ctx context.Context, app redoubt.App, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRoot(app)
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	if errors.As(err, new(deniedError)) {
		return exitNo // it has been said already, on standard output
	}
	if told := (toldError{}); errors.As(err, &told) {
		return told.code // and so has this, by the program that met it
	}
	fmt.Fprintf(stderr, "redoubt: error: %v\n", err)
	if hint := hintFor(err); hint != "" {
		fmt.Fprintf(stderr, "redoubt: hint: %s\n", hint)
	}
	var usage usageError
	if errors.As(err, &usage) {
		return exitUsage
	}
	return exitError
}

func newRoot(app redoubt.App) *cobra.Command {
	root := &cobra.Command{
		Use:   "redoubt",
		Short: "Multi-tenant web software in which no single failure is a breach",
		Long: "Redoubt runs " + app.Name + " inside its layers.\n\n" +
			"Start with `redoubt up`: a database, sign-on, the application and its edge, on this machine, in a few seconds.",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(upCommand(app), serveCommand(app), edgeCommand(), connectCommand(), trustCommand(), migrateCommand(app), dbCommand(), vetCommand(), benchCommand(app), drillCommand())
	for _, c := range append(root.Commands(), root) {
		wrapArgs(c)
	}
	return root
}

// wrapArgs marks complaints about arguments as the user's to mend.
func wrapArgs(c *cobra.Command) {
	check := c.Args
	if check == nil {
		check = cobra.NoArgs
	}
	c.Args = func(c *cobra.Command, args []string) error {
		if err := check(c, args); err != nil {
			return usageError{err}
		}
		return nil
	}
}

// A deniedError ends a command with an exit code of its own: what it was asked is answered, and the answer is no.
type deniedError struct{ why string }

func (e deniedError) Error() string { return e.why }

type usageError struct{ error }

func (usageError) Hint() string {
	return "`redoubt help` lists the commands, and `redoubt COMMAND --help` their flags"
}

// A hinted error tells its reader what to do.
type hinted struct {
	error
	hint string
}

func (h hinted) Hint() string  { return h.hint }
func (h hinted) Unwrap() error { return h.error }

func hintFor(err error) string {
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		return h.Hint()
	}
	return ""
}
