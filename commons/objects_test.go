package commons_test

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/commons"
	"github.com/redoubt-dev/redoubt/layer/input"
	"github.com/redoubt-dev/redoubt/layer/layertest"
	"github.com/redoubt-dev/redoubt/layer/rls"
	"github.com/redoubt-dev/redoubt/layer/transport"
)

// Here is declared, once for every test that asks for all there is, what a request needs besides its route: the states in which
// an object may be found, and a body that is valid, so that nothing but who asks and what for can be wrong. A route that needs a
// declaration and has none fails the tests. A noun's own tests may declare it beside themselves.

// nowhere is the id of nothing.
const nowhere = "00000000-0000-4000-8000-000000000000"

// A cast is the people of a matrix. They make things by keys, which live on when a request ends their sessions.
type cast struct {
	t              *testing.T
	w              *layertest.W
	conn           *pgx.Conn // to look who is there
	member, other  *layertest.Caller
	boss, outsider *layertest.Caller // administrators: outsider of Globex
	neighbour      *layertest.Caller // a member of Globex, to whom belongs what another organization has
}

func newCast(t *testing.T) *cast {
	t.Helper()
	c := &cast{t: t, w: layertest.World(t, commons.App)}
	c.other, c.neighbour = c.w.Member("Acme").WithKey(), c.w.Member("Globex").WithKey()
	c.fill()
	return c
}

// fill finds somebody for each part whose person is there no more, as some requests have it. It reports whether it had to.
func (c *cast) fill() (again bool) {
	c.t.Helper()
	for _, part := range []struct {
		who  **layertest.Caller
		find func() *layertest.Caller
	}{
		{&c.member, func() *layertest.Caller { return c.w.Member("Acme", layertest.AlsoOf("Initech")) }},
		{&c.boss, func() *layertest.Caller { return c.w.Administrator("Acme") }},
		{&c.outsider, func() *layertest.Caller { return c.w.Administrator("Globex") }},
	} {
		if *part.who == nil || !c.there(*part.who) {
			*part.who, again = part.find().WithKey(), true
		}
	}
	return again
}

const isThere = `select exists (select from identity.membership where id = $1 and active)`

func (c *cast) there(who *layertest.Caller) (yes bool) {
	c.t.Helper()
	if err := c.superuser().QueryRow(c.t.Context(), isThere, who.Principal().Profile()).Scan(&yes); err != nil {
		c.t.Fatal(err)
	}
	return yes
}

// A state is one condition of an object, and how to make one that is in it. ids has an id for each wildcard of a path, in order.
type state struct {
	name string
	make func(c *cast) (ids []string)
}

// The states that nobody may tell apart, unless the object is of their own organization. An id says whose it is, and so by whom it is
// refused; whether anything has it, it does not say.
const (
	absent = "nothing there"
	theirs = "another organization's"
	gone   = theirs + ", not there"
)

// owned are the states of what belongs to whoever made it.
func owned(by func(c *cast, who *layertest.Caller) []string) []state {
	return []state{
		{"the member's", func(c *cast) []string { return by(c, c.member) }},
		{"another member's", func(c *cast) []string { return by(c, c.other) }},
		{"the administrator's", func(c *cast) []string { return by(c, c.boss) }},
		{theirs, func(c *cast) []string { return by(c, c.neighbour) }},
	}
}

// objects are the states of each noun. A noun is the part of a path before a wildcard; of several wildcards, all of them:
// "courses/lessons". Every noun also has the state in which there is nothing.
var objects = map[string][]state{
	"posts": owned(func(c *cast, who *layertest.Caller) []string {
		return one(who.Post("/api/v1/posts", kv{"body": "A post."}))
	}),
	"comments": owned(func(c *cast, who *layertest.Caller) []string {
		post := one(who.Post("/api/v1/posts", kv{"body": "To be spoken of."}))
		return one(who.Post("/api/v1/posts/"+post[0]+"/comments", kv{"body": "A comment."}))
	}),
	"products": {
		{"the organization's", func(c *cast) []string { return c.product(c.boss) }},
		{theirs, func(c *cast) []string { return c.product(c.outsider) }},
	},
	"orders": append(owned(func(c *cast, who *layertest.Caller) []string { return c.order(who) }),
		state{"the member's, paid", func(c *cast) []string { return c.order(c.member, "pay") }},
		state{"the member's, fulfilled", func(c *cast) []string { return c.order(c.member, "pay", "fulfill") }},
		state{"the member's, refunded", func(c *cast) []string { return c.order(c.member, "pay", "refund") }},
		state{"the member's, cancelled", func(c *cast) []string { return c.order(c.member, "cancel") }},
	),
	"keys":        owned(key),
	"api-keys":    owned(key),
	"directory":   {{"the organization's", func(c *cast) []string { return directory(c.boss) }}, {theirs, func(c *cast) []string { return directory(c.outsider) }}},
	"directories": {{"the organization's", func(c *cast) []string { return directory(c.boss) }}, {theirs, func(c *cast) []string { return directory(c.outsider) }}},
	// Nobody here has the credential of an endpoint, so that all are strangers to these; layer/identity/scim asks for them with one.
	"Users":         {{"a member", func(c *cast) []string { return profile(c.w.Member("Acme")) }}},
	"Groups":        {},
	"ResourceTypes": {},
	"Schemas":       {},
	"invitations": {
		{"the organization's", func(c *cast) []string { return c.invitation(c.boss) }},
		{theirs, func(c *cast) []string { return c.invitation(c.outsider) }},
	},
	"invitations by token": {
		{"an open one", func(c *cast) []string {
			var made struct{ Link string }
			c.boss.Post("/api/v1/invitations", says["organization.Invite"].body("")).JSON(&made)
			return []string{made.Link[strings.LastIndexByte(made.Link, '/')+1:]}
		}},
	},
	"roles": {
		{"the organization's", func(c *cast) []string { return ownRole(c.boss) }},
		{theirs, func(c *cast) []string { return ownRole(c.outsider) }},
	},
	"machines": {
		{"the organization's", func(c *cast) []string { return machine(c.boss) }},
		{theirs, func(c *cast) []string { return machine(c.outsider) }},
	},
	"sessions": owned(func(c *cast, who *layertest.Caller) []string {
		return []string{who.SignIn(who.Organization()).Principal().CredentialID()}
	}),
	"members": {
		{"a member", func(c *cast) []string { return profile(c.w.Member("Acme")) }},
		{"a stopped member", func(c *cast) []string { return c.stopped() }},
		{"the administrator's own", func(c *cast) []string { return profile(c.boss) }},
		{theirs, func(c *cast) []string { return profile(c.w.Member("Globex")) }},
	},
	"organizations": {
		{"the one they are in", func(c *cast) []string { return []string{string(c.w.Organization("Acme"))} }},
		{"the member's other one", func(c *cast) []string { return []string{string(c.w.Organization("Initech"))} }},
		{theirs, func(c *cast) []string { return []string{string(c.w.Organization("Hooli"))} }},
	},
	"assets": {
		{"a file", func(c *cast) []string {
			return []string{regexp.MustCompile(`/assets/([^"]+)`).FindStringSubmatch(string(c.w.Stranger().Browser().Get("/").OK().Body))[1]}
		}},
	},
}

// A say is a valid body. About is the noun of the id in it, if it holds one that decides.
type say struct {
	about string
	body  func(id string) kv
}

type kv = map[string]any

// says are the bodies, by the type that a route takes: its form and its JSON route say the same.
var says = map[string]say{
	"community.WritePost":  {about: "files", body: func(id string) kv { return kv{"body": "A post.", "files": []string{id}} }},
	"community.EditPost":   {about: "files", body: func(id string) kv { return kv{"body": "Another post.", "files": []string{id}} }},
	"community.posting":    {about: "files", body: func(id string) kv { return kv{"body": "A post.", "files": []string{id}} }},
	"community.editing":    {about: "files", body: func(id string) kv { return kv{"body": "Another post.", "files": []string{id}} }},
	"account.portrait":     {body: func(string) kv { return kv{} }},
	"attachment.Draft":     {body: func(string) kv { return kv{"text": "*A draft*"} }},
	"community.Say":        {body: func(string) kv { return kv{"body": "A comment."} }},
	"shop.OfferProduct":    {body: func(string) kv { return kv{"name": "Pass", "price_cents": 1800} }},
	"shop.PlaceOrder":      {about: "products", body: func(id string) kv { return kv{"product_id": id, "quantity": 1} }},
	"account.WriteProfile": {body: func(string) kv { return kv{"display_name": "Somebody " + rand.Text()[:10]} }},
	"account.CreateKey":    {body: func(string) kv { return kv{"name": "Key", "scopes": []string{"posts:read"}, "expires_in_days": 1} }},
	"account.TrustMachine": {body: func(string) kv {
		return kv{"name": "CI", "issuer": layertest.MachineIssuer, "subject_pattern": "repo:acme/web:ref:refs/heads/main", "scopes": []string{"posts:read"}, "uses": 1, "expires_in_days": 30}
	}},
	"redoubt.tokenExchange": {body: func(string) kv {
		return kv{"grant_type": "urn:ietf:params:oauth:grant-type:token-exchange", "subject_token": "a.b.c", "subject_token_type": "urn:ietf:params:oauth:token-type:id_token"}
	}},
	"organization.Settings": {body: func(string) kv { return kv{"name": "Acme", "just_in_time": true} }},
	"organization.Transfer": {about: "members", body: func(id string) kv { return kv{"member_id": id} }},
	"organization.Invite": {body: func(string) kv {
		return kv{"email": strings.ToLower(rand.Text()[:10]) + "@acme.test", "role": "guest"}
	}},
	"organization.WriteRole":  {body: func(string) kv { return kv{"name": "Role " + rand.Text()[:10], "scopes": []string{"posts:moderate"}} }},
	"organization.changeRole": {body: func(string) kv { return kv{"name": "Role " + rand.Text()[:10], "scopes": []string{"courses:write"}} }},
	"organization.Appoint":    {body: func(string) kv { return kv{"role": "member"} }},
	"redoubt.acceptance":      {body: func(string) kv { return kv{} }},
	"redoubt.newOrganization": {body: func(string) kv { return kv{"name": "Soylent"} }},
	"redoubt.comeBackTo":      {body: func(string) kv { return kv{"return": "/keys"} }},
	"directory.Connect":       {body: func(string) kv { return kv{"name": "Provider"} }},
	"redoubt.logoutRequest":   {body: func(string) kv { return kv{"logout_token": "a.b.c"} }},
	"redoubt.switchTo":        {about: "organizations", body: func(id string) kv { return kv{"organization_id": id} }},
}

// withFile is the field with a file of those forms that have one.
var withFile = map[string]string{"community.posting": "uploads", "community.editing": "uploads", "course.teaching": "uploads", "course.rewriting": "uploads", "account.portrait": "picture"}

func one(made *layertest.Response) []string {
	var said struct{ ID string }
	made.JSON(&said)
	return []string{said.ID}
}

func (c *cast) product(seller *layertest.Caller) []string {
	return one(seller.Post("/api/v1/products", kv{"name": "Pass", "price_cents": 1800}))
}

// sells is who sells to somebody.
func (c *cast) sells(to *layertest.Caller) *layertest.Caller {
	if to == c.neighbour {
		return c.outsider
	}
	return c.boss
}

// superuser is a connection that sees everything, made when first needed.
func (c *cast) superuser() *pgx.Conn {
	if c.conn == nil {
		c.conn = c.w.Admin(c.t)
	}
	return c.conn
}

// order is one of buyer's, moved on so.
func (c *cast) order(buyer *layertest.Caller, moves ...string) []string {
	id := one(buyer.Post("/api/v1/orders", kv{"product_id": c.product(c.sells(buyer))[0], "quantity": 1}))
	for _, move := range moves {
		c.boss.Post("/api/v1/orders/"+id[0]+"/"+move, nil).NoContent()
	}
	return id
}

func key(c *cast, who *layertest.Caller) []string {
	return one(who.SignIn(who.Organization()).Browser().Post("/api/v1/api-keys", kv{"name": "Key", "scopes": []string{"posts:read"}, "expires_in_days": 1}))
}

// invitation is one that was sent a while ago, so that it can be sent again.
func (c *cast) invitation(by *layertest.Caller) []string {
	id := one(by.Post("/api/v1/invitations", says["organization.Invite"].body("")))
	if _, err := c.superuser().Exec(c.t.Context(), `update identity.invitation set sent_at = sent_at - interval '2 minutes', expires_at = expires_at - interval '2 minutes' where id = $1`, id[0]); err != nil {
		c.t.Fatal(err)
	}
	return id
}

func ownRole(of *layertest.Caller) []string {
	return one(of.Post("/api/v1/roles", says["organization.WriteRole"].body("")))
}

func machine(of *layertest.Caller) []string {
	return one(of.SignIn(of.Organization()).Browser().Post("/api/v1/machines", says["account.TrustMachine"].body("")))
}

func directory(of *layertest.Caller) []string {
	return one(of.SignIn(of.Organization()).Browser().Post("/api/v1/directories", kv{"name": "Provider"}))
}

func profile(of *layertest.Caller) []string { return []string{string(of.Principal().Profile())} }

func (c *cast) stopped() []string {
	id := profile(c.w.Member("Acme"))
	c.boss.Post("/api/v1/members/"+id[0]+"/deactivate", nil).NoContent()
	return id
}

// ---- what a route needs ----

var wild = regexp.MustCompile(`([^/]+)/\{(\w+)\}`)

// aboutOf is the noun of the ids in a path, and after them of the id in the body; empty if there are none.
func aboutOf(r redoubt.Route) string {
	var nouns []string
	for _, m := range wild.FindAllStringSubmatch(r.Path(), -1) {
		if m[2] == "token" { // it is no id: whoever knows it knows a secret
			m[1] += " by token"
		}
		nouns = append(nouns, m[1])
	}
	if about := says[r.In().String()].about; about != "" {
		nouns = append(nouns, about)
	}
	return strings.Join(nouns, "/")
}

// statesOf are the states in which r may find its object, and a nameless one for a route without.
func statesOf(t *testing.T, r redoubt.Route) []state {
	t.Helper()
	noun := aboutOf(r)
	if noun == "" {
		return []state{{"", func(*cast) []string { return nil }}}
	}
	states, ok := objects[noun]
	if !ok {
		t.Errorf("%s: declare in objects the states of %q", r.Pattern, noun)
		return nil
	}
	nothing := func(name string, id func(c *cast) string) state {
		return state{name, func(c *cast) []string { return slices.Repeat([]string{id(c)}, 1+strings.Count(noun, "/")) }}
	}
	all := append(slices.Clone(states), nothing(absent, func(*cast) string { return nowhere }))
	if slices.ContainsFunc(states, func(s state) bool { return s.name == theirs }) {
		all = append(all, nothing(gone, func(c *cast) string { return rls.NewID(c.w.Organization("Globex")) }))
	}
	return all
}

// A value is one that a body may hold.
type value struct {
	Format string
	Items  struct{ Format string }
}

func (v value) names() bool { return v.Format == "uuid" || v.Items.Format == "uuid" }

// values are those of the body that r takes, by their names.
func values(t *testing.T, r redoubt.Route) map[string]value {
	t.Helper()
	if r.Takes() == input.ModeNone || r.Takes() == input.ModeContent {
		return nil
	}
	schema, err := input.For(r.In(), r.Takes())
	if err != nil {
		t.Fatal(err)
	}
	text, err := schema.JSONSchema()
	if err != nil {
		t.Fatal(err)
	}
	var body struct{ Properties map[string]value }
	if err := json.Unmarshal(text, &body); err != nil {
		t.Fatal(err)
	}
	return body.Properties
}

// bodyOf is what r is sent about the object with these ids: nil, a form or JSON.
func bodyOf(t *testing.T, r redoubt.Route, ids []string) any {
	t.Helper()
	all := values(t, r)
	if len(all) == 0 || r.Takes() == input.ModeContent {
		return encoded(r, nil)
	}
	said, ok := says[r.In().String()]
	if !ok {
		t.Fatalf("%s: declare in says a valid %s", r.Pattern, r.In())
	}
	for name, v := range all {
		if v.names() && said.about == "" {
			t.Fatalf("%s: declare in says which noun %s of %s names", r.Pattern, name, r.In())
		}
	}
	id := ""
	if said.about != "" {
		id = ids[len(ids)-1]
	}
	return encoded(r, said.body(id))
}

// encoded is body as r takes it.
func encoded(r redoubt.Route, body kv) any {
	switch {
	case r.Takes() == input.ModeContent:
		return layertest.File{Type: "image/png", Content: picture()}
	case r.Takes() == input.ModeForm:
		form := url.Values{}
		for name, value := range body {
			if list, ok := value.([]string); ok {
				form[name] = list
			} else {
				form.Set(name, fmt.Sprint(value))
			}
		}
		if field, ok := withFile[r.In().String()]; ok {
			return layertest.Multipart{Fields: form, Files: []layertest.File{{Field: field, Name: "picture.png", Type: "image/png", Content: picture()}}}
		}
		return form
	case body != nil:
		return body
	}
	return nil
}

// pathOf is r's path with the ids in it.
func pathOf(r redoubt.Route, ids []string) string {
	path := strings.ReplaceAll(strings.TrimSuffix(r.Path(), "{$}"), "{variant}", "small")
	for _, m := range wild.FindAllStringSubmatch(path, -1) {
		path = strings.Replace(path, "{"+m[2]+"}", ids[0], 1)
		ids = ids[1:]
	}
	return path
}

// request is what a page or a program of ours would send.
func request(t *testing.T, c *layertest.Caller, r redoubt.Route, ids []string) *http.Request {
	t.Helper()
	req := c.Request(r.Method(), pathOf(r, ids), bodyOf(t, r, ids))
	if r.ForPrograms() { // whoever asks, they do it without what a browser or a caller of ours adds
		for _, name := range []string{"Authorization", "Cookie", "Origin", transport.TokenHeader, "Sec-Fetch-Site"} {
			req.Header.Del(name)
		}
		return req
	}
	req.Header.Set("Sec-Fetch-Site", "same-origin") // else transport stops a change without a key or an origin, as a forged one
	return req
}
