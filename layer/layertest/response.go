package layertest

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/layer"
)

// A Response is an answer. Its checks end the test when they fail, and return the Response so that they can be strung together.
type Response struct {
	Code   int
	Header http.Header
	Body   []byte

	tb    testing.TB
	asked string

	// What the application's log says about a refusal: also pages, which name no layer, have been refused by one.
	by     layer.Layer
	reason layer.Reason
	cause  string
	route  string
}

// A Made is what a Created answer names.
type Made struct {
	ID       string `json:"id"`
	Location string `json:"-"`
}

// OK checks for 200.
func (r *Response) OK() *Response { r.tb.Helper(); return r.Status(http.StatusOK) }

// NoContent checks for 204.
func (r *Response) NoContent() *Response { r.tb.Helper(); return r.Status(http.StatusNoContent) }

// Created checks for 201 and returns the new thing's place, and its id if the answer has one.
func (r *Response) Created() Made {
	r.tb.Helper()
	r.Status(http.StatusCreated)
	made := Made{Location: r.Header.Get("Location")}
	if made.Location == "" {
		r.tb.Fatalf("%s: created, but not where", r.asked)
	}
	r.JSON(&made)
	return made
}

// Status checks for any status.
func (r *Response) Status(want int) *Response {
	r.tb.Helper()
	if r.Code != want {
		r.tb.Fatalf("%s: got %s, want %d", r.asked, r.what(), want)
	}
	return r
}

// Refused checks that the request was refused, with this status, and by this layer: according to the log, and to the problem
// details if that is how it was answered.
func (r *Response) Refused(status int, by layer.Layer) *Response {
	r.tb.Helper()
	if r.Code != status || r.by != by {
		r.tb.Fatalf("%s: got %s, want %d by %s", r.asked, r.what(), status, by)
	}
	if kind := r.Header.Get("Content-Type"); kind != "application/problem+json" {
		return r
	}
	var p redoubt.Problem
	r.JSON(&p)
	if p.RefusedBy != by || p.Status != status || p.Detail == "" || p.RequestID == "" {
		r.tb.Fatalf("%s: the problem is %+v, want %d by %s with a detail and a request id", r.asked, p, status, by)
	}
	return r
}

// NotFound checks that by says there is nothing there.
func (r *Response) NotFound(by layer.Layer) *Response {
	r.tb.Helper()
	return r.Refused(http.StatusNotFound, by)
}

// RefusedBy is the layer that refused, and why; empty if none did.
func (r *Response) RefusedBy() (layer.Layer, layer.Reason) { return r.by, r.reason }

// Route is the pattern of the route that refused, or beneath which a layer did; empty if none was found, or nobody refused.
func (r *Response) Route() string { return r.route }

// JSON reads the body into v.
func (r *Response) JSON(v any) *Response {
	r.tb.Helper()
	if err := json.Unmarshal(r.Body, v); err != nil {
		r.tb.Fatalf("%s: reading %s: %v", r.asked, r.what(), err)
	}
	return r
}

func (r *Response) what() string {
	text := http.StatusText(r.Code)
	if r.by != "" || r.cause != "" {
		text = "refused by " + string(r.by) + ": " + r.cause
	}
	return strings.TrimSpace(strings.Join([]string{strconv.Itoa(r.Code), text}, " "))
}

// ---- pages ----

// input is the value of the page's first input with that name.
func (r *Response) input(name string) (value string) {
	walk(r.page(), func(n *html.Node) bool {
		if n.Data == "input" && attribute(n, "name") == name && value == "" {
			value = attribute(n, "value")
		}
		return true
	})
	return value
}

// form is what a browser would send if the page's form for action were sent as it is.
func (r *Response) form(action string) (values url.Values, ok bool) {
	walk(r.page(), func(n *html.Node) bool {
		if n.Data != "form" || attribute(n, "action") != action || ok {
			return true
		}
		values, ok = url.Values{}, true
		walk(n, func(n *html.Node) bool {
			if name := attribute(n, "name"); name != "" && n.Data == "input" {
				values.Set(name, attribute(n, "value"))
			} else if name != "" && n.Data == "textarea" {
				values.Set(name, text(n))
			}
			return true
		})
		return false
	})
	return values, ok
}

func (r *Response) page() *html.Node {
	r.tb.Helper()
	doc, err := html.Parse(bytes.NewReader(r.Body))
	must(r.tb, "reading a page", err)
	return doc
}

// walk visits n and what is in it, as long as visit says so.
func walk(n *html.Node, visit func(*html.Node) bool) {
	if n.Type == html.ElementNode && !visit(n) {
		return
	}
	for child := range n.ChildNodes() {
		walk(child, visit)
	}
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func text(n *html.Node) string {
	var b strings.Builder
	for child := range n.ChildNodes() {
		b.WriteString(child.Data)
	}
	return b.String()
}

// ---- the log ----

type responseKey struct{}

// A witness reads from the application's log who refused a request, and tells its Response.
type witness struct{}

func (witness) Enabled(context.Context, slog.Level) bool { return true }
func (w witness) WithAttrs([]slog.Attr) slog.Handler     { return w }
func (w witness) WithGroup(string) slog.Handler          { return w }

func (witness) Handle(ctx context.Context, record slog.Record) error {
	resp, ok := ctx.Value(responseKey{}).(*Response)
	if !ok || record.Message != "refused" {
		return nil
	}
	record.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "by":
			resp.by = layer.Layer(a.Value.String())
		case "reason":
			resp.reason = layer.Reason(a.Value.String())
		case "cause":
			resp.cause = a.Value.String()
		case "route":
			resp.route = a.Value.String()
		}
		return true
	})
	return nil
}
