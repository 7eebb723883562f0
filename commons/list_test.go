package commons_test

import (
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/commons"
	"github.com/redoubt-dev/redoubt/commons/community"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/layertest"
)

func TestAListIsReadToItsEndInPages(t *testing.T) {
	w := layertest.World(t, commons.App)
	alice, dave := w.Member("Acme"), w.Member("Globex")
	const posts = 23
	for i := range posts {
		alice.Post("/api/v1/posts", community.WritePost{Body: fmt.Sprint(i)}).Created()
		dave.Post("/api/v1/posts", community.WritePost{Body: "another's"}).Created()
	}
	want, cursor := posts, redoubt.Cursor("")
	for page := range 5 {
		var list community.PostList
		alice.Get("/api/v1/posts?limit=5&cursor=" + url.QueryEscape(string(cursor))).OK().JSON(&list)
		for _, p := range list.Posts {
			if want--; p.Body != fmt.Sprint(want) {
				t.Errorf("page %d: got %q, want %d", page, p.Body, want)
			}
		}
		if cursor = list.Next; (cursor == "") != (page == 4) {
			t.Errorf("page %d is followed by %q", page, cursor)
		}
	}
	if want != 0 {
		t.Errorf("%d posts were not shown", want)
	}
}

func TestListsAreBounded(t *testing.T) { // SYSTEM N1
	w := layertest.World(t, commons.App)
	alice := w.Member("Acme")
	for _, query := range []string{"limit=101", "limit=0", "limit=-1", "limit=x", "limit=5&limit=6", "cursor=x", "cursor=1-x", "cursor=%27%3B--",
		"cursor=9999999999999999999-00000000-0000-4000-8000-000000000000", "organization_id=00000000-0000-4000-8000-000000000000"} {
		for _, path := range []string{"/api/v1/posts", "/api/v1/orders", "/api/v1/products"} {
			resp := alice.Get(path + "?" + query)
			if by, reason := resp.RefusedBy(); by != layer.Input || reason != layer.Invalid && reason != layer.Malformed {
				t.Errorf("%s?%s: got %d by %s", path, query, resp.Code, by)
			}
		}
	}
	alice.Get("/api/v1/posts?limit=100&cursor=999999999999999999-00000000-0000-4000-8000-000000000000").OK() // the largest that is let in
}

func FuzzCursor(f *testing.F) {
	f.Add("1-00000000-0000-4000-8000-000000000000")
	f.Add("")
	f.Add("-")
	f.Add("99999999999999999999-x")
	f.Fuzz(func(t *testing.T, text string) {
		at, id := redoubt.Cursor(text).Place()
		if (at == nil) != (id == nil) {
			t.Errorf("%q is half a place", text)
		}
		if at != nil && at.Year() > 0 && at.Year() < 10_000 {
			if again := redoubt.CursorAt(*at, *id); func() bool { a, i := again.Place(); return a == nil || !a.Equal(*at) || *i != *id }() {
				t.Errorf("%q became %q", text, again)
			}
		}
	})
}

func TestACursorIsItsPlace(t *testing.T) {
	at := time.Date(2026, 3, 14, 15, 9, 26, 535897000, time.UTC)
	when, id := redoubt.CursorAt(at, "x").Place()
	if when == nil || !when.Equal(at) || *id != "x" {
		t.Errorf("got %v %v", when, id)
	}
}
