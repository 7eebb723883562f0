package attack

import "context"

func aColleaguesBookmarks() Attack {
	return Attack{
		Name: "a-colleagues-bookmarks", Group: "people",
		Title:  "Bob, a member of Acme, sees what Erin has marked to find it again",
		Expect: []string{"rls/own", "rls/reserved"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			canary := s.Canary()
			post, err := s.post(ctx, "alice", canary)
			if err != nil {
				return false, err
			}
			mark, err := s.made(ctx, "erin/Acme", "/api/v1/bookmarks", map[string]any{"post_id": post})
			if err != nil {
				return false, err
			}
			a, err := s.Program("bob").Get(ctx, "/api/v1/bookmarks/"+mark)
			return a.Holds(canary), err
		},
	}
}
