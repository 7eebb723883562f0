package devidp

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

//go:embed page.html
var pageSource string

//go:embed assets
var assets embed.FS

var pages = template.Must(template.New("page").Parse(pageSource))

// A face is a person as the page shows them.
type face struct {
	Subject, Name, Email, Note, Initials string
	Hue                                  int // one of the style sheet's tints, always the same for the same person
}

// The three pages. Base is the path of the issuer, where the style sheet is.
type (
	choosePage struct {
		Base                   string
		Request, Token, Client string
		Continue               *face // who is signed in already
		People                 []*face
		Again                  bool // prompt=login: the application wants it proved anew
	}
	leavePage struct {
		Base                     string
		Who                      *face
		Client, To, State, Token string
	}
	noticePage struct{ Base, Title, Text string }
)

const tints = 6

// face finds a person as they are now. Neighbours on the page differ in tint. The caller holds the lock.
func (p *Provider) face(subject string) *face {
	who := p.people[subject]
	place := slices.IndexFunc(p.cfg.People, func(one Person) bool { return one.Subject == subject })
	return &face{subject, who.Name, who.Email, who.Note, initials(who.Name), max(place, 0) % tints}
}

// initials are the first letters of the first and the last word.
func initials(name string) string {
	var letters []rune
	for word := range strings.FieldsSeq(name) {
		r, _ := utf8.DecodeRuneInString(word)
		letters = append(letters, unicode.ToUpper(r))
	}
	if len(letters) > 2 {
		letters = []rune{letters[0], letters[len(letters)-1]}
	}
	return string(letters)
}

// faces lists everybody in the order of the configuration. The caller holds the lock.
func (p *Provider) faces() (list []*face) {
	for _, one := range p.cfg.People {
		list = append(list, p.face(one.Subject))
	}
	return list
}

// A frame is what surrounds a page.
type frame struct{ Base, Title string }

func (v choosePage) Frame(title string) frame { return frame{v.Base, title} }
func (v leavePage) Frame(title string) frame  { return frame{v.Base, title} }
func (v noticePage) Frame(title string) frame { return frame{v.Base, title} }

// Many reports whether the people want two columns.
func (v choosePage) Many() bool { return len(v.People) > 7 }

// render writes a page. It is made whole before the first byte goes out, so that nothing half is shown.
func (p *Provider) render(w http.ResponseWriter, status int, name string, view any) {
	var page bytes.Buffer
	if err := pages.ExecuteTemplate(&page, name, view); err != nil {
		p.cfg.Log.Error("rendering a page", "page", name, "error", err)
		http.Error(w, "the page cannot be shown", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	page.WriteTo(w) // the browser has gone if this fails
}

// notice writes a page of one sentence, in most cases about what was wrong.
func (p *Provider) notice(w http.ResponseWriter, status int, title, text string) {
	p.render(w, status, "notice", noticePage{Base: p.base, Title: title, Text: text})
}

// pagePolicy allows the page its own style sheet and picture, and a form that leads to the clients. Browsers hold form-action
// against the redirects that follow a post too, so the clients' origins are in it.
func pagePolicy(clients []Client) string {
	origins := []string{"'self'"}
	for _, c := range clients {
		for _, address := range slices.Concat(c.RedirectURIs, c.PostLogoutRedirectURIs) {
			u, err := url.Parse(address)
			switch {
			case err != nil: // New refuses it
			case strings.Contains(u.Hostname(), ":"): // the policy's grammar has no IPv6 address
				origins = append(origins, u.Scheme+":")
			default:
				origins = append(origins, u.Scheme+"://"+u.Host)
			}
		}
	}
	slices.Sort(origins)
	return "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action " +
		strings.Join(slices.Compact(origins), " ")
}

func (p *Provider) headers(w http.ResponseWriter) {
	for name, value := range map[string]string{
		"Content-Security-Policy":      p.policy,
		"X-Frame-Options":              "DENY",
		"X-Content-Type-Options":       "nosniff",
		"Referrer-Policy":              "same-origin", // no-referrer would hide the origin of the page's own form
		"Cross-Origin-Opener-Policy":   "same-origin",
		"Cross-Origin-Resource-Policy": "same-origin",
		"Cache-Control":                "no-store", // RFC 6749 section 5.1
		"X-Robots-Tag":                 "noindex",
	} {
		w.Header().Set(name, value)
	}
}

func (p *Provider) asset(w http.ResponseWriter, r *http.Request) {
	content, err := assets.ReadFile("assets/" + r.PathValue("file"))
	if err != nil {
		p.notice(w, http.StatusNotFound, "There is no such page", "The address is not one of this provider.")
		return
	}
	http.ServeContent(w, r, r.PathValue("file"), time.Time{}, bytes.NewReader(content))
}
