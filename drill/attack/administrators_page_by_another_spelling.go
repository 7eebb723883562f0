package attack

import (
	"context"
	"net/http"
	"strings"

	"github.com/redoubt-dev/redoubt/drill/target"
)

func administratorsPageByAnotherSpelling() Attack {
	return Attack{
		Name: "administrators-page-by-another-spelling", Threat: "T26", Group: "people",
		Title:  "Bob reaches a page for administrators by another spelling of its path, another method or a header that names it",
		Expect: []string{"gate/route", "gate/page", "rls/require"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			name := "builder-" + s.Canary()
			if err := s.trust(ctx, name); err != nil {
				return false, err
			}
			bob, err := s.SignIn(ctx, "bob")
			if err != nil {
				return false, err
			}
			for _, path := range spellings("/admin/machines") {
				if harm, err := led(ctx, bob, path, name); harm || err != nil {
					return harm, err
				}
			}
			for _, header := range []string{"X-Original-Url", "X-Rewrite-Url", "X-Original-Uri"} {
				bob.Alter = func(r *http.Request) { r.Header.Set(header, "/admin/machines") }
				if harm, err := shown(ctx, bob, name, "/", "/profile"); harm || err != nil {
					return harm, err
				}
			}
			return false, nil
		},
	}
}

// trust has Alice trust a machine by a name, of an issuer that is nobody's.
func (s *Scene) trust(ctx context.Context, name string) error {
	alice, err := s.SignIn(ctx, "alice")
	if err != nil {
		return err
	}
	return done(alice.Ask(ctx, http.MethodPost, "/api/v1/machines", map[string]any{"name": name, "issuer": target.MachineIssuer,
		"subject_pattern": "repo:acme/" + name, "scopes": []string{"posts:read"}, "uses": 1, "expires_in_days": 1}))
}

// spellings are ways to write a path that some reader or other takes for the same.
func spellings(path string) []string {
	cut := strings.LastIndex(path, "/")
	folder, last := path[:cut], path[cut+1:]
	return []string{
		path, "/" + path, folder + "//" + last, "/." + path, folder + "/./" + last, "/assets/.." + path, "/assets/%2e%2e" + path, "/assets/.%2e" + path, "/assets/..%2f" + path[1:],
		"/assets/%2e%2e%2f" + path[1:], folder + "%2f" + last, strings.ToUpper(path), path + "/", path + "/.", path + "/x/..", path + ";x=1", folder + ";x=1/" + last, path + "%00", path + "%20",
		path + "?x=1", "/%61" + path[2:], "/%2561" + path[2:], path + "%3f", path + ".html", "/" + strings.ReplaceAll(path[1:], "/", "%5c"), "/assets/..;" + path, path + "%23", "/assets" + path,
	}
}

// led is shown, for a path that may lead to a better one of the copy's.
func led(ctx context.Context, c *target.Client, path, text string) (bool, error) {
	a, err := c.Get(ctx, path)
	if err != nil {
		return false, err
	}
	if to := a.Header.Get("Location"); strings.HasPrefix(to, "/") && !strings.HasPrefix(to, "/sign-in") {
		if a, err = c.Get(ctx, to); err != nil {
			return false, err
		}
	}
	return a.Holds(text), nil
}
