package input

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// pairs reads application/x-www-form-urlencoded text (a query or a body) into an object whose members are sorted by name.
func pairs(encoded string, most int) (node, error) {
	if encoded == "" {
		return node{kind: '{'}, nil
	}
	if strings.Count(encoded, "&") >= most {
		return node{}, errTooManyPairs
	}
	values, err := url.ParseQuery(encoded)
	if err != nil {
		return node{}, errEncoding // not err, which quotes the input
	}
	return gather(values), nil
}

var (
	errTooManyPairs = errors.New("too many values")
	errEncoding     = errors.New("an escape or a separator that is not one")
	errPart         = errors.New("a part that is not one, or not where it stands")
)

func gather(values map[string][]string) node {
	n := node{kind: '{'}
	for name, all := range values {
		n.members = append(n.members, member{name, texts(all)})
	}
	slices.SortFunc(n.members, func(a, b member) int { return strings.Compare(a.name, b.name) })
	return n
}

// texts is one bare text, or a repeated one.
func texts(all []string) node {
	if len(all) == 1 {
		return node{kind: typed, text: all[0]}
	}
	n := node{kind: many}
	for _, text := range all {
		n.members = append(n.members, member{value: node{kind: typed, text: text}})
	}
	return n
}

// readForm reads a body that an HTML form without files sent, of the given media type.
func readForm(body []byte, media, boundary string, most int) (node, error) {
	if media == "multipart/form-data" {
		return textParts(body, boundary, most)
	}
	return pairs(string(body), most)
}

// textParts reads multipart/form-data with text fields only.
func textParts(body []byte, boundary string, most int) (node, error) {
	m, err := newMultipart(bytes.NewReader(body), boundary, most, int64(len(body)))
	if err != nil {
		return node{}, err
	}
	values := map[string][]string{}
	for {
		p, err := m.next()
		if err == io.EOF {
			return gather(values), nil
		}
		if err == nil && p.file {
			err = errPart
		}
		if err != nil {
			return node{}, err
		}
		value, err := io.ReadAll(p) // the whole body is in memory already, within its bound
		if err != nil {
			return node{}, m.why()
		}
		values[p.name] = append(values[p.name], string(value))
	}
}

// plain reports whether a Content-Type is exactly media, in UTF-8 if it names a charset at all.
func plain(contentType, media string) bool {
	got, params, err := mime.ParseMediaType(contentType)
	return err == nil && got == media && onlyUTF8(params)
}

func onlyUTF8(params map[string]string) bool {
	charset, named := params["charset"]
	return len(params) == 0 || len(params) == 1 && named && strings.EqualFold(charset, "utf-8")
}

// Typed returns what was typed into the form that r carries, for showing it again beside what is wrong. It has the values of declared
// fields, without those marked secret and without characters that Bind refuses; of boxes that were ticked, several with commas between. It returns nil for a route that
// takes no form, and for a body that cannot be read. Bind, which comes before, leaves the body to be read again.
//
// It is for forms alone: an API never gives back what it was sent.
func (s *Schema) Typed(r *http.Request, limits Limits) map[string]string {
	if s.mode != ModeForm {
		return nil
	}
	form, err := s.body(r, limits.orDefault())
	if err != nil {
		return nil
	}
	shown := map[string]string{}
	for _, f := range s.places[inBody] {
		if text, ok := f.typed(form.member(f.name)); ok {
			shown[f.name] = text
		}
	}
	return shown
}

// typed is what was typed into the field, or ticked; false if nothing was, or nobody may see it.
func (s *shape) typed(value node) (text string, ok bool) {
	switch {
	case s.secret || s.item != nil && s.item.secret:
		return "", false
	case value.kind == typed:
		return s.showable(value.text), true
	case value.kind != many || s.item == nil:
		return "", false
	}
	var all []string
	for _, one := range value.members {
		all = append(all, s.item.showable(one.value.text))
	}
	return strings.Join(all, ", "), true
}

// showable drops what clean would refuse, so that a person who pasted an odd character does not lose the text around it.
func (s *shape) showable(value string) string {
	return strings.Map(func(r rune) rune {
		if s.refuses(r) != "" {
			return -1
		}
		return r
	}, s.unfold(strings.ToValidUTF8(value, "")))
}
