// Package flags is what a drill can be asked for. It is apart from package drill, so that the command that builds and starts a drill, which
// every release has, knows its flags and nothing else of it.
package flags

import (
	"errors"
	"fmt"
	"path"
	"strconv"

	"github.com/spf13/pflag"
)

// Flags are those of `redoubt drill`.
type Flags struct {
	Attacks  string // a pattern of path.Match for the names of attacks; zero is all
	Pairs    bool   // every two units are taken out together, too
	Seed     uint64
	JSON     string // files to write; zero for none
	SVG      string
	PairsSVG string
	HTML     string
	Docs     string // a folder of documentation, to write drill.md and its pictures into
	List     bool   // attacks and units are named, and nothing is attacked
}

// Add defines them.
func (f *Flags) Add(set *pflag.FlagSet) {
	set.StringVar(&f.Attacks, "attacks", "", "only attacks whose name matches: 'another-*'")
	set.BoolVar(&f.Pairs, "pairs", false, "also take out every two units together")
	set.Uint64Var(&f.Seed, "seed", 1, "of everything that is left to chance")
	set.StringVar(&f.JSON, "json", "", "write everything that was found out to this file; - is standard output")
	set.StringVar(&f.SVG, "svg", "", "write the matrix as a picture to this file")
	set.StringVar(&f.PairsSVG, "pairs-svg", "", "write the picture of the pairs to this file")
	set.StringVar(&f.HTML, "html", "", "write a page to this file, on which every attack opens to what was tried")
	set.StringVar(&f.Docs, "docs", "", "write drill.md and its pictures into this folder, and the matrix into the README.md beside it")
	set.BoolVar(&f.List, "list", false, "name the attacks and what can be taken out, and attack nothing")
}

// Check finds what is wrong with them before anything is built.
func (f *Flags) Check() error {
	if _, err := path.Match(f.Attacks, ""); err != nil {
		return fmt.Errorf("--attacks: %w", err)
	}
	if f.PairsSVG != "" && !f.Pairs {
		return errors.New("--pairs-svg needs --pairs")
	}
	return nil
}

// Args are the flags as they are typed.
func (f *Flags) Args() []string {
	args := []string{"--seed=" + strconv.FormatUint(f.Seed, 10)}
	for _, a := range []struct{ name, value string }{
		{"attacks", f.Attacks}, {"json", f.JSON}, {"svg", f.SVG}, {"pairs-svg", f.PairsSVG}, {"html", f.HTML}, {"docs", f.Docs},
	} {
		if a.value != "" {
			args = append(args, "--"+a.name+"="+a.value)
		}
	}
	if f.Pairs {
		args = append(args, "--pairs")
	}
	if f.List {
		args = append(args, "--list")
	}
	return args
}

// Long is what `redoubt help drill` says.
const Long = `Builds a disposable copy of the application, with a database, a provider and an edge of its own, all on this machine's loopback, and attacks
it: with everything in place, with everything out, and with each layer's mechanisms out in turn; with --pairs, every two together. It shows
which mechanism stops which attack, and how many have to fail before it succeeds. It takes no address: there is nothing else that it could touch.

The layers are cut out of a copy of the source. The go command and PostgreSQL have to be here, and Chromium for attacks in a browser.

It ends with 0 if every attack needs two failures or has a reason, with 3 if one does not, and with 1 if the drill itself did not work.`
