package wire

import "encoding/binary"

// L2TP carries PPP (version 2, RFC 2661) or any link (version 3, RFC 3931). Each
// end chooses the identifiers that are sent to it, so they are no part of the path.
var (
	_ = readsUDP(6, readL2TP, 1701)
	_ = reads(4, readL2TP3, protoIP+ipL2TP)
)

func readL2TP(b []byte, room uint32) (header, Skip) {
	const control, hasLength, hasSequence, hasOffset = 0x80, 0x40, 0x08, 0x02
	flags := b[0]
	if flags&control != 0 {
		return header{}, SkipNotTCP
	}
	switch b[1] & 0xf {
	case 2:
	case 3:
		// Four octets of flags, then as straight above IP.
		if room < 8 {
			return header{}, SkipNotTCP
		}
		h, skip := readL2TP3(b[4:], room-4)
		h.size += 4
		return h, skip
	default:
		return header{}, SkipNotTCP
	}
	if flags&0x34 != 0 || b[1]&0xf0 != 0 { // reserved, and to be 0
		return header{}, SkipNotTCP
	}
	h := header{size: 2, next: protoPPP, kind: layerL2TP}
	need := func(n int) (Skip, bool) {
		if uint32(h.size+n) > room {
			return SkipNotTCP, false
		}
		return SkipTruncated, len(b) >= h.size+n
	}
	if flags&hasLength != 0 {
		if skip, ok := need(2); !ok {
			return header{}, skip
		}
		if h.reach = uint32(binary.BigEndian.Uint16(b[2:])); h.reach > room || h.reach < 8 {
			return header{}, SkipNotTCP
		}
		h.size += 2
	}
	if skip, ok := need(4); !ok {
		return header{}, skip
	}
	h.size += 4 // tunnel and session
	if flags&hasSequence != 0 {
		h.size += 4
	}
	if flags&hasOffset != 0 {
		if skip, ok := need(2); !ok {
			return header{}, skip
		}
		h.size += 2 + int(binary.BigEndian.Uint16(b[h.size:]))
	}
	if uint32(h.size) >= room || h.reach != 0 && uint32(h.size) >= h.reach {
		return header{}, SkipNotTCP
	}
	if len(b) < h.size {
		return header{}, SkipTruncated
	}
	return h, SkipNone
}

// readL2TP3 reads a session header. Whether a cookie and a sublayer follow is
// settled when the session is set up, and so is what it carries: here it is found
// out for Ethernet, which is nearly always it, and IP.
func readL2TP3(b []byte, room uint32) (header, Skip) {
	if room < 4 {
		return header{}, SkipNotTCP
	}
	if len(b) < 4 {
		return header{}, SkipTruncated
	}
	if binary.BigEndian.Uint32(b) == 0 {
		return header{}, SkipNotTCP // session 0: control
	}
	h := header{kind: layerL2TP}
	// A cookie has 0, 4 or 8 octets, the default sublayer 4 (RFC 3931 section 4.1).
	for size := 4; size <= 16; size += 4 {
		if uint32(size)+ethernetHeader+ipv4Header > room {
			break
		}
		if len(b) < size+ethernetHeader+1 {
			return header{}, SkipTruncated
		}
		if plausibleEthernet(b[size:]) {
			h.next, h.size = protoEthernet, size
			return h, SkipNone
		}
	}
	return header{}, SkipNotTCP
}

// plausibleEthernet reports whether an Ethernet frame with IP or a tag may begin
// here, where nothing says so. b has at least 15 octets.
func plausibleEthernet(b []byte) bool {
	switch next := proto(binary.BigEndian.Uint16(b[12:])); next {
	case protoIPv4, protoIPv6:
		return ipVersion(b[14]) == next
	case protoVLAN, protoServiceVLAN, protoMPLS, protoPPPoE:
		return true
	}
	return false
}
