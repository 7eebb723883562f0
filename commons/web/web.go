// Package web is what people see of Commons: one folder per page, each with its template, its style and its typed model. The
// pages are rendered on the server, work without script, and obey a content security policy that allows no inline script, no
// inline style and nothing from elsewhere (SYSTEM T2, R).
//
// It shows what it is given and decides nothing: who may see a page was settled by the gates before. It only refuses to show
// a page of members to nobody, because that would be a mistake of the program.
package web

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/commons/web/audit"
	"github.com/redoubt-dev/redoubt/commons/web/bookmarks"
	"github.com/redoubt-dev/redoubt/commons/web/course"
	courseedit "github.com/redoubt-dev/redoubt/commons/web/course-edit"
	"github.com/redoubt-dev/redoubt/commons/web/courses"
	"github.com/redoubt-dev/redoubt/commons/web/directory"
	directorycreated "github.com/redoubt-dev/redoubt/commons/web/directory-created"
	"github.com/redoubt-dev/redoubt/commons/web/feed"
	"github.com/redoubt-dev/redoubt/commons/web/invitation"
	invitationcreated "github.com/redoubt-dev/redoubt/commons/web/invitation-created"
	"github.com/redoubt-dev/redoubt/commons/web/invitations"
	keycreated "github.com/redoubt-dev/redoubt/commons/web/key-created"
	"github.com/redoubt-dev/redoubt/commons/web/keys"
	"github.com/redoubt-dev/redoubt/commons/web/lesson"
	lessonedit "github.com/redoubt-dev/redoubt/commons/web/lesson-edit"
	"github.com/redoubt-dev/redoubt/commons/web/machines"
	"github.com/redoubt-dev/redoubt/commons/web/members"
	"github.com/redoubt-dev/redoubt/commons/web/onboarding"
	"github.com/redoubt-dev/redoubt/commons/web/order"
	"github.com/redoubt-dev/redoubt/commons/web/orders"
	"github.com/redoubt-dev/redoubt/commons/web/organization"
	organizationnew "github.com/redoubt-dev/redoubt/commons/web/organization-new"
	"github.com/redoubt-dev/redoubt/commons/web/post"
	postedit "github.com/redoubt-dev/redoubt/commons/web/post-edit"
	"github.com/redoubt-dev/redoubt/commons/web/products"
	"github.com/redoubt-dev/redoubt/commons/web/profile"
	"github.com/redoubt-dev/redoubt/commons/web/roles"
	"github.com/redoubt-dev/redoubt/commons/web/sessions"
)

//go:embed layout */page.html */page.css
var files embed.FS

// MaxPage bounds a rendered page. The largest honest page is a tenth of it; more is a mistake, and becomes an error before a
// byte has been sent.
const MaxPage = 4 << 20

// A kind is what the site knows of one page besides its template.
type kind struct {
	data   reflect.Type // the page's model; nil for a page that shows no data
	public bool         // may be shown to nobody in particular
	bare   bool         // without navigation, even for members
	form   string       // the field that tells the page's several forms apart; empty if it has one
}

// pages is every page by its folder. New refuses a folder without an entry and an entry without a folder.
var pages = map[string]kind{
	"welcome":            {public: true, bare: true},
	"signed-out":         {public: true, bare: true},
	"sign-in":            {public: true, bare: true, data: reflect.TypeFor[redoubt.SignInChoice]()},
	"step-up":            {data: reflect.TypeFor[redoubt.StepUp]()},
	"problem":            {public: true, data: reflect.TypeFor[redoubt.Problem]()},
	"onboarding":         {bare: true, data: reflect.TypeFor[onboarding.View]()},
	"feed":               {data: reflect.TypeFor[feed.View]()},
	"post":               {data: reflect.TypeFor[post.View]()},
	"post-edit":          {data: reflect.TypeFor[postedit.View]()},
	"courses":            {data: reflect.TypeFor[courses.View]()},
	"course":             {data: reflect.TypeFor[course.View]()},
	"course-edit":        {data: reflect.TypeFor[courseedit.View]()},
	"lesson":             {data: reflect.TypeFor[lesson.View]()},
	"lesson-edit":        {data: reflect.TypeFor[lessonedit.View]()},
	"bookmarks":          {data: reflect.TypeFor[bookmarks.View]()},
	"products":           {data: reflect.TypeFor[products.View](), form: "product_id"},
	"orders":             {data: reflect.TypeFor[orders.View]()},
	"order":              {data: reflect.TypeFor[order.View]()},
	"profile":            {data: reflect.TypeFor[profile.View]()},
	"sessions":           {data: reflect.TypeFor[sessions.View]()},
	"keys":               {data: reflect.TypeFor[keys.View]()},
	"key-created":        {data: reflect.TypeFor[keycreated.View]()},
	"machines":           {data: reflect.TypeFor[machines.View]()},
	"directory":          {data: reflect.TypeFor[directory.View]()},
	"directory-created":  {data: reflect.TypeFor[directorycreated.View]()},
	"members":            {data: reflect.TypeFor[members.View]()},
	"organization":       {data: reflect.TypeFor[organization.View]()},
	"organization-new":   {data: reflect.TypeFor[organizationnew.View]()},
	"invitations":        {data: reflect.TypeFor[invitations.View]()},
	"invitation-created": {data: reflect.TypeFor[invitationcreated.View]()},
	"invitation":         {public: true, bare: true, data: reflect.TypeFor[invitation.View]()},
	"roles":              {data: reflect.TypeFor[roles.View]()},
	"audit":              {data: reflect.TypeFor[audit.View]()},
}

// A Site holds the parsed pages and their assets. It implements redoubt.Renderer and may be used concurrently.
type Site struct {
	templates map[string]*template.Template
	assets    assets
}

// New parses every page once and reports all that is wrong at once, so that a broken page stops the start and not a reader.
func New() (*Site, error) {
	names, err := folders()
	if err != nil {
		return nil, err
	}
	s := &Site{templates: map[string]*template.Template{}}
	if s.assets, err = collect(names); err != nil {
		return nil, err
	}
	base, err := template.New("layout").Funcs(s.functions()).ParseFS(files, "layout/*.html")
	if err != nil {
		return nil, fmt.Errorf("parsing layout: %w", err)
	}
	if err := errors.Join(s.parse(base, names), s.try()); err != nil {
		return nil, err
	}
	return s, nil
}

// try renders every page once with nothing on it: html/template finds a place where it cannot escape only then.
func (s *Site) try() error {
	var wrong []error
	for name := range s.templates {
		v := redoubt.View{Page: name}
		if t := pages[name].data; t != nil {
			v.Data = reflect.Zero(t).Interface()
		}
		wrong = append(wrong, s.Render(io.Discard, redoubt.Frame{Viewer: &redoubt.Viewer{}}, v))
	}
	return errors.Join(wrong...)
}

func (s *Site) parse(base *template.Template, names []string) error {
	var wrong []error
	for _, name := range names {
		if _, known := pages[name]; !known {
			wrong = append(wrong, fmt.Errorf("page %q has a folder but no entry", name))
		}
		t, err := base.Clone()
		if err == nil {
			t, err = t.ParseFS(files, name+"/page.html")
		}
		if err != nil {
			wrong = append(wrong, fmt.Errorf("parsing page %q: %w", name, err))
			continue
		}
		s.templates[name] = t
	}
	for name := range pages {
		if !slices.Contains(names, name) {
			wrong = append(wrong, fmt.Errorf("page %q has an entry but no folder", name))
		}
	}
	return errors.Join(wrong...)
}

// folders lists the pages' folders in the order of their names.
func folders() ([]string, error) {
	found, err := fs.Glob(files, "*/page.html")
	if err != nil {
		return nil, fmt.Errorf("listing pages: %w", err)
	}
	for i, f := range found {
		found[i] = strings.TrimSuffix(f, "/page.html")
	}
	return found, nil
}

// Render writes one page. It fails before it has written anything, or while w refuses what is already complete.
func (s *Site) Render(w io.Writer, f redoubt.Frame, v redoubt.View) error {
	p, err := s.page(f, v)
	if err != nil {
		return fmt.Errorf("rendering page %q: %w", v.Page, err)
	}
	var out bounded
	if err := s.templates[v.Page].ExecuteTemplate(&out, "layout", p); err != nil {
		return fmt.Errorf("rendering page %q: %w", v.Page, err)
	}
	_, err = w.Write(out.buf.Bytes())
	return err
}

func (s *Site) page(f redoubt.Frame, v redoubt.View) (*page, error) {
	k, known := pages[v.Page]
	switch {
	case !known:
		return nil, errors.New("there is no such page")
	case f.Viewer == nil && !k.public:
		return nil, errors.New("nobody is signed in")
	}
	data, err := k.check(v.Data)
	if err != nil {
		return nil, err
	}
	if v.Page == "problem" {
		f.Problem = nil // it is the page's data; there is no form whose summary it could be
	}
	return &page{Frame: f, Name: v.Page, Title: v.Title, Data: data, Bare: k.bare || f.Viewer == nil, form: k.form, now: time.Now()}, nil
}

// check returns data as the page's model. A pointer to the model does as well.
func (k kind) check(data any) (any, error) {
	if k.data == nil {
		return nil, nil
	}
	v := reflect.ValueOf(data)
	if v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	if !v.IsValid() || v.Type() != k.data {
		return nil, fmt.Errorf("it shows %v, not %T", k.data, data)
	}
	return v.Interface(), nil
}

// bounded is a buffer that refuses to grow beyond MaxPage.
type bounded struct{ buf bytes.Buffer }

var errTooLong = fmt.Errorf("the page is longer than %d bytes", MaxPage)

// Write implements io.Writer.
func (b *bounded) Write(p []byte) (int, error) {
	if b.buf.Len()+len(p) > MaxPage {
		return 0, errTooLong
	}
	return b.buf.Write(p)
}
