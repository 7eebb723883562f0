package cloudflare

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// tunnel writes cloudflared's config.yml. Where every path asks for a sign-on, cloudflared itself asks for Access's word too; where
// some path is public it cannot, since no word comes with that.
func tunnel(c Config, all []application, limits []Limit) string {
	var b strings.Builder
	b.WriteString("# Cloudflare Tunnel, written by redoubt edge export cloudflare.\n")
	comments(&b, limits)
	b.WriteString("#\n# The hosts' names are led to it by: cloudflared tunnel route dns TUNNEL-ID HOST\n")
	b.WriteString("\ntunnel: TUNNEL-ID\ncredentials-file: /etc/cloudflared/TUNNEL-ID.json\n\ningress:\n")
	for _, host := range hosts(all) {
		i := slices.IndexFunc(c.Applications, func(a Application) bool { return a.Host == host })
		fmt.Fprintf(&b, "  - hostname: %s\n    service: %s\n", scalar(host), scalar(c.Applications[i].To))
		if public(all, host) {
			b.WriteString("    # Some paths are public: cloudflared cannot ask for Access's word here.\n")
			continue
		}
		fmt.Fprintf(&b, "    originRequest:\n      access:\n        required: true\n        teamName: TEAM-NAME\n        audTag: [AUD-TAG] # those of the output audiences for %s\n", host)
	}
	b.WriteString("  - service: http_status:404\n")
	return b.String()
}

func public(all []application, host string) bool {
	return slices.ContainsFunc(all, func(a application) bool {
		return a.region.host == host && slices.ContainsFunc(a.policies, func(p accessPolicy) bool { return p.decision == "bypass" })
	})
}

// hosts are those of applications, in their order.
func hosts(all []application) (names []string) {
	for _, a := range all {
		if !slices.Contains(names, a.region.host) {
			names = append(names, a.region.host)
		}
	}
	return names
}

// scalar is a string in YAML.
func scalar(s string) string { return fmt.Sprintf("%q", s) }

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
