package attack

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/redoubt-dev/redoubt/drill/target"
)

// What attacks on people and on the perimeter have in common: something to steal, and ways to show a credential.

const sessionCookie = "__Host-redoubt"

// A loot is a post of Bob's for Acme alone, with a text that is nowhere else.
type loot struct{ id, canary string }

// hide has Bob write one.
func hide(ctx context.Context, s *Scene) (l loot, err error) {
	l.canary = s.Canary()
	l.id, err = s.post(ctx, "bob", l.canary)
	return l, err
}

// paths are where it can be read, by people and by programs.
func (l loot) paths() []string { return []string{"/posts/" + l.id, "/api/v1/posts/" + l.id} }

// found reports whether c reads the loot at one of the places where it is.
func (l loot) found(ctx context.Context, c *target.Client) (bool, error) {
	return shown(ctx, c, l.canary, l.paths()...)
}

// shown reports whether c is shown a text at one of the paths.
func shown(ctx context.Context, c *target.Client, text string, paths ...string) (bool, error) {
	for _, path := range paths {
		a, err := c.Get(ctx, path)
		if err != nil || a.Holds(text) {
			return err == nil, err
		}
	}
	return false, nil
}

// stolen is a browser of a thief's, at from, with the cookie that another has at this moment, and nothing else of theirs.
func (s *Scene) stolen(victim *target.Client, from string) (*target.Client, error) {
	token := session(victim)
	if token == "" {
		return nil, fmt.Errorf("there is no session to be stolen")
	}
	thief := s.client("a thief", from)
	return thief, plant(s, thief, token)
}

// session is the token of a browser's session; "" if it has none.
func session(c *target.Client) string {
	for _, cookie := range c.Cookies() {
		if cookie.Name == sessionCookie {
			return cookie.Value
		}
	}
	return ""
}

// plant puts a session into a browser.
func plant(s *Scene, c *target.Client, token string) error {
	at, err := url.Parse(s.Origin)
	if err != nil {
		return err
	}
	c.HTTP.Jar.SetCookies(at, []*http.Cookie{{Name: sessionCookie, Value: token, Path: "/", Secure: true, HttpOnly: true}})
	return nil
}

// hashed is what the session store knows of a token.
func hashed(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}

const sessionOf = `select exists (select from identity.session s join identity.person p on p.id = s.person_id where s.hash = $1 and s.revoked_at is null and p.email like $2 || '@%')`

// signedInAs reports whether a browser's living session is that person's.
func (s *Scene) signedInAs(ctx context.Context, c *target.Client, who string) (bool, error) {
	return s.Seen(ctx, sessionOf, hashed(session(c)), who)
}

// done wants an answer that says that something was done: what an attack needs before it begins.
func done(a target.Answer, err error) error {
	if err != nil {
		return err
	}
	if a.Status/100 != 2 && a.Status != http.StatusSeeOther {
		return fmt.Errorf("preparing the attack: the answer is %d %s", a.Status, a.By)
	}
	return nil
}

// act has the copy's superuser do what only time or an administrator's hand does: a session grows old, a member leaves.
func (s *Scene) act(ctx context.Context, sql string, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if _, err := s.Admin().Exec(ctx, sql, args...); err != nil {
		return fmt.Errorf("preparing the attack: %w", err)
	}
	return nil
}

// servedAs reports whether c is answered as the person with that address: nobody else's page has it.
func servedAs(ctx context.Context, c *target.Client, email string) (bool, error) {
	return shown(ctx, c, email, "/api/v1/me", "/profile")
}

// tryIn has somebody at from sign in who may not be let in.
func (s *Scene) tryIn(ctx context.Context, who, from string) (*target.Client, error) {
	c := s.client(who, from)
	back, err := c.Choose(ctx, "/sign-in", who)
	if err == nil && back != "" {
		_, err = c.Get(ctx, back)
	}
	return c, err
}

// formOf is a form with these names and values in turn.
func formOf(pairs ...string) url.Values {
	form := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return form
}
