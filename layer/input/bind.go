package input

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"reflect"
	"strings"

	"github.com/redoubt-dev/redoubt/layer"
)

// Limits bound what one request may carry (SYSTEM T6).
type Limits struct {
	Body   int64  // the most bytes of a body, besides files, which have bounds of their own; zero or less means 1 MiB
	Values int    // the most values in a body, members, items and what holds them all counted, and in a query; zero or less means 1000
	Spool  *Spool // where files wait; nil is for schemas without any
}

func (l Limits) orDefault() Limits {
	if l.Body <= 0 {
		l.Body = 1 << 20
	}
	if l.Values <= 0 {
		l.Values = 1000
	}
	return l
}

// maxQuery is the most bytes of a query. No page or client of ours comes near it.
const maxQuery = 8 << 10

// Bind reads everything that s declares from r into dst, a pointer to a value of s's type, or nil if s declares nothing. Either
// all of it fits and *dst is replaced, or *dst is left alone and the error is a *layer.Refusal: NotFound for a path that cannot
// exist (without saying why: one may not learn forms by guessing), Malformed, Unsupported or TooLarge for a body that cannot be
// read, and otherwise Invalid with every wrong field at once. Any other error means that the program is wrong.
//
// Bind waits for the body no longer than r's context and the connection's read deadline allow. It reads the body itself: what
// reads it earlier has to put it back. After Bind the body of a form can be read again, without its files. Those go to the spool
// of limits while they arrive, and nothing of them stays unless Bind succeeds; then they are the caller's, to be let go with Release.
func (s *Schema) Bind(r *http.Request, limits Limits, dst any) error {
	out, err := s.target(dst)
	if err != nil {
		return err
	}
	if s.mode == ModeForm && r.PostForm != nil {
		return errors.New("input: the request's body has been parsed by net/http already")
	}
	if (s.files || s.mode == ModeContent) && limits.Spool == nil {
		return fmt.Errorf("input: %v has files, and the limits no spool for them", s.typ)
	}
	scratch := reflect.New(s.typ).Elem()
	var c checker
	if c.object(s.places[inPath], s.path(r), "", scratch); len(c.faults) > 0 {
		return refusal(layer.NotFound, "There is nothing here.", errors.New("a path parameter breaks its schema"))
	}
	limits = limits.orDefault()
	query, err := query(r, limits)
	if err != nil {
		return err
	}
	body, err := s.body(r, limits)
	if err != nil {
		body.discard()
		return err
	}
	c.object(s.places[inQuery], query, "", scratch)
	c.object(s.places[inHeader], s.header(r), "", scratch)
	c.object(s.carried(), body, "", scratch)
	if len(c.faults) > 0 {
		body.discard()
		return invalid(c.faults...)
	}
	if out.IsValid() {
		out.Set(scratch)
	}
	return nil
}

// carried is what the body brings: its members, or itself.
func (s *Schema) carried() []*field {
	if s.mode == ModeContent {
		return s.places[inContent]
	}
	return s.places[inBody]
}

// target checks that dst can hold what s reads.
func (s *Schema) target(dst any) (reflect.Value, error) {
	if dst == nil && s.typ.NumField() == 0 {
		return reflect.Value{}, nil
	}
	v := reflect.ValueOf(dst)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Type().Elem() != s.typ {
		return v, fmt.Errorf("input: binding to %T, want *%v", dst, s.typ)
	}
	return v.Elem(), nil
}

func invalid(fields ...layer.Field) error {
	return &layer.Refusal{By: layer.Input, Reason: layer.Invalid, Public: "Some fields need attention.", Fields: fields}
}

func refusal(reason layer.Reason, public string, cause error) error {
	return &layer.Refusal{By: layer.Input, Reason: reason, Public: public, Cause: cause}
}

// path reads the declared wildcards. net/http has decoded them, so that "..%2fadmin" arrives as "../admin": only the rules of
// each field stand between such a text and the handler.
func (s *Schema) path(r *http.Request) node {
	n := node{kind: '{'}
	for _, f := range s.places[inPath] {
		n.members = append(n.members, member{f.name, node{kind: typed, text: r.PathValue(f.name)}})
	}
	return n
}

// query reads the whole query, so that what is not declared is refused too.
func query(r *http.Request, limits Limits) (node, error) {
	if len(r.URL.RawQuery) > maxQuery {
		return node{}, refusal(layer.TooLarge, "The query is too long.", nil)
	}
	n, err := pairs(r.URL.RawQuery, limits.Values)
	if err != nil {
		return node{}, unreadable("query", err)
	}
	return n, nil
}

// header reads the declared headers and no others.
func (s *Schema) header(r *http.Request) node {
	n := node{kind: '{'}
	for _, f := range s.places[inHeader] {
		if values := r.Header.Values(f.name); len(values) > 0 {
			n.members = append(n.members, member{f.name, texts(values)})
		}
	}
	return n
}

// body reads the one kind of body that the route takes. With an error comes what has been received until then.
func (s *Schema) body(r *http.Request, limits Limits) (node, error) {
	media, params, err := s.media(r.Header)
	if err != nil {
		return node{}, err
	}
	switch {
	case media != "" && s.mode == ModeContent:
		return s.content(r, limits)
	case media != "" && s.files:
		return s.formWithFiles(r, params["boundary"], limits)
	}
	most := limits.Body
	if media == "" {
		most = 0 // of no kind, so there must be none of it
	}
	raw, err := receive(r, most)
	if err != nil {
		r.Body = http.NoBody // nobody may take the rest for the whole
	}
	if err == errLong && most == 0 {
		return node{}, s.unwanted()
	}
	if err != nil {
		return node{}, unreceived(err)
	}
	return s.members(r, raw, media, params["boundary"], limits.Values)
}

// members reads a body that has been received as a whole.
func (s *Schema) members(r *http.Request, raw []byte, media, boundary string, most int) (node, error) {
	switch {
	case len(raw) == 0 && s.mode == ModeContent:
		return node{}, errNoContent()
	case len(raw) == 0 && (s.mode != ModeJSON || len(s.places[inBody]) == 0):
		return node{kind: '{'}, nil
	case s.mode == ModeJSON:
		return jsonBody(raw, most)
	}
	r.Body = io.NopCloser(bytes.NewReader(raw))
	n, err := readForm(raw, media, boundary, most)
	if err != nil {
		return node{}, unreadable("form", err)
	}
	return withoutToken(n), nil
}

// jsonBody reads a body that has to be one JSON object.
func jsonBody(raw []byte, most int) (node, error) {
	if len(raw) == 0 {
		return node{}, refusal(layer.Malformed, "A JSON body is required.", nil)
	}
	n, err := readJSON(raw, most)
	if err == nil && n.kind != '{' {
		return node{}, &layer.Refusal{By: layer.Input, Reason: layer.Invalid, Public: "The body must be a JSON object.",
			Fields: []layer.Field{{Detail: object.must()}}}
	}
	return n, err
}

// withoutToken takes the synchroniser token out of a form, unless it came twice: then it is refused like any unknown member.
func withoutToken(n node) node {
	for i, m := range n.members {
		if m.name == Token && m.value.kind == typed {
			n.members = append(n.members[:i:i], n.members[i+1:]...)
			break
		}
	}
	return n
}

// media returns the media type of the body if it is one that s takes, and "" if the client names none or s takes none.
func (s *Schema) media(h http.Header) (string, map[string]string, error) {
	named := h.Values("Content-Type")
	if len(h.Values("Content-Encoding")) > 0 || len(named) > 1 {
		return "", nil, s.unsupported() // RFC 9110 section 15.5.16; a body that unfolds is a bomb
	}
	if s.mode == ModeNone || len(named) == 0 {
		return "", nil, nil
	}
	media, params, err := mime.ParseMediaType(named[0])
	if err != nil {
		return "", nil, s.unsupported()
	}
	fits := false
	switch media {
	case "application/json":
		fits = s.mode == ModeJSON && onlyUTF8(params)
	case "application/x-www-form-urlencoded":
		fits = s.mode == ModeForm && !s.files && onlyUTF8(params)
	case "multipart/form-data":
		fits = s.mode == ModeForm && len(params) == 1 && plainBoundary.MatchString(params["boundary"])
	}
	if s.mode == ModeContent {
		fits = strings.Contains(media, "/") && len(h.Values("Content-Range")) == 0 // a part of it is not it: RFC 9110 section 14.5
	}
	if !fits {
		return "", nil, s.unsupported()
	}
	return media, params, nil
}

func (s *Schema) unsupported() error {
	public := "This takes no encoded body."
	switch s.mode {
	case ModeJSON:
		public = "The body must be application/json in UTF-8, not encoded further."
	case ModeForm:
		public = "The body must be a form without files, in UTF-8."
		if s.files {
			public = "The body must be a form as multipart/form-data, in UTF-8."
		}
	case ModeContent:
		public = "The body must be a whole file, not encoded further, and Content-Type say of what kind."
	}
	return refusal(layer.Unsupported, public, nil)
}

// unwanted refuses a body where there must be none, or one whose kind the client does not name.
func (s *Schema) unwanted() error {
	if s.mode == ModeNone {
		return refusal(layer.Malformed, "This takes no body.", nil)
	}
	return s.unsupported()
}

// unreadable refuses a query or form that is not one. The errors of pairs and parts quote nothing of it.
func unreadable(what string, err error) error {
	switch err {
	case errTooManyPairs:
		return refusal(layer.TooLarge, "The "+what+" has too many values.", nil)
	case errLong:
		return refusal(layer.TooLarge, "The body is too large.", nil)
	}
	return refusal(layer.Malformed, "The "+what+" is not well-formed.", fmt.Errorf("reading %s: %w", what, err))
}
