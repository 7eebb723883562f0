package transport

import (
	"mime"
	"net/http"
	"slices"
	"strings"
)

// The values of Cache-Control that a handler may choose instead of the default, no-store. HTML, errors and responses that set a
// cookie are never stored: a stored page would carry one person's data, token and nonce to the next.
const (
	Immutable  = "public, max-age=31536000, immutable"  // for files whose name changes with their content
	Revalidate = "private, no-cache"                    // for files that may change: kept, but asked about each time
	Kept       = "private, max-age=31536000, immutable" // for one person's files that never change: kept by their browser, by nobody on the way
)

// locked are the headers of every response (SYSTEM T1), besides the content security policy and Cache-Control. No handler can
// delete, replace or add to them.
var locked = map[string]string{
	"Strict-Transport-Security":         "max-age=63072000; includeSubDomains; preload",
	"X-Content-Type-Options":            "nosniff",
	"X-Frame-Options":                   "DENY",
	"Referrer-Policy":                   "same-origin", // not no-referrer: with it, browsers send "Origin: null" on our own forms (Fetch §3.2)
	"Permissions-Policy":                closedFeatures(),
	"Cross-Origin-Opener-Policy":        "same-origin",
	"Cross-Origin-Resource-Policy":      "same-origin",
	"X-Permitted-Cross-Domain-Policies": "none",
	"Reporting-Endpoints":               reportGroup + `="` + ReportPath + `"`,
}

func closedFeatures() string {
	features := []string{
		"accelerometer", "autoplay", "bluetooth", "browsing-topics", "camera", "display-capture", "encrypted-media", "fullscreen",
		"geolocation", "gyroscope", "hid", "identity-credentials-get", "idle-detection", "local-fonts", "magnetometer",
		"microphone", "midi", "otp-credentials", "payment", "picture-in-picture", "publickey-credentials-create",
		"publickey-credentials-get", "screen-wake-lock", "serial", "storage-access", "usb", "web-share", "window-management",
		"xr-spatial-tracking",
	}
	return strings.Join(features, "=(), ") + "=()"
}

// dropped are headers by which a handler could undo the locked ones, send a browser or its reports elsewhere, or promise what
// this package does not carry (trailers, upgrades).
var dropped = []string{
	"Alt-Svc", "Content-Security-Policy-Report-Only", "Document-Policy", "Nel", "Origin-Agent-Cluster", "Origin-Trial",
	"Refresh", "Report-To", "Server", "Service-Worker-Allowed", "Sourcemap", "Speculation-Rules", "Supports-Loading-Mode",
	"Timing-Allow-Origin", "Trailer", "Transfer-Encoding", "Upgrade", "X-Powered-By", "X-Sourcemap", "X-Xss-Protection",
}

// isDropped also covers the families that grow: CORS, which only Config.Callers opens (SYSTEM T4), and cross-origin isolation.
func isDropped(key string) bool {
	return slices.Contains(dropped, key) || strings.HasPrefix(key, "Access-Control-") || strings.HasPrefix(key, "Cross-Origin-")
}

// canonical returns h with one spelling of each name, so that no second spelling slips past, and without names or values that
// could break a header apart.
func canonical(h http.Header) http.Header {
	out := make(http.Header, len(h)+len(locked)+2)
	for key, values := range h {
		name := http.CanonicalHeaderKey(key)
		if !isToken(key) || isDropped(name) {
			continue
		}
		for _, v := range values {
			if !strings.ContainsFunc(v, breaking) {
				out[name] = append(out[name], v)
			}
		}
	}
	return out
}

// isToken reports whether s may name a header (RFC 9110 §5.6.2).
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool {
		return c <= ' ' || c >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, c)
	})
}

// breaking reports control characters, with which one header could become two.
func breaking(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }

// seal turns what the handler wanted to send into what is sent.
func (g *guard) seal(h http.Header, status int) {
	page := sealType(h, status)
	g.sealCookies(h)
	sealCache(h, status, page)
	h.Set("Content-Security-Policy", otherPolicy)
	if page {
		h.Set("Content-Security-Policy", g.t.pagePolicy(Nonce(g.r.Context())).String())
	}
	for key, value := range locked {
		h[key] = []string{value}
	}
	g.sealCORS(h)
}

// sealType leaves exactly one readable Content-Type, and reports whether it is HTML's. Without one, net/http would guess from
// the first bytes, which may be an attacker's; plain text is a guess that can do nothing.
func sealType(h http.Header, status int) (page bool) {
	if status == http.StatusNoContent || status == http.StatusNotModified {
		h.Del("Content-Type")
		return false
	}
	declared := h.Get("Content-Type")
	kind, _, err := mime.ParseMediaType(declared)
	if err != nil {
		declared = "text/plain; charset=utf-8"
	}
	h["Content-Type"] = []string{declared}
	return err == nil && kind == "text/html"
}

func sealCache(h http.Header, status int, page bool) {
	asked := h["Cache-Control"]
	storable := len(asked) == 1 && (slices.Contains([]string{Immutable, Revalidate, Kept}, asked[0]))
	if !storable || page || status >= 400 || len(h["Set-Cookie"]) > 0 {
		asked = []string{"no-store"}
	}
	h["Cache-Control"] = asked
}

// sealCookies keeps only cookies like those that Cookie makes, written anew so that no odd attribute survives. Others are
// dropped rather than repaired: a session that does not start is noticed, one that leaks is not (SYSTEM T3).
func (g *guard) sealCookies(h http.Header) {
	lines := h["Set-Cookie"]
	delete(h, "Set-Cookie")
	for _, line := range lines {
		c, err := http.ParseSetCookie(line)
		if err != nil {
			g.warn("dropping an unreadable cookie")
			continue
		}
		if !isStrict(c) || len(line) > maxCookie {
			g.warn("dropping a cookie that is not __Host-, Secure, HttpOnly and SameSite", "cookie", cut(c.Name, 64))
			continue
		}
		h.Add("Set-Cookie", c.String())
	}
}
