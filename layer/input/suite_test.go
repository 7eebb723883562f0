package input_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt/internal/realclient"
	"github.com/redoubt-dev/redoubt/layer/input"
)

// The files of the JSON Schema test suite about keywords that we emit.
var keywords = []string{
	"type", "properties", "required", "additionalProperties", "items", "minItems", "maxItems", "minLength", "maxLength", "minimum", "maximum",
	"pattern", "enum", "const",
	"optional/format/uuid", "optional/format/date-time", "optional/format/date", "optional/format/email", "optional/format/uri",
}

// Where we refuse what the suite takes. Each is a decision, and its cases are named; nothing is taken that the suite refuses.
var stricter = map[string][]string{
	"a whole number has one spelling": {"a float with zero fractional part is an integer"},
	"text has no control characters":  {"match string with nul"},
	"neither package time nor PostgreSQL knows leap seconds": {
		"a valid date-time with a leap second, UTC", "a valid date-time with a leap second, with minus offset"},
	"a time has one spelling": {"case-insensitive T and Z"},
	"nobody's address is quoted, or has a number for a host": {
		"a quoted string with a space in the local part is valid", "a quoted string with a double dot in the local part is valid",
		"a quoted string with a @ in the local part is valid", "an IPv4-address-literal after the @ is valid", "an IPv6-address-literal after the @ is valid"},
	"an address is one of the web, without a user": {
		"a valid URL with many special characters", "a valid URL with ftp scheme", "a valid URL ", "a valid mailto URI", "a valid newsgroup URI",
		"a valid tel URI", "a valid URN"},
}

type group struct {
	Description string
	Schema      json.RawMessage
	Tests       []struct {
		Description string
		Data        json.RawMessage
		Valid       bool
	}
}

// SYSTEM N1: what our tags say means what JSON Schema says by the same words.
func TestJSONSchemaTestSuite(t *testing.T) {
	dir := realclient.Suite(t)
	run, wordless, decided := 0, map[string]int{}, map[string]int{}
	for _, name := range keywords {
		raw, err := os.ReadFile(filepath.Join(dir, name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		var groups []group
		if err := json.Unmarshal(raw, &groups); err != nil {
			t.Fatal(err)
		}
		for _, g := range groups {
			for _, c := range g.Tests {
				got, err := verdict(t, g.Schema, c.Data)
				if err != nil {
					wordless[err.Error()]++
					continue
				}
				run++
				if why := whyStricter(c.Description); c.Valid && !got && why != "" {
					decided[c.Description]++
				} else if got != c.Valid {
					t.Errorf("%s: %s: %s: %s is valid: %v, want %v", name, g.Description, c.Description, c.Data, got, c.Valid)
				}
			}
		}
	}
	for why, cases := range stricter {
		for _, c := range cases {
			if decided[c] == 0 {
				t.Errorf("%q is no case of %q any more", c, why)
			}
		}
	}
	if run < 230 {
		t.Errorf("%d cases have been run, want 230 and more", run)
	}
	t.Logf("%d cases run", run)
	for _, why := range slices.Sorted(maps.Keys(wordless)) {
		t.Logf("%d cases not expressible: %s", wordless[why], why)
	}
}

func whyStricter(description string) string {
	for why, cases := range stricter {
		if slices.Contains(cases, description) {
			return why
		}
	}
	return ""
}

// verdict asks the validator about data, by a Go type that says what schema says. The error says why there is no such type.
func verdict(t *testing.T, schema, data json.RawMessage) (valid bool, err error) {
	t.Helper()
	var asked, value any
	if err := errors.Join(json.Unmarshal(schema, &asked), json.Unmarshal(data, &value)); err != nil {
		t.Fatal(err)
	}
	typ, tag, err := express(asked, value)
	if err != nil {
		return false, err
	}
	body := reflect.StructOf([]reflect.StructField{{Name: "V", Type: typ, Tag: reflect.StructTag(`json:"v" ` + tag)}})
	s, err := input.For(body, input.ModeJSON)
	if err != nil {
		t.Fatalf("%s: %v", schema, err)
	}
	return said(t, s.Bind(postJSON(`{"v":`+string(data)+`}`), input.Limits{}, reflect.New(body).Interface())) == "accepted", nil
}

// express finds the Go type and its tags that say what schema says, for a value such as this one.
func express(schema, value any) (reflect.Type, string, error) {
	m, ok := schema.(map[string]any)
	if schema == true {
		m, ok = map[string]any{}, true
	}
	if !ok {
		return nil, "", errors.New("a schema that takes nothing")
	}
	for _, key := range slices.Sorted(maps.Keys(m)) {
		if !slices.Contains(spoken, key) {
			return nil, "", fmt.Errorf("the keyword %s, which we do not emit", key)
		}
	}
	kind, nullable, err := kindIn(m, value)
	if err != nil {
		return nil, "", err
	}
	typ, tag, err := expressKind(kind, m, value)
	if err == nil && nullable {
		if kind == "array" {
			return nil, "", errors.New("a list or null")
		}
		typ = reflect.PointerTo(typ)
	}
	return typ, tag, err
}

var spoken = []string{"$schema", "$comment", "type", "properties", "required", "additionalProperties", "items", "minItems", "maxItems", "minLength",
	"maxLength", "minimum", "maximum", "pattern", "enum", "const", "format"}

// meant is the kind of value that a keyword is about.
var meant = map[string]string{
	"properties": "object", "required": "object", "additionalProperties": "object", "items": "array", "minItems": "array", "maxItems": "array",
	"minLength": "string", "maxLength": "string", "pattern": "string", "format": "string", "minimum": "number", "maximum": "number",
}

// kindIn is the kind of value that m is about. Where it says nothing of others, it takes them all, which no Go type does: then value
// has to be of that kind.
func kindIn(m map[string]any, value any) (kind string, nullable bool, err error) {
	switch said := m["type"].(type) {
	case string:
		kind = said
	case []any:
		if len(said) == 2 && slices.Contains(said, any("null")) {
			kind, nullable = said[0].(string), true
			if kind == "null" {
				kind = said[1].(string)
			}
			break
		}
		return "", false, errors.New("a choice of several kinds")
	}
	if kind == "null" {
		return "", false, errors.New("null and nothing else")
	}
	if kind != "" {
		return kind, nullable, nil
	}
	kind = kindOf(value)
	for key, about := range meant {
		if _, says := m[key]; says && about != kind {
			return "", false, errors.New("a value of a kind that the schema does not speak of")
		}
	}
	if kind == "null" {
		return "", false, errors.New("null and nothing else")
	}
	return kind, false, nil
}

func kindOf(value any) string {
	switch value.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case float64:
		return "number"
	case string:
		return "string"
	case []any:
		return "array"
	}
	return "object"
}

func expressKind(kind string, m map[string]any, value any) (reflect.Type, string, error) {
	if _, ok := m["enum"]; ok && kind != "string" {
		return nil, "", errors.New("a choice of other than text")
	}
	if _, ok := m["const"]; ok && kind != "string" {
		return nil, "", errors.New("a choice of other than text")
	}
	switch kind {
	case "boolean":
		return reflect.TypeFor[bool](), "", nil
	case "integer":
		return reflect.TypeFor[int64](), bounds(m, "minimum", "maximum"), nil
	case "number":
		return reflect.TypeFor[float64](), bounds(m, "minimum", "maximum"), nil
	case "string":
		return expressText(m)
	case "array":
		return expressList(m, value)
	}
	return expressObject(m, value)
}

// bounds writes keywords with numbers as tags.
func bounds(m map[string]any, keys ...string) (tag string) {
	for _, key := range keys {
		if n, ok := m[key].(float64); ok {
			tag += key + ":" + strconv.Quote(strconv.FormatFloat(n, 'f', -1, 64)) + " "
		}
	}
	return tag
}

func expressText(m map[string]any) (reflect.Type, string, error) {
	tag := bounds(m, "minLength", "maxLength")
	choice, _ := m["enum"].([]any)
	if only, ok := m["const"]; ok {
		choice = []any{only}
	}
	var words []string
	for _, one := range choice {
		word, ok := one.(string)
		if !ok || word == "" || strings.Contains(word, ",") {
			return nil, "", errors.New("a choice of other than text")
		}
		words = append(words, word)
	}
	if words != nil {
		tag += "enum:" + strconv.Quote(strings.Join(words, ",")) + " "
	}
	if pattern, ok := m["pattern"].(string); ok {
		tag += "pattern:" + strconv.Quote("(?s:.*)(?:"+pattern+")(?s:.*)") + " "
	}
	if format, ok := m["format"].(string); ok {
		tag += "format:" + strconv.Quote(format) + " "
	}
	if m["maxLength"] == nil && words == nil && m["format"] == nil {
		tag += `maxLength:"10000" `
	}
	return reflect.TypeFor[string](), tag + `multiline:"true"`, nil
}

// expressList takes the kind of items from the schema, and from the items where it says none.
func expressList(m map[string]any, value any) (reflect.Type, string, error) {
	of, ok := m["items"]
	items, _ := value.([]any)
	if !ok {
		of = true
	}
	var sample any = "text"
	for i, item := range items {
		if i > 0 && of == true && kindOf(item) != kindOf(sample) {
			return nil, "", errors.New("a list of items of several kinds")
		}
		sample = item
	}
	typ, tag, err := express(of, sample)
	if err != nil {
		return nil, "", err
	}
	if typ.Kind() == reflect.Slice {
		return nil, "", errors.New("a list of lists")
	}
	if m["maxItems"] == nil {
		tag += ` maxItems:"1000"`
	}
	return reflect.SliceOf(typ), bounds(m, "minItems", "maxItems") + tag, nil
}

var plainNames = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]{0,63}$`)

// expressObject takes members that the schema does not describe for forbidden: a struct has no others.
func expressObject(m map[string]any, value any) (reflect.Type, string, error) {
	if more, ok := m["additionalProperties"]; ok && more != false {
		return nil, "", errors.New("members that nobody declared")
	}
	properties, _ := m["properties"].(map[string]any)
	required, _ := m["required"].([]any)
	members, _ := value.(map[string]any)
	names := map[string]bool{}
	for name := range properties {
		names[name] = true
	}
	for _, name := range required {
		names[name.(string)] = true
	}
	for name := range members {
		names[name] = names[name] || len(m) == 0 // as true, which takes it
		if !names[name] && m["additionalProperties"] == nil {
			return nil, "", errors.New("members that nobody declared")
		}
	}
	var fields []reflect.StructField
	for i, name := range slices.Sorted(maps.Keys(names)) {
		if !plainNames.MatchString(name) {
			return nil, "", errors.New("a member with a name that is not plain")
		}
		of, described := properties[name]
		sample, there := members[name]
		if !described {
			of = true
		}
		if !there {
			sample = "text"
		}
		typ, tag, err := express(of, sample)
		if err != nil {
			return nil, "", err
		}
		option := ",omitempty"
		if slices.Contains(required, any(name)) {
			option = ""
		}
		fields = append(fields, reflect.StructField{Name: "F" + strconv.Itoa(i), Type: typ, Tag: reflect.StructTag(`json:"` + name + option + `" ` + tag)})
	}
	return reflect.StructOf(fields), "", nil
}
