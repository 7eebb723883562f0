package commons_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/redoubt-dev/redoubt/commons"
	"github.com/redoubt-dev/redoubt/commons/community"
	"github.com/redoubt-dev/redoubt/commons/shop"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/input/file"
	"github.com/redoubt-dev/redoubt/layer/layertest"
)

// nobodys is the id of nothing.
const nobodys = "00000000-0000-4000-8000-000000000000"

// answered is the value, the tag or the SQLSTATE that comes back last.
func answered(t *testing.T, sent *pgconn.MultiResultReader) string {
	t.Helper()
	results, err := sent.ReadAll()
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	if err != nil || len(results) == 0 {
		t.Fatal(err)
	}
	last := results[len(results)-1]
	if len(last.Rows) > 0 {
		return string(last.Rows[0][0])
	}
	return last.CommandTag.String()
}

// A life is what somebody has left behind.
type life struct{ post, comment, order string }

// live makes a row of theirs in every table of the application that refers to a profile, as they would.
func live(t *testing.T, w *layertest.W, o town, who *layertest.Caller) life {
	t.Helper()
	var l life
	who.Put("/api/v1/me/avatar", layertest.File{Type: "image/png", Content: picture()}).OK()
	l.post = who.Post("/api/v1/posts", community.WritePost{Body: "What I wrote", Files: []file.ID{file.ID(uploaded(who))}}).Created().ID
	var said community.Comment
	who.Post("/api/v1/posts/"+o.ids["posts"]+"/comments", map[string]string{"body": "What I said"}).OK().JSON(&said)
	l.comment = string(said.ID)
	who.Put("/api/v1/posts/"+o.ids["posts"]+"/like", nil).NoContent()
	o.member.Put("/api/v1/posts/"+l.post+"/like", nil).NoContent()
	o.member.Post("/api/v1/posts/"+l.post+"/comments", map[string]string{"body": "An answer"}).OK()
	l.order = who.Post("/api/v1/orders", shop.PlaceOrder{ProductID: shop.ProductID(o.ids["products"]), Quantity: 2}).Created().ID
	kept(t, w.AsApp(t), who, `
insert into commons.bookmark (post_id) values ('`+o.ids["posts"]+`');
with c as (insert into commons.course (title) values ('What I teach') returning id)
insert into commons.lesson (course_id, position, title, body) select id, 1, 'One', 'Words' from c;
update commons.course set state = 'published' where author_id = redoubt.profile();
insert into commons.lesson_done (course_id, lesson_id) select course_id, id from commons.lesson order by created_at desc limit 1`)
	return l
}

// kept runs SQL as the application, with who's own credential, and keeps what it does.
func kept(t *testing.T, conn *pgx.Conn, who *layertest.Caller, sql string) {
	t.Helper()
	err := pgx.BeginFunc(t.Context(), conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), `select redoubt.enter($1)`, who.Session()); err != nil {
			return err
		}
		return tx.Conn().PgConn().Exec(t.Context(), sql).Close()
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A tie is a foreign key to people's profiles, and what it does when one is deleted.
type tie struct {
	Table, Column, Action string
	Named                 bool // a generated column says a name in the person's place
}

func ties(t *testing.T, admin *pgx.Conn) []tie {
	t.Helper()
	rows, err := admin.Query(t.Context(), `
select k.conrelid::regclass::text as "table", a.attname as "column", k.confdeltype::text as action,
       exists (select from pg_attribute g where g.attrelid = k.conrelid and g.attgenerated = 's' and g.attname = regexp_replace(a.attname, '_id$', '_name')) as named
  from pg_constraint k join pg_attribute a on a.attrelid = k.conrelid and a.attnum = any (k.conkey) and a.attname <> 'organization_id'
 where k.contype = 'f' and k.confrelid = 'commons.profile'::regclass order by 1, 2`)
	if err != nil {
		t.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[tie])
	if err != nil || len(all) < 4 {
		t.Fatalf("%d foreign keys, %v", len(all), err)
	}
	return all
}

// Every table that knows people says what becomes of its rows: a table that is made tomorrow, too.
func TestEveryTableSaysWhatBecomesOfPeople(t *testing.T) { // SYSTEM I8, D4
	w, _, _ := newTowns(t)
	for _, r := range ties(t, w.Admin(t)) {
		if !(r.Action == "c" || r.Action == "n" && r.Named) { // CASCADE; or SET NULL, and a name in its place
			t.Errorf("%s.%s: ON DELETE is %q, named %t", r.Table, r.Column, r.Action, r.Named)
		}
	}
}

// traces are the tables in which any column of any row holds the text, by itself or as bytes.
func traces(t *testing.T, admin *pgx.Conn, text string, schemas ...string) (found []string) {
	t.Helper()
	rows, err := admin.Query(t.Context(), `select c.oid::regclass::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
		where c.relkind in ('r', 'p', 'm') and (n.nspname = any ($1) or 'commons' = any ($1) and guard.tenant_schema(n.oid)) order by 1`, schemas)
	if err != nil {
		t.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(all) == 0 {
		t.Fatalf("%d tables, %v", len(all), err)
	}
	for _, table := range all {
		var n int
		if err := admin.QueryRow(t.Context(), `select count(*) from `+table+` x where strpos(lower(to_jsonb(x)::text), lower($1)) > 0 or strpos(to_jsonb(x)::text, $2) > 0`,
			text, hex.EncodeToString([]byte(text))).Scan(&n); err != nil {
			t.Fatal(err)
		}
		if n > 0 {
			found = append(found, table)
		}
	}
	return found
}

var everywhere = []string{"commons", "identity", "redoubt"}

// facts are what says who somebody is: what members see, and what the provider says.
func facts(t *testing.T, w *layertest.W, who *layertest.Caller) map[string]string {
	t.Helper()
	found := map[string]string{"profile": string(who.Principal().Profile()), "person": string(who.Principal().Person()), "session": who.Principal().CredentialID()}
	var name, bio, subject, email string
	if err := w.Admin(t).QueryRow(t.Context(), `select a.display_name, a.bio, p.subject, p.email from commons.profile a, identity.person p where a.id = $1 and p.id = $2`,
		found["profile"], found["person"]).Scan(&name, &bio, &subject, &email); err != nil {
		t.Fatal(err)
	}
	found["display name"], found["bio"], found["subject"], found["e-mail"] = name, bio, subject, email
	return found
}

func TestADeletedPersonIsNowhere(t *testing.T) { // SYSTEM I8, U1
	w, acme, globex := newTowns(t)
	admin := w.Admin(t)
	erin := w.Administrator("Acme", layertest.Named("Erin Quill "+nonce()))
	erin.Browser().Post("/profile", url.Values{"display_name": {"Erin of Acme " + nonce()}, "bio": {"Born in " + nonce()}}).Status(303)
	l := live(t, w, acme, erin)
	known := facts(t, w, erin)
	counts := map[tie]int{}
	for _, r := range ties(t, admin) {
		if counts[r] = tied(t, admin, r, known["profile"]); counts[r] == 0 {
			t.Fatalf("%s.%s knows nothing of them: let live make a row", r.Table, r.Column)
		}
	}
	for what, text := range known { // the search finds what there is
		if len(traces(t, admin, text, everywhere...)) == 0 {
			t.Fatalf("their %s is nowhere before", what)
		}
	}
	elsewhere := fingerprint(t, admin, tables(t, admin), w.Organization("Globex"))
	key, browser := erin.WithKey("posts:read"), erin.Browser()
	key.Get("/api/v1/posts").OK()
	browser.Get("/profile").OK()

	acme.boss.Delete("/api/v1/members/" + known["profile"]).NoContent()

	key.Get("/api/v1/posts").Refused(401, layer.Identity)
	erin.Get("/api/v1/posts").Refused(401, layer.Identity)
	browser.Get("/profile").Refused(303, layer.GateRoute)
	for what, text := range known {
		if found := traces(t, admin, text, everywhere...); len(found) > 0 {
			t.Errorf("their %s is in %v", what, found)
		}
	}
	for _, what := range []string{"display name", "bio", "subject", "e-mail"} { // the audit trail keeps ids that now mean nobody
		if found := traces(t, admin, known[what], "audit"); len(found) > 0 {
			t.Errorf("their %s is in the audit trail", what)
		}
	}
	var events string
	admin.QueryRow(t.Context(), `select string_agg(concat_ws(' ', category, action, actor), ', ') from audit.log where entity_id = $1 and category <> 'row' and action like 'member.erased%'`,
		known["profile"]).Scan(&events)
	if want := "lifecycle member.erased " + string(acme.boss.Principal().Profile()); events != want {
		t.Errorf("the audit trail says %q, want %q", events, want)
	}
	remains(t, acme, l)
	acme.boss.Delete("/api/v1/members/" + known["profile"]).NotFound(layer.Identity) // gone is gone
	if fingerprint(t, admin, tables(t, admin), w.Organization("Globex")) != elsewhere {
		t.Error("Globex's rows have changed")
	}
	globex.member.Get("/api/v1/posts").OK()
}

// remains looks at what is left of a life.
func remains(t *testing.T, o town, l life) {
	t.Helper()
	var post community.Post
	o.member.Get("/api/v1/posts/" + l.post).OK().JSON(&post)
	if post.AuthorID != nil || post.Author != "[Deleted User]" || post.Body != "What I wrote" || post.Likes != 1 || post.Comments != 1 || post.Mine {
		t.Errorf("the post: %+v", post)
	}
	o.member.Get("/api/v1/posts/" + o.ids["posts"]).OK().JSON(&post)
	if post.Likes != 1 || post.Comments != 2 { // its author's own like is left, and what was said
		t.Errorf("the post that they liked: %+v", post)
	}
	var said community.CommentList
	o.member.Get("/api/v1/posts/" + o.ids["posts"] + "/comments").OK().JSON(&said)
	if i := slices.IndexFunc(said.Comments, func(c community.Comment) bool { return string(c.ID) == l.comment }); i < 0 || said.Comments[i].Author != "[Deleted User]" || said.Comments[i].AuthorID != nil {
		t.Errorf("the comments: %+v", said)
	}
	var order shop.Order
	o.boss.Get("/api/v1/orders/" + l.order).OK().JSON(&order)
	if order.Buyer != "[Deleted User]" || order.TotalCents != 3600 || order.Mine {
		t.Errorf("the order: %+v", order)
	}
	for _, path := range []string{"/", "/posts/" + l.post, "/posts/" + o.ids["posts"]} {
		if page := string(o.member.Browser().Get(path).OK().Body); !strings.Contains(page, `who-gone">[Deleted User]<`) {
			t.Errorf("%s does not show a deleted author", path)
		}
	}
	// What nobody owns is nobody's to change, and the sellers' and moderators' to settle.
	o.member.Put("/api/v1/posts/"+l.post, map[string]string{"body": "mine now"}).Refused(403, layer.GateAction)
	o.member.Delete("/api/v1/posts/"+l.post).Refused(403, layer.GateAction)
	o.member.Delete("/api/v1/comments/"+l.comment).Refused(403, layer.GateAction)
	o.boss.Post("/api/v1/orders/"+l.order+"/cancel", nil).NoContent()
	o.boss.Browser().Get("/orders/" + l.order).OK()
	o.boss.Browser().Get("/admin/audit").OK()
	o.boss.Delete("/api/v1/posts/" + l.post).NoContent()
}

func tied(t *testing.T, admin *pgx.Conn, r tie, profile string) (n int) {
	t.Helper()
	if err := admin.QueryRow(t.Context(), `select count(*) from `+r.Table+` where `+r.Column+` = $1`, profile).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func nonce() string { return fmt.Sprintf("%x", time.Now().UnixNano()) }

// Who is a member of two organizations leaves one of them.
func TestLeavingOneOfTwoOrganizations(t *testing.T) { // SYSTEM I8, I4
	w, acme, globex := newTowns(t)
	admin := w.Admin(t)
	here := w.Member("Acme", layertest.AlsoOf("Globex"))
	there := here.SignIn("Globex")
	there.Browser().Post("/onboarding", url.Values{"display_name": {"Erin of Globex " + nonce()}}).Status(303)
	post := there.Post("/api/v1/posts", community.WritePost{Body: "What I wrote there"}).Created()
	here.Post("/api/v1/posts", community.WritePost{Body: "What I wrote here"}).Created()
	profile, key := string(here.Principal().Profile()), here.WithKey("posts:read")
	key.Get("/api/v1/posts").OK()
	elsewhere := fingerprint(t, admin, tables(t, admin), w.Organization("Globex"))

	left := here.Browser().Post("/profile/delete", url.Values{}).Status(303)
	if to := left.Header.Get("Location"); to != "/signed-out" {
		t.Errorf("it leads to %q", to)
	}
	here.Browser().Get("/orders").Refused(303, layer.GateRoute)
	key.Get("/api/v1/posts").Refused(401, layer.Identity)
	if found := traces(t, admin, profile, everywhere...); len(found) > 0 {
		t.Errorf("their profile is in %v", found)
	}
	if fingerprint(t, admin, tables(t, admin), w.Organization("Globex")) != elsewhere {
		t.Error("Globex's rows have changed")
	}
	there.Browser().Get("/profile").OK()
	var read community.Post
	globex.member.Get("/api/v1/posts/" + post.ID).OK().JSON(&read)
	if read.AuthorID == nil || *read.AuthorID != there.Principal().Profile() || !strings.HasPrefix(read.Author, "Erin of Globex") {
		t.Errorf("got %+v", read)
	}
	acme.boss.Delete("/api/v1/members/" + string(there.Principal().Profile())).NotFound(layer.RLS) // no say over there
	there.Browser().Post("/profile/delete", url.Values{}).Status(303)                              // and then the last one
	if found := traces(t, admin, string(here.Principal().Person()), everywhere...); len(found) > 0 {
		t.Errorf("the person is in %v", found)
	}
}

func TestWhoMayDeleteWhom(t *testing.T) { // SYSTEM I8, A3, A4, A5
	w, acme, globex := newTowns(t)
	bob := string(w.Member("Acme").Principal().Profile())
	at := "/api/v1/members/" + bob
	w.Stranger().Delete(at).Refused(403, layer.Transport) // by a browser that did not read a page of ours
	acme.member.Delete(at).Refused(403, layer.GateRoute)
	acme.member.Browser().Delete(at).Refused(403, layer.GateRoute)
	acme.member.Browser().Post("/admin/members/"+bob+"/delete", url.Values{}).NotFound(layer.GateRoute)
	acme.boss.WithKey("members:read", "members:write").Delete(at).Refused(403, layer.GateRoute)
	globex.boss.Delete(at).NotFound(layer.RLS)
	globex.boss.Browser().Post("/admin/members/"+bob+"/delete", url.Values{}).NotFound(layer.RLS)
	acme.boss.Delete("/api/v1/members/" + nobodys).NotFound(layer.Identity)
	acme.boss.Browser().Post("/profile/delete", url.Values{"id": {bob}}).Refused(422, layer.Input) // of nobody but oneself
	acme.member.Post("/profile/delete", url.Values{}).Refused(403, layer.GateRoute)                // a key is no person
	app := w.AsApp(t)
	for _, a := range []struct {
		name, sql, want string
		who             *layertest.Caller
	}{
		{"a member, another", `select redoubt.erase_member('` + bob + `')`, "RD403", acme.member},
		{"an administrator, a member elsewhere", `select redoubt.erase_member('` + bob + `')`, "f", globex.boss},
		{"a member, nobody", `select redoubt.erase_member(null)`, "RD403", acme.member},
		{"an administrator, a profile without its membership", `delete from commons.profile where id = '` + bob + `'`, "42501", acme.boss},
		{"an administrator, a membership", `delete from identity.membership where id = '` + bob + `'`, "42501", acme.boss},
		{"an author, their own id", `update commons.post set author_id = null`, "42501", acme.member},
		{"an administrator, an author's id", `update commons.comment set author_id = null`, "42501", acme.boss},
		{"an administrator, a buyer's id", `update commons.order_ set buyer_id = null`, "42501", acme.boss},
		{"an administrator, an author's name", `insert into commons.post (body, author_name) values ('x', 'y')`, "428C9", acme.boss},
		{"a member, themselves", `select redoubt.erase_member(redoubt.profile())`, "t", acme.member}, // which they may; it is undone
		{"an administrator, another", `select redoubt.erase_member('` + bob + `')`, "t", acme.boss},
	} {
		if got := typed(t, app, a.who, a.sql); got != a.want {
			t.Errorf("%s: got %s, want %s", a.name, got, a.want)
		}
	}
	var there bool
	if w.Admin(t).QueryRow(t.Context(), `select true from commons.profile where id = $1`, bob).Scan(&there); !there {
		t.Fatal("they are gone")
	}
	page := string(acme.boss.Browser().Get("/admin/members").OK().Body)
	if !strings.Contains(page, `action="/admin/members/`+bob+`/delete"`) || strings.Contains(page, string(acme.boss.Principal().Profile())+`/delete"`) {
		t.Error("the page does not offer to delete others, or offers to delete oneself among them")
	}
	if page := string(acme.member.Browser().Get("/profile").OK().Body); !strings.Contains(page, `action="/profile/delete"`) {
		t.Error("the profile does not offer to leave")
	}
	unintroduced := w.Member("Acme", layertest.Unintroduced())
	acme.boss.Delete("/api/v1/members/" + string(unintroduced.Principal().Profile())).NoContent() // who never came in
	acme.boss.Browser().Post("/admin/members/"+bob+"/delete", url.Values{}).Status(http.StatusSeeOther)
	acme.boss.Browser().Delete("/api/v1/members/" + string(acme.boss.Principal().Profile())).NoContent() // an administrator, themselves
	acme.boss.Browser().Get("/admin/members").Refused(303, layer.GateRoute)
}

// A key is no person: it does not end whose it is, whatever SQL it is used with.
func TestAKeyDoesNotDeleteWhoseItIs(t *testing.T) { // SYSTEM I8, I9
	w, acme, _ := newTowns(t)
	conn := w.AsApp(t)
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(context.Background())
	if _, err := tx.Exec(t.Context(), `select redoubt.enter($1)`, acme.member.APIKey()); err != nil {
		t.Fatal(err)
	}
	if got := answered(t, conn.PgConn().Exec(t.Context(), `select redoubt.erase_member(redoubt.profile())`)); got != "RD403" {
		t.Errorf("got %s", got)
	}
}

// What somebody is writing at the moment at which they are deleted does not outlive them in their name.
func TestWritingWhileBeingDeleted(t *testing.T) { // SYSTEM I8
	w, acme, _ := newTowns(t)
	erin := w.Member("Acme")
	tx, err := w.AsApp(t).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(context.Background())
	if _, err := tx.Exec(t.Context(), `select redoubt.enter($1)`, erin.Session()); err != nil {
		t.Fatal(err)
	}
	var post string
	if err := tx.QueryRow(t.Context(), `insert into commons.post (body) values ('Last words') returning id`).Scan(&post); err != nil {
		t.Fatal(err)
	}
	done := make(chan int)
	go func() { done <- acme.boss.Delete("/api/v1/members/" + string(erin.Principal().Profile())).Code }()
	select {
	case code := <-done:
		t.Fatalf("it did not wait: %d", code)
	case <-time.After(300 * time.Millisecond):
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if code := <-done; code != http.StatusNoContent {
		t.Fatalf("got %d", code)
	}
	var read community.Post
	acme.member.Get("/api/v1/posts/" + post).OK().JSON(&read)
	if read.AuthorID != nil || read.Author != "[Deleted User]" {
		t.Errorf("got %+v", read)
	}
}

// Whoever wrote a great deal can be deleted too, though it takes longer than a statement usually may.
func TestDeletingTakesItsTime(t *testing.T) { // SYSTEM I8
	t.Parallel() // it waits
	w := layertest.Disposable(t, commons.App)
	boss, bob := w.Administrator("Acme"), w.Member("Acme")
	if got := typed(t, w.AsApp(t), boss, `show statement_timeout`); got != "5s" {
		t.Fatalf("a statement may take %s", got)
	}
	slow := `create function commons.slow() returns trigger language plpgsql as 'begin perform pg_sleep(5.5); return old; end';
		create trigger slow before delete on commons.profile for each row execute function commons.slow()`
	if err := w.Admin(t).PgConn().Exec(t.Context(), slow).Close(); err != nil {
		t.Fatal(err)
	}
	// As the tables' owner, who deletes in the end, may otherwise not: the application's functions do not sleep.
	if _, err := w.Admin(t).Exec(t.Context(), `grant execute on function pg_sleep(double precision) to redoubt_owner`); err != nil {
		t.Fatal(err)
	}
	boss.Delete("/api/v1/members/" + string(bob.Principal().Profile())).NoContent()
	bob.Browser().Get("/orders").Refused(303, layer.GateRoute)
}
