package attack

import (
	"context"
	"net/http"
)

func scriptInAName() Attack {
	return Attack{
		Name: "script-in-a-name", Group: "browser", Browser: true,
		Title:  "Bob gives himself a name with a script in it, which runs wherever Alice meets him",
		Expect: []string{"transport/csp", "input/escape"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			canary, bob := s.Canary(), s.Program("bob")
			var was struct {
				Name string `json:"display_name"`
				Bio  string `json:"bio"`
			}
			a, err := bob.Get(ctx, "/api/v1/me")
			if err != nil {
				return false, err
			}
			if err := a.JSON(&was); err != nil {
				return false, err
			}
			defer bob.Ask(ctx, http.MethodPut, "/api/v1/me", map[string]any{"display_name": was.Name, "bio": was.Bio})
			called := map[string]any{"display_name": "<script>" + canary + "=1</script>", "bio": was.Bio} // there is room for 50 characters
			if _, err := bob.Ask(ctx, http.MethodPut, "/api/v1/me", called); err != nil {
				return false, err
			}
			return s.written(ctx, "Hello", func(alice *seat) (bool, error) { return alice.ran(canary), nil })
		},
	}
}
