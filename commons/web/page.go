package web

import (
	"cmp"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/commons/web/attached"
)

// A page is what templates see as "." and "$".
type page struct {
	redoubt.Frame
	Name  string // of the page: its folder
	Title string
	Data  any  // the page's model
	Bare  bool // no navigation
	form  string
	now   time.Time
}

// A field is one input of a form: where it is, what stands in it, and what is wrong with it.
type field struct {
	ID    string
	Name  string
	Value string
	Error string // empty for nothing
	Max   int    // characters; zero for no limit that the page knows of
	Hint  bool   // a hint stands beside it
}

// Field is the input of that name. A refused form shows again what was typed; otherwise value stands in it.
func (p *page) Field(name, value string) field {
	f := field{ID: "f-" + name, Name: name, Value: value, Error: p.wrong(name)}
	if typed, ok := p.Typed[name]; ok {
		f.Value = typed
	}
	return f
}

// FieldOf is Field on a page with several forms: key, the value of the distinguishing field, says which form this is.
func (p *page) FieldOf(key, name, value string) field {
	f := field{ID: "f-" + name + "-" + key, Name: name, Value: value}
	if p.Refused(key) {
		f.Error = p.wrong(name)
		if typed, ok := p.Typed[name]; ok {
			f.Value = typed
		}
	}
	return f
}

// Refused reports whether the form of that key, on a page with several forms, is the one that was refused, or kept for later.
func (p *page) Refused(key string) bool {
	return (p.Problem != nil || p.Kept) && p.Typed[p.form] == key
}

// Limit is f with a limit on its characters, for the counter.
func (f field) Limit(characters int) field {
	f.Max = characters
	return f
}

// Hinted is f with a hint beside it, which has the id of f and "-hint".
func (f field) Hinted() field {
	f.Hint = true
	return f
}

// Described lists the ids of what describes the input: its hint, and what is wrong with it.
func (f field) Described() string {
	var ids []string
	if f.Hint {
		ids = append(ids, f.ID+"-hint")
	}
	if f.Error != "" {
		ids = append(ids, f.ID+"-error")
	}
	return strings.Join(ids, " ")
}

// Has reports whether a list field, typed as words with spaces or commas between them, holds word.
func (f field) Has(word string) bool {
	for w := range strings.FieldsFuncSeq(f.Value, separates) {
		if w == word {
			return true
		}
	}
	return false
}

// fileID is how a file is named. What else was typed for one is not repeated.
var fileID = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

func separates(r rune) bool { return r == ' ' || r == ',' }

// An editor is a text in Markdown with its files, as a form has them.
type editor struct {
	Text    field
	Kept    []kept
	Missing string // what is wrong with the kept files; empty for nothing
	Uploads field
	Limits  attached.Limits
}

// A kept file is one that the text has, or that was sent ahead of it; unticked, it goes.
type kept struct {
	ID    string
	Title string
	Keep  bool
}

// Editor is the form's part for a text and its files. What had been sent ahead of a form that was refused is still there, by its id alone.
func (p *page) Editor(text field, files attached.Files, limits attached.Limits) editor {
	e := editor{Text: text.Hinted(), Missing: p.wrong("files"), Uploads: p.Field("uploads", ""), Limits: limits}
	_, sent := p.Typed[text.Name]
	ticked := field{Value: p.Typed["files"]}
	for _, f := range files.Kept() {
		e.Kept = append(e.Kept, kept{f.ID, f.Title(), !sent || ticked.Has(f.ID)})
	}
	for i, id := range strings.FieldsFunc(ticked.Value, separates) {
		if fileID.MatchString(id) && !slices.ContainsFunc(e.Kept, func(k kept) bool { return k.ID == id }) {
			e.Kept = append(e.Kept, kept{id, "Added file " + strconv.Itoa(i+1), true})
		}
	}
	return e
}

// wrong is what is wrong with a field or with a part of it, such as "scopes[1]".
func (p *page) wrong(name string) string {
	if detail := p.Problem.Field(name); detail != "" || p.Problem == nil {
		return detail
	}
	for _, e := range p.Problem.Errors {
		if strings.HasPrefix(e.Name, name+"[") || strings.HasPrefix(e.Name, name+".") {
			return e.Detail
		}
	}
	return ""
}

// A fault is one line of the summary above a refused form.
type fault struct {
	Target string // the id of the field; empty for the form as a whole
	Label  string
	Detail string
}

// Faults lists everything that is wrong with the form that was refused.
func (p *page) Faults() []fault {
	if p.Problem == nil {
		return nil
	}
	if len(p.Problem.Errors) == 0 {
		return []fault{{Detail: cmp.Or(p.Problem.Detail, p.Problem.Title)}}
	}
	var all []fault
	for _, e := range p.Problem.Errors {
		all = append(all, p.fault(e.Name, e.Detail))
	}
	return all
}

func (p *page) fault(name, detail string) fault {
	if name == "" {
		return fault{Detail: detail}
	}
	base := name
	if i := strings.IndexAny(name, "[."); i > 0 {
		base = name[:i]
	}
	target := "f-" + base
	if key := p.Typed[p.form]; p.form != "" && key != "" {
		target += "-" + key
	}
	return fault{Target: target, Label: spoken(base), Detail: detail}
}

// called are fields that have another name on the page.
var called = map[string]string{"uploads": "Pictures and files", "files": "Attached"}

// spoken is a field's name as people say it: "expires_in_days" is "Expires in days".
func spoken(name string) string {
	if label, ok := called[name]; ok {
		return label
	}
	r := []rune(strings.ReplaceAll(name, "_", " "))
	r[0] = unicode.ToUpper(r[0])
	return string(r)
}

// At reports whether this page belongs to the section at path, for the navigation.
func (p *page) At(path string) bool {
	switch {
	case path == "/":
		return p.Path == "/" || strings.HasPrefix(p.Path, "/posts")
	case path == "/courses" && strings.HasPrefix(p.Path, "/lessons/"):
		return true
	}
	return p.Path == path || strings.HasPrefix(p.Path, path+"/")
}

// Administrator reports whether administrators' navigation is shown. The gates decide; this only spares a dead end.
func (p *page) Administrator() bool { return p.Viewer != nil && p.Viewer.Administrator }

// Can reports whether the viewer's session allows scope. The gates decide; this only spares a dead end.
func (p *page) Can(scope string) bool {
	return p.Viewer != nil && p.Viewer.May != nil && p.Viewer.May(scope)
}

// Creator reports whether the viewer may make organizations, by the same token.
func (p *page) Creator() bool { return p.Viewer != nil && p.Viewer.Creator }

// Switchable lists the organizations to switch to; nil if there is no choice.
func (p *page) Switchable() []redoubt.Organization {
	if p.Viewer == nil || len(p.Viewer.Organizations) < 2 {
		return nil
	}
	return p.Viewer.Organizations
}

// When is t as seen at the moment of rendering.
func (p *page) When(t time.Time) moment { return moment{t, p.now} }

// A pager leads from one page of a list to the next, and back to the first.
type pager struct {
	Next, Onward string // address and words; empty on the last page
	First, Back  string // address and words; empty on the first page
}

// newPager builds addresses under path, which the template writes and no data can change; cursor and the pairs of further
// parameters are escaped as values of the query.
func newPager(path, cursor string, continued bool, onward, back string, further ...string) pager {
	query := url.Values{}
	for pair := range slices.Chunk(further, 2) {
		if pair[1] != "" {
			query.Set(pair[0], pair[1])
		}
	}
	p := pager{Onward: onward, Back: back}
	if continued {
		p.First = (&url.URL{Path: path, RawQuery: query.Encode()}).String()
	}
	if cursor != "" {
		query.Set("cursor", cursor)
		p.Next = (&url.URL{Path: path, RawQuery: query.Encode()}).String()
	}
	return p
}
