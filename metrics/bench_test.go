package metrics

import (
	"net/netip"
	"testing"

	"github.com/tcplife/tcplife/reassembly"
)

// BenchmarkPresent counts connections of a thousand clients to a hundred listeners.
func BenchmarkPresent(b *testing.B) {
	b.ReportAllocs()
	p := &Present{}
	for i := range b.N {
		client := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8 & 3), byte(i)}), uint16(i>>4))
		server := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, 0, byte(i % 100)}), 443)
		p.Add(client, server, [2]reassembly.State{reassembly.Established, reassembly.Established})
	}
}
