package edge

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/redoubt-dev/redoubt/layer"
)

// A site is one origin of an application.
type site struct {
	Application
	host   string // of the origin, as bareHost spells it
	origin string // of that spelling
	pool   *pool
}

func newSites(c Config, times timeouts) (pools map[string]*pool, sites map[string]*site, first *site) {
	pools, sites = map[string]*pool{}, map[string]*site{}
	for _, a := range c.Applications {
		if pools[a.Name] == nil {
			pools[a.Name] = newPool(a.Name, c.MaxInFlight, times)
		}
		host, _ := originHost(a.Origin)
		a.MaxBody = or(a.MaxBody, DefaultMaxBody)
		a.Response = or(or(a.Response, times.response), ResponseTimeout)
		s := &site{Application: a, host: host, origin: "https://" + host, pool: pools[a.Name]}
		sites[host] = s
		for _, alias := range a.Aliases {
			host, _ := originHost(alias)
			sites[host] = s
		}
		first = or(first, s)
	}
	return pools, sites, first
}

// response is the longest time that an application gives itself to begin an answer at any of its origins: links are shared.
func (e *Edge) response(application string) (longest time.Duration) {
	for _, s := range e.sites {
		if s.Name == application {
			longest = max(longest, s.Response)
		}
	}
	return longest
}

// checkHost lets only a canonical origin's host pass, and returns whose it is. One who came by an alias, or by another name of this
// machine, is sent to the canonical origin if nothing is lost by it; everyone else has the wrong server (RFC 9110 section 15.5.20).
func (e *Edge) checkHost(r *http.Request, target string) (*site, *denial) {
	host := r.Host
	s := e.sites[host]
	if s == nil {
		host = bareHost(host)
		s = e.sites[host]
	}
	if s != nil && host == s.host {
		r.Host = s.host // one spelling: what is decided upon and what the application sees
		return s, nil
	}
	if s == nil && isLocal(host) {
		s = e.first
	}
	misdirected := deny(http.StatusMisdirectedRequest, layer.NotFound, "host", "This server does not serve that host.")
	if s != nil && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		misdirected.status, misdirected.slug, misdirected.move = http.StatusPermanentRedirect, "not canonical", s.origin+target
	}
	return nil, misdirected
}

// bareHost is the one spelling of a host with its port: lower case, without the port that https implies.
func bareHost(host string) string {
	return strings.TrimSuffix(strings.ToLower(host), ":443")
}

// isLocal reports whether host, with or without a port, is this machine's loopback by any of its common names.
func isLocal(host string) bool {
	name := host
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		name = host[:i]
	}
	if name == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(name, "[]"))
	return err == nil && ip.IsLoopback()
}

// withoutPort is host without its port.
func withoutPort(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return host
}
