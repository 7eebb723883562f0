// Package bookmark keeps what a member wants to find again: posts and courses. What somebody has marked is theirs alone to see.
package bookmark

import (
	"context"
	"embed"
	"errors"
	"reflect"
	"time"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/commons/community"
	"github.com/redoubt-dev/redoubt/commons/course"
	"github.com/redoubt-dev/redoubt/commons/web/bookmarks"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/gate/action"
	"github.com/redoubt-dev/redoubt/layer/rls"
)

// Schema is the bookmarks' line of migrations. It comes after those of what can be marked.
//
//go:embed schema/*.sql
var Schema embed.FS

// Bookmarks answers for what members have marked.
type Bookmarks struct{ db *rls.DB }

// New makes Bookmarks.
func New(db *rls.DB) *Bookmarks { return &Bookmarks{db} }

// Routes declares everything the outside may ask of bookmarks, and who may ask it.
func (b *Bookmarks) Routes() []redoubt.Route {
	return []redoubt.Route{
		redoubt.Page("GET /bookmarks", redoubt.Members, b.page),
		redoubt.Form("POST /bookmarks/{id}/delete", redoubt.Members, b.remove).Then("..", "The bookmark is removed."),
		redoubt.Form("POST /posts/{id}/bookmark", redoubt.Members, b.togglePost).Then("..", ""),
		redoubt.Form("POST /courses/{id}/bookmark", redoubt.Members, b.toggleCourse).Then("..", ""),

		redoubt.JSON("GET /api/v1/bookmarks", redoubt.Scope("bookmarks:read"), b.list).Doc("List your bookmarks, newest first"),
		redoubt.JSON("POST /api/v1/bookmarks", redoubt.Scope("bookmarks:write"), b.Mark).Doc("Mark a post or a course"),
		redoubt.JSON("GET /api/v1/bookmarks/{id}", redoubt.Scope("bookmarks:read"), b.read).Doc("Read one bookmark of yours"),
		redoubt.JSON("DELETE /api/v1/bookmarks/{id}", redoubt.Scope("bookmarks:write"), b.remove).Doc("Remove a bookmark of yours"),
	}
}

// An ID is a bookmark's.
type ID string

// Constraints says that an ID is a UUID.
func (ID) Constraints() reflect.StructTag { return `format:"uuid"` }

// A Bookmark is of exactly one thing: a post or a course.
type Bookmark struct {
	ID        ID                `json:"id"`
	PostID    *community.PostID `json:"post_id"`
	CourseID  *course.ID        `json:"course_id"`
	Title     string            `json:"title" doc:"the course's, or how the post begins"`
	Author    string            `json:"author" doc:"display name"`
	CreatedAt time.Time         `json:"created_at"`
	ProfileID layer.ProfileID   `json:"-"` // whose it is
}

// For says that a bookmark is for who made it.
func (b Bookmark) For(who layer.Principal) bool { return b.ProfileID == who.Profile() }

// Location is where the bookmark can be found.
func (b Bookmark) Location() string { return "/bookmarks/" + string(b.ID) }

type (
	// Nothing is the answer when there is nothing to say.
	Nothing struct{}

	oneBookmark struct {
		ID ID `path:"id"`
	}
	// List is a page of bookmarks.
	List struct {
		Bookmarks []Bookmark     `json:"bookmarks"`
		Next      redoubt.Cursor `json:"next,omitempty"`
	}
)

// What a bookmark is of may have gone out of sight since, as an archived course does: then the bookmark waits with it.
const bookmarkColumns = `
select b.id, b.post_id, b.course_id, b.created_at, b.profile_id, coalesce(c.title, left(p.body, 280)) as title, coalesce(a.display_name, c.author_name, p.author_name, '') as author
  from commons.bookmark b
  left join commons.post p on p.organization_id = b.organization_id and p.id = b.post_id
  left join commons.course c on c.organization_id = b.organization_id and c.id = b.course_id
  left join commons.profile a on a.organization_id = b.organization_id and a.id = coalesce(p.author_id, c.author_id)
 where (p.id is not null or c.id is not null)`

const (
	selectBookmarks = bookmarkColumns + `
   and ($1::timestamptz is null or (b.created_at, b.id) < ($1, $2::uuid))
 order by b.created_at desc, b.id desc limit $3`
	selectBookmark = bookmarkColumns + ` and b.id = $1`
)

func (b *Bookmarks) list(ctx context.Context, who layer.Principal, in redoubt.Window) (List, error) {
	at, id := in.Cursor.Place()
	rows, err := rls.All[Bookmark](b.db.As(ctx, who), selectBookmarks, at, id, in.Size()+1)
	if err != nil {
		return List{}, err
	}
	rows, next := redoubt.Paged(rows, in.Size(), func(b Bookmark) redoubt.Cursor { return redoubt.CursorAt(b.CreatedAt, string(b.ID)) })
	return List{rows, next}, nil
}

func (b *Bookmarks) read(ctx context.Context, who layer.Principal, in oneBookmark) (Bookmark, error) {
	return rls.One[Bookmark](b.db.As(ctx, who), selectBookmark, in.ID)
}

// Mark says what to mark: one of the two.
type Mark struct {
	PostID   *community.PostID `json:"post_id,omitempty"`
	CourseID *course.ID        `json:"course_id,omitempty"`
}

const insertBookmark = `insert into commons.bookmark (post_id, course_id) values ($1, $2) returning id`

// Mark makes a bookmark for who. That it is of exactly one thing is the database's to refuse.
func (b *Bookmarks) Mark(ctx context.Context, who layer.Principal, in Mark) (Bookmark, error) {
	return action.Do(ctx, b.db, who, "bookmarks:write", func(tx *action.Tx) (Bookmark, error) {
		id, err := rls.One[ID](tx, insertBookmark, in.PostID, in.CourseID)
		if err != nil {
			return Bookmark{}, exactlyOne(err)
		}
		return rls.One[Bookmark](tx, selectBookmark, id)
	})
}

// exactlyOne says in words what the database's check means.
func exactlyOne(err error) error {
	var refusal *layer.Refusal
	if errors.As(err, &refusal) && refusal.Reason == layer.Invalid {
		return &layer.Refusal{By: refusal.By, Reason: layer.Invalid, Public: "Mark either a post or a course.", Cause: refusal.Cause,
			Fields: []layer.Field{{Name: "post_id", Detail: "give exactly one of post_id and course_id"}}}
	}
	return err
}

const deleteBookmark = `delete from commons.bookmark where id = $1 returning id`

func (b *Bookmarks) remove(ctx context.Context, who layer.Principal, in oneBookmark) (Nothing, error) {
	return action.Do(ctx, b.db, who, "bookmarks:write", func(tx *action.Tx) (Nothing, error) {
		_, err := rls.One[ID](tx, deleteBookmark, in.ID)
		return Nothing{}, err
	})
}

const (
	unmarkPost   = `delete from commons.bookmark where post_id = $1`
	unmarkCourse = `delete from commons.bookmark where course_id = $1`
)

func (b *Bookmarks) togglePost(ctx context.Context, who layer.Principal, in community.OnePost) (Nothing, error) {
	return action.Do(ctx, b.db, who, "bookmarks:write", func(tx *action.Tx) (Nothing, error) {
		n, err := rls.Do(tx, unmarkPost, in.ID) // the policy knows whose it is
		if err == nil && n == 0 {
			_, err = rls.Do(tx, insertBookmark, in.ID, nil)
		}
		return Nothing{}, err
	})
}

func (b *Bookmarks) toggleCourse(ctx context.Context, who layer.Principal, in course.OneCourse) (Nothing, error) {
	return action.Do(ctx, b.db, who, "bookmarks:write", func(tx *action.Tx) (Nothing, error) {
		n, err := rls.Do(tx, unmarkCourse, in.ID)
		if err == nil && n == 0 {
			_, err = rls.Do(tx, insertBookmark, nil, in.ID)
		}
		return Nothing{}, err
	})
}

func (b *Bookmarks) page(ctx context.Context, who layer.Principal, in redoubt.Window) (redoubt.View, error) {
	list, err := b.list(ctx, who, in)
	if err != nil {
		return redoubt.View{}, err
	}
	view := bookmarks.View{Next: string(list.Next), Continued: in.Cursor != ""}
	for _, m := range list.Bookmarks {
		shown := bookmarks.Bookmark{ID: string(m.ID), Title: m.Title, Author: m.Author, Marked: m.CreatedAt}
		if m.CourseID != nil {
			shown.Course = string(*m.CourseID)
		} else {
			shown.Post = string(*m.PostID)
		}
		view.Bookmarks = append(view.Bookmarks, shown)
	}
	return redoubt.View{Page: "bookmarks", Title: "Your bookmarks", Data: view}, nil
}
