package input_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/http"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/input"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// Order is what the API answers. Its types need no bounds.
type Order struct {
	ID      layer.OrgID       `json:"id" doc:"The order's own id."`
	State   string            `json:"state" enum:"open,paid"`
	Total   int64             `json:"total_cents" example:"1200"`
	Placed  time.Time         `json:"placed"`
	Paid    *time.Time        `json:"paid,omitempty"`
	Product Product           `json:"product"`
	Similar []Product         `json:"similar"`
	Parent  *Order            `json:"parent,omitempty"`
	Labels  map[string]string `json:"labels,omitempty"`
	Receipt []byte            `json:"receipt,omitempty"`
	Extra   any               `json:"extra,omitempty"`
	Where   netip.Addr        `json:"where,omitzero"`
	Gift    bool              `json:"gift,omitempty" example:"true" gorm:"x"`
	Note    string            `json:"note,omitempty" example:"Thanks"`
	Hidden  string            `json:"-"`
	secret  string            //lint:ignore U1000 an unexported field is what the test is about
	stamped
	*linked
}

type linked struct {
	Next string `json:"next,omitempty"`
}

type stamped struct {
	Version float64 `json:"version"`
	By      layer.ProfileID
}

// Product is read and written.
type Product struct {
	Name  string `json:"name" maxLength:"40" doc:"What it is called."`
	Price *int   `json:"price" minimum:"0"`
}

type page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty"`
}

type catalogue struct {
	ID       ProductID `path:"id"`
	Dry      bool      `query:"dry_run,omitempty"`
	Match    string    `header:"If-Match" maxLength:"40" doc:"The version to replace." example:"v1"`
	Products []Product `json:"products" minItems:"1" maxItems:"10"`
	Best     *Product  `json:"best,omitempty"`
	Size     *string   `json:"size" enum:"s,l"`
	Rate     float64   `json:"rate,omitempty" minimum:"0.5" example:"0.75"`
	Key      string    `json:"key,omitempty" maxLength:"8" pattern:"[a-z]+" secret:"true"`
	At       time.Time `json:"at,omitempty"`
}

var info = input.Info{
	Title: "Commons", Version: "1", Description: "Communities that teach and sell.", Servers: []string{"https://example.org"},
	Security: []input.SecurityScheme{
		{Name: "key", Format: "API key", Description: "Made on the page of keys."},
		{Name: "session", Cookie: "__Host-session"},
	},
}

func operations(t testing.TB) []input.Operation {
	read := []input.Requirement{{Scheme: "key", Scopes: []string{"orders:read"}}, {Scheme: "session"}}
	return []input.Operation{
		{Method: "GET", Path: "/api/v1/orders", ID: "listOrders", Summary: "Lists orders.", Tag: "orders", Security: read,
			In: compile[paging](t, input.ModeNone), Out: reflect.TypeFor[page[Order]]()},
		{Method: "POST", Path: "/api/v1/orders", ID: "placeOrder", Summary: "Places an order.", Tag: "orders",
			Description: "The price is not the buyer's to say.", Security: read[:1],
			In: compile[PlaceOrder](t, input.ModeJSON), Out: reflect.TypeFor[Order](), Status: http.StatusCreated, Refusals: []int{http.StatusConflict}},
		{Method: "PUT", Path: "/api/v1/catalogues/{id}", ID: "replaceCatalogue", Summary: "Replaces a catalogue.", Tag: "catalogues",
			Security: read[:1], In: compile[catalogue](t, input.ModeJSON)},
		{Method: "GET", Path: "/healthz/{$}", ID: "health", Summary: "Says whether all is well.", Out: reflect.TypeFor[[]string]()},
		{Method: "POST", Path: "/contact", ID: "contact", Summary: "Sends a message.", In: compile[flat](t, input.ModeForm)},
		{Method: "POST", Path: "/api/v1/contact", ID: "contactByProgram", Summary: "Sends a message.", In: compile[flat](t, input.ModeJSON)},
		{Method: "POST", Path: "/albums", ID: "makeAlbum", Summary: "Makes an album.", In: compile[album](t, input.ModeForm)},
		{Method: "PUT", Path: "/api/v1/scans/{id}", ID: "replaceScan", Summary: "Replaces a scan.", In: compile[scan](t, input.ModeContent)},
	}
}

// SYSTEM N1: the document people read comes from the types that the server checks.
func TestOpenAPI(t *testing.T) {
	got, err := input.OpenAPI(info, operations(t))
	if err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/openapi.golden.json"
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the document has changed; read the difference after: go test ./layer/input -update")
	}
	var d map[string]any
	if err := json.Unmarshal(got, &d); err != nil {
		t.Fatal(err)
	}
	if d["openapi"] != "3.1.0" {
		t.Errorf("openapi is %v", d["openapi"])
	}
	walk(t, d, "#", d)
}

// walk checks what OpenAPI 3.1 asks of every object: references lead somewhere, parameters of the path exist and are required,
// required members are described, and the keywords have values of their kind.
func walk(t *testing.T, d map[string]any, at string, value any) {
	t.Helper()
	switch v := value.(type) {
	case []any:
		for _, item := range v {
			walk(t, d, at+"[]", item)
		}
	case map[string]any:
		if ref, ok := v["$ref"].(string); ok && !resolves(d, ref) {
			t.Errorf("%s: %s leads nowhere", at, ref)
		}
		if properties, ok := v["properties"].(map[string]any); ok {
			required, _ := v["required"].([]any)
			for _, name := range required {
				if properties[name.(string)] == nil {
					t.Errorf("%s requires %v and does not describe it", at, name)
				}
			}
		}
		if in, ok := v["in"].(string); ok && v["schema"] != nil {
			if !slices.Contains([]string{"path", "query", "header"}, in) || in == "path" && v["required"] != true {
				t.Errorf("%s: a parameter in %s, required %v", at, in, v["required"])
			}
		}
		if v["operationId"] != nil && v["responses"] == nil {
			t.Errorf("%s has no responses", at)
		}
		for key, inner := range v {
			walk(t, d, at+"/"+key, inner)
		}
	}
}

func resolves(d map[string]any, ref string) bool {
	path, ok := strings.CutPrefix(ref, "#/")
	var at any = d
	for name := range strings.SplitSeq(path, "/") {
		inner, isObject := at.(map[string]any)
		if !isObject {
			return false
		}
		at = inner[name]
	}
	return ok && at != nil
}

func TestOpenAPIDependsOnNoOrder(t *testing.T) {
	ops := operations(t)
	first, err := input.OpenAPI(info, ops)
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(ops)
	second, err := input.OpenAPI(info, ops)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first, second) {
		t.Error("the same operations in another order give another document")
	}
}

func TestOperationsThatContradictThemselves(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*input.Operation)
		want   string
	}{
		{"no ID", func(op *input.Operation) { op.ID = "" }, "no ID"},
		{"another's ID", func(op *input.Operation) { op.ID = "health" }, "another's"},
		{"no summary", func(op *input.Operation) { op.Summary = "" }, "no summary"},
		{"no method", func(op *input.Operation) { op.Method = "get" }, "not a method"},
		{"no path", func(op *input.Operation) { op.Path = "api" }, "not a method and a path"},
		{"another's place", func(op *input.Operation) { op.Method, op.Path = "GET", "/healthz/" }, "there twice"},
		{"an id that nobody checks", func(op *input.Operation) { op.Path = "/api/v1/orders/{id}" }, "{id}, which"},
		{"an unknown credential", func(op *input.Operation) { op.Security = []input.Requirement{{Scheme: "password"}} }, "not described"},
		{"an answer without a name", func(op *input.Operation) { op.Out = reflect.TypeFor[struct{ A int }]() }, "has no name"},
	} {
		t.Run(c.name, func(t *testing.T) {
			health := input.Operation{Method: "GET", Path: "/healthz/", ID: "health", Summary: "Says whether all is well."}
			op := operations(t)[1]
			c.change(&op)
			if _, err := input.OpenAPI(info, []input.Operation{health, op}); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error about %q", err, c.want)
			}
		})
	}
	if _, err := input.OpenAPI(input.Info{Security: []input.SecurityScheme{{}, {}}}, nil); err == nil || strings.Count(err.Error(), "\n") != 3 {
		t.Errorf("an API without a title and with nameless credentials: got %v", err)
	}
}

// Two packages may have one name for two things.
func TestComponentsThatShareAName(t *testing.T) {
	type Layer struct { // as layer.Field and this one's namesake would be
		Name string `json:"name"`
	}
	type Field struct {
		Name string `json:"name"`
	}
	got, err := input.OpenAPI(info, []input.Operation{
		{Method: "GET", Path: "/a", ID: "a", Summary: "A.", Out: reflect.TypeFor[layer.Field]()},
		{Method: "GET", Path: "/b", ID: "b", Summary: "B.", Out: reflect.TypeFor[Field]()},
		{Method: "GET", Path: "/c", ID: "c", Summary: "C.", Out: reflect.TypeFor[Layer]()},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"layer.Field": {`, `"input_test.Field": {`, `"Layer": {`} {
		if !strings.Contains(string(got), want) {
			t.Errorf("no component %s in\n%s", want, got)
		}
	}
}

func TestJSONSchema(t *testing.T) {
	got, err := compile[PlaceOrder](t, input.ModeJSON).JSONSchema()
	if err != nil {
		t.Fatal(err)
	}
	want := `{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "additionalProperties": false,
  "properties": {
    "gift": {"type": ["boolean", "null"]},
    "lines": {
      "items": {
        "additionalProperties": false,
        "properties": {
          "sku": {"type": "string", "maxLength": 12, "pattern": "^(?:[A-Z]{3}-[0-9]+)$", "examples": ["ABC-1"]},
          "weight": {"type": "number", "minimum": 0, "maximum": 2.5}
        },
        "required": ["sku"],
        "type": "object"
      },
      "maxItems": 3,
      "type": "array"
    },
    "notes": {"type": "string", "maxLength": 20},
    "product_id": {"type": "string", "format": "uuid", "maxLength": 36, "description": "What is bought."},
    "quantity": {"type": "integer", "minimum": 1, "maximum": 100, "examples": [2]}
  },
  "required": ["product_id", "quantity"],
  "title": "PlaceOrder",
  "type": "object"
}`
	var gotValue, wantValue any
	if err := json.Unmarshal(got, &gotValue); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(want), &wantValue); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(gotValue, wantValue) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
