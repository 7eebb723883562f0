package attack

import (
	"context"
	"net/url"
	"strings"

	"github.com/redoubt-dev/redoubt/drill/target"
)

func visitorByALinkToSignIn() Attack {
	return Attack{
		Name: "visitor-by-a-link-to-sign-in", Threat: "T29", Group: "browser",
		Title:  "A link to the sign-in of Acme leads Bob, once he has signed in, to a site that looks like it",
		Expect: []string{"transport/local", "transport/redirect"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			for _, to := range elsewheres {
				bob := s.client("bob", target.Inside)
				back, err := bob.Choose(ctx, "/sign-in?return="+url.QueryEscape(to), "bob")
				if err != nil {
					return false, err
				}
				if back == "" { // the link was refused
					continue
				}
				a, err := bob.Get(ctx, back)
				if err != nil {
					return false, err
				}
				if harm, err := s.leads(a.Header.Get("Location")); harm || err != nil {
					return harm, err
				}
			}
			return false, nil
		},
	}
}

// elsewheres are ways to write an address of another site that may pass for a path of this one.
var elsewheres = []string{
	"https://evil.test/", "//evil.test/", "/\\evil.test/", "\\\\evil.test/", "/\t/evil.test/", "///evil.test/", "/%2f/evil.test/", "/%5cevil.test/", "/.//evil.test/", "/..//evil.test/",
	"https:evil.test/", "javascript:alert(1)", "@evil.test/", ".evil.test/",
}

// leads reports whether a browser that is on a page of the copy's is led away by a Location. As the URL standard has it, browsers take a
// backslash for a slash, and drop tabs and line ends.
func (s *Scene) leads(location string) (away bool, err error) {
	here, err := url.Parse(s.Origin)
	if err != nil {
		return false, err
	}
	to, err := here.Parse(strings.NewReplacer(`\`, "/", "\t", "", "\n", "", "\r", "").Replace(location))
	if err != nil {
		return false, nil // no browser goes there
	}
	return to.Host != here.Host || to.Scheme != here.Scheme, nil
}
