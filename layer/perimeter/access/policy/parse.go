package policy

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
)

// A Problem is one fault of a policy.
type Problem struct {
	File         string
	Line, Column int // from 1
	What         string
	Hint         string // how to put it right; may be empty
}

// Error is for people: "app.cedar:3:21: what is wrong (what to do)".
func (p Problem) Error() string {
	s := fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.What)
	if p.Hint != "" {
		s += " (" + p.Hint + ")"
	}
	return s
}

// Problems are all that is wrong, in the order of the files.
type Problems []Problem

// Error implements error, with a line for each.
func (p Problems) Error() string {
	var lines []string
	for _, one := range p {
		lines = append(lines, one.Error())
	}
	return strings.Join(lines, "\n")
}

// Parse reads policies, and reports every problem at once, as Problems. There is no Set with a problem.
func Parse(names Names, files []File) (*Set, error) {
	p, err := newParser(names)
	if err != nil {
		return nil, err
	}
	if len(files) > MaxFiles {
		return nil, fmt.Errorf("there are more than %d files of policies", MaxFiles)
	}
	for _, f := range files {
		p.file(f)
	}
	if len(p.problems) > 0 {
		return nil, p.problems
	}
	return p.set, nil
}

// A parser gathers rules and problems.
type parser struct {
	set      *Set
	checker  checker
	problems Problems
	ids      map[string]string // where an id was taken
}

func newParser(names Names) (*parser, error) {
	var errs []error
	hosts := map[string]bool{}
	for _, h := range names.Hosts {
		if h == "" || h != canonicalHost(h) || strings.ContainsAny(h, "/?#@ \"") {
			errs = append(errs, fmt.Errorf("the host %q is not spelled as a policy would name it", h))
		}
		hosts[h] = true
	}
	if len(hosts) == 0 {
		errs = append(errs, errors.New("there is no host for policies to be about"))
	}
	for _, provider := range names.Providers {
		if provider == "" || strings.Contains(provider, "/") {
			errs = append(errs, fmt.Errorf("the provider's name %q is empty or has a slash, which ends a provider's name in a group's", provider))
		}
	}
	check, err := newChecker()
	if err := errors.Join(append(errs, err)...); err != nil {
		return nil, fmt.Errorf("preparing to read policies: %w", err)
	}
	set := &Set{names: names, hosts: hosts, strict: newIndex(false), careless: newIndex(true), groups: groups{}}
	return &parser{set: set, checker: check, ids: map[string]string{}}, nil
}

func (p *parser) file(f File) {
	if slices.ContainsFunc(p.set.files, func(other File) bool { return other.Name == f.Name }) {
		p.problems = append(p.problems, Problem{f.Name, 1, 1, "there are two files of this name", ""})
		return
	}
	p.set.files = append(p.set.files, f)
	if len(f.Text) > MaxFile {
		p.problems = append(p.problems, Problem{f.Name, 1, 1, fmt.Sprintf("the file is longer than %d bytes", MaxFile), "part it"})
		return
	}
	for _, s := range statements(f.Text) {
		if len(p.set.rules) == MaxRules {
			p.report(f, s, nil, fmt.Sprintf("there are more than %d rules", MaxRules), "write groups instead of persons")
			return
		}
		p.statement(f, s)
	}
}

// report adds a problem where one of the needles is found in the statement.
func (p *parser) report(f File, s statement, needles []string, what, hint string) {
	line, column := position(f.Text, locate(s, needles...))
	p.problems = append(p.problems, Problem{f.Name, line, column, what, hint})
}

func (p *parser) statement(f File, s statement) {
	if len(s.text) > MaxRule {
		p.report(f, s, nil, fmt.Sprintf("the rule is longer than %d bytes", MaxRule), "write several")
		return
	}
	if s.depth > MaxNesting {
		p.report(f, s, nil, fmt.Sprintf("the rule has more than %d brackets within each other", MaxNesting), "write several")
		return
	}
	policy, err := parseOne(f, s)
	if err != nil {
		p.syntax(f, s, err)
		return
	}
	before := len(p.problems)
	r := &rule{number: len(p.set.rules), file: f, statement: s, ast: (*ast.Policy)(policy.AST())}
	p.inspect(r)
	p.schema(r)
	if len(p.problems) > before {
		slices.SortStableFunc(p.problems[before:], func(a, b Problem) int {
			return cmp.Or(a.Line-b.Line, a.Column-b.Column)
		})
		return
	}
	if err := p.set.add(r); err != nil {
		p.report(f, s, nil, err.Error(), "")
	}
}

// schema reports what the validator finds, once: it says the same for each method, and that no action is left after each other
// fault of a scope.
func (p *parser) schema(r *rule) {
	seen := map[string]bool{}
	faults := p.checker.check(r.ast)
	for _, fault := range faults {
		fault = forAction.ReplaceAllString(fault, "")
		follows := len(faults) > 1 && strings.HasPrefix(fault, "unable to find an applicable action")
		if !seen[fault] && !follows {
			p.report(r.file, r.statement, quoted(fault), fault, hintFor(fault))
		}
		seen[fault] = true
	}
}

var forAction = regexp.MustCompile(` for Action::"[^"]*"`)

// parseOne gives Cedar one rule. What it says about places is about that rule's own text.
func parseOne(f File, s statement) (policy *cedar.Policy, err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("the rule cannot be read")
		}
	}()
	list, err := cedar.NewPolicyListFromBytes(f.Name, []byte(s.text))
	if err != nil {
		return nil, err
	}
	if len(list) != 1 {
		return nil, errors.New("the rule cannot be told from the next")
	}
	return list[0], nil
}

var errorPlace = regexp.MustCompile(`^(?:parser error: )?(?:parse error at )?(?:<input>)?:?(\d+):(\d+):? ?`)

// syntax reports Cedar's own error, with its place put where ours are.
func (p *parser) syntax(f File, s statement, err error) {
	message := err.Error()
	line, column := position(f.Text, s.offset)
	if m := errorPlace.FindStringSubmatch(message); m != nil {
		l, _ := strconv.Atoi(m[1])
		c, _ := strconv.Atoi(m[2])
		if l == 1 {
			c += column - 1
		}
		line, column, message = line+l-1, c, message[len(m[0]):]
	}
	if m := expected.FindStringSubmatch(message); m != nil {
		message = fmt.Sprintf("it has %q where %q belongs", m[1], m[2])
		line, column = before(f.Text, s, m[1], line, column)
	}
	hint := "a rule is permit(principal, action, resource) when { … };"
	if !strings.HasSuffix(s.text, ";") {
		hint = "a rule ends with a semicolon"
	}
	p.problems = append(p.problems, Problem{f.Name, cmp.Or(line, 1), cmp.Or(column, 1), "this is not Cedar: " + message, hint})
}

var expected = regexp.MustCompile(`^"[^"]*": exact got (.*) want (.*)$`)

// before is where a token is last found before a place: Cedar's parser has gone on when it complains.
func before(text string, s statement, token string, line, column int) (int, int) {
	rest, passed := text, 0
	for range line - 1 {
		end := strings.IndexByte(rest, '\n') + 1
		rest, passed = rest[end:], passed+end
	}
	for i := range rest {
		if column--; column == 0 {
			passed += i
			break
		}
	}
	if i := strings.LastIndex(text[s.offset:max(passed, s.offset)], token); i >= 0 && token != "" {
		return position(text, s.offset+i)
	}
	return position(text, passed)
}

var backquoted = regexp.MustCompile("`([^`]+)`")

// quoted finds the names in a message of the validator, the whole ones first.
func quoted(message string) (needles []string) {
	for _, m := range backquoted.FindAllStringSubmatch(message, -1) {
		needles = append(needles, m[1])
	}
	return needles
}

// hints are for the validator's messages, by a part of them.
var hints = []struct{ part, hint string }{
	{"unrecognized action", "methods are those of HTTP in capitals, read, write and other"},
	{"unrecognized entity type", "there are Person, Service, Nobody, Group, Action, Path and Host"},
	{"unable to find an applicable action", "a principal is a Person, a Service or Nobody, and a resource is a Path: write `in` for a Group or a Host"},
	{"in context", "the context has network, an address, and nothing else"},
	{"attribute", "a Person has by, provider, subject, email and domain; the others have nothing: ask `principal is Person &&` first"},
	{"parse as IP address", `write ip("10.0.0.0/8")`},
	{"are not compatible", "what is compared, and what is in one set, is of one type"},
	{"empty set", "a set without members matches nothing"},
	{"unexpected type", ""},
}

func hintFor(fault string) string {
	for _, h := range hints {
		if strings.Contains(fault, h.part) {
			return h.hint
		}
	}
	return ""
}
