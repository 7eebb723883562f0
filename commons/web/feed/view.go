// Package feed is the model of the feed page, GET /: what an organization's members have written, newest first.
package feed

import "time"

// A View is what the feed shows. Its form is POST /posts with "body".
type View struct {
	Posts     []Post
	MaxBody   int    // characters that a post may have; zero shows no counter
	Next      string // cursor of the next, older page; empty on the last
	Continued bool   // this is not the first page: the composer gives way to a link back
}

// A Post is one post as its reader sees it. It is shown by the feed and by the post's own page.
type Post struct {
	ID         string
	Author     string // display name; empty for a person who has been deleted
	Body       string // plain text
	Posted     time.Time
	Edited     bool
	Likes      int
	Liked      bool // by the viewer
	Bookmarked bool // by the viewer
	Comments   int
	Mine       bool // the viewer wrote it, and may edit and delete it
}
