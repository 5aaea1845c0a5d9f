package wire

import "encoding/binary"

const vxlanHeader = 8

var (
	// 8472 is what Linux took before there was a number, and takes by default.
	_ = readsUDP(vxlanHeader, readVXLAN, 4789, 8472)
	_ = readsUDP(vxlanHeader, readVXLANGPE, 4790)
)

// readVXLAN reads RFC 7348's header. Receivers must ignore the reserved bits, and
// some senders use them (group policy); the flag of a valid VNI must be set.
func readVXLAN(b []byte, _ uint32) (header, Skip) {
	const valid = 0x08
	if b[0]&valid == 0 {
		return header{}, SkipNotTCP
	}
	return header{next: protoEthernet, size: vxlanHeader, kind: layerVXLAN, value: vni(b[4:])}, SkipNone
}

// readVXLANGPE reads the header of draft-ietf-nvo3-vxlan-gpe, which may name
// another payload than Ethernet.
func readVXLANGPE(b []byte, _ uint32) (header, Skip) {
	const version, valid, named = 0x30, 0x08, 0x04
	h := header{size: vxlanHeader, kind: layerVXLAN, value: vni(b[4:])}
	if b[0]&version != 0 || b[0]&valid == 0 {
		return header{}, SkipNotTCP
	}
	h.next = protoEthernet
	if b[0]&named != 0 {
		h.next = gpe(b[3])
	}
	if h.next == protoNone {
		return header{}, SkipNotTCP
	}
	return h, SkipNone
}

// gpe names what the next-protocol fields of VXLAN-GPE and NSH mean (RFC 8300
// section 6.1).
func gpe(next byte) proto {
	switch next {
	case 1:
		return protoIPv4
	case 2:
		return protoIPv6
	case 3:
		return protoEthernet
	case 4:
		return protoNSH
	case 5:
		return protoMPLS
	}
	return protoNone
}

// vni is a 24-bit network identifier.
func vni(b []byte) uint32 { return binary.BigEndian.Uint32(b) >> 8 }

// A network service header (RFC 8300) stands between a classifier and what it
// directs packets to.
var _ = reads(8, func(b []byte, room uint32) (header, Skip) {
	size := int(b[1]&0x3f) * 4
	if b[0]>>6 != 0 || size < 8 || uint32(size) > room {
		return header{}, SkipMalformed
	}
	if size > len(b) {
		return header{}, SkipTruncated
	}
	return header{next: gpe(b[3]), size: size}, SkipNone
}, protoNSH)
