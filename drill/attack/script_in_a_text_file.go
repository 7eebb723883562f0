package attack

import "context"

func scriptInATextFile() Attack {
	return Attack{
		Name: "script-in-a-text-file", Threat: "T34", Group: "files", Browser: true,
		Title:  "Bob's post loads as a script what he has uploaded as plain text, and it runs when Alice reads the post",
		Expect: []string{"transport/csp", "transport/headers", "input/clean", "input/render"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			canary := s.Canary()
			loads := func(file string) string { return `<script src="/files/` + file + `"></script>` + hello }
			return s.enclosed(ctx, "notes.txt", []byte(mark(canary)), loads, func(_, post string) (bool, error) {
				return s.read(ctx, post, func(alice *seat) (bool, error) { return alice.ran(canary), nil })
			})
		},
	}
}
