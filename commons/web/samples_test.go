package web_test

import (
	"time"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/commons/web/audit"
	"github.com/redoubt-dev/redoubt/commons/web/feed"
	keycreated "github.com/redoubt-dev/redoubt/commons/web/key-created"
	"github.com/redoubt-dev/redoubt/commons/web/keys"
	"github.com/redoubt-dev/redoubt/commons/web/members"
	"github.com/redoubt-dev/redoubt/commons/web/onboarding"
	"github.com/redoubt-dev/redoubt/commons/web/order"
	"github.com/redoubt-dev/redoubt/commons/web/orders"
	"github.com/redoubt-dev/redoubt/commons/web/post"
	postedit "github.com/redoubt-dev/redoubt/commons/web/post-edit"
	"github.com/redoubt-dev/redoubt/commons/web/products"
	"github.com/redoubt-dev/redoubt/commons/web/profile"
	"github.com/redoubt-dev/redoubt/commons/web/sessions"
	"github.com/redoubt-dev/redoubt/layer"
)

// A sample is one page in one state.
type sample struct {
	name      string // for the test and the screenshot
	path      string
	view      redoubt.View
	signedOut bool
	member    bool // an ordinary member, of one organization only
	notice    string
	typed     map[string]string
	problem   *redoubt.Problem
}

func frame(s sample) redoubt.Frame {
	f := redoubt.Frame{Application: "Commons", Path: s.path, Nonce: "bm9uY2U", Token: "synchroniser-token", Notice: s.notice, Typed: s.typed, Problem: s.problem}
	if s.signedOut {
		f.Token = ""
		return f
	}
	acme := redoubt.Organization{ID: "0b5c9f6e-8a57-4d0e-9f0e-0d1f8a1c0001", Name: "Acme Workshop"}
	globex := redoubt.Organization{ID: "0b5c9f6e-8a57-4d0e-9f0e-0d1f8a1c0002", Name: "Globex Gardening Society of the Northern Counties"}
	f.Viewer = &redoubt.Viewer{Name: "Alice Rasmussen", Email: "alice@acme.example", Profile: "p1", Organization: acme, Organizations: []redoubt.Organization{acme, globex}, Administrator: true}
	if s.member {
		f.Viewer.Organizations, f.Viewer.Administrator = f.Viewer.Organizations[:1], false
	}
	return f
}

func refused(fields ...layer.Field) *redoubt.Problem {
	return &redoubt.Problem{Title: "That is not valid", Status: 422, RefusedBy: layer.Input, Errors: fields}
}

const essay = `I have now run the evening class four times, and every time the same thing happens in the third week: people stop asking how, and begin to ask why.

So next term I want to turn it round. We start with a joint that fails, and everyone finds out for themselves what it was that gave way. Only then do we pick up a chisel.

Three questions to all of you who teach:

1. How do you keep the fast ones busy without leaving the others behind?
2. Do you let people take the failed piece home? Mine always want to.
3. Is ninety minutes too short for this? I keep running over, and the caretaker has begun to look at me in a certain way.

I would be glad of anything you have tried, even and especially if it went wrong. The worst lesson I ever gave taught me more than the ten that followed it, and I suspect that I am not the only one here who could say so.`

const firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0"
const iphone = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1"
const edge = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0"

// full is every page with something on it.
func full(now time.Time) []sample {
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	const hour, day = time.Hour, 24 * time.Hour
	long := feed.Post{ID: "a3", Author: "Matthias Ó Briain", Body: essay, Posted: ago(26 * hour), Edited: true, Likes: 27, Comments: 4}
	return []sample{
		{name: "welcome", path: "/", signedOut: true, view: redoubt.View{Page: "welcome", Title: "Welcome"}},
		{name: "signed-out", path: "/signed-out", signedOut: true, view: redoubt.View{Page: "signed-out", Title: "Signed out"}},
		{name: "feed", path: "/", notice: "Your post is published.", view: redoubt.View{Page: "feed", Title: "Feed", Data: feed.View{MaxBody: 5000, Next: "c2", Posts: []feed.Post{
			{ID: "a1", Author: "Alice Rasmussen", Body: "The new bench vices have arrived. Come and try them on Thursday; there will be cake.", Posted: ago(40 * time.Second), Likes: 1, Liked: true, Comments: 0, Mine: true},
			{ID: "a2", Author: "Priya Raghunathan", Body: "Does anybody have a spare set of 6 mm chisels for Saturday’s course? We have twelve people and ten chisels, and I would rather not saw anyone in half.", Posted: ago(3 * hour), Likes: 4, Comments: 2},
			long,
			{ID: "a4", Author: "", Body: "Thank you all for three good years. The shelf I made in my first week still stands.", Posted: ago(12 * day), Likes: 1204, Liked: true, Comments: 31},
		}}}},
		{name: "post", path: "/posts/a3", view: redoubt.View{Page: "post", Title: "A post by Matthias Ó Briain", Data: post.View{Post: long, MaxBody: 2000, Next: "c2", Comments: []post.Comment{
			{ID: "c1", Author: "Priya Raghunathan", Body: "Yes to the failed joint. I let them keep it, with the date written on it in pencil.", Posted: ago(20 * hour)},
			{ID: "c2", Author: "Alice Rasmussen", Body: "Two hours. The caretaker likes biscuits.", Posted: ago(5 * hour), Mine: true},
			{ID: "c3", Author: "", Body: "For the fast ones: the same joint again, but in end grain.", Posted: ago(50 * time.Minute)},
		}}}},
		{name: "post-edit", path: "/posts/a3/edit", view: redoubt.View{Page: "post-edit", Title: "Edit your post", Data: postedit.View{ID: "a3", Body: essay, Posted: ago(26 * hour), Comments: 4, MaxBody: 1000}}},
		{name: "products", path: "/products", view: redoubt.View{Page: "products", Title: "Products", Data: products.View{MaxNotes: 500, Next: "c2", Products: []products.Product{
			{ID: "b1", Name: "Joinery for beginners", Description: "Four evenings, four joints. Tools and timber are included.", PriceCents: 18000},
			{ID: "b2", Name: "Workshop apron", Description: "Waxed canvas, two pockets that are deep enough.", PriceCents: 4950},
			{ID: "b3", Name: "A day at the bench", Description: "Bring your own project. One of us is there all day to help, and the good saws are yours.", PriceCents: 7500},
			{ID: "b4", Name: "Marking gauge", PriceCents: 3200},
			{ID: "b5", Name: "Membership, one year", Description: "Open shop on Tuesdays and Thursdays.", PriceCents: 124000, Currency: "USD"},
		}}}},
		{name: "orders", path: "/orders", view: redoubt.View{Page: "orders", Title: "Orders", Data: orders.View{Everyone: true, Next: "c2", Continued: true, Orders: []orders.Order{
			{ID: "d1", Product: "Joinery for beginners", Buyer: "Priya Raghunathan", Quantity: 2, TotalCents: 36000, Status: "placed", Placed: ago(5 * time.Minute)},
			{ID: "d2", Product: "Workshop apron", Buyer: "Matthias Ó Briain", Quantity: 12, TotalCents: 59400, Status: "paid", Placed: ago(2 * day)},
			{ID: "d3", Product: "Marking gauge", Buyer: "", Quantity: 1, TotalCents: 3200, Status: "cancelled", Placed: ago(45 * day)},
			{ID: "d4", Product: "Membership, one year", Buyer: "Alice Rasmussen", Quantity: 1, TotalCents: 124000, Currency: "USD", Status: "paid", Placed: ago(400 * day)},
		}}}},
		{name: "orders-own", path: "/orders", member: true, view: redoubt.View{Page: "orders", Title: "Your orders", Data: orders.View{Orders: []orders.Order{
			{ID: "d1", Product: "Joinery for beginners", Quantity: 2, TotalCents: 36000, Placed: ago(5 * time.Minute)},
		}}}},
		{name: "order", path: "/orders/d1", notice: "Your order is placed. Thank you.", view: redoubt.View{Page: "order", Title: "Receipt", Data: order.View{ID: "7c0e4d0a-6a2b-4a57-b1c3-5f7f0b7d2f11", Product: "Joinery for beginners", Buyer: "Priya Raghunathan", Quantity: 2, UnitCents: 18000, TotalCents: 36000, Notes: "One place is for my brother, who is left-handed.", Status: "placed", Placed: ago(5 * time.Minute)}}},
		{name: "profile", path: "/profile", notice: "Your profile is saved.", view: redoubt.View{Page: "profile", Title: "Your profile", Data: profile.View{DisplayName: "Alice Rasmussen", Bio: "I look after the machines. Ask me about bandsaws.", MaxName: 80, MaxBio: 500, Name: "Alice M. Rasmussen", Email: "alice@acme.example", Provider: "Acme sign-on", Groups: []string{"workshop", "commons-admins"}, Joined: ago(410 * day)}}},
		{name: "onboarding", path: "/onboarding", member: true, view: redoubt.View{Page: "onboarding", Title: "Welcome", Data: onboarding.View{DisplayName: "Alice Rasmussen", MaxName: 80, MaxBio: 500}}},
		{name: "sessions", path: "/sessions", view: redoubt.View{Page: "sessions", Title: "Your sessions", Data: sessions.View{Sessions: []sessions.Session{
			{ID: "s1", Agent: firefox, Address: "198.51.100.24", SignedIn: ago(3 * hour), Seen: now, Current: true},
			{ID: "s2", Agent: iphone, Address: "2001:db8:85a3::8a2e:370:7334", SignedIn: ago(6 * day), Seen: ago(20 * time.Minute)},
			{ID: "s3", Agent: edge, Address: "203.0.113.9", SignedIn: ago(9 * day), Seen: ago(4 * day)},
			{ID: "s4", Agent: "strange/1.0", SignedIn: ago(20 * day), Seen: ago(19 * day)},
		}}}},
		{name: "keys", path: "/keys", view: redoubt.View{Page: "keys", Title: "API keys", Data: keys.View{MaxName: 80, Scopes: scopes, Keys: []keys.Key{
			{ID: "k1", Name: "Stock keeper", Prefix: "rdk_live_8fQ2", Scopes: []string{"orders:read", "products:read"}, Created: ago(12 * day), Expires: now.Add(78 * day), Used: ago(8 * time.Minute)},
			{ID: "k2", Name: "Newsletter", Prefix: "rdk_live_L0x9", Scopes: []string{"posts:read"}, Created: ago(100 * day), Expires: ago(10 * day), Expired: true},
			{ID: "k3", Name: "Old laptop", Prefix: "rdk_live_w7Zb", Scopes: []string{"orders:write"}, Created: ago(200 * day), Expires: now.Add(9 * day), Used: ago(120 * day), Revoked: true},
		}}}},
		{name: "key-created", path: "/keys", view: redoubt.View{Page: "key-created", Title: "Your new key", Data: keycreated.View{Name: "Stock keeper", Secret: "rdk_live_8fQ2mZtR4vYb0NcXe7KpWs6Ud1GhJaLo_3fX9Tq", Scopes: []string{"orders:read", "products:read"}, Expires: now.Add(90 * day)}}},
		{name: "members", path: "/admin/members", notice: "Matthias Ó Briain is deactivated.", view: redoubt.View{Page: "members", Title: "Members", Data: members.View{Next: "c2", Members: []members.Member{
			{ID: "m1", Name: "Alice Rasmussen", Email: "alice@acme.example", Administrator: true, Active: true, Self: true, Joined: ago(410 * day), Seen: now},
			{ID: "m2", Name: "Priya Raghunathan", Email: "priya.raghunathan@acme.example", Active: true, Joined: ago(90 * day), Seen: ago(3 * hour)},
			{ID: "m3", Name: "Matthias Ó Briain", Email: "matthias@acme.example", Joined: ago(200 * day), Seen: ago(time.Minute)},
			{ID: "m4", Name: "田中 さくら", Email: "sakura@acme.example", Active: true, Joined: ago(2 * day)},
		}}}},
		{name: "audit", path: "/admin/audit", view: redoubt.View{Page: "audit", Title: "Audit trail", Data: audit.View{Next: "c2", Prefixes: []string{"order", "post", "session", "member"}, Entries: []audit.Entry{
			{Time: ago(time.Minute), Actor: "Alice Rasmussen", Action: "member.deactivated", Entity: "profile", EntityID: "7c0e4d0a-6a2b-4a57-b1c3-5f7f0b7d2f11", Address: "198.51.100.24", Changes: []audit.Change{{Field: "active", Before: "true", After: "false"}}},
			{Time: ago(5 * time.Minute), Actor: "Priya Raghunathan", Action: "order.placed", Entity: "order", EntityID: "1d9b2f7e-3d44-4a3a-8a63-1c1f3a3f9e02", Address: "203.0.113.9", Changes: []audit.Change{{Field: "quantity", After: "2"}, {Field: "total_cents", After: "36000"}}},
			{Time: ago(26 * hour), Actor: "Matthias Ó Briain", Action: "post.updated", Entity: "post", EntityID: "a3d1c9be-52b5-4d0c-a0a6-0a3b1c77b1aa", Address: "2001:db8::1", Changes: []audit.Change{{Field: "body", Before: "I have now run the evening class three times", After: "I have now run the evening class four times"}}},
			{Time: ago(3 * day), Action: "session.expired", Entity: "session", EntityID: "s9"},
			{Time: ago(4 * day), Actor: "Alice Rasmussen", Action: "sign-in.succeeded", Address: "198.51.100.24"},
		}}}},
		{name: "problem-404", path: "/nowhere", view: redoubt.View{Page: "problem", Title: "Not found", Data: redoubt.Problem{Title: "There is nothing here", Status: 404, Detail: "The page does not exist, or it is not yours to see.", RequestID: "01k3v6q8h0x2", RefusedBy: layer.RLS}}},
		{name: "problem-place", path: "/", signedOut: true, view: redoubt.View{Page: "problem", Title: "No place here yet", Data: redoubt.Problem{Title: "You have no place here yet", Status: 403, RequestID: "01k3v6q8h0x2", RefusedBy: layer.Identity}}},
		{name: "problem-500", path: "/orders", view: redoubt.View{Page: "problem", Title: "Something went wrong", Data: &redoubt.Problem{Title: "Something went wrong on our side", Status: 500, Detail: "It has been written down. Try again in a moment.", RequestID: "01k3v6q8h0x2"}}},
	}
}

var scopes = []keys.Scope{{Name: "posts:read", Means: "Read posts and comments"}, {Name: "products:read", Means: "See products"}, {Name: "orders:read", Means: "See orders"}, {Name: "orders:write", Means: "Place orders"}}

// empty is every page that can have nothing on it, with nothing on it.
func empty() []sample {
	return []sample{
		{name: "feed-empty", path: "/", view: redoubt.View{Page: "feed", Title: "Feed", Data: feed.View{}}},
		{name: "feed-end", path: "/", view: redoubt.View{Page: "feed", Title: "Feed", Data: feed.View{Continued: true}}},
		{name: "post-empty", path: "/posts/a1", view: redoubt.View{Page: "post", Title: "A post", Data: post.View{Post: feed.Post{ID: "a1"}}}},
		{name: "post-edit-empty", path: "/posts/a1/edit", view: redoubt.View{Page: "post-edit", Title: "Edit", Data: postedit.View{ID: "a1"}}},
		{name: "products-empty", path: "/products", view: redoubt.View{Page: "products", Title: "Products", Data: products.View{}}},
		{name: "orders-empty", path: "/orders", member: true, view: redoubt.View{Page: "orders", Title: "Your orders", Data: orders.View{}}},
		{name: "orders-everyone-empty", path: "/orders", view: redoubt.View{Page: "orders", Title: "Orders", Data: orders.View{Everyone: true}}},
		{name: "order-empty", path: "/orders/d1", view: redoubt.View{Page: "order", Title: "Receipt", Data: order.View{}}},
		{name: "profile-empty", path: "/profile", view: redoubt.View{Page: "profile", Title: "Your profile", Data: profile.View{}}},
		{name: "onboarding-empty", path: "/onboarding", view: redoubt.View{Page: "onboarding", Title: "Welcome", Data: onboarding.View{}}},
		{name: "sessions-empty", path: "/sessions", view: redoubt.View{Page: "sessions", Title: "Your sessions", Data: sessions.View{}}},
		{name: "keys-empty", path: "/keys", view: redoubt.View{Page: "keys", Title: "API keys", Data: keys.View{Scopes: scopes}}},
		{name: "keys-nothing", path: "/keys", view: redoubt.View{Page: "keys", Title: "API keys", Data: keys.View{}}},
		{name: "key-created-empty", path: "/keys", view: redoubt.View{Page: "key-created", Title: "Your new key", Data: keycreated.View{}}},
		{name: "members-empty", path: "/admin/members", view: redoubt.View{Page: "members", Title: "Members", Data: members.View{}}},
		{name: "audit-empty", path: "/admin/audit", view: redoubt.View{Page: "audit", Title: "Audit trail", Data: audit.View{}}},
		{name: "audit-filtered-empty", path: "/admin/audit", view: redoubt.View{Page: "audit", Title: "Audit trail", Data: audit.View{Prefix: "nothing."}}},
		{name: "problem-empty", path: "/", view: redoubt.View{Page: "problem", Data: redoubt.Problem{}}},
	}
}

// wrong is every form after it has been refused.
func wrong(now time.Time) []sample {
	all := map[string]sample{}
	for _, s := range full(now) {
		all[s.name] = s
	}
	refuse := func(name string, typed map[string]string, fields ...layer.Field) sample {
		s := all[name]
		s.name, s.notice, s.typed, s.problem = name+"-refused", "", typed, refused(fields...)
		return s
	}
	body := layer.Field{Name: "body", Detail: "Write something first."}
	name := layer.Field{Name: "display_name", Detail: "Use 1 to 80 characters."}
	return []sample{
		refuse("feed", map[string]string{"body": " "}, body),
		refuse("post", map[string]string{"body": " "}, body),
		refuse("post-edit", map[string]string{"body": " "}, body),
		refuse("products", map[string]string{"product_id": "b2", "quantity": "400", "notes": "As soon as you can, please."}, layer.Field{Name: "quantity", Detail: "Order 1 to 100."}),
		refuse("profile", map[string]string{"display_name": "", "bio": "Typed before."}, name, layer.Field{Name: "bio", Detail: "Use at most 500 characters."}),
		refuse("onboarding", map[string]string{"display_name": "", "bio": "Typed before."}, name),
		refuse("keys", map[string]string{"name": "", "scopes": "orders:read, orders:write", "expires_in_days": "365"}, layer.Field{Name: "name", Detail: "Give it a name."}, layer.Field{Name: "scopes[1]", Detail: "Your role does not allow this."}),
		refuse("audit", map[string]string{"action": "Order!"}, layer.Field{Name: "action", Detail: "Use lower-case letters, dots and hyphens."}),
	}
}

func everything(now time.Time) []sample {
	return append(append(full(now), empty()...), wrong(now)...)
}
