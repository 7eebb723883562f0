package drill

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/redoubt-dev/redoubt/drill/attack"
	"github.com/redoubt-dev/redoubt/drill/flags"
	"github.com/redoubt-dev/redoubt/drill/knockout"
	"github.com/redoubt-dev/redoubt/drill/picture"
	"github.com/redoubt-dev/redoubt/drill/report"
	"github.com/redoubt-dev/redoubt/drill/target"
)

// A Program is what is drilled.
type Program struct {
	Package string          // the import path of its main package
	Attacks []attack.Attack // besides those that are generated from its routes and tables
	// Day is legitimate use, which has to go well whatever is out; zero is that of Commons.
	Day func(context.Context, *target.Copy) error
}

// Exit codes, as those of package command.
const (
	exitError = 1 // the drill did not work
	exitUsage = 2
	exitNo    = 3 // an attack succeeds, or one failure suffices for it without a reason
)

// Main drills p as the command line asks, and ends the process.
func Main(p Program) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := Run(ctx, p, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// Run is Main without the process, for tests. It ends when ctx does, and tells what it has found until then.
func Run(ctx context.Context, p Program, args []string, stdout, stderr io.Writer) int {
	var f flags.Flags
	code := 0
	c := &cobra.Command{Use: "drill", Short: "Attack a disposable copy with each layer taken out", Long: flags.Long, Args: cobra.NoArgs, SilenceErrors: true, SilenceUsage: true,
		RunE: func(*cobra.Command, []string) (err error) {
			if err := f.Check(); err != nil {
				return usage{err}
			}
			code, err = p.drill(ctx, f, stdout, stderr)
			return err
		}}
	f.Add(c.Flags())
	c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage{err} })
	c.SetArgs(args)
	c.SetOut(stdout)
	c.SetErr(stderr)
	err := c.ExecuteContext(ctx)
	if err == nil {
		return code
	}
	fmt.Fprintf(stderr, "redoubt: error: %v\n", err)
	if hint := hintFor(err); hint != "" {
		fmt.Fprintf(stderr, "redoubt: hint: %s\n", hint)
	}
	if errors.As(err, new(usage)) {
		return exitUsage
	}
	return exitError
}

// hintFor is what whoever reads an error can do about it.
func hintFor(err error) string {
	switch {
	case errors.As(err, new(usage)):
		return "`redoubt drill --help` lists the flags, and `redoubt drill --list` the attacks"
	case errors.Is(err, syscall.ENOSPC):
		return "a drill needs about 2 GiB, in /dev/shm or the folder for temporary files"
	case errors.Is(err, errNoMarks):
		return "put the line " + strings.TrimSpace(markBegin) + " and the line " + strings.TrimSpace(markEnd) + " where it belongs"
	}
	return ""
}

type usage struct{ error }

// drill does what was asked for; the code is how the process ends.
func (p Program) drill(ctx context.Context, f flags.Flags, stdout, stderr io.Writer) (code int, err error) {
	if f.List {
		return 0, p.list(ctx, f, stdout)
	}
	r, err := p.run(ctx, f, stderr)
	if err != nil {
		return 0, err
	}
	said := stdout
	if f.JSON == "-" {
		said = stderr
	}
	width, color := terminal(said)
	if err := picture.Terminal(said, r, width, color); err != nil {
		return 0, err
	}
	return verdict(r), write(r, f, stdout)
}

// run builds the program and drills it, in a folder of which nothing is left.
func (p Program) run(ctx context.Context, f flags.Flags, stderr io.Writer) (r *report.Report, err error) {
	width, color := terminal(stderr)
	progress := picture.NewProgress(stderr, width, color)
	defer progress.End()
	work, err := target.Work()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	progress.Say("Building a copy that layers can be taken out of …")
	units := knockout.Units()
	program, err := knockout.Build(ctx, knockout.BuildConfig{Program: p.Package, Work: work, Units: units})
	if err != nil {
		return nil, err
	}
	progress.Say("Starting it once, with its people and what they have written …")
	template, err := target.NewTemplate(ctx, program, work)
	if err != nil {
		return nil, err
	}
	attacks, err := p.attacks(ctx, template, f.Attacks)
	if err != nil {
		return nil, err
	}
	return Measure(ctx, Config{Attacks: attacks, Units: units, Template: template, Pairs: f.Pairs, Seed: f.Seed, Control: p.Day, Progress: progress.Tell})
}

// attacks are those of the program and those that its routes and tables ask for, as far as their names match.
func (p Program) attacks(ctx context.Context, template *target.Template, pattern string) ([]attack.Attack, error) {
	c, err := template.Start(ctx, nil)
	if err != nil {
		return nil, err
	}
	standard, err := Standard(ctx, c)
	if err := errors.Join(err, c.Stop()); err != nil {
		return nil, err
	}
	all := slices.DeleteFunc(slices.Concat(p.Attacks, standard), func(a attack.Attack) bool {
		matches, err := path.Match(pattern, a.Name)
		return pattern != "" && (err != nil || !matches)
	})
	if len(all) == 0 {
		return nil, usage{errors.New("no attack has a name that matches --attacks")}
	}
	return all, nil
}

// list names attacks and units.
func (p Program) list(_ context.Context, f flags.Flags, stdout io.Writer) error {
	fmt.Fprintln(stdout, "Attacks, besides those that are generated from the routes and tables of the application:")
	for _, a := range p.Attacks {
		if matches, err := path.Match(f.Attacks, a.Name); err == nil && (matches || f.Attacks == "") {
			fmt.Fprintf(stdout, "  %-4s %-44s %s\n", a.Threat, a.Name, a.Title)
		}
	}
	fmt.Fprintln(stdout, "\nWhat can be taken out:")
	for _, u := range knockout.Units() {
		fmt.Fprintf(stdout, "  %-24s %s\n", u.Name, u.What)
	}
	return nil
}

// verdict is how the process ends after a drill that worked.
func verdict(r *report.Report) int {
	switch {
	case !r.Complete || len(r.Faults) > 0:
		return exitError
	case slices.ContainsFunc(r.Attacks, func(a report.Attack) bool { return a.Breach || a.Valid && a.Effective < 2 && a.Honest == "" }):
		return exitNo
	}
	return 0
}

// write writes the files that were asked for.
func write(r *report.Report, f flags.Flags, stdout io.Writer) error {
	var faults []error
	put := func(name string, make func() ([]byte, error)) {
		if name == "" {
			return
		}
		text, err := make()
		if err == nil && name == "-" {
			_, err = stdout.Write(text)
		} else if err == nil {
			err = os.WriteFile(name, text, 0o644)
		}
		faults = append(faults, err)
	}
	put(f.JSON, func() ([]byte, error) { return asJSON(r) })
	put(f.SVG, func() ([]byte, error) { return picture.SVG(r), nil })
	put(f.PairsSVG, func() ([]byte, error) { return picture.PairsSVG(r), nil })
	put(f.HTML, func() ([]byte, error) { return picture.HTML(r), nil })
	if f.Docs != "" {
		faults = append(faults, document(r, f.Docs, put))
	}
	return errors.Join(faults...)
}

func asJSON(r *report.Report) ([]byte, error) {
	text, err := json.MarshalIndent(r, "", "  ")
	return append(text, '\n'), err
}

// document writes what the documentation shows of a drill.
func document(r *report.Report, docs string, put func(string, func() ([]byte, error))) error {
	if err := os.MkdirAll(filepath.Join(docs, "images"), 0o755); err != nil {
		return err
	}
	put(filepath.Join(docs, "drill.md"), func() ([]byte, error) { return picture.Markdown(r), nil })
	put(filepath.Join(docs, filepath.FromSlash(picture.MatrixFile)), func() ([]byte, error) { return picture.SVG(r), nil })
	if len(r.Pairs) > 0 {
		put(filepath.Join(docs, filepath.FromSlash(picture.PairsFile)), func() ([]byte, error) { return picture.PairsSVG(r), nil })
	}
	readme := filepath.Join(filepath.Dir(filepath.Clean(docs)), "README.md")
	put(readme, func() ([]byte, error) {
		text, err := os.ReadFile(readme)
		if err != nil {
			return nil, err
		}
		return between(text, picture.MatrixMarkdown(r))
	})
	return nil
}

// terminal is how wide the reader's is, and whether it shows colour; 0 for what is no terminal.
func terminal(w io.Writer) (width int, color bool) {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return 0, false
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		width = 80
	}
	return width, os.Getenv("NO_COLOR") == ""
}
