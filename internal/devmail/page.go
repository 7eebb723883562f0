package devmail

import (
	"bytes"
	"crypto/rand"
	_ "embed"
	"html/template"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// Path is where the list of mail is.
const Path = "/dev/mail"

//go:embed page.html
var source string

var page = template.Must(template.New("page").Parse(source))

// A view is what page.html shows.
type view struct {
	Nonce string
	All   []Message
	One   *Message
	Lines []line
}

// A line is one of a text, in pieces of which some are links.
type line []piece

type piece struct {
	Text string
	Link bool
}

// links are addresses of the web: nothing that runs anything when it is pressed.
var links = regexp.MustCompile(`https?://[^\s<>"]+`)

func pieces(text string) (lines []line) {
	for l := range strings.SplitSeq(strings.ReplaceAll(text, "\r\n", "\n"), "\n") {
		var one line
		at := 0
		for _, m := range links.FindAllStringIndex(l, -1) {
			one = append(one, piece{Text: l[at:m[0]]}, piece{Text: l[m[0]:m[1]], Link: true})
			at = m[1]
		}
		lines = append(lines, append(one, piece{Text: l[at:]}))
	}
	return lines
}

// ServeHTTP shows the list, and at Path and a number one message.
func (c *Catcher) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v := view{Nonce: rand.Text(), All: c.Messages()}
	number, one := strings.CutPrefix(r.URL.Path, Path+"/")
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		http.Error(w, "GET alone", http.StatusMethodNotAllowed)
		return
	case one:
		n, err := strconv.Atoi(number)
		for i := range v.All {
			if err == nil && v.All[i].Number == n {
				v.One, v.Lines = &v.All[i], pieces(v.All[i].Text)
			}
		}
	case r.URL.Path == "/":
		http.Redirect(w, r, Path, http.StatusSeeOther)
		return
	}
	if one && v.One == nil || !one && r.URL.Path != Path {
		http.NotFound(w, r)
		return
	}
	var out bytes.Buffer
	if err := page.Execute(&out, v); err != nil {
		http.Error(w, "the page cannot be shown", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'nonce-"+v.Nonce+"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	w.Write(out.Bytes())
}
