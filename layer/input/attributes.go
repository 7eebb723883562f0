package input

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Attributes returns the attributes of the HTML form control for the named field, so that the browser says early what Bind would
// say later: name, type, required, minlength, maxlength, min, max, step, pattern. Text of several lines has no type: it is for a
// <textarea>. A boolean attribute has its own name as its value. A name that s does not declare is an error, so that a template
// and its type cannot part unnoticed.
//
// They are a kindness to people and no defence: what a browser checks, a program skips.
func (s *Schema) Attributes(name string) (map[string]string, error) {
	f, err := s.control(name)
	if err != nil {
		return nil, err
	}
	of := f.shape
	if of.kind == list {
		of = of.item
	}
	a := map[string]string{"name": name}
	if !f.optional {
		a["required"] = "required"
	}
	switch of.kind {
	case text, moment:
		of.textAttributes(a)
	case boolean:
		a["type"] = "checkbox"
	case integer, number:
		of.numberAttributes(a)
	case file:
		a["type"] = "file"
		if of.accept != nil {
			a["accept"] = strings.Join(of.accept, ",")
		}
		if f.kind == list {
			a["multiple"] = "multiple"
		}
	}
	return a, nil
}

// Options returns the values from which the named field is chosen, for the <option>s of a <select>; none if it is not an enum.
func (s *Schema) Options(name string) ([]string, error) {
	f, err := s.control(name)
	if err != nil {
		return nil, err
	}
	if f.kind == list {
		return slices.Clone(f.item.enum), nil
	}
	return slices.Clone(f.enum), nil
}

// control finds a field that a form can send: in its body, or in the query of a search.
func (s *Schema) control(name string) (*field, error) {
	for _, p := range []place{inBody, inQuery} {
		for _, f := range s.places[p] {
			if f.name == name && f.kind != object {
				return f, nil
			}
		}
	}
	return nil, fmt.Errorf("input: %v has no form field %q", s.typ, name)
}

func (s *shape) textAttributes(a map[string]string) {
	if s.kind == text && s.short > 0 {
		a["minlength"] = strconv.Itoa(s.short)
	}
	a["maxlength"] = strconv.Itoa(s.long)
	switch {
	case s.multiline: // neither type nor pattern exist for a <textarea>
		return
	case s.secret:
		a["type"] = "password"
	default:
		a["type"] = "text"
		if kind, ok := controls[s.format]; ok {
			a["type"] = kind
		}
	}
	if s.pattern != "" {
		a["pattern"] = s.pattern
	}
}

// A date and time is typed as text: the browser's control for it leaves out the zone.
var controls = map[string]string{"date": "date", "email": "email", "uri": "url"}

func (s *shape) numberAttributes(a map[string]string) {
	a["type"], a["step"] = "number", "any"
	if s.kind == integer {
		a["step"] = "1"
	}
	if s.min != "" {
		a["min"] = s.min
	}
	if s.max != "" {
		a["max"] = s.max
	}
}
