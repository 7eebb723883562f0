// Package course is the model of one course's page, GET /courses/{id}: what it is about, and its lessons.
package course

import "github.com/redoubt-dev/redoubt/commons/web/courses"

// A View is one course. Its form is POST /courses/{id}/bookmark; lessons are done on their own pages.
type View struct {
	Course  courses.Course
	Lessons []Lesson // in their order
	Teaches bool     // the viewer may change it
}

// A Lesson is one line of a course.
type Lesson struct {
	ID     string
	Number int
	Title  string
	Video  bool
	Text   bool
	Done   bool // by the viewer
}

// Next is the lesson to go on with: the first that the viewer has not done; the first of all if there is none such.
func (v View) Next() string {
	for _, l := range v.Lessons {
		if !l.Done {
			return l.ID
		}
	}
	if len(v.Lessons) == 0 {
		return ""
	}
	return v.Lessons[0].ID
}
