package transport

import (
	"net/http"
	"strings"
	"time"
)

const (
	hostPrefix = "__Host-" // a browser refuses such a cookie from a subdomain or a plain connection (RFC 6265bis §4.1.3.2)
	maxCookie  = 4096      // bytes of one Set-Cookie line; browsers drop longer ones
)

// CookieName is the name under which Cookie and Expired send, and a request brings back, the cookie called name.
func CookieName(name string) string { return hostPrefix + strings.TrimPrefix(name, hostPrefix) }

// Cookie builds the only kind of cookie that leaves the system: __Host-, Secure, HttpOnly, Path=/, SameSite=Lax (SYSTEM T3).
// Lax and not Strict, because the identity provider's redirect back to us is a navigation from another site. A maxAge of zero
// makes it end with the browser, a negative one at once.
func Cookie(name, value string, maxAge time.Duration) *http.Cookie {
	seconds := int(maxAge / time.Second)
	if maxAge > 0 && seconds == 0 {
		seconds = 1 // not zero, which would mean the longest life
	}
	if maxAge < 0 {
		seconds = -1
	}
	return &http.Cookie{
		Name: CookieName(name), Value: value, Path: "/", MaxAge: seconds,
		Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}

// Expired builds the cookie that makes a browser forget the one called name.
func Expired(name string) *http.Cookie { return Cookie(name, "", -1) }

func isStrict(c *http.Cookie) bool {
	return strings.HasPrefix(c.Name, hostPrefix) && c.Secure && c.HttpOnly && c.Path == "/" && c.Domain == "" &&
		(c.SameSite == http.SameSiteLaxMode || c.SameSite == http.SameSiteStrictMode)
}
