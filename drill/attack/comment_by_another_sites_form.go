package attack

import (
	"context"
	"fmt"
	"net/http"
)

func commentByAnotherSitesForm() Attack {
	return Attack{
		Name: "comment-by-another-sites-form", Threat: "T43", Group: "browser", Browser: true,
		Title:  "Alice, who is signed in, opens another site, and a form there comments on a post in her name",
		Expect: []string{"transport/samesite", "transport/origin", "transport/token"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			page := `<form method="post" action="%s"><input name="body" value="%s"></form><script>document.forms[0].submit()</script>`
			return s.forged(ctx, page, func(alice *seat, _ *elsewhere) bool { return alice.comesBack() })
		},
	}
}

// forged has alice open a page of an attacker's, which is to comment on a post of hers, given where and what, until it is done; it looks for
// the comment.
func (s *Scene) forged(ctx context.Context, page string, done func(alice *seat, evil *elsewhere) bool) (bool, error) {
	evil, err := s.elsewhere(ctx)
	if err != nil {
		return false, err
	}
	post, err := s.post(ctx, "alice", "What do you think?")
	if err != nil {
		return false, err
	}
	defer s.Program("alice").Ask(ctx, http.MethodDelete, "/api/v1/posts/"+post, nil)
	alice, err := s.seat(ctx, "alice")
	if err != nil {
		return false, err
	}
	canary := s.Canary()
	evil.show("/", fmt.Sprintf(page, s.Origin+"/posts/"+post+"/comments", canary))
	if err := alice.opens(evil.Origin + "/"); err != nil {
		return false, err
	}
	if !alice.within(2*aWhile, func() bool { return done(alice, evil) }) {
		s.Note("alice's browser", "waits for the other site to be done", "in vain")
	}
	return s.Seen(ctx, `select exists (select from commons.comment where body = $1)`, canary)
}
