package commons

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/commons/account"
	"github.com/redoubt-dev/redoubt/commons/bookmark"
	"github.com/redoubt-dev/redoubt/commons/community"
	"github.com/redoubt-dev/redoubt/commons/course"
	"github.com/redoubt-dev/redoubt/commons/shop"
	"github.com/redoubt-dev/redoubt/layer"
)

// A story is what the people of one organization have been doing.
type story struct {
	seller   string // an administrator
	products []shop.OfferProduct
	posts    []talk
	orders   []order
	courses  []lecture
}

type talk struct {
	by       string // the first name
	body     string
	shows    *sketch  // at the end of the text
	below    []sketch // beneath it
	comments []remark
	likes    []string
	marks    []string
}

type remark struct{ by, body string }

type order struct {
	by       string
	product  int // in products
	quantity int
	notes    string
}

type lecture struct {
	about   course.Describe
	lessons []lesson
	draft   bool
	done    map[string]int // by first name: so many lessons, from the first
	marks   []string
}

type lesson struct{ title, video, body string }

var bios = map[string]string{
	"Alice": "Runs the climbing hall. Ask me about anything with a rope on it.",
	"Bob":   "Route setter, coffee drinker, occasional belayer.",
	"Carol": "Keeps the kilns warm and the glaze recipes secret.",
	"Dave":  "Wheel, clay, repeat.",
	"Erin":  "Climbs at Acme, throws pots at Globex.",
}

var stories = map[string]story{
	"Acme": {
		seller: "Alice",
		products: []shop.OfferProduct{
			{Name: "Day pass", Description: "Hall and boulders, one day, shoes included.", PriceCents: 1800},
			{Name: "Ten visits", Description: "Ten entries, good for a year, to share with whoever belays you.", PriceCents: 15000},
			{Name: "Lead climbing course", Description: "Two evenings with Alice: clipping, falling, catching. Bring a harness.", PriceCents: 12900},
			{Name: "Chalk, 300 g", Description: "Plain magnesium carbonate. No perfume, no colour, no story.", PriceCents: 950},
		},
		posts: []talk{
			{by: "Alice", body: "Welcome to the new home of our climbing hall. From now on, all of it goes here:\n\n- **courses**, with the reading for each evening\n- opening times, and when they change\n- who needs a belay partner\n\nWho is new begins with *Your first rope*, under Courses. The rest is on the wall."},
			{by: "Bob", body: "The overhang on the north wall has new routes:\n\n1. two easy ones\n2. one that will make you swear\n3. one that nobody has finished yet\n\nThe blue one starts on the **left**, not on the right. Yes, really.", shows: &wall,
				comments: []remark{{"Erin", "Finished it. It starts on the right."}, {"Bob", "It does not, and I have the screws to prove it."}, {"Alice", "Settle this on Thursday, on the wall, with an audience."}}, likes: []string{"Alice", "Erin"}, marks: []string{"Erin"}},
			{by: "Erin", body: "Looking for somebody to climb with on Tuesday evenings. I am slow, careful, and bring cake.",
				comments: []remark{{"Bob", "You had me at cake."}}, likes: []string{"Bob"}},
			{by: "Alice", body: "Ropes three to six are retired as of today. The new ones hang at the desk; please sign them out and, more importantly, *back in*.", below: []sketch{ropes}, likes: []string{"Bob", "Erin"}},
		},
		orders: []order{{"Bob", 3, 2, "For the team's bag, thank you."}, {"Erin", 1, 1, ""}, {"Alice", 0, 4, "School visit on Friday."}},
		courses: []lecture{
			{about: course.Describe{Title: "Your first rope", Summary: "What to know before you tie in for the first time. Read it at home, ask us at the wall."},
				lessons: []lesson{
					{title: "The harness, and what every loop is for", body: "Put it on over the trousers that you will climb in, not over the ones that you wish you had brought.\n\n# In this order\n\n1. The waist belt, above the hip bones, so tight that a flat hand fits and a fist does not.\n2. The legs.\n3. Somebody else's eyes.\n\n# The loops\n\nThe one in front that joins waist and legs is the **belay loop**. It is the one that may save somebody's life, so it gets nothing clipped to it that is not for that.\n\n> The loops at the sides are for hanging up gear. They tear at the weight of a child."},
					{title: "The figure of eight", video: "https://videos.acme.example/figure-of-eight", body: "Watch it twice, then tie it twenty times at home, ten of these with your eyes shut.\n\nFive pairs of parallel strands, a tail as long as your hand, nothing crossed. Your partner checks yours, you check your partner's. Every time, however long you have known each other."},
					{title: "Falling", video: "https://videos.acme.example/falling"},
				}, done: map[string]int{"Bob": 3, "Erin": 2}, marks: []string{"Erin", "Alice"}},
			{about: course.Describe{Title: "Belaying, for those who think they can", Summary: "Three habits that creep in after the first hundred climbs, and how to get rid of them."},
				lessons: []lesson{
					{title: "The hand that never lets go", body: "The brake hand **stays on the rope**. It sounds easy. Have somebody film you for one route, and count."},
					{title: "Where to stand", body: "One step to the side and one step to the wall. Whoever stands far back to see better is pulled far forward to regret it."},
				}, done: map[string]int{"Erin": 1}},
			{about: course.Describe{Title: "Setting a route", Summary: "How Bob thinks, in so far as anybody can know."}, draft: true,
				lessons: []lesson{{title: "Begin with the last hold", body: "Bob, please write something here. A. (It starts on the left. B.)"}}},
		},
	},
	"Globex": {
		seller: "Carol",
		products: []shop.OfferProduct{
			{Name: "Wheel, per hour", Description: "A wheel of your own and somebody to ask. Clay is extra.", PriceCents: 1400},
			{Name: "Stoneware, 10 kg", Description: "Buff, with a little grog. Fires to 1240 °C.", PriceCents: 1650},
			{Name: "Glaze workshop", Description: "A Saturday with Carol. You leave with twelve test tiles and one secret.", PriceCents: 8900},
		},
		posts: []talk{
			{by: "Carol", body: "The big kiln is firing tonight and cools until Thursday. Please resist the lid. We all remember what happened to ~~the owl~~ the owls.", below: []sketch{kiln}},
			{by: "Dave", body: "Found a box of test tiles from 2019 behind the shelf. If number 44 is yours: it is gorgeous, and what on earth was in it?", below: []sketch{tile44},
				comments: []remark{{"Carol", "Copper, and luck. Mostly luck."}, {"Erin", "I will buy whatever that is."}}, likes: []string{"Carol", "Erin"}, marks: []string{"Dave"}},
			{by: "Erin", body: "My first bowl that is not secretly a plate. Thank you, Dave, for holding back your remarks.", likes: []string{"Dave"},
				comments: []remark{{"Dave", "I was not holding back. I was in awe."}}},
		},
		orders: []order{{"Dave", 1, 3, "To the back door, please."}, {"Erin", 0, 2, ""}},
		courses: []lecture{
			{about: course.Describe{Title: "Centring, and other consolations", Summary: "Twenty minutes at the wheel, five times. The sixth time it stays in the middle."},
				lessons: []lesson{
					{title: "Wedging", body: "A hundred times, as if you were kneading bread that you are angry with. Air that stays in the clay comes out in the kiln, and takes a piece of your neighbour's bowl along."},
					{title: "The middle", video: "https://videos.globex.example/the-middle", body: "Elbows into your sides, or onto your knees. The clay moves, you do not. If you push it about, it learns from you."},
					{title: "Opening", video: "https://videos.globex.example/opening"},
					{title: "Walls", body: "# Three pulls\n\nMore than three, and it is tired; less than three, and it is a dog's bowl. There is nothing wrong with a dog's bowl."},
				}, done: map[string]int{"Dave": 4, "Erin": 1}, marks: []string{"Dave"}},
			{about: course.Describe{Title: "Glaze, a beginning", Summary: "What melts, what stays, and why we write everything down."},
				lessons: []lesson{{title: "Test tiles", body: "Number each of them *before* you dip it, not afterwards. On the back, in oxide:\n\n```\n44  cu 2.5  sn 1.0  1240 ox\n```\n\nAsk Dave about number 44."}}, marks: []string{"Erin"}},
			{about: course.Describe{Title: "Looking after the kiln"}, draft: true},
		},
	},
}

// example fills the organizations with what their people might have done, each in their own name and with no more rights than
// they have.
func example(ctx context.Context, p redoubt.Parts, people []redoubt.Person) error {
	easel, err := newEasel(p.Files)
	if err != nil {
		return fmt.Errorf("setting up an easel: %w", err)
	}
	members := map[string]map[string]layer.Principal{}
	for _, person := range people {
		first, _, _ := strings.Cut(person.Name, " ")
		if members[person.Organization.Name] == nil {
			members[person.Organization.Name] = map[string]layer.Principal{}
		}
		members[person.Organization.Name][first] = person.Principal
		profile := account.WriteProfile{DisplayName: person.Name, Bio: bios[first]}
		people := account.New(p.DB, p.Identity, p.Files, p.Provider)
		if _, err := people.Onboard(ctx, person.Principal, profile); err != nil && !known(err) {
			return fmt.Errorf("introducing %s: %w", first, err)
		}
		if err := easel.portray(ctx, people, person.Principal, first); err != nil {
			return fmt.Errorf("portraying %s: %w", first, err)
		}
	}
	for name, story := range stories {
		begun, err := community.New(p.DB, p.Files, nil).Any(ctx, members[name][story.seller])
		if err != nil {
			return err
		}
		if begun { // by a run that was interrupted
			continue
		}
		if err := story.talk(ctx, community.New(p.DB, p.Files, nil), bookmark.New(p.DB), easel, members[name]); err != nil {
			return fmt.Errorf("filling the feed of %s: %w", name, err)
		}
		if err := story.teach(ctx, course.New(p.DB, p.Files), bookmark.New(p.DB), members[name]); err != nil {
			return fmt.Errorf("filling the courses of %s: %w", name, err)
		}
		if err := story.trade(ctx, shop.New(p.DB), members[name]); err != nil {
			return fmt.Errorf("filling the shop of %s: %w", name, err)
		}
	}
	return nil
}

// known reports whether err only says that the person has a profile already.
func known(err error) bool {
	var refusal *layer.Refusal
	return errors.As(err, &refusal) && refusal.Reason == layer.Conflict
}

func (s story) talk(ctx context.Context, c *community.Community, b *bookmark.Bookmarks, e *easel, members map[string]layer.Principal) error {
	for _, t := range s.posts {
		words, err := t.words(ctx, e, members[t.by])
		if err != nil {
			return err
		}
		post, err := c.Write(ctx, members[t.by], words)
		if err != nil {
			return err
		}
		for _, r := range t.comments {
			if _, err := c.Comment(ctx, members[r.by], community.Say{ID: post.ID, Body: r.body}); err != nil {
				return err
			}
		}
		for _, by := range t.likes {
			if _, err := c.Like(ctx, members[by], community.OnePost{ID: post.ID}); err != nil {
				return err
			}
		}
		for _, by := range t.marks {
			if _, err := b.Mark(ctx, members[by], bookmark.Mark{PostID: &post.ID}); err != nil {
				return err
			}
		}
	}
	return nil
}

// words are what a post says, with its pictures where there are any.
func (t talk) words(ctx context.Context, e *easel, by layer.Principal) (community.WritePost, error) {
	words := community.WritePost{Body: t.body}
	if e == nil {
		return words, nil
	}
	for _, s := range t.below {
		id, err := e.hang(ctx, by, s)
		if err != nil {
			return words, err
		}
		words.Files = append(words.Files, id)
	}
	if t.shows != nil {
		id, err := e.hang(ctx, by, *t.shows)
		if err != nil {
			return words, err
		}
		words.Body += fmt.Sprintf("\n\n![%s](/files/%s)", strings.TrimSuffix(t.shows.name, ".png"), id)
	}
	return words, nil
}

func (s story) teach(ctx context.Context, c *course.Courses, b *bookmark.Bookmarks, members map[string]layer.Principal) error {
	for _, l := range s.courses {
		made, err := c.Begin(ctx, members[s.seller], l.about)
		if err != nil {
			return err
		}
		ids, err := l.write(ctx, c, members[s.seller], made.ID)
		if err != nil {
			return err
		}
		for by, n := range l.done {
			for _, id := range ids[:n] {
				if _, err := c.Finish(ctx, members[by], course.OneLesson{ID: id}); err != nil {
					return err
				}
			}
		}
		for _, by := range l.marks {
			if _, err := b.Mark(ctx, members[by], bookmark.Mark{CourseID: &made.ID}); err != nil {
				return err
			}
		}
	}
	return nil
}

// write adds the lessons and, unless it stays a draft, publishes the course.
func (l lecture) write(ctx context.Context, c *course.Courses, teacher layer.Principal, id course.ID) (ids []course.LessonID, err error) {
	for _, one := range l.lessons {
		words := course.WriteLesson{Title: one.title}
		if one.video != "" {
			words.VideoURL = &one.video
		}
		if one.body != "" {
			words.Body = &one.body
		}
		made, err := c.Teach(ctx, teacher, course.AddLesson{ID: id, WriteLesson: words})
		if err != nil {
			return nil, err
		}
		ids = append(ids, made.ID)
	}
	if !l.draft {
		_, err = c.Move(ctx, teacher, course.MoveCourse{ID: id, State: course.Published})
	}
	return ids, err
}

func (s story) trade(ctx context.Context, sh *shop.Shop, members map[string]layer.Principal) error {
	var ids []shop.ProductID
	for _, p := range s.products {
		product, err := sh.Offer(ctx, members[s.seller], p)
		if err != nil {
			return err
		}
		ids = append(ids, product.ID)
	}
	for _, o := range s.orders {
		if _, err := sh.Place(ctx, members[o.by], shop.PlaceOrder{ProductID: ids[o.product], Quantity: o.quantity, Notes: o.notes}); err != nil {
			return err
		}
	}
	return nil
}

// exampleAge makes the newest post an hour and a half old, each one before it most of a day older, and lets answers and orders
// follow in their time; courses are older, and bookmarks of these days.
const exampleAge = `
update commons.post p set created_at = now() - interval '97 minutes' - n.behind * interval '19 hours 23 minutes'
  from (select organization_id, id, row_number() over (partition by organization_id order by created_at desc, id) - 1 as behind from commons.post) n
 where n.organization_id = p.organization_id and n.id = p.id;
update commons.comment c set created_at = p.created_at + n.place * interval '17 minutes'
  from commons.post p, (select organization_id, id, row_number() over (partition by organization_id, post_id order by created_at, id) as place from commons.comment) n
 where p.organization_id = c.organization_id and p.id = c.post_id and n.organization_id = c.organization_id and n.id = c.id;
update commons.order_ o set created_at = now() - interval '52 minutes' - n.behind * interval '26 hours 11 minutes'
  from (select organization_id, id, row_number() over (partition by organization_id order by created_at desc, id) - 1 as behind from commons.order_) n
 where n.organization_id = o.organization_id and n.id = o.id;
update commons.course c set created_at = now() - interval '11 days' - n.behind * interval '16 days 5 hours',
       published_at = case when c.state <> 'draft' then now() - interval '10 days' - n.behind * interval '16 days 5 hours' end
  from (select organization_id, id, row_number() over (partition by organization_id order by created_at desc, id) - 1 as behind from commons.course) n
 where n.organization_id = c.organization_id and n.id = c.id;
update commons.bookmark b set created_at = now() - interval '7 hours' - n.behind * interval '31 hours 12 minutes'
  from (select organization_id, id, row_number() over (partition by organization_id order by created_at desc, id) - 1 as behind from commons.bookmark) n
 where n.organization_id = b.organization_id and n.id = b.id;
update identity.membership set created_at = created_at - interval '41 days';`
