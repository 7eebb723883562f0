package course

import (
	"context"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/commons/attachment"
	"github.com/redoubt-dev/redoubt/commons/web/attached"
	coursemodel "github.com/redoubt-dev/redoubt/commons/web/course"
	courseedit "github.com/redoubt-dev/redoubt/commons/web/course-edit"
	"github.com/redoubt-dev/redoubt/commons/web/courses"
	lessonmodel "github.com/redoubt-dev/redoubt/commons/web/lesson"
	lessonedit "github.com/redoubt-dev/redoubt/commons/web/lesson-edit"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/gate/action"
	"github.com/redoubt-dev/redoubt/layer/input"
)

func (c *Courses) pages() []redoubt.Route {
	const editing, adding, lesson = "GET /courses/{id}/edit", "GET /courses/{id}/lessons/new", "GET /lessons/{id}/edit"
	return []redoubt.Route{
		redoubt.Page("GET /courses", redoubt.Members, c.coursesPage),
		redoubt.Page("GET /courses/{id}", redoubt.Members, c.coursePage),
		redoubt.Page("GET /lessons/{id}", redoubt.Members, c.lessonPage),
		redoubt.Form("POST /lessons/{id}/done", redoubt.Members, c.toggle).Then("..", ""),

		redoubt.Page("GET /courses/new", redoubt.Administrators, c.newPage),
		redoubt.Form("POST /courses", redoubt.Administrators, c.begin).Back("GET /courses/new").Then("", "The draft is begun."),
		redoubt.Page(editing, redoubt.Administrators, c.editPage),
		redoubt.Form("POST /courses/{id}/edit", redoubt.Administrators, c.edit).Back(editing).Then("", "The course is saved."),
		redoubt.Form("POST /courses/{id}/publish", redoubt.Administrators, c.publish).Back(editing).Then("", "The course is published."),
		redoubt.Form("POST /courses/{id}/archive", redoubt.Administrators, c.archive).Back(editing).Then("", "The course is archived."),
		redoubt.Form("POST /courses/{id}/delete", redoubt.Administrators, c.remove).Back(editing).Then("/courses", "The draft is deleted."),
		redoubt.Page(adding, redoubt.Administrators, c.newLessonPage),
		redoubt.Form("POST /courses/{id}/lessons", redoubt.Administrators, c.teach).Back(adding).Then("", "The lesson is added."),
		redoubt.Page(lesson, redoubt.Administrators, c.editLessonPage),
		redoubt.Form("POST /lessons/{id}/edit", redoubt.Administrators, c.rewrite).Back(lesson).Then("", "The lesson is saved."),
		redoubt.Form("POST /lessons/{id}/delete", redoubt.Administrators, c.drop).Back(lesson).Then("", "The lesson is deleted."),
		redoubt.Form("POST /lessons/{id}/up", redoubt.Administrators, c.up),
		redoubt.Form("POST /lessons/{id}/down", redoubt.Administrators, c.down),
	}
}

// edited leads back to the page on which a course is changed.
type edited struct{ course ID }

// Location is that page's.
func (e edited) Location() string { return "/courses/" + string(e.course) + "/edit" }

func (c *Courses) begin(ctx context.Context, who layer.Principal, in Describe) (edited, error) {
	made, err := c.Begin(ctx, who, in)
	return edited{made.ID}, err
}

func (c *Courses) publish(ctx context.Context, who layer.Principal, in OneCourse) (Course, error) {
	return c.Move(ctx, who, MoveCourse{in.ID, Published})
}

func (c *Courses) archive(ctx context.Context, who layer.Principal, in OneCourse) (edited, error) {
	_, err := c.Move(ctx, who, MoveCourse{in.ID, Archived})
	return edited{in.ID}, err
}

type (
	// A teaching is a lesson as a page sends it, with files that come along.
	teaching struct {
		ID ID `path:"id"`
		WriteLesson
		along
	}
	rewriting struct {
		ID LessonID `path:"id"`
		WriteLesson
		along
	}
	along struct {
		Uploads []input.Upload `json:"uploads,omitempty" maxItems:"8" maxBytes:"26214400" accept:"image/jpeg,image/png,image/gif,image/webp,.pdf,.docx,.xlsx,.pptx,.odt,.ods,.odp,.zip,.txt,.csv"`
	}
)

// uploads is what the forms for lessons take.
var uploads = attached.LimitsOf[along]("Uploads")

// teach is Teach for a page: first the files that came along are kept, and if there is no lesson then, they are taken back.
func (c *Courses) teach(ctx context.Context, who layer.Principal, in teaching) (edited, error) {
	kept, err := c.files.KeepAll(ctx, who, "uploads", in.Uploads, attachment.Attachment)
	if err != nil {
		return edited{}, err
	}
	in.Files = append(in.Files, kept...)
	if _, err = c.Teach(ctx, who, AddLesson{in.ID, in.WriteLesson}); err != nil {
		c.files.Drop(ctx, who, kept...)
	}
	return edited{in.ID}, err
}

// rewrite is editLesson for a page.
func (c *Courses) rewrite(ctx context.Context, who layer.Principal, in rewriting) (Lesson, error) {
	kept, err := c.files.KeepAll(ctx, who, "uploads", in.Uploads, attachment.Attachment)
	if err != nil {
		return Lesson{}, err
	}
	in.Files = append(in.Files, kept...)
	lesson, err := c.editLesson(ctx, who, EditLesson{in.ID, in.WriteLesson})
	if err != nil {
		c.files.Drop(ctx, who, kept...)
	}
	return lesson, err
}

func (c *Courses) drop(ctx context.Context, who layer.Principal, in OneLesson) (edited, error) {
	to, err := action.Do(ctx, c.db, who, "courses:write", func(tx *action.Tx) (edited, error) {
		course, err := dropLesson(tx, in.ID)
		return edited{course}, err
	})
	if err == nil {
		c.files.Sweep(ctx, who)
	}
	return to, err
}

func (c *Courses) up(ctx context.Context, who layer.Principal, in OneLesson) (edited, error) {
	return c.moveLesson(ctx, who, in.ID, -1)
}

func (c *Courses) down(ctx context.Context, who layer.Principal, in OneLesson) (edited, error) {
	return c.moveLesson(ctx, who, in.ID, 1)
}

// ---- what is shown ----

func shown(c Course) courses.Course {
	return courses.Course{ID: string(c.ID), Title: c.Title, Summary: c.Summary, Author: c.Author, State: string(c.State), Lessons: c.Lessons, Done: c.Done, Bookmarked: c.Bookmarked}
}

func outline(list Headings) (lines []coursemodel.Lesson) {
	for _, h := range list.Lessons {
		lines = append(lines, coursemodel.Lesson{ID: string(h.ID), Number: h.Number, Title: h.Title, Video: h.Video, Text: h.Text, Done: h.Done})
	}
	return lines
}

func (c *Courses) coursesPage(ctx context.Context, who layer.Principal, in redoubt.Window) (redoubt.View, error) {
	list, err := c.list(ctx, who, in)
	if err != nil {
		return redoubt.View{}, err
	}
	view := courses.View{Teaches: who.Has("courses:write"), Next: string(list.Next), Continued: in.Cursor != ""}
	for _, course := range list.Courses {
		view.Courses = append(view.Courses, shown(course))
	}
	return redoubt.View{Page: "courses", Title: "Courses", Data: view}, nil
}

// whole reads a course with its lessons.
func (c *Courses) whole(ctx context.Context, who layer.Principal, id ID) (Course, Headings, error) {
	course, err := c.read(ctx, who, OneCourse{id})
	if err != nil {
		return Course{}, Headings{}, err
	}
	list, err := c.headings(ctx, who, OneCourse{id})
	return course, list, err
}

func (c *Courses) coursePage(ctx context.Context, who layer.Principal, in OneCourse) (redoubt.View, error) {
	course, list, err := c.whole(ctx, who, in.ID)
	if err != nil {
		return redoubt.View{}, err
	}
	return redoubt.View{Page: "course", Title: course.Title, Data: coursemodel.View{Course: shown(course), Lessons: outline(list), Teaches: who.Has("courses:write")}}, nil
}

func (c *Courses) lessonPage(ctx context.Context, who layer.Principal, in OneLesson) (redoubt.View, error) {
	l, err := c.readLesson(ctx, who, in)
	if err != nil {
		return redoubt.View{}, err
	}
	course, list, err := c.whole(ctx, who, l.CourseID)
	if err != nil {
		return redoubt.View{}, err
	}
	view := lessonmodel.View{Course: shown(course), ID: string(l.ID), Number: l.Number, Title: l.Title, Video: attached.Address(text(l.VideoURL)), Body: text(l.Body),
		Text: attachment.Shown(l.HTML, l.Files), Files: attached.Of(l.Files), Done: l.Done, Teaches: who.Has("courses:write")}
	for i, h := range list.Lessons {
		if h.ID == l.ID && i > 0 {
			view.Before = string(list.Lessons[i-1].ID)
		}
		if h.ID == l.ID && i+1 < len(list.Lessons) {
			view.After = string(list.Lessons[i+1].ID)
		}
	}
	return redoubt.View{Page: "lesson", Title: l.Title, Data: view}, nil
}

// text is what stands there, or nothing.
func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func (c *Courses) newPage(context.Context, layer.Principal, Nothing) (redoubt.View, error) {
	return redoubt.View{Page: "course-edit", Title: "New course", Data: courseedit.View{MaxTitle: maxTitle, MaxSummary: maxSummary}}, nil
}

func (c *Courses) editPage(ctx context.Context, who layer.Principal, in OneCourse) (redoubt.View, error) {
	course, list, err := c.whole(ctx, who, in.ID)
	if err != nil {
		return redoubt.View{}, err
	}
	return redoubt.View{Page: "course-edit", Title: "Edit course", Data: courseedit.View{ID: string(course.ID), Title: course.Title, Summary: course.Summary,
		State: string(course.State), Lessons: outline(list), MaxTitle: maxTitle, MaxSummary: maxSummary, MaxLessons: maxLessons}}, nil
}

func (c *Courses) newLessonPage(ctx context.Context, who layer.Principal, in OneCourse) (redoubt.View, error) {
	course, err := c.read(ctx, who, in)
	if err != nil {
		return redoubt.View{}, err
	}
	return redoubt.View{Page: "lesson-edit", Title: "New lesson", Data: lessonedit.View{CourseID: string(course.ID), Course: course.Title,
		MaxTitle: maxTitle, MaxVideo: maxVideo, MaxBody: maxBody, Uploads: uploads}}, nil
}

func (c *Courses) editLessonPage(ctx context.Context, who layer.Principal, in OneLesson) (redoubt.View, error) {
	l, err := c.readLesson(ctx, who, in)
	if err != nil {
		return redoubt.View{}, err
	}
	course, err := c.read(ctx, who, OneCourse{l.CourseID})
	if err != nil {
		return redoubt.View{}, err
	}
	return redoubt.View{Page: "lesson-edit", Title: "Edit lesson", Data: lessonedit.View{ID: string(l.ID), CourseID: string(course.ID), Course: course.Title, Title: l.Title,
		VideoURL: text(l.VideoURL), Body: text(l.Body), Files: attached.Of(l.Files), MaxTitle: maxTitle, MaxVideo: maxVideo, MaxBody: maxBody, Uploads: uploads}}, nil
}
