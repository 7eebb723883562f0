package tidy

import (
	"go/ast"
	"iter"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// A block is a fenced piece of a document.
type block struct {
	language string
	text     string
	line     int
}

// documents are the Markdown files that people read.
func (h *house) documents() []string {
	return slices.DeleteFunc(h.paths(".md"), func(at string) bool { return strings.Contains(at, "testdata/") })
}

// split parts a document into the lines of its prose, with those of code left empty, and its fenced blocks.
func split(text string) (lines []string, blocks []block) {
	inside := false
	for i, line := range strings.Split(text, "\n") {
		fence, isFence := strings.CutPrefix(strings.TrimSpace(line), "```")
		switch {
		case isFence && !inside:
			blocks = append(blocks, block{language: fence, line: i + 2})
			inside = true
		case isFence:
			inside = false
		case inside:
			blocks[len(blocks)-1].text += line + "\n"
		default:
			lines = append(lines, line)
			continue
		}
		lines = append(lines, "")
	}
	return lines, blocks
}

func prose(text string) []string { lines, _ := split(text); return lines }

var (
	linkForm = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	spanForm = regexp.MustCompile("`([^`]+)`")
	pathForm = regexp.MustCompile(`^\.?[A-Za-z0-9_][A-Za-z0-9_./-]*$`)

	documentForm = regexp.MustCompile(`\bdocs/[\w./-]+\.md\b`)
	typedForm    = regexp.MustCompile("`(redoubt [a-z][^`]*)`")
)

// links: what a document points at is there, heading included.
func links(h *house) (faults []string) {
	for _, at := range h.documents() {
		for i, line := range prose(h.files[at]) {
			for _, m := range linkForm.FindAllStringSubmatch(line, -1) {
				target, anchor, _ := strings.Cut(m[1], "#")
				switch {
				case strings.HasPrefix(target, "https://") || strings.HasPrefix(target, "mailto:"):
					continue
				case strings.Contains(target, "://"):
					faultf(&faults, "%s:%d links to %s: use https", at, i+1, target)
					continue
				}
				to := at
				if target != "" {
					to = path.Join(path.Dir(at), target)
				}
				if !h.exists(to) {
					faultf(&faults, "%s:%d links to %s, which is not there: mend the link or write the file", at, i+1, target)
				} else if anchor != "" && !slices.Contains(anchors(h.files[to]), anchor) {
					faultf(&faults, "%s:%d links to #%s, but %s has no such heading", at, i+1, anchor, to)
				}
			}
		}
	}
	return faults
}

// anchors are the names under which a document's headings can be linked to.
func anchors(text string) (all []string) {
	for _, line := range prose(text) {
		heading := strings.TrimLeft(line, "#")
		if heading == line || !strings.HasPrefix(heading, " ") {
			continue
		}
		all = append(all, strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' || r == '_':
				return unicode.ToLower(r)
			}
			return -1
		}, strings.TrimSpace(heading)))
	}
	return all
}

// namedFiles: a path in code letters is a path of this repository if it begins with one of its entries or ends as source does.
func namedFiles(h *house) (faults []string) {
	for _, at := range h.documents() {
		for i, line := range prose(h.files[at]) {
			for _, m := range spanForm.FindAllStringSubmatch(line, -1) {
				name := strings.TrimSuffix(m[1], "/")
				if !pathForm.MatchString(name) || !h.meansFile(name) {
					continue
				}
				if !h.exists(name) && !h.exists(path.Join(path.Dir(at), name)) && !h.exists("layer/"+name) {
					faultf(&faults, "%s:%d names the file %s, which is not there: mend the name or write the file", at, i+1, name)
				}
			}
		}
	}
	for at, comment := range h.comments() {
		for _, name := range documentForm.FindAllString(comment, -1) {
			if !h.exists(name) {
				faultf(&faults, "a comment in %s names %s, which is not there: mend the name or write the file", at, name)
			}
		}
	}
	return faults
}

// comments gives every comment of the Go files, with its file.
func (h *house) comments() iter.Seq2[string, string] {
	return func(yield func(at, comment string) bool) {
		for _, dir := range h.dirs() {
			for _, s := range h.rooms[dir].files {
				for _, c := range s.syntax.Comments {
					if !yield(s.path, c.Text()) {
						return
					}
				}
			}
		}
	}
}

func (h *house) meansFile(name string) bool {
	if slices.Contains([]string{".go", ".sql", ".md"}, path.Ext(name)) {
		return true
	}
	first, _, nested := strings.Cut(name, "/")
	return nested && h.exists(first)
}

// commandForm finds what a reader would type: redoubt and its arguments, or the same through go run.
var commandForm = regexp.MustCompile(`(?:^|[\s(])(?:go run \./cmd/redoubt|redoubt)((?: +[^\s|&;#)]+)*)`)

// namedCommands: a reader who types what a document says gets what it says.
func namedCommands(h *house) (faults []string) {
	known := h.commands()
	check := func(at string, line int, code string) {
		for _, m := range commandForm.FindAllStringSubmatch(code, -1) {
			if fault := wrongArguments(strings.Fields(m[1]), known); fault != "" {
				faultf(&faults, "%s:%d says %q: %s", at, line, strings.TrimSpace(m[0]), fault)
			}
		}
		for _, word := range strings.Fields(code) {
			target, isPath := strings.CutPrefix(strings.TrimPrefix(word, "-modfile="), "./")
			if strings.HasPrefix(code, "go ") && isPath && !h.exists(strings.TrimSuffix(strings.TrimSuffix(target, "..."), "/")) {
				faultf(&faults, "%s:%d says %q: there is no %s", at, line, code, target)
			}
		}
	}
	for at, comment := range h.comments() {
		for _, m := range typedForm.FindAllStringSubmatch(strings.ReplaceAll(comment, "\n", " "), -1) {
			if fault := wrongArguments(strings.Fields(m[1])[1:], known); fault != "" {
				faultf(&faults, "a comment in %s says %q: %s", at, m[1], fault)
			}
		}
	}
	for _, at := range h.documents() {
		lines, blocks := split(h.files[at])
		for i, line := range lines {
			for _, m := range spanForm.FindAllStringSubmatch(line, -1) {
				check(at, i+1, m[1])
			}
			if code, indented := strings.CutPrefix(line, "    "); indented {
				check(at, i+1, strings.TrimSpace(code))
			}
		}
		for _, b := range blocks {
			if b.language != "" && b.language != "sh" {
				continue
			}
			for i, line := range strings.Split(b.text, "\n") {
				check(at, b.line+i, strings.TrimSpace(line))
			}
		}
	}
	return faults
}

// wrongArguments judges the words after redoubt.
func wrongArguments(words []string, known map[string][]string) string {
	if len(words) == 0 || strings.ToUpper(words[0]) == words[0] || words[0] == "help" || words[0] == "--help" {
		return ""
	}
	flags, ok := known[strings.TrimRight(words[0], ":,.")]
	if !ok {
		return "there is no such command"
	}
	if len(words) > 1 && known[words[1]] != nil { // a command of a command: redoubt db check
		flags = known[words[1]]
	}
	for _, word := range words[1:] {
		name, isFlag := strings.CutPrefix(strings.Trim(word, "[]"), "--")
		name, _, _ = strings.Cut(name, "=")
		if isFlag && name != "help" && !slices.Contains(flags, name) {
			return "the command has no flag --" + name
		}
	}
	return ""
}

// commands reads the subcommands and their flags from the source of package command: each is made by a function of its own.
func (h *house) commands() map[string][]string {
	known := map[string][]string{}
	r := h.rooms["command"]
	if r == nil {
		return known
	}
	for _, s := range r.files {
		for _, decl := range s.syntax.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && !s.test {
				name, flags := commandOf(fn)
				if name == "drill" {
					flags = h.drillFlags()
				}
				if name != "" {
					known[name] = flags
				}
			}
		}
	}
	return known
}

// drillFlags are those of the one command whose flags another program shares.
func (h *house) drillFlags() (flags []string) {
	for _, s := range h.rooms["drill/flags"].files {
		ast.Inspect(s.syntax, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) < 2 {
				return true
			}
			if method, ok := call.Fun.(*ast.SelectorExpr); ok && strings.HasSuffix(method.Sel.Name, "Var") {
				flags = append(flags, text(call.Args[1]))
			}
			return true
		})
	}
	return flags
}

func commandOf(fn *ast.FuncDecl) (name string, flags []string) {
	ast.Inspect(fn, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.KeyValueExpr:
			if key, ok := n.Key.(*ast.Ident); ok && key.Name == "Use" && name == "" {
				name, _, _ = strings.Cut(text(n.Value), " ")
			}
		case *ast.CallExpr:
			method, ok := n.Fun.(*ast.SelectorExpr)
			if !ok || !isCall(method.X, "Flags") && !isCall(method.X, "PersistentFlags") {
				return true
			}
			for _, arg := range n.Args {
				if flag := text(arg); flag != "" {
					flags = append(flags, flag)
					break
				}
			}
		}
		return true
	})
	return name, flags
}

// text is the value of a string literal, "" for anything else.
func text(e ast.Expr) string {
	lit, ok := e.(*ast.BasicLit)
	if !ok {
		return ""
	}
	value, err := strconv.Unquote(lit.Value)
	if err != nil {
		return ""
	}
	return value
}

// snippets: Go and SQL in a document is a piece of a file that the compiler, or a database, reads.
func snippets(h *house) (faults []string) {
	for _, at := range h.documents() {
		_, blocks := split(h.files[at])
		for _, b := range blocks {
			if b.language != "go" && b.language != "sql" {
				continue
			}
			if !slices.ContainsFunc(h.paths("."+b.language), func(file string) bool { return strings.Contains(h.files[file], b.text) }) {
				faultf(&faults, "%s:%d shows %s that is in no file: copy it from one, best from an example_test.go, letter by letter", at, b.line, b.language)
			}
		}
	}
	return faults
}
