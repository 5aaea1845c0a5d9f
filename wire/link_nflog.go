package wire

import "encoding/binary"

// LinkNFLOG is what Linux's packet filter logs (tcpdump -i nflog): attributes, of
// which one is the IP packet.
const LinkNFLOG LinkType = 239

const nflogHeader = 4

var _ = register(LinkNFLOG, "NFLOG", nflogHeader, func(b []byte) (proto, int) {
	const payload = 9 // NFULA_PAYLOAD
	if b[1] != 0 {
		return protoNone, nflogHeader // another version
	}
	for at := nflogHeader; ; {
		if at+4 > len(b) {
			return protoNone, at + 4
		}
		// Lengths and types are in the order of the host that captured. No type is so
		// large that the orders could be mistaken.
		length, kind := binary.LittleEndian.Uint16(b[at:]), binary.LittleEndian.Uint16(b[at+2:])
		if kind > 0xff {
			length, kind = binary.BigEndian.Uint16(b[at:]), binary.BigEndian.Uint16(b[at+2:])
		}
		if length < 4 {
			return protoDamaged, 0
		}
		if kind == payload {
			if at+5 > len(b) {
				return protoNone, at + 5
			}
			return ipVersion(b[at+4]), at + 4
		}
		at += (int(length) + 3) &^ 3
	}
})
