package perimeter

import (
	"net/http"
	"strings"
)

// Headers in which proxies tell applications who somebody is or where he comes from. From a client they are claims, and some
// application behind some edge believes each of them.
var (
	claimed = map[string]bool{
		"forwarded": true, "x-real-ip": true, "true-client-ip": true, "x-client-ip": true, "x-cluster-client-ip": true,
		"fastly-client-ip": true, "client-ip": true, "via": true, "x-original-url": true, "x-rewrite-url": true,
		"x-original-host": true, "x-host": true, "x-http-method-override": true, "x-method-override": true,
		"x-http-method": true, "proxy": true, "x-forwarded": true,
	}
	claimedPrefixes = []string{
		"x-forwarded-", "cf-", "remote-", "tailscale-", "x-auth-", "redoubt-", "x-goog-authenticated-", "x-ms-client-", "x-amzn-oidc-",
	}
	claimedSuffixes = []string{"-jwt-assertion"}
)

// dropClaims removes every such header, whatever its spelling. It runs after the headers that Connection names are gone, and
// before the edge adds its own word (SYSTEM P5).
func dropClaims(h http.Header) {
	for name := range h {
		if isClaim(name) {
			delete(h, name)
		}
	}
}

func isClaim(name string) bool {
	name = strings.ReplaceAll(strings.ToLower(name), "_", "-")
	if claimed[name] {
		return true
	}
	for _, p := range claimedPrefixes {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	for _, s := range claimedSuffixes {
		if strings.HasSuffix(name, s) {
			return true
		}
	}
	return false
}
