package input

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"

	"github.com/redoubt-dev/redoubt/layer"
)

// MaxBody is the most bytes that a body for s can have, for the bounds of rings further out.
func (s *Schema) MaxBody(limits Limits) int64 {
	most := limits.orDefault().Body
	switch s.mode {
	case ModeNone:
		return 0
	case ModeContent:
		most = 0
	}
	for _, f := range s.carried() {
		if u := f.upload(); u != nil {
			most += u.most * int64(f.times())
		}
	}
	return most
}

// times is how many values f may have.
func (f *field) times() int {
	if f.kind == list {
		return f.long
	}
	return 1
}

// Enctype is the attribute enctype of an HTML form for s, and empty for a schema that no form can be sent to.
func (s *Schema) Enctype() string {
	switch {
	case s.mode != ModeForm:
		return ""
	case s.files:
		return "multipart/form-data"
	}
	return "application/x-www-form-urlencoded"
}

// An arrival is a form with files that is being received, part by part: its texts to memory, its files to the spool.
type arrival struct {
	s       *Schema
	limits  Limits
	m       *multipartBody
	texts   map[string][]string
	files   map[string][]Upload
	written bytes.Buffer // the texts, as a form without files
	opening string       // of a part
}

// formWithFiles receives a form with files, and leaves behind the same form without them.
func (s *Schema) formWithFiles(r *http.Request, boundary string, limits Limits) (node, error) {
	if bodiless(r) {
		return node{kind: '{'}, nil
	}
	if r.ContentLength > s.MaxBody(limits) {
		r.Body = http.NoBody
		return node{}, unreceived(errLong)
	}
	a := arrival{s: s, limits: limits, texts: map[string][]string{}, files: map[string][]Upload{}, opening: "--" + boundary + "\r\n"}
	err := a.receive(patiently(r), boundary)
	a.leave(r, boundary)
	return a.node(), a.refuse(err)
}

func (a *arrival) receive(body io.Reader, boundary string) (err error) {
	if a.m, err = newMultipart(body, boundary, a.limits.Values, a.limits.Body); err == io.EOF {
		return nil
	} else if err != nil {
		return err
	}
	for {
		p, err := a.m.next()
		if err == io.EOF {
			return a.m.exact()
		}
		if err == nil {
			err = a.part(p)
		}
		if err != nil {
			return err
		}
	}
}

// part takes one part. Texts that do not belong here are taken for the checker, which names them all at once. A file that does not ends
// everything: the rest is not read, whatever there may be of it.
func (a *arrival) part(p part) error {
	i := slices.IndexFunc(a.s.places[inBody], func(f *field) bool { return f.name == p.name })
	switch {
	case p.name == Token && !p.file:
		return a.text(p, true)
	case i < 0 && !p.file:
		return a.text(p, false)
	case i < 0 && plainName.MatchString(p.name):
		return invalid(layer.Field{Name: p.name, Detail: "is not a known field"})
	case i < 0:
		return invalid(layer.Field{Detail: "has an unknown field"})
	}
	f := a.s.places[inBody][i]
	switch u := f.upload(); {
	case u == nil && p.file:
		return invalid(layer.Field{Name: f.name, Detail: "must not be a file"})
	case u != nil && !p.file:
		return invalid(layer.Field{Name: f.name, Detail: file.must()})
	case u != nil:
		return a.file(f, p)
	}
	return a.text(p, true)
}

// text takes a text; one that is declared is left behind, to be shown again.
func (a *arrival) text(p part, declared bool) error {
	value, err := io.ReadAll(p)
	if err != nil {
		return a.m.why()
	}
	a.texts[p.name] = append(a.texts[p.name], string(value))
	if !declared {
		return nil
	}
	fmt.Fprintf(&a.written, "%sContent-Disposition: form-data; name=%q\r\n\r\n%s\r\n", a.opening, p.name, value)
	return nil
}

// file spools one file. A file input that nobody used sends a file of no name and no bytes (HTML, "constructing the entry list").
func (a *arrival) file(f *field, p part) error {
	var content io.Reader = p
	if p.fileName == "" {
		var first [1]byte
		n, err := io.ReadFull(p, first[:])
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return a.m.why()
		}
		content = io.MultiReader(bytes.NewReader(first[:n]), p)
	}
	if len(a.files[f.name]) == f.times() {
		return invalid(layer.Field{Name: f.name, Detail: f.tooOften()})
	}
	spooled, err := a.limits.Spool.fill(shownName(p.fileName), content, f.upload().most)
	switch {
	case err == nil:
		a.files[f.name] = append(a.files[f.name], Upload{spooled})
		return nil
	case err == errLong && a.m.src.err == nil:
		return tooLarge(f.upload(), f.name)
	case isRefusal(err):
		return err
	}
	return a.m.why()
}

func (f *field) tooOften() string {
	if f.kind != list {
		return "must be given once"
	}
	return "must have " + between(f.short, f.long, "entry", "entries")
}

func isRefusal(err error) bool {
	var r *layer.Refusal
	return errors.As(err, &r)
}

// tooLarge refuses a file that breaks its bound, and names its field.
func tooLarge(u *shape, name string) error {
	return &layer.Refusal{By: layer.Input, Reason: layer.TooLarge, Public: "A file is too large.",
		Fields: []layer.Field{{Name: name, Detail: "must have at most " + inBytes(u.most)}}}
}

// inBytes writes a size as its tag's author thought of it.
func inBytes(n int64) string {
	switch {
	case n%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", n>>20)
	case n%(1<<10) == 0:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d bytes", n)
}

// leave puts the texts that came in back into r, so that the synchroniser token can be found there, and what was typed be shown again.
func (a *arrival) leave(r *http.Request, boundary string) {
	r.Body, r.ContentLength = http.NoBody, 0
	if a.written.Len() > 0 {
		fmt.Fprintf(&a.written, "--%s--\r\n", boundary)
		r.Body, r.ContentLength = io.NopCloser(&a.written), int64(a.written.Len())
	}
}

// node is what came in, for checking against the schema.
func (a *arrival) node() node {
	n := withoutToken(gather(a.texts))
	for _, f := range a.s.places[inBody] {
		uploads := a.files[f.name]
		if len(uploads) == 0 {
			continue
		}
		value := node{kind: many}
		for _, u := range uploads {
			value.members = append(value.members, member{value: node{kind: sent, file: u}})
		}
		if len(uploads) == 1 {
			value = value.members[0].value
		}
		n.members = append(n.members, member{f.name, value})
	}
	return n
}

// refuse makes an error of receive a refusal.
func (a *arrival) refuse(err error) error {
	switch {
	case err == nil || isRefusal(err):
		return err
	case err == errPart || err == errTooManyPairs || err == errLong:
		return unreadable("form", err)
	}
	return unreceived(err)
}

// discard lets go of every file in n.
func (n node) discard() {
	if n.kind == sent {
		_ = n.file.Close() // the refusal that follows says more
	}
	for _, m := range n.members {
		m.value.discard()
	}
}

// content receives a body that is one file.
func (s *Schema) content(r *http.Request, limits Limits) (node, error) {
	f := s.places[inContent][0]
	if bodiless(r) {
		return node{}, errNoContent()
	}
	body := patiently(r)
	r.Body = http.NoBody
	if r.ContentLength > f.most {
		return node{}, tooLarge(f.shape, f.name)
	}
	spooled, err := limits.Spool.fill("", body, f.most)
	switch {
	case err == errLong:
		return node{}, tooLarge(f.shape, f.name)
	case isRefusal(err):
		return node{}, err
	case err != nil:
		return node{}, unreceived(err)
	}
	n := node{kind: '{', members: []member{{f.name, node{kind: sent, file: Upload{spooled}}}}}
	if spooled.size == 0 {
		return n, errNoContent()
	}
	return n, nil
}

func errNoContent() error {
	return refusal(layer.Malformed, "A body is required.", nil)
}
