package scim

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// An object is a JSON object. Names are in lower case: SCIM compares them without regard to it (RFC 7643 section 2.1), so that two that differ in
// nothing else are one that is there twice.
type object map[string]any

var errJSON = errors.New("scim: not one JSON object, each name in it once, within the bounds")

// decode reads a body that has to be one object. Numbers stay text: no attribute here is one.
func decode(body []byte) (object, error) {
	r := reader{dec: json.NewDecoder(bytes.NewReader(body))}
	r.dec.UseNumber()
	if len(body) > MaxBody || !utf8.Valid(body) {
		return nil, invalid(InvalidSyntax, "The body is not readable.")
	}
	v, err := r.value(0)
	if err == nil {
		if _, err = r.dec.Token(); err == io.EOF {
			err = nil
		} else {
			err = errJSON
		}
	}
	o, ok := v.(object)
	if err != nil || !ok {
		return nil, invalid(InvalidSyntax, "The body must be one JSON object, with each attribute once.")
	}
	return o, nil
}

type reader struct {
	dec  *json.Decoder
	seen int
}

func (r *reader) value(depth int) (any, error) {
	token, err := r.dec.Token()
	if err != nil {
		return nil, errJSON
	}
	if r.seen++; r.seen > maxValues || depth > maxDepth {
		return nil, errJSON
	}
	switch token {
	case json.Delim('{'):
		return r.object(depth)
	case json.Delim('['):
		return r.array(depth)
	case json.Delim('}'), json.Delim(']'):
		return nil, errJSON
	}
	return token, nil
}

func (r *reader) object(depth int) (any, error) {
	o := object{}
	for r.dec.More() {
		token, err := r.dec.Token()
		name, ok := token.(string)
		if err != nil || !ok {
			return nil, errJSON
		}
		name = strings.ToLower(name)
		if _, twice := o[name]; twice {
			return nil, errJSON
		}
		if o[name], err = r.value(depth + 1); err != nil {
			return nil, err
		}
	}
	_, err := r.dec.Token()
	return o, err
}

func (r *reader) array(depth int) (any, error) {
	all := []any{}
	for r.dec.More() {
		v, err := r.value(depth + 1)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	_, err := r.dec.Token()
	return all, err
}

// text reads a value that people may see, of up to most bytes. Null is nothing, as an attribute that is not there (RFC 7643 section 2.5).
func text(v any, most int) (string, error) {
	if v == nil {
		return "", nil
	}
	s, ok := v.(string)
	if !ok || len(s) > most || strings.ContainsFunc(s, func(c rune) bool { return !unicode.IsGraphic(c) }) {
		return "", invalid(InvalidValue, "An attribute is not a text, too long, or holds characters that cannot be seen.")
	}
	return strings.TrimSpace(s), nil
}

// flag reads a boolean. Some providers send it as a text.
func flag(v any) (bool, error) {
	if b, ok := v.(bool); ok {
		return b, nil
	}
	switch s, _ := v.(string); {
	case strings.EqualFold(s, "true"):
		return true, nil
	case strings.EqualFold(s, "false"):
		return false, nil
	}
	return false, invalid(InvalidValue, "An attribute has to be true or false.")
}

// items reads a list, or the one value that some send in place of a list of one.
func items(v any) []any {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		return v
	}
	return []any{v}
}

// speaks refuses a body that does not name its schema (RFC 7643 section 3).
func (o object) speaks(schema string) error {
	for _, s := range items(o["schemas"]) {
		if s, ok := s.(string); ok && strings.EqualFold(s, schema) {
			return nil
		}
	}
	return invalid(InvalidSyntax, "The body does not name the schema that belongs here.")
}
