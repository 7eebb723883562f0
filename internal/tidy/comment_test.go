package tidy

import (
	"go/ast"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/redoubt-dev/redoubt/layer"
)

// comments are a room's package comments, of its program's files.
func (r *room) comments() (all []string) {
	for _, s := range r.files {
		if s.syntax.Doc != nil && !s.test && strings.TrimSpace(s.syntax.Doc.Text()) != "" {
			all = append(all, s.syntax.Doc.Text())
		}
	}
	return all
}

func packageComments(h *house) (faults []string) {
	for _, dir := range h.dirs() {
		r := h.rooms[dir]
		if r.empty() {
			continue
		}
		begin := "Package " + r.name + " "
		if r.name == "main" {
			begin = "Command " + path.Base(dir) + " "
		}
		switch all := r.comments(); {
		case len(all) == 0:
			faultf(&faults, "%s has no package comment: write one that begins %q and says why the folder exists", dir, begin)
		case len(all) > 1:
			faultf(&faults, "%s has %d package comments: leave the one in the file that a reader opens first", dir, len(all))
		case !strings.HasPrefix(all[0], begin):
			faultf(&faults, "the package comment of %s does not begin with %q", dir, begin)
		case !strings.Contains(all[0], "."):
			faultf(&faults, "the package comment of %s is no sentence: say why the folder exists", dir)
		}
	}
	return faults
}

// questions are what every layer answers in its package comment, in this order.
var questions = []string{"What it assumes has failed", "What it stops", "What it does not stop", "How it is knocked out in a drill", "Example"}

func fiveHeadings(h *house) (faults []string) {
	for _, l := range layer.All {
		r := h.rooms["layer/"+string(l)]
		if r == nil {
			continue // layersAgree says so
		}
		text := strings.Join(r.comments(), "\n")
		var found []string
		for line := range strings.Lines(text) {
			if heading, ok := strings.CutPrefix(line, "# "); ok {
				found = append(found, strings.TrimSpace(heading))
			}
		}
		if !slices.Equal(found, questions) {
			faultf(&faults, "the package comment of %s has the headings %q: a layer answers %q, in this order", r.dir, found, questions)
			continue
		}
		if _, example, _ := strings.Cut(text, "# Example\n"); !strings.Contains(example, "\t") {
			faultf(&faults, "the example in the package comment of %s shows no code", r.dir)
		}
	}
	return faults
}

// layersAgree: the folders under layer/, the constants in layer.go and the headings of ARCHITECTURE.md are one list.
func layersAgree(h *house) (faults []string) {
	var named []string
	for _, l := range layer.All {
		named = append(named, string(l))
	}
	folders := h.layerFolders()
	for _, name := range named {
		if !slices.Contains(folders, name) {
			faultf(&faults, "layer.All names %s, but there is no folder layer/%s", name, name)
		}
	}
	for _, dir := range folders {
		if !slices.Contains(named, dir) {
			faultf(&faults, "layer/%s is a folder but no layer: name it in layer.go and layer.All, or move it elsewhere", dir)
		}
	}
	if got := h.layerConstants(); !slices.Equal(got, named) {
		faultf(&faults, "layer.go declares the layers %q and layer.All lists %q: they are one list, in one order", got, named)
	}
	if got := headingsOf(h.files["ARCHITECTURE.md"], "### "); !slices.Equal(got, named) {
		faultf(&faults, "the third-level headings of ARCHITECTURE.md are %q: they are the layers and nothing else, in the order %q", got, named)
	}
	return faults
}

// layerFolders are the folders under layer/ that hold a package of their own, gates one further down.
func (h *house) layerFolders() (names []string) {
	entries, err := fs.ReadDir(h.tree, "layer")
	if err != nil {
		return nil
	}
	for _, e := range entries {
		switch name := e.Name(); {
		case !e.IsDir() || name == "internal" || name == "layertest" || name == "testdata":
		case h.rooms["layer/"+name] != nil:
			names = append(names, name)
		default:
			for dir := range h.rooms {
				if path.Dir(dir) == "layer/"+name {
					names = append(names, strings.TrimPrefix(dir, "layer/"))
				}
			}
		}
	}
	return names
}

// layerConstants are the values of the constants of type Layer in package layer, in order.
func (h *house) layerConstants() (values []string) {
	r := h.rooms["layer"]
	if r == nil {
		return nil
	}
	for _, s := range r.files {
		ast.Inspect(s.syntax, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 {
				return true
			}
			kind, ok := spec.Type.(*ast.Ident)
			value, isText := spec.Values[0].(*ast.BasicLit)
			if ok && isText && kind.Name == "Layer" {
				values = append(values, strings.Trim(value.Value, `"`))
			}
			return true
		})
	}
	return values
}

// headingsOf are a document's headings of one depth, outside of its code.
func headingsOf(text, mark string) (all []string) {
	for _, line := range prose(text) {
		if heading, ok := strings.CutPrefix(line, mark); ok {
			all = append(all, strings.TrimSpace(heading))
		}
	}
	return all
}
