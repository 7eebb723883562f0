package access

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"strconv"
	"strings"
)

//go:embed pages
var pageFiles embed.FS

// What the pages show.
type (
	place      struct{ Title, Path string }
	signOnPage struct {
		Providers   []place
		Mail        bool
		Back, Token string
	}
	mailPage struct {
		Address string
		Minutes int
	}
	linkPage      struct{ Address, Secret, Token string }
	signOutPage   struct{ Signed, Token string }
	signedOutPage struct{}
	signedOnPage  struct{ Next string }
	refusedPage   struct {
		Status            int
		Detail, RequestID string
		Signed            string
		Again             bool // whether signing on once more may help
	}
)

// A frame is what surrounds each of them.
type frame struct {
	Title, Host, Back string // of the application
	Name              string // of the page
	Data              any
}

var (
	pages         = template.Must(template.New("").ParseFS(pageFiles, "pages/*.html", "pages/*.css"))
	policyOfPages = contentPolicy()
)

// contentPolicy allows the one style sheet that stands in every page, by its digest, and forms to this host. There are no scripts, no
// pictures, no frames, and nobody may frame these pages (Content Security Policy Level 3).
func contentPolicy() string {
	var page bytes.Buffer
	if err := pages.ExecuteTemplate(&page, "signed-out", frame{Name: "signed-out", Data: signedOutPage{}}); err != nil {
		panic(err) // of the program's own pages
	}
	_, rest, _ := strings.Cut(page.String(), "<style>")
	style, _, _ := strings.Cut(rest, "</style>")
	sum := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
}

// show answers with a page, whole or not at all.
func (x *visit) show(status int, name string, data any) {
	var page bytes.Buffer
	f := frame{Title: x.at.Title, Host: x.at.host, Back: x.at.Origin + "/", Name: name, Data: data}
	if err := pages.ExecuteTemplate(&page, name, f); err != nil {
		panic(err) // of the program's own pages
	}
	h := x.w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(page.Len()))
	h.Set("Content-Security-Policy", policyOfPages)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin") // and not "no-referrer", with which browsers keep back the Origin of a form, too
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("X-Robots-Tag", "noindex")
	x.w.WriteHeader(status)
	if x.r.Method != http.MethodHead {
		x.w.Write(page.Bytes())
	}
}
