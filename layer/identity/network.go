package identity

import (
	"context"
	"net/netip"

	"github.com/redoubt-dev/redoubt/layer"
)

// A network is remembered, and not an address: addresses change by themselves, and say more about people than is needed to notice a key
// that turns up elsewhere (SYSTEM M2). The sizes are what one place usually has: the database holds them to it.
const (
	networkIPv4 = 24
	networkIPv6 = 48
)

// networkOf is where a request comes from, by the edge's word; nil if nobody knows. It is recorded, and nothing is decided on it.
func networkOf(ctx context.Context) *netip.Prefix {
	address := layer.VisitFrom(ctx).Address.Unmap().WithZone("")
	if !address.IsValid() {
		return nil
	}
	bits := networkIPv6
	if address.Is4() {
		bits = networkIPv4
	}
	network := netip.PrefixFrom(address, bits).Masked()
	return &network
}
