package attack

import (
	"context"
	"net/http"
	"net/url"

	"github.com/redoubt-dev/redoubt/drill/target"
)

// enclosed has bob of Acme upload a file and publish a post below which it hangs, so that Acme's members may open it; text makes the post's
// text of the file's id. look is given both ids. The post, and with it the file, are gone afterwards. What the copy does not take does no harm.
func (s *Scene) enclosed(ctx context.Context, name string, content []byte, text func(file string) string, look func(file, post string) (bool, error)) (harm bool, err error) {
	bob := s.Program("bob")
	up := &target.Body{Type: "application/octet-stream", Content: content} // what its sender says of its type counts for nothing
	a, err := bob.Ask(ctx, http.MethodPost, "/api/v1/files?"+url.Values{"name": {name}}.Encode(), up)
	var file, post struct{ ID string }
	if err != nil || a.Status != http.StatusCreated || a.JSON(&file) != nil {
		return false, err
	}
	a, err = bob.Ask(ctx, http.MethodPost, "/api/v1/posts", map[string]any{"body": text(file.ID), "files": []string{file.ID}})
	if err != nil || a.Status != http.StatusCreated || a.JSON(&post) != nil {
		return false, err
	}
	defer bob.Ask(ctx, http.MethodDelete, "/api/v1/posts/"+post.ID, nil)
	return look(file.ID, post.ID)
}

// below is a text that says nothing of its file.
func below(string) string { return "See below." }

// opened has alice open an address of the copy's in a browser, and says whether the attacker's script has run there.
func (s *Scene) opened(ctx context.Context, path, canary string) (bool, error) {
	alice, err := s.seat(ctx, "alice")
	if err != nil {
		return false, err
	}
	if err := alice.opens(path); err != nil {
		return false, err
	}
	return alice.ran(canary), nil
}
