package attack

import (
	"context"
	"net/http"
	"net/url"

	"github.com/redoubt-dev/redoubt/drill/target"
)

func requestAtTheApplicationsPort() Attack {
	return Attack{
		Name: "request-at-the-applications-port", Threat: "T46", Group: "perimeter",
		Title:  "A stranger goes around the edge to the application itself, says to be in the office, and reads a post of Acme",
		Expect: []string{"perimeter/port", "perimeter/assertion", "gate/route", "rls/credential", "rls/floor"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			l, err := hide(ctx, s)
			if err != nil || s.Port() == "" { // there is nothing to connect to
				return false, err
			}
			at, err := url.Parse(s.Origin)
			if err != nil {
				return false, err
			}
			stranger := s.Stranger(target.Outside)
			stranger.Alter = func(r *http.Request) {
				r.Host, r.URL.Scheme, r.URL.Host = at.Host, "http", s.Port()
				r.Header.Set("X-Forwarded-For", target.Inside)
				r.Header.Set("X-Forwarded-Proto", "https")
			}
			return l.found(ctx, stranger)
		},
	}
}
