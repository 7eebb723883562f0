package attack

import "context"

func fileOfAnotherOrganization() Attack {
	return Attack{
		Name: "file-of-another-organization", Group: "files",
		Title:  "Dave of Globex opens a file of Acme's by its address",
		Expect: []string{"input/store", "rls/floor", "rls/tags"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			canary := s.Canary()
			return s.enclosed(ctx, "plans.txt", []byte("The plans: "+canary), below, func(file, _ string) (bool, error) {
				a, err := s.Program("dave").Get(ctx, "/api/v1/files/"+file)
				return a.Holds(canary), err
			})
		},
	}
}
