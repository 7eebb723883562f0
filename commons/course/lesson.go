package course

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/redoubt-dev/redoubt/commons/attachment"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/audit"
	"github.com/redoubt-dev/redoubt/layer/gate/action"
	"github.com/redoubt-dev/redoubt/layer/input/file"
	"github.com/redoubt-dev/redoubt/layer/input/richtext"
	"github.com/redoubt-dev/redoubt/layer/rls"
)

// A LessonID is a lesson's.
type LessonID string

// Constraints says that a LessonID is a UUID.
func (LessonID) Constraints() reflect.StructTag { return `format:"uuid"` }

// A Lesson is a video, a text, or both.
type Lesson struct {
	ID        LessonID          `json:"id"`
	CourseID  ID                `json:"course_id"`
	Number    int               `json:"number" doc:"its place in the course, from 1"`
	Title     string            `json:"title"`
	VideoURL  *string           `json:"video_url"`
	Body      *string           `json:"body" doc:"as it was written, in Markdown"`
	HTML      string            `json:"html" doc:"made of the body and cleaned; whoever shows it cleans it again"`
	Files     []attachment.File `json:"files" doc:"pictures within the text, and what is handed out"`
	Done      bool              `json:"done" doc:"by you"`
	CreatedAt time.Time         `json:"created_at"`
	EditedAt  *time.Time        `json:"edited_at"`
	Course    *State            `json:"-"`
}

// For says that a lesson of a draft is for who may write it.
func (l Lesson) For(who layer.Principal) bool { return begun(l.Course, who) }

// begun says the same of what belongs to a course that has come so far; nil for one that the database does not show.
func begun(course *State, who layer.Principal) bool {
	return who.Has("courses:write") || course != nil && *course != Draft
}

// Location is where the lesson can be found.
func (l Lesson) Location() string { return "/lessons/" + string(l.ID) }

// A Heading is a lesson in the list of its course, without its text.
type Heading struct {
	ID     LessonID `json:"id"`
	Number int      `json:"number" doc:"its place in the course, from 1"`
	Title  string   `json:"title"`
	Video  bool     `json:"video" doc:"it has one"`
	Text   bool     `json:"text" doc:"it has one"`
	Done   bool     `json:"done" doc:"by you"`
	Course *State   `json:"-"`
}

// For says that the list of a draft's lessons is for who may write it.
func (h Heading) For(who layer.Principal) bool { return begun(h.Course, who) }

type (
	// OneLesson names a lesson.
	OneLesson struct {
		ID LessonID `path:"id"`
	}
	// Headings is all lessons of a course, in their order; there are at most 200.
	Headings struct {
		Lessons []Heading `json:"lessons"`
	}
)

const (
	selectHeadings = `
select l.id, row_number() over (order by l.position) as number, l.title, l.video_url is not null as video, l.body is not null as text,
       exists (select from commons.lesson_done d where d.organization_id = l.organization_id and d.lesson_id = l.id and d.profile_id = (select redoubt.profile())) as done,
       (select c.state from commons.course c where c.organization_id = l.organization_id and c.id = l.course_id) as course
  from commons.lesson l where l.course_id = $1 order by l.position`
	selectLesson = `
select l.id, l.course_id, (select count(*) from commons.lesson o where o.organization_id = l.organization_id and o.course_id = l.course_id and o.position <= l.position) as number,
       l.title, l.video_url, l.body, l.html, l.created_at, l.edited_at,
       (select coalesce(jsonb_agg(to_jsonb(f) || jsonb_build_object('inline', h.inline) order by h.position), '[]')
          from commons.lesson_file h join commons.attachment f on f.organization_id = h.organization_id and f.id = h.file_id
         where h.organization_id = l.organization_id and h.lesson_id = l.id) as files,
       exists (select from commons.lesson_done d where d.organization_id = l.organization_id and d.lesson_id = l.id and d.profile_id = (select redoubt.profile())) as done,
       (select c.state from commons.course c where c.organization_id = l.organization_id and c.id = l.course_id) as course
  from commons.lesson l where l.id = $1`
	selectState    = `select state from commons.course where id = $1`
	selectCourseOf = `select course_id from commons.lesson where id = $1`
)

func (c *Courses) headings(ctx context.Context, who layer.Principal, in OneCourse) (Headings, error) {
	if _, err := rls.One[State](c.db.As(ctx, who), selectState, in.ID); err != nil { // tell a course without lessons from no course
		return Headings{}, err
	}
	rows, err := rls.All[Heading](c.db.As(ctx, who), selectHeadings, in.ID)
	return Headings{rows}, err
}

func (c *Courses) readLesson(ctx context.Context, who layer.Principal, in OneLesson) (Lesson, error) {
	return rls.One[Lesson](c.db.As(ctx, who), selectLesson, in.ID)
}

const (
	maxLessons = 200
	maxVideo   = 500
	maxBody    = 20000
)

// WriteLesson is what a lesson says. It has a video, a text or both; where it stands in the course is not for a body to say.
type WriteLesson struct {
	Title    string    `json:"title" minLength:"1" maxLength:"100" pattern:"\\S(.*\\S)?"`
	VideoURL *string   `json:"video_url,omitempty" format:"uri" maxLength:"500" pattern:"https://[^\\s/?#@]+([/?#]\\S*)?" doc:"an https address"`
	Body     *string   `json:"body,omitempty" minLength:"1" maxLength:"20000" multiline:"true" doc:"Markdown"`
	Files    []file.ID `json:"files,omitempty" maxItems:"20" doc:"uploads of yours, to hand out; pictures that the text shows are found by themselves"`
}

// AddLesson is a new lesson of a course.
type AddLesson struct {
	ID ID `path:"id"`
	WriteLesson
}

const insertLesson = `
insert into commons.lesson (course_id, position, title, video_url, body, html)
select $1::uuid, coalesce(max(l.position), 0) + 1, $2::text, $3::text, $4::text, $5::text from commons.lesson l where l.course_id = $1
returning id`

// Teach adds a lesson to the end of a course.
func (c *Courses) Teach(ctx context.Context, who layer.Principal, in AddLesson) (Lesson, error) {
	return action.Do(ctx, c.db, who, "courses:write", func(tx *action.Tx) (Lesson, error) {
		text, err := in.marked()
		if err != nil {
			return Lesson{}, err
		}
		if _, err := rls.One[State](tx, lockCourse, in.ID); err != nil {
			return Lesson{}, err
		}
		id, err := rls.One[LessonID](tx, insertLesson, in.ID, in.Title, in.VideoURL, in.Body, text.HTML)
		if err != nil {
			return Lesson{}, in.unfit(err)
		}
		if err := handOut(tx, id, text, in.Files); err != nil {
			return Lesson{}, err
		}
		return rls.One[Lesson](tx, selectLesson, id)
	})
}

// unfit puts the database's refusal of an empty lesson beside the field; what else it may refuse is one too many.
func (in WriteLesson) unfit(err error) error {
	var refusal *layer.Refusal
	if !errors.As(err, &refusal) || refusal.Reason != layer.Invalid {
		return err
	}
	if in.VideoURL == nil && in.Body == nil {
		return &layer.Refusal{By: refusal.By, Reason: layer.Invalid, Public: "Some fields need attention.", Cause: refusal.Cause,
			Fields: []layer.Field{{Name: "body", Detail: "a lesson needs a video, a text, or both"}}}
	}
	return stuck(err, fmt.Sprintf("A course has at most %d lessons.", maxLessons))
}

// EditLesson is what a lesson says from now on.
type EditLesson struct {
	ID LessonID `path:"id"`
	WriteLesson
}

const (
	updateLesson = `update commons.lesson set title = $2, video_url = $3, body = $4, html = $5, edited_at = now() where id = $1`
	stripFiles   = `delete from commons.lesson_file where lesson_id = $1`

	// What the text shows comes first, and is not handed out once more. A file that the writer does not see is refused by the table.
	insertFiles = `
insert into commons.lesson_file (lesson_id, file_id, position, inline)
select $1, w.id, row_number() over (order by w.inline desc, w.place), w.inline
  from (select distinct on (u.id) u.id, u.place, u.inline
          from (select i.id, i.place, true as inline from unnest($2::uuid[]) with ordinality i (id, place)
                union all select f.id, f.place, false from unnest($3::uuid[]) with ordinality f (id, place)) u
         order by u.id, u.inline desc, u.place) w`
)

// marked is the lesson's text as it is kept.
func (in WriteLesson) marked() (richtext.Document, error) {
	if in.Body == nil {
		return richtext.Document{}, nil
	}
	return richtext.FromMarkdown("body", *in.Body)
}

// handOut gives a lesson its files.
func handOut(tx *action.Tx, id LessonID, text richtext.Document, files []file.ID) error {
	if len(text.Images)+len(files) == 0 {
		return nil
	}
	_, err := rls.Do(tx, insertFiles, id, text.Images, files)
	return attachment.Missing(err)
}

func (c *Courses) editLesson(ctx context.Context, who layer.Principal, in EditLesson) (Lesson, error) {
	lesson, err := action.Do(ctx, c.db, who, "courses:write", func(tx *action.Tx) (Lesson, error) {
		text, err := in.marked()
		if err != nil {
			return Lesson{}, err
		}
		if _, err := rls.Do(tx, updateLesson, in.ID, in.Title, in.VideoURL, in.Body, text.HTML); err != nil {
			return Lesson{}, in.unfit(err)
		}
		if _, err := rls.Do(tx, stripFiles, in.ID); err != nil {
			return Lesson{}, err
		}
		if err := handOut(tx, in.ID, text, in.Files); err != nil {
			return Lesson{}, err
		}
		return rls.One[Lesson](tx, selectLesson, in.ID) // which is not there if nothing was updated
	})
	if err == nil {
		c.files.Sweep(ctx, who) // what the lesson held and does not any more
	}
	return lesson, err
}

const deleteLesson = `delete from commons.lesson where id = $1`

func (c *Courses) removeLesson(ctx context.Context, who layer.Principal, in OneLesson) (Nothing, error) {
	_, err := c.drop(ctx, who, in)
	return Nothing{}, err
}

// dropLesson deletes a lesson and closes the gap. It returns the course.
func dropLesson(tx *action.Tx, id LessonID) (ID, error) {
	course, order, err := lessonsAround(tx, id)
	if err != nil {
		return "", err
	}
	if _, err := rls.Do(tx, deleteLesson, id); err != nil {
		return "", stuck(err, "Members have seen this course, so it keeps at least one lesson.")
	}
	if err := place(tx, course, slices.DeleteFunc(order, func(l LessonID) bool { return l == id })); err != nil {
		return "", err
	}
	return course, tx.Audit(audit.Lifecycle, "lesson.deleted", string(id))
}

// lessonsAround locks the course of a lesson and lists its lessons.
func lessonsAround(tx *action.Tx, id LessonID) (ID, []LessonID, error) {
	course, err := rls.One[ID](tx, selectCourseOf, id)
	if err != nil {
		return "", nil, err
	}
	if _, err := rls.One[State](tx, lockCourse, course); err != nil {
		return "", nil, err
	}
	order, err := rls.All[LessonID](tx, selectOrder, course)
	return course, order, err
}

// ---- order ----

// OrderLessons is all lessons of a course, in the order that they shall have.
type OrderLessons struct {
	ID      ID         `path:"id"`
	Lessons []LessonID `json:"lessons" minItems:"1" maxItems:"200"`
}

const (
	selectOrder = `select id from commons.lesson where course_id = $1 order by position`

	// No two lessons may ever share a position, so those that move go to the upper half first. What stands right stays.
	setAside = `
update commons.lesson l set position = l.position + 200 from unnest($2::uuid[]) with ordinality o (id, place)
 where l.course_id = $1 and l.id = o.id and l.position <> o.place`
	setDown = `
update commons.lesson l set position = o.place from unnest($2::uuid[]) with ordinality o (id, place)
 where l.course_id = $1 and l.id = o.id and l.position <> o.place`
)

// arrange puts the lessons of a course in order: each of them once, and no others (SYSTEM A5).
func (c *Courses) arrange(ctx context.Context, who layer.Principal, in OrderLessons) (Headings, error) {
	return action.Do(ctx, c.db, who, "courses:write", func(tx *action.Tx) (Headings, error) {
		if _, err := rls.One[State](tx, lockCourse, in.ID); err != nil {
			return Headings{}, err
		}
		have, err := rls.All[LessonID](tx, selectOrder, in.ID)
		if err != nil {
			return Headings{}, err
		}
		if err := sameLessons(have, in.Lessons); err != nil {
			return Headings{}, err
		}
		if err := place(tx, in.ID, in.Lessons); err != nil {
			return Headings{}, err
		}
		rows, err := rls.All[Heading](tx, selectHeadings, in.ID)
		return Headings{rows}, err
	})
}

// sameLessons refuses an order that is not of just these lessons. What is not among them may be anybody's: it is not there.
func sameLessons(have, want []LessonID) error {
	var faults []layer.Field
	for i, id := range want {
		if !slices.Contains(have, id) {
			return &layer.Refusal{By: layer.RLS, Reason: layer.NotFound, Public: "It refers to something that is not here.", Cause: errNotItsOwn}
		}
		if slices.Contains(want[:i], id) {
			faults = append(faults, layer.Field{Name: fmt.Sprintf("lessons[%d]", i), Detail: "stands there twice"})
		}
	}
	if len(faults) == 0 && len(want) != len(have) {
		faults = []layer.Field{{Name: "lessons", Detail: "must name every lesson of the course"}}
	}
	if len(faults) > 0 {
		return &layer.Refusal{By: layer.RLS, Reason: layer.Invalid, Public: "Some fields need attention.", Fields: faults, Cause: errNotAll}
	}
	return nil
}

var (
	errNotItsOwn = errors.New("a lesson that the course does not have")
	errNotAll    = errors.New("the order does not name each lesson once")
)

func place(tx *action.Tx, course ID, order []LessonID) error {
	if _, err := rls.Do(tx, setAside, course, order); err != nil {
		return err
	}
	_, err := rls.Do(tx, setDown, course, order)
	return err
}

// moveLesson changes places with the lesson before or behind; at either end it stays.
func (c *Courses) moveLesson(ctx context.Context, who layer.Principal, id LessonID, by int) (edited, error) {
	return action.Do(ctx, c.db, who, "courses:write", func(tx *action.Tx) (edited, error) {
		course, order, err := lessonsAround(tx, id)
		if err != nil {
			return edited{}, err
		}
		at := slices.Index(order, id)
		if to := at + by; to >= 0 && to < len(order) {
			order[at], order[to] = order[to], order[at]
		}
		return edited{course}, place(tx, course, order)
	})
}

// ---- progress ----

const (
	insertDone = `insert into commons.lesson_done (course_id, lesson_id) select l.course_id, l.id from commons.lesson l where l.id = $1 on conflict do nothing`
	deleteDone = `delete from commons.lesson_done where lesson_id = $1`
)

// Finish marks a lesson as done by who; twice is once.
func (c *Courses) Finish(ctx context.Context, who layer.Principal, in OneLesson) (Nothing, error) {
	return c.progress(ctx, who, in.ID, func(tx *action.Tx) error {
		_, err := rls.Do(tx, insertDone, in.ID)
		return err
	})
}

func (c *Courses) reopen(ctx context.Context, who layer.Principal, in OneLesson) (Nothing, error) {
	return c.progress(ctx, who, in.ID, func(tx *action.Tx) error {
		_, err := rls.Do(tx, deleteDone, in.ID) // the policy knows whose mark it is
		return err
	})
}

// toggle marks a lesson as done, or takes the mark back.
func (c *Courses) toggle(ctx context.Context, who layer.Principal, in OneLesson) (Nothing, error) {
	return c.progress(ctx, who, in.ID, func(tx *action.Tx) error {
		n, err := rls.Do(tx, deleteDone, in.ID)
		if err == nil && n == 0 {
			_, err = rls.Do(tx, insertDone, in.ID)
		}
		return err
	})
}

// progress runs act for a lesson that the caller can see.
func (c *Courses) progress(ctx context.Context, who layer.Principal, id LessonID, act func(*action.Tx) error) (Nothing, error) {
	return action.Do(ctx, c.db, who, "progress:write", func(tx *action.Tx) (Nothing, error) {
		if _, err := rls.One[ID](tx, selectCourseOf, id); err != nil {
			return Nothing{}, err
		}
		return Nothing{}, stuck(act(tx), "This course is not published yet.")
	})
}
