package commons_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"golang.org/x/net/html"

	"github.com/redoubt-dev/redoubt/commons"
	"github.com/redoubt-dev/redoubt/layer/layertest"
)

// Second order (SYSTEM N4): text that was stored by a parameter, and so did no harm, does it when somebody reads it and puts it
// into the next statement. The texts of this file are stored in every column that takes text, by the application's own routes, and come back
// through everything that shows them as the same bytes; no row but theirs changes, and the database hears no statement that it does
// not also hear about harmless words.

// ---- the ground ----

// A ground is a town of whose database nobody else hears.
type ground struct {
	t       *testing.T
	w       *layertest.W
	admin   *pgx.Conn
	town    town
	browser *layertest.Caller // see fresh
	since   time.Time
}

func newGround(t *testing.T) *ground {
	t.Helper()
	w := layertest.Disposable(t, commons.App)
	return &ground{t: t, w: w, admin: w.Admin(t), town: settle(t, w, "Acme")}
}

// at fills the ids of the town's own things into a path.
func (o *ground) at(path string) string {
	return strings.NewReplacer("{post}", o.town.ids["posts"], "{course}", o.town.ids["courses"]).Replace(path)
}

// fresh is the administrator at a browser, who has proved who they are within three minutes.
func (o *ground) fresh() *layertest.Caller {
	if time.Since(o.since) > 3*time.Minute {
		o.browser, o.since = o.town.boss.SignIn("Acme").Browser(), time.Now()
	}
	return o.browser
}

// logged is one statement in the server's log, after the process that it was said to; parameters are not there.
var logged = regexp.MustCompile(`(?m)\[(\d+)\] LOG:  (?:execute [^:\n]+|statement): ((?:.*\n)(?:\t.*\n)*)`)

// ours are the processes that the application's own connections lead to.
const ours = `select coalesce(array_agg(pid::text), '{}') from pg_stat_activity where datname = current_database() and usename like 'redoubt%'`

// listen has the server log each statement of the ground's database, and says which it has heard from the application since the last time. The
// server is shared with other tests, and so is its log.
func (o *ground) listen() (heard func() map[string]bool) {
	o.t.Helper()
	var dir, name string
	if err := o.admin.QueryRow(o.t.Context(), `select current_setting('data_directory'), current_database()`).Scan(&dir, &name); err != nil {
		o.t.Fatal(err)
	}
	exec(o.t, o.admin, `alter database `+pgx.Identifier{name}.Sanitize()+` set log_statement = 'all'`)
	exec(o.t, o.admin, `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and usename like 'redoubt%'`)
	time.Sleep(1200 * time.Millisecond) // a pool looks after a connection that was idle for a second
	log, err := os.Open(filepath.Join(filepath.Dir(dir), "postgres.log"))
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(func() { log.Close() })
	if _, err := log.Seek(0, io.SeekEnd); err != nil {
		o.t.Fatal(err)
	}
	return func() map[string]bool {
		text, err := io.ReadAll(log)
		if err != nil {
			o.t.Fatal(err)
		}
		var processes []string
		if err := o.admin.QueryRow(o.t.Context(), ours).Scan(&processes); err != nil {
			o.t.Fatal(err)
		}
		heard := map[string]bool{}
		for _, m := range logged.FindAllSubmatch(text, -1) {
			if slices.Contains(processes, string(m[1])) {
				heard[strings.TrimSpace(string(m[2]))] = true
			}
		}
		return heard
	}
}

func exec(t *testing.T, conn *pgx.Conn, sql string, args ...any) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

// kinds are of what else the database has than rows.
const kinds = `select md5(string_agg(x, ',' order by x)) from (
 select 'class ' || oid || relname from pg_class where relpersistence = 'p' and relname not like 'pg_toast%' union all select 'function ' || oid || coalesce(prosrc, '') from pg_proc
 union all select 'policy ' || oid || coalesce(pg_get_expr(polqual, polrelid), '') from pg_policy union all select 'role ' || oid || rolname || rolsuper from pg_roles where rolname like 'redoubt%') all_ (x)`

// bystanders are all rows that stand in the application's tables now, each by its text.
func (o *ground) bystanders() map[string]bool {
	o.t.Helper()
	all := map[string]bool{}
	for _, tab := range tables(o.t, o.admin) {
		if !strings.HasPrefix(tab.Name, "commons.") {
			continue
		}
		rows, err := o.admin.Query(o.t.Context(), `select $1 || x::text from `+tab.Name+` x`, tab.Name)
		if err != nil {
			o.t.Fatal(err)
		}
		texts, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			o.t.Fatal(err)
		}
		for _, text := range texts {
			all[text] = true
		}
	}
	return all
}

// ---- writing, and reading all of it again ----

// A saying is what was put into the spots of one thing, by their names.
type saying map[string]string

func (n noun) fit(s string) (said saying, refused []string) {
	said = saying{}
	for _, p := range n.spots {
		text, ok := p.fit(s)
		if !ok {
			refused = append(refused, p.says)
			text, _ = p.fit("plain " + fmt.Sprint(len(s)))
		}
		said[p.says] = text
	}
	return said, refused
}

func (n noun) body(o *ground, said saying) kv {
	body := kv{}
	if n.rest != nil {
		body = n.rest(o)
	}
	for name, text := range said {
		body[name] = text
	}
	return body
}

// write stores texts, each by the API and by a form in turn, and sees those refused that have no business there.
func (o *ground) write(n noun, texts []string) (all []saying) {
	o.t.Helper()
	key, page, seen := o.town.boss, o.fresh(), map[string]bool{}
	program := key
	if n.browse {
		program = page
	}
	for i, s := range texts {
		said, refused := n.fit(s)
		for _, name := range refused {
			bad := maps.Clone(said)
			bad[name] = s
			if resp := program.Post(o.at(n.post), n.body(o, bad)); resp.Code < 400 || resp.Code >= 500 {
				o.t.Errorf("%q as %s of a %s: got %d, want a refusal", clip(s), name, n.name, resp.Code)
			}
		}
		name := strings.ToLower(fmt.Sprint(said))
		if len(refused) == len(n.spots) || n.once && seen[name] {
			continue
		}
		seen[name] = true
		if i%2 == 1 && n.form != "" {
			if resp := page.Post(o.at(n.form), form(n.body(o, said), n.files)); resp.Code != http.StatusSeeOther && resp.Code != http.StatusOK {
				o.t.Errorf("%q in a form for a %s: got %d", clip(s), n.name, resp.Code)
				continue
			}
		} else if resp := program.Post(o.at(n.post), n.body(o, said)); resp.Code != http.StatusOK && resp.Code != http.StatusCreated {
			o.t.Errorf("%q as a %s: got %d %s", clip(s), n.name, resp.Code, resp.Body)
			continue
		}
		all = append(all, said)
	}
	return all
}

// form is body as a page sends it, in parts if there might be files.
func form(body kv, parts bool) any {
	form := url.Values{}
	for name, value := range body {
		if list, ok := value.([]string); ok {
			form[name] = list
		} else {
			form.Set(name, fmt.Sprint(value))
		}
	}
	if parts {
		return layertest.Multipart{Fields: form}
	}
	return form
}

func clip(s string) string { return string([]rune(s)[:min(60, utf8.RuneCountInString(s))]) }

// listed is all that the API lists, page by page.
func (o *ground) listed(who *layertest.Caller, n noun) (all []kv) {
	o.t.Helper()
	for cursor, pages := "", 0; ; pages++ {
		path := o.at(n.list)
		if n.paged {
			path += "?limit=37&cursor=" + url.QueryEscape(cursor)
		}
		var list map[string]json.RawMessage
		who.Get(path).OK().JSON(&list)
		var some []kv
		if err := json.Unmarshal(list[n.key], &some); err != nil || pages > 100 {
			o.t.Fatalf("page %d of %s: %v", pages, path, err)
		}
		all, cursor = append(all, some...), ""
		if list["next"] != nil {
			json.Unmarshal(list["next"], &cursor)
		}
		if cursor == "" {
			return all
		}
	}
}

// same reports whether thing says what was said, in those spots that it shows.
func (s saying) same(thing kv) bool {
	for name, text := range s {
		if got, shown := thing[name]; shown && got != text {
			return false
		}
	}
	return true
}

// verify reads what write has written from everything that shows it. It returns the things, in the order in which they were written.
func (o *ground) verify(n noun, all []saying) (things []kv) {
	o.t.Helper()
	who := o.town.boss
	if n.browse {
		who = o.fresh()
	}
	list := o.listed(who, n)
	if n.newest {
		slices.Reverse(list)
	}
	if len(list) < len(all) {
		o.t.Fatalf("%d of %d are listed", len(list), len(all))
	}
	if n.paged || n.name == "lesson" {
		things = list[len(list)-len(all):]
		for i, said := range all {
			if !said.same(things[i]) {
				o.t.Errorf("%q of a %s is listed as %q", clip(fmt.Sprint(said)), n.name, clip(fmt.Sprint(things[i])))
			}
		}
	} else {
		for _, said := range all {
			i := slices.IndexFunc(list, said.same)
			if i < 0 {
				o.t.Errorf("%q of a %s is not listed", clip(fmt.Sprint(said)), n.name)
				continue
			}
			things, list = append(things, list[i]), slices.Delete(list, i, i+1)
		}
	}
	if !o.t.Failed() {
		o.shown(n, all, things)
	}
	return things
}

// shown looks for what was said where one thing is shown, and on pages.
func (o *ground) shown(n noun, all []saying, things []kv) {
	o.t.Helper()
	lists := map[string]bool{}
	for _, path := range n.pages {
		maps.Copy(lists, o.read(o.at(path)))
	}
	for i, said := range all {
		id := things[i]["id"].(string)
		if n.each != "" {
			var thing kv
			if o.town.boss.Get(n.each + id).OK().JSON(&thing); !said.same(thing) {
				o.t.Errorf("%q of a %s is read as %q", clip(fmt.Sprint(said)), n.name, clip(fmt.Sprint(thing)))
			}
		}
		var page, edit map[string]bool
		if n.page != "" {
			page = o.read(n.page + id)
		}
		if n.edit != "" {
			edit = o.read(n.page + id + n.edit)
		}
		for _, p := range n.spots {
			text := said[p.says]
			if edit != nil && !edit[text] {
				o.t.Errorf("the form of a %s does not show the %s %q", n.name, p.says, clip(text))
			}
			if page != nil && !p.markup && !page[text] {
				o.t.Errorf("the page of a %s does not show the %s %q", n.name, p.says, clip(text))
			}
			if len(n.pages) > 0 && !lists[text] {
				o.t.Errorf("%v do not show the %s %q", n.pages, p.says, clip(text))
			}
		}
	}
}

// read is every text and attribute of a page and of those that follow it, as a browser would find them.
func (o *ground) read(path string) map[string]bool {
	o.t.Helper()
	all := map[string]bool{}
	for pages := 0; path != ""; pages++ {
		if pages > 100 {
			o.t.Fatalf("%s: no end", path)
		}
		words, next := o.page(o.fresh(), path)
		maps.Copy(all, words)
		path = next
	}
	return all
}

// page is one page, and the address of the next.
func (o *ground) page(who *layertest.Caller, path string) (words map[string]bool, next string) {
	o.t.Helper()
	doc, err := html.Parse(bytes.NewReader(who.Get(path).OK().Body))
	if err != nil {
		o.t.Fatal(err)
	}
	words = map[string]bool{}
	for n := range doc.Descendants() {
		if n.Type == html.TextNode {
			words[n.Data] = true
		}
		to := map[string]string{}
		for _, a := range n.Attr {
			words[a.Val], to[a.Key] = true, a.Val
		}
		if n.Data == "a" && to["rel"] == "next" && strings.Contains(to["href"], "cursor=") {
			next = to["href"]
		}
	}
	return words, next
}

// first is the first page of path alone.
func (o *ground) first(path string) map[string]bool {
	o.t.Helper()
	words, _ := o.page(o.fresh(), path)
	return words
}

// trailed looks for what was said in the audit trail, which is read to its end.
func (o *ground) trailed(n noun, all []saying) {
	o.t.Helper()
	words, first := map[string]bool{}, map[string]bool{}
	for cursor, pages := int64(0), 0; ; pages++ {
		path := "/api/v1/audit?limit=100&action=" + n.entity
		if cursor > 0 {
			path += "&cursor=" + fmt.Sprint(cursor)
		}
		var trail struct {
			Events []struct {
				Changes []struct{ Field, After string }
			}
			Next int64
		}
		o.town.boss.Get(path).OK().JSON(&trail)
		for i, e := range trail.Events {
			for _, c := range e.Changes {
				if words[c.After] = true; pages == 0 && i < 20 && c.After != "" {
					first[c.After] = true
				}
			}
		}
		if cursor = trail.Next; cursor == 0 || pages > 200 {
			break
		}
	}
	page := o.first("/admin/audit?action=" + n.entity)
	for word := range first {
		if !page[word] {
			o.t.Errorf("the page of the trail does not show %q", clip(word))
		}
	}
	for _, said := range all {
		for name, text := range said {
			if r := []rune(text); len(r) > audited {
				text = string(r[:audited]) + "…"
			}
			if !words[text] {
				o.t.Errorf("the trail does not show %s %q of a %s", name, clip(text), n.name)
			}
		}
	}
}

// ---- what else shows a thing ----

// ordered looks at the copy of a product's name that an order keeps: the database makes it, of what is stored.
func ordered(o *ground, id string, said saying) {
	var order struct {
		ID   string
		Name string `json:"product_name"`
	}
	o.town.boss.Post("/api/v1/orders", kv{"product_id": id, "quantity": 1}).JSON(&order)
	if order.Name != said["name"] || !o.first("/orders/" + order.ID)[said["name"]] {
		o.t.Errorf("a product called %q is ordered as %q", clip(said["name"]), clip(order.Name))
	}
}

// quoted writes the text again as what Markdown leaves alone, and looks for it on the page.
func quoted(o *ground, _ string, said saying) {
	text := strings.TrimRight(said["body"], "\n")
	if len(text) > 4000 {
		text = "x" // its length has been tried
	}
	id := one(o.town.boss.Post("/api/v1/posts", kv{"body": "~~~~\n" + text + "\n~~~~"}))[0]
	if !o.first("/posts/" + id)[text+"\n"] {
		o.t.Errorf("%q is quoted otherwise", clip(text))
	}
}

// marked publishes a course, and looks at its title among the bookmarks.
func marked(o *ground, id string, said saying) {
	boss := o.town.boss
	boss.Post("/api/v1/courses/"+id+"/lessons", kv{"title": "Lesson", "body": "Words."}).Created()
	boss.Put("/api/v1/courses/"+id+"/state", kv{"state": "published"}).OK()
	mark := one(boss.Post("/api/v1/bookmarks", kv{"course_id": id}))[0]
	var got struct{ Title string }
	if boss.Get("/api/v1/bookmarks/" + mark).OK().JSON(&got); got.Title != said["title"] || !o.first("/bookmarks")[got.Title] {
		o.t.Errorf("the course %q is marked as %q", clip(said["title"]), clip(got.Title))
	}
}

// ---- the tests ----

func TestStoredTextStaysText(t *testing.T) { // SYSTEM N4
	t.Parallel() // with a database of its own
	o := newGround(t)
	settle(t, o.w, "Globex")
	theirs := fingerprint(t, o.admin, tables(t, o.admin), o.w.Organization("Globex"))
	heard := o.listen()
	for _, idle := range []string{`update identity.api_key set last_used_at = now() - interval '1 hour'`, `update identity.session set seen_at = now() - interval '5 minutes'`} {
		if _, err := o.admin.Exec(t.Context(), idle); err != nil { // what is sent once a minute is sent now, and known to be harmless
			t.Fatal(err)
		}
	}
	o.tell(harmless, nouns)
	o.town.boss.Post("/api/v1/roles", kv{"name": "Owner", "scopes": []string{"posts:moderate"}}).Status(http.StatusUnprocessableEntity) // by the database
	constant := heard()
	if len(constant) < 60 {
		t.Fatalf("only %d statements were heard: the server does not log them", len(constant))
	}
	bystanders, rest := o.bystanders(), scan[string](t, o.w, kinds)
	heard()
	stored := o.tell(hostile, nouns)
	for i, n := range paged() {
		o.tell(share(naughty(t), i, len(paged())), []noun{n})
	}
	for statement := range heard() {
		if !constant[statement] {
			t.Errorf("a statement is heard that was not about harmless words: %s", clip(statement))
		}
	}
	exec(t, o.w.AsApp(t), `select 'what was put together'`)
	if !heard()[`select 'what was put together'`] {
		t.Error("a statement that is not constant is not heard")
	}
	if stored < 8*len(nouns)*len(hostile)/10 {
		t.Errorf("only %d texts of %d were stored: the attack is none", stored, len(nouns)*len(hostile))
	}
	if fingerprint(t, o.admin, tables(t, o.admin), o.w.Organization("Globex")) != theirs {
		t.Error("something of another organization has changed")
	}
	if scan[string](t, o.w, kinds) != rest {
		t.Error("a table, a function, a policy or a role has changed")
	}
	now := o.bystanders()
	for row := range bystanders {
		if !now[row] {
			t.Errorf("a row has changed that nobody asked to: %s", clip(row))
		}
	}
	t.Logf("%d hostile texts stored in %d nouns; %d statements", stored, len(nouns), len(constant))
}

func paged() []noun {
	return slices.DeleteFunc(slices.Clone(nouns), func(n noun) bool { return n.entity == "" })
}

// share is every nth text from the ith on.
func share(texts []string, i, n int) (some []string) {
	for ; i < len(texts); i += n {
		some = append(some, texts[i])
	}
	return some
}

// naughty are the texts of a public list, the Big List of Naughty Strings, if there is one.
func naughty(t *testing.T) (texts []string) {
	t.Helper()
	folder := os.Getenv("REDOUBT_CORPORA")
	if folder == "" {
		t.Log("REDOUBT_CORPORA is unset: only our own texts are stored; it names the folder of blns.json")
		return nil
	}
	text, err := os.ReadFile(filepath.Join(folder, "blns.json"))
	if err == nil {
		err = json.Unmarshal(text, &texts)
	}
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(texts, func(s string) bool { return s == "" })
}

// tell writes and reads each noun with texts.
func (o *ground) tell(texts []string, nouns []noun) (stored int) {
	o.t.Helper()
	o.town.ids["courses"] = one(o.town.boss.Post("/api/v1/courses", kv{"title": "A course of its own"}))[0]
	o.town.ids["posts"] = one(o.town.boss.Post("/api/v1/posts", kv{"body": "A post of its own"}))[0]
	whole := o.t
	for _, n := range nouns {
		whole.Run(n.name, func(t *testing.T) {
			o.t = t
			defer func() { o.t = whole }()
			for some := range slices.Chunk(texts, 40) { // nobody has more than fifty keys
				all := o.write(n, some)
				things := o.verify(n, all)
				if stored += len(all); t.Failed() {
					return
				}
				if n.entity != "" {
					o.trailed(n, all)
				}
				for i, said := range all {
					if n.after != nil {
						n.after(o, things[i]["id"].(string), said)
					}
					if n.name == "invitation" { // of which an hour has fifty
						exec(t, o.admin, `update identity.invitation set created_at = created_at - interval '61 minutes'`)
					}
					if !n.paged && n.entity == "" {
						o.fresh().Delete(n.list + "/" + things[i]["id"].(string)).NoContent()
					}
				}
			}
		})
	}
	return stored
}

// The texts bite: put into statements as code does that should not, most of them break the statement or change what it says. It is done with
// a role that may do nothing.
func TestHostileTextsBiteWhereTheyAreConcatenated(t *testing.T) { // SYSTEM N4
	w := layertest.World(t, commons.App)
	app := w.AsApp(t)
	exec(t, app, `set statement_timeout = '2s'`)
	careless := map[string]struct {
		sql   string
		least int // of the texts bite
	}{
		"a constant":    {`select count(*) from (values ('a'), ('b')) v(x) where x = '%s'`, 20},
		"a number":      {`select count(*) from (values (1), (2)) v(x) where x = 1 + %s`, 100},
		"a name":        {`select count(*) from (values ('a'), ('b')) "%s"(x)`, 6},
		"a comment":     {`select 1 /* %s */`, 2},
		"a dollar":      {`select $$%s$$ is not null`, 2},
		"a pattern":     {`select count(*) from (values ('a'), ('ab')) v(x) where x like '%s'`, 25},
		"an expression": {`select count(*) from (values ('a'), ('ab')) v(x) where x ~ '%s'`, 30},
	}
	bites := map[string]bool{}
	for name, c := range careless {
		harmless, n := typedAlone(t, app, strings.ReplaceAll(c.sql, "%s", "77")), 0
		for _, s := range hostile {
			text := string([]rune(s)[:min(60, utf8.RuneCountInString(s))]) // a name of more is cut
			if typedAlone(t, app, strings.ReplaceAll(c.sql, "%s", text)) != harmless {
				n++
				if name != "a number" {
					bites[s] = true
				}
			}
		}
		if t.Logf("in the place of %s, %d of %d texts bite", name, n, len(hostile)); n < c.least {
			t.Errorf("in the place of %s, only %d texts bite, want %d", name, n, c.least)
		}
	}
	if len(bites) < 50 {
		t.Errorf("only %d texts bite somewhere", len(bites))
	}
}

// typedAlone is what a statement answers, or why not.
func typedAlone(t *testing.T, conn *pgx.Conn, sql string) string {
	t.Helper()
	results, err := conn.PgConn().Exec(t.Context(), sql).ReadAll()
	if _, undone := conn.Exec(t.Context(), "rollback"); undone != nil {
		t.Fatal(undone)
	}
	if err != nil || len(results) != 1 || len(results[0].Rows) != 1 {
		return fmt.Sprint(len(results), " results, ", err)
	}
	return string(results[0].Rows[0][0])
}
