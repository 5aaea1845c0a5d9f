package wire

import "encoding/binary"

// LinkPKTAP is macOS's header that names the interface and the process of a packet
// (tcpdump -i pktap), and the link type of what follows. LinkUser2 is the number that
// macOS writes for it, one of those left to private use.
const (
	LinkPKTAP LinkType = 258
	LinkUser2 LinkType = 149
)

var (
	_ = register(LinkPKTAP, "PKTAP", 12, pktap)
	_ = register(LinkUser2, "USER2", 12, pktap)
)

func pktap(b []byte) (proto, int) {
	const packet = 1
	length := binary.LittleEndian.Uint32(b)
	if length < 12 || length > 0xffff || binary.LittleEndian.Uint32(b[4:]) != packet {
		return protoNone, 12
	}
	return within(LinkPKTAP, binary.LittleEndian.Uint32(b[8:]), b, int(length))
}
