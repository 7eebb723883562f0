package perimeter

import (
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/redoubt-dev/redoubt/layer"
)

// statusClientGone is for the log alone: nobody is left to receive it.
const statusClientGone = 499

// A problem is the edge's own answer, as problem details (RFC 9457).
type problem struct {
	Type      string      `json:"type"`
	Title     string      `json:"title"`
	Status    int         `json:"status"`
	Detail    string      `json:"detail"`
	RequestID string      `json:"instance"`
	RefusedBy layer.Layer `json:"refused_by"`
}

// render answers with v.denied. The connection ends after an answer about a body, which is not worth reading to its end.
func render(w http.ResponseWriter, r *http.Request, v *visitor) {
	d := v.denied
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if d.move != "" {
		h.Set("Location", d.move)
		w.WriteHeader(d.status)
		return
	}
	if d.status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "1")
	}
	if r.ProtoMajor == 1 && r.ContentLength != 0 {
		h.Set("Connection", "close")
	}
	body, err := json.Marshal(problem{
		Type: "about:blank", Title: http.StatusText(d.status), Status: d.status,
		Detail: d.Public, RequestID: v.id, RefusedBy: d.By,
	})
	if err != nil {
		panic(err) // strings and numbers
	}
	h.Set("Content-Type", "application/problem+json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(d.status)
	if r.Method != http.MethodHead {
		w.Write(body)
	}
}

// logRequest writes the access line: no query, no header, no body. Text that a client chose is cut to a length.
func (e *Edge) logRequest(r *http.Request, v *visitor, a *answer, took time.Duration) {
	status, level := a.status, slog.LevelInfo
	attributes := []slog.Attr{
		slog.String("method", cut(r.Method)), slog.String("host", cut(r.Host)), slog.String("path", cut(r.URL.Path)),
	}
	if v.denied != nil {
		status = v.denied.status
		attributes = append(attributes, slog.String("refused", v.denied.slug))
		if v.denied.Cause != nil {
			level = slog.LevelWarn
			attributes = append(attributes, slog.String("cause", cut(v.denied.Cause.Error())))
		}
	}
	attributes = append(attributes,
		slog.Int("status", status), slog.Int64("bytes", a.bytes), slog.Float64("ms", float64(took.Microseconds())/1000),
		slog.String("request", v.id), slog.String("client", v.client))
	e.log.LogAttrs(r.Context(), level, "request", attributes...)
}

// logRefusedConn writes the access line of a request that net/http never saw.
func (e *Edge) logRefusedConn(c net.Conn, reason string) {
	e.log.Info("request", "status", http.StatusBadRequest, "refused", reason, "client", clientIP(c.RemoteAddr().String()))
}

func cut(s string) string {
	if len(s) > 512 {
		return s[:512] + "…"
	}
	return s
}
