// Package vet finds, before a program is built, the places where it goes around the layers (SYSTEM G2). The layers refuse when the
// program runs; vet says so while it is written, and sees what no layer can: a change that does something before its gate, SQL that
// is put together, a check that a setting switches off.
//
// There are two ways to run it. `redoubt vet ./...` loads the packages itself, and knows the whole: it also reports exceptions that
// nothing needs any more. `go vet -vettool=$(which redoubt) ./...` lets the go command call it for one package after the other, and
// remembers what has not changed. Both find the same.
//
// What must stay as it is has its reason in a list, vet/allow.txt beneath the module's root, and nowhere else: a comment beside the code
// would be written by whoever writes the code, and read by nobody.
//
// Tests are not looked at. Files that other systems or build tags leave out of this build are not either.
package vet

import (
	"golang.org/x/tools/go/analysis"

	"github.com/redoubt-dev/redoubt/vet/constsql"
	"github.com/redoubt-dev/redoubt/vet/forgedprincipal"
	"github.com/redoubt-dev/redoubt/vet/gatefirst"
	"github.com/redoubt-dev/redoubt/vet/insecureconfig"
	"github.com/redoubt-dev/redoubt/vet/logsecret"
	"github.com/redoubt-dev/redoubt/vet/rawhtml"
	"github.com/redoubt-dev/redoubt/vet/routeaccess"
	"github.com/redoubt-dev/redoubt/vet/unscoped"
)

// Analyzers are all of them, each of a folder of its own, in the order in which a request would meet what they look at.
func Analyzers() []*analysis.Analyzer {
	return []*analysis.Analyzer{
		insecureconfig.Analyzer, routeaccess.Analyzer, forgedprincipal.Analyzer, gatefirst.Analyzer,
		constsql.Analyzer, rawhtml.Analyzer, logsecret.Analyzer, unscoped.Analyzer,
	}
}

func known(name string) bool {
	for _, a := range Analyzers() {
		if a.Name == name {
			return true
		}
	}
	return false
}

// excepted are the analyzers, without what exceptions allow. The list is opened when the first of them runs, which is never for a
// package that go vet asks about for the sake of others: a module in a cache has a list of its own, or none. finish has the last word on a
// finding.
func excepted(open func() (*Exceptions, error), finish func(*analysis.Analyzer, *analysis.Diagnostic)) []*analysis.Analyzer {
	var all []*analysis.Analyzer
	for _, a := range Analyzers() {
		wrapped := *a
		wrapped.Run = func(pass *analysis.Pass) (any, error) {
			exceptions, err := open()
			if err != nil {
				return nil, err
			}
			quiet := *pass
			quiet.Report = func(d analysis.Diagnostic) {
				if !exceptions.allow(a.Name, pass.Fset.Position(d.Pos).Filename, d.Category) {
					finish(a, &d)
					pass.Report(d)
				}
			}
			for _, f := range pass.Files {
				exceptions.look(pass.Fset.File(f.FileStart).Name())
			}
			return a.Run(&quiet)
		}
		all = append(all, &wrapped)
	}
	return all
}
