package transport

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/redoubt-dev/redoubt/layer"
)

var errForeign = errors.New("the request was not made by a page of this origin")

// crossSite refuses a request that changes something unless the browser says that one of our own pages made it (SYSTEM T3).
// It is stricter than net/http.CrossOriginProtection, which lets pass what carries no such statement, what the address bar
// started, and an Origin with our host but another scheme. Our origin is the configured one; the Host header, which the
// client chooses, is never asked.
func (t *Transport) crossSite(r *http.Request) *layer.Refusal {
	if isSafe(r.Method) || t.ours(r) || t.withoutBrowser(r) || (t.callerOf(r) != "" && bearer(r)) {
		return nil
	}
	return refusal(layer.Forbidden, "This request did not come from a page of this site.", errForeign)
}

// ours reads both statements of the browser. If it made both they must agree; a doubled header is a lie by someone.
func (t *Transport) ours(r *http.Request) bool {
	site, origin := r.Header["Sec-Fetch-Site"], r.Header["Origin"]
	if len(site) > 1 || len(origin) > 1 || len(site)+len(origin) == 0 {
		return false
	}
	return (len(site) == 0 || site[0] == "same-origin") && (len(origin) == 0 || origin[0] == t.cfg.Origin)
}

// withoutBrowser reports whether r is a program's: it says nothing about a page, and its only credential is one that no browser
// adds by itself. Basic and Negotiate do not count, since browsers remember those.
func (t *Transport) withoutBrowser(r *http.Request) bool {
	return !has(r, "Sec-Fetch-Site") && !has(r, "Origin") && !has(r, "Cookie") && bearer(r)
}

func bearer(r *http.Request) bool {
	values := r.Header["Authorization"]
	if len(values) != 1 {
		return false
	}
	scheme, rest, _ := strings.Cut(values[0], " ")
	return strings.EqualFold(scheme, "Bearer") && rest != ""
}

// machinesOnly refuses everything that a browser could have sent.
func machinesOnly(r *http.Request) *layer.Refusal {
	for key := range r.Header {
		if key == "Cookie" || key == "Origin" || strings.HasPrefix(key, "Sec-Fetch-") {
			return refusal(layer.Forbidden, "This address is for programs, not for browsers.", errForeign)
		}
	}
	return nil
}

// isSafe reports whether the method promises to change nothing (RFC 9110 §9.2.1).
func isSafe(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

// has reports presence even of an empty value: "Origin:" is not the same as no Origin.
func has(r *http.Request, key string) bool { return len(r.Header[key]) > 0 }

// isOrigin reports whether s is an origin in the one spelling that browsers send (RFC 6454 §6.2). Its characters are few, since
// it is written into a policy, where others would begin something else. Plain http is for an identity provider on the
// developer's own machine.
func isOrigin(s string, loopback bool) bool {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || s != u.Scheme+"://"+u.Host || strings.HasSuffix(u.Host, ":") ||
		strings.Trim(u.Host, "abcdefghijklmnopqrstuvwxyz0123456789-.:[]") != "" {
		return false
	}
	if u.Scheme == "http" {
		ip := net.ParseIP(u.Hostname())
		return loopback && u.Port() != "80" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback())
	}
	return u.Scheme == "https" && u.Port() != "443"
}

// mayLead reports whether a redirect to location stays here or goes where Config allows (SYSTEM T4). Browsers read more into an
// address than net/url does (\ as /, tabs as nothing), so anything that they could read otherwise is refused.
func (t *Transport) mayLead(location string) bool {
	if strings.HasPrefix(location, "//") || strings.ContainsFunc(location, odd) {
		return false
	}
	u, err := url.Parse(location)
	if err != nil || u.Opaque != "" || u.User != nil {
		return false
	}
	if u.Scheme == "" && u.Host == "" {
		return true
	}
	return slices.Contains(t.sites, u.Scheme+"://"+u.Host)
}

// odd reports characters that browsers drop, trim or turn into others inside an address.
func odd(c rune) bool { return c <= ' ' || c == '\\' || c >= 0x7f }
