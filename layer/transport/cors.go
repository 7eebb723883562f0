package transport

import (
	"net/http"
	"slices"
)

// callerOf returns the origin of another site whose script makes this request and may read its response, or "" (SYSTEM T4).
// A request that carries a cookie has none: what a browser adds by itself never answers to another site.
func (t *Transport) callerOf(r *http.Request) string {
	origin := r.Header["Origin"]
	if len(origin) != 1 || has(r, "Cookie") || !slices.Contains(t.cfg.Callers, origin[0]) {
		return ""
	}
	return origin[0]
}

func isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && has(r, "Access-Control-Request-Method")
}

// preflight answers that the caller may ask. The request itself is then judged like any other, by its token.
func (g *guard) preflight() {
	g.preflighted = true
	g.WriteHeader(http.StatusNoContent)
}

// sealCORS writes the only Access-Control headers there are. Credentials are never allowed, so "*" can mean no cookie either.
func (g *guard) sealCORS(h http.Header) {
	if len(g.t.cfg.Callers) > 0 {
		h.Add("Vary", "Origin") // or a shared cache would answer one origin with another's permission
	}
	if g.caller == "" {
		return
	}
	h.Set("Access-Control-Allow-Origin", g.caller)
	h.Set("Access-Control-Expose-Headers", "ETag, Location, RateLimit, RateLimit-Policy, Retry-After, X-Request-Id")
	if g.preflighted {
		h.Set("Access-Control-Allow-Methods", "GET, POST, PUT, PATCH, DELETE")
		h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Idempotency-Key, If-Match")
		h.Set("Access-Control-Max-Age", "600")
	}
}
