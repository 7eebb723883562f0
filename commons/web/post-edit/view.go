// Package postedit is the model of the page on which an author changes or deletes a post, GET /posts/{id}/edit.
package postedit

import (
	"time"

	"github.com/redoubt-dev/redoubt/commons/web/attached"
)

// A View is the post as it stands. Its forms are POST /posts/{id}/edit with "body", "files" and "uploads", and POST /posts/{id}/delete.
type View struct {
	ID       string
	Body     string
	Files    attached.Files
	Posted   time.Time
	Comments int             // that go when the post goes
	MaxBody  int             // characters that a post may have; zero shows no counter
	Uploads  attached.Limits // of the form
}
