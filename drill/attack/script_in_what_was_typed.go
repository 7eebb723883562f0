package attack

import (
	"context"
	"strings"
)

func scriptInWhatWasTyped() Attack {
	return Attack{
		Name: "script-in-what-was-typed", Threat: "T32", Group: "browser", Browser: true,
		Title:  "Another site sends a form in Alice's name that is refused and shown to her again, with a script in it",
		Expect: []string{"transport/csp", "transport/samesite", "transport/origin", "input/escape"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			evil, err := s.elsewhere(ctx)
			if err != nil {
				return false, err
			}
			alice, err := s.seat(ctx, "alice")
			if err != nil {
				return false, err
			}
			canary := s.Canary()
			typed := `</textarea><script>` + mark(canary) + `</script>`
			// One copy of it is refused by the schema, many are by the database, where the schema is not in its place.
			evil.show("/", `<form method="post" action="`+s.Origin+`/profile"><input name="display_name" value=" "><textarea name="bio"></textarea></form>
<script>document.querySelector("textarea").value = atob("`+encoded(typed+strings.Repeat("x", 600))+`"); document.forms[0].submit()</script>`)
			if err := alice.opens(evil.Origin + "/"); err != nil {
				return false, err
			}
			return alice.comesBack() && alice.ran(canary), nil
		},
	}
}
