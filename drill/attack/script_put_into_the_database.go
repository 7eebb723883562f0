package attack

import (
	"context"
	"net/http"
	"strings"
)

func scriptPutIntoTheDatabase() Attack {
	return Attack{
		Name: "script-put-into-the-database", Threat: "T31", Group: "browser", Browser: true,
		Title:  "Bob, who has got hold of the application's role, writes a script into a row of his, where no one cleans it, and Alice reads it",
		Expect: []string{"transport/csp", "input/render"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			canary := s.Canary()
			id, err := s.planted(ctx, "bob", "<script>"+mark(canary)+"</script>")
			if err != nil || id == "" {
				return false, err
			}
			defer s.Program("bob").Ask(ctx, http.MethodDelete, "/api/v1/posts/"+id, nil)
			return s.read(ctx, id, func(alice *seat) (bool, error) { return alice.ran(canary), nil })
		},
	}
}

// planted writes a post past the application: as its role, with somebody's own credential. The id is "" if the database refuses.
func (s *Scene) planted(ctx context.Context, who, html string) (id string, err error) {
	app, err := s.application(ctx)
	if err != nil {
		return "", err
	}
	defer app.free()
	answers, err := app.as(ctx, who, "insert into commons.post (body, html) values ('x', "+quoted(html)+") returning id")
	lines := strings.Fields(answers)
	if err != nil || len(lines) == 0 {
		return "", err
	}
	return lines[len(lines)-1], nil
}
