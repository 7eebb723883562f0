package input_test

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/input"
)

// A scan is a body that is one file.
type scan struct {
	ID   layer.OrgID  `path:"id"`
	Page int          `query:"page" minimum:"1"`
	Scan input.Upload `body:"content" maxBytes:"65536" accept:"image/png,.pdf"`
}

// SYSTEM N1, N2, T6: the body is the content, and its media type is asked for and believed by nobody.
func TestContent(t *testing.T) {
	s := compile[scan](t, input.ModeContent)
	limits := input.Limits{Spool: spoolOf(t, input.SpoolConfig{})}
	whole := strings.Repeat("x", 65536)
	for _, c := range []struct {
		name, contentType, body, query string
		header                         http.Header
		want                           string
	}{
		{"an honest body", "image/png", "PNG", "page=1", nil, "accepted"},
		{"a body of any type", "application/x-www-form-urlencoded", "a=b", "page=1", nil, "accepted"},
		{"a body of exactly its bound", "image/png", whole, "page=1", nil, "accepted"},
		{"one byte more", "image/png", whole + "x", "page=1", nil, "too-large: content must have at most 64 KiB"},
		{"no type", "", "PNG", "page=1", nil, "unsupported"},
		{"a type that is none", "png", "PNG", "page=1", nil, "unsupported"},
		{"half a type", "image/", "PNG", "page=1", nil, "unsupported"},
		{"two types", "image/png", "PNG", "page=1", http.Header{"Content-Type": {"image/png", "text/html"}}, "unsupported"},
		{"an encoded body", "image/png", "PNG", "page=1", http.Header{"Content-Encoding": {"gzip"}}, "unsupported"},
		{"a part of a body", "image/png", "PNG", "page=1", http.Header{"Content-Range": {"bytes 0-2/5"}}, "unsupported"},
		{"no body", "image/png", "", "page=1", nil, "malformed"},
		{"no body and no type", "", "", "page=1", nil, "malformed"},
		{"a wrong query", "image/png", "PNG", "page=0&content=x", nil, "invalid: page must be at least 1, and not too large; content is not a known field"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, chunked := range []bool{false, true} {
				r := httptest.NewRequest("PUT", "/?"+c.query, strings.NewReader(c.body))
				r.SetPathValue("id", product)
				if c.contentType != "" {
					r.Header.Set("Content-Type", c.contentType)
				}
				maps.Copy(r.Header, c.header)
				if chunked {
					r.ContentLength = -1
				}
				var in scan
				if got := said(t, s.Bind(r, limits, &in)); got != c.want {
					t.Errorf("chunked %t: got  %s\nwant %s", chunked, got, c.want)
				}
				if c.want == "accepted" && content(t, in.Scan) != c.body {
					t.Error("another body has arrived")
				}
				if got := s.Typed(r, limits); got != nil {
					t.Errorf("it would be shown as %v", got)
				}
				s.Release(&in)
			}
		})
	}
	read := 0
	r := httptest.NewRequest("PUT", "/?page=1", nil)
	r.Header.Set("Content-Type", "image/png")
	r.SetPathValue("id", product)
	r.ContentLength, r.Body = 65537, io.NopCloser(counting{&endless{text: "x"}, &read})
	if got := said(t, s.Bind(r, limits, new(scan))); got != "too-large: content must have at most 64 KiB" || read > 0 {
		t.Errorf("a declared length beyond the most: got %s after %d bytes", got, read)
	}
	r.ContentLength, r.Body = -1, io.NopCloser(io.MultiReader(bytes.NewReader([]byte("half")), failing{io.ErrUnexpectedEOF}))
	if got := said(t, s.Bind(r, limits, new(scan))); got != "malformed" {
		t.Errorf("a client that goes in the middle: got %s", got)
	}
	if got := s.MaxBody(input.Limits{}); got != 65536 || s.Enctype() != "" {
		t.Errorf("the most is %d", got)
	}
	if got := compile[places](t, input.ModeNone).MaxBody(input.Limits{}); got != 0 {
		t.Errorf("without a body, the most is %d", got)
	}
}

// SYSTEM N1, T6: a file without a bound, or where none can be, stops the program from starting.
func TestTypesThatCannotHaveFiles(t *testing.T) {
	type upload = input.Upload
	for _, c := range []struct {
		name string
		mode input.Mode
		typ  any
		want string
	}{
		{"no bound", input.ModeForm, struct {
			A upload `json:"a"`
		}{}, "add maxBytes"},
		{"a bound that is none", input.ModeForm, struct {
			A upload `json:"a" maxBytes:"0"`
		}{}, "add maxBytes"},
		{"a bound beyond all bounds", input.ModeForm, struct {
			A upload `json:"a" maxBytes:"1073741825"`
		}{}, "add maxBytes"},
		{"a list without a bound", input.ModeForm, struct {
			A []upload `json:"a" maxBytes:"1"`
		}{}, "add maxItems"},
		{"a list that is too long", input.ModeForm, struct {
			A []upload `json:"a" maxBytes:"1" maxItems:"101"`
		}{}, "more than 100 files"},
		{"what no browser understands", input.ModeForm, struct {
			A upload `json:"a" maxBytes:"1" accept:"png"`
		}{}, `accept with "png"`},
		{"a rule for text", input.ModeForm, struct {
			A upload `json:"a" maxBytes:"1" maxLength:"1"`
		}{}, "does not fit a file"},
		{"a rule for files on text", input.ModeForm, struct {
			A string `json:"a" maxBytes:"1" maxLength:"1"`
		}{}, "does not fit text"},
		{"a pointer", input.ModeForm, struct {
			A *upload `json:"a" maxBytes:"1"`
		}{}, "cannot be input"},
		{"an embedded file", input.ModeForm, struct{ input.Upload }{}, "none of the tags"},
		{"a file in JSON", input.ModeJSON, struct {
			A upload `json:"a" maxBytes:"1"`
		}{}, "only a form can carry"},
		{"a file in a struct in JSON", input.ModeJSON, struct {
			A struct {
				B upload `json:"b" maxBytes:"1"`
			} `json:"a"`
		}{}, "only a form can carry"},
		{"a file in a query", input.ModeForm, struct {
			A upload `query:"a" maxBytes:"1"`
		}{}, "only a form can carry"},
		{"a file in a header", input.ModeForm, struct {
			A []upload `header:"a" maxBytes:"1" maxItems:"1"`
		}{}, "only a form can carry"},
		{"content in a form", input.ModeForm, struct {
			A upload `body:"content" maxBytes:"1"`
		}{}, "no other mode has any"},
		{"content by another name", input.ModeContent, struct {
			A upload `body:"a" maxBytes:"1"`
		}{}, "is called content"},
		{"content that may be absent", input.ModeContent, struct {
			A upload `body:"content,omitempty" maxBytes:"1"`
		}{}, "is called content"},
		{"content of text", input.ModeContent, struct {
			A string `body:"content" maxLength:"1"`
		}{}, "only an Upload can be"},
		{"a list of contents", input.ModeContent, struct {
			A []upload `body:"content" maxBytes:"1" maxItems:"2"`
		}{}, "only an Upload can be"},
		{"two contents", input.ModeContent, struct {
			A upload `body:"content" maxBytes:"1"`
			B upload `body:"content" maxBytes:"1"`
		}{}, "twice"},
		{"no content", input.ModeContent, struct{}{}, "has 0 fields for content"},
		{"members beside content", input.ModeContent, struct {
			A upload `body:"content" maxBytes:"1"`
			B bool   `json:"b"`
		}{}, "no body that has members"},
		{"a file alone", input.ModeForm, upload{}, "is not a struct"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := input.For(reflect.TypeOf(c.typ), c.mode)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error about %q", err, c.want)
			}
		})
	}
}
