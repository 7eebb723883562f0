package target

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// maxAnswer bounds what a client reads of one answer.
const maxAnswer = 8 << 20

// A Client is somebody's browser, as far as requests go, or a program: cookies, the token of our forms, what browsers say of where a
// request comes from. It follows no redirect. It is for one goroutine.
type Client struct {
	Bearer string                   // an API key, in place of cookies
	Note   func(did, answer string) // is told of every request; may be nil
	Alter  func(*http.Request)      // changes a request before it is sent; may be nil

	HTTP *http.Client // with the jar and the copy's authority
	copy *Copy
	from string
}

// Client makes one that connects from an address of this machine: Inside or Outside.
func (c *Copy) Client(from string) *Client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		panic(err) // there are no options to be wrong
	}
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 5 * time.Second}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: c.Roots}, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 2, IdleConnTimeout: 10 * time.Second,
		DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			return dialer.DialContext(ctx, "tcp4", strings.Replace(address, "localhost:", "127.0.0.1:", 1))
		}}
	return &Client{copy: c, from: from, HTTP: &http.Client{Jar: jar, Transport: transport, Timeout: 20 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// An Answer is a whole one.
type Answer struct {
	Status int
	Header http.Header
	Body   string
	By     string // the layer that refused, by the application's word; "" if none says so
	ID     string // of the request, for the log
}

// Holds reports whether the answer shows the text.
func (a Answer) Holds(text string) bool { return strings.Contains(a.Body, text) }

// JSON reads the body into v.
func (a Answer) JSON(v any) error {
	if err := json.Unmarshal([]byte(a.Body), v); err != nil {
		return fmt.Errorf("reading an answer with status %d: %w", a.Status, err)
	}
	return nil
}

// Get asks for a path of the copy's, or for a whole address.
func (c *Client) Get(ctx context.Context, path string) (Answer, error) {
	return c.Ask(ctx, http.MethodGet, path, nil)
}

// Ask sends one request: nothing, url.Values as a form with the token of our pages, a *Body as it is, anything else as JSON, as a script of
// our pages does. An error says that no answer came.
func (c *Client) Ask(ctx context.Context, method, path string, body any) (Answer, error) {
	r, err := c.Request(ctx, method, path, body)
	if err != nil {
		return Answer{}, err
	}
	return c.Do(r)
}

// A Body is sent as it is.
type Body struct {
	Type    string
	Content []byte
}

// Request makes a request for the caller to alter.
func (c *Client) Request(ctx context.Context, method, path string, body any) (*http.Request, error) {
	content, kind := []byte(nil), ""
	switch body := body.(type) {
	case nil:
	case url.Values:
		if token := c.token(ctx); token != "" && !body.Has(tokenField) {
			body[tokenField] = []string{token}
		}
		content, kind = []byte(body.Encode()), formType
	case *Body:
		content, kind = body.Content, body.Type
	default:
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content, kind = text, "application/json"
	}
	if strings.HasPrefix(path, "/") {
		path = c.copy.Origin + path
	}
	r, err := http.NewRequestWithContext(ctx, method, path, bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	if c.Bearer != "" {
		r.Header.Set("Authorization", "Bearer "+c.Bearer)
		return r, nil
	}
	r.Header.Set("Accept", "text/html,application/json;q=0.9")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if method != http.MethodGet && method != http.MethodHead {
		r.Header.Set("Origin", c.copy.Origin)
	}
	if _, asItIs := body.(*Body); !asItIs && kind != formType {
		c.script(r)
	}
	return r, nil
}

// Do sends r as it is.
func (c *Client) Do(r *http.Request) (Answer, error) {
	if c.Alter != nil {
		c.Alter(r)
	}
	resp, err := c.HTTP.Do(r)
	if err != nil {
		c.note(r, "no answer")
		return Answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		c.note(r, "half an answer")
		return Answer{}, err
	}
	a := Answer{Status: resp.StatusCode, Header: resp.Header, Body: string(body)}
	var problem struct {
		By string `json:"refused_by"`
		ID string `json:"request_id"`
	}
	if json.Unmarshal(body, &problem) == nil {
		a.By, a.ID = problem.By, problem.ID
	}
	c.note(r, strings.TrimSpace(fmt.Sprint(a.Status, " ", a.By)))
	return a, nil
}

func (c *Client) note(r *http.Request, answer string) {
	if c.Note != nil {
		c.Note(r.Method+" "+strings.TrimPrefix(r.URL.String(), c.copy.Origin), answer)
	}
}

const (
	tokenField  = "_token"
	tokenHeader = "X-Redoubt-Token"
	formType    = "application/x-www-form-urlencoded"
)

// script adds what a script of our pages sends along with what it changes; forms have the token in a field.
func (c *Client) script(r *http.Request) {
	if r.Method == http.MethodGet || r.Method == http.MethodHead || len(c.Cookies()) == 0 {
		return
	}
	if token := c.token(r.Context()); token != "" {
		r.Header.Set(tokenHeader, token)
	}
}

var tokenInput = regexp.MustCompile(`name="` + tokenField + `" value="([^"]*)"`)

// token is the synchroniser token of whoever is signed in; "" for nobody.
func (c *Client) token(ctx context.Context) string {
	a, err := c.Get(ctx, "/profile")
	if found := tokenInput.FindStringSubmatch(a.Body); err == nil && found != nil {
		return html.UnescapeString(found[1])
	}
	return ""
}

// Cookies are those that the client has for the copy.
func (c *Client) Cookies() []*http.Cookie {
	u, err := url.Parse(c.copy.Origin)
	if err != nil {
		return nil
	}
	return c.HTTP.Jar.Cookies(u)
}

// maxRedirects bounds the way to the provider and back.
const maxRedirects = 10

var hidden = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)

// SignIn goes to the provider and back, as the person whose address begins so.
func (c *Client) SignIn(ctx context.Context, who string) error {
	back, err := c.Choose(ctx, "/sign-in?return=%2Fprofile", who)
	if err != nil {
		return err
	}
	a, err := c.Follow(ctx, back)
	if err != nil {
		return err
	}
	if a.Status != http.StatusOK && !c.signedIn() {
		return fmt.Errorf("signing %s in: the last answer is %d", who, a.Status)
	}
	return nil
}

// signedIn reports whether the client has a session of the copy's. Whether a page can be shown for it is another question, where what shows
// pages may be out.
func (c *Client) signedIn() bool {
	return slices.ContainsFunc(c.Cookies(), func(k *http.Cookie) bool { return k.Name == "__Host-redoubt" })
}

// Choose goes where path leads, to the provider, becomes that person there, and returns where the provider leads back to, without going
// there; "" if the provider does not.
func (c *Client) Choose(ctx context.Context, path, who string) (back string, err error) {
	a, err := c.Follow(ctx, path)
	if err != nil {
		return "", err
	}
	form := url.Values{"subject": {"dev-" + who}, "second_factor": {"yes"}}
	for _, field := range hidden.FindAllStringSubmatch(a.Body, -1) {
		form.Set(field[1], html.UnescapeString(field[2]))
	}
	choose := &Body{formType, []byte(form.Encode())}
	r, err := c.Request(ctx, http.MethodPost, c.copy.Issuer+"/choose", choose)
	if err != nil {
		return "", err
	}
	r.Header.Set("Origin", c.copy.Issuer)
	if a, err = c.Do(r); err != nil {
		return "", err
	}
	return a.Header.Get("Location"), nil
}

// Follow asks for a path, and then for where it leads, until it leads nowhere.
func (c *Client) Follow(ctx context.Context, path string) (a Answer, err error) {
	for range maxRedirects {
		at := path
		if a, err = c.Get(ctx, path); err != nil {
			return a, err
		}
		path = a.Header.Get("Location")
		if path == "" {
			return a, nil
		}
		if strings.HasPrefix(path, "/") && strings.HasPrefix(at, c.copy.Issuer) {
			path = c.copy.Issuer + path
		}
	}
	return a, fmt.Errorf("%s leads in a circle", path)
}
