package attack

import "context"

func scriptInADrawing() Attack {
	return Attack{
		Name: "script-in-a-drawing", Threat: "T33", Group: "files", Browser: true,
		Title:  "Bob uploads a drawing with a script in it, which runs when Alice opens the drawing",
		Expect: []string{"transport/csp", "input/file"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			canary := s.Canary()
			drawing := `<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>` + mark(canary) + `</script></svg>`
			return s.enclosed(ctx, "drawing.svg", []byte(drawing), below, func(file, _ string) (bool, error) { return s.opened(ctx, "/files/"+file, canary) })
		},
	}
}
