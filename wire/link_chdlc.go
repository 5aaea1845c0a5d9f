package wire

import "encoding/binary"

// LinkCiscoHDLC is Cisco's framing on serial lines: address, control, and an
// EtherType.
const LinkCiscoHDLC LinkType = 104

const chdlcHeader = 4

var _ = register(LinkCiscoHDLC, "C_HDLC", chdlcHeader, func(b []byte) (proto, int) {
	return proto(binary.BigEndian.Uint16(b[2:])), chdlcHeader
})
