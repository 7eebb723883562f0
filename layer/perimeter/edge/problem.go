package edge

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/redoubt-dev/redoubt/layer"
)

// statusClientGone is for the log alone: nobody is left to receive it.
const statusClientGone = 499

// A denial is how the edge answers a request itself. The edge is the outermost ring of its process, so that it renders its own
// refusals; slug is their kind for the log.
type denial struct {
	*layer.Refusal
	status int
	slug   string
	move   string // for a redirect: where to
	title  string // of the page; empty for what is usual for the status
	retry  int    // seconds after which to try again; zero for not at all
}

func deny(status int, reason layer.Reason, slug, public string) *denial {
	d := &denial{Refusal: &layer.Refusal{By: layer.Perimeter, Reason: reason, Public: public}, status: status, slug: slug}
	if status == http.StatusServiceUnavailable {
		d.retry = 1
	}
	return d
}

func malformed(slug, public string) *denial {
	return deny(http.StatusBadRequest, layer.Malformed, slug, public)
}

func tooLarge() *denial {
	return deny(http.StatusRequestEntityTooLarge, layer.TooLarge, "body too large", "The request's body is too large.")
}

// standby stands in for an application that is being worked on.
func standby(notice string) *denial {
	if notice == "" {
		notice = "Somebody is working on it. Please come back in a few minutes."
	}
	d := deny(http.StatusServiceUnavailable, layer.Unavailable, "standby", notice)
	d.title, d.retry = "Back in a little while", 30
	return d
}

// A problem is the edge's own answer, as problem details (RFC 9457).
type problem struct {
	Type      string      `json:"type"`
	Title     string      `json:"title"`
	Status    int         `json:"status"`
	Detail    string      `json:"detail"`
	RequestID string      `json:"instance"`
	RefusedBy layer.Layer `json:"refused_by"`
}

// render answers with d: to a browser with a page, to a program with a problem. An HTTP/1 connection ends after an answer about a body,
// which is not worth reading to its end; after one to a request that wanted another protocol; and after one that is malformed, because
// somebody else may have seen it end elsewhere.
func (e *Edge) render(r *http.Request, v *visit, d *denial) {
	v.denied = d
	w, h := &v.answer, v.answer.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if r.ProtoMajor == 1 && (d.Reason == layer.Malformed || r.ContentLength != 0 || len(r.Header["Upgrade"]) > 0 || v.upgrade != "") {
		h.Set("Connection", "close")
	}
	if d.move != "" {
		h.Set("Location", d.move)
		w.WriteHeader(d.status)
		return
	}
	if d.retry > 0 {
		h.Set("Retry-After", strconv.Itoa(d.retry))
	}
	body := d.body(r, v.id, h)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(d.status)
	if r.Method != http.MethodHead {
		w.Write(body)
	}
}

func (d *denial) body(r *http.Request, id string, h http.Header) []byte {
	title := http.StatusText(d.status) // as RFC 9457 section 4.2.1 wants it
	if forPerson(r) {
		title = or(d.title, or(titles[d.status], title))
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", pagePolicy)
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Vary", "Accept")
		return page(pageFacts{Title: title, Detail: d.Public, ID: id, Calm: d.status == http.StatusServiceUnavailable})
	}
	body, err := json.Marshal(problem{Type: "about:blank", Title: title, Status: d.status, Detail: d.Public, RequestID: id, RefusedBy: d.By})
	if err != nil {
		panic(err) // strings and numbers
	}
	h.Set("Content-Type", "application/problem+json")
	return body
}

// titles are what people read instead of a status.
var titles = map[int]string{
	http.StatusUnauthorized: "Please sign on again", http.StatusNotFound: "There is nothing here", http.StatusTooManyRequests: "A little slower, please",
	http.StatusBadGateway: "Something broke on the way", http.StatusServiceUnavailable: "Back in a moment", http.StatusGatewayTimeout: "This took too long",
}

// forPerson reports whether r is a browser's, for something to look at.
func forPerson(r *http.Request) bool {
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) && strings.Contains(r.Header.Get("Accept"), "text/html")
}

// keys are public: whoever verifies assertions by himself reads them here.
func (e *Edge) keys(r *http.Request, v *visit) *denial {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return deny(http.StatusMethodNotAllowed, layer.Unsupported, "reserved", "The keys can only be read.")
	}
	body, err := e.config.Signer.JWKS()
	if err != nil {
		d := deny(http.StatusServiceUnavailable, layer.Unavailable, "keys", "The keys cannot be read at the moment.")
		d.Cause = err
		return d
	}
	h := v.answer.Header()
	h.Set("Content-Type", "application/jwk-set+json")
	h.Set("Cache-Control", "public, max-age=60")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	v.answer.WriteHeader(http.StatusOK)
	if r.Method == http.MethodGet {
		v.answer.Write(body)
	}
	return nil
}
