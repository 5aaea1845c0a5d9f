package wire

import "encoding/binary"

// LinkEthernet is Ethernet, without preamble and usually without check sequence.
const LinkEthernet LinkType = 1

// Decode reads Ethernet headers itself, without the way through the registry;
// the entry gives the name and lets the link type take part in tests.
var _ = register(LinkEthernet, "ETHERNET", ethernetHeader, func(b []byte) (proto, int) {
	return proto(binary.BigEndian.Uint16(b[12:])), ethernetHeader
})
