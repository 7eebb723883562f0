// Package post is the model of one post's page, GET /posts/{id}: the post and what was said about it.
package post

import (
	"time"

	"github.com/redoubt-dev/redoubt/commons/web/feed"
)

// A View is one post with its comments, oldest first. Its form is POST /posts/{id}/comments with "body".
type View struct {
	Post      feed.Post
	Comments  []Comment
	MaxBody   int    // characters that a comment may have; zero shows no counter
	Next      string // cursor of the next, newer comments; empty on the last page
	Continued bool   // this is not the first page of comments
}

// A Comment is one comment as its reader sees it.
type Comment struct {
	ID      string
	Author  string // display name; empty for a person who has been deleted
	Picture string // the file with their picture; empty for none
	Body    string // plain text
	Posted  time.Time
	Mine    bool // the viewer wrote it, and may delete it
}
