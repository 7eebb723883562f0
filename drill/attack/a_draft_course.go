package attack

import "context"

func aDraftCourse() Attack {
	return Attack{
		Name: "a-draft-course", Group: "people",
		Title:  "Bob, a member of Acme, reads a course and its lesson that Alice has not published",
		Expect: []string{"rls/own", "rls/reserved"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			title, text := s.Canary(), s.Canary()
			course, err := s.made(ctx, "alice", "/api/v1/courses", map[string]any{"title": title})
			if err != nil {
				return false, err
			}
			lesson, err := s.made(ctx, "alice", "/api/v1/courses/"+course+"/lessons", map[string]any{"title": "The answers", "body": text})
			if err != nil {
				return false, err
			}
			bob := s.Program("bob")
			for _, path := range []string{"/api/v1/courses/" + course, "/api/v1/courses?limit=100", "/api/v1/lessons/" + lesson} {
				a, err := bob.Get(ctx, path)
				if err != nil || a.Holds(title) || a.Holds(text) {
					return err == nil, err
				}
			}
			return false, nil
		},
	}
}
