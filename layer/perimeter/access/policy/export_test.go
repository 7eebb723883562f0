package policy

import (
	"github.com/cedar-policy/cedar-go/x/exp/ast"
)

// Unchecked reads rules as Parse does, without any check, to see what happens if a check is knocked out.
func Unchecked(host, text string) *Set {
	s := &Set{hosts: map[string]bool{host: true}, strict: newIndex(false), careless: newIndex(true), groups: groups{}}
	f := File{"x.cedar", text}
	for i, statement := range statements(text) {
		p, err := parseOne(f, statement)
		if err != nil {
			panic(err)
		}
		if err := s.add(&rule{number: i, file: f, statement: statement, ast: (*ast.Policy)(p.AST())}); err != nil {
			panic(err)
		}
	}
	return s
}

// Candidates are the numbers of the rules that the index finds, in one reading.
func Candidates(s *Set, host, path, method string, loosely bool) (numbers []int) {
	p, ok := read(host, path)
	x := &s.strict
	if loosely {
		p, x = p.careless(), &s.careless
	}
	if !ok {
		return nil
	}
	for _, r := range x.candidates(nil, p, actionOf(method)) {
		numbers = append(numbers, r.number)
	}
	return numbers
}

// Segments is how a path is read: its name, what it lies in, and its careless reading.
func Segments(host, path string) (id string, in []string, careless string, ok bool) {
	p, ok := read(host, path)
	if !ok {
		return "", nil, "", false
	}
	p.around(func(id string) { in = append(in, id) })
	return p.id, in, p.careless().id, true
}

// Clauses, CanonicalEmail and CheckSchema are for tests of their own.
var (
	Clauses        = clauses
	CanonicalEmail = canonicalEmail
	Statements     = func(text string) (all []string) {
		for _, s := range statements(text) {
			all = append(all, s.text)
		}
		return all
	}
)
