// Package courses is the model of the list of courses, GET /courses.
package courses

// A View is what the organization teaches, newest first.
type View struct {
	Courses   []Course
	Teaches   bool   // the viewer may make courses, and sees drafts
	Next      string // cursor of the next, older page; empty on the last
	Continued bool   // this is not the first page
}

// A Course is one course as its reader sees it. It is shown by the list, by the course's own page and by its lessons.
type Course struct {
	ID         string
	Title      string
	Summary    string // plain text; may be empty
	Author     string // display name; empty for a person who has been deleted
	State      string // "draft", "published", "archived"
	Lessons    int
	Done       int // of these, by the viewer
	Bookmarked bool
}

// Begun reports whether the viewer has done a part of it.
func (c Course) Begun() bool { return c.Done > 0 }

// Finished reports whether the viewer has done all of it.
func (c Course) Finished() bool { return c.Done > 0 && c.Done >= c.Lessons }
