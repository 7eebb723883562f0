package scim

import (
	"encoding/json"
	"strings"
	"time"
)

// A filter is the tree of RFC 7644 section 3.4.2.2, with every attribute known and every value of its kind.
type filter interface {
	match(tree map[string]any) bool
}

type (
	both   struct{ left, right filter } // and
	either struct{ left, right filter } // or
	not    struct{ of filter }
	item   struct { // emails[type eq "work"]: one value of several that fits
		of   attribute
		what filter
	}
	comparison struct {
		place
		op    string
		value any // string, bool or time.Time; nil for null and pr
	}
)

func (f both) match(t map[string]any) bool   { return f.left.match(t) && f.right.match(t) }
func (f either) match(t map[string]any) bool { return f.left.match(t) || f.right.match(t) }
func (f not) match(t map[string]any) bool    { return !f.of.match(t) }

func (f item) match(t map[string]any) bool {
	all, _ := t[f.of.name].([]any)
	for _, one := range all {
		if one, ok := one.(map[string]any); ok && f.what.match(one) {
			return true
		}
	}
	return false
}

// match compares with every value that is there; one that fits is enough, and for ne none may.
func (f comparison) match(t map[string]any) bool {
	values := f.values(t)
	switch {
	case f.op == "ne":
		f.op = "eq"
		return !f.match(t)
	case f.op == "pr":
		return len(values) > 0
	case f.value == nil: // eq null
		return len(values) == 0
	}
	for _, v := range values {
		if f.fits(v) {
			return true
		}
	}
	return false
}

// values are what a tree has at a place. Nothing, and an empty text, are no value (RFC 7643 section 2.5).
func (p place) values(t map[string]any) (found []any) {
	whole := t[p.name]
	if p.kind != several {
		if many, ok := whole.([]any); ok {
			return many
		}
		if whole == nil || whole == "" {
			return nil
		}
		return []any{whole}
	}
	all, multi := whole.([]any)
	if !multi && whole != nil {
		all = []any{whole}
	}
	for _, one := range all {
		if one, ok := one.(map[string]any); ok {
			found = append(found, place{attribute: p.compared()}.values(one)...)
		}
	}
	return found
}

// compared is what a comparison with p looks at: of a complex value without a part, its value.
func (p place) compared() attribute {
	if p.part != nil {
		return *p.part
	}
	if p.kind == several {
		return p.parts["value"]
	}
	return p.attribute
}

func (f comparison) fits(v any) bool {
	switch want := f.value.(type) {
	case bool:
		return v == want
	case time.Time:
		got, ok := v.(time.Time)
		return ok && ordered(f.op, got.Compare(want))
	case string:
		got, ok := v.(string)
		if f.compared().kind == folded {
			got, want = strings.ToLower(got), strings.ToLower(want)
		}
		switch f.op {
		case "co":
			return ok && strings.Contains(got, want)
		case "sw":
			return ok && strings.HasPrefix(got, want)
		case "ew":
			return ok && strings.HasSuffix(got, want)
		}
		return ok && ordered(f.op, strings.Compare(got, want))
	}
	return false
}

func ordered(op string, sign int) bool {
	switch op {
	case "eq":
		return sign == 0
	case "gt":
		return sign > 0
	case "ge":
		return sign >= 0
	case "lt":
		return sign < 0
	case "le":
		return sign <= 0
	}
	return false
}

// ---- reading ----

func badFilter() error {
	return invalid(InvalidFilter, "The filter is not one that is understood here.")
}

// parseFilter reads a filter on attributes among all.
func parseFilter(s string, all map[string]attribute) (filter, error) {
	p := &parser{rest: s}
	if len(s) > maxFilter {
		return nil, badFilter()
	}
	f := p.or(all, 0)
	if p.bad || p.next() != "" {
		return nil, badFilter()
	}
	return f, nil
}

// A parser reads on until something is wrong; from then on it finds nothing more.
type parser struct {
	rest  string
	terms int
	bad   bool
}

func (p *parser) fail() filter {
	p.bad, p.rest = true, ""
	return not{}
}

// next looks at the token at the head: a bracket, a text in quotation marks, or a word; "" at the end. A character that begins nothing
// is a word of its own, which nobody asks for.
func (p *parser) next() string {
	p.rest = strings.TrimLeft(p.rest, " ")
	if p.rest == "" {
		return ""
	}
	switch c := p.rest[0]; {
	case strings.IndexByte("()[]", c) >= 0:
		return p.rest[:1]
	case c == '"':
		for i := 1; i < len(p.rest); i++ {
			switch p.rest[i] {
			case '\\':
				i++
			case '"':
				return p.rest[:i+1]
			}
		}
		return p.rest // without an end: no JSON
	}
	end := strings.IndexAny(p.rest, " ()[]\"")
	if end < 0 {
		end = len(p.rest)
	}
	return p.rest[:end]
}

func (p *parser) take() string {
	t := p.next()
	p.rest = p.rest[len(t):]
	return t
}

// accept takes the next token if it is this one, in any case.
func (p *parser) accept(token string) bool {
	if !strings.EqualFold(p.next(), token) {
		return false
	}
	p.take()
	return true
}

func (p *parser) or(all map[string]attribute, depth int) filter {
	f := p.and(all, depth)
	for p.accept("or") {
		f = either{f, p.and(all, depth)}
	}
	return f
}

func (p *parser) and(all map[string]attribute, depth int) filter {
	f := p.term(all, depth)
	for p.accept("and") {
		f = both{f, p.term(all, depth)}
	}
	return f
}

func (p *parser) term(all map[string]attribute, depth int) filter {
	if p.terms++; p.terms > maxTerms || depth > maxNesting || p.bad {
		return p.fail()
	}
	switch {
	case p.accept("("):
		f := p.or(all, depth+1)
		if !p.accept(")") {
			return p.fail()
		}
		return f
	case p.accept("not"):
		if p.next() != "(" {
			return p.fail()
		}
		return not{p.term(all, depth+1)}
	}
	at, ok := find(all, p.take())
	if !ok {
		return p.fail()
	}
	if p.accept("[") {
		return p.item(at, depth)
	}
	return p.compare(at)
}

func (p *parser) item(at place, depth int) filter {
	if at.part != nil || !at.multi || at.kind != several {
		return p.fail()
	}
	f := item{at.attribute, p.or(at.parts, depth+1)}
	if !p.accept("]") {
		return p.fail()
	}
	return f
}

func (p *parser) compare(at place) filter {
	f := comparison{place: at, op: strings.ToLower(p.take())}
	of := f.compared()
	if of.name == "" { // a name or meta as a whole has nothing to compare
		return p.fail()
	}
	if f.op == "pr" {
		return f
	}
	var fits bool
	f.value, fits = operand(p.take(), of.kind)
	orders := f.op == "gt" || f.op == "ge" || f.op == "lt" || f.op == "le"
	searches := f.op == "co" || f.op == "sw" || f.op == "ew"
	equals := f.op == "eq" || f.op == "ne"
	text := of.kind == folded || of.kind == exact
	switch {
	case fits && equals:
	case fits && f.value != nil && orders && of.kind != truth:
	case fits && f.value != nil && searches && text:
	default:
		return p.fail()
	}
	return f
}

// operand reads a comparison's value: JSON (RFC 7644 section 3.4.2.2), of the attribute's kind.
func operand(token string, kind kind) (value any, fits bool) {
	if len(token) == 0 || json.Unmarshal([]byte(token), &value) != nil {
		return nil, false
	}
	switch v := value.(type) {
	case nil:
		return nil, true
	case bool:
		return v, kind == truth
	case string:
		if kind == instant {
			at, err := time.Parse(time.RFC3339, v)
			return at, err == nil
		}
		return v, kind == folded || kind == exact
	}
	return nil, false
}

// ---- what the database can look for ----

// Pins are comparisons that must all hold, by the attribute's name, and what of a filter is left to be compared afterwards.
type pins struct {
	values map[string]string
	rest   filter // nil if the pins say it all
}

// pinned takes those comparisons with eq out of f that are among names and stand in no alternative.
func pinned(f filter, names ...string) pins {
	p := pins{values: map[string]string{}}
	p.rest = p.take(f, names)
	return p
}

func (p pins) take(f filter, names []string) filter {
	switch f := f.(type) {
	case both:
		left, right := p.take(f.left, names), p.take(f.right, names)
		switch {
		case left == nil:
			return right
		case right == nil:
			return left
		}
		return both{left, right}
	case item:
		if f.of.name == "members" {
			if c, ok := f.what.(comparison); ok && c.op == "eq" && p.pin("members", c.value, names) {
				return nil
			}
		}
	case comparison:
		if f.op == "eq" && (f.kind != several || f.compared().name == "value") && p.pin(f.name, f.value, names) {
			return nil
		}
	}
	return f
}

func (p pins) pin(name string, value any, names []string) bool {
	text, ok := value.(string)
	if _, twice := p.values[name]; !ok || twice {
		return false
	}
	for _, n := range names {
		if n == name {
			p.values[name] = text
			return true
		}
	}
	return false
}

// uuid is the pinned id of that name in its one spelling; ok is false for one that nothing has.
func (p pins) uuid(name string) (id *string, ok bool) {
	s, pinned := p.values[name]
	if !pinned {
		return nil, true
	}
	return &s, isUUID(s)
}

func (p pins) text(name string) *string {
	if s, ok := p.values[name]; ok {
		return &s
	}
	return nil
}

// isUUID reports whether s is an id as we write them. PostgreSQL would read others too, and find the same thing under two names.
func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i, c := range []byte(s) {
		if dash := i == 8 || i == 13 || i == 18 || i == 23; dash != (c == '-') || !dash && strings.IndexByte("0123456789abcdef", c) < 0 {
			return false
		}
	}
	return true
}
