package layertest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"net/url"
	"slices"
	"testing"

	"github.com/redoubt-dev/redoubt/layer/identity"
	"github.com/redoubt-dev/redoubt/layer/transport"
)

// Get asks for path.
func (c *Caller) Get(path string) *Response {
	c.w.tb.Helper()
	return c.Do(c.Request(http.MethodGet, path, nil))
}

// A Multipart is a form with files, as a browser sends it.
type Multipart struct {
	Fields url.Values
	Files  []File
}

// A File is one of a form, or the whole body of a request.
type File struct {
	Field   string // of the form; nothing for a body
	Name    string // as the sender calls it; of a body, nothing does
	Type    string // as the sender says; zero is application/octet-stream
	Content []byte
}

// Post sends body to path: url.Values as a form, a Multipart as a form with files, a File or []byte as it is, anything else as JSON; nil
// for nothing.
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
	case File:
		return bytes.NewReader(body.Content), cmp.Or(body.Type, "application/octet-stream")
	case Multipart:
		return body.encode(c.w.tb)
	}
	text, err := json.Marshal(body)
	must(c.w.tb, "writing a body", err)
	return bytes.NewReader(text), "application/json"
}

// encode writes the fields in the order of their names, then the files.
func (m Multipart) encode(tb testing.TB) (io.Reader, string) {
	tb.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(m.Fields)) {
		for _, value := range m.Fields[name] {
			must(tb, "writing a form", w.WriteField(name, value))
		}
	}
	for _, f := range m.Files {
		part, err := w.CreatePart(textproto.MIMEHeader{
			"Content-Disposition": {multipart.FileContentDisposition(f.Field, f.Name)}, "Content-Type": {cmp.Or(f.Type, "application/octet-stream")},
		})
		must(tb, "writing a form", err)
		_, err = part.Write(f.Content)
		must(tb, "writing a form", err)
	}
	must(tb, "writing a form", w.Close())
	return &b, w.FormDataContentType()
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
