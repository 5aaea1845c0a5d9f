package wire

import "encoding/binary"

// Link types of Juniper's routers (tcpdump's "monitor traffic"): a header that
// describes the interface, then the frame as the interface has it.
const (
	LinkJuniperEthernet   LinkType = 178
	LinkJuniperPPP        LinkType = 179
	LinkJuniperFrameRelay LinkType = 180
	LinkJuniperCiscoHDLC  LinkType = 181
)

var (
	_ = register(LinkJuniperEthernet, "JUNIPER_ETHER", 4, juniper(LinkEthernet))
	_ = register(LinkJuniperPPP, "JUNIPER_PPP", 4, juniper(LinkPPP))
	_ = register(LinkJuniperFrameRelay, "JUNIPER_FRELAY", 4, juniper(LinkFrameRelay))
	_ = register(LinkJuniperCiscoHDLC, "JUNIPER_CHDLC", 4, juniper(LinkCiscoHDLC))
)

// juniper reads the header: a magic number, flags, and extensions of a given
// length. Packets of the router itself have no link header but the family's number.
func juniper(inner LinkType) func(b []byte) (proto, int) {
	const noLink, extended = 0x02, 0x80
	return func(b []byte) (proto, int) {
		if b[0] != 'M' || b[1] != 'G' || b[2] != 'C' {
			return protoDamaged, 0
		}
		at := 4
		if b[3]&extended != 0 {
			if len(b) < 6 {
				return protoNone, 6
			}
			at = 6 + int(binary.BigEndian.Uint16(b[4:]))
		}
		if b[3]&noLink == 0 {
			return within(LinkJuniperEthernet, uint32(inner), b, at)
		}
		if at += 4; len(b) < at {
			return protoNone, at
		}
		switch binary.LittleEndian.Uint32(b[at-4:]) {
		case 2:
			return protoIPv4, at
		case 6:
			return protoIPv6, at
		case 3, 4, 5, 7, 8:
			return protoMPLS, at
		}
		return protoNone, at
	}
}
