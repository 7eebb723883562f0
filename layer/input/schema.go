// Package input is the boundary at which a request becomes a Go value. One struct type per route says everything that may be
// sent (SYSTEM N1): strict decoding, validation, the OpenAPI document and the attributes of HTML form fields all come from it,
// so that none of them can drift from the others.
//
// # What it assumes has failed
//
// Everything outside it. The client is hostile, the edge passes whatever it was given, the route gate let in a caller who may
// well be a customer with an account and a proxy, and the handler behind will use each field without looking at it again.
//
// # What it stops
//
// Members that nobody declared (mass assignment, SYSTEM A5), the same member twice or in another case, trailing and malformed
// JSON, invalid UTF-8, null where a value is meant, numbers out of range, text without an end, control characters and
// characters that reverse the direction of text, bodies of another kind than the route's, and bodies that are too large, too
// deep, too many-membered or too slow (SYSTEM T6). Files beside the fields are received part by part, each within its own bound, into
// a spool that has one for all of them; a name that is a path, a second reading of a part's head, parts in parts, and whatever stands
// around the parts are refused, and of what is refused or breaks off nothing stays on disk. A type whose input would be unbounded does not compile into a Schema, so the
// program does not start.
//
// # What it does not stop
//
// A well-formed lie. That a UUID is a UUID says nothing about whose row it names (gate/action and rls), text that fits its
// bound may still be a script (the renderer and the content security policy) and a form that fits may come from another site
// (transport). A file may be anything: nobody has looked into it (file). Whoever may upload can hold places in the spool for as long
// as transport lets them send slowly; they are refused beyond it, as everybody else then is.
//
// # How it is knocked out in a drill
//
// The drill replaces Bind by encoding/json without limits; then the database's own checks, the row policies and the columns
// that no handler writes must hold.
//
// # Example
//
//	type PlaceOrder struct {
//		ProductID ProductID `json:"product_id"`
//		Quantity  int       `json:"quantity" minimum:"1" maximum:"100"`
//	}
//
//	schema, err := input.For(reflect.TypeFor[PlaceOrder](), input.ModeJSON) // at start: err means that the program is wrong
//	...
//	var in PlaceOrder
//	if err := schema.Bind(r, input.Limits{}, &in); err != nil { // err is a *layer.Refusal that names every wrong field
package input

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"
)

// A Mode is the one kind of body that a route takes. The route decides it, never the client's Content-Type.
type Mode int

// The modes. The zero Mode refuses every body.
const (
	ModeNone    Mode = iota // no body at all
	ModeJSON                // application/json in UTF-8
	ModeForm                // an HTML form: application/x-www-form-urlencoded or multipart/form-data; the latter alone if there are files
	ModeContent             // the body is one file, of any media type
)

// MaxDepth is how deep objects and lists may be nested in a body, and in a type (SYSTEM T6).
const MaxDepth = 16

// Token is the form member that carries the synchroniser token. Package transport checks it; Bind passes over it.
const Token = "_token"

// A Schema is a struct type, compiled once per route. It is immutable and may be used concurrently.
type Schema struct {
	typ    reflect.Type
	mode   Mode
	places [5][]*field // what is declared in each place
	files  bool        // whether a form has files
}

// A place is where in a request a field comes from. Its number indexes Schema.places.
type place int

const (
	inPath place = iota
	inQuery
	inHeader
	inBody
	inContent // the body as it is
)

var placeTags = [...]string{"path", "query", "header", "json", "body"}

func (p place) String() string { return placeTags[p] }

// A field is one declared value: its name outside, and where it goes inside.
type field struct {
	*shape
	place    place
	name     string
	index    []int // for reflect.Value.FieldByIndex
	optional bool
}

// A kind is one of the few forms a value may have.
type kind int

const (
	text kind = iota
	boolean
	integer
	number
	moment
	object
	list
	file
)

// A shape is what a value must look like, whatever its name.
type shape struct {
	typ      reflect.Type // without the pointer
	kind     kind
	nullable bool // a pointer: null in JSON, or absent
	rules
	fields []*field // of an object
	item   *shape   // of a list
}

// For compiles t, a struct type, for a route that takes bodies of the given mode. A nil t or a struct without fields means
// that the route takes no input.
//
// Each exported field has exactly one of the tags `json:"name"` (a member of the body), `path:"name"`, `query:"name"`,
// `header:"Name"` or, for the one Upload of a ModeContent, `body:"content"`; with ",omitempty" it may be absent. A field of the path
// and the content are always required. Further tags bound the value:
//
//	minimum maximum          numbers, inclusive
//	minLength maxLength      text, in Unicode code points, after line ends have been made "\n"
//	pattern                  text, an RE2 expression that has to match the whole
//	enum:"a,b"               text, one of these
//	format                   text: uuid, date-time, date, email or uri (http and https only)
//	multiline:"true"         text may have line ends and tabs
//	secret:"true"            text is never shown again
//	minItems maxItems        lists; the other tags of a list speak of its items
//	maxBytes                 files, at most 1 GiB each
//	accept:"image/png,.pdf"  files that a browser offers to choose; nothing is checked against it
//	doc example              for people; an example has to fit the rest
//
// The kinds are text, booleans, whole numbers, float64, time.Time, Upload, structs, slices of these, and pointers, which are nil for
// an absent value. Unsigned numbers end where a signed 64-bit number does, as in the database. The error reports every problem of
// the type at once: a field that nobody tagged, a string or slice without an upper bound, a tag that does not fit or is not known.
func For(t reflect.Type, mode Mode) (*Schema, error) {
	if t == nil {
		t = reflect.TypeFor[struct{}]()
	}
	if t.Kind() != reflect.Struct || t == timeType || t == uploadType {
		return nil, fmt.Errorf("input: %v is not a struct", t)
	}
	c := compiler{mode: mode}
	s := &Schema{typ: t, mode: mode}
	for _, f := range c.structure(t, t.Name(), false) {
		s.places[f.place] = append(s.places[f.place], f)
		s.files = s.files || f.place == inBody && f.upload() != nil
	}
	if (mode == ModeNone || mode == ModeContent) && len(s.places[inBody]) > 0 {
		c.problem(t.Name(), "has json fields, but the route takes no body that has members")
	}
	if (mode == ModeContent) != (len(s.places[inContent]) == 1) {
		c.problem(t.Name(), "has %d fields for content: ModeContent has one, and no other mode has any", len(s.places[inContent]))
	}
	if len(c.problems) > 0 {
		return nil, fmt.Errorf("input: %v cannot be an input:\n%w", t, errors.Join(c.problems...))
	}
	return s, nil
}

// A compiler turns struct types into fields and remembers what is wrong with them.
type compiler struct {
	mode     Mode
	open     []reflect.Type // the structs being compiled, outermost first
	problems []error
}

func (c *compiler) problem(at, format string, args ...any) {
	c.problems = append(c.problems, fmt.Errorf("%s %s", at, fmt.Sprintf(format, args...)))
}

// structure compiles the fields of t. Those of a nested struct can only be members of the body.
func (c *compiler) structure(t reflect.Type, at string, nested bool) []*field {
	if slices.Contains(c.open, t) {
		c.problem(at, "contains itself, so its input would have no bound")
		return nil
	}
	c.open = append(c.open, t)
	defer func() { c.open = c.open[:len(c.open)-1] }()

	if len(c.open) > MaxDepth {
		c.problem(at, "is nested more than %d deep", MaxDepth)
		return nil
	}
	var fields []*field
	for i := range t.NumField() {
		fields = append(fields, c.member(t.Field(i), at+"."+t.Field(i).Name, nested)...)
	}
	c.once(fields, at)
	return fields
}

// member compiles one field of a struct: several fields, if it is embedded.
func (c *compiler) member(sf reflect.StructField, at string, nested bool) []*field {
	if sf.Anonymous && sf.Tag == "" && sf.Type.Kind() == reflect.Struct && sf.Type != timeType && sf.Type != uploadType {
		fields := c.structure(sf.Type, at, nested)
		for _, f := range fields {
			f.index = append(slices.Clone(sf.Index), f.index...)
		}
		return fields
	}
	if !sf.IsExported() {
		c.problem(at, "is unexported: it could be neither filled nor forgotten safely")
		return nil
	}
	tags, err := parseTag(sf.Tag)
	if err != nil {
		c.problem(at, "has %v", err)
		return nil
	}
	f := c.named(tags, at, nested)
	if f == nil {
		return nil
	}
	f.index = sf.Index
	if f.shape = c.shape(sf.Type, tags, at); f.shape == nil {
		return nil
	}
	c.fits(f, at)
	return []*field{f}
}

var (
	plainName  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]{0,63}$`)
	ownHeaders = []string{"authorization", "cookie", "proxy-authorization"}
)

// named reads the tag that gives the field its place and its name, and takes it out of tags.
func (c *compiler) named(tags map[string]string, at string, nested bool) *field {
	var found *field
	for p, key := range placeTags {
		value, ok := tags[key]
		delete(tags, key)
		if !ok || value == "-" && p == int(inBody) {
			continue
		}
		if found != nil {
			c.problem(at, "has a %s tag and a %s tag: it can come from one place only", found.place, key)
			return nil
		}
		name, option, _ := strings.Cut(value, ",")
		found = &field{place: place(p), name: name, optional: option == "omitempty"}
		switch {
		case option != "" && option != "omitempty":
			c.problem(at, "has the option %q: only omitempty is known", option)
		case !plainName.MatchString(name) || name == Token:
			c.problem(at, "has the name %q: not a plain name, or a reserved one", name)
		case nested && found.place != inBody:
			c.problem(at, "has a %s tag inside a nested struct", key)
		case found.place == inContent && value != "content":
			c.problem(at, "has body:%q: the body as a whole is called content", value)
		case found.place == inPath && found.optional:
			c.problem(at, "is optional in the path: what stands in a path is always there")
		case found.place == inHeader && slices.Contains(ownHeaders, strings.ToLower(name)):
			c.problem(at, "asks for the header %s, which carries credentials: package identity alone reads it", name)
		}
	}
	if found == nil {
		c.problem(at, "has none of the tags json, path, query, header, body: say where it comes from, or remove it")
	}
	return found
}

// fits reports a shape that its place cannot carry: only JSON has structure.
func (c *compiler) fits(f *field, at string) {
	flat := f.kind != object && (f.kind != list || f.item.kind != object)
	switch {
	case f.place == inContent && f.kind != file:
		c.problem(at, "is content, which only an Upload can be")
	case f.upload() != nil && !(f.place == inContent || f.place == inBody && c.mode == ModeForm):
		c.problem(at, "is a file, which only a form can carry, or a body that is nothing else")
	case f.place == inBody && c.mode == ModeForm && f.kind == boolean && !f.nullable:
		f.optional = true // a checkbox that is not ticked is not sent
	case f.place == inBody && c.mode == ModeForm && !flat:
		c.problem(at, "is a struct, which a form cannot carry")
	case f.place == inQuery && !flat:
		c.problem(at, "is a struct, which a query cannot carry")
	case (f.place == inPath || f.place == inHeader) && (f.kind == object || f.kind == list):
		c.problem(at, "is not a single value, which is all that a %s can carry", f.place)
	}
}

// upload is what a file has to look like, for a file and for a list of them, and nil for anything else.
func (s *shape) upload() *shape {
	switch {
	case s.kind == file:
		return s
	case s.kind == list && s.item.kind == file:
		return s.item
	}
	return nil
}

// once reports names that are declared twice. One name in two places would leave it to the reader's luck which one is meant.
func (c *compiler) once(fields []*field, at string) {
	seen := map[string]bool{}
	for _, f := range fields {
		key := strings.ToLower(f.name)
		if seen[key] {
			c.problem(at, "declares %q twice", f.name)
		}
		seen[key] = true
	}
}

var timeType = reflect.TypeFor[time.Time]()

// shape compiles a type with the constraints of its tags. It returns nil after reporting a type that cannot be input.
func (c *compiler) shape(t reflect.Type, tags map[string]string, at string) *shape {
	s := &shape{typ: t}
	if t.Kind() == reflect.Pointer {
		s.nullable, s.typ = true, t.Elem()
	}
	inherit(tags, s.typ)
	k, ok := kindOf(s.typ)
	if !ok || s.nullable && (k == list || k == file) {
		c.problem(at, "is a %v, which cannot be input", t)
		return nil
	}
	s.kind = k
	switch k {
	case object:
		s.fields = c.structure(s.typ, at, true)
	case list:
		if s.item = c.item(s, tags, at); s.item == nil {
			return nil
		}
	}
	for _, p := range s.compile(s, tags) {
		c.problem(at, "%s", p)
	}
	return s
}

// item compiles the items of a list. It takes from tags what speaks of the items and leaves what speaks of the list.
func (c *compiler) item(s *shape, tags map[string]string, at string) *shape {
	of := map[string]string{}
	for key, value := range tags {
		if key != "minItems" && key != "maxItems" && key != "doc" {
			of[key] = value
			delete(tags, key)
		}
	}
	elem := s.typ.Elem()
	if k, ok := kindOf(elem); !ok || k == list || elem.Kind() == reflect.Uint8 {
		c.problem(at, "is a list of %v, which cannot be input", elem)
		return nil
	}
	return c.shape(elem, of, at+"[]")
}

func kindOf(t reflect.Type) (kind, bool) {
	switch t.Kind() {
	case reflect.String:
		return text, true
	case reflect.Bool:
		return boolean, true
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return integer, true
	case reflect.Float64:
		return number, true
	case reflect.Slice:
		return list, true
	case reflect.Struct:
		switch t {
		case timeType:
			return moment, true
		case uploadType:
			return file, true
		}
		return object, true
	}
	return 0, false
}

// Fits reports whether the wildcards of a net/http pattern are the fields of s's path, no more and no fewer. A wildcard that no
// field declares would be an id that nobody checks (SYSTEM A5); a field without a wildcard would never be filled.
func (s *Schema) Fits(pattern string) error {
	declared := map[string]bool{}
	for _, f := range s.places[inPath] {
		declared[f.name] = true
	}
	var problems []error
	for _, name := range wildcards(pattern) {
		if !declared[name] {
			problems = append(problems, fmt.Errorf("input: %s has {%s}, which %v does not declare", pattern, name, s.typ))
		}
		delete(declared, name)
	}
	for _, f := range s.places[inPath] {
		if declared[f.name] {
			problems = append(problems, fmt.Errorf("input: %v has the path field %q, which %s does not have", s.typ, f.name, pattern))
		}
	}
	return errors.Join(problems...)
}

var wildcard = regexp.MustCompile(`\{([A-Za-z_][A-Za-z0-9_]*)(\.\.\.)?\}`)

func wildcards(pattern string) []string {
	var names []string
	for _, m := range wildcard.FindAllStringSubmatch(pattern, -1) {
		names = append(names, m[1])
	}
	return names
}
