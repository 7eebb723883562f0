// Package lessonedit is the model of the page on which a lesson is added, GET /courses/{id}/lessons/new, or changed or deleted,
// GET /lessons/{id}/edit.
package lessonedit

import "github.com/redoubt-dev/redoubt/commons/web/attached"

// A View is the lesson as it stands. Its forms are POST /courses/{id}/lessons or POST /lessons/{id}/edit with "title", "video_url",
// "body", "files" and "uploads", and POST /lessons/{id}/delete.
type View struct {
	ID       string // empty for a lesson that is not there yet
	CourseID string
	Course   string // its title
	Title    string
	VideoURL string
	Body     string
	Files    attached.Files
	MaxTitle int // characters; zero shows no counter
	MaxVideo int
	MaxBody  int
	Uploads  attached.Limits // of the form
}
