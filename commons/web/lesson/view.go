// Package lesson is the model of one lesson's page, GET /lessons/{id}.
package lesson

import (
	"net/url"
	"strings"

	"github.com/redoubt-dev/redoubt/commons/web/courses"
)

// A View is one lesson, and the way to those beside it. Its form is POST /lessons/{id}/done.
type View struct {
	Course  courses.Course
	ID      string
	Number  int // of Course.Lessons
	Title   string
	Video   Video  // empty for none
	Body    string // plain text; may be empty
	Done    bool   // by the viewer
	Before  string // id of the lesson before; empty on the first
	After   string // id of the lesson behind; empty on the last
	Teaches bool   // the viewer may change it
}

// A Video is the address of one, at some other site. The database lets in https alone; the page does not believe that, and shows
// anything else as a link that leads nowhere (SYSTEM N1).
type Video string

// Address is where the link leads.
func (v Video) Address() string {
	if v.site() == "" {
		return "#main"
	}
	return string(v)
}

// Site is the name of the other site, for people to know where the link leads.
func (v Video) Site() string {
	if site := v.site(); site != "" {
		return site
	}
	return "nowhere"
}

func (v Video) site() string {
	u, err := url.Parse(string(v))
	if err != nil || u.Scheme != "https" || u.User != nil || u.Opaque != "" || !strings.HasPrefix(string(v), "https://") {
		return ""
	}
	return strings.TrimPrefix(u.Hostname(), "www.")
}
