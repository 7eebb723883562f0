package knockout

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/redoubt-dev/redoubt/layer"
)

// sealing is where every response gets its headers: what is taken out there is gone from all of them.
const sealing = "guard.seal"

// transportUnits are what stands between the wire and the application.
func transportUnits() []Unit {
	return []Unit{
		{
			Name: "transport/csp", Layer: layer.Transport, What: "content security policy and Trusted Types",
			Gone: "no response has a policy: scripts, frames and forms are the browser's to judge", Bites: lacks("Content-Security-Policy"),
			Cuts: []Cut{{Package: "layer/transport", Func: sealing, Body: `defer h.Del("Content-Security-Policy")`}},
		},
		{
			Name: "transport/headers", Layer: layer.Transport, What: "nosniff, frame denial, COOP, CORP, Referrer-Policy and the other locked headers",
			Gone: "no response has any of them", Bites: lacks("X-Content-Type-Options"),
			Cuts: []Cut{{Package: "layer/transport", Func: sealing, Body: `defer func() { for key := range locked { delete(h, key) } }()`}},
		},
		{
			Name: "transport/origin", Layer: layer.Transport, What: "requests that change something come from a page of this origin",
			Gone: "it is not asked where a request comes from", Bites: originBites,
			Cuts: []Cut{
				{Package: "layer/transport", Func: "Transport.crossSite", Body: `return nil`},
				{Package: "layer/transport", Func: "machinesOnly", Body: `return nil`},
			},
		},
		{
			Name: "transport/samesite", Layer: layer.Transport, What: "cookies that other sites cannot make a browser send",
			Gone: "cookies say SameSite=None", Bites: cookieBites("SameSite=None", true), Cuts: []Cut{recooked("SameSite=Lax", "SameSite=None")},
		},
		{
			Name: "transport/httponly", Layer: layer.Transport, What: "cookies that no script can read",
			Gone: "cookies are not HttpOnly", Bites: cookieBites("HttpOnly", false), Cuts: []Cut{recooked("; HttpOnly", "")},
		},
		{
			Name: "transport/token", Layer: layer.Transport, What: "the synchroniser token of our own forms",
			Gone: "every token is taken, and none", Bites: tokenBites,
			Cuts: []Cut{{Package: "layer/transport", Func: "Transport.CheckToken", Body: `return nil`}},
		},
		{
			Name: "transport/bounds", Layer: layer.Transport, What: "sizes and times of one request",
			Gone: "a request may be a tebibyte and take a day", Bites: boundsBite,
			Cuts: []Cut{
				{Package: "layer/transport", Func: "outOfBounds", Body: `return nil`},
				{Package: "layer/transport", Func: "Bounds.or", Body: `const day = 24 * time.Hour; return Bounds{1 << 40, day, day, day}`},
			},
		},
		{
			Name: "transport/local", Layer: layer.Transport, What: "the address to come back to, which a stranger put into a link, is a path on this site",
			Gone: "it is any address", Bites: localBites,
			Cuts: []Cut{{Package: "layer/transport", Func: "LocalPath", Body: `return s, true`}},
		},
		{
			Name: "transport/redirect", Layer: layer.Transport, What: "responses lead to this site, or to the identity provider",
			Gone: "they lead anywhere", Bites: missed("transport/redirect"), // handlers lead nowhere else while LocalPath stands
			Cuts: []Cut{{Package: "layer/transport", Func: "Transport.mayLead", Body: `return true`}},
		},
	}
}

// recooked changes every cookie that is sent, after it was found strict.
func recooked(from, to string) Cut {
	return Cut{Package: "layer/transport", Func: "guard.sealCookies", Body: `
	defer func() {
		for i, line := range h["Set-Cookie"] {
			h["Set-Cookie"][i] = strings.Replace(line, "` + from + `", "` + to + `", 1)
		}
	}()`}
}

// lacks is the proof that a header is gone.
func lacks(name string) func(context.Context, Place) error {
	return func(ctx context.Context, at Place) error {
		status, header, _, err := at.Ask(ctx, "", http.MethodGet, "/signed-out", nil)
		switch {
		case err != nil:
			return err
		case status != http.StatusOK:
			return errUnanswered
		case len(header[name]) > 0:
			return errors.New("responses have " + name)
		}
		return nil
	}
}

// cookieBites looks at the cookie of somebody who begins to sign in.
func cookieBites(text string, wanted bool) func(context.Context, Place) error {
	return func(ctx context.Context, at Place) error {
		_, header, _, err := at.Ask(ctx, "", http.MethodGet, "/sign-in", nil)
		cookies := strings.Join(header["Set-Cookie"], "\n")
		switch {
		case err != nil:
			return err
		case cookies == "":
			return errUnanswered
		case strings.Contains(cookies, text) != wanted:
			return errors.New("cookies are strict")
		}
		return nil
	}
}

// originBites asks, as a page of another site would, for what a stranger may not do: the gate of routes refuses it too, later.
func originBites(ctx context.Context, at Place) error {
	return passes(ctx, at, layer.Transport, question{method: http.MethodPost, path: "/sign-out", form: map[string]string{},
		header: []string{"Origin", "https://evil.test", "Sec-Fetch-Site", "cross-site"}})
}

// tokenBites signs somebody out with a token that is nobody's.
func tokenBites(ctx context.Context, at Place) error {
	return passes(ctx, at, layer.Transport, question{who: "new bob", method: http.MethodPost, path: "/sign-out", form: map[string]string{"_token": "nobodys"}})
}

// boundsBite asks with more parameters than a request may have. Validation refuses them too, later.
func boundsBite(ctx context.Context, at Place) error {
	return passes(ctx, at, layer.Transport, question{method: http.MethodGet, path: "/signed-out?" + strings.Repeat("a=b&", 150) + "a=b"})
}

// localBites asks for a page that says where it leads back to.
func localBites(ctx context.Context, at Place) error {
	status, _, _, err := at.Ask(ctx, "new bob", http.MethodGet, "/step-up?return=https%3A%2F%2Fevil.test%2F", nil)
	if err == nil && status != http.StatusOK {
		err = errors.New("only local paths are come back to")
	}
	return err
}
