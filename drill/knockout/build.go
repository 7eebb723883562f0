package knockout

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const module = "github.com/redoubt-dev/redoubt"

// A BuildConfig says what is built.
type BuildConfig struct {
	Program string // the import path of the program's main package
	Dir     string // a folder of the program's module; zero is the current one
	Work    string // an empty folder for the source and what is made of it
	Units   []Unit // whose cuts are put in
	Say     func(string)
}

// Build makes a copy of Redoubt's source in Work, puts the cuts in, and builds the program from it. Nothing outside of Work changes.
// Where this copy of the program finds a file of its own name with ".out" at its end, it leaves out the units that the file names,
// one to a line, and notes in a file that ends in ".used" those that it was asked for (see Out).
func Build(ctx context.Context, c BuildConfig) (program string, err error) {
	found, err := find(ctx, c.Dir)
	if err != nil {
		return "", err
	}
	source := filepath.Join(c.Work, "source")
	if err := copySource(found.Dir, source); err != nil {
		return "", err
	}
	if err := cut(source, c.Units); err != nil {
		return "", err
	}
	program = filepath.Join(c.Work, "redoubt")
	args := []string{"build", "-trimpath", "-o", program}
	at := source
	if !found.Main { // the program belongs to another module, which needs Redoubt
		if at, err = filepath.Abs(c.Dir); err != nil {
			return "", err
		}
		mod := filepath.Join(c.Work, "go.mod")
		if err := replaced(found.Main0, mod, source); err != nil {
			return "", err
		}
		args = append(args, "-modfile="+mod)
	}
	out, err := run(ctx, at, append(args, c.Program)...)
	if err != nil {
		return "", fmt.Errorf("building the copy: %w\n%s", err, out)
	}
	return program, nil
}

type goModule struct {
	Dir   string
	GoMod string
	Main  bool
	Main0 string `json:"-"` // the go.mod of the main module
}

// find asks the go command where Redoubt's source is.
func find(ctx context.Context, dir string) (m goModule, err error) {
	out, err := run(ctx, dir, "list", "-m", "-json", module)
	if err != nil {
		return m, fmt.Errorf("looking for Redoubt's source: %w\n%s", err, out)
	}
	if err := json.Unmarshal(out, &m); err != nil || m.Dir == "" {
		return m, errors.New("the go command does not say where Redoubt's source is; run `go mod download`")
	}
	if !m.Main {
		out, err := run(ctx, dir, "env", "GOMOD")
		if err != nil {
			return m, err
		}
		m.Main0 = strings.TrimSpace(string(out))
	}
	return m, nil
}

// run runs the go command without anything that would point it elsewhere.
func run(ctx context.Context, dir string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return stderr.Bytes(), err
	}
	return out, nil
}

// replaced writes the program's go.mod, and go.sum, with Redoubt's source in place of the module that was downloaded.
func replaced(original, mod, source string) error {
	text, err := os.ReadFile(original)
	if err != nil {
		return err
	}
	sum, err := os.ReadFile(strings.TrimSuffix(original, ".mod") + ".sum")
	if err != nil {
		return err
	}
	text = append(text, fmt.Sprintf("\nreplace %s => %s\n", module, source)...)
	return errors.Join(os.WriteFile(mod, text, 0o600), os.WriteFile(strings.TrimSuffix(mod, ".mod")+".sum", sum, 0o600))
}

// copySource copies what a build needs.
func copySource(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		switch {
		case d.IsDir() && (d.Name() == "testdata" || d.Name() == "node_modules" || name != "." && strings.HasPrefix(d.Name(), ".")):
			return fs.SkipDir
		case d.IsDir():
			return os.MkdirAll(filepath.Join(to, name), 0o700)
		case !d.Type().IsRegular() || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, name), text, 0o600)
	})
}

// place is one function of the source.
type place struct{ pkg, fn string }

// cut puts the cuts into the source. A function that is not there is an error: a knock-out that cuts nothing knocks nothing out.
func cut(source string, units []Unit) error {
	wanted := map[place]string{}
	imports := map[place][]string{}
	for _, u := range units {
		for _, c := range u.Cuts {
			at := place{c.Package, c.Func}
			wanted[at] += fmt.Sprintf(" if knockedout.Out(%q) { %s };", u.Name, c.Body)
			imports[at] = append(imports[at], c.Imports...)
		}
	}
	packages := map[string]bool{}
	for at := range wanted {
		packages[at.pkg] = true
	}
	for _, pkg := range slices.Sorted(maps.Keys(packages)) {
		if err := cutPackage(source, pkg, wanted, imports); err != nil {
			return err
		}
	}
	for at := range wanted {
		return fmt.Errorf("there is no function %s in %s to be cut", at.fn, at.pkg)
	}
	dir := filepath.Join(source, "internal", "knockedout")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "knockedout.go"), []byte(knockedout), 0o600)
}

func cutPackage(source, pkg string, wanted map[place]string, imports map[place][]string) error {
	files, err := filepath.Glob(filepath.Join(source, filepath.FromSlash(pkg), "*.go"))
	if err != nil {
		return err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		changed, err := cutFile(file, text, pkg, wanted, imports)
		if err != nil {
			return fmt.Errorf("cutting: %w", err)
		}
		if err := os.WriteFile(file, changed, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// cutFile puts in what is wanted in this file, and takes it off the list.
func cutFile(name string, text []byte, pkg string, wanted map[place]string, imports map[place][]string) ([]byte, error) {
	set := token.NewFileSet()
	parsed, err := parser.ParseFile(set, name, text, 0)
	if err != nil {
		return nil, err
	}
	insert := map[int]string{}
	need := map[string]bool{}
	for _, d := range parsed.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Body == nil {
			continue
		}
		at := place{pkg, funcName(fn)}
		body, ok := wanted[at]
		if !ok {
			continue
		}
		insert[set.Position(fn.Body.Lbrace).Offset+1] += body
		need[module+"/internal/knockedout"] = true
		for _, path := range imports[at] {
			need[path] = true
		}
		delete(wanted, at)
	}
	if len(insert) == 0 {
		return text, nil
	}
	for _, spec := range parsed.Imports {
		if path, err := strconv.Unquote(spec.Path.Value); err == nil && spec.Name == nil {
			delete(need, path)
		}
	}
	for _, path := range slices.Sorted(maps.Keys(need)) {
		insert[set.Position(parsed.Name.End()).Offset] += fmt.Sprintf("; import %q", path)
	}
	return spliced(text, insert), nil
}

// funcName is Name, or Type.Name for a method.
func funcName(fn *ast.FuncDecl) string {
	if fn.Recv == nil || len(fn.Recv.List) != 1 {
		return fn.Name.Name
	}
	t := fn.Recv.List[0].Type
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	if generic, ok := t.(*ast.IndexExpr); ok {
		t = generic.X
	}
	if id, ok := t.(*ast.Ident); ok {
		return id.Name + "." + fn.Name.Name
	}
	return fn.Name.Name
}

// spliced puts texts in at offsets.
func spliced(text []byte, insert map[int]string) []byte {
	var out bytes.Buffer
	last := 0
	for _, at := range slices.Sorted(maps.Keys(insert)) {
		out.Write(text[last:at])
		out.WriteString(insert[at])
		last = at
	}
	out.Write(text[last:])
	return out.Bytes()
}

// knockedout is the package that the copy has and no other program: which units are out.
const knockedout = `// Package knockedout belongs to a disposable copy that a drill attacks. It is in no repository and in no release.
package knockedout

import (
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
)

var (
	self, _ = os.Executable()
	out     = read()
	noted   sync.Map
)

func read() map[string]bool {
	all := map[string]bool{}
	text, err := os.ReadFile(self + ".out")
	if err != nil {
		return all
	}
	for _, unit := range strings.Fields(string(text)) {
		all[unit] = true
	}
	return all
}

// Out reports whether a unit is out, and notes, once, that it was missed.
func Out(unit string) bool {
	if !out[unit] {
		return false
	}
	if _, again := noted.LoadOrStore(unit, true); !again {
		Note(".used", unit)
	}
	return true
}

// Note adds a line to the file beside the program that ends so.
func Note(ending, line string) {
	f, err := os.OpenFile(self+ending, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	f.WriteString(line + "\n")
	f.Close()
}

var listening sync.Once

// Listen serves h on a port of this machine, which nobody but a drill would have opened, and notes its address.
func Listen(h http.Handler) {
	listening.Do(func() {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return
		}
		Note(".port", l.Addr().String())
		go http.Serve(l, h)
	})
}
`
