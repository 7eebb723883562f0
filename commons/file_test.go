package commons_test

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io/fs"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt/commons"
	"github.com/redoubt-dev/redoubt/commons/community"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/layertest"
)

// picture is a small one, and another each time.
func picture() []byte {
	img := image.NewNRGBA(image.Rect(0, 0, 8, 8))
	for i := range 64 {
		img.Set(i%8, i/8, color.NRGBA{uint8(rand.IntN(256)), uint8(rand.IntN(256)), uint8(rand.IntN(256)), 255})
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// uploaded is a file of who's that nothing holds.
func uploaded(who *layertest.Caller) string {
	return one(who.Post("/api/v1/files?name=picture.png", layertest.File{Type: "image/png", Content: picture()}))[0]
}

// attached is a file that a post of who's holds.
func attached(who *layertest.Caller) string {
	id := uploaded(who)
	who.Post("/api/v1/posts", kv{"body": "A post.", "files": []string{id}}).Created()
	return id
}

// handedOut is a file of a lesson, of a course that may be published.
func (c *cast) handedOut(states ...string) string {
	id := uploaded(c.boss)
	course := one(c.boss.Post("/api/v1/courses", kv{"title": "Course"}))[0]
	c.boss.Post("/api/v1/courses/"+course+"/lessons", lessonWith(id)).Created()
	for _, state := range states {
		c.boss.Put("/api/v1/courses/"+course+"/state", kv{"state": state}).OK()
	}
	return id
}

// What the tests that ask for all there is need to know of files: who sees one is who sees a row that holds it, and before that its owner.
func init() {
	with := func(of func(c *cast) string, file func(c *cast) string) func(*cast) []string {
		return func(c *cast) []string { return []string{of(c), file(c)} }
	}
	files := []state{
		{"the member's upload", func(c *cast) []string { return []string{uploaded(c.member)} }},
		{"another member's upload", func(c *cast) []string { return []string{uploaded(c.other)} }},
		{"of a post", func(c *cast) []string { return []string{attached(c.other)} }},
		{"of a published lesson", func(c *cast) []string { return []string{c.handedOut("published")} }},
		{"of a draft", func(c *cast) []string { return []string{c.handedOut()} }},
		{theirs, func(c *cast) []string { return []string{attached(c.neighbour)} }},
	}
	post := func(who func(c *cast) *layertest.Caller) func(*cast) string {
		return func(c *cast) string { return one(who(c).Post("/api/v1/posts", kv{"body": "A post."}))[0] }
	}
	course := func(c *cast) string { return c.taught(c.boss)[0] }
	lesson := func(c *cast) string { return c.taught(c.boss)[1] }
	mine := func(who func(c *cast) *layertest.Caller) func(*cast) string {
		return func(c *cast) string { return uploaded(who(c)) }
	}
	member, other := func(c *cast) *layertest.Caller { return c.member }, func(c *cast) *layertest.Caller { return c.other }
	boss, neighbour := func(c *cast) *layertest.Caller { return c.boss }, func(c *cast) *layertest.Caller { return c.neighbour }
	maps.Copy(objects, map[string][]state{
		"files": files,
		"posts/files": {
			{"the administrator's post and upload", with(post(boss), mine(boss))},
			{"the member's post and upload", with(post(member), mine(member))},
			{"another's post, the member's upload", with(post(other), mine(member))},
			{"the member's post, another's upload", with(post(member), mine(other))},
			{"the member's post, another organization's upload", with(post(member), mine(neighbour))},
			{theirs, with(post(neighbour), mine(neighbour))},
		},
		"courses/files": {
			{"the administrator's upload", with(course, mine(boss))},
			{"of a published course", with(func(c *cast) string { return c.taught(c.boss, "published")[0] }, mine(boss))},
			{"a member's upload", with(course, mine(member))},
			{"another organization's upload", with(course, mine(neighbour))},
			{theirs, with(func(c *cast) string { return c.taught(c.outsider)[0] }, mine(neighbour))},
		},
		"lessons/files": {
			{"the administrator's upload", with(lesson, mine(boss))},
			{"a member's upload", with(lesson, mine(member))},
			{"another organization's upload", with(lesson, mine(neighbour))},
			{theirs, with(func(c *cast) string { return c.taught(c.outsider)[1] }, mine(neighbour))},
		},
	})
}

// ---- files by themselves ----

// stored are the names of all objects that a world's store has.
func stored(t *testing.T, w *layertest.W) (names []string) {
	t.Helper()
	err := filepath.WalkDir(w.FilesDir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, d.Name())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestAFileIsSeenByWhoSeesWhatHoldsIt(t *testing.T) { // SYSTEM N2, A5, D1
	w := layertest.World(t, commons.App)
	alice, bob, carol, dave := w.Administrator("Acme"), w.Member("Acme"), w.Member("Acme"), w.Member("Globex")
	id := uploaded(bob)
	at := "/files/" + id
	bob.Get(at).OK()
	carol.Get(at).NotFound(layer.RLS) // nobody has shown it yet
	alice.Get(at).NotFound(layer.RLS) // not even to an administrator
	carol.Post("/api/v1/posts", kv{"body": "Mine!", "files": []string{id}}).NotFound(layer.RLS)
	carol.Post("/api/v1/posts", kv{"body": "![Mine](/files/" + id + ")"}).NotFound(layer.RLS)
	carol.Delete("/api/v1" + at).NotFound(layer.RLS)

	post := bob.Post("/api/v1/posts", kv{"body": "Look.", "files": []string{id}}).Created().ID
	carol.Get(at).OK()
	carol.Get(at + "/small").OK()
	carol.Browser().Get(at).OK()
	dave.Get(at).NotFound(layer.RLS)
	dave.Get(at + "/small").NotFound(layer.RLS)
	w.Stranger().Get(at).Refused(303, layer.GateRoute) // a link leads a person to sign in
	w.Stranger().Get("/api/v1"+at).Refused(401, layer.GateRoute)
	carol.WithKey("posts:read").Get(at).Refused(403, layer.GateRoute)
	bob.Delete("/api/v1" + at).NotFound(layer.RLS) // the post holds it

	bob.Delete("/api/v1/posts/" + post).NoContent()
	for _, who := range []*layertest.Caller{alice, bob, carol, dave} {
		who.Get(at).NotFound(layer.RLS)
	}
	if left := stored(t, w); len(left) > 0 {
		t.Errorf("the store still has %d objects", len(left))
	}
}

func TestAFileOfADraftIsForItsMakers(t *testing.T) { // SYSTEM A5
	w := layertest.World(t, commons.App)
	boss, bob := w.Administrator("Acme"), w.Member("Acme")
	id := uploaded(boss)
	course := one(boss.Post("/api/v1/courses", kv{"title": "Course"}))[0]
	lesson := one(boss.Post("/api/v1/courses/"+course+"/lessons", lessonWith(id)))[0]
	bob.Get("/files/" + id).NotFound(layer.RLS)
	boss.Put("/api/v1/courses/"+course+"/state", kv{"state": "published"}).OK()
	bob.Get("/files/" + id).OK()
	boss.Put("/api/v1/courses/"+course+"/state", kv{"state": "archived"}).OK()
	bob.Get("/files/" + id).NotFound(layer.RLS)
	boss.Put("/api/v1/lessons/"+lesson, kv{"title": "Without", "body": "Words."}).OK()
	boss.Get("/files/" + id).NotFound(layer.RLS)
}

func TestHowAFileIsServed(t *testing.T) { // SYSTEM N2, T1
	w := layertest.World(t, commons.App)
	bob := w.Member("Acme")
	id := uploaded(bob)
	whole := bob.Get("/files/" + id).OK()
	for name, want := range map[string]string{
		"Content-Type": "image/png", "Content-Disposition": "inline; filename=picture.png", "X-Content-Type-Options": "nosniff",
		"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox", "Cache-Control": "private, max-age=31536000, immutable",
		"Cross-Origin-Resource-Policy": "same-origin", "Accept-Ranges": "bytes", "Content-Length": fmt.Sprint(len(whole.Body)),
	} {
		if got := whole.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	with := func(name, value string) *layertest.Response {
		r := bob.Request(http.MethodGet, "/files/"+id, nil)
		r.Header.Set(name, value)
		return bob.Do(r)
	}
	if r := with("If-None-Match", whole.Header.Get("ETag")); r.Code != http.StatusNotModified || len(r.Body) > 0 {
		t.Errorf("to a client that has it: %d with %d bytes", r.Code, len(r.Body))
	}
	if r := with("Range", "bytes=2-5"); r.Code != http.StatusPartialContent || !bytes.Equal(r.Body, whole.Body[2:6]) {
		t.Errorf("a range: %d %q", r.Code, r.Body)
	}
	if r := with("Range", "bytes=0-1,3-4"); r.Code != http.StatusOK || r.Header.Get("Content-Type") != "image/png" || !bytes.Equal(r.Body, whole.Body) {
		t.Errorf("several ranges: %d %s", r.Code, r.Header.Get("Content-Type"))
	}
	if r := with("Range", "bytes=999999-"); r.Code != http.StatusRequestedRangeNotSatisfiable {
		t.Errorf("a range beyond the end: %d", r.Code)
	}
	if r := bob.Do(bob.Request(http.MethodHead, "/files/"+id, nil)); r.Code != http.StatusOK || len(r.Body) > 0 || r.Header.Get("Content-Type") != "image/png" {
		t.Errorf("HEAD: %d with %d bytes", r.Code, len(r.Body))
	}
	again := uploaded(bob)
	if a := bob.Get("/files/" + again).OK(); a.Header.Get("ETag") == whole.Header.Get("ETag") {
		t.Error("two contents have one tag")
	}
	if at := whole.Header.Get("ETag"); slices.ContainsFunc(stored(t, w), func(name string) bool { return strings.Contains(at, name[:26]) }) {
		t.Error("the tag says where the bytes lie")
	}
}

// The names of files are their senders', and never more than names.
func TestWhatAFileIsCalled(t *testing.T) { // SYSTEM N2
	w := layertest.World(t, commons.App)
	bob := w.Member("Acme")
	for name, want := range map[string]string{
		"holiday.png": "inline; filename=holiday.png", "Ferien am Königssee.png": "inline; filename*=utf-8''Ferien%20am%20K%C3%B6nigssee.png",
		"photo.jpeg": "inline; filename=photo.png", "": "inline; filename=file.png", `quo"te.png`: `inline; filename="quo\"te.png"`, "a;b.png": `inline; filename="a;b.png"`,
	} {
		id := one(bob.Post("/api/v1/files?name="+url.QueryEscape(name), layertest.File{Type: "image/png", Content: picture()}))[0]
		if got := bob.Get("/files/" + id).OK().Header.Get("Content-Disposition"); got != want {
			t.Errorf("%q is called %s, want %s", name, got, want)
		}
	}
	for _, name := range []string{"../../etc/passwd", `..\..\boot.ini`, "a/b.png", "a\x00.png", "a\r\nSet-Cookie: x=y.png", "photo\u202egnp.exe", strings.Repeat("x", 4096)} {
		bob.Post("/api/v1/files?name="+url.QueryEscape(name), layertest.File{Type: "image/png", Content: picture()}).Refused(422, layer.Input)
	}
	// In a form, the folders and marks of a name are dropped, and the rest is taken.
	page := bob.Browser()
	page.Post("/posts", layertest.Multipart{Fields: url.Values{"body": {"Named."}}, Files: []layertest.File{{Field: "uploads", Name: "../../etc/pass\u202ewd.png", Content: picture()}}}).Status(303)
	var list community.PostList
	bob.Get("/api/v1/posts").OK().JSON(&list)
	if got := list.Posts[0].Files; len(got) != 1 || got[0].Name != "passwd.png" {
		t.Errorf("got %+v", got)
	}
}

func TestTheSameContentIsStoredOnce(t *testing.T) { // SYSTEM N2, D1
	w := layertest.World(t, commons.App)
	bob, carol, dave := w.Member("Acme"), w.Member("Acme"), w.Member("Globex")
	same := layertest.File{Type: "image/png", Content: picture()}
	mine := one(bob.Post("/api/v1/files?name=a.png", same))[0]
	before := stored(t, w)
	hers := one(carol.Post("/api/v1/files?name=b.png", same))[0]
	if got := stored(t, w); len(got) != len(before) || mine == hers {
		t.Errorf("the same twice in one organization: %d objects, then %d", len(before), len(got))
	}
	carol.Get("/files/" + mine).NotFound(layer.RLS) // that it is the same tells nobody that there is another
	one(dave.Post("/api/v1/files?name=c.png", same))
	if got := stored(t, w); len(got) != 2*len(before) {
		t.Errorf("another organization shares it: %d objects, then %d", len(before), len(got))
	}
	bob.Delete("/api/v1/files/" + mine).NoContent()
	carol.Get("/files/" + hers).OK() // still has hers
	carol.Delete("/api/v1/files/" + hers).NoContent()
	if got := stored(t, w); len(got) != len(before) {
		t.Errorf("when both are gone: %d objects", len(got))
	}
}

// What examination finds depends on the ending of a name, so that what was taken under one is not taken under another unseen.
func TestTheSameContentUnderAnotherEnding(t *testing.T) { // SYSTEM N2
	w := layertest.World(t, commons.App)
	bob, carol := w.Member("Acme"), w.Member("Acme")
	table := layertest.File{Type: "text/plain", Content: []byte("a,b\n1,2\n")}
	for name, want := range map[string]string{"a.txt": "text/plain", "a.csv": "text/csv"} {
		id := one(bob.Post("/api/v1/files?name="+name, table))[0]
		if got := bob.Get("/files/" + id).OK().Header; !strings.HasPrefix(got.Get("Content-Type"), want) || got.Get("Content-Disposition") != "attachment; filename="+name {
			t.Errorf("%s is %s, %s", name, got.Get("Content-Type"), got.Get("Content-Disposition"))
		}
	}
	carol.Post("/api/v1/files?name=a.exe", table).Refused(415, layer.Input)
}

// A text may show as many pictures as it may, and one that is not there is said beside it.
func TestPicturesOfAText(t *testing.T) { // SYSTEM N3, A5
	w := layertest.World(t, commons.App)
	bob := w.Member("Acme")
	var text strings.Builder
	for range 50 {
		fmt.Fprintf(&text, "![x](/files/%s)\n", uploaded(bob))
	}
	bob.Post("/api/v1/posts", kv{"body": text.String()}).Created()
	for _, name := range []string{nowhere, "abc"} {
		r := bob.Browser().Post("/posts", layertest.Multipart{Fields: url.Values{"body": {"Mine, and worth keeping ![x](/files/" + name + ")"}}})
		if r.NotFound(layer.RLS); !strings.Contains(string(r.Body), "Mine, and worth keeping") || !strings.Contains(string(r.Body), "shows or has a file that is not here") {
			t.Errorf("a text that shows %s is lost, or nobody says why", name)
		}
	}
}

func TestAPictureOfSomebody(t *testing.T) { // SYSTEM I2, I8, N2
	w := layertest.World(t, commons.App)
	boss, bob, carol, dave := w.Administrator("Acme"), w.Member("Acme"), w.Member("Acme"), w.Member("Globex")
	show := func() string {
		var said struct {
			AvatarID *string `json:"avatar_id"`
		}
		bob.Get("/api/v1/me").OK().JSON(&said)
		if said.AvatarID == nil {
			return ""
		}
		return *said.AvatarID
	}
	bob.Put("/api/v1/me/avatar", layertest.File{Type: "image/png", Content: picture()}).OK()
	first := show()
	carol.Get("/files/" + first + "/small").OK()
	dave.Get("/files/" + first + "/small").NotFound(layer.RLS)
	bob.Browser().Post("/profile/avatar", layertest.Multipart{Files: []layertest.File{{Field: "picture", Name: "me.png", Content: picture()}}}).Status(303)
	second := show()
	carol.Get("/files/" + first).NotFound(layer.RLS)
	carol.Get("/files/" + second).OK()
	bob.Delete("/api/v1/me/avatar").NoContent()
	if show() != "" || len(stored(t, w)) > 0 {
		t.Errorf("it is still there: %q, %d objects", show(), len(stored(t, w)))
	}
	bob.Put("/api/v1/me/avatar", layertest.File{Type: "image/png", Content: picture()}).OK()
	third := show()
	boss.Delete("/api/v1/members/" + string(bob.Principal().Profile())).NoContent()
	carol.Get("/files/" + third).NotFound(layer.RLS)
	if len(stored(t, w)) > 0 {
		t.Error("the picture of a deleted person is still stored")
	}
}

// What an application's password is worth to a thief: every function of files asks who is there, and no table takes a row.
func TestFilesBySQLAlone(t *testing.T) { // SYSTEM D2, D4, N2
	w := layertest.World(t, commons.App)
	bob, carol, dave := w.Member("Acme"), w.Member("Acme"), w.Member("Globex")
	mine, hers, theirs := uploaded(bob), uploaded(carol), attached(dave)
	post := one(bob.Post("/api/v1/posts", kv{"body": "A post."}))[0]
	app := w.AsApp(t)
	for _, c := range []struct{ name, sql, want string }{
		{"a file is made by hand", `insert into files.file (content_id, name) values (gen_random_uuid(), 'x')`, "42501"},
		{"a file is held by nobody", `update files.file set held = 5 where id = '` + mine + `'`, "42501"},
		{"a file gets another owner", `update files.file set owner_id = null`, "42501"},
		{"a file is deleted by hand", `delete from files.file`, "42501"},
		{"content is declared kept", `update files.content set state = 'kept'`, "42501"},
		{"an object points elsewhere", `update files.object set name = 'aaaaaaaaaaaaaaaaaaaaaaaaaa.png'`, "42501"},
		{"the policy of files is altered", `alter policy seen on files.file using (true)`, "42501"},
		{"files are counted by hand", `select files.counted()`, "42501"},
		{"a holder is added", `select files.held_by('commons.post', 'author_id')`, "42501"},
		{"another's upload is attached", `insert into commons.post_file (post_id, file_id, position, inline) values ('` + post + `', '` + hers + `', 1, false)`, "23503"},
		{"another organization's file is attached", `insert into commons.post_file (post_id, file_id, position, inline) values ('` + post + `', '` + theirs + `', 1, false)`, "23503"},
		{"another's upload becomes a picture of oneself", `update commons.profile set avatar_id = '` + hers + `' where id = redoubt.profile()`, "23503"},
		{"another's upload is taken back", `select files.discard('` + hers + `')`, "f"},
		{"another's upload is read", `select count(*) from files.file where id = '` + hers + `'`, "0"},
		{"another organization's file is read", `select count(*) from files.file where id = '` + theirs + `'`, "0"},
		{"another organization's content is read", `select count(*) from files.content c where not exists (select from files.object o where o.content_id = c.id and o.organization_id = redoubt.org())`, "0"},
		{"what nobody writes is finished", `select files.keep(gen_random_uuid(), 'x')`, "23503"},
		{"nothing is written", `select files.intend('\x00', 'png', '[]')`, "23514"},
		{"an object is named by its writer", `select files.intend(sha256('x'), 'png', '[{"variant": "", "name": "../../../etc/passwd", "media_type": "image/png", "size": 1}]')`, "23514"},
		{"kept content is swept", `select files.forgotten(array(select id from files.content)); select count(*) from files.content`, "2"},
		{"the honest twin: one's own upload is attached", `insert into commons.post_file (post_id, file_id, position, inline) values ('` + post + `', '` + mine + `', 1, false)`, "INSERT 0 1"},
	} {
		if got := typed(t, app, bob, c.sql); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
	key := bob.WithKey("posts:write", "files:read")
	key.Post("/api/v1/files", layertest.File{Type: "image/png", Content: picture()}).Refused(403, layer.GateRoute)
}

// What an upload leaves behind is bounded, and goes by itself.
func TestOrphansAreCollected(t *testing.T) { // SYSTEM N2, T6
	w := layertest.World(t, commons.App)
	bob, carol := w.Member("Acme"), w.Member("Acme")
	admin := w.Admin(t)
	old, fresh, held := uploaded(bob), uploaded(bob), attached(bob)
	if _, err := admin.Exec(t.Context(), `set session_replication_role = replica`); err != nil { // the superuser has no credential, which triggers ask for
		t.Fatal(err)
	}
	if _, err := admin.Exec(t.Context(), `update files.file set created_at = now() - interval '25 hours' where id = any ($1)`, []string{old, held}); err != nil {
		t.Fatal(err)
	}
	// A process that died while it was writing, more than an hour ago.
	if _, err := admin.Exec(t.Context(), `insert into files.content (organization_id, digest, kind, since) values ($1, sha256('x'), 'png', now() - interval '61 minutes')`, w.Organization("Acme")); err != nil {
		t.Fatal(err)
	}
	last := uploaded(carol)
	carol.Delete("/api/v1/files/" + last).NoContent() // sweeps, whoever it is
	bob.Get("/files/" + old).NotFound(layer.RLS)
	bob.Get("/files/" + fresh).OK()
	bob.Get("/files/" + held).OK()
	if n, objects := scan[int](t, w, `select count(*) from files.content where organization_id = $1`, w.Organization("Acme")), len(stored(t, w)); n != 2 || objects != 6 {
		t.Errorf("%d contents and %d objects are left, want two of three sizes", n, objects)
	}
	if _, err := admin.Exec(t.Context(), `insert into files.file (organization_id, content_id, owner_id, name)
		select organization_id, content_id, owner_id, 'x' from files.file, generate_series(1, 99) where id = $1`, fresh); err != nil {
		t.Fatal(err)
	}
	bob.Post("/api/v1/files", layertest.File{Type: "image/png", Content: picture()}).Refused(429, layer.RLS)
	carol.Post("/api/v1/files", layertest.File{Type: "image/png", Content: picture()}).Created()
}

// scan asks the superuser for one value.
func scan[T any](t *testing.T, w *layertest.W, sql string, args ...any) (v T) {
	t.Helper()
	if err := w.Admin(t).QueryRow(t.Context(), sql, args...).Scan(&v); err != nil {
		t.Fatal(err)
	}
	return v
}
