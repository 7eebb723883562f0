package vet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/checker"
	"golang.org/x/tools/go/packages"
)

// A Config says what to look at.
type Config struct {
	Dir      string   // where the patterns begin, in a module; zero is the working directory
	Patterns []string // of packages, as the go command takes them; none is "./..."
	Allow    string   // the file with the list of exceptions; zero is vet/allow.txt beneath the module's root, if it is there
}

// A Finding is one place in a program.
type Finding struct {
	File         string // as the go command writes it: from Dir, if it lies beneath
	Line, Column int
	Message      string // it begins with the thing by which an exception names it
	Analyzer     string
}

// String is the line that is printed, which editors can follow.
func (f Finding) String() string {
	return fmt.Sprintf("%s:%d:%d: %s (%s)", f.File, f.Line, f.Column, f.Message, f.Analyzer)
}

// Run looks at packages and returns what it found, by file and line. It is an error if a package cannot be read.
func Run(ctx context.Context, cfg Config) ([]Finding, error) {
	if cfg.Dir == "" {
		cfg.Dir = "."
	}
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("finding the packages: %w", err)
	}
	if len(cfg.Patterns) == 0 {
		cfg.Patterns = []string{"./..."}
	}
	exceptions, err := OpenList(dir, cfg.Allow)
	if err != nil {
		return nil, err
	}
	loaded, err := load(ctx, dir, cfg.Patterns)
	if err != nil {
		return nil, err
	}
	opened := func() (*Exceptions, error) { return exceptions, nil }
	graph, err := checker.Analyze(excepted(opened, func(*analysis.Analyzer, *analysis.Diagnostic) {}), loaded, nil)
	if err != nil {
		return nil, fmt.Errorf("analyzing: %w", err)
	}
	found, err := collect(graph)
	if err != nil {
		return nil, err
	}
	found = append(found, exceptions.unused()...)
	for i := range found {
		if at, err := filepath.Rel(dir, found[i].File); err == nil && filepath.IsLocal(at) {
			found[i].File = at
		}
	}
	slices.SortFunc(found, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.String(), b.String()))
	})
	return slices.Compact(found), nil
}

// load reads the packages themselves, and of those that they import what the compiler has written down about them.
func load(ctx context.Context, dir string, patterns []string) ([]*packages.Package, error) {
	loaded, err := packages.Load(&packages.Config{Context: ctx, Dir: dir, Mode: packages.LoadSyntax | packages.NeedModule}, patterns...)
	if err != nil {
		return nil, fmt.Errorf("loading packages: %w", err)
	}
	var faults []error
	for _, p := range loaded {
		for _, fault := range p.Errors {
			faults = append(faults, fault)
		}
	}
	if err := errors.Join(faults...); err != nil {
		return nil, fmt.Errorf("loading packages: %w", err)
	}
	if len(loaded) == 0 {
		return nil, fmt.Errorf("loading packages: nothing matches %q", patterns)
	}
	return loaded, nil
}

func collect(graph *checker.Graph) (found []Finding, err error) {
	for _, action := range graph.Roots {
		if action.Err != nil {
			return nil, fmt.Errorf("analyzing: %s of %s: %w", action.Analyzer.Name, action.Package.PkgPath, action.Err)
		}
		for _, d := range action.Diagnostics {
			at := action.Package.Fset.Position(d.Pos)
			found = append(found, Finding{at.Filename, at.Line, at.Column, d.Message, action.Analyzer.Name})
		}
	}
	return found, nil
}
