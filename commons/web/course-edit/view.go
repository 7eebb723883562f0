// Package courseedit is the model of the page on which a course is begun, GET /courses/new, or changed, GET /courses/{id}/edit.
package courseedit

import "github.com/redoubt-dev/redoubt/commons/web/course"

// A View is the course as it stands. Its forms are POST /courses or POST /courses/{id}/edit with "title" and "summary"; POST
// /courses/{id}/publish, archive and delete; and POST /lessons/{id}/up and down.
type View struct {
	ID         string // empty for a course that is not there yet
	Title      string
	Summary    string
	State      string // "draft", "published", "archived"
	Lessons    []course.Lesson
	MaxTitle   int // characters; zero shows no counter
	MaxSummary int
	MaxLessons int
}

// Last reports whether i is the place of the last lesson.
func (v View) Last(i int) bool { return i == len(v.Lessons)-1 }

// Full reports whether there is no room for another lesson.
func (v View) Full() bool { return v.MaxLessons > 0 && len(v.Lessons) >= v.MaxLessons }
