package origin

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strconv"

	"github.com/redoubt-dev/redoubt/layer"
)

var errNobody = errors.New("the request has no verified visitor")

// A problem is the connector's own answer, as problem details (RFC 9457).
type problem struct {
	Type      string      `json:"type"`
	Title     string      `json:"title"`
	Status    int         `json:"status"`
	Detail    string      `json:"detail"`
	RequestID string      `json:"instance,omitempty"`
	RefusedBy layer.Layer `json:"refused_by"`
}

// diagnose says what is told to the client: nothing about where the application is, or how it failed.
func diagnose(err error) (status int, detail string) {
	var timeout net.Error
	switch {
	case errors.Is(err, errNobody):
		return http.StatusUnauthorized, "This request did not come through the edge."
	case errors.Is(err, errUnreadable):
		return http.StatusBadRequest, "The request cannot be read in one way only."
	case errors.Is(err, errBody):
		return http.StatusBadRequest, "The request's body could not be read."
	case errors.Is(err, errBusy):
		return http.StatusServiceUnavailable, "Too many requests at once; try again shortly."
	case errors.As(err, &timeout) && timeout.Timeout():
		return http.StatusGatewayTimeout, "The application did not answer in time."
	}
	return http.StatusBadGateway, "The application did not answer, or not in a way that can be read."
}

// fail answers a request that brought no answer.
func (o *Origin) fail(w http.ResponseWriter, r *http.Request, v Visitor, err error) {
	if r.Context().Err() != nil && !errors.Is(context.Cause(r.Context()), context.DeadlineExceeded) {
		panic(http.ErrAbortHandler) // nobody is there to read it
	}
	status, detail := diagnose(err)
	o.config.Log.Warn("request failed", "request", v.ID, "status", status, "cause", err.Error())
	body, err := json.Marshal(problem{
		Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail, RequestID: v.ID, RefusedBy: layer.Perimeter,
	})
	if err != nil {
		panic(err) // strings and a number
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "1")
	}
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		w.Write(body)
	}
}
