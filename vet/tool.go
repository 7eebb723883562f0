package vet

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/unitchecker"
)

// IsTool reports whether the arguments of a program are those with which `go vet -vettool` calls its tool: -V=full and -flags, to get
// to know it, and then a file that ends in .cfg for each package.
func IsTool(args []string) bool {
	if len(args) == 0 {
		return false
	}
	return slices.Equal(args, []string{"-V=full"}) || slices.Equal(args, []string{"-flags"}) || strings.HasSuffix(args[len(args)-1], ".cfg")
}

// Tool does what `go vet -vettool` asks of this process, by os.Args, and ends it. Findings go to standard error.
func Tool() {
	if slices.Equal(os.Args[1:], []string{"-V=full"}) {
		if err := introduce(os.Stdout); err != nil {
			fmt.Fprintf(os.Stderr, "redoubt: error: %v\n", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	open := sync.OnceValues(func() (*Exceptions, error) { return OpenList(".", "") })
	unitchecker.Main(excepted(open, func(a *analysis.Analyzer, d *analysis.Diagnostic) { d.Message += " (" + a.Name + ")" })...)
}

// introduce says who this is, differently for each program and each list. The go command asks again about packages that it has asked about
// before when the tool is another, and an exception that was taken away makes it another.
func introduce(w io.Writer) error {
	exceptions, err := OpenList(".", "")
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	program, err := os.Open(self)
	if err != nil {
		return fmt.Errorf("reading this program: %w", err)
	}
	defer program.Close()
	sum := sha256.New()
	fmt.Fprintf(sum, "%+v\n", exceptions.list)
	if _, err := io.Copy(sum, program); err != nil {
		return fmt.Errorf("reading this program: %w", err)
	}
	_, err = fmt.Fprintf(w, "redoubt version devel vet buildID=%x\n", sum.Sum(nil))
	return err
}
