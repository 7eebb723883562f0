package input

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Info is what an OpenAPI document says about the whole API.
type Info struct {
	Title       string           // required
	Version     string           // required: the version of the API, not of the program
	Description string           // empty for none
	Servers     []string         // base addresses; none means the address that serves the document
	Security    []SecurityScheme // how callers may say who they are; none if every operation is public
}

// A SecurityScheme is one way to say who asks.
type SecurityScheme struct {
	Name        string // as operations refer to it; required
	Cookie      string // the name of a session's cookie; empty for a bearer token in the Authorization header
	Format      string // of a bearer token, for people: "Redoubt API key"; empty for none
	Description string // empty for none
}

// A Requirement is a credential that suffices for an operation.
type Requirement struct {
	Scheme string   // the Name of a SecurityScheme
	Scopes []string // what the credential has to allow; none means any
}

// An Operation is one route of the API, as its documentation shows it.
type Operation struct {
	Method      string        // required
	Path        string        // required: the net/http pattern without its method, "/api/v1/orders/{id}"
	ID          string        // required, unique: "placeOrder"
	Summary     string        // required: one line
	Description string        // empty for none
	Tag         string        // the noun under which it is listed; empty for none
	Security    []Requirement // any one of them suffices; none means that anybody may ask
	In          *Schema       // nil for no input
	Out         reflect.Type  // nil for an answer without a body
	File        bool          // the answer is a file, of whatever media type it has; Out is nil
	Status      int           // of success; zero means 200, or 204 without Out
	Refusals    []int         // statuses of refusals besides those that follow from In and Security
}

// OpenAPI describes operations as an OpenAPI 3.1 document, the same bytes for the same arguments (SYSTEM N1). Structs become
// components named after their Go type; where two packages use one name, the folder's name goes before it. The error reports
// every operation that contradicts itself.
func OpenAPI(info Info, ops []Operation) ([]byte, error) {
	b := book{schemes: map[string]bool{}, ids: map[string]bool{}, paths: map[string]doc{}}
	b.check(info.Title != "" && info.Version != "", "the API needs a title and a version")
	security := doc{}
	for _, s := range info.Security {
		b.check(s.Name != "" && !b.schemes[s.Name], "the security scheme %q has no name, or another's", s.Name)
		b.schemes[s.Name] = true
		security[s.Name] = s.describe()
	}
	b.survey(ops)
	for _, op := range ops {
		b.add(op)
	}
	if len(b.problems) > 0 {
		return nil, fmt.Errorf("input: describing the API:\n%w", errors.Join(b.problems...))
	}
	b.components["Problem"] = problem
	components := doc{"schemas": b.components, "responses": doc{"Problem": problemResponse}}
	if len(security) > 0 {
		components["securitySchemes"] = security
	}
	d := doc{"openapi": "3.1.0", "info": info.describe(), "paths": b.paths, "components": components}
	if len(info.Servers) > 0 {
		servers := []doc{}
		for _, url := range info.Servers {
			servers = append(servers, doc{"url": url})
		}
		d["servers"] = servers
	}
	return encode(d)
}

func (i Info) describe() doc {
	d := doc{"title": i.Title, "version": i.Version}
	some(d, "description", i.Description)
	return d
}

func (s SecurityScheme) describe() doc {
	d := doc{"type": "http", "scheme": "bearer"}
	if s.Cookie != "" {
		d = doc{"type": "apiKey", "in": "cookie", "name": s.Cookie}
	} else {
		some(d, "bearerFormat", s.Format)
	}
	some(d, "description", s.Description)
	return d
}

func some(d doc, key, value string) {
	if value != "" {
		d[key] = value
	}
}

// Every refusal has this form (RFC 9457 section 3), with the layer that refused and, for input, every wrong field.
var (
	problem = doc{
		"type":        "object",
		"description": "Why a request was refused: problem details, RFC 9457.",
		"required":    []string{"type", "title", "status"},
		"properties": doc{
			"type":       doc{"type": "string", "format": "uri-reference", "description": "A stable address of this kind of problem."},
			"title":      doc{"type": "string", "description": "The kind, in words."},
			"status":     doc{"type": "integer", "description": "The HTTP status."},
			"detail":     doc{"type": "string", "description": "One sentence about this one."},
			"instance":   doc{"type": "string", "description": "To quote when asking for help."},
			"refused_by": doc{"type": "string", "description": "The layer that refused."},
			"errors": doc{"type": "array", "description": "Every wrong field at once.", "items": doc{
				"type":     "object",
				"required": []string{"name", "detail"},
				"properties": doc{
					"name":   doc{"type": "string", "description": "The field; empty for the whole."},
					"detail": doc{"type": "string", "description": "What would be right."},
				},
			}},
		},
	}
	problemResponse = doc{
		"description": "The request was refused.",
		"content":     doc{"application/problem+json": doc{"schema": doc{"$ref": "#/components/schemas/Problem"}}},
	}
)

// A book is an OpenAPI document being written.
type book struct {
	schemes, ids map[string]bool
	paths        map[string]doc
	names        map[use]string // of structs, as components
	components   doc
	problems     []error
}

func (b *book) check(ok bool, format string, args ...any) {
	if !ok {
		b.problems = append(b.problems, fmt.Errorf(format, args...))
	}
}

// add writes one operation.
func (b *book) add(op Operation) {
	at := op.Method + " " + op.Path
	b.check(op.ID != "" && !b.ids[op.ID], "%s has no ID, or another's: %q", at, op.ID)
	b.check(op.Summary != "", "%s has no summary", at)
	b.ids[op.ID] = true
	if op.In == nil {
		op.In, _ = For(nil, ModeNone)
	}
	if err := op.In.Fits(op.Path); err != nil {
		b.problems = append(b.problems, err)
	}
	path := wildcard.ReplaceAllString(strings.TrimSuffix(op.Path, "{$}"), "{$1}")
	method := strings.ToLower(op.Method)
	b.check(slices.Contains(methods, op.Method) && strings.HasPrefix(path, "/"), "%s is not a method and a path", at)
	if b.paths[path] == nil {
		b.paths[path] = doc{}
	}
	b.check(b.paths[path][method] == nil, "%s is there twice", at)
	b.paths[path][method] = b.operation(op, at)
}

var methods = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}

func (b *book) operation(op Operation, at string) doc {
	d := doc{"operationId": op.ID, "summary": op.Summary, "responses": b.responses(op), "security": b.security(op, at)}
	some(d, "description", op.Description)
	if op.Tag != "" {
		d["tags"] = []string{op.Tag}
	}
	if parameters := b.parameters(op.In); len(parameters) > 0 {
		d["parameters"] = parameters
	}
	if content := b.content(op.In); content != nil {
		d["requestBody"] = doc{"required": true, "content": content}
	}
	return d
}

// content describes a body of each media type that it may have.
func (b *book) content(in *Schema) doc {
	body := in.places[inBody]
	switch {
	case in.mode == ModeContent:
		return describeContent(in.places[inContent][0])
	case len(body) == 0:
		return nil
	case in.mode == ModeForm: // in place: a type that is also read as JSON differs there, as a checkbox does
		d := doc{"schema": describeObject(body, inline)}
		if encoding := describeFiles(body); len(encoding) > 0 {
			d["encoding"] = encoding
		}
		return doc{in.Enctype(): d}
	}
	return doc{"application/json": doc{"schema": b.reference(use{in.typ, true})}}
}

// describeContent leaves the schema empty: what is not JSON has none (OpenAPI 3.1, "considerations for file uploads").
func describeContent(f *field) doc {
	d := doc{"application/octet-stream": doc{"schema": doc{}}}
	for _, media := range mediaOf(f.accept) {
		d[media] = doc{"schema": doc{}}
	}
	return d
}

// describeFiles says of which media types the files of a form are meant to be, where that can be said by media types alone.
func describeFiles(body []*field) doc {
	d := doc{}
	for _, f := range body {
		if u := f.upload(); u != nil && len(u.accept) > 0 && len(mediaOf(u.accept)) == len(u.accept) {
			d[f.name] = doc{"contentType": strings.Join(u.accept, ", ")}
		}
	}
	return d
}

// mediaOf leaves the ends of names out of what a file input accepts.
func mediaOf(accept []string) (media []string) {
	for _, one := range accept {
		if !strings.HasPrefix(one, ".") {
			media = append(media, one)
		}
	}
	return media
}

// security is empty, not absent, for an operation that anybody may ask for.
func (b *book) security(op Operation, at string) []doc {
	enough := []doc{}
	for _, r := range op.Security {
		b.check(b.schemes[r.Scheme], "%s names the security scheme %q, which is not described", at, r.Scheme)
		enough = append(enough, doc{r.Scheme: append([]string{}, r.Scopes...)})
	}
	return enough
}

func (b *book) parameters(in *Schema) []doc {
	var all []doc
	for _, p := range []place{inPath, inQuery, inHeader} {
		for _, f := range in.places[p] {
			schema := describe(f.shape, inline)
			d := doc{"name": f.name, "in": p.String(), "required": !f.optional, "schema": schema}
			if f.doc != "" {
				d["description"] = f.doc
				delete(schema, "description")
			}
			all = append(all, d)
		}
	}
	return all
}

func (b *book) responses(op Operation) doc {
	status := op.Status
	if status == 0 && op.Out == nil && !op.File {
		status = http.StatusNoContent
	} else if status == 0 {
		status = http.StatusOK
	}
	success := doc{"description": http.StatusText(status)}
	if op.Out != nil {
		success["content"] = doc{"application/json": doc{"schema": b.output().value(op.Out)}}
	}
	d := doc{strconv.Itoa(status): success}
	if op.File {
		success["content"] = doc{"*/*": doc{"schema": doc{}}}
		d[strconv.Itoa(http.StatusPartialContent)] = doc{"description": "The range that was asked for", "content": success["content"]}
		d[strconv.Itoa(http.StatusNotModified)] = doc{"description": "Whoever asks has it already"}
	}
	for _, refused := range op.refusals() {
		d[strconv.Itoa(refused)] = doc{"$ref": "#/components/responses/Problem"}
	}
	return d
}

// refusals are the statuses that follow from what the operation takes, besides those that the caller names.
func (op Operation) refusals() []int {
	all := append([]int{http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity,
		http.StatusTooManyRequests}, op.Refusals...)
	if op.In.mode != ModeNone {
		all = append(all, http.StatusUnsupportedMediaType)
	}
	if op.In.files || op.In.mode == ModeContent {
		all = append(all, http.StatusServiceUnavailable)
	}
	if len(op.In.places[inPath]) > 0 {
		all = append(all, http.StatusNotFound)
	}
	if len(op.Security) > 0 {
		all = append(all, http.StatusUnauthorized, http.StatusForbidden)
	}
	return all
}

// A use is a struct as it is read or as it is written: the two differ, even for one type.
type use struct {
	typ  reflect.Type
	read bool
}

// survey finds every struct that operations use and gives each its name, so that no name depends on the order of operations.
func (b *book) survey(ops []Operation) {
	var uses []use
	for _, op := range ops {
		if op.readsJSON() {
			uses = append(uses, use{op.In.typ, true})
			uses = append(uses, readBy(op.In.places[inBody])...)
		}
		if op.Out != nil {
			uses = writtenBy(op.Out, uses)
		}
	}
	b.name(uses)
	b.components = doc{}
	for _, op := range ops {
		if op.readsJSON() {
			b.describeRead(use{op.In.typ, true}, op.In.places[inBody])
		}
	}
	for _, u := range uses {
		if !u.read {
			b.components[b.names[u]] = b.output().structure(u.typ)
		}
	}
}

func (op Operation) readsJSON() bool {
	return op.In != nil && op.In.mode == ModeJSON && len(op.In.places[inBody]) > 0
}

func readBy(fields []*field) (uses []use) {
	for _, s := range structs(fields) {
		uses = append(append(uses, use{s.typ, true}), readBy(s.fields)...)
	}
	return uses
}

// structs lists the nested structs among fields, and those that are items of their lists.
func structs(fields []*field) (nested []*shape) {
	for _, f := range fields {
		switch {
		case f.kind == object:
			nested = append(nested, f.shape)
		case f.kind == list && f.item.kind == object:
			nested = append(nested, f.item)
		}
	}
	return nested
}

// writtenBy adds the structs that writing t writes. A type may contain itself.
func writtenBy(t reflect.Type, uses []use) []use {
	if t.Implements(marshaler) || t.Implements(textMarshaler) {
		return uses
	}
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return writtenBy(t.Elem(), uses)
	case reflect.Struct:
		if slices.Contains(uses, use{t, false}) {
			return uses
		}
		uses = append(uses, use{t, false})
		for _, sf := range visible(t) {
			uses = writtenBy(sf.Type, uses)
		}
	}
	return uses
}

func (b *book) describeRead(u use, fields []*field) {
	b.components[b.names[u]] = describeObject(fields, func(s *shape) doc {
		return b.reference(use{s.typ, true})
	})
	for _, s := range structs(fields) {
		b.describeRead(use{s.typ, true}, s.fields)
	}
}

func (b *book) output() output {
	return output{func(t reflect.Type) doc { return b.reference(use{t, false}) }}
}

func (b *book) reference(u use) doc { return doc{"$ref": "#/components/schemas/" + b.names[u]} }

// name gives each use a component's name: that of its type, with the folder before it where two types share it, and Input behind
// it where a type is both read and written.
func (b *book) name(uses []use) {
	sharers := map[string][]reflect.Type{"Problem": {nil}}
	directions := map[reflect.Type]map[bool]bool{}
	for _, u := range uses {
		short := shortName(u.typ)
		if !slices.Contains(sharers[short], u.typ) {
			sharers[short] = append(sharers[short], u.typ)
		}
		if directions[u.typ] == nil {
			directions[u.typ] = map[bool]bool{}
		}
		directions[u.typ][u.read] = true
	}
	b.names = map[use]string{}
	owner := map[string]use{}
	for _, u := range uses {
		name := shortName(u.typ)
		b.check(name != "", "%v has no name, so its component would have none", u.typ)
		if len(sharers[name]) > 1 {
			name = u.typ.PkgPath()[strings.LastIndex(u.typ.PkgPath(), "/")+1:] + "." + name
		}
		if u.read && len(directions[u.typ]) == 2 {
			name += "Input"
		}
		other, taken := owner[name]
		b.check(!taken || other == u, "%v and %v would both be the component %s", other.typ, u.typ, name)
		owner[name], b.names[u] = u, name
	}
}

var unnameable = regexp.MustCompile(`[\w./-]*[./]|[^\w]`)

// shortName is a type's name without packages, and with what a generic type is of: "Page_Order".
func shortName(t reflect.Type) string {
	name, of, generic := strings.Cut(t.Name(), "[")
	if !generic {
		return name
	}
	for _, argument := range strings.Split(strings.TrimSuffix(of, "]"), ",") {
		name += "_" + unnameable.ReplaceAllString(argument, "")
	}
	return name
}
