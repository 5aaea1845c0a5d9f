package wire

import "encoding/binary"

// LinkEthernet is Ethernet, without preamble and usually without check sequence.
const LinkEthernet LinkType = 1

// Decode reads most Ethernet headers itself, without the way through the registry.
var _ = register(LinkEthernet, "ETHERNET", ethernetHeader, func(b []byte) (proto, int) {
	return proto(binary.BigEndian.Uint16(b[12:])), ethernetHeader
})
