package attack

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/redoubt-dev/redoubt/drill/target"
)

// loadLimit bounds how long a page may load. What loads for ever has had its chance by then.
const loadLimit = 8 * time.Second

// A seat is somebody at a browser.
type seat struct {
	scene  *Scene
	who    string
	tab    context.Context
	pace   time.Duration  // how long the last page took to load
	Client *target.Client // the same session, for what needs no browser
}

// seat signs somebody in and gives them a real browser: it has the cookies just as the copy has set them.
func (s *Scene) seat(ctx context.Context, who string) (*seat, error) {
	c := s.client(who, target.Inside)
	jar := &setCookies{next: c.HTTP.Transport, last: map[string]*http.Cookie{}}
	c.HTTP.Transport = jar
	if err := c.SignIn(ctx, who); err != nil {
		return nil, err
	}
	tab, err := s.Tab(ctx)
	if err != nil {
		return nil, err
	}
	p := &seat{scene: s, who: who, tab: tab, Client: c}
	for _, ck := range jar.last {
		if err := p.carry(ck); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// setCookies notes the cookies that answers set: a jar forgets what they are bound to.
type setCookies struct {
	next http.RoundTripper
	last map[string]*http.Cookie
}

// RoundTrip implements http.RoundTripper.
func (j *setCookies) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := j.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	for _, ck := range answer.Cookies() {
		if j.last[ck.Name] = ck; ck.MaxAge < 0 {
			delete(j.last, ck.Name)
		}
	}
	return answer, nil
}

var sameSite = map[http.SameSite]network.CookieSameSite{
	http.SameSiteLaxMode: network.CookieSameSiteLax, http.SameSiteStrictMode: network.CookieSameSiteStrict, http.SameSiteNoneMode: network.CookieSameSiteNone,
}

// carry puts a cookie into the browser. Those of the identity provider, of which nothing is attacked, stay out.
func (p *seat) carry(ck *http.Cookie) error {
	if !strings.Contains(ck.Name, "redoubt") {
		return nil
	}
	_, err := chromedp.Call(p.tab, network.SetCookie, network.SetCookieParams{Name: ck.Name, Value: ck.Value, URL: p.scene.Origin + "/", Path: ck.Path,
		Secure: &ck.Secure, HTTPOnly: &ck.HttpOnly, SameSite: sameSite[ck.SameSite]})
	if err != nil {
		return fmt.Errorf("putting a cookie into the browser: %w", err)
	}
	return nil
}

// opens goes to an address, of the copy's if it is a path. What does not load, such as a file that is saved, is no error: the attack looks at
// what is there then.
func (p *seat) opens(address string) error {
	if strings.HasPrefix(address, "/") {
		address = p.scene.Origin + address
	}
	ctx, cancel := context.WithTimeout(p.tab, loadLimit)
	defer cancel()
	began := time.Now()
	err := chromedp.Do(ctx, chromedp.Navigate(address))
	p.pace = time.Since(began)
	answer := "shown"
	if err != nil {
		answer = err.Error()
	}
	p.scene.Note(p.who+"'s browser", "opens "+strings.TrimPrefix(address, p.scene.Origin), answer)
	return p.tab.Err()
}

// says is what an expression comes to in the page that is shown, in its own world; the zero value where there is no page.
func says[T any](p *seat, expression string) (v T) {
	ctx, cancel := context.WithTimeout(p.tab, loadLimit)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		var zero T
		return zero
	}
	return v
}

// clicks clicks on what a selector finds, as a hand does; it reports whether there was something.
func (p *seat) clicks(selector string) bool {
	ctx, cancel := context.WithTimeout(p.tab, 2*time.Second)
	defer cancel()
	err := chromedp.Do(ctx, chromedp.Click(selector))
	answer := "clicked"
	if err != nil {
		answer = err.Error()
	}
	p.scene.Note(p.who+"'s browser", "clicks on "+selector, answer)
	return err == nil
}

// ran reports whether a script of the attacker's has run in the page that is shown, or does so within a moment: such a script leaves its
// mark, canary, as a variable.
func (p *seat) ran(canary string) bool {
	ran := p.within(aMoment, func() bool { return says[bool](p, "window['"+canary+"'] === 1") })
	p.scene.Note(p.who+"'s browser", "looks whether the attacker's script has run", fmt.Sprint(ran))
	return ran
}

// comesBack reports whether a page of another site's has sent the browser to the copy, and the copy has answered.
func (p *seat) comesBack() bool {
	return p.within(2*aWhile, func() bool {
		return says[bool](p, "location.origin === '"+p.scene.Origin+"' && document.readyState === 'complete'")
	})
}

// within is within for what happens in this browser: where pages are slow to load, on a busy machine, it is waited for longer.
func (p *seat) within(wait time.Duration, happened func() bool) bool {
	return within(p.tab, wait+2*p.pace, happened)
}
