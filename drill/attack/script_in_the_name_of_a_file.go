package attack

import (
	"context"
	"net/http"
	"net/url"

	"github.com/redoubt-dev/redoubt/drill/target"
)

func scriptInTheNameOfAFile() Attack {
	return Attack{
		Name: "script-in-the-name-of-a-file", Group: "browser", Browser: true,
		Title:  "Bob hangs a file under a post whose name is markup, and a script runs when Alice reads the post",
		Expect: []string{"transport/csp", "input/escape"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			canary, bob := s.Canary(), s.Program("bob")
			name := `<img src=x onerror="` + mark(canary) + `">.txt` // a name has no slash
			a, err := bob.Ask(ctx, http.MethodPost, "/api/v1/files?"+url.Values{"name": {name}}.Encode(), &target.Body{Type: "text/plain", Content: []byte(canary)})
			var file, post struct{ ID string }
			if err != nil || a.Status != http.StatusCreated || a.JSON(&file) != nil {
				return false, err
			}
			a, err = bob.Ask(ctx, http.MethodPost, "/api/v1/posts", map[string]any{"body": "See below.", "files": []string{file.ID}})
			if err != nil || a.Status != http.StatusCreated || a.JSON(&post) != nil {
				return false, err
			}
			defer bob.Ask(ctx, http.MethodDelete, "/api/v1/posts/"+post.ID, nil)
			return s.read(ctx, post.ID, func(alice *seat) (bool, error) { return alice.ran(canary), nil })
		},
	}
}
