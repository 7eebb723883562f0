package web_test

import (
	"strings"
	"time"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/commons/attachment"
	"github.com/redoubt-dev/redoubt/commons/web/attached"
	"github.com/redoubt-dev/redoubt/commons/web/audit"
	"github.com/redoubt-dev/redoubt/commons/web/bookmarks"
	"github.com/redoubt-dev/redoubt/commons/web/course"
	courseedit "github.com/redoubt-dev/redoubt/commons/web/course-edit"
	"github.com/redoubt-dev/redoubt/commons/web/courses"
	"github.com/redoubt-dev/redoubt/commons/web/directory"
	directorycreated "github.com/redoubt-dev/redoubt/commons/web/directory-created"
	"github.com/redoubt-dev/redoubt/commons/web/feed"
	"github.com/redoubt-dev/redoubt/commons/web/invitation"
	invitationcreated "github.com/redoubt-dev/redoubt/commons/web/invitation-created"
	"github.com/redoubt-dev/redoubt/commons/web/invitations"
	keycreated "github.com/redoubt-dev/redoubt/commons/web/key-created"
	"github.com/redoubt-dev/redoubt/commons/web/keys"
	"github.com/redoubt-dev/redoubt/commons/web/lesson"
	lessonedit "github.com/redoubt-dev/redoubt/commons/web/lesson-edit"
	"github.com/redoubt-dev/redoubt/commons/web/machines"
	"github.com/redoubt-dev/redoubt/commons/web/members"
	"github.com/redoubt-dev/redoubt/commons/web/onboarding"
	"github.com/redoubt-dev/redoubt/commons/web/order"
	"github.com/redoubt-dev/redoubt/commons/web/orders"
	"github.com/redoubt-dev/redoubt/commons/web/organization"
	organizationnew "github.com/redoubt-dev/redoubt/commons/web/organization-new"
	"github.com/redoubt-dev/redoubt/commons/web/post"
	postedit "github.com/redoubt-dev/redoubt/commons/web/post-edit"
	"github.com/redoubt-dev/redoubt/commons/web/products"
	"github.com/redoubt-dev/redoubt/commons/web/profile"
	"github.com/redoubt-dev/redoubt/commons/web/roles"
	"github.com/redoubt-dev/redoubt/commons/web/sessions"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/input/file"
	"github.com/redoubt-dev/redoubt/layer/input/richtext"
	"github.com/redoubt-dev/redoubt/layer/input/richtext/render"
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
	f.Viewer.Role, f.Viewer.Creator, f.Viewer.May = "owner", true, func(string) bool { return true }
	if s.member {
		f.Viewer.Role, f.Viewer.Creator, f.Viewer.May = "member", false, nil
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

// handout is a text that uses everything that there is.
const handout = `The bench course is full again, so here is what we did **in the first week**, for those who wait for a place.

# Marking out

A *pencil* line has two sides, a knife line has ~~three~~ one. The [marking gauge](https://en.wikipedia.org/wiki/Marking_gauge) is older than the pencil, and says so.

1. Set the gauge to the thickness of the other piece.
2. Mark all around, lightly:
   - first the face,
   - then the edges, ` + "`toward`" + ` the pin.
3. Shade the waste.

![A joint, drawn with more confidence than accuracy](/files/0b5c9f6e-8a57-4d0e-9f0e-0d1f8a1cf001)

> The cheapest minute of the whole evening is the one in which you look at it.
> And then look again.

## For those who script their cutting lists

` + "```" + `
for piece in rail rail stile stile panel; do
  cut --length 412 --width 64 --thickness 19 --mark "$piece" --from "the board that has been leaning in the corner since spring"
done
` + "```" + `

---

Questions to alice@acme.example, or on Thursday.`

// written makes of a text in Markdown what a page shows.
func written(markdown string, files attached.Files) render.Markup {
	text, err := richtext.FromMarkdown("text", markdown)
	if err != nil {
		panic(err)
	}
	var held []attachment.File
	for _, f := range files {
		held = append(held, attachment.File{ID: file.ID(f.ID), Inline: f.Inline})
	}
	return attachment.Shown(text.HTML, held)
}

var (
	joint      = attached.File{ID: "0b5c9f6e-8a57-4d0e-9f0e-0d1f8a1cf001", Name: "joint.png", Kind: "png", Size: 48_213, Width: 1200, Height: 675, Inline: true}
	wide       = attached.File{ID: "0b5c9f6e-8a57-4d0e-9f0e-0d1f8a1cf002", Name: "the new benches.jpg", Kind: "jpeg", Size: 402_113, Width: 2048, Height: 1365}
	tall       = attached.File{ID: "0b5c9f6e-8a57-4d0e-9f0e-0d1f8a1cf003", Name: "vice.webp", Kind: "webp", Size: 88_000, Width: 900, Height: 1600}
	tiny       = attached.File{ID: "0b5c9f6e-8a57-4d0e-9f0e-0d1f8a1cf004", Kind: "gif", Size: 812, Width: 48, Height: 48}
	plan       = attached.File{ID: "0b5c9f6e-8a57-4d0e-9f0e-0d1f8a1cf005", Name: "Cutting list, second edition, with the mistake on page three corrected.pdf", Kind: "pdf", Size: 1_240_000}
	sheet      = attached.File{ID: "0b5c9f6e-8a57-4d0e-9f0e-0d1f8a1cf006", Name: "timber.xlsx", Kind: "xlsx", Size: 18_400}
	face       = "0b5c9f6e-8a57-4d0e-9f0e-0d1f8a1cf007"
	fewFiles   = attached.Limits{Accept: "image/jpeg,image/png,image/gif,image/webp,.pdf,.docx,.zip,.txt,.csv", Most: 4, Bytes: 25 << 20}
	onePicture = attached.Limits{Accept: "image/jpeg,image/png,image/gif,image/webp", Most: 1, Bytes: 10 << 20}
)

const firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0"
const iphone = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1"
const edge = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0"

const lecture = `A joint is only as good as the line that you cut to. This lesson is about the line.

Take the marking gauge, not the pencil. A pencil line has two sides, and you will not remember tomorrow which of them you meant. A knife line has one.

1. Set the gauge to the thickness of the other piece, and a hair more.
2. Mark all around, lightly, then once again with weight.
3. Shade the waste. You think that you will not mix them up. Everybody does, once.

When you are done, put the two pieces beside each other and look at them for a minute. It is the cheapest minute of the whole evening.`

var grants = []roles.Scope{{Name: "courses:write", Means: "Make and change courses"}, {Name: "posts:moderate", Means: "Delete anybody's posts and comments"}, {Name: "orders:manage", Means: "Mark orders as paid, fulfilled or refunded, and cancel any"}}

var (
	joinery = courses.Course{ID: "j1", Title: "Joinery for beginners", Summary: "Four joints in four evenings: the lap, the mortise, the dovetail, and the one that you will be proud of.", Author: "Alice Rasmussen", State: "published", Lessons: 4, Done: 2, Bookmarked: true}
	wood    = courses.Course{ID: "j4", Title: "Reading wood", Summary: "Grain, figure, and why the cheap board is sometimes the right one.", Author: "Matthias Ó Briain", State: "draft", Lessons: 1}
	joints  = []course.Lesson{
		{ID: "l1", Number: 1, Title: "Marking out", Text: true, Done: true},
		{ID: "l2", Number: 2, Title: "Sawing to the line", Video: true, Text: true, Done: true},
		{ID: "l3", Number: 3, Title: "The mortise, and what to do when it has become too wide for the tenon that was meant for it", Video: true},
		{ID: "l4", Number: 4, Title: "Dovetails", Video: true, Text: true},
	}
)

// full is every page with something on it.
func full(now time.Time) []sample {
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	const hour, day = time.Hour, 24 * time.Hour
	long := feed.Post{ID: "a3", Author: "Matthias Ó Briain", Body: essay, Text: written(essay, nil), Posted: ago(26 * hour), Edited: true, Likes: 27, Comments: 4}
	return []sample{
		{name: "welcome", path: "/", signedOut: true, view: redoubt.View{Page: "welcome", Title: "Welcome"}},
		{name: "sign-in", path: "/sign-in", signedOut: true, view: redoubt.View{Page: "sign-in", Title: "Sign in", Data: redoubt.SignInChoice{Return: "/", Providers: []redoubt.SignInProvider{
			{Title: "Acme sign-on", ID: "acme"}, {Title: "University of the Northern Counties and Islands", ID: "unci"}}}}},
		{name: "signed-out", path: "/signed-out", signedOut: true, view: redoubt.View{Page: "signed-out", Title: "Signed out"}},
		{name: "feed", path: "/", notice: "Your post is published.", view: redoubt.View{Page: "feed", Title: "Feed", Data: feed.View{MaxBody: 5000, Uploads: fewFiles, Next: "c2", Posts: []feed.Post{
			{ID: "a5", Author: "Alice Rasmussen", Picture: face, Body: handout, Text: written(handout, attached.Files{joint}), Files: attached.Files{joint, plan, sheet}, Posted: ago(10 * time.Minute), Mine: true},
			{ID: "a1", Author: "Alice Rasmussen", Picture: face, Body: "The new bench vices have arrived. Come and try them on Thursday; there will be **cake**.", Text: written("The new bench vices have arrived. Come and try them on Thursday; there will be **cake**.", nil), Files: attached.Files{wide}, Posted: ago(40 * time.Second), Likes: 1, Liked: true, Comments: 0, Mine: true},
			{ID: "a2", Author: "Priya Raghunathan", Body: "Does anybody have a spare set of 6 mm chisels for Saturday’s course? We have twelve people and ten chisels, and I would rather not saw anyone in half.", Files: attached.Files{wide, tall, tiny}, Posted: ago(3 * hour), Likes: 4, Bookmarked: true, Comments: 2},
			long,
			{ID: "a6", Author: "Priya Raghunathan", Body: "Worth an evening: https://www.lostart.example/dovetails", Text: written("Worth an evening: https://www.lostart.example/dovetails", nil), Posted: ago(5 * day), Likes: 2,
				Link: &attached.Link{To: "https://www.lostart.example/dovetails", Title: "Dovetails without fear: a short history of the joint that everybody is judged by", Description: "Why tails first, why pins first, and why it has never mattered as much as a sharp chisel and an hour without a telephone. With drawings.", Site: "The Lost Art"}},
			{ID: "a4", Author: "", Body: "Thank you all for three good years. The shelf I made in my first week still stands.", Posted: ago(12 * day), Likes: 1204, Liked: true, Comments: 31},
		}}}},
		{name: "post", path: "/posts/a3", view: redoubt.View{Page: "post", Title: "A post by Matthias Ó Briain", Data: post.View{Post: long, MaxBody: 2000, Next: "c2", Comments: []post.Comment{
			{ID: "c1", Author: "Priya Raghunathan", Picture: face, Body: "Yes to the failed joint. I let them keep it, with the date written on it in pencil.", Posted: ago(20 * hour)},
			{ID: "c2", Author: "Alice Rasmussen", Body: "Two hours. The caretaker likes biscuits.", Posted: ago(5 * hour), Mine: true},
			{ID: "c3", Author: "", Body: "For the fast ones: the same joint again, but in end grain.", Posted: ago(50 * time.Minute)},
		}}}},
		{name: "post-rich", path: "/posts/a5", view: redoubt.View{Page: "post", Title: "A post by Alice Rasmussen", Data: post.View{MaxBody: 2000, Post: feed.Post{ID: "a5", Author: "Alice Rasmussen", Picture: face, Body: handout, Text: written(handout, attached.Files{joint}),
			Files: attached.Files{joint, wide, tall, plan, sheet}, Posted: ago(10 * time.Minute), Mine: true, Link: &attached.Link{To: "https://en.wikipedia.org/wiki/Marking_gauge", Title: "Marking gauge"}}}}},
		{name: "post-edit", path: "/posts/a3/edit", view: redoubt.View{Page: "post-edit", Title: "Edit your post", Data: postedit.View{ID: "a3", Body: essay, Files: attached.Files{joint, wide, plan}, Posted: ago(26 * hour), Comments: 4, MaxBody: 1000, Uploads: fewFiles}}},
		{name: "courses", path: "/courses", view: redoubt.View{Page: "courses", Title: "Courses", Data: courses.View{Teaches: true, Next: "c2", Courses: []courses.Course{
			wood, joinery,
			{ID: "j2", Title: "Sharpening", Summary: "One stone, one strop, ten minutes a week.", Author: "Priya Raghunathan", State: "published", Lessons: 3},
			{ID: "j3", Title: "Shop safety", Author: "", State: "archived", Lessons: 6, Done: 6},
		}}}},
		{name: "courses-member", path: "/courses", member: true, view: redoubt.View{Page: "courses", Title: "Courses", Data: courses.View{Courses: []courses.Course{joinery}}}},
		{name: "course", path: "/courses/j1", member: true, view: redoubt.View{Page: "course", Title: "Joinery for beginners", Data: course.View{Course: joinery, Lessons: joints}}},
		{name: "course-draft", path: "/courses/j4", view: redoubt.View{Page: "course", Title: "Reading wood", Data: course.View{Course: wood, Teaches: true, Lessons: joints[3:]}}},
		{name: "course-edit", path: "/courses/j1/edit", notice: "The lesson is added.", view: redoubt.View{Page: "course-edit", Title: "Edit course", Data: courseedit.View{ID: "j1", Title: joinery.Title, Summary: joinery.Summary, State: "published", Lessons: joints, MaxTitle: 100, MaxSummary: 1000, MaxLessons: 200}}},
		{name: "course-edit-draft", path: "/courses/j4/edit", view: redoubt.View{Page: "course-edit", Title: "Edit course", Data: courseedit.View{ID: "j4", Title: wood.Title, Summary: wood.Summary, State: "draft", Lessons: joints[:1], MaxTitle: 100, MaxSummary: 1000, MaxLessons: 1}}},
		{name: "course-edit-archived", path: "/courses/j3/edit", view: redoubt.View{Page: "course-edit", Title: "Edit course", Data: courseedit.View{ID: "j3", Title: "Shop safety", State: "archived", Lessons: joints, MaxLessons: 200}}},
		{name: "course-new", path: "/courses/new", view: redoubt.View{Page: "course-edit", Title: "New course", Data: courseedit.View{MaxTitle: 100, MaxSummary: 1000}}},
		{name: "lesson", path: "/lessons/l2", member: true, view: redoubt.View{Page: "lesson", Title: "Sawing to the line", Data: lesson.View{Course: joinery, ID: "l2", Number: 2, Title: "Sawing to the line", Video: "https://www.videos.example/watch?v=sawing", Body: lecture, Text: written(lecture, nil), Files: attached.Files{wide, plan}, Before: "l1", After: "l3"}}},
		{name: "lesson-done", path: "/lessons/l1", view: redoubt.View{Page: "lesson", Title: "Marking out", Data: lesson.View{Course: joinery, ID: "l1", Number: 1, Title: "Marking out", Video: "https://videos.example/1", Done: true, After: "l2", Teaches: true}}},
		{name: "lesson-draft", path: "/lessons/l4", view: redoubt.View{Page: "lesson", Title: "Dovetails", Data: lesson.View{Course: wood, ID: "l4", Number: 1, Title: "Dovetails", Body: lecture, Teaches: true}}},
		{name: "lesson-edit", path: "/lessons/l2/edit", view: redoubt.View{Page: "lesson-edit", Title: "Edit lesson", Data: lessonedit.View{ID: "l2", CourseID: "j1", Course: joinery.Title, Title: "Sawing to the line", VideoURL: "https://www.videos.example/watch?v=sawing", Body: lecture, Files: attached.Files{wide, plan}, MaxTitle: 100, MaxVideo: 500, MaxBody: 20000, Uploads: fewFiles}}},
		{name: "lesson-new", path: "/courses/j1/lessons/new", view: redoubt.View{Page: "lesson-edit", Title: "New lesson", Data: lessonedit.View{CourseID: "j1", Course: joinery.Title, MaxTitle: 100, MaxVideo: 500, MaxBody: 20000, Uploads: fewFiles}}},
		{name: "bookmarks", path: "/bookmarks", notice: "The bookmark is removed.", view: redoubt.View{Page: "bookmarks", Title: "Your bookmarks", Data: bookmarks.View{Next: "c2", Bookmarks: []bookmarks.Bookmark{
			{ID: "m1", Course: "j1", Title: joinery.Title, Author: joinery.Author, Marked: ago(5 * time.Minute)},
			{ID: "m2", Post: "a2", Title: "Does anybody have a spare set of 6 mm chisels for Saturday’s course? We have twelve people and ten chisels, and I would rather not saw anyone in half.", Author: "Priya Raghunathan", Marked: ago(4 * day)},
			{ID: "m3", Post: "a4", Title: "Thank you all for three good years.", Author: "", Marked: ago(12 * day)},
		}}}},
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
			{ID: "d5", Product: "A day at the bench", Buyer: "Priya Raghunathan", Quantity: 1, TotalCents: 7500, Status: "fulfilled", Placed: ago(20 * day)},
			{ID: "d6", Product: "Marking gauge", Buyer: "Matthias Ó Briain", Quantity: 1, TotalCents: 3200, Status: "refunded", Placed: ago(9 * day)},
			{ID: "d3", Product: "Marking gauge", Buyer: "", Quantity: 1, TotalCents: 3200, Status: "cancelled", Placed: ago(45 * day)},
			{ID: "d4", Product: "Membership, one year", Buyer: "Alice Rasmussen", Quantity: 1, TotalCents: 124000, Currency: "USD", Status: "paid", Placed: ago(400 * day)},
		}}}},
		{name: "orders-own", path: "/orders", member: true, view: redoubt.View{Page: "orders", Title: "Your orders", Data: orders.View{Orders: []orders.Order{
			{ID: "d1", Product: "Joinery for beginners", Quantity: 2, TotalCents: 36000, Placed: ago(5 * time.Minute)},
		}}}},
		{name: "order", path: "/orders/d1", notice: "Your order is placed. Thank you.", view: redoubt.View{Page: "order", Title: "Receipt", Data: order.View{ID: "7c0e4d0a-6a2b-4a57-b1c3-5f7f0b7d2f11", Product: "Joinery for beginners", Buyer: "Priya Raghunathan", Quantity: 2, UnitCents: 18000, TotalCents: 36000, Notes: "One place is for my brother, who is left-handed.", Status: "placed", Placed: ago(5 * time.Minute), MayCancel: true, MayPay: true}}},
		{name: "order-paid", path: "/orders/d2", notice: "The order is paid.", view: redoubt.View{Page: "order", Title: "Receipt", Data: order.View{ID: "7c0e4d0a-6a2b-4a57-b1c3-5f7f0b7d2f12", Product: "Workshop apron", Quantity: 12, UnitCents: 4950, TotalCents: 59400, Status: "paid", Placed: ago(2 * day), Paid: ago(30 * hour), MayFulfill: true, MayRefund: true}}},
		{name: "order-refunded", path: "/orders/d3", view: redoubt.View{Page: "order", Title: "Receipt", Data: order.View{ID: "7c0e4d0a-6a2b-4a57-b1c3-5f7f0b7d2f13", Product: "Marking gauge", Buyer: "Matthias Ó Briain", Quantity: 1, UnitCents: 3200, TotalCents: 3200, Status: "refunded", Placed: ago(9 * day), Paid: ago(8 * day), Refunded: ago(day)}}},
		{name: "profile", path: "/profile", notice: "Your profile is saved.", view: redoubt.View{Page: "profile", Title: "Your profile", Data: profile.View{DisplayName: "Alice Rasmussen", Bio: "I look after the machines. Ask me about bandsaws.", Picture: face, Upload: onePicture, MaxName: 80, MaxBio: 500, Name: "Alice M. Rasmussen", Email: "alice@acme.example", Provider: "Acme sign-on", Groups: []string{"workshop", "commons-admins"}, Joined: ago(410 * day)}}},
		{name: "onboarding", path: "/onboarding", member: true, view: redoubt.View{Page: "onboarding", Title: "Welcome", Data: onboarding.View{DisplayName: "Alice Rasmussen", MaxName: 80, MaxBio: 500}}},
		{name: "sessions", path: "/sessions", view: redoubt.View{Page: "sessions", Title: "Your sessions", Data: sessions.View{Sessions: []sessions.Session{
			{ID: "s1", Agent: firefox, Address: "198.51.100.24", SeenAddress: "198.51.100.24", Organization: "Acme Workshop", Provider: "Acme sign-on", SignedIn: ago(3 * hour), Seen: now, Ends: now.Add(9 * hour), Current: true},
			{ID: "s2", Agent: iphone, Address: "198.51.100.24", SeenAddress: "2001:db8:85a3::8a2e:370:7334", Organization: "Globex Gardening Society of the Northern Counties", Provider: "Acme sign-on", SignedIn: ago(11 * hour), Seen: ago(20 * time.Minute), Ends: now.Add(hour)},
			{ID: "s3", Agent: edge, Address: "203.0.113.9", SeenAddress: "203.0.113.9", Organization: "Acme Workshop", Provider: "University sign-on", SignedIn: ago(9 * hour), Seen: ago(4 * hour), Ends: now.Add(3 * hour)},
			{ID: "s4", Agent: "strange/1.0", Organization: "Acme Workshop", SignedIn: ago(2 * hour), Seen: ago(19 * time.Minute), Ends: now.Add(10 * hour)},
		}}}},
		{name: "keys", path: "/keys", view: redoubt.View{Page: "keys", Title: "API keys", Data: keys.View{MaxName: 80, Scopes: scopes, Keys: []keys.Key{
			{ID: "k1", Name: "Stock keeper", Prefix: "rdk_live_8fQ2", Scopes: []string{"orders:read", "products:read"}, Created: ago(12 * day), Expires: now.Add(78 * day), Used: ago(8 * time.Minute), From: "2001:db8:85a3::/48",
				Places: []keys.Place{{Network: "2001:db8:85a3::/48", First: ago(2 * day), Last: ago(8 * time.Minute), New: true}, {Network: "198.51.100.0/24", First: ago(12 * day), Last: ago(3 * day)}}},
			{ID: "k2", Name: "Newsletter", Prefix: "rdk_live_L0x9", Scopes: []string{"posts:read"}, Created: ago(100 * day), Expires: ago(10 * day), Expired: true},
			{ID: "k3", Name: "Old laptop", Prefix: "rdk_live_w7Zb", Scopes: []string{"orders:write"}, Created: ago(200 * day), Expires: now.Add(9 * day), Used: ago(120 * day), Revoked: true},
		}}}},
		{name: "key-created", path: "/keys", view: redoubt.View{Page: "key-created", Title: "Your new key", Data: keycreated.View{Name: "Stock keeper", Secret: "rdk_live_8fQ2mZtR4vYb0NcXe7KpWs6Ud1GhJaLo_3fX9Tq", Scopes: []string{"orders:read", "products:read"}, Expires: now.Add(90 * day)}}},
		{name: "machines", path: "/admin/machines", notice: "The machine is trusted.", view: redoubt.View{Page: "machines", Title: "Machines", Data: machines.View{MaxName: 100, MaxUses: 1000, Scopes: machineScopes, Lifetimes: lifetimes,
			Issuers: []string{"https://token.actions.githubusercontent.com", "https://gitlab.example.com"}, Audience: "https://commons.example/organizations/0b5c9f6e-8a57-4d0e-9f0e-0d1f8a1c0001", Exchange: "/oauth/token",
			Trusts: []machines.Trust{
				{ID: "t1", Name: "Publishes the catalogue", Issuer: "https://token.actions.githubusercontent.com", Subject: "repo:acme/catalogue:ref:refs/heads/main", Scopes: []string{"products:read", "orders:read"}, Uses: 1, Created: ago(12 * day), Expires: now.Add(353 * day), Used: ago(8 * time.Minute)},
				{ID: "t2", Name: "Night shift", Issuer: "https://gitlab.example.com", Subject: "project_path:acme/tools:ref_type:tag:ref:v*", Scopes: []string{"posts:read"}, Uses: 20, Created: ago(100 * day)},
				{ID: "t3", Name: "Old build", Issuer: "https://gitlab.example.com", Subject: "project_path:acme/attic:ref_type:branch:ref:main", Scopes: []string{"orders:read"}, Uses: 1, Created: ago(400 * day), Expires: ago(35 * day), Used: ago(40 * day), Expired: true},
				{ID: "t4", Name: "The intern's experiment", Issuer: "https://token.actions.githubusercontent.com", Subject: "repo:acme/*:pull_request", Scopes: []string{"orders:read"}, Uses: 1, Created: ago(30 * day), Used: ago(29 * day), Revoked: true},
			}}}},
		{name: "directory", path: "/admin/directory", view: redoubt.View{Page: "directory", Title: "Directory", Data: directory.View{MaxName: 100, Address: "https://commons.example/scim/v2",
			Issuers: []string{"https://login.acme.example/oauth2/default", "https://accounts.partners.example"}, Connections: []directory.Connection{
				{ID: "e1", Name: "Acme sign-on", Made: ago(40 * day)}, {ID: "e2", Name: "The old provider of the northern branch", Made: ago(400 * day), Revoked: true}}}}},
		{name: "directory-created", path: "/admin/directory", view: redoubt.View{Page: "directory-created", Title: "Connected", Data: directorycreated.View{Name: "Acme sign-on", Address: "https://commons.example/scim/v2", Credential: "rdw_8fQ2mZtR4vYb0NcXe7KpWs6Ud1GhJaLo3fX9Tq"}}},
		{name: "members", path: "/admin/members", notice: "Matthias Ó Briain is deactivated.", view: redoubt.View{Page: "members", Title: "Members", Data: members.View{Next: "c2", Appoints: true, Owns: true, Stops: true, Erases: true, OwnRoles: []members.OwnRole{{ID: "r1", Name: "Teacher"}}, Members: []members.Member{
			{ID: "m1", Name: "Alice Rasmussen", Email: "alice@acme.example", Role: "owner", Administrator: true, Active: true, Self: true, Joined: ago(410 * day), Seen: now},
			{ID: "m2", Name: "Priya Raghunathan", Email: "priya.raghunathan@acme.example", Role: "admin", OwnRole: "r1", OwnRoleName: "Teacher", Active: true, Joined: ago(90 * day), Seen: ago(3 * hour)},
			{ID: "m3", Name: "Matthias Ó Briain", Email: "matthias@acme.example", Role: "member", Group: "acme-staff", Joined: ago(200 * day), Seen: ago(time.Minute)},
			{ID: "m4", Name: "田中 さくら", Email: "sakura@acme.example", Role: "guest", Active: true, Joined: ago(2 * day)},
		}}}},
		{name: "audit", path: "/admin/audit", view: redoubt.View{Page: "audit", Title: "Audit trail", Data: audit.View{Next: "c2", Prefixes: []string{"order", "post", "session", "member"}, Entries: []audit.Entry{
			{Time: ago(time.Minute), Actor: "Alice Rasmussen", Action: "member.deactivated", Entity: "profile", EntityID: "7c0e4d0a-6a2b-4a57-b1c3-5f7f0b7d2f11", Address: "198.51.100.24", Changes: []audit.Change{{Field: "active", Before: "true", After: "false"}}},
			{Time: ago(5 * time.Minute), Actor: "Priya Raghunathan", Action: "order.placed", Entity: "order", EntityID: "1d9b2f7e-3d44-4a3a-8a63-1c1f3a3f9e02", Address: "203.0.113.9", Changes: []audit.Change{{Field: "quantity", After: "2"}, {Field: "total_cents", After: "36000"}}},
			{Time: ago(26 * hour), Actor: "Matthias Ó Briain", Action: "post.updated", Entity: "post", EntityID: "a3d1c9be-52b5-4d0c-a0a6-0a3b1c77b1aa", Address: "2001:db8::1", Changes: []audit.Change{{Field: "body", Before: "I have now run the evening class three times", After: "I have now run the evening class four times"}}},
			{Time: ago(3 * day), Action: "session.expired", Entity: "session", EntityID: "s9"},
			{Time: ago(4 * day), Actor: "Alice Rasmussen", Action: "sign-in.succeeded", Address: "198.51.100.24"},
		}}}},
		{name: "organization", path: "/organization", notice: "The settings are saved.", view: redoubt.View{Page: "organization", Title: "Organization", Data: organization.View{Name: "Acme Workshop", Role: "owner", OwnRole: "Teacher", Members: 34, Since: ago(410 * day), Sole: true, Settings: true, JustInTime: true, MaxName: 100,
			Groups: []organization.Group{{Name: "acme-staff", Role: "member"}, {Name: "cn=workshop leads,ou=groups,dc=acme,dc=example", Role: "admin"}}, Heirs: []organization.Heir{{ID: "m2", Name: "Priya Raghunathan", Email: "priya@acme.example"}}}}},
		{name: "organization-member", path: "/organization", member: true, view: redoubt.View{Page: "organization", Title: "Organization", Data: organization.View{Name: "Globex Gardening Society of the Northern Counties", Role: "member", Members: 1204, Since: ago(40 * day), MaxName: 100}}},
		{name: "organization-admin", path: "/organization", view: redoubt.View{Page: "organization", Title: "Organization", Data: organization.View{Name: "Acme Workshop", Role: "admin", Members: 34, Since: ago(410 * day), Settings: true, MaxName: 100}}},
		{name: "organization-new", path: "/organizations/new", view: redoubt.View{Page: "organization-new", Title: "New organization", Data: organizationnew.View{MaxName: 100}}},
		{name: "organization-new-member", path: "/organizations/new", member: true, view: redoubt.View{Page: "organization-new", Title: "New organization", Data: organizationnew.View{MaxName: 100}}},
		{name: "invitations", path: "/organization/invitations", view: redoubt.View{Page: "invitations", Title: "Invitations", Data: invitations.View{Admins: true, OwnRoles: []invitations.OwnRole{{ID: "r1", Name: "Teacher"}}, Invitations: []invitations.Invitation{
			{ID: "i1", Email: "niamh.o.sullivan+workshop@longmailprovider.example", Role: "member", OwnRole: "Teacher", Inviter: "Alice Rasmussen", Sent: ago(3 * hour), Expires: now.Add(6*day + 21*hour)},
			{ID: "i2", Email: "kofi@acme.example", Role: "guest", Inviter: "Priya Raghunathan", Sent: ago(8 * day), Expires: ago(day)},
		}}}},
		{name: "invitation-created", path: "/organization/invitations", view: redoubt.View{Page: "invitation-created", Title: "Invitation", Data: invitationcreated.View{Email: "kofi@acme.example", Link: "https://commons.example/invitations/rdi_" + strings.Repeat("k3Vq", 10) + "abc", Mailed: true, Expires: now.Add(7 * day)}}},
		{name: "invitation-not-mailed", path: "/organization/invitations", view: redoubt.View{Page: "invitation-created", Title: "Invitation", Data: invitationcreated.View{Email: "kofi@acme.example", Link: "https://commons.example/invitations/rdi_" + strings.Repeat("k3Vq", 10) + "abc", Expires: now.Add(7 * day)}}},
		{name: "invitation", path: "/invitations/x", signedOut: true, view: redoubt.View{Page: "invitation", Title: "Invitation", Data: invitation.View{Token: "x", Organization: "Acme Workshop", Inviter: "Alice Rasmussen", Role: "member", OwnRole: "Teacher", Expires: now.Add(7 * day), Providers: []invitation.Provider{{}}}}},
		{name: "invitation-places", path: "/invitations/x", view: redoubt.View{Page: "invitation", Title: "Invitation", Data: invitation.View{Token: "x", Organization: "Globex Gardening Society of the Northern Counties", Inviter: "Alice Rasmussen", Role: "admin", Expires: now.Add(7 * day), Providers: []invitation.Provider{{ID: "acme", Title: "Acme sign-on"}, {ID: "unci", Title: "University of the Northern Counties and Islands"}}}}},
		{name: "roles", path: "/organization/roles", view: redoubt.View{Page: "roles", Title: "Roles", Data: roles.View{Scopes: grants, Roles: []roles.Role{
			{ID: "r1", Name: "Teacher", Scopes: grants[:1], Bearers: 3, Mine: true}, {ID: "r2", Name: "Quartermistress of the Long Shed", Scopes: grants, Bearers: 1}, {ID: "r3", Name: "Nothing yet", Mine: true},
		}}}},
		{name: "roles-refused", path: "/organization/roles", typed: map[string]string{"name": "Owner", "scopes": "posts:moderate"}, problem: refused(layer.Field{Name: "name", Detail: "must not be a built-in role's, nor begin or end with a space"}), view: redoubt.View{Page: "roles", Title: "Roles", Data: roles.View{Scopes: grants}}},
		{name: "step-up", path: "/step-up", view: redoubt.View{Page: "step-up", Title: "Confirm that it is you", Data: redoubt.StepUp{Kept: true, Minutes: 10, Provider: "Acme Sign-On"}}},
		{name: "step-up-page", path: "/step-up", view: redoubt.View{Page: "step-up", Title: "Confirm that it is you", Data: redoubt.StepUp{Return: "/keys", Second: true, Minutes: 10, Provider: "Acme Sign-On"}}},
		{name: "step-up-lost", path: "/step-up", view: redoubt.View{Page: "step-up", Title: "Confirm that it is you", Data: redoubt.StepUp{Lost: true, Minutes: 10}}},
		{name: "problem-404", path: "/nowhere", view: redoubt.View{Page: "problem", Title: "Not found", Data: redoubt.Problem{Title: "There is nothing here", Status: 404, Detail: "The page does not exist, or it is not yours to see.", RequestID: "01k3v6q8h0x2", RefusedBy: layer.RLS}}},
		{name: "problem-place", path: "/", signedOut: true, view: redoubt.View{Page: "problem", Title: "No place here yet", Data: redoubt.Problem{Title: "You have no place here yet", Status: 403, RequestID: "01k3v6q8h0x2", RefusedBy: layer.Identity}}},
		{name: "problem-500", path: "/orders", view: redoubt.View{Page: "problem", Title: "Something went wrong", Data: &redoubt.Problem{Title: "Something went wrong on our side", Status: 500, Detail: "It has been written down. Try again in a moment.", RequestID: "01k3v6q8h0x2"}}},
	}
}

var scopes = []keys.Scope{{Name: "posts:read", Means: "Read posts and comments"}, {Name: "products:read", Means: "See products"}, {Name: "orders:read", Means: "See orders"}, {Name: "orders:write", Means: "Place orders"}}

var (
	machineScopes = []machines.Scope{{Name: "posts:read", Means: "Read posts and comments"}, {Name: "products:read", Means: "See products"}, {Name: "orders:read", Means: "See orders"}}
	lifetimes     = []machines.Lifetime{{Days: 90, Words: "after 90 days"}, {Days: 365, Words: "after a year"}, {Days: 0, Words: "when it is revoked"}}
)

// empty is every page that can have nothing on it, with nothing on it.
func empty() []sample {
	return []sample{
		{name: "feed-empty", path: "/", view: redoubt.View{Page: "feed", Title: "Feed", Data: feed.View{Uploads: fewFiles}}},
		{name: "feed-end", path: "/", view: redoubt.View{Page: "feed", Title: "Feed", Data: feed.View{Continued: true}}},
		{name: "post-empty", path: "/posts/a1", view: redoubt.View{Page: "post", Title: "A post", Data: post.View{Post: feed.Post{ID: "a1"}}}},
		{name: "post-edit-empty", path: "/posts/a1/edit", view: redoubt.View{Page: "post-edit", Title: "Edit", Data: postedit.View{ID: "a1"}}},
		{name: "courses-empty", path: "/courses", member: true, view: redoubt.View{Page: "courses", Title: "Courses", Data: courses.View{}}},
		{name: "courses-none", path: "/courses", view: redoubt.View{Page: "courses", Title: "Courses", Data: courses.View{Teaches: true}}},
		{name: "courses-end", path: "/courses", view: redoubt.View{Page: "courses", Title: "Courses", Data: courses.View{Continued: true}}},
		{name: "course-empty", path: "/courses/j1", view: redoubt.View{Page: "course", Title: "Course", Data: course.View{Teaches: true, Course: courses.Course{ID: "j1", Title: "Reading wood", Author: "Alice Rasmussen", State: "draft"}}}},
		{name: "course-edit-empty", path: "/courses/j1/edit", view: redoubt.View{Page: "course-edit", Title: "Edit course", Data: courseedit.View{ID: "j1", State: "draft"}}},
		{name: "lesson-empty", path: "/lessons/l1", view: redoubt.View{Page: "lesson", Title: "Lesson", Data: lesson.View{Title: "Lesson", Course: courses.Course{Title: "Course"}}}},
		{name: "lesson-edit-empty", path: "/lessons/l1/edit", view: redoubt.View{Page: "lesson-edit", Title: "Lesson", Data: lessonedit.View{Course: "Course"}}},
		{name: "bookmarks-empty", path: "/bookmarks", view: redoubt.View{Page: "bookmarks", Title: "Your bookmarks", Data: bookmarks.View{}}},
		{name: "bookmarks-end", path: "/bookmarks", view: redoubt.View{Page: "bookmarks", Title: "Your bookmarks", Data: bookmarks.View{Continued: true}}},
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
		{name: "machines-empty", path: "/admin/machines", view: redoubt.View{Page: "machines", Title: "Machines", Data: machines.View{}}},
		{name: "machines-first", path: "/admin/machines", view: redoubt.View{Page: "machines", Title: "Machines", Data: machines.View{Issuers: []string{"https://gitlab.example.com"}, Scopes: machineScopes, Lifetimes: lifetimes, MaxUses: 1000, Audience: "https://commons.example/organizations/x", Exchange: "/oauth/token"}}},
		{name: "directory-empty", path: "/admin/directory", view: redoubt.View{Page: "directory", Title: "Directory", Data: directory.View{Address: "https://commons.example/scim/v2"}}},
		{name: "directory-created-empty", path: "/admin/directory", view: redoubt.View{Page: "directory-created", Title: "Connected", Data: directorycreated.View{}}},
		{name: "members-empty", path: "/admin/members", view: redoubt.View{Page: "members", Title: "Members", Data: members.View{}}},
		{name: "audit-empty", path: "/admin/audit", view: redoubt.View{Page: "audit", Title: "Audit trail", Data: audit.View{}}},
		{name: "audit-filtered-empty", path: "/admin/audit", view: redoubt.View{Page: "audit", Title: "Audit trail", Data: audit.View{Prefix: "nothing."}}},
		{name: "organization-empty", path: "/organization", view: redoubt.View{Page: "organization", Title: "Organization", Data: organization.View{}}},
		{name: "invitations-empty", path: "/organization/invitations", view: redoubt.View{Page: "invitations", Title: "Invitations", Data: invitations.View{}}},
		{name: "roles-empty", path: "/organization/roles", view: redoubt.View{Page: "roles", Title: "Roles", Data: roles.View{}}},
		{name: "invitation-empty", path: "/invitations/x", signedOut: true, view: redoubt.View{Page: "invitation", Title: "Invitation", Data: invitation.View{}}},
		{name: "invitation-created-empty", path: "/organization/invitations", view: redoubt.View{Page: "invitation-created", Title: "Invitation", Data: invitationcreated.View{}}},
		{name: "organization-new-empty", path: "/organizations/new", view: redoubt.View{Page: "organization-new", Title: "New organization", Data: organizationnew.View{}}},
		{name: "step-up-empty", path: "/step-up", view: redoubt.View{Page: "step-up", Title: "Confirm that it is you", Data: redoubt.StepUp{}}},
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
	also := func(name string, s sample) sample {
		s.name = name
		return s
	}
	return []sample{
		also("feed-file-refused", refuse("feed", map[string]string{"body": "Look at *this*.", "files": plan.ID + ", " + sheet.ID}, layer.Field{Name: "uploads[1]", Detail: "is not a picture or a document of the kinds that are taken here"})),
		also("post-edit-file-refused", refuse("post-edit", map[string]string{"body": "Look at *this*.", "files": plan.ID}, layer.Field{Name: "uploads", Detail: "must have at most 25 MiB"}, layer.Field{Name: "files[0]", Detail: "is not there any more"})),
		also("profile-picture-refused", refuse("profile", nil, layer.Field{Name: "picture", Detail: "is not a whole picture"})),
		refuse("feed", map[string]string{"body": " "}, body),
		refuse("post", map[string]string{"body": " "}, body),
		refuse("post-edit", map[string]string{"body": " "}, body),
		refuse("course-edit", map[string]string{"title": " ", "summary": "Typed before."}, layer.Field{Name: "title", Detail: "Give it a title."}),
		refuse("lesson-new", map[string]string{"title": "x", "video_url": "http://x", "body": ""}, layer.Field{Name: "video_url", Detail: "Begin with https."}, layer.Field{Name: "body", Detail: "A lesson needs a video, a text, or both."}),
		refuse("products", map[string]string{"product_id": "b2", "quantity": "400", "notes": "As soon as you can, please."}, layer.Field{Name: "quantity", Detail: "Order 1 to 100."}),
		refuse("profile", map[string]string{"display_name": "", "bio": "Typed before."}, name, layer.Field{Name: "bio", Detail: "Use at most 500 characters."}),
		refuse("onboarding", map[string]string{"display_name": "", "bio": "Typed before."}, name),
		refuse("keys", map[string]string{"name": "", "scopes": "orders:read, orders:write", "expires_in_days": "365"}, layer.Field{Name: "name", Detail: "Give it a name."}, layer.Field{Name: "scopes[1]", Detail: "Your role does not allow this."}),
		refuse("machines", map[string]string{"name": "Deploys", "issuer": "https://gitlab.example.com", "subject_pattern": "repo:*/*", "scopes": "orders:read, posts:read", "uses": "0", "expires_in_days": "90"},
			layer.Field{Name: "subject_pattern", Detail: "has segments between : and /, none of them empty; the first two are named in full."}, layer.Field{Name: "uses", Detail: "Use 1 to 1000."}),
		refuse("audit", map[string]string{"action": "Order!"}, layer.Field{Name: "action", Detail: "Use lower-case letters, dots and hyphens."}),
	}
}

func everything(now time.Time) []sample {
	return append(append(full(now), empty()...), wrong(now)...)
}
