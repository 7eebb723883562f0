package input

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strings"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// doc is a JSON object that is being written.
type doc = map[string]any

// encode writes a document the same way every time, for golden files and reviewers.
func encode(d doc) ([]byte, error) {
	return jsonv2.Marshal(d, jsonv2.Deterministic(true), jsontext.WithIndent("  "))
}

// JSONSchema returns the JSON Schema (2020-12) of the body that s takes, complete in itself. Of a body that is one file there is
// nothing to say.
func (s *Schema) JSONSchema() ([]byte, error) {
	d := doc{}
	if s.mode != ModeContent {
		d = describeObject(s.places[inBody], inline)
	}
	d["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	d["title"] = s.typ.Name()
	return encode(d)
}

// A refer function describes a nested struct: in place, or by naming it.
type refer func(*shape) doc

func inline(s *shape) doc { return describeObject(s.fields, inline) }

// describeObject describes an object that takes its declared members and no others.
func describeObject(fields []*field, ref refer) doc {
	d := doc{"type": "object", "additionalProperties": false}
	properties, required := doc{}, []string{}
	for _, f := range fields {
		properties[f.name] = describe(f.shape, ref)
		if !f.optional {
			required = append(required, f.name)
		}
	}
	if len(properties) > 0 {
		d["properties"] = properties
	}
	if len(required) > 0 {
		d["required"] = required
	}
	return d
}

// describe describes one value that s checks.
func describe(s *shape, ref refer) doc {
	d := doc{}
	switch s.kind {
	case text, moment:
		describeText(s, d)
	case boolean:
		d["type"] = "boolean"
	case integer:
		d["type"], d["minimum"], d["maximum"] = "integer", s.least, s.most
	case number:
		d["type"] = "number"
		written(d, "minimum", s.min)
		written(d, "maximum", s.max)
	case object:
		d = ref(s)
	case file:
		d["type"], d["format"], d["contentMediaType"] = "string", "binary", "application/octet-stream"
	case list:
		d["type"], d["items"], d["maxItems"] = "array", describe(s.item, ref), s.long
		if s.short > 0 {
			d["minItems"] = s.short
		}
	}
	if s.nullable {
		d = orNull(d)
	}
	if s.doc != "" {
		d["description"] = s.doc
	}
	if s.example != "" {
		d["examples"] = []any{s.sample()}
	}
	return d
}

func describeText(s *shape, d doc) {
	d["type"], d["maxLength"] = "string", s.long
	if s.short > 0 {
		d["minLength"] = s.short
	}
	if s.enum != nil {
		d["enum"] = s.enum
	}
	if s.format != "" {
		d["format"] = s.format
	}
	if s.pattern != "" {
		d["pattern"] = "^(?:" + s.pattern + ")$"
	}
	if s.secret {
		d["writeOnly"] = true
	}
}

// written puts down a number as it was written in its tag.
func written(d doc, key, literal string) {
	if literal != "" {
		d[key] = jsontext.Value(literal)
	}
}

// orNull adds null to what d allows.
func orNull(d doc) doc {
	name, plain := d["type"].(string)
	if !plain {
		return doc{"anyOf": []any{d, doc{"type": "null"}}}
	}
	d["type"] = []string{name, "null"}
	if values, ok := d["enum"].([]string); ok {
		all := make([]any, 0, len(values)+1)
		for _, v := range values {
			all = append(all, v)
		}
		d["enum"] = append(all, nil)
	}
	return d
}

// sample is the example in its own kind.
func (s *shape) sample() any {
	switch s.kind {
	case integer, number:
		return jsontext.Value(s.example)
	case boolean:
		return s.example == "true" || s.example == "on"
	}
	return s.example
}

// An output describes Go types as they are written, which needs no bounds: nobody is kept out.
type output struct {
	ref func(reflect.Type) doc // names a struct
}

var (
	marshaler     = reflect.TypeFor[json.Marshaler]()
	textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()
)

// value describes t, by its own constraints if it has some.
func (o output) value(t reflect.Type) doc {
	switch {
	case t.Kind() == reflect.Pointer:
		return orNull(o.value(t.Elem()))
	case t == timeType:
		return doc{"type": "string", "format": "date-time"}
	case t.Implements(marshaler):
		return doc{}
	case t.Implements(textMarshaler):
		return doc{"type": "string"}
	}
	d := o.plain(t)
	tags := map[string]string{}
	inherit(tags, t)
	annotate(d, tags)
	return d
}

func (o output) plain(t reflect.Type) doc {
	switch t.Kind() {
	case reflect.String:
		return doc{"type": "string"}
	case reflect.Bool:
		return doc{"type": "boolean"}
	case reflect.Float32, reflect.Float64:
		return doc{"type": "number"}
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return doc{"type": "string", "contentEncoding": "base64"}
		}
		return doc{"type": "array", "items": o.value(t.Elem())}
	case reflect.Map:
		return doc{"type": "object", "additionalProperties": o.value(t.Elem())}
	case reflect.Struct:
		return o.ref(t)
	}
	if k, ok := kindOf(t); ok && k == integer {
		return doc{"type": "integer"}
	}
	return doc{} // an interface: anything
}

// annotate adds what tags say that is worth telling a reader.
func annotate(d doc, tags map[string]string) {
	if tags["doc"] != "" {
		d["description"] = tags["doc"]
	}
	if d["type"] == "string" && tags["format"] != "" {
		d["format"] = tags["format"]
	}
	if d["type"] == "string" && tags["enum"] != "" {
		d["enum"] = strings.Split(tags["enum"], ",")
	}
	if example := tags["example"]; example != "" {
		d["examples"] = []any{sampleOf(d["type"], example)}
	}
}

func sampleOf(kind any, example string) any {
	switch kind {
	case "integer", "number":
		return jsontext.Value(example)
	case "boolean":
		return example == "true"
	}
	return example
}

// structure describes the members that encoding/json would write for t.
func (o output) structure(t reflect.Type) doc {
	properties, required := doc{}, []string{}
	for _, sf := range visible(t) {
		name, options, _ := strings.Cut(sf.Tag.Get("json"), ",")
		if name == "" {
			name = sf.Name
		}
		tags, err := parseTag(sf.Tag)
		if err != nil {
			tags = nil // the tags of an output may belong to others
		}
		d := o.value(sf.Type)
		annotate(d, tags)
		properties[name] = d
		if !strings.Contains(options, "omitempty") && !strings.Contains(options, "omitzero") {
			required = append(required, name)
		}
	}
	d := doc{"type": "object", "properties": properties}
	if len(required) > 0 {
		d["required"] = required
	}
	return d
}

// visible lists the fields of t that are written as members of its object, those of embedded structs among them.
func visible(t reflect.Type) []reflect.StructField {
	var all []reflect.StructField
	for i := range t.NumField() {
		sf := t.Field(i)
		inner := sf.Type
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		tag := sf.Tag.Get("json")
		switch {
		case tag == "-":
		case sf.Anonymous && strings.HasPrefix(tag+",", ",") && inner.Kind() == reflect.Struct && inner != timeType:
			all = append(all, visible(inner)...)
		case sf.IsExported():
			all = append(all, sf)
		}
	}
	return all
}
