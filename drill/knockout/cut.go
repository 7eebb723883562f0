package knockout

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

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
	if err := left(wanted); err != nil {
		return err
	}
	dir := filepath.Join(source, "internal", "knockedout")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "knockedout.go"), []byte(knockedout), 0o600)
}

// left names what was not found.
func left(wanted map[place]string) error {
	var all []error
	for at := range wanted {
		all = append(all, fmt.Errorf("there is no function %s in %s to be cut", at.fn, at.pkg))
	}
	slices.SortFunc(all, func(x, y error) int { return strings.Compare(x.Error(), y.Error()) })
	return errors.Join(all...)
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
