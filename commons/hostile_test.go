package commons_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/commons"
	"github.com/redoubt-dev/redoubt/layer/input"
	"github.com/redoubt-dev/redoubt/layer/layertest"
)

// What is stored by the tests of second order, and where: see secondorder_test.go.

// hostile are texts for everything that might make a statement, a pattern, a template, a sheet or a page of one.
var hostile = []string{
	// statements
	`'`, `''`, `"`, `\`, `\'`, `';--`, `' OR '1'='1`, `' OR 1=1 --`, `") OR ("1"="1`, `1 OR 1=1`, `x'); DELETE FROM commons.post; --`, `'; DROP TABLE commons.order_; --`,
	`' UNION SELECT id::text FROM commons.profile --`, `'||(SELECT redoubt.org())||'`, `'; SET ROLE redoubt_owner; --`, `'; COPY commons.post TO STDOUT; --`, `' || pg_sleep(0) || '`,
	`$$`, `$$; SELECT 1; $$`, `$body$ x $body$`, `$1`, `$1, $2 -- $3`, `:name ?`, `E'\x27'`, `E'\\'' OR true`, `U&'\0027'`, `B'1' X'1F'`, `/* x`, `*/ --`, `/*/**/*/`, `x -- y`, `x # y`, `;`, `x'::regclass`,
	`x::int`, `CAST('x' AS int)`, `'::jsonb->'a`, `{"a": "b"}`, `{"a'": null}`, `{a,b,NULL}`, `{`, `["x"]`, `(1,2)`, `[1,2)`, `ROW(1)`, `%I %L %s %%`, `%s%s%n%x`, `%1$I`, `current_user`, `NULL`, `null`, `\N`, `\.`, `true`, `0`, `-1`, `1e400`, `NaN`, `infinity`, `today`,
	nowhere,
	// patterns
	`%`, `_`, `%%`, `a_b`, `100%`, `\%`, `\_`, `.*`, `^$`, `(?i)x`, `[`, `(`, `a{1,99999}`, `(a+)+$`, `$.a[*] ? (@.b > 1)`, `strict $`, `a & b | !c <-> d:*`, `'a':1A`,
	// templates, pages, sheets, mails, shells, lookups
	`{{.}}`, `{{template "layout" .}}`, `{% raw %}`, `${7*7}`, `#{7*7}`, `<%= 1 %>`, `<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `</textarea></title><b>`, `&lt;b&gt; &amp;quot; &#39;`, `<!-- x`, `]]>`, "`x`", `javascript:alert(1)`, `=cmd|' /C calc'!A0`, `@SUM(1+1)`, `+1+1`, `=HYPERLINK("//x")`, `$(id)`, `|id`, `${jndi:ldap://x}`, `../../etc/passwd`, `%00`, `%0d%0aX: y`,
	// letters
	"é", "e\u0301", "\u212b", "\u00c5", "ﬁ", "İstanbul ı", "ß ẞ SS", "ſ K", "ʼ ′ ’ ＇", "＼ ＂ ；", "аdmin", "ｓｅｌｅｃｔ", "z\u0351\u0352\u0353\u0354\u0355", "👩\u200d👩\u200d👧", "🏴\U000e0067\U000e0062\U000e007f", "\ufffd", "\ufeffx", "x\u200by", "x\u00ady", "\u00a0x\u00a0", "مرحبا \u200fx", "שלום", "日本語", "𝕊𝔼𝕃𝔼ℂ𝕋", "\u0e33\u0e33", "\U0010fffd", "\ufdd0",
	// lines, and what has no business in text
	"a\nb", "a\n--\nb", "\nx", "x\n", "a\tb", "a\r\nb", "a\x00b", "a\x1bb", "a\u0085b", "a\u2028b", "a\u2029b", "\u202etxt.exe", "a\u2066b\u2069", "\ufffe",
	// as long as there is room, in letters of one, two and four bytes
	strings.Repeat("x'", 12_000), strings.Repeat("é", 24_000), strings.Repeat("💩", 24_000), strings.Repeat(`\`, 24_000), strings.Repeat("100% ", 5_000),
}

var harmless = []string{"Plain words", "More of them", "And an end"}

// ---- what a spot takes ----

// A spot is where callers put text.
type spot struct {
	says    string // as its route calls it
	column  string
	long    int  // code points; of Markdown no more than fit its bytes, if each had four
	lines   bool // it may have several
	trimmed bool // it neither begins nor ends with a space
	shape   func(string) (string, bool)
	markup  bool // it is Markdown or an address: pages show what it means, and forms what it is
}

// fit makes of s what the spot takes, by rules that stand here a second time; ok is false for what it has to refuse.
func (p spot) fit(s string) (_ string, ok bool) {
	if p.lines {
		s = strings.ReplaceAll(s, "\r\n", "\n")
	}
	for _, r := range s {
		control := unicode.IsControl(r) || r == '\u2028' || r == '\u2029'
		if p.lines {
			control = unicode.IsControl(r) && r != '\n' && r != '\t'
		}
		if control || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069' {
			return "", false
		}
	}
	if p.shape != nil {
		if s, ok = p.shape(s); !ok {
			return "", false
		}
	}
	if r := []rune(s); len(r) > p.long {
		s = string(r[:p.long])
	}
	if p.trimmed {
		s = strings.Trim(s, " ")
	}
	return s, s != ""
}

// inAddress keeps of s what an address may hold as it is.
func inAddress(s string) (string, bool) {
	s = strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' || strings.ContainsRune("\"\\<>^`{|}[]", r) {
			return -1
		}
		return r
	}, s)
	s = "https://example.test/?" + s[:min(len(s), 400)]
	_, err := url.Parse(s)
	return s, err == nil
}

// inMailbox keeps of s what the part of a mail's address before the @ may hold.
func inMailbox(s string) (string, bool) {
	s = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || strings.ContainsRune("!#$%&'*+/=?^_`{|}~-", r) {
			return r
		}
		return -1
	}, strings.ToLower(s))
	return s[:min(len(s), 60)] + "@example.test", s != ""
}

// inSubject puts s where a machine's subject has room.
func inSubject(s string) (string, bool) {
	s = strings.Map(func(r rune) rune {
		if strings.ContainsRune(":/*", r) || !unicode.IsGraphic(r) {
			return -1
		}
		return r
	}, s)
	s = strings.TrimSpace(strings.ToValidUTF8(s[:min(len(s), 100)], ""))
	return "repo:" + s, s != ""
}

// inFileName keeps of s what a file may be called.
func inFileName(s string) (string, bool) {
	if strings.ContainsAny(s, `/\`) || strings.Contains(s, "\n") {
		return "", false
	}
	return string([]rune(s)[:min(utf8.RuneCountInString(s), 100)]) + ".txt", true
}

// A noun is one thing that callers write, and all that shows it.
type noun struct {
	name   string
	spots  []spot
	post   string // JSON is sent to it
	form   string // and a form; empty for none
	files  bool   // which may have files
	rest   func(o *ground) kv
	browse bool   // a person alone may
	list   string // where all are, in the API
	key    string // and as which member
	paged  bool   // it is read with cursors, in the order of time
	newest bool   // and says the newest first
	each   string // where one is, in the API
	pages  []string
	page   string                                  // of one
	edit   string                                  // its form
	entity string                                  // in the audit trail
	once   bool                                    // no two have one name, whatever the case of its letters
	after  func(o *ground, id string, said saying) // what else shows it
}

const audited = 200 // the most letters of a value that the list of the audit trail shows

var nouns = []noun{
	{name: "product", post: "/api/v1/products", list: "/api/v1/products", key: "products", paged: true, newest: true, each: "/api/v1/products/", pages: []string{"/products"}, entity: "commons.product",
		spots: []spot{{says: "name", column: "commons.product.name", long: 100}, {says: "description", column: "commons.product.description", long: 1000, lines: true}},
		rest:  func(*ground) kv { return kv{"price_cents": 100} }, after: ordered},
	{name: "order", post: "/api/v1/orders", form: "/orders", list: "/api/v1/orders", key: "orders", paged: true, newest: true, each: "/api/v1/orders/", page: "/orders/", entity: "commons.order_",
		spots: []spot{{says: "notes", column: "commons.order_.notes", long: 500, lines: true}},
		rest:  func(o *ground) kv { return kv{"product_id": o.town.ids["products"], "quantity": 1} }},
	{name: "post", post: "/api/v1/posts", form: "/posts", files: true, list: "/api/v1/posts", key: "posts", paged: true, newest: true, each: "/api/v1/posts/", page: "/posts/", edit: "/edit", entity: "commons.post",
		spots: []spot{{says: "body", column: "commons.post.body", long: 5000, lines: true, markup: true}}, after: quoted},
	{name: "comment", post: "/api/v1/posts/{post}/comments", form: "/posts/{post}/comments", list: "/api/v1/posts/{post}/comments", key: "comments", paged: true, pages: []string{"/posts/{post}"}, entity: "commons.comment",
		spots: []spot{{says: "body", column: "commons.comment.body", long: 2000, lines: true}}},
	{name: "course", post: "/api/v1/courses", form: "/courses", list: "/api/v1/courses", key: "courses", paged: true, newest: true, each: "/api/v1/courses/", page: "/courses/", edit: "/edit", pages: []string{"/courses"}, entity: "commons.course",
		spots: []spot{{says: "title", column: "commons.course.title", long: 100, trimmed: true}, {says: "summary", column: "commons.course.summary", long: 1000, lines: true}},
		after: marked},
	{name: "lesson", post: "/api/v1/courses/{course}/lessons", list: "/api/v1/courses/{course}/lessons", key: "lessons", each: "/api/v1/lessons/", page: "/lessons/", edit: "/edit", entity: "commons.lesson",
		spots: []spot{{says: "title", column: "commons.lesson.title", long: 100, trimmed: true}, {says: "video_url", column: "commons.lesson.video_url", long: 500, shape: inAddress, markup: true},
			{says: "body", column: "commons.lesson.body", long: 16_000, lines: true, markup: true}}},
	{name: "API key", post: "/api/v1/api-keys", list: "/api/v1/api-keys", key: "api_keys", browse: true, pages: []string{"/keys"},
		spots: []spot{{says: "name", column: "identity.api_key.name", long: 100}},
		rest:  func(*ground) kv { return kv{"scopes": []string{"posts:read"}, "expires_in_days": 1} }},
	{name: "machine", post: "/api/v1/machines", form: "/admin/machines", list: "/api/v1/machines", key: "machines", browse: true, pages: []string{"/admin/machines"},
		spots: []spot{{says: "name", column: "identity.federation.name", long: 100}, {says: "subject_pattern", column: "identity.federation.subject_pattern", long: 255, shape: inSubject}},
		rest: func(*ground) kv {
			return kv{"issuer": layertest.MachineIssuer, "scopes": []string{"posts:read"}, "uses": 1, "expires_in_days": 30}
		}},
	{name: "directory", post: "/api/v1/directories", list: "/api/v1/directories", key: "connections", browse: true, pages: []string{"/admin/directory"},
		spots: []spot{{says: "name", column: "identity.endpoint.name", long: 100, trimmed: true}}},
	{name: "role", post: "/api/v1/roles", form: "/organization/roles", rest: func(*ground) kv { return kv{"scopes": []string{"posts:moderate"}} }, list: "/api/v1/roles", key: "roles", pages: []string{"/organization/roles"}, once: true,
		spots: []spot{{says: "name", column: "identity.organization_role.name", long: 50, trimmed: true}}},
	{name: "invitation", post: "/api/v1/invitations", form: "/organization/invitations", list: "/api/v1/invitations", key: "invitations", pages: []string{"/organization/invitations"}, once: true,
		spots: []spot{{says: "email", column: "identity.invitation.address", long: 254, shape: inMailbox}},
		rest:  func(*ground) kv { return kv{"role": "guest"} }},
}

// others are columns that tests of this file fill by themselves.
var others = map[string]string{
	"commons.profile.display_name": "TestNamesOfPeople", "commons.profile.bio": "TestNamesOfPeople", "identity.person.name": "TestNamesOfPeople",
	"identity.organization.name": "TestNamesOfOrganizations", "files.file.name": "TestNamesOfFiles", "identity.session.user_agent": "TestWhatABrowserCallsItself",
	"identity.scim_user.user_name": "TestNamesInADirectory", "identity.scim_user.external_id": "TestNamesInADirectory", "identity.scim_user.display_name": "TestNamesInADirectory",
	"identity.scim_user.given_name": "TestNamesInADirectory", "identity.scim_user.family_name": "TestNamesInADirectory", "identity.scim_user.formatted_name": "TestNamesInADirectory",
	"identity.scim_user.emails": "TestNamesInADirectory", "identity.scim_group.display_name": "TestNamesInADirectory", "identity.scim_group.external_id": "TestNamesInADirectory",
	"commons.post_link.url": "TestWhatAPageSaysOfItself", "commons.post_link.title": "TestWhatAPageSaysOfItself",
	"commons.post_link.description": "TestWhatAPageSaysOfItself", "commons.post_link.site": "TestWhatAPageSaysOfItself",
	"audit.log.changes": "TestStoredTextStaysText, which reads there what the nouns say", "commons.order_.product_name": "TestStoredTextStaysText, of each product",
	"commons.post.html": "TestStoredTextStaysText, made of the body", "commons.lesson.html": "TestStoredTextStaysText, made of the body",
}

// unwritten are the columns of text that no caller puts words into, with the reason why. The list only shrinks.
var unwritten = map[string]string{
	"audit.log.action": "constants of the application's and of triggers", "audit.log.category": "a closed list", "audit.log.entity": "names of tables and constants",
	"audit.log.entity_id": "ids", "audit.log.db_role": "the database's own word", "audit.log.visit": "the address that the edge saw, and an id that it made",
	"commons.course.state": "a closed list", "commons.order_.state": "a closed list",
	"files.content.kind": "found by examining the file", "files.content.state": "a closed list", "files.object.media_type": "found by examining the file",
	"files.object.name": "128 random bits and our extension", "files.object.variant": "the application's own names of sizes",
	"identity.admission.group_name": "whoever runs the deployment maps groups; nobody does by a route", "identity.admission.issuer": "likewise", "identity.admission.role": "a closed list",
	"identity.api_key.hint": "the first letters of a random key", "identity.api_key.scopes": "a closed list; see closed", "identity.endpoint.scopes": "a constant",
	"identity.federation.audience": "made of the organization's id", "identity.federation.issuer": "a closed list; see closed", "identity.federation.scopes": "a closed list; see closed",
	"identity.invitation.role": "a closed list; see closed", "identity.invitation.accepted_as": "equal to the address, by a check", "identity.job_grant.job": "constants of the application's", "identity.job_grant.scopes": "a closed list",
	"identity.logout.issuer": "the provider's signed word; see layer/identity", "identity.logout.sid": "likewise", "identity.logout.token_id": "likewise",
	"identity.machine_token.scopes": "a closed list", "identity.machine_token.subject": "the machine's provider's signed word, matched by a pattern; see layer/identity",
	"identity.membership.admitted": "a group that the deployment has mapped", "identity.membership.may": "made of scopes", "identity.membership.role": "a closed list; see closed",
	"identity.membership.scopes": "a closed list", "identity.organization_issuer.issuer": "whoever runs the deployment says it", "identity.organization_role.scopes": "a closed list; see closed",
	"identity.person.email": "the provider's signed word; see layer/identity", "identity.person.issuer": "likewise", "identity.person.subject": "likewise",
	"identity.scim_endpoint.issuer": "one of the organization's own, or refused", "identity.scim_user.issuer": "likewise",
	"identity.session.address": "what the edge saw", "identity.session.seen_address": "what the edge saw", "identity.session.assurance": "the provider's signed word",
	"identity.session.id_token": "the provider's signed word", "identity.session.issuer": "a configured provider", "identity.session.sid": "the provider's signed word",
}

// unstored are the texts that routes take and nobody stores, by package and name, with the reason why.
var unstored = map[string]string{
	"attachment.text": "a draft, which the answer shows and nothing keeps", "account.issuer": "a closed list; see closed", "account.scopes": "a closed list; see closed",
	"organization.scopes": "a closed list; see closed", "organization.own_role_id": "an id", "directory.issuer": "one of the organization's own",
	"redoubt.return": "a path, kept in a sealed cookie", "redoubt.provider": "one of the configured", "redoubt.logout_token": "a signed token",
	"redoubt.grant_type": "a constant", "redoubt.subject_token": "a signed token", "redoubt.subject_token_type": "a constant", "redoubt.requested_token_type": "a constant",
	"redoubt.audience": "compared and forgotten", "redoubt.scope": "a closed list", "redoubt.client_id": "not looked at", "redoubt.name": "the name of an organization: TestNamesOfOrganizations",
	"account.display_name": "TestNamesOfPeople", "account.bio": "TestNamesOfPeople", "organization.name": "TestNamesOfOrganizations, and roles",
}

// The lists above are complete: every column of text in a table of organizations is in exactly one of them, and every text that a route takes.
func TestEveryTextHasAHostileTwin(t *testing.T) { // SYSTEM N4
	w := layertest.World(t, commons.App)
	known, said := map[string]int{}, map[string]bool{}
	for _, n := range nouns {
		for _, p := range n.spots {
			known[p.column]++
			for _, r := range w.Routes() {
				if r.Method() == http.MethodPost && r.Path() == anyID.ReplaceAllString(n.post, "{id}") {
					said[home(r)+"."+p.says] = true
				}
			}
		}
	}
	for column := range maps.Keys(others) {
		known[column]++
	}
	for column := range maps.Keys(unwritten) {
		known[column]++
	}
	columns := textColumns(t, w.Admin(t))
	if len(columns) < 60 {
		t.Fatalf("the catalogs name %d columns of text: this test reads them wrongly", len(columns))
	}
	for _, column := range columns {
		if known[column] != 1 {
			t.Errorf("%s stands in %d of the lists: say in nouns which route fills it, or in unwritten why none does", column, known[column])
		}
	}
	for column := range known {
		if !slices.Contains(columns, column) {
			t.Errorf("%s is no column of text", column)
		}
	}
	taken := map[string]bool{}
	for _, r := range w.Routes() {
		for _, name := range freeTexts(t, r) {
			taken[name] = true
			if !said[name] && unstored[name] == "" {
				t.Errorf("%s takes the text %s: fill it with a noun, or say in unstored why nothing keeps it", r.Pattern, name)
			}
		}
	}
	for name := range unstored {
		if !taken[name] {
			t.Errorf("no route takes the text %s", name)
		}
	}
}

var anyID = regexp.MustCompile(`\{\w+\}`)

// home is the package of what r takes.
func home(r redoubt.Route) string {
	name, _, _ := strings.Cut(r.In().String(), ".")
	return name
}

// freeTexts are the texts in a body that r takes, but for those that can only be one of a few, or an id.
func freeTexts(t *testing.T, r redoubt.Route) (names []string) {
	t.Helper()
	if r.Takes() == input.ModeNone || r.Takes() == input.ModeContent {
		return nil
	}
	schema, err := input.For(r.In(), r.Takes())
	if err != nil {
		t.Fatal(err)
	}
	document, err := schema.JSONSchema()
	if err != nil {
		t.Fatal(err)
	}
	type value struct {
		Type   any
		Enum   []string
		Format string
		Items  *value
	}
	var body struct{ Properties map[string]value }
	if err := json.Unmarshal(document, &body); err != nil {
		t.Fatal(err)
	}
	for name, v := range body.Properties {
		if v.Items != nil {
			v = *v.Items
		}
		if strings.Contains(fmt.Sprint(v.Type), "string") && v.Enum == nil && v.Format != "uuid" && v.Format != "binary" && r.Path() != "/csp-reports" {
			names = append(names, home(r)+"."+name)
		}
	}
	return names
}

// textColumns are those of the tables of organizations and of identity's, by the catalog's word. What a table generates it makes of others.
func textColumns(t *testing.T, admin *pgx.Conn) []string {
	t.Helper()
	rows, err := admin.Query(t.Context(), `
select n.nspname || '.' || c.relname || '.' || a.attname
  from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
       join pg_type y on y.oid = a.atttypid left join pg_type e on e.oid = y.typelem and y.typcategory = 'A'
 where c.relkind in ('r', 'p') and not c.relispartition and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
   and coalesce(e.typcategory, y.typcategory) in ('S', 'U') and coalesce(e.typname, y.typname) not in ('uuid', 'bytea')
   and (n.nspname = 'identity' or exists (select from pg_attribute o where o.attrelid = c.oid and o.attname = 'organization_id' and not o.attisdropped)) order by 1`)
	if err != nil {
		t.Fatal(err)
	}
	columns, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return columns
}
