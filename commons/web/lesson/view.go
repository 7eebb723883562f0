// Package lesson is the model of one lesson's page, GET /lessons/{id}.
package lesson

import (
	"github.com/redoubt-dev/redoubt/commons/web/attached"
	"github.com/redoubt-dev/redoubt/commons/web/courses"
	"github.com/redoubt-dev/redoubt/layer/input/richtext/render"
)

// A View is one lesson, and the way to those beside it. Its form is POST /lessons/{id}/done.
type View struct {
	Course  courses.Course
	ID      string
	Number  int // of Course.Lessons
	Title   string
	Video   attached.Address // empty for none
	Body    string           // as it was written; may be empty; shown as it is where there is no Text
	Text    render.Markup    // made of the body; empty for what was written before there was any
	Files   attached.Files   // what is handed out, and the pictures within the text
	Done    bool             // by the viewer
	Before  string           // id of the lesson before; empty on the first
	After   string           // id of the lesson behind; empty on the last
	Teaches bool             // the viewer may change it
}
