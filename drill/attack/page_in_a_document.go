package attack

import "context"

func pageInADocument() Attack {
	return Attack{
		Name: "page-in-a-document", Threat: "T33", Group: "files", Browser: true,
		Title:  "Bob uploads a page with a script in it, which runs as one of Acme's when Alice opens it",
		Expect: []string{"transport/csp", "input/file", "input/serve"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			canary := s.Canary()
			page := "<!doctype html><title>Minutes</title><script>" + mark(canary) + "</script>"
			return s.enclosed(ctx, "minutes.html", []byte(page), below, func(file, _ string) (bool, error) { return s.opened(ctx, "/files/"+file, canary) })
		},
	}
}
