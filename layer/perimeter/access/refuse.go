package access

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/perimeter/assertion"
)

var statusOf = map[layer.Reason]int{
	layer.Unauthenticated: http.StatusUnauthorized,
	layer.Forbidden:       http.StatusForbidden,
	layer.NotFound:        http.StatusNotFound,
	layer.Malformed:       http.StatusBadRequest,
	layer.Invalid:         http.StatusBadRequest,
	layer.Unsupported:     http.StatusMethodNotAllowed,
	layer.TooLarge:        http.StatusRequestEntityTooLarge,
	layer.Limited:         http.StatusTooManyRequests,
	layer.Unavailable:     http.StatusServiceUnavailable,
}

// problem is an answer for programs, as problem details (RFC 9457).
type problem struct {
	Type      string      `json:"type"`
	Title     string      `json:"title"`
	Status    int         `json:"status"`
	Detail    string      `json:"detail"`
	RequestID string      `json:"instance"`
	RefusedBy layer.Layer `json:"refused_by"`
}

// refuse answers with why, as a page if a person looks at it.
func (x *visit) refuse(why *layer.Refusal) Admission {
	x.refused = why
	status := statusOf[why.Reason]
	h := x.w.Header()
	if status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", "Redoubt") // RFC 9110 section 15.5.2 asks for a challenge
	}
	if status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "5")
	}
	if x.r.ProtoMajor == 1 && x.r.ContentLength != 0 {
		h.Set("Connection", "close") // a body is not read to its end for this
	}
	if x.at != nil && x.navigates() {
		x.show(status, "refused", refusedPage{Status: status, Detail: why.Public, RequestID: x.of.ID, Signed: signedOn(x.who), Again: x.again(why)})
		return Admission{Who: x.who, Refused: why}
	}
	body, err := json.Marshal(problem{"about:blank", http.StatusText(status), status, why.Public, x.of.ID, why.By})
	if err != nil {
		panic(err) // strings and numbers
	}
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Type", "application/problem+json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	x.w.WriteHeader(status)
	if x.r.Method != http.MethodHead {
		x.w.Write(body)
	}
	return Admission{Who: x.who, Refused: why}
}

// again reports whether the page should offer to sign on: after a sign-on that came to nothing, and to strangers whom one could help.
func (x *visit) again(why *layer.Refusal) bool {
	within := strings.HasPrefix(x.r.URL.Path, Reserved)
	if why == errBlocked {
		return false
	}
	return why.Reason == layer.Unauthenticated || within && why.Reason != layer.Limited && why.Reason != layer.NotFound
}

// later refuses for a while.
func (x *visit) later(wait time.Duration) {
	x.w.Header().Set("Retry-After", strconv.Itoa(max(1, int(wait.Round(time.Second).Seconds()))))
	x.refuse(errLimited)
}

var errLimited = refusal(layer.Limited, "That was too often in too short a time. Wait a few minutes, and try again.")

// move sends the browser on, within this host.
func (x *visit) move(path string) { x.leave(x.at.Origin + path) }

// leave sends the browser to an address that is not the client's to choose.
func (x *visit) leave(address string) {
	h := x.w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Location", address)
	x.w.WriteHeader(http.StatusSeeOther)
}

// goOn sends the browser on after a form, by way of a page. Were it a redirect, browsers would hold every further redirect of the
// application's, to its own sign-on say, to the form-action of our policy, and stop.
func (x *visit) goOn(path string) {
	x.w.Header().Set("Refresh", "0; url="+x.at.Origin+path)
	x.show(http.StatusOK, "signed-on", signedOnPage{x.at.Origin + path})
}

func signedOn(who assertion.SignOn) string {
	switch {
	case who.By == assertion.ByNobody || who.By == "":
		return ""
	case who.Email != "":
		return who.Email
	default:
		return who.Subject
	}
}
