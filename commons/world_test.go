package commons_test

import (
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt/commons"
	"github.com/redoubt-dev/redoubt/commons/account"
	"github.com/redoubt-dev/redoubt/commons/bookmark"
	"github.com/redoubt-dev/redoubt/commons/community"
	"github.com/redoubt-dev/redoubt/commons/course"
	"github.com/redoubt-dev/redoubt/commons/organization"
	"github.com/redoubt-dev/redoubt/commons/shop"
	"github.com/redoubt-dev/redoubt/layer/input/file"
	"github.com/redoubt-dev/redoubt/layer/layertest"
)

func TestMain(m *testing.M) { layertest.Main(m) }

// A town is an organization with somebody in every role and a row in every table.
type town struct {
	boss, member *layertest.Caller
	ids          map[string]string // by the noun in a path
}

func settle(t *testing.T, w *layertest.W, name string) town {
	t.Helper()
	o := town{boss: w.Administrator(name), member: w.Member(name), ids: map[string]string{}}
	product := o.boss.Post("/api/v1/products", shop.OfferProduct{Name: name + " pass", PriceCents: 1800}).Created()
	order := o.member.Post("/api/v1/orders", shop.PlaceOrder{ProductID: shop.ProductID(product.ID), Quantity: 2, Notes: name + " notes"}).Created()
	post := o.member.Post("/api/v1/posts", community.WritePost{Body: name + " post"}).Created()
	comment := o.member.Post("/api/v1/posts/"+post.ID+"/comments", map[string]string{"body": name + " comment"}).OK()
	var said community.Comment
	comment.JSON(&said)
	o.member.Put("/api/v1/posts/"+post.ID+"/like", nil).NoContent()
	kept(t, w.AsApp(t), o.member, `insert into commons.post_link (post_id, url, title) values ('`+post.ID+`', 'https://example.test/', '`+name+` page')`)
	taught := o.boss.Post("/api/v1/courses", course.Describe{Title: name + " course"}).Created()
	words := name + " lesson"
	lesson := o.boss.Post("/api/v1/courses/"+taught.ID+"/lessons", course.WriteLesson{Title: words, Body: &words, Files: []file.ID{file.ID(uploaded(o.boss))}}).Created()
	o.boss.Put("/api/v1/courses/"+taught.ID+"/state", map[string]string{"state": "published"}).OK()
	o.member.Put("/api/v1/lessons/"+lesson.ID+"/done", nil).NoContent()
	id := course.ID(taught.ID)
	o.boss.Post("/api/v1/bookmarks", bookmark.Mark{CourseID: &id}).Created()
	marked := o.member.Post("/api/v1/bookmarks", bookmark.Mark{CourseID: &id}).Created()
	var keys account.KeyList
	o.member.Get("/api/v1/api-keys").OK().JSON(&keys)
	trusted := o.boss.Trust("posts:read")
	invited := o.boss.Post("/api/v1/invitations", organization.Invite{Email: "somebody@" + strings.ToLower(name) + ".test", Role: "guest"}).Created()
	own := o.boss.Post("/api/v1/roles", organization.WriteRole{Name: name + " role", Scopes: []string{"posts:moderate"}}).Created()
	linked := one(o.boss.SignIn(o.boss.Organization()).Browser().Post("/api/v1/directories", kv{"name": "Provider of " + name}))[0]
	o.ids = map[string]string{"files": attached(o.member), "directory": linked, "directories": linked, "invitations": invited.ID, "roles": own.ID, "machines": trusted.ID, "courses": taught.ID, "lessons": lesson.ID, "bookmarks": marked.ID,
		"products": product.ID, "orders": order.ID, "posts": post.ID, "comments": string(said.ID), "keys": string(keys.Keys[0].ID),
		"api-keys": string(keys.Keys[0].ID), "sessions": o.member.Principal().CredentialID(), "members": string(o.member.Principal().Profile())}
	return o
}

func newTowns(t *testing.T) (w *layertest.W, acme, globex town) {
	t.Helper()
	w = layertest.World(t, commons.App)
	return w, settle(t, w, "Acme"), settle(t, w, "Globex")
}
