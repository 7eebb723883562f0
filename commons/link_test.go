package commons_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/commons"
	"github.com/redoubt-dev/redoubt/commons/community"
	"github.com/redoubt-dev/redoubt/layer/input/egress/unfurl"
	"github.com/redoubt-dev/redoubt/layer/layertest"
)

// What is behind a link is said here by the test; that nothing inside can be asked is layer/input/egress's own business, and tested there.
func TestWhatALinkLeadsTo(t *testing.T) { // SYSTEM N5, N3
	w := layertest.World(t, commons.App)
	bob, carol, dave := w.Member("Acme"), w.Member("Acme"), w.Member("Globex")
	var asked atomic.Int32
	look := func(_ context.Context, link string) (unfurl.Preview, error) {
		asked.Add(1)
		switch {
		case strings.Contains(link, "silent"):
			return unfurl.Preview{}, nil
		case strings.Contains(link, "broken"):
			return unfurl.Preview{}, errors.New("no answer")
		}
		return unfurl.Preview{URL: link, Title: `<script>alert(1)</script> & "title"`, Description: "'); drop table commons.post; --", Site: "example.test"}, nil
	}
	talk := community.New(w.DB, w.Parts().Files, look)
	for _, c := range []struct {
		name, body string
		shown      bool
		asked      int32
	}{
		{"a link", "See https://example.test/a for more.", true, 1},
		{"two links", "See https://example.test/a and https://example.test/b.", true, 1},
		{"no link", "Nothing to see.", false, 0},
		{"a link without TLS", "See http://example.test/a.", false, 0},
		{"a link in code", "See `https://example.test/a`.", false, 0},
		{"a page that says nothing", "See https://silent.test/a.", false, 1},
		{"a page that does not answer", "See https://broken.test/a.", false, 1},
	} {
		asked.Store(0)
		post, err := talk.Write(t.Context(), bob.Principal(), community.WritePost{Body: c.body})
		if err != nil || (post.Link != nil) != c.shown || asked.Load() != c.asked {
			t.Errorf("%s: %+v, asked %d times, %v", c.name, post.Link, asked.Load(), err)
		}
		var read community.Post
		carol.Get("/api/v1/posts/" + string(post.ID)).OK().JSON(&read)
		if (read.Link != nil) != c.shown {
			t.Errorf("%s: others see %+v", c.name, read.Link)
		}
		if !c.shown {
			continue
		}
		page := string(carol.Browser().Get("/posts/" + string(post.ID)).OK().Body)
		if strings.Contains(page, "<script>alert") || !strings.Contains(page, "&lt;script&gt;alert(1)&lt;/script&gt; &amp; &#34;title&#34;") || !strings.Contains(page, "drop table") {
			t.Errorf("%s: what the page calls itself is not shown as text", c.name)
		}
		dave.Get("/api/v1/posts/" + string(post.ID)).NotFound("rls")
		bob.Put("/api/v1/posts/"+string(post.ID), community.WritePost{Body: "Without."}).OK().JSON(&read)
		if read.Link != nil {
			t.Errorf("%s: it is still shown when the text has changed: %+v", c.name, read.Link)
		}
	}
	slow := community.New(w.DB, w.Parts().Files, func(ctx context.Context, _ string) (unfurl.Preview, error) {
		if end, ok := ctx.Deadline(); !ok || time.Until(end) > 3*time.Second {
			t.Error("a page is waited for too long")
		}
		return unfurl.Preview{}, context.DeadlineExceeded
	})
	if post, err := slow.Write(t.Context(), bob.Principal(), community.WritePost{Body: "See https://example.test/."}); err != nil || post.ID == "" {
		t.Errorf("a slow page takes the post with it: %v", err)
	}
}
