package wire

import "encoding/binary"

var (
	_ = readsUDP(8, readCAPWAP, 5247)
	_ = readsUDP(6, readLWAPP, 12222)
)

// readCAPWAP reads the header between an access point and its controller (RFC 5415
// section 4.3), of data; their control has another port.
func readCAPWAP(b []byte, room uint32) (header, Skip) {
	const dtls, native, fragment, keepAlive = 1, 0x01, 0x80, 0x08
	if b[0]&0xf == dtls {
		return header{}, SkipEncrypted
	}
	h := header{next: protoEthernet, size: int(b[1]>>3) * 4, kind: layerCAPWAP}
	binding := b[2] >> 1 & 0x1f
	if b[0] != 0 || h.size < 8 || uint32(h.size) >= room || b[3]&(fragment|keepAlive) != 0 {
		return header{}, SkipNotTCP
	}
	if b[2]&native != 0 {
		if binding != 1 { // 802.11
			return header{}, SkipNotTCP
		}
		h.next = protoWLANSwapped
	}
	if len(b) < h.size {
		return header{}, SkipTruncated
	}
	return h, SkipNone
}

// readLWAPP reads the header of CAPWAP's forerunner (RFC 5412 section 3.3).
func readLWAPP(b []byte, room uint32) (header, Skip) {
	const version, control, fragment = 0xc0, 0x04, 0x03
	h := header{next: protoWLANSwapped, size: 6, kind: layerCAPWAP}
	h.reach = 6 + uint32(binary.BigEndian.Uint16(b[2:]))
	if b[0]&(version|control|fragment) != 0 || h.reach > room {
		return header{}, SkipNotTCP
	}
	return h, SkipNone
}

var _ = readsUDP(4, readTZSP, 37008)

// readTZSP reads the header under which MikroTik and others send mirrored frames.
func readTZSP(b []byte, room uint32) (header, Skip) {
	const received, end, padding = 0, 1, 0
	if b[0] != 1 || b[1] != received {
		return header{}, SkipNotTCP
	}
	h := header{size: 4, kind: layerTZSP}
	switch binary.BigEndian.Uint16(b[2:]) {
	case 1:
		h.next = protoEthernet
	case 18:
		h.next = protoWLAN
	default:
		return header{}, SkipNotTCP
	}
	for {
		if uint32(h.size) >= room {
			return header{}, SkipNotTCP
		}
		if len(b) < h.size+2 {
			if len(b) > h.size && b[h.size] == end {
				h.size++
				return h, SkipNone
			}
			return header{}, cutOr(SkipNotTCP, h.size+2, room)
		}
		tag := b[h.size]
		h.size++
		switch tag {
		case end:
			return h, SkipNone
		case padding:
		default:
			h.size += 1 + int(b[h.size])
		}
	}
}
