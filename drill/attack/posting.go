package attack

import (
	"context"
	"net/http"
)

// written has bob of Acme publish a text and alice, its administrator, open the post in a browser; look says what has become of it. The
// post is gone afterwards. What the copy refuses to publish does no harm.
func (s *Scene) written(ctx context.Context, text string, look func(alice *seat) (bool, error)) (harm bool, err error) {
	program := s.Program("bob")
	a, err := program.Ask(ctx, http.MethodPost, "/api/v1/posts", map[string]any{"body": text})
	var post struct {
		ID string `json:"id"`
	}
	if err != nil || a.Status != http.StatusCreated || a.JSON(&post) != nil {
		return false, err
	}
	defer program.Ask(ctx, http.MethodDelete, "/api/v1/posts/"+post.ID, nil)
	return s.read(ctx, post.ID, look)
}

// read has alice open a post.
func (s *Scene) read(ctx context.Context, id string, look func(alice *seat) (bool, error)) (harm bool, err error) {
	alice, err := s.seat(ctx, "alice")
	if err != nil {
		return false, err
	}
	if err := alice.opens("/posts/" + id); err != nil {
		return false, err
	}
	return look(alice)
}

// hello is what a reader sees of a post that is all markup: where cleaning leaves nothing, the page shows the source, as text.
const hello = "\n\nHello."

// mark is a script that leaves a mark, for seat.ran.
func mark(canary string) string { return "window['" + canary + "']=1" }
