package feed_test

import (
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt/commons/web/feed"
)

func TestOnlyLongPostsAreCutShort(t *testing.T) {
	for _, c := range []struct {
		name, body string
		want       bool
	}{
		{"nothing", "", false},
		{"a sentence", "Come and try the new vices.", false},
		{"a few lines", strings.Repeat("one\n", 12), false},
		{"a list", strings.Repeat("- one\n", 30), true},
		{"a wall of letters", strings.Repeat("ä", 2000), true},
		{"a picture and a sentence", "See:\n\n![x](/files/a)", false},
		{"two pictures", "![x](/files/a)\n\n![x](/files/b)", true},
		{"an essay", strings.Repeat("word ", 400), true},
	} {
		if got := (feed.Post{Body: c.body}).Long(); got != c.want {
			t.Errorf("%s: got %t, want %t", c.name, got, c.want)
		}
	}
}
