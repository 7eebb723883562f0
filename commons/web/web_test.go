package web_test

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/commons/web"
	"github.com/redoubt-dev/redoubt/commons/web/attached"
	"github.com/redoubt-dev/redoubt/commons/web/audit"
	"github.com/redoubt-dev/redoubt/commons/web/course"
	"github.com/redoubt-dev/redoubt/commons/web/courses"
	"github.com/redoubt-dev/redoubt/commons/web/feed"
	"github.com/redoubt-dev/redoubt/commons/web/lesson"
	"github.com/redoubt-dev/redoubt/commons/web/orders"
	"github.com/redoubt-dev/redoubt/commons/web/post"
	"github.com/redoubt-dev/redoubt/commons/web/products"
	"github.com/redoubt-dev/redoubt/commons/web/profile"
	"github.com/redoubt-dev/redoubt/layer"
)

var _ redoubt.Renderer = (*web.Site)(nil)

func TestEveryPageKeepsTheRules(t *testing.T) {
	site := parsed(t)
	for _, s := range everything(time.Now()) {
		t.Run(s.name, func(t *testing.T) {
			for _, fault := range rendered(t, site, frame(s), s.view).faults() {
				t.Error(fault)
			}
		})
	}
}

// hostile strings are what members and providers may send. None may become anything but text (SYSTEM N1, T2).
var hostile = []string{
	`"><script>alert(1)</script>`,
	`'><img src=x onerror=alert(1)>`,
	`" autofocus onfocus="alert(1)`,
	"' onmouseover='alert(1)",
	"`onclick=alert(1)`",
	"javascript:alert(1)",
	"JaVaScRiPt\t:alert(1)",
	"data:text/html,<script>alert(1)</script>",
	"//evil.example/",
	`\\evil.example`,
	"https://evil.example/",
	"../../../evil",
	"?x=1#y",
	"</title><script>alert(1)</script>",
	"</textarea></form><form action=//evil.example>",
	"<!--",
	"]]><![CDATA[",
	"<svg/onload=alert(1)>",
	`{{.Token}}`,
	"&quot;&lt;script&gt;",
	"\u202egnp.exe",
	"\u2066\u2067\u202d",
	"a\x00b",
	"\xff\xfe",
	"line\r\nSet-Cookie:evil=1",
	"</style><style>*{}",
	"\u2028alert(1)",
	strings.Repeat("W", 600),
}

func TestHostileStringsStayText(t *testing.T) {
	site := parsed(t)
	now := time.Now()
	for _, s := range append(full(now), wrong(now)...) {
		want := said(t, site, s, "x").shape()
		for _, bad := range hostile {
			d := said(t, site, s, bad)
			if got := d.shape(); got != want {
				t.Errorf("%s: %q changes the page: %s", s.name, bad, difference(want, got))
			}
			d.policyFaults(func(format string, args ...any) { t.Errorf(s.name+": "+format, args...) })
		}
	}
}

// difference is the first line that two shapes do not share.
func difference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(w), len(g)) {
		if w[i] != g[i] {
			return g[i] + " where " + w[i] + " should be"
		}
	}
	return "it ends elsewhere"
}

// said renders a sample in which every string says the same.
func said(t *testing.T, site redoubt.Renderer, s sample, words string) document {
	t.Helper()
	f, data := frame(s), reflect.New(reflect.TypeFor[any]()).Elem()
	if s.view.Data != nil {
		data.Set(everywhere(reflect.ValueOf(s.view.Data), words))
	}
	f = everywhere(reflect.ValueOf(f), words).Interface().(redoubt.Frame)
	return rendered(t, site, f, redoubt.View{Page: s.view.Page, Title: words, Data: data.Interface()})
}

// everywhere copies v with every string in it replaced, however deep it lies.
func everywhere(v reflect.Value, words string) reflect.Value {
	out := reflect.New(v.Type()).Elem()
	out.Set(v)
	switch v.Kind() {
	case reflect.String:
		out.SetString(words)
	case reflect.Pointer:
		if !v.IsNil() {
			out.Set(reflect.New(v.Type().Elem()))
			out.Elem().Set(everywhere(v.Elem(), words))
		}
	case reflect.Slice:
		out.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
		for i := range v.Len() {
			out.Index(i).Set(everywhere(v.Index(i), words))
		}
	case reflect.Map:
		out.Set(reflect.MakeMap(v.Type()))
		for key, element := range v.Seq2() {
			out.SetMapIndex(key, everywhere(element, words))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				out.Field(i).Set(everywhere(v.Field(i), words))
			}
		}
	}
	return out
}

func TestWrittenWordsArriveUnchangedAndIsolated(t *testing.T) {
	site := parsed(t)
	for _, words := range []string{`"><script>alert(1)</script>`, "\u202egnp.exe", "a < b && c > d", "שלום <b>", "two\n\nparagraphs"} {
		v := redoubt.View{Page: "feed", Title: "Feed", Data: feed.View{Posts: []feed.Post{{ID: "1", Author: words, Body: words}}}}
		d := rendered(t, site, frame(sample{path: "/"}), v)
		body := d.class("prose")[1] // behind the preview
		if got := text(body); got != words {
			t.Errorf("the body is %q, want %q", got, words)
		}
		if value(body, "dir") != "auto" {
			t.Error("the body's direction spills over")
		}
		if who := d.class("who")[0]; who.Data != "bdi" || text(who) != words {
			t.Errorf("the author is <%s>%s, want <bdi>%s", who.Data, text(who), words)
		}
	}
}

func TestRenderRefusesMistakesBeforeItWrites(t *testing.T) {
	site := parsed(t)
	in, out := frame(sample{path: "/"}), frame(sample{path: "/", signedOut: true})
	for _, c := range []struct {
		name string
		f    redoubt.Frame
		v    redoubt.View
		want string
	}{
		{"an unknown page", in, redoubt.View{Page: "nowhere"}, "no such page"},
		{"a page for members, shown to nobody", out, redoubt.View{Page: "feed", Data: feed.View{}}, "nobody is signed in"},
		{"another page's data", in, redoubt.View{Page: "feed", Data: orders.View{}}, "it shows feed.View, not orders.View"},
		{"no data", in, redoubt.View{Page: "feed"}, "it shows feed.View"},
		{"a nil pointer", in, redoubt.View{Page: "feed", Data: (*feed.View)(nil)}, "it shows feed.View"},
		{"a page beyond all bounds", in, redoubt.View{Page: "post-edit", Data: everywhere(reflect.ValueOf(find("post-edit").view.Data), strings.Repeat("x", web.MaxPage)).Interface()}, "longer than"},
	} {
		var b bytes.Buffer
		err := site.Render(&b, c.f, c.v)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
		if b.Len() != 0 {
			t.Errorf("%s: %d bytes were written", c.name, b.Len())
		}
	}
}

func find(name string) sample {
	for _, s := range everything(time.Now()) {
		if s.name == name {
			return s
		}
	}
	panic("no sample " + name)
}

type closed struct{}

var errClosed = errors.New("closed")

func (closed) Write([]byte) (int, error) { return 0, errClosed }

func TestRenderReportsAReaderThatIsGone(t *testing.T) {
	if err := parsed(t).Render(closed{}, frame(sample{}), redoubt.View{Page: "welcome"}); !errors.Is(err, errClosed) {
		t.Errorf("got %v, want %v", err, errClosed)
	}
}

func TestARefusedFormShowsAgainWhatWasTyped(t *testing.T) {
	site := parsed(t)
	for _, s := range wrong(time.Now()) {
		d := rendered(t, site, frame(s), s.view)
		summary := d.class("faults")
		if len(summary) != 1 {
			t.Fatalf("%s: there are %d summaries", s.name, len(summary))
		}
		if _, ok := attr(summary[0], "autofocus"); !ok || value(summary[0], "role") != "alert" {
			t.Errorf("%s: the summary does not take the focus", s.name)
		}
		for _, e := range s.problem.Errors {
			if got := strings.Count(text(d.root), e.Detail); got != 2 {
				t.Errorf("%s: %q is shown %d times, want above the form and beside the field", s.name, e.Detail, got)
			}
		}
		if got := len(d.class("field-error")); got != len(s.problem.Errors) {
			t.Errorf("%s: %d fields are marked, want %d", s.name, got, len(s.problem.Errors))
		}
	}
}

func TestOfSeveralFormsOnlyTheRefusedOneIsMarked(t *testing.T) {
	s := find("products-refused")
	d := rendered(t, parsed(t), frame(s), s.view)
	got := map[string]string{}
	for _, n := range d.all("input") {
		if value(n, "name") == "quantity" {
			got[value(n, "id")] = value(n, "value") + " " + value(n, "aria-invalid")
		}
	}
	want := map[string]string{"f-quantity-b1": "1 ", "f-quantity-b2": "400 true", "f-quantity-b3": "1 ", "f-quantity-b4": "1 ", "f-quantity-b5": "1 "}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestTickedScopesStayTicked(t *testing.T) {
	s := find("keys-refused")
	d := rendered(t, parsed(t), frame(s), s.view)
	var got []string
	for _, n := range d.all("input", "option") {
		for _, mark := range []string{"checked", "selected"} {
			if _, ok := attr(n, mark); ok {
				got = append(got, value(n, "value"))
			}
		}
	}
	if want := []string{"orders:read", "orders:write", "365"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestAProblemWithoutFieldsIsSummarised(t *testing.T) {
	f := frame(sample{path: "/"})
	f.Problem = &redoubt.Problem{Title: "Too many requests", Detail: "Wait a minute.", Status: 429}
	d := rendered(t, parsed(t), f, redoubt.View{Page: "feed", Title: "Feed", Data: feed.View{}})
	if got := text(d.class("faults")[0]); !strings.Contains(got, "Wait a minute.") {
		t.Errorf("the summary says %q", got)
	}
}

// The buyer does not say the price (SYSTEM A5, mass assignment), and the quantity is bounded in the browser already.
func TestTheOrderFormAsksForNoPrice(t *testing.T) {
	v := redoubt.View{Page: "products", Title: "Products", Data: products.View{Products: []products.Product{{ID: "b1", Name: "Apron", PriceCents: 4950}}}}
	d := rendered(t, parsed(t), frame(sample{path: "/products"}), v)
	var names []string
	for _, form := range d.class("product-order") {
		for n := range form.Descendants() {
			if n.Data == "input" || n.Data == "textarea" {
				names = append(names, value(n, "name"))
			}
			if value(n, "name") == "quantity" && (value(n, "min") != "1" || value(n, "max") != "100") {
				t.Error("the quantity is not bounded")
			}
		}
	}
	if want := []string{"_token", "product_id", "quantity", "notes"}; !reflect.DeepEqual(names, want) {
		t.Errorf("the form has %v, want %v", names, want)
	}
}

func TestNavigationShowsWhatTheViewerMaySee(t *testing.T) {
	site := parsed(t)
	for _, c := range []struct {
		name string
		s    sample
		want []string
	}{
		{"an administrator", find("feed"), []string{"/", "/courses", "/products", "/orders", "/admin/members", "/admin/audit"}},
		{"a member", find("orders-own"), []string{"/", "/courses", "/products", "/orders"}},
		{"somebody new", find("onboarding"), nil},
		{"nobody", find("welcome"), nil},
		{"nobody, with a problem", find("problem-place"), nil},
	} {
		d := rendered(t, site, frame(c.s), c.s.view)
		var got []string
		for _, nav := range d.class("nav") {
			for n := range nav.Descendants() {
				if n.Data == "a" {
					got = append(got, value(n, "href"))
				}
			}
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s sees %v, want %v", c.name, got, c.want)
		}
	}
}

func TestTheCurrentSectionIsMarkedOnce(t *testing.T) {
	site := parsed(t)
	for path, want := range map[string]string{"/": "Feed", "/posts/a3/edit": "Feed", "/courses": "Courses", "/courses/j1/edit": "Courses", "/lessons/l1": "Courses", "/bookmarks": "", "/orders": "Orders", "/orders/d1": "Orders", "/admin/audit": "Audit", "/ordersx": ""} {
		f := frame(sample{path: path})
		d := rendered(t, site, f, redoubt.View{Page: "problem", Title: "x", Data: redoubt.Problem{Status: 404}})
		got := ""
		for n := range d.class("nav")[0].Descendants() {
			if n.Type == html.ElementNode && value(n, "aria-current") == "page" {
				got += text(n)
			}
		}
		if got != want {
			t.Errorf("at %s %q is marked, want %q", path, got, want)
		}
	}
}

func TestOnlyAMemberOfSeveralOrganizationsMaySwitch(t *testing.T) {
	site := parsed(t)
	for name, want := range map[string]int{"feed": 2, "orders-own": 0} {
		s, got := find(name), 0
		for _, n := range rendered(t, site, frame(s), s.view).all("button") {
			if value(n, "name") == "organization_id" {
				got++
			}
		}
		if got != want {
			t.Errorf("%s offers %d organizations, want %d", name, got, want)
		}
	}
}

func TestPagersEscapeTheirCursors(t *testing.T) {
	site := parsed(t)
	for _, c := range []struct {
		name string
		view redoubt.View
		want []string
	}{
		{"the first of several", redoubt.View{Page: "orders", Data: orders.View{Next: "a&b=c#d"}}, []string{"/orders?cursor=a%26b%3Dc%23d"}},
		{"one in between, filtered", redoubt.View{Page: "audit", Data: audit.View{Prefix: "order.&x", Next: "n", Continued: true}}, []string{"/admin/audit?action=order.%26x", "/admin/audit?action=order.%26x&cursor=n"}},
		{"the last", redoubt.View{Page: "orders", Data: orders.View{Continued: true}}, []string{"/orders"}},
		{"the only one", redoubt.View{Page: "orders", Data: orders.View{}}, nil},
	} {
		var got []string
		for _, pager := range rendered(t, site, frame(sample{}), c.view).class("pager") {
			for n := range pager.Descendants() {
				if n.Data == "a" {
					got = append(got, value(n, "href"))
				}
			}
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s leads to %v, want %v", c.name, got, c.want)
		}
	}
}

// What an administrator has typed as a video is a link only if it is one; the page does not believe the database (SYSTEM N1).
func TestAVideoIsALinkOverHTTPSOrNone(t *testing.T) {
	site := parsed(t)
	for address, want := range map[attached.Address]string{
		"https://videos.example/1":            "https://videos.example/1 videos.example",
		"https://www.videos.example:8443/?a":  "https://www.videos.example:8443/?a videos.example",
		"http://videos.example/1":             "#main nowhere",
		"javascript:alert(1)":                 "#main nowhere",
		"data:text/html,x":                    "#main nowhere",
		"//evil.example":                      "#main nowhere",
		"https:evil.example":                  "#main nowhere",
		"https://videos.example@evil.example": "#main nowhere",
		"HTTPS://videos.example":              "#main nowhere",
		"https://":                            "#main nowhere",
	} {
		d := rendered(t, site, frame(sample{path: "/lessons/l1"}), redoubt.View{Page: "lesson", Title: "x", Data: lesson.View{Title: "x", Video: address}})
		link := d.class("video")[0]
		if got := value(link, "href") + " " + text(d.class("video-where")[0].FirstChild.NextSibling); got != want {
			t.Errorf("%q becomes %q, want %q", address, got, want)
		}
	}
	d := rendered(t, site, frame(sample{path: "/lessons/l1"}), redoubt.View{Page: "lesson", Title: "x", Data: lesson.View{Title: "x"}})
	if len(d.class("video")) != 0 {
		t.Error("there is a link without a video")
	}
}

func TestOnlyWhoTeachesIsOfferedTo(t *testing.T) {
	site := parsed(t)
	for _, teaches := range []bool{true, false} {
		for _, v := range []redoubt.View{
			{Page: "courses", Data: courses.View{Teaches: teaches, Courses: []courses.Course{joinery}}},
			{Page: "course", Data: course.View{Teaches: teaches, Course: joinery, Lessons: joints}},
			{Page: "lesson", Data: lesson.View{Teaches: teaches, Course: joinery, ID: "l1"}},
		} {
			offers := 0
			for _, n := range rendered(t, site, frame(sample{path: "/courses"}), v).all("a") {
				if strings.HasSuffix(value(n, "href"), "/edit") || strings.HasSuffix(value(n, "href"), "/new") {
					offers++
				}
			}
			if (offers > 0) != teaches {
				t.Errorf("%s, teaching %t: %d offers", v.Page, teaches, offers)
			}
		}
	}
}

func TestRequestIDsAppearOnProblemsOnly(t *testing.T) {
	site := parsed(t)
	for _, s := range full(time.Now()) {
		d := rendered(t, site, frame(s), s.view)
		want := strings.HasPrefix(s.name, "problem-")
		if got := strings.Contains(text(d.root), "01k3v6q8h0x2"); got != want {
			t.Errorf("%s: the request is shown: %v, want %v", s.name, got, want)
		}
	}
}

func TestAProblemPageDoesNotSummariseItself(t *testing.T) {
	f := frame(sample{path: "/"})
	f.Problem = refused(layer.Field{Name: "cursor", Detail: "Start again."})
	d := rendered(t, parsed(t), f, redoubt.View{Page: "problem", Title: "x", Data: f.Problem})
	if len(d.class("faults")) != 0 || strings.Count(text(d.root), "Start again.") != 1 {
		t.Error("the problem is shown twice")
	}
}

func FuzzRenderedWordsStayText(f *testing.F) {
	for _, words := range hostile {
		f.Add(words)
	}
	site := parsed(f)
	s := find("post")
	f.Fuzz(func(t *testing.T, words string) {
		if len(words) > 4096 || strings.TrimSpace(words) == "" {
			return
		}
		want := said(t, site, s, "x").shape()
		if got := said(t, site, s, words).shape(); got != want {
			t.Errorf("%q changes the page", words)
		}
	})
}

// Markup that was cleaned is printed as it is, and nothing else is (SYSTEM N3): not the source, and not what stands beside it.
func TestOnlyCleanedMarkupIsMarkup(t *testing.T) {
	const source = "**bold** <script>alert(1)</script> ![x](https://evil.example/x.png) ![y](/files/0b5c9f6e-8a57-4d0e-9f0e-0d1f8a1cf001)"
	for _, c := range []struct {
		name   string
		files  attached.Files
		images int
	}{{"a picture of its own", attached.Files{joint}, 1}, {"a picture of somebody else's", attached.Files{plan}, 0}} {
		p := feed.Post{ID: "1", Body: source, Text: written(source, c.files)}
		d := rendered(t, parsed(t), frame(sample{path: "/"}), redoubt.View{Page: "post", Title: "x", Data: post.View{Post: p}})
		body, images := d.class("rich")[0], 0
		for n := range body.Descendants() {
			if n.Data == "img" {
				images++
			}
		}
		if len(d.all("strong")) != 1 || images != c.images || len(d.all("script")) != 1 {
			t.Errorf("%s: %d strong, %d pictures, %d scripts", c.name, len(d.all("strong")), images, len(d.all("script")))
		}
		if !strings.Contains(text(body), "<script>alert(1)</script>") {
			t.Errorf("%s: the text says %q", c.name, text(body))
		}
	}
}

// A link's own page may call itself what it likes; the reader sees whose address it is.
func TestALinkSaysWhereItLeads(t *testing.T) {
	for to, want := range map[attached.Address]string{"https://www.evil.example/login": "Your bank · evil.example", "javascript:alert(1)": "Your bank · nowhere"} {
		p := feed.Post{ID: "1", Link: &attached.Link{To: to, Title: "Sign in", Site: "Your bank"}}
		d := rendered(t, parsed(t), frame(sample{path: "/"}), redoubt.View{Page: "post", Title: "x", Data: post.View{Post: p}})
		if got := text(d.class("link-site")[0]); got != want {
			t.Errorf("%s is shown as %q, want %q", to, got, want)
		}
		d.policyFaults(t.Errorf)
	}
}

// What had been sent ahead of a form that was refused is not lost, and what was unticked does not come back.
func TestARefusedFormKeepsItsFiles(t *testing.T) {
	for _, c := range []struct {
		name  string
		typed map[string]string
		want  string
	}{
		{"as it stands", nil, wide.ID + "+ " + plan.ID + "+"},
		{"one was unticked", map[string]string{"body": "x", "files": plan.ID}, wide.ID + " " + plan.ID + "+"},
		{"all were unticked", map[string]string{"body": "x"}, wide.ID + " " + plan.ID},
		{"one was added", map[string]string{"body": "x", "files": wide.ID + ", " + sheet.ID}, wide.ID + "+ " + plan.ID + " " + sheet.ID + "+"},
		{"something else was typed for one", map[string]string{"body": "x", "files": `"><script>, ../x, ` + strings.ToUpper(sheet.ID)}, wide.ID + " " + plan.ID},
	} {
		s := find("post-edit")
		s.typed = c.typed
		var got []string
		for _, n := range rendered(t, parsed(t), frame(s), s.view).all("input") {
			if value(n, "name") == "files" {
				id := value(n, "value")
				if _, ticked := attr(n, "checked"); ticked {
					id += "+"
				}
				got = append(got, id)
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: got %v, want %s", c.name, got, c.want)
		}
	}
}

func TestPeopleAreShownByTheirPicture(t *testing.T) {
	site := parsed(t)
	for picture, want := range map[string]string{"": "", face: "/files/" + face + "/small", `x" onerror="alert(1)`: "/files/x%22%20onerror=%22alert%281%29/small"} {
		for _, v := range []redoubt.View{
			{Page: "post", Title: "x", Data: post.View{Post: feed.Post{ID: "1", Author: "Alice", Picture: picture}, Comments: []post.Comment{{ID: "1", Author: "Alice", Picture: picture}}}},
			{Page: "profile", Title: "x", Data: profile.View{DisplayName: "Alice", Picture: picture}},
		} {
			for _, n := range rendered(t, site, frame(sample{path: "/"}), v).all("img") {
				if value(n, "src") != want {
					t.Errorf("%s: %q is shown by %q", v.Page, picture, value(n, "src"))
				}
			}
		}
	}
}
