package commons_test

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/commons"
	"github.com/redoubt-dev/redoubt/commons/account"
	"github.com/redoubt-dev/redoubt/commons/bookmark"
	"github.com/redoubt-dev/redoubt/commons/community"
	"github.com/redoubt-dev/redoubt/commons/course"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/layertest"
)

// A school is an organization with a course in every state.
type school struct {
	town
	bob *layertest.Caller // a second member, who has done and marked what the first has
	ids map[string]string
}

// teach makes a course with so many lessons, and brings it into a state.
func teach(o town, title string, lessons int, states ...string) (id string, made []string) {
	id = o.boss.Post("/api/v1/courses", course.Describe{Title: title}).Created().ID
	for i := range lessons {
		words := fmt.Sprint("words ", i)
		made = append(made, o.boss.Post("/api/v1/courses/"+id+"/lessons", course.WriteLesson{Title: fmt.Sprint("Lesson ", i), Body: &words}).Created().ID)
	}
	for _, state := range states {
		o.boss.Put("/api/v1/courses/"+id+"/state", map[string]string{"state": state}).OK()
	}
	return id, made
}

func lessonWith(id string) kv { return kv{"title": "Lesson", "body": "Words.", "files": []string{id}} }

// What the tests that ask for all there is need to know of courses and bookmarks.
func init() {
	maps.Copy(objects, map[string][]state{
		"courses": {
			{"a draft", func(c *cast) []string { return c.taught(c.boss)[:1] }},
			{"a published one", func(c *cast) []string { return c.taught(c.boss, "published")[:1] }},
			{"an archived one", func(c *cast) []string { return c.taught(c.boss, "published", "archived")[:1] }},
			{theirs, func(c *cast) []string { return c.taught(c.outsider, "published")[:1] }},
		},
		"lessons": {
			{"a draft's", func(c *cast) []string { return c.taught(c.boss)[1:] }},
			{"a published course's", func(c *cast) []string { return c.taught(c.boss, "published")[1:] }},
			{theirs, func(c *cast) []string { return c.taught(c.outsider, "published")[1:] }},
		},
		"courses/lessons": {
			{"a course and its lesson", func(c *cast) []string { return c.taught(c.boss) }},
			{"a course and another's lesson", func(c *cast) []string { return append(c.taught(c.boss)[:1], c.taught(c.boss)[1]) }},
			{theirs, func(c *cast) []string { return c.taught(c.outsider) }},
		},
		"bookmarks": owned(func(c *cast, who *layertest.Caller) []string {
			teacher := c.boss
			if who == c.neighbour {
				teacher = c.outsider
			}
			return one(who.Post("/api/v1/bookmarks", kv{"course_id": c.taught(teacher, "published")[0]}))
		}),
	})
	maps.Copy(says, map[string]say{
		"course.Describe":     {body: func(string) kv { return kv{"title": "Course"} }},
		"course.EditCourse":   {body: func(string) kv { return kv{"title": "Another title"} }},
		"course.MoveCourse":   {body: func(string) kv { return kv{"state": "published"} }},
		"course.AddLesson":    {about: "files", body: lessonWith},
		"course.EditLesson":   {about: "files", body: lessonWith},
		"course.teaching":     {about: "files", body: lessonWith},
		"course.rewriting":    {about: "files", body: lessonWith},
		"course.OrderLessons": {about: "lessons", body: func(id string) kv { return kv{"lessons": []string{id}} }},
		"bookmark.Mark":       {about: "courses", body: func(id string) kv { return kv{"course_id": id} }},
	})
}

// taught makes a course with one lesson; the ids are theirs.
func (c *cast) taught(teacher *layertest.Caller, states ...string) []string {
	id, lessons := teach(town{boss: teacher}, "Course", 1, states...)
	return []string{id, lessons[0]}
}

func newSchool(t *testing.T) (*layertest.W, school, town) {
	t.Helper()
	w, acme, globex := newTowns(t)
	s := school{town: acme, bob: w.Member("Acme", layertest.Named("Bob Baker")), ids: map[string]string{"theirs": globex.ids["courses"], "theirLesson": globex.ids["lessons"],
		"me": string(acme.member.Principal().Profile()), "boss": string(acme.boss.Principal().Profile()), "post": acme.ids["posts"],
		"course": acme.ids["courses"], "lesson": acme.ids["lessons"]}}
	s.ids["bob"] = string(s.bob.Principal().Profile())
	var lessons []string
	s.ids["draft"], lessons = teach(acme, "Draft", 2)
	s.ids["draftLesson"], s.ids["second"] = lessons[0], lessons[1]
	s.ids["empty"], _ = teach(acme, "Empty", 0)
	s.ids["archived"], lessons = teach(acme, "Archived", 1, "published", "archived")
	s.ids["archivedLesson"] = lessons[0]
	s.ids["begun"], lessons = teach(acme, "Begun", 2, "published")
	s.ids["begunLesson"] = lessons[1]
	acme.member.Put("/api/v1/lessons/"+lessons[0]+"/done", nil).NoContent()
	acme.boss.Put("/api/v1/courses/"+s.ids["begun"]+"/state", map[string]string{"state": "archived"}).OK()
	s.bob.Put("/api/v1/lessons/"+s.ids["lesson"]+"/done", nil).NoContent()
	post := community.PostID(s.ids["post"])
	s.bob.Post("/api/v1/bookmarks", bookmark.Mark{PostID: &post}).Created()
	acme.member.Post("/api/v1/bookmarks", bookmark.Mark{PostID: &post}).Created()
	return w, s, globex
}

// A law is SQL that is typed by hand with a living credential, as somebody who has somehow been granted to write every column, and
// what comes back of it.
type law struct{ name, who, sql, want string }

var courseLaws = []law{
	{"a course is born as anything but an empty draft", "boss", `insert into commons.course (title, state, lessons, published_at) values ('x', 'published', 9, now()) returning concat_ws(' ', state, lessons, published_at is null)`, "draft 0 t"},
	{"a course in another's name", "boss", `insert into commons.course (title, author_id) values ('x', '{bob}')`, "42501"},
	{"a course in nobody's name", "boss", `insert into commons.course (title, author_id) values ('x', null)`, "42501"},
	{"a course by a member", "member", `insert into commons.course (title) values ('x')`, "42501"},
	{"a course without a title", "boss", `insert into commons.course (title) values ('')`, "23514"},
	{"a title that is too long", "boss", `insert into commons.course (title) values (repeat('x', 101))`, "23514"},
	{"a title as long as it may be", "boss", `insert into commons.course (title) values (repeat('x', 100))`, "INSERT 0 1"},
	{"a title with a space at its end", "boss", `insert into commons.course (title) values ('x ')`, "23514"},
	{"a summary that is too long", "boss", `insert into commons.course (title, summary) values ('x', repeat('x', 1001))`, "23514"},

	{"a draft is published", "boss", `update commons.course set state = 'published' where id = '{draft}' returning published_at is not null`, "t"},
	{"a draft without lessons is published", "boss", `update commons.course set state = 'published' where id = '{empty}'`, "23514"},
	{"a draft without lessons is published with a made-up count", "boss", `update commons.course set state = 'published', lessons = 5 where id = '{empty}'`, "23514"},
	{"a draft is archived", "boss", `update commons.course set state = 'archived' where id = '{draft}'`, "RD409"},
	{"a published course is archived", "boss", `update commons.course set state = 'archived' where id = '{course}'`, "UPDATE 1"},
	{"a published course becomes a draft again", "boss", `update commons.course set state = 'draft', published_at = null where id = '{course}'`, "RD409"},
	{"an archived course is published again", "boss", `update commons.course set state = 'published' where id = '{archived}'`, "UPDATE 1"},
	{"an archived course becomes a draft again", "boss", `update commons.course set state = 'draft', published_at = null where id = '{archived}'`, "RD409"},
	{"a state that is none", "boss", `update commons.course set state = 'open' where id = '{course}'`, "RD409"},
	{"a state in capitals", "boss", `update commons.course set state = 'PUBLISHED' where id = '{draft}'`, "RD409"},
	{"no state at all", "boss", `update commons.course set state = null where id = '{course}'`, "23502"},
	{"a member publishes", "member", `update commons.course set state = 'published' where id = '{draft}'`, "UPDATE 0"},
	{"a member changes a title", "member", `update commons.course set title = 'mine' where id = '{course}'`, "UPDATE 0"},
	{"the day of publication is moved", "boss", `update commons.course set published_at = '2001-01-01' where id = '{course}' returning published_at > '2002-01-01'`, "t"},
	{"lessons are counted by hand", "boss", `update commons.course set lessons = 99 where id = '{course}' returning lessons`, "1"},
	{"a course goes to another author", "boss", `update commons.course set author_id = '{bob}' where id = '{course}'`, "RD409"},
	{"a course loses its author", "boss", `update commons.course set author_id = null where id = '{course}'`, "RD409"},
	{"the name of a deleted author", "boss", `update commons.course set author_name = 'Somebody' where id = '{course}'`, "428C9"}, // generated
	{"an author is deleted, and the course stays", "boss", `delete from commons.profile where id = '{boss}'; select concat_ws(' ', author_name, author_id is null, lessons, state) from commons.course where id = '{course}'`, "[Deleted User] t 1 published"},
	{"a published course is deleted", "boss", `delete from commons.course where id = '{course}'`, "RD409"},
	{"an archived course is deleted", "boss", `delete from commons.course where id = '{archived}'`, "RD409"},
	{"a draft is deleted with its lessons", "boss", `delete from commons.course where id = '{draft}'; select count(*) from commons.lesson where course_id = '{draft}'`, "0"},
	{"a member deletes a draft", "member", `delete from commons.course where id = '{draft}'`, "DELETE 0"},

	{"a member reads a draft", "member", `select count(*) from commons.course where id = '{draft}'`, "0"},
	{"an administrator reads a draft", "boss", `select count(*) from commons.course where id = '{draft}'`, "1"},
	{"a member reads what is archived", "member", `select count(*) from commons.course where id = '{archived}'`, "0"},
	{"a member reads what is archived and begun", "member", `select count(*) from commons.course where id = '{begun}'`, "1"},
	{"another member reads what is archived and begun", "bob", `select count(*) from commons.course where id = '{begun}'`, "0"},
	{"a member reads a draft's lesson", "member", `select count(*) from commons.lesson where id = '{draftLesson}'`, "0"},
	{"a member reads an archived lesson", "member", `select count(*) from commons.lesson where id = '{archivedLesson}'`, "0"},
	{"a member counts every lesson", "member", `select count(*) from commons.lesson`, "3"}, // of what is published and of what is begun
}

var lessonLaws = []law{
	{"neither video nor text", "boss", `insert into commons.lesson (course_id, position, title) values ('{draft}', 9, 'x')`, "23514"},
	{"a video alone", "boss", `insert into commons.lesson (course_id, position, title, video_url) values ('{draft}', 9, 'x', 'https://videos.example/1')`, "INSERT 0 1"},
	{"a text alone", "boss", `insert into commons.lesson (course_id, position, title, body) values ('{draft}', 9, 'x', 'y')`, "INSERT 0 1"},
	{"both", "boss", `insert into commons.lesson (course_id, position, title, body, video_url) values ('{draft}', 9, 'x', 'y', 'https://videos.example')`, "INSERT 0 1"},
	{"the text is taken away", "boss", `update commons.lesson set body = null where id = '{lesson}'`, "23514"},
	{"a text of nothing", "boss", `update commons.lesson set body = '' where id = '{lesson}'`, "23514"},
	{"a text that is too long", "boss", `update commons.lesson set body = repeat('x', 20001) where id = '{lesson}'`, "23514"},
	{"a video of nothing", "boss", `update commons.lesson set video_url = '' where id = '{lesson}'`, "23514"},
	{"a video without encryption", "boss", `update commons.lesson set video_url = 'http://videos.example/1' where id = '{lesson}'`, "23514"},
	{"a video that is a script", "boss", `update commons.lesson set video_url = 'javascript:alert(1)//https://x' where id = '{lesson}'`, "23514"},
	{"a video that is a script on its second line", "boss", `update commons.lesson set video_url = E'https://x/\njavascript:alert(1)' where id = '{lesson}'`, "23514"},
	{"a video whose site is hidden behind a name", "boss", `update commons.lesson set video_url = 'https://videos.example@evil.example/' where id = '{lesson}'`, "23514"},
	{"a video without a site", "boss", `update commons.lesson set video_url = 'https:///1' where id = '{lesson}'`, "23514"},
	{"a video's address that is too long", "boss", `update commons.lesson set video_url = 'https://x/' || repeat('x', 491) where id = '{lesson}'`, "23514"},
	{"a lesson without a title", "boss", `update commons.lesson set title = '' where id = '{lesson}'`, "23514"},
	{"a place that is taken", "boss", `insert into commons.lesson (course_id, position, title, body) values ('{draft}', 2, 'x', 'y')`, "23505"},
	{"the same place, in another course", "boss", `insert into commons.lesson (course_id, position, title, body) values ('{empty}', 2, 'x', 'y')`, "INSERT 0 1"},
	{"a place before the first", "boss", `update commons.lesson set position = 0 where id = '{lesson}'`, "23514"},
	{"a place behind the last", "boss", `update commons.lesson set position = 401 where id = '{lesson}'`, "23514"},
	{"two change places without stepping aside", "boss", `update commons.lesson set position = 3 - position where course_id = '{draft}'`, "23505"},
	{"a lesson goes to another course", "boss", `update commons.lesson set course_id = '{draft}' where id = '{lesson}'`, "RD409"},
	{"a lesson of another organization's course", "boss", `insert into commons.lesson (course_id, position, title, body) values ('{theirs}', 9, 'x', 'y')`, "23503"},
	{"a lesson of no course", "boss", `insert into commons.lesson (course_id, position, title, body) values (gen_random_uuid(), 9, 'x', 'y')`, "23503"},
	{"as many lessons as there may be", "boss", `insert into commons.lesson (course_id, position, title, body) select '{empty}', n, 'x', 'y' from generate_series(1, 200) n`, "INSERT 0 200"},
	{"one lesson more", "boss", `insert into commons.lesson (course_id, position, title, body) select '{empty}', n, 'x', 'y' from generate_series(1, 201) n`, "23514"},
	{"the last lesson of a published course is deleted", "boss", `delete from commons.lesson where id = '{lesson}'`, "23514"},
	{"all lessons of an archived course are deleted", "boss", `delete from commons.lesson where course_id = '{begun}'`, "23514"},
	{"all lessons of a draft are deleted, and it counts them", "boss", `delete from commons.lesson where course_id = '{draft}'; select lessons from commons.course where id = '{draft}'`, "0"},
	{"a lesson by a member", "member", `insert into commons.lesson (course_id, position, title, body) values ('{course}', 9, 'x', 'y')`, "42501"},
	{"a member changes a lesson", "member", `update commons.lesson set body = 'mine' where id = '{lesson}'`, "UPDATE 0"},
	{"a member deletes a lesson", "member", `delete from commons.lesson where id = '{begunLesson}'`, "DELETE 0"},

	{"a lesson done by another", "member", `insert into commons.lesson_done (course_id, lesson_id, profile_id) values ('{begun}', '{begunLesson}', '{bob}')`, "42501"},
	{"a lesson done", "member", `insert into commons.lesson_done (course_id, lesson_id) values ('{begun}', '{begunLesson}')`, "INSERT 0 1"},
	{"a lesson done twice", "member", `insert into commons.lesson_done (course_id, lesson_id) values ('{course}', '{lesson}')`, "23505"},
	{"a lesson done in another course than its own", "member", `insert into commons.lesson_done (course_id, lesson_id) values ('{course}', '{begunLesson}')`, "23503"},
	{"another organization's lesson done", "member", `insert into commons.lesson_done (course_id, lesson_id) values ('{theirs}', '{theirLesson}')`, "23503"},
	{"a draft's lesson done by a member", "member", `insert into commons.lesson_done (course_id, lesson_id) values ('{draft}', '{draftLesson}')`, "23503"}, // it is not there
	{"a draft's lesson done by its author", "boss", `insert into commons.lesson_done (course_id, lesson_id) values ('{draft}', '{draftLesson}')`, "RD409"},
	{"an archived course is begun", "member", `insert into commons.lesson_done (course_id, lesson_id) values ('{archived}', '{archivedLesson}')`, "23503"},
	{"one sees what others have done", "member", `select count(*) from commons.lesson_done where profile_id <> '{me}'`, "0"},
	{"an administrator sees what others have done", "boss", `select count(*) from commons.lesson_done`, "0"},
	{"what others have done is undone", "member", `delete from commons.lesson_done where lesson_id = '{lesson}'`, "DELETE 1"}, // one's own
	{"what one has done is given away", "member", `update commons.lesson_done set profile_id = '{bob}' where lesson_id = '{lesson}'`, "42501"},
}

var bookmarkLaws = []law{
	{"of a post and of a course", "bob", `insert into commons.bookmark (post_id, course_id) values ('{post}', '{course}')`, "23514"},
	{"of neither", "bob", `insert into commons.bookmark default values`, "23514"},
	{"of a course", "bob", `insert into commons.bookmark (course_id) values ('{course}')`, "INSERT 0 1"},
	{"of both, afterwards", "bob", `update commons.bookmark set course_id = '{course}'`, "23514"},
	{"of neither, afterwards", "bob", `update commons.bookmark set post_id = null`, "23514"},
	{"of the same course again", "member", `insert into commons.bookmark (course_id) values ('{course}')`, "23505"},
	{"of the same post again", "member", `insert into commons.bookmark (post_id) values ('{post}')`, "23505"},
	{"of a post that is not there", "bob", `insert into commons.bookmark (post_id) values (gen_random_uuid())`, "23503"},
	{"of a course that is given as a post", "bob", `insert into commons.bookmark (post_id) values ('{course}')`, "23503"},
	{"of another organization's course", "bob", `insert into commons.bookmark (course_id) values ('{theirs}')`, "23503"},
	{"of a draft, by a member", "bob", `insert into commons.bookmark (course_id) values ('{draft}')`, "23503"}, // it is not there
	{"of a draft, by its author", "boss", `insert into commons.bookmark (course_id) values ('{draft}')`, "RD409"},
	{"of what is archived", "bob", `insert into commons.bookmark (course_id) values ('{archived}')`, "23503"},
	{"moved to a draft", "member", `update commons.bookmark set course_id = '{draft}' where course_id is not null`, "23503"},
	{"in another's name", "bob", `insert into commons.bookmark (course_id, profile_id) values ('{course}', '{me}')`, "42501"},
	{"given to another", "member", `update commons.bookmark set profile_id = '{bob}' where course_id is not null`, "42501"},
	{"another's, read", "member", `select count(*) from commons.bookmark where profile_id <> '{me}'`, "0"},
	{"another's, read by an administrator", "boss", `select count(*) from commons.bookmark where profile_id <> '{boss}'`, "0"},
	{"another's, deleted", "member", `delete from commons.bookmark`, "DELETE 2"}, // one's own two
	{"of a post that is deleted", "member", `delete from commons.post where id = '{post}'; select count(*) from commons.bookmark where post_id = '{post}'`, "0"},
	{"of a person who is deleted", "member", `delete from commons.profile where id = '{me}'; select (select count(*) from commons.bookmark) + (select count(*) from commons.lesson_done)`, "0"},
}

// stripped takes from the tables of courses and bookmarks everything that the laws rest on but columns without a value, and those that
// are generated. It is undone with its transaction.
const stripped = `
alter event trigger redoubt_command disable; alter event trigger redoubt_drop disable;
do $$
declare r record;
begin
  for r in select c.conrelid::regclass as t, c.conname from pg_constraint c
            where c.conrelid in ('commons.course'::regclass, 'commons.lesson'::regclass, 'commons.lesson_done'::regclass, 'commons.bookmark'::regclass) and c.contype in ('c', 'u', 'p', 'f') loop
    execute format('alter table %s drop constraint if exists %I cascade', r.t, r.conname);
  end loop;
  for r in select c.oid::regclass as t from pg_class c
            where c.oid in ('commons.course'::regclass, 'commons.lesson'::regclass, 'commons.lesson_done'::regclass, 'commons.bookmark'::regclass) loop
    execute format('alter table %s disable row level security, disable trigger user', r.t);
  end loop;
end $$;
drop index commons.bookmark_once_post, commons.bookmark_once_course;`

func TestTheSchemaIsTheLawOfCourses(t *testing.T) { // SYSTEM D4, A3, I8
	w, s, _ := newSchool(t)
	admin := w.Admin(t)
	tabs := tables(t, admin)
	granted, err := admin.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer granted.Rollback(context.Background())
	for _, tab := range tabs {
		open(t, granted, tab, false, "")
	}
	callers := map[string]*layertest.Caller{"boss": s.boss, "member": s.member, "bob": s.bob}
	var ids []string
	for name, id := range s.ids {
		ids = append(ids, "{"+name+"}", id)
	}
	fill := strings.NewReplacer(ids...)
	try := func(t *testing.T, l law) string {
		tx, err := granted.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback(context.Background())
		return attempt(t, tx, tabs[0], fill.Replace(l.sql), w.Organization("Acme"), w.Organization("Globex"), callers[l.who].Session())
	}
	laws := slices.Concat(courseLaws, lessonLaws, bookmarkLaws)
	for _, l := range laws {
		t.Run(l.name, func(t *testing.T) {
			if got := try(t, l); got != l.want {
				t.Errorf("got %s, want %s", got, l.want)
			}
		})
	}
	// Without what the laws rest on, every one of those attacks succeeds.
	if _, err := granted.Exec(t.Context(), stripped); err != nil {
		t.Fatal(err)
	}
	for _, l := range laws {
		if l.refuses() {
			t.Run(l.name+", lawlessly", func(t *testing.T) {
				if got := try(t, l); got == l.want || (law{want: got}).refuses() {
					t.Errorf("got %s: it is no attack", got)
				}
			})
		}
	}
}

// refuses reports whether the law is that something does not happen, other than by what kind of a column it is.
func (l law) refuses() bool {
	state := len(l.want) == 5 && !strings.Contains(l.want, " ") && l.want != "23502" && l.want != "428C9"
	return state || l.want == "UPDATE 0" || l.want == "DELETE 0"
}

// Not even the trail tells an administrator what a member has marked or done.
func TestTheTrailKeepsMarksToTheirOwners(t *testing.T) { // SYSTEM U1, R
	_, s, _ := newSchool(t)
	var trail account.Trail
	s.boss.Get("/api/v1/audit?limit=100").OK().JSON(&trail)
	seen := map[string]int{}
	for _, e := range trail.Events {
		seen[e.Entity]++
		private := e.Entity == "commons.bookmark" || e.Entity == "commons.lesson_done"
		if told := fmt.Sprint(e.Changes); private && (strings.Contains(told, s.ids["course"]) || strings.Contains(told, s.ids["lesson"]) || strings.Contains(told, s.ids["post"])) {
			t.Errorf("%s: the trail says %s", e.Entity, told)
		}
	}
	if seen["commons.bookmark"] == 0 || seen["commons.lesson_done"] == 0 || seen["commons.lesson"] == 0 {
		t.Errorf("the trail has only %v", seen)
	}
}

// The same, as people and programs meet it from the outside, and who of the layers says so.
func TestWhatIsRefusedOfCourses(t *testing.T) { // SYSTEM A3, A5, N1, D4, R
	_, s, _ := newSchool(t)
	const org, nowhere = `"organization_id": "00000000-0000-4000-8000-000000000000"`, "00000000-0000-4000-8000-000000000000"
	raw := func(text string) []byte {
		for name, id := range s.ids {
			text = strings.ReplaceAll(text, "{"+name+"}", id)
		}
		return []byte(text)
	}
	at := func(path string) string { return string(raw(path)) }
	for _, c := range []struct {
		name         string
		who          *layertest.Caller
		method, path string
		body         string
		code         int
		by           layer.Layer
	}{
		{"a member begins a course", s.member, "POST", "/api/v1/courses", `{"title": "x"}`, 403, layer.GateRoute},
		{"an author is assigned", s.boss, "POST", "/api/v1/courses", `{"title": "x", "author_id": "{bob}"}`, 422, layer.Input},
		{"a state is assigned at birth", s.boss, "POST", "/api/v1/courses", `{"title": "x", "state": "published"}`, 422, layer.Input},
		{"a state is assigned in passing", s.boss, "PUT", "/api/v1/courses/{draft}", `{"title": "x", "state": "published"}`, 422, layer.Input},
		{"an organization is assigned", s.boss, "POST", "/api/v1/courses", `{"title": "x", ` + org + `}`, 422, layer.Input},
		{"a count is assigned", s.boss, "PUT", "/api/v1/courses/{draft}", `{"title": "x", "lessons": 5}`, 422, layer.Input},
		{"an author is changed", s.boss, "PUT", "/api/v1/courses/{draft}", `{"title": "x", "author_id": "{bob}"}`, 422, layer.Input},
		{"a title of a space", s.boss, "POST", "/api/v1/courses", `{"title": " "}`, 422, layer.Input},
		{"a draft without lessons is published", s.boss, "PUT", "/api/v1/courses/{empty}/state", `{"state": "published"}`, 409, layer.RLS},
		{"a draft is archived", s.boss, "PUT", "/api/v1/courses/{draft}/state", `{"state": "archived"}`, 409, layer.RLS},
		{"a course becomes a draft again", s.boss, "PUT", "/api/v1/courses/{course}/state", `{"state": "draft"}`, 422, layer.Input},
		{"a course that members have seen is deleted", s.boss, "DELETE", "/api/v1/courses/{course}", "", 409, layer.RLS},
		{"a member publishes", s.member, "PUT", "/api/v1/courses/{draft}/state", `{"state": "published"}`, 403, layer.GateRoute},
		{"a member reads a draft", s.member, "GET", "/api/v1/courses/{draft}", "", 404, layer.RLS},
		{"a member reads a draft's lessons", s.member, "GET", "/api/v1/courses/{draft}/lessons", "", 404, layer.RLS},
		{"a member reads a lesson of a draft", s.member, "GET", "/api/v1/lessons/{draftLesson}", "", 404, layer.RLS},
		{"a member reads what is archived", s.member, "GET", "/api/v1/courses/{archived}", "", 404, layer.RLS},
		{"a member opens a draft in the browser", s.member.Browser(), "GET", "/courses/{draft}", "", 404, layer.RLS},
		{"a member opens a lesson of a draft in the browser", s.member.Browser(), "GET", "/lessons/{draftLesson}", "", 404, layer.RLS},
		{"a member opens the form for changing a course", s.member.Browser(), "GET", "/courses/{course}/edit", "", 404, layer.GateRoute},
		{"a member sends the form for publishing", s.member.Browser(), "POST", "/courses/{draft}/publish", "", 404, layer.GateRoute},

		{"a lesson of neither", s.boss, "POST", "/api/v1/courses/{draft}/lessons", `{"title": "x"}`, 422, layer.RLS},
		{"a lesson of two nulls", s.boss, "PUT", "/api/v1/lessons/{lesson}", `{"title": "x", "video_url": null, "body": null}`, 422, layer.RLS},
		{"a lesson of an empty text", s.boss, "PUT", "/api/v1/lessons/{lesson}", `{"title": "x", "body": ""}`, 422, layer.Input},
		{"a video that is a script", s.boss, "POST", "/api/v1/courses/{draft}/lessons", `{"title": "x", "video_url": "javascript:alert(1)"}`, 422, layer.Input},
		{"a video without encryption", s.boss, "POST", "/api/v1/courses/{draft}/lessons", `{"title": "x", "video_url": "http://videos.example/1"}`, 422, layer.Input},
		{"a video whose site is hidden behind a name", s.boss, "POST", "/api/v1/courses/{draft}/lessons", `{"title": "x", "video_url": "https://videos.example@evil.example/"}`, 422, layer.Input},
		{"a place is assigned", s.boss, "POST", "/api/v1/courses/{draft}/lessons", `{"title": "x", "body": "y", "position": 1}`, 422, layer.Input},
		{"another course is assigned", s.boss, "PUT", "/api/v1/lessons/{lesson}", `{"title": "x", "body": "y", "course_id": "{draft}"}`, 422, layer.Input},
		{"a lesson for another organization's course", s.boss, "POST", "/api/v1/courses/{theirs}/lessons", `{"title": "x", "body": "y"}`, 404, layer.RLS},
		{"a lesson for a lesson", s.boss, "POST", "/api/v1/courses/{lesson}/lessons", `{"title": "x", "body": "y"}`, 404, layer.RLS},
		{"a course read as a lesson", s.boss, "GET", "/api/v1/lessons/{course}", "", 404, layer.RLS},
		{"a post read as a course", s.boss, "GET", "/api/v1/courses/{post}", "", 404, layer.RLS},
		{"what is no id", s.boss, "GET", "/api/v1/courses/1%20or%201=1", "", 404, layer.Input},
		{"the last lesson of a published course is deleted", s.boss, "DELETE", "/api/v1/lessons/{lesson}", "", 409, layer.RLS},
		{"a member deletes a lesson", s.member, "DELETE", "/api/v1/lessons/{lesson}", "", 403, layer.GateRoute},

		{"another organization's lesson among them", s.boss, "PUT", "/api/v1/courses/{draft}/lessons/order", `{"lessons": ["{second}", "{theirLesson}"]}`, 404, layer.RLS},
		{"another course's lesson among them", s.boss, "PUT", "/api/v1/courses/{draft}/lessons/order", `{"lessons": ["{second}", "{lesson}"]}`, 404, layer.RLS},
		{"another course's lesson beside them", s.boss, "PUT", "/api/v1/courses/{draft}/lessons/order", `{"lessons": ["{second}", "{draftLesson}", "{lesson}"]}`, 404, layer.RLS},
		{"what is not there among them", s.boss, "PUT", "/api/v1/courses/{draft}/lessons/order", `{"lessons": ["{second}", "` + nowhere + `"]}`, 404, layer.RLS},
		{"a course among its lessons", s.boss, "PUT", "/api/v1/courses/{draft}/lessons/order", `{"lessons": ["{second}", "{draft}"]}`, 404, layer.RLS},
		{"one is missing", s.boss, "PUT", "/api/v1/courses/{draft}/lessons/order", `{"lessons": ["{second}"]}`, 422, layer.RLS},
		{"one stands there twice", s.boss, "PUT", "/api/v1/courses/{draft}/lessons/order", `{"lessons": ["{second}", "{second}"]}`, 422, layer.RLS},
		{"none at all", s.boss, "PUT", "/api/v1/courses/{draft}/lessons/order", `{"lessons": []}`, 422, layer.Input},
		{"more than there can be", s.boss, "PUT", "/api/v1/courses/{draft}/lessons/order", `{"lessons": ["{second}"` + strings.Repeat(`, "{second}"`, 200) + `]}`, 422, layer.Input},
		{"what is no id among them", s.boss, "PUT", "/api/v1/courses/{draft}/lessons/order", `{"lessons": ["{second}", "'; --"]}`, 422, layer.Input},
		{"the order of another organization's course", s.boss, "PUT", "/api/v1/courses/{theirs}/lessons/order", `{"lessons": ["{theirLesson}"]}`, 404, layer.RLS},
		{"a member puts lessons in order", s.member, "PUT", "/api/v1/courses/{draft}/lessons/order", `{"lessons": ["{second}", "{draftLesson}"]}`, 403, layer.GateRoute},

		{"a lesson of a draft is done by a member", s.member, "PUT", "/api/v1/lessons/{draftLesson}/done", "", 404, layer.RLS},
		{"a lesson of a draft is done by its author", s.boss, "PUT", "/api/v1/lessons/{draftLesson}/done", "", 409, layer.RLS},
		{"another organization's lesson is done", s.member, "PUT", "/api/v1/lessons/{theirLesson}/done", "", 404, layer.RLS},
		{"a lesson is done by a key that may only read", s.member.WithKey("courses:read"), "PUT", "/api/v1/lessons/{lesson}/done", "", 403, layer.GateRoute},

		{"a bookmark of both", s.bob, "POST", "/api/v1/bookmarks", `{"post_id": "{post}", "course_id": "{course}"}`, 422, layer.RLS},
		{"a bookmark of neither", s.bob, "POST", "/api/v1/bookmarks", `{}`, 422, layer.RLS},
		{"a bookmark of two nulls", s.bob, "POST", "/api/v1/bookmarks", `{"post_id": null, "course_id": null}`, 422, layer.RLS},
		{"a bookmark for another", s.bob, "POST", "/api/v1/bookmarks", `{"course_id": "{course}", "profile_id": "{me}"}`, 422, layer.Input},
		{"a bookmark in another organization", s.bob, "POST", "/api/v1/bookmarks", `{"course_id": "{course}", ` + org + `}`, 422, layer.Input},
		{"a bookmark twice", s.member, "POST", "/api/v1/bookmarks", `{"course_id": "{course}"}`, 409, layer.RLS},
		{"a bookmark of another organization's course", s.bob, "POST", "/api/v1/bookmarks", `{"course_id": "{theirs}"}`, 404, layer.RLS},
		{"a bookmark of a course given as a post", s.bob, "POST", "/api/v1/bookmarks", `{"post_id": "{course}"}`, 404, layer.RLS},
		{"a bookmark of a draft", s.bob, "POST", "/api/v1/bookmarks", `{"course_id": "{draft}"}`, 404, layer.RLS},
		{"a bookmark of a draft, by its author", s.boss, "POST", "/api/v1/bookmarks", `{"course_id": "{draft}"}`, 409, layer.RLS},
		{"a draft is marked in the browser", s.bob.Browser(), "POST", "/courses/{draft}/bookmark", "", 404, layer.RLS},
		{"another member's bookmark is read", s.bob, "GET", "/api/v1/bookmarks/" + s.town.ids["bookmarks"], "", 404, layer.RLS},
		{"another member's bookmark is read by an administrator", s.boss, "GET", "/api/v1/bookmarks/" + s.town.ids["bookmarks"], "", 404, layer.RLS},
		{"another member's bookmark is removed", s.bob, "DELETE", "/api/v1/bookmarks/" + s.town.ids["bookmarks"], "", 404, layer.RLS},
		{"another member's bookmark is removed in the browser", s.boss.Browser(), "POST", "/bookmarks/" + s.town.ids["bookmarks"] + "/delete", "", 404, layer.RLS},
		{"a bookmark by a key that may only read", s.bob.WithKey("bookmarks:read"), "POST", "/api/v1/bookmarks", `{"course_id": "{course}"}`, 403, layer.GateRoute},
	} {
		t.Run(c.name, func(t *testing.T) {
			var body any
			if c.body != "" {
				body = raw(c.body)
			} else if c.method == "POST" {
				body = url.Values{}
			}
			c.who.Do(c.who.Request(c.method, at(c.path), body)).Refused(c.code, c.by)
		})
	}
	var after course.Headings // no refused order has changed anything
	s.boss.Get(at("/api/v1/courses/{draft}/lessons")).OK().JSON(&after)
	if got, want := order(after), []string{s.ids["draftLesson"], s.ids["second"]}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func order(list course.Headings) (ids []string) {
	for i, h := range list.Lessons {
		if h.Number != i+1 {
			return nil
		}
		ids = append(ids, string(h.ID))
	}
	return ids
}

func TestACourseFromDraftToArchive(t *testing.T) { // SYSTEM R
	w := layertest.World(t, commons.App)
	boss, bob := w.Administrator("Acme"), w.Member("Acme")
	o := town{boss: boss, member: bob}
	id, lessons := teach(o, "Knots", 4)
	path := "/api/v1/courses/" + id
	var list course.Headings
	put := func(ids ...string) []string {
		t.Helper()
		boss.Put(path+"/lessons/order", map[string][]string{"lessons": ids}).OK().JSON(&list)
		return order(list)
	}
	for _, want := range [][]string{{lessons[3], lessons[2], lessons[1], lessons[0]}, {lessons[3], lessons[0], lessons[1], lessons[2]}, lessons} {
		if got := put(want...); !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	boss.Browser().Post("/lessons/"+lessons[0]+"/down", url.Values{}).Status(303)
	boss.Browser().Post("/lessons/"+lessons[3]+"/up", url.Values{}).Status(303)
	boss.Browser().Post("/lessons/"+lessons[1]+"/up", url.Values{}).Status(303) // stands first already
	boss.Delete("/api/v1/lessons/" + lessons[3]).NoContent()
	words := "the last"
	last := boss.Post(path+"/lessons", course.WriteLesson{Title: "Last", Body: &words}).Created().ID
	boss.Get(path + "/lessons").OK().JSON(&list)
	if got, want := order(list), []string{lessons[1], lessons[0], lessons[2], last}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}

	bob.Get(path).NotFound(layer.RLS)
	boss.Browser().Post("/courses/"+id+"/publish", url.Values{}).Status(303)
	bob.Put("/api/v1/lessons/"+last+"/done", nil).NoContent()
	bob.Put("/api/v1/lessons/"+last+"/done", nil).NoContent() // twice is once
	bob.Browser().Post("/lessons/"+lessons[0]+"/done", url.Values{}).Status(303)
	bob.Browser().Post("/courses/"+id+"/bookmark", url.Values{}).Status(303)
	boss.Browser().Post("/courses/"+id+"/archive", url.Values{}).Status(303)
	var read course.Course
	bob.Get(path).OK().JSON(&read) // begun, so it may be finished
	if read.State != course.Archived || read.Done != 2 || read.Lessons != 4 || !read.Bookmarked || read.PublishedAt == nil {
		t.Errorf("got %+v", read)
	}
	bob.Browser().Get("/lessons/" + last).OK()
	bob.Delete("/api/v1/lessons/" + last + "/done").NoContent()
	bob.Browser().Post("/lessons/"+lessons[0]+"/done", url.Values{}).Status(303) // taken back: nothing is begun any more
	bob.Get(path).NotFound(layer.RLS)
	var marks bookmark.List
	if bob.Get("/api/v1/bookmarks").OK().JSON(&marks); len(marks.Bookmarks) != 0 { // it waits with the course
		t.Errorf("got %+v", marks)
	}
	boss.Put(path+"/state", map[string]string{"state": "published"}).OK()
	if bob.Get("/api/v1/bookmarks").OK().JSON(&marks); len(marks.Bookmarks) != 1 || marks.Bookmarks[0].Title != "Knots" {
		t.Errorf("got %+v", marks)
	}
	bob.Browser().Post("/courses/"+id+"/bookmark", url.Values{}).Status(303)
	if bob.Get("/api/v1/bookmarks").OK().JSON(&marks); len(marks.Bookmarks) != 0 {
		t.Errorf("got %+v", marks)
	}
}

// Many at once: every lesson gets a place of its own, and the count is right.
func TestLessonsAreAddedByManyAtOnce(t *testing.T) { // SYSTEM D4
	w := layertest.World(t, commons.App)
	boss := w.Administrator("Acme").WithKey()
	id, _ := teach(town{boss: boss}, "Knots", 0)
	const many = 12
	var wait sync.WaitGroup
	for range many {
		wait.Go(func() {
			words := "x"
			if r := boss.Post("/api/v1/courses/"+id+"/lessons", course.WriteLesson{Title: "x", Body: &words}); r.Code != 201 {
				t.Errorf("got %d: %s", r.Code, r.Body)
			}
		})
	}
	wait.Wait()
	var list course.Headings
	var read course.Course
	boss.Get("/api/v1/courses/" + id + "/lessons").OK().JSON(&list)
	boss.Get("/api/v1/courses/" + id).OK().JSON(&read)
	if len(order(list)) != many || read.Lessons != many {
		t.Errorf("%d lessons in order, counted as %d, want %d", len(order(list)), read.Lessons, many)
	}
}

// What goes out in a page: the forms work as a browser sends them, and a refused one says what is wrong beside the field.
func TestPagesOfCoursesWork(t *testing.T) { // SYSTEM R
	w := layertest.World(t, commons.App)
	boss, bob := w.Administrator("Acme").Browser(), w.Member("Acme").Browser()
	follow := func(c *layertest.Caller, r *layertest.Response) *layertest.Response {
		t.Helper()
		return c.Get(r.Status(303).Header.Get("Location")).OK()
	}
	says := func(r *layertest.Response, words string) {
		t.Helper()
		if !strings.Contains(string(r.Body), words) {
			t.Errorf("the page does not say %q", words)
		}
	}
	boss.Get("/courses/new").OK()
	says(follow(boss, boss.Post("/courses", url.Values{"title": {"Knots"}, "summary": {"Three of them"}})), "No lessons yet")
	var list course.List
	w.Administrator("Acme").Get("/api/v1/courses").OK().JSON(&list)
	path := "/courses/" + string(list.Courses[0].ID)
	says(boss.Post(path+"/publish", url.Values{}).Refused(409, layer.RLS), "at least one lesson")
	says(boss.Post(path+"/lessons", layertest.Multipart{Fields: url.Values{"title": {"Bowline"}, "video_url": {""}, "body": {""}}}).Refused(422, layer.RLS), "a lesson needs a video, a text, or both")
	says(follow(boss, boss.Post(path+"/lessons", layertest.Multipart{Fields: url.Values{"title": {"Bowline"}, "video_url": {"https://videos.example/bowline"}, "body": {""}}})), "Bowline")
	says(follow(boss, boss.Post(path+"/publish", url.Values{})), "Knots")
	says(bob.Get("/courses").OK(), "Three of them")
	page := bob.Get(path).OK()
	says(page, "Start the course")
	if strings.Contains(string(page.Body), path+"/edit") {
		t.Error("a member is offered to edit")
	}
	_, lesson, _ := strings.Cut(string(page.Body), `href="/lessons/`)
	lesson = "/lessons/" + lesson[:36]
	says(bob.Get(lesson).OK(), `href="https://videos.example/bowline"`)
	says(boss.Post(lesson+"/delete", url.Values{}).Refused(409, layer.RLS), "keeps at least one lesson")
	says(follow(boss, boss.Post(lesson+"/edit", layertest.Multipart{Fields: url.Values{"title": {"Bowline, tied"}, "body": {"Over, under."}, "video_url": {""}}})), "Over, under.")
	bob.Post(lesson+"/done", url.Values{}).Status(303)
	bob.Post(path+"/bookmark", url.Values{}).Status(303)
	says(bob.Get("/bookmarks").OK(), "Knots")
	says(bob.Get(path).OK(), "All done")
}

func TestListsOfCoursesAndBookmarksAreReadInPages(t *testing.T) { // SYSTEM N1
	w := layertest.World(t, commons.App)
	o := town{boss: w.Administrator("Acme"), member: w.Member("Acme")}
	const many = 5
	for i := range many {
		id, _ := teach(o, fmt.Sprint("Course ", i), 1, "published")
		made := course.ID(id)
		o.member.Post("/api/v1/bookmarks", bookmark.Mark{CourseID: &made}).Created()
	}
	for _, path := range []string{"/api/v1/courses", "/api/v1/bookmarks"} {
		var titles []string
		next := redoubt.Cursor("")
		for range 3 {
			var page struct {
				Courses, Bookmarks []struct{ Title string }
				Next               redoubt.Cursor
			}
			o.member.Get(path + "?limit=2&cursor=" + url.QueryEscape(string(next))).OK().JSON(&page)
			for _, one := range append(page.Courses, page.Bookmarks...) {
				titles = append(titles, one.Title)
			}
			next = page.Next
		}
		if want := []string{"Course 4", "Course 3", "Course 2", "Course 1", "Course 0"}; !slices.Equal(titles, want) || next != "" {
			t.Errorf("%s: got %v and then %q, want %v", path, titles, next, want)
		}
		for _, query := range []string{"limit=101", "limit=0", "cursor=x", "state=draft", "profile_id=x"} {
			o.member.Get(path+"?"+query).Refused(422, layer.Input)
		}
	}
}

// The example is made by its people with no more rights than they have, and made older by what the command runs.
func TestTheExampleTeachesInBothOrganizations(t *testing.T) { // SYSTEM R
	w := layertest.World(t, commons.App)
	erin := w.Member("Acme", layertest.Named("Erin Example"), layertest.AlsoOf("Globex"))
	bob := w.Member("Acme", layertest.Named("Bob Example"))
	var people []redoubt.Person
	for _, p := range []struct {
		name, organization string
		caller             *layertest.Caller
	}{
		{"Alice Example", "Acme", w.Administrator("Acme", layertest.Named("Alice Example"))}, {"Bob Example", "Acme", bob}, {"Erin Example", "Acme", erin},
		{"Carol Example", "Globex", w.Administrator("Globex", layertest.Named("Carol Example"))}, {"Dave Example", "Globex", w.Member("Globex", layertest.Named("Dave Example"))},
		{"Erin Example", "Globex", erin.SignIn("Globex")},
	} {
		people = append(people, redoubt.Person{Name: p.name, Organization: redoubt.Organization{ID: w.Organization(p.organization), Name: p.organization}, Principal: p.caller.Principal()})
	}
	for range 2 { // what has been begun is not begun again
		if err := commons.App.Example(t.Context(), w.Parts(), people); err != nil {
			t.Fatal(err)
		}
	}
	tx, err := w.Admin(t).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(context.Background())
	if err := tx.Conn().PgConn().Exec(t.Context(), "set local session_replication_role = replica;"+commons.App.ExampleAge).Close(); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	var list course.List
	var marks bookmark.List
	bob.Get("/api/v1/courses").OK().JSON(&list)
	erin.Get("/api/v1/bookmarks").OK().JSON(&marks)
	if len(list.Courses) != 2 || list.Courses[1].Done != 3 || list.Courses[1].Lessons != 3 || list.Courses[1].PublishedAt.Before(list.Courses[1].CreatedAt) || len(marks.Bookmarks) != 2 {
		t.Errorf("got %+v and %+v", list.Courses, marks.Bookmarks)
	}
}
