// Package feed is the model of the feed page, GET /: what an organization's members have written, newest first.
package feed

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/redoubt-dev/redoubt/commons/web/attached"
	"github.com/redoubt-dev/redoubt/layer/input/richtext/render"
)

// A View is what the feed shows. Its form is POST /posts with "body", "files" and "uploads".
type View struct {
	Posts     []Post
	MaxBody   int             // characters that a post may have; zero shows no counter
	Uploads   attached.Limits // of the form
	Next      string          // cursor of the next, older page; empty on the last
	Continued bool            // this is not the first page: the composer gives way to a link back
}

// A Post is one post as its reader sees it. It is shown by the feed and by the post's own page.
type Post struct {
	ID         string
	Author     string        // display name; empty for a person who has been deleted
	Picture    string        // the file with their picture; empty for none
	Body       string        // as it was written; shown as it is where there is no Text
	Text       render.Markup // made of the body; empty for what was written before there was any
	Files      attached.Files
	Link       *attached.Link // what its first link leads to; nil for nothing
	Posted     time.Time
	Edited     bool
	Likes      int
	Liked      bool // by the viewer
	Bookmarked bool // by the viewer
	Comments   int
	Mine       bool // the viewer wrote it, and may edit and delete it
}

// What the feed shows of a post before its reader asks for more: about so many lines, of so many characters. A picture takes as much room
// as some lines do.
const (
	lines        = 14
	line         = 80
	pictureLines = 9
)

// Long reports whether the feed shows only how the post begins. It is a guess at how much room the text takes, on a wide page.
func (p Post) Long() bool {
	room := pictureLines * strings.Count(p.Body, "](/files/")
	for written := range strings.Lines(p.Body) {
		room += 1 + utf8.RuneCountInString(written)/line
	}
	return room > lines
}
