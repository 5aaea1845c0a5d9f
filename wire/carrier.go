package wire

import "encoding/binary"

// IANA's numbers of VXLAN and GRE in UDP (RFC 8086).
const (
	vxlanPort    = 4789
	greInUDPPort = 4754
)

// carrier names the tunnel that an IP packet with this payload is one leg of, inside
// the tunnel outer. Both directions have one name, but where UDP carries: there each
// direction may have ports of its own. The source port of VXLAN and of GRE in UDP is a
// hash of the inner flow, and counts for nothing.
func (p *ipPacket) carrier(outer uint32, payload []byte) uint32 {
	a, b, ports := p.src, p.dst, uint32(0)
	turn := b.Less(a)
	if p.next == ipUDP && len(payload) >= 4 {
		ports = binary.BigEndian.Uint32(payload)
		switch to := ports & 0xffff; to {
		case vxlanPort, greInUDPPort:
			ports = to
		default:
			turn = false
		}
	}
	if turn {
		a, b = b, a
	}
	h := uint64(outer)<<32 | uint64(ports)
	for _, w := range [...]uint64{a.Hi, a.Lo, b.Hi, b.Lo, uint64(p.next)} {
		h = (h ^ w) * 0x9e3779b97f4a7c15
		h ^= h >> 29
	}
	return max(uint32(h>>32), 1)
}
