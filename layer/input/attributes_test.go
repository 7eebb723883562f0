package input_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/redoubt-dev/redoubt/layer/input"
)

// SYSTEM N1: what the browser checks comes from the type that the server checks.
func TestAttributes(t *testing.T) {
	type more struct {
		flat
		Mail  string   `json:"mail" format:"email"`
		Site  string   `json:"site,omitempty" format:"uri"`
		Code  string   `json:"code" pattern:"[A-Z]+" maxLength:"5"`
		Terms []string `query:"terms,omitempty" maxItems:"3" maxLength:"7"`
	}
	s := compile[more](t, input.ModeForm)
	for name, want := range map[string]map[string]string{
		"title": {"name": "title", "type": "text", "required": "required", "minlength": "2", "maxlength": "10"},
		"body":  {"name": "body", "maxlength": "20"},
		"size":  {"name": "size", "type": "text", "maxlength": "5"},
		"count": {"name": "count", "type": "number", "step": "1", "max": "12"},
		"price": {"name": "price", "type": "number", "step": "any", "min": "0"},
		"agree": {"name": "agree", "type": "checkbox"},
		"at":    {"name": "at", "type": "text", "maxlength": "35"},
		"day":   {"name": "day", "type": "date", "maxlength": "10"},
		"tags":  {"name": "tags", "type": "text", "maxlength": "1"},
		"key":   {"name": "key", "type": "password", "maxlength": "10"},
		"mail":  {"name": "mail", "type": "email", "required": "required", "maxlength": "254"},
		"site":  {"name": "site", "type": "url", "maxlength": "2048"},
		"code":  {"name": "code", "type": "text", "required": "required", "maxlength": "5", "pattern": "[A-Z]+"},
		"terms": {"name": "terms", "type": "text", "maxlength": "7"},
	} {
		got, err := s.Attributes(name)
		if err != nil || !maps.Equal(got, want) {
			t.Errorf("%s: got  %v, %v\nwant %v", name, got, err, want)
		}
	}
	of := compile[album](t, input.ModeForm)
	for name, want := range map[string]map[string]string{
		"cover":  {"name": "cover", "type": "file", "accept": "image/png,.pdf"},
		"photos": {"name": "photos", "type": "file", "accept": "image/*", "multiple": "multiple"},
	} {
		if got, err := of.Attributes(name); err != nil || !maps.Equal(got, want) {
			t.Errorf("%s: got  %v, %v\nwant %v", name, got, err, want)
		}
	}
	if got, err := s.Attributes("titel"); err == nil {
		t.Errorf("a misspelt name: got %v, want an error", got)
	}
	for name, want := range map[string][]string{"size": {"small", "large"}, "tags": {"a", "b", "c"}, "title": nil} {
		if got, err := s.Options(name); err != nil || !slices.Equal(got, want) {
			t.Errorf("the options of %s: got %v, %v, want %v", name, got, err, want)
		}
	}
	if got, err := s.Options("id"); err == nil {
		t.Errorf("the options of nothing: got %v, want an error", got)
	}
}
