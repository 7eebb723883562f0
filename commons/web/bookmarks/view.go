// Package bookmarks is the model of the page of what the viewer has marked, GET /bookmarks.
package bookmarks

import "time"

// A View is the viewer's bookmarks, newest first. Its form is POST /bookmarks/{id}/delete.
type View struct {
	Bookmarks []Bookmark
	Next      string // cursor of the next, older page; empty on the last
	Continued bool   // this is not the first page
}

// A Bookmark is of a post or of a course.
type Bookmark struct {
	ID     string
	Post   string // its id; empty for a course
	Course string // its id; empty for a post
	Title  string // the course's, or how the post begins
	Author string // display name; empty for a person who has been deleted
	Marked time.Time
}
