package realidp

import (
	"context"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
)

const (
	maxSteps = 12 // redirects and forms from the application's address back to it
	maxPage  = 1 << 20
)

// A Browser is one person's, with its cookies.
type Browser struct {
	at     *Server
	client *http.Client
}

// NewBrowser opens one.
func (s *Server) NewBrowser() *Browser {
	jar, _ := cookiejar.New(nil) // never fails without options
	return &Browser{s, &http.Client{Jar: jar, Timeout: startTime,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// SignIn opens an address of the provider's, signs person in if it asks, and returns the query with which the provider sends the
// browser back to the application. A person is a subject at oidc-provider, and an e-mail address at Dex.
func (b *Browser) SignIn(ctx context.Context, address, person string) (url.Values, error) {
	to, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	q := to.Query()
	q.Set("login_hint", person) // by which our configuration of oidc-provider decides
	to.RawQuery = q.Encode()
	resp, err := b.get(ctx, to.String())
	for range maxSteps {
		if err != nil {
			return nil, err
		}
		to, noRedirect := resp.Location()
		switch {
		case noRedirect == nil && !b.at.local(to.String()):
			resp.Body.Close()
			return to.Query(), nil
		case noRedirect == nil:
			resp.Body.Close()
			resp, err = b.get(ctx, to.String())
		case resp.StatusCode == http.StatusOK:
			resp, err = b.at.sign(ctx, b, resp, person)
		default:
			resp.Body.Close()
			return nil, lost("signing in", resp)
		}
	}
	return nil, errLost
}

// SignOut opens the provider's address for signing out, confirms, and returns the address that the browser is sent on to, if any.
func (b *Browser) SignOut(ctx context.Context, address string) (string, error) {
	resp, err := b.get(ctx, address)
	for range maxSteps {
		if err != nil {
			return "", err
		}
		to, noRedirect := resp.Location()
		switch {
		case noRedirect == nil && !b.at.local(to.String()):
			resp.Body.Close()
			return to.String(), nil
		case noRedirect == nil:
			resp.Body.Close()
			resp, err = b.get(ctx, to.String())
		case resp.StatusCode == http.StatusOK:
			resp, err = b.submit(ctx, resp, url.Values{"logout": {"yes"}})
		default:
			resp.Body.Close()
			return "", lost("signing out", resp)
		}
	}
	return "", errLost
}

func (b *Browser) get(ctx context.Context, address string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	return b.client.Do(req)
}

var (
	formAction = regexp.MustCompile(`<form[^>]*\baction="([^"]*)"`)
	hidden     = regexp.MustCompile(`<input[^>]*\btype="hidden"[^>]*>`)
	attribute  = regexp.MustCompile(`\b(name|value)="([^"]*)"`)
)

// submit sends the page's form with its hidden fields and more.
func (b *Browser) submit(ctx context.Context, page *http.Response, more url.Values) (*http.Response, error) {
	defer page.Body.Close()
	text, err := io.ReadAll(io.LimitReader(page.Body, maxPage))
	if err != nil {
		return nil, err
	}
	action := formAction.FindSubmatch(text)
	to := page.Request.URL
	if action != nil {
		if to, err = to.Parse(html.UnescapeString(string(action[1]))); err != nil {
			return nil, err
		}
	}
	for _, field := range hidden.FindAllString(string(text), -1) {
		pair := map[string]string{}
		for _, m := range attribute.FindAllStringSubmatch(field, -1) {
			pair[m[1]] = html.UnescapeString(m[2])
		}
		more.Set(pair["name"], pair["value"])
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to.String(), strings.NewReader(more.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.client.Do(req)
}

// signAtNode has no page to fill in: the hint has said who it is, so a page is an error.
func signAtNode(_ context.Context, _ *Browser, page *http.Response, _ string) (*http.Response, error) {
	defer page.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(page.Body, 2<<10))
	return nil, fmt.Errorf("%w: %s", lost("signing in", page), text)
}

func signAtDex(ctx context.Context, b *Browser, page *http.Response, person string) (*http.Response, error) {
	return b.submit(ctx, page, url.Values{"login": {person}, "password": {"password"}})
}
