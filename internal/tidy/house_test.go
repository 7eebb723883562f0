package tidy

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const (
	module = "github.com/redoubt-dev/redoubt"
	root   = "../.."
)

// A house is the repository, as the rules see it.
type house struct {
	tree  fs.FS
	files map[string]string // content of every text that a person wrote, by path
	rooms map[string]*room  // folders with Go in them, by path; "." is the root
	lists lists
}

// A room is one package.
type room struct {
	dir   string
	name  string
	files []source
}

// A source is one Go file.
type source struct {
	path   string
	test   bool
	syntax *ast.File
}

// A rule returns what is wrong with a house.
type rule func(*house) []string

var rules = map[string]rule{
	"a package imports only what is drawn beneath it":            onion,
	"the three gates share no code":                              threeGates,
	"layers stand on layers alone":                               layersAlone,
	"the application uses only public packages":                  applicationOutside,
	"the doors of mint open for those who are listed":            mintDoors,
	"escape hatches are used by those who are listed":            escapeHatches,
	"statements are sent with their parameters apart":            simpleProtocol,
	"every module of others is admitted by name":                 modules,
	"every folder says why it exists":                            packageComments,
	"every layer answers the five questions":                     fiveHeadings,
	"folders, constants and headings name the same layers":       layersAgree,
	"what documents name exists":                                 links,
	"files that documents name exist":                            namedFiles,
	"commands that documents name exist":                         namedCommands,
	"snippets in documents are compiled":                         snippets,
	"what is required and met is cited by code and by a test":    requirements,
	"nothing is left for later without a number":                 leftovers,
	"files can be read in one sitting":                           lengths,
	"folders are named by a noun of the trade":                   folderNames,
	"messages say what was being done, not that it did not work": messages,
}

// TestHouse holds the repository to every rule.
func TestHouse(t *testing.T) {
	h := repository(t)
	for _, name := range slices.Sorted(maps.Keys(rules)) {
		t.Run(name, func(t *testing.T) {
			for _, fault := range rules[name](h) {
				t.Error(fault)
			}
		})
	}
}

var readOnce = sync.OnceValues(func() (*house, error) { return read(os.DirFS(root), written) })

func repository(t *testing.T) *house {
	t.Helper()
	h, err := readOnce()
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// texts are the kinds of file that are read as text.
var texts = map[string]bool{".go": true, ".sql": true, ".md": true, ".html": true, ".css": true, ".js": true, ".mod": true, ".txtar": true}

// read takes in every file of a tree but those that belong to git, to test data or to nobody.
func read(tree fs.FS, lists lists) (*house, error) {
	h := &house{tree: tree, files: map[string]string{}, rooms: map[string]*room{}, lists: lists}
	err := fs.WalkDir(tree, ".", func(at string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && at != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules"):
			return fs.SkipDir
		case d.IsDir() || !texts[path.Ext(at)]:
			return nil
		}
		content, err := fs.ReadFile(tree, at)
		if err != nil {
			return err
		}
		h.files[at] = string(content)
		if path.Ext(at) == ".go" && !strings.Contains(at, "testdata/") {
			return h.addGo(at, content)
		}
		return nil
	})
	return h, err
}

func (h *house) addGo(at string, content []byte) error {
	syntax, err := parser.ParseFile(token.NewFileSet(), at, content, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return fmt.Errorf("reading the house: %w", err)
	}
	dir := path.Dir(at)
	if h.rooms[dir] == nil {
		h.rooms[dir] = &room{dir: dir}
	}
	r := h.rooms[dir]
	s := source{path: at, test: strings.HasSuffix(at, "_test.go"), syntax: syntax}
	if !s.test || r.name == "" {
		r.name = strings.TrimSuffix(syntax.Name.Name, "_test")
	}
	r.files = append(r.files, s)
	return nil
}

// dirs are the folders with Go in them, in order.
func (h *house) dirs() []string { return slices.Sorted(maps.Keys(h.rooms)) }

// paths are the files with one of these endings, in order.
func (h *house) paths(endings ...string) []string {
	var found []string
	for _, at := range slices.Sorted(maps.Keys(h.files)) {
		if slices.Contains(endings, path.Ext(at)) {
			found = append(found, at)
		}
	}
	return found
}

// exists reports whether the tree has a file or folder of that path.
func (h *house) exists(at string) bool {
	at = path.Clean(at)
	if at == "." {
		return true
	}
	_, err := fs.Stat(h.tree, at)
	return fs.ValidPath(at) && err == nil
}

// imports are the import paths of a file.
func (s source) imports() []string {
	var all []string
	for _, spec := range s.syntax.Imports {
		at, err := strconv.Unquote(spec.Path.Value)
		if err == nil {
			all = append(all, at)
		}
	}
	return all
}

// ours is the folder of one of the house's own packages, if that is what an import path names.
func ours(imported string) (dir string, ok bool) {
	if imported == module {
		return ".", true
	}
	return strings.CutPrefix(imported, module+"/")
}

// knows are the own packages that a room's program imports; its tests may look further.
func (r *room) knows() []string {
	seen := map[string]bool{}
	for _, s := range r.files {
		for _, imported := range s.imports() {
			if dir, ok := ours(imported); ok && !s.test {
				seen[dir] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// empty reports whether a room holds nothing but tests.
func (r *room) empty() bool {
	return !slices.ContainsFunc(r.files, func(s source) bool { return !s.test })
}

func faultf(faults *[]string, format string, args ...any) {
	*faults = append(*faults, fmt.Sprintf(format, args...))
}
