package layertest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"

	"github.com/redoubt-dev/redoubt/layer/identity"
	"github.com/redoubt-dev/redoubt/layer/transport"
)

// Get asks for path.
func (c *Caller) Get(path string) *Response {
	c.w.tb.Helper()
	return c.Do(c.Request(http.MethodGet, path, nil))
}

// Post sends body to path: url.Values as a form, []byte as it is, anything else as JSON; nil for nothing.
func (c *Caller) Post(path string, body any) *Response {
	c.w.tb.Helper()
	return c.Do(c.Request(http.MethodPost, path, body))
}

// Put sends body to path; see Post.
func (c *Caller) Put(path string, body any) *Response {
	c.w.tb.Helper()
	return c.Do(c.Request(http.MethodPut, path, body))
}

// Delete asks for path to be deleted.
func (c *Caller) Delete(path string) *Response {
	c.w.tb.Helper()
	return c.Do(c.Request(http.MethodDelete, path, nil))
}

// Request makes a request of the caller's, with their credential, for a test to alter before Do.
func (c *Caller) Request(method, path string, body any) *http.Request {
	c.w.tb.Helper()
	content, kind := c.encode(body)
	r := httptest.NewRequestWithContext(c.w.tb.Context(), method, Origin+path, content)
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	switch {
	case c.browser:
		c.browse(r)
	case c.session != "" || c.key != "":
		if c.key == "" {
			c.key = c.APIKey()
		}
		r.Header.Set("Authorization", "Bearer "+c.key)
	}
	return r
}

func (c *Caller) encode(body any) (content io.Reader, kind string) {
	c.w.tb.Helper()
	switch body := body.(type) {
	case nil:
		return nil, ""
	case []byte:
		return bytes.NewReader(body), "application/json"
	case url.Values:
		return bytes.NewReader([]byte(body.Encode())), "application/x-www-form-urlencoded"
	}
	text, err := json.Marshal(body)
	must(c.w.tb, "writing a body", err)
	return bytes.NewReader(text), "application/json"
}

// browse adds what a browser adds to a request of one of our pages.
func (c *Caller) browse(r *http.Request) {
	c.w.tb.Helper()
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if c.session != "" {
		sent := identity.SessionCookie(c.session)
		r.AddCookie(&http.Cookie{Name: sent.Name, Value: sent.Value})
	}
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return
	}
	r.Header.Set("Origin", Origin)
	if c.session != "" {
		r.Header.Set(transport.TokenHeader, c.pageToken())
	}
}

// pageToken reads the synchroniser token from a page: the onboarding, which everybody may see, or the first one.
func (c *Caller) pageToken() string {
	c.w.tb.Helper()
	if c.token == "" {
		page := c.Get(cmp.Or(c.w.app.Onboarding, "/"))
		if c.token = page.OK().input(transport.TokenField); c.token == "" {
			c.w.tb.Fatalf("the page has no input %s", transport.TokenField)
		}
	}
	return c.token
}

// Do sends a request straight into the application's layers.
func (c *Caller) Do(r *http.Request) *Response {
	c.w.tb.Helper()
	if c.w.Server == nil {
		c.w.tb.Fatal("this world's application has no Start, and so nothing that answers")
	}
	resp := &Response{tb: c.w.tb, asked: r.Method + " " + r.URL.Path}
	rec := httptest.NewRecorder()
	c.w.Server.ServeHTTP(rec, r.WithContext(context.WithValue(r.Context(), responseKey{}, resp)))
	resp.Code, resp.Header, resp.Body = rec.Code, rec.Result().Header, rec.Body.Bytes()
	return resp
}
