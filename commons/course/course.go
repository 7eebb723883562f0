// Package course is where an organization teaches its members: courses, and the lessons that they are made of.
package course

import (
	"context"
	"embed"
	"errors"
	"reflect"
	"time"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/audit"
	"github.com/redoubt-dev/redoubt/layer/gate/action"
	"github.com/redoubt-dev/redoubt/layer/input/file"
	"github.com/redoubt-dev/redoubt/layer/rls"
)

// Schema is the courses' line of migrations.
//
//go:embed schema/*.sql
var Schema embed.FS

// Courses answers for courses and lessons.
type Courses struct {
	db    *rls.DB
	files *file.Files
}

// New makes Courses.
func New(db *rls.DB, files *file.Files) *Courses { return &Courses{db, files} }

// Routes declares everything the outside may ask of courses, and who may ask it.
func (c *Courses) Routes() []redoubt.Route {
	return append(c.pages(),
		redoubt.JSON("GET /api/v1/courses", redoubt.Scope("courses:read"), c.list).Doc("List courses, newest first; drafts for who may write them"),
		redoubt.JSON("POST /api/v1/courses", redoubt.Scope("courses:write"), c.Begin).Doc("Begin a course, as a draft"),
		redoubt.JSON("GET /api/v1/courses/{id}", redoubt.Scope("courses:read"), c.read).Doc("Read one course"),
		redoubt.JSON("PUT /api/v1/courses/{id}", redoubt.Scope("courses:write"), c.edit).Doc("Change a course's title and summary"),
		redoubt.JSON("DELETE /api/v1/courses/{id}", redoubt.Scope("courses:write"), c.remove).Doc("Delete a draft"),
		redoubt.JSON("PUT /api/v1/courses/{id}/state", redoubt.Scope("courses:write"), c.Move).Doc("Publish or archive a course"),
		redoubt.JSON("GET /api/v1/courses/{id}/lessons", redoubt.Scope("courses:read"), c.headings).Doc("List a course's lessons in their order"),
		redoubt.JSON("POST /api/v1/courses/{id}/lessons", redoubt.Scope("courses:write"), c.Teach).Doc("Add a lesson at the end: a video, a text, or both"),
		redoubt.JSON("PUT /api/v1/courses/{id}/lessons/order", redoubt.Scope("courses:write"), c.arrange).Doc("Put all lessons of a course in order"),
		redoubt.JSON("GET /api/v1/lessons/{id}", redoubt.Scope("courses:read"), c.readLesson).Doc("Read one lesson"),
		redoubt.JSON("PUT /api/v1/lessons/{id}", redoubt.Scope("courses:write"), c.editLesson).Doc("Change a lesson"),
		redoubt.JSON("DELETE /api/v1/lessons/{id}", redoubt.Scope("courses:write"), c.removeLesson).Doc("Delete a lesson"),
		redoubt.JSON("PUT /api/v1/lessons/{id}/done", redoubt.Scope("progress:write"), c.Finish).Doc("Mark a lesson as done by you"),
		redoubt.JSON("DELETE /api/v1/lessons/{id}/done", redoubt.Scope("progress:write"), c.reopen).Doc("Take the mark back"),
	)
}

// An ID is a course's.
type ID string

// Constraints says that an ID is a UUID.
func (ID) Constraints() reflect.StructTag { return `format:"uuid"` }

// A State is how far a course has come.
type State string

// The states. A draft is seen by who may write it; the database knows the ways from one to another.
const (
	Draft     State = "draft"
	Published State = "published"
	Archived  State = "archived" // seen by those who have begun it
)

// A Course is what an organization teaches.
type Course struct {
	ID          ID               `json:"id"`
	AuthorID    *layer.ProfileID `json:"author_id" doc:"null when the person has been deleted"`
	Author      string           `json:"author" doc:"display name"`
	Title       string           `json:"title"`
	Summary     string           `json:"summary" doc:"plain text"`
	State       State            `json:"state" doc:"draft, published or archived"`
	Lessons     int              `json:"lessons" doc:"how many it has"`
	Done        int              `json:"done" doc:"how many of them you have done"`
	Bookmarked  bool             `json:"bookmarked" doc:"by you"`
	CreatedAt   time.Time        `json:"created_at"`
	PublishedAt *time.Time       `json:"published_at"`
}

// For says that a draft is for who may write it, and what is archived also for those who have begun it.
func (c Course) For(who layer.Principal) bool {
	return c.State == Published || who.Has("courses:write") || c.State == Archived && c.Done > 0
}

// Location is where the course can be found.
func (c Course) Location() string { return "/courses/" + string(c.ID) }

type (
	// Nothing is the answer when there is nothing to say.
	Nothing struct{}

	// OneCourse names a course.
	OneCourse struct {
		ID ID `path:"id"`
	}
	// List is a page of courses.
	List struct {
		Courses []Course       `json:"courses"`
		Next    redoubt.Cursor `json:"next,omitempty"`
	}
)

const courseColumns = `
select c.id, c.author_id, coalesce(a.display_name, c.author_name, '') as author, c.title, c.summary, c.state, c.lessons, c.created_at, c.published_at,
       (select count(*) from commons.lesson_done d where d.organization_id = c.organization_id and d.course_id = c.id and d.profile_id = (select redoubt.profile())) as done,
       exists (select from commons.bookmark b where b.organization_id = c.organization_id and b.course_id = c.id and b.profile_id = (select redoubt.profile())) as bookmarked
  from commons.course c left join commons.profile a on a.organization_id = c.organization_id and a.id = c.author_id`

const (
	selectCourses = courseColumns + `
 where $1::timestamptz is null or (c.created_at, c.id) < ($1, $2::uuid)
 order by c.created_at desc, c.id desc limit $3`
	selectCourse = courseColumns + ` where c.id = $1`
)

func (c *Courses) list(ctx context.Context, who layer.Principal, in redoubt.Window) (List, error) {
	at, id := in.Cursor.Place()
	rows, err := rls.All[Course](c.db.As(ctx, who), selectCourses, at, id, in.Size()+1)
	if err != nil {
		return List{}, err
	}
	rows, next := redoubt.Paged(rows, in.Size(), func(c Course) redoubt.Cursor { return redoubt.CursorAt(c.CreatedAt, string(c.ID)) })
	return List{rows, next}, nil
}

func (c *Courses) read(ctx context.Context, who layer.Principal, in OneCourse) (Course, error) {
	return rls.One[Course](c.db.As(ctx, who), selectCourse, in.ID)
}

const (
	maxTitle   = 100
	maxSummary = 1000
)

// Describe is what a course is about. Its author and its state are not for a body to say.
type Describe struct {
	Title   string `json:"title" minLength:"1" maxLength:"100" pattern:"\\S(.*\\S)?"`
	Summary string `json:"summary,omitempty" maxLength:"1000" multiline:"true"`
}

const insertCourse = `insert into commons.course (title, summary) values ($1, $2) returning id`

// Begin makes a draft in who's name.
func (c *Courses) Begin(ctx context.Context, who layer.Principal, in Describe) (Course, error) {
	return action.Do(ctx, c.db, who, "courses:write", func(tx *action.Tx) (Course, error) {
		id, err := rls.One[ID](tx, insertCourse, in.Title, in.Summary)
		if err != nil {
			return Course{}, err
		}
		if err := tx.Audit(audit.Lifecycle, "course.begun", string(id)); err != nil {
			return Course{}, err
		}
		return rls.One[Course](tx, selectCourse, id)
	})
}

// EditCourse is a course's new title and summary.
type EditCourse struct {
	ID ID `path:"id"`
	Describe
}

const (
	lockCourse   = `select state from commons.course where id = $1 for no key update` // whoever marks it meanwhile need not wait
	updateCourse = `update commons.course set title = $2, summary = $3 where id = $1`
)

// change runs act with the course locked, so that two who change its lessons at once wait for each other, and returns the course
// as it is then.
func (c *Courses) change(ctx context.Context, who layer.Principal, id ID, act func(*action.Tx, State) error) (Course, error) {
	return action.Do(ctx, c.db, who, "courses:write", func(tx *action.Tx) (Course, error) {
		state, err := rls.One[State](tx, lockCourse, id)
		if err != nil {
			return Course{}, err
		}
		if err := act(tx, state); err != nil {
			return Course{}, err
		}
		return rls.One[Course](tx, selectCourse, id)
	})
}

func (c *Courses) edit(ctx context.Context, who layer.Principal, in EditCourse) (Course, error) {
	return c.change(ctx, who, in.ID, func(tx *action.Tx, _ State) error {
		_, err := rls.Do(tx, updateCourse, in.ID, in.Title, in.Summary)
		return err
	})
}

// MoveCourse is where a course goes next. Nothing becomes a draft again.
type MoveCourse struct {
	ID    ID    `path:"id"`
	State State `json:"state" enum:"published,archived"`
}

const moveCourse = `update commons.course set state = $2 where id = $1`

// Move publishes a course or archives it. Which ways there are is the database's to say.
func (c *Courses) Move(ctx context.Context, who layer.Principal, in MoveCourse) (Course, error) {
	return c.change(ctx, who, in.ID, func(tx *action.Tx, from State) error {
		if from == in.State {
			return nil
		}
		if _, err := rls.Do(tx, moveCourse, in.ID, in.State); err != nil {
			words := "A draft cannot be archived. Publish it, or delete it."
			if in.State == Published {
				words = "A course needs at least one lesson before it can be published."
			}
			return stuck(err, words)
		}
		return tx.Audit(audit.State, "course."+string(in.State), string(in.ID))
	})
}

// stuck says in words which rule of the database's stands in the way.
func stuck(err error, words string) error {
	var refusal *layer.Refusal
	if errors.As(err, &refusal) && (refusal.Reason == layer.Invalid || refusal.Reason == layer.Conflict) {
		return &layer.Refusal{By: refusal.By, Reason: layer.Conflict, Public: words, Cause: refusal.Cause}
	}
	return err
}

const deleteCourse = `delete from commons.course where id = $1`

func (c *Courses) remove(ctx context.Context, who layer.Principal, in OneCourse) (Nothing, error) {
	return action.Do(ctx, c.db, who, "courses:write", func(tx *action.Tx) (Nothing, error) {
		if _, err := rls.One[State](tx, lockCourse, in.ID); err != nil {
			return Nothing{}, err
		}
		if _, err := rls.Do(tx, deleteCourse, in.ID); err != nil {
			return Nothing{}, stuck(err, "Members have seen this course. Archive it instead.")
		}
		return Nothing{}, tx.Audit(audit.Lifecycle, "course.deleted", string(in.ID))
	})
}
