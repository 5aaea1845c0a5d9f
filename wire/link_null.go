package wire

import "encoding/binary"

// Link types of the loopback devices of BSD, macOS and, with Npcap, Windows: four
// octets of address family before the packet. In LinkNull they are in the byte
// order of the host that captured, in LinkLoop in network order.
const (
	LinkNull LinkType = 0
	LinkLoop LinkType = 108
)

const nullHeader = 4

var (
	_ = register(LinkNull, "NULL", nullHeader, loopback)
	_ = register(LinkLoop, "LOOP", nullHeader, loopback)
)

// loopback takes both byte orders for both link types: which one a file has is
// not written in it, and no family is so large that the orders could be mistaken.
func loopback(b []byte) (proto, int) {
	family := binary.LittleEndian.Uint32(b)
	if family > 0xffff {
		family = binary.BigEndian.Uint32(b)
	}
	switch family {
	case 2:
		return protoIPv4, nullHeader
	// AF_INET6 differs: Linux, Windows, NetBSD and OpenBSD, FreeBSD, macOS.
	case 10, 23, 24, 28, 30:
		return protoIPv6, nullHeader
	}
	return protoNone, nullHeader
}
