package wire

import "encoding/binary"

// Link types whose header has a fixed length and an EtherType in a fixed place, or
// an IP packet or LLC behind it.
const (
	// LinkIPOverFC is RFC 2625's network header on Fibre Channel.
	LinkIPOverFC LinkType = 122
	// LinkIEEE1394 is IP on FireWire, as macOS captures it.
	LinkIEEE1394 LinkType = 138
	// LinkIPNET is Solaris's observability interface.
	LinkIPNET LinkType = 226
	// LinkIPoIB is IP over InfiniBand (RFC 4391) behind a global route header.
	LinkIPoIB LinkType = 242
)

var (
	_ = register(LinkIPOverFC, "IP_OVER_FC", 16, func([]byte) (proto, int) { return protoLLC, 16 })
	_ = register(LinkIEEE1394, "APPLE_IP_OVER_IEEE1394", 18, etherTypeAt(16, 18))
	_ = register(LinkIPNET, "IPNET", 25, func(b []byte) (proto, int) { return ipVersion(b[24]), 24 })
	_ = register(LinkIPoIB, "IPOIB", 44, etherTypeAt(40, 44))
)

// etherTypeAt reads a header of a size with the EtherType at a place.
func etherTypeAt(at, size int) func(b []byte) (proto, int) {
	return func(b []byte) (proto, int) { return proto(binary.BigEndian.Uint16(b[at:])), size }
}
