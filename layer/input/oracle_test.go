package input_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/redoubt-dev/redoubt/internal/realclient"
	"github.com/redoubt-dev/redoubt/layer/input"
)

// SYSTEM N1: the JSON Schema that a type emits, read by a validator that others wrote, takes what Bind takes and nothing else.
func FuzzOracle(f *testing.F) {
	for seed := range uint64(200) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 0))
		typ := randomStruct(r, 0)
		s, err := input.For(typ, input.ModeJSON)
		if err != nil {
			t.Fatalf("%v: %v", typ, err)
		}
		text, err := s.JSONSchema()
		if err != nil {
			t.Fatal(err)
		}
		oracle := compiled(t, text)
		var schema map[string]any
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		if err := d.Decode(&schema); err != nil {
			t.Fatal(err)
		}
		for range 40 {
			body := randomValue(r, schema)
			if !strings.HasPrefix(body, "{") {
				continue // a body that is no object is refused before any schema
			}
			value, err := jsonschema.UnmarshalJSON(strings.NewReader(body))
			if err != nil {
				t.Fatalf("%s: %v", body, err)
			}
			ours := s.Bind(postJSON(body), input.Limits{}, reflect.New(typ).Interface())
			if theirs := oracle.Validate(value); (ours == nil) != (theirs == nil) {
				t.Fatalf("%s\nby schema %s\nwe say %s\nthe other says %v", body, text, said(t, ours), theirs)
			}
		}
	})
}

func compiled(t testing.TB, text []byte) *jsonschema.Schema {
	t.Helper()
	d, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("urn:schema", d); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("urn:schema")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func pick[T any](r *rand.Rand, all ...T) T { return all[r.IntN(len(all))] }

// randomStruct makes a struct of up to five members of every kind and rule.
func randomStruct(r *rand.Rand, depth int) reflect.Type {
	var fields []reflect.StructField
	for i := range r.IntN(6) {
		typ, tag := randomType(r, depth)
		name := string(rune('a' + i))
		fields = append(fields, reflect.StructField{Name: strings.ToUpper(name), Type: typ,
			Tag: reflect.StructTag(`json:"` + name + pick(r, "", ",omitempty") + `" ` + tag)})
	}
	return reflect.StructOf(fields)
}

func randomType(r *rand.Rand, depth int) (reflect.Type, string) {
	typ, tag := randomSingle(r, depth)
	switch r.IntN(4) {
	case 0:
		return reflect.PointerTo(typ), tag
	case 1:
		least := r.IntN(3)
		return reflect.SliceOf(typ), fmt.Sprintf("%s minItems:%q maxItems:%q", tag, strconv.Itoa(least), strconv.Itoa(least+r.IntN(3)))
	}
	return typ, tag
}

func randomSingle(r *rand.Rand, depth int) (reflect.Type, string) {
	if depth < 3 && r.IntN(4) == 0 {
		return randomStruct(r, depth+1), ""
	}
	least := r.IntN(5)
	switch r.IntN(6) {
	case 0:
		return reflect.TypeFor[bool](), ""
	case 1:
		typ := pick(r, reflect.TypeFor[int64](), reflect.TypeFor[int8](), reflect.TypeFor[uint32](), reflect.TypeFor[uint64]())
		return typ, pick(r, "", fmt.Sprintf("minimum:%q", strconv.Itoa(least)), fmt.Sprintf("minimum:%q maximum:%q", strconv.Itoa(least), strconv.Itoa(least+r.IntN(100))))
	case 2:
		return reflect.TypeFor[float64](), pick(r, "", `minimum:"-1.5"`, `maximum:"2.25"`, `minimum:"0" maximum:"0.1"`)
	case 3:
		return reflect.TypeFor[time.Time](), pick(r, "", `format:"date"`)
	case 4:
		return reflect.TypeFor[string](), pick(r, `enum:"red,blue,é"`, `format:"uuid"`, `format:"email"`, `format:"uri"`, `maxLength:"9" pattern:"[a-c]+|é*"`)
	}
	return reflect.TypeFor[string](), fmt.Sprintf("minLength:%q maxLength:%q", strconv.Itoa(least), strconv.Itoa(least+r.IntN(4)))
}

// junk is of every kind. Numbers that are whole and have a fraction are left out: there we are stricter by decision.
var junk = []string{`null`, `true`, `"x"`, `""`, `0`, `-1`, `0.5`, `1e-3`, `[]`, `[1]`, `{}`, `{"a":1}`, `{"z":null}`, `18446744073709551616`}

// randomValue writes a value that fits schema, or nearly: it is wrong by one where a rule ends, and sometimes by everything.
func randomValue(r *rand.Rand, schema map[string]any) string {
	if r.IntN(12) == 0 {
		return pick(r, junk...)
	}
	if either, ok := schema["anyOf"].([]any); ok {
		return randomValue(r, pick(r, either...).(map[string]any))
	}
	kind, ok := schema["type"].(string)
	if !ok {
		kind = pick(r, schema["type"].([]any)...).(string)
	}
	switch kind {
	case "null", "boolean":
		return map[string]string{"null": "null", "boolean": pick(r, "true", "false")}[kind]
	case "integer":
		return randomWhole(r, schema)
	case "number":
		return pick(r, "0", "-1.5", "-1.51", "2.25", "2.2501", "0.1", "0.10001", "1e300", "-0.0")
	case "string":
		return strconv.Quote(randomText(r, schema))
	case "array":
		var items []string
		for range near(r, schema["minItems"], schema["maxItems"]) {
			items = append(items, randomValue(r, schema["items"].(map[string]any)))
		}
		return "[" + strings.Join(items, ",") + "]"
	}
	return randomObject(r, schema)
}

// near is a count in a range, or one beyond either end.
func near(r *rand.Rand, least, most any) int {
	number := func(v any) int {
		n, _ := v.(json.Number)
		i, _ := n.Int64()
		return int(i)
	}
	return max(0, number(least)-1+r.IntN(number(most)-number(least)+3))
}

func randomWhole(r *rand.Rand, schema map[string]any) string {
	bound := pick(r, schema["minimum"], schema["maximum"]).(json.Number)
	n, err := strconv.ParseInt(bound.String(), 10, 64)
	if err != nil || n > 1<<62 || n < -1<<62 {
		return pick(r, bound.String(), "9223372036854775808", "-9223372036854775809", "7")
	}
	return strconv.FormatInt(n-1+r.Int64N(3), 10)
}

func randomText(r *rand.Rand, schema map[string]any) string {
	if choice, ok := schema["enum"].([]any); ok && r.IntN(4) > 0 {
		word, _ := pick(r, choice...).(string)
		return word
	}
	switch schema["format"] {
	case "uuid":
		return pick(r, product, strings.ToUpper(product), product[1:], product+"0", strings.ReplaceAll(product, "-", "0"))
	case "email":
		return pick(r, "a@example.org", "a.b+c@example.org", "a@b@c", "a", "a@", ".a@example.org", "a..b@example.org")
	case "uri":
		return pick(r, "https://example.org/a?b=c#d", "http://[2001:db8::1]:80/", "example.org", "//example.org", "https://exa mple.org", "a b")
	case "date":
		return pick(r, "2026-01-31", "2024-02-29", "2026-02-29", "2026-1-1", "2026-01-31T00:00:00Z")
	case "date-time":
		return pick(r, "2026-01-31T12:00:00Z", "2026-01-31T12:00:00.25+01:00", "2026-02-30T12:00:00Z", "2026-01-31 12:00:00Z", "2026-01-31T12:00:00", "2026-01-31T24:00:00Z")
	}
	if _, ok := schema["pattern"]; ok {
		return pick(r, "abc", "éé", "", "abcd", "aé", "abcabcabca", "é b")
	}
	return strings.Repeat(pick(r, "a", "é", "💩", " "), near(r, schema["minLength"], schema["maxLength"]))
}

func randomObject(r *rand.Rand, schema map[string]any) string {
	var members []string
	properties, _ := schema["properties"].(map[string]any)
	for _, name := range slices.Sorted(func(yield func(string) bool) {
		for name := range properties {
			if !yield(name) {
				return
			}
		}
	}) {
		if r.IntN(8) > 0 {
			members = append(members, `"`+name+`":`+randomValue(r, properties[name].(map[string]any)))
		}
	}
	if r.IntN(12) == 0 {
		members = append(members, `"z":1`)
	}
	return "{" + strings.Join(members, ",") + "}"
}

// SYSTEM N1: the document is one, by the specification's own schema, and so is each schema in it, by its dialect's.
func TestOpenAPIIsValid(t *testing.T) {
	dir := realclient.OpenAPISchema(t)
	c := jsonschema.NewCompiler()
	add := func(id string, text []byte) {
		t.Helper()
		d, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if id == "" {
			id = d.(map[string]any)["$id"].(string)
		}
		if err := c.AddResource(id, d); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"schema.json", "dialect/base.schema.json", "meta/base.schema.json"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		add("", text)
	}
	// As schema-base.json has it, but for a quotation mark too many there, for which no schema in a document is looked at.
	add("urn:document", []byte(`{"$ref": "https://spec.openapis.org/oas/3.1/schema/2021-04-15",
		"$defs": {"schema": {"$dynamicAnchor": "meta", "$ref": "https://spec.openapis.org/oas/3.1/dialect/base"}}}`))
	schema, err := c.Compile("urn:document")
	if err != nil {
		t.Fatal(err)
	}
	text, err := input.OpenAPI(info, operations(t))
	if err != nil {
		t.Fatal(err)
	}
	check := func(text string) error {
		d, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		return schema.Validate(d)
	}
	if err := check(string(text)); err != nil {
		t.Errorf("%#v", err)
	}
	for was, is := range map[string]string{
		`"openapi": "3.1.0"`: `"openapi": "2.0"`,
		`"in": "path"`:       `"in": "body"`,
		`"required": true`:   `"required": 1`,
		`"operationId"`:      `"operationID"`,
		`"type": "boolean"`:  `"type": "bool"`,
		`"maxLength": 40`:    `"maxLength": -1`,
	} {
		if broken := strings.Replace(string(text), was, is, 1); broken == string(text) || check(broken) == nil {
			t.Errorf("with %s, it would be valid too, or is the same", is)
		}
	}
}
