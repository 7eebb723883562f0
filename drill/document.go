package drill

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"

	"github.com/redoubt-dev/redoubt/drill/target"
)

// documentPath is where every application on Redoubt publishes its OpenAPI document.
const documentPath = "/api/v1/openapi.json"

// A declaration is what the drill reads of it.
type declaration struct {
	Paths      map[string]map[string]operation
	Components struct{ Schemas map[string]schema }
}

type operation struct {
	Parameters  []parameter
	RequestBody struct {
		Content map[string]struct{ Schema schema }
	}
	Security []map[string][]string
}

type parameter struct {
	Name, In string
	Schema   schema
}

type schema struct {
	Ref        string `json:"$ref"`
	Type       any    // a name, or several
	Format     string
	Pattern    string
	Enum       []any
	Minimum    float64
	MinItems   int
	MaxLength  int
	Required   []string
	Properties map[string]schema
	Items      *schema
}

// A route is one operation that takes JSON or nothing.
type route struct {
	method, path string
	scopes       []string
	body         *schema // nil for none
}

func (r route) String() string { return r.method + " " + r.path }

// reads reports whether it changes nothing.
func (r route) reads() bool { return r.method == http.MethodGet }

// one reports whether it is about one thing that its path names.
func (r route) one() bool { return strings.Contains(r.path, "{id}") }

// routes asks the copy for its document. Routes without any security are everybody's, and those whose paths have other parameters than an
// id and words of a list are left to the attacks of whoever wrote them.
func routes(ctx context.Context, c *target.Client) (all []route, doc declaration, err error) {
	a, err := c.Get(ctx, documentPath)
	if err == nil && a.Status != http.StatusOK {
		err = fmt.Errorf("the answer is %d", a.Status)
	}
	if err == nil {
		err = a.JSON(&doc)
	}
	if err != nil {
		return nil, doc, fmt.Errorf("reading what the application declares: %w", err)
	}
	for _, path := range slices.Sorted(maps.Keys(doc.Paths)) {
		for _, method := range slices.Sorted(maps.Keys(doc.Paths[path])) {
			if r, ok := doc.route(method, path); ok {
				all = append(all, r)
			}
		}
	}
	return all, doc, nil
}

func (d declaration) route(method, path string) (r route, ok bool) {
	op := d.Paths[path][method]
	if len(op.Security) == 0 {
		return r, false
	}
	for _, need := range op.Security {
		for _, scopes := range need {
			r.scopes = append(r.scopes, scopes...)
		}
	}
	for _, p := range op.Parameters {
		switch {
		case p.In != "path" || p.Name == "id":
		case len(d.resolve(p.Schema).Enum) > 0:
			path = strings.ReplaceAll(path, "{"+p.Name+"}", fmt.Sprint(d.resolve(p.Schema).Enum[0]))
		}
	}
	if strings.Contains(strings.ReplaceAll(path, "{id}", ""), "{") {
		return r, false
	}
	if json, has := op.RequestBody.Content["application/json"]; has {
		body := d.resolve(json.Schema)
		r.body = &body
	} else if len(op.RequestBody.Content) > 0 {
		return r, false
	}
	r.method, r.path = strings.ToUpper(method), path
	return r, true
}

const schemas = "#/components/schemas/"

func (d declaration) resolve(s schema) schema {
	if name, ok := strings.CutPrefix(s.Ref, schemas); ok {
		return d.Components.Schemas[name]
	}
	return s
}

// maxNested bounds how deep an example goes.
const maxNested = 5

// example is a value that a schema allows, with text in it where it takes text; ids come from id, which is given a property's name.
func (d declaration) example(name string, s schema, text string, id func(property string) string, nested int) any {
	s = d.resolve(s)
	if len(s.Enum) > 0 {
		return s.Enum[0]
	}
	kind, _ := s.Type.(string)
	if several, ok := s.Type.([]any); ok && len(several) > 0 {
		kind, _ = several[0].(string)
	}
	switch kind {
	case "string":
		return d.text(name, s, text, id)
	case "integer", "number":
		return max(s.Minimum, 1)
	case "boolean":
		return false
	case "array":
		items := []any{}
		for range min(max(s.MinItems, 0), maxNested) {
			if s.Items != nil && nested < maxNested {
				items = append(items, d.example(strings.TrimSuffix(name, "s"), *s.Items, text, id, nested+1))
			}
		}
		return items
	}
	object := map[string]any{}
	for property, of := range s.Properties {
		plain := of.Type == "string" && of.Format == "" && of.Pattern == "" && len(of.Enum) == 0
		if nested < maxNested && (plain || slices.Contains(s.Required, property)) {
			object[property] = d.example(property, of, text, id, nested+1)
		}
	}
	return object
}

func (d declaration) text(name string, s schema, text string, id func(string) string) string {
	switch s.Format {
	case "uuid":
		return id(name)
	case "email":
		return text + "@nowhere.example"
	case "uri", "url":
		return "https://nowhere.example/" + text
	}
	return text[:min(len(text), cmp.Or(s.MaxLength, len(text)))]
}

// uuid is a random one, in the form of RFC 9562.
func uuid(r *rand.Rand) string {
	a, b := r.Uint64(), r.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", a>>32, a>>16&0xffff, a&0xfff, b>>48&0xfff, b&0xffffffffffff)
}
