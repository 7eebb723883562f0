package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/redoubt-dev/redoubt/drill/flags"
)

// drillCommand builds and runs the drill, which is a program of its own: what can take a layer out is in no release.
func drillCommand() *cobra.Command {
	var f flags.Flags
	c := &cobra.Command{
		Use:   "drill",
		Short: "Attack a disposable copy with each layer taken out, and measure the depth of defense",
		Long:  flags.Long,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := f.Check(); err != nil {
				return usageError{err}
			}
			return drill(c.Context(), f, c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	f.Add(c.Flags())
	return c
}

// drillPackage is the drill's main package: the folder drill beside that of this program.
func drillPackage() (string, error) {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Path == "" || info.Path == "command-line-arguments" {
		return "", hinted{errors.New("this program does not know which package it was built from"), "build it by its package: go build ./cmd/redoubt"}
	}
	return path.Join(path.Dir(strings.TrimSuffix(info.Path, ".test")), "drill"), nil
}

func drill(ctx context.Context, f flags.Flags, stdout, stderr io.Writer) error {
	pkg, err := drillPackage()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "redoubt-drill-")
	if err != nil {
		return fmt.Errorf("making a folder for the drill: %w", err)
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "drill")
	fmt.Fprintln(stderr, "Building the drill …")
	if err := buildDrill(ctx, pkg, program); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, program, f.Args()...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, stdout, stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // it ends what it has started
	cmd.WaitDelay = time.Minute
	err = cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.ExitCode() == exitNo:
		return deniedError{"the drill has found what has to be mended"}
	case errors.As(err, &exit) && exit.Exited():
		return toldError{exit.ExitCode()}
	case err != nil:
		return fmt.Errorf("running the drill: %w", err)
	}
	return nil
}

func buildDrill(ctx context.Context, pkg, program string) error {
	if _, err := exec.LookPath("go"); err != nil {
		return hinted{errors.New("the go command is not here, and a drill is built from source"), "drill where the application is developed or built"}
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-o", program, pkg)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return hinted{fmt.Errorf("building %s: %s", pkg, strings.TrimSpace(string(out))),
			"run this within the module of the application; its drill is a main package in the folder drill beside the program's own (docs/drill.md)"}
	}
	return nil
}

// A toldError has been told by the program that met it.
type toldError struct{ code int }

func (e toldError) Error() string { return fmt.Sprintf("the drill ended with %d", e.code) }
