package wire

import "encoding/binary"

var (
	_ = reads(10, readWLAN, protoWLAN)
	_ = reads(10, readWLANSwapped, protoWLANSwapped)
	_ = reads(10, readWLANPadded, protoWLANPadded)
)

// readWLAN reads an IEEE 802.11 header (section 9.3.2 of the standard), up to the
// LLC header of what a data frame carries.
func readWLAN(b []byte, room uint32) (header, Skip) {
	return wlan(b, room, b[0], b[1])
}

// readWLANSwapped takes the first two octets in either order: Cisco's access
// points write them turned round.
func readWLANSwapped(b []byte, room uint32) (header, Skip) {
	if b[0]&0xf != wlanData && b[1]&0xf == wlanData {
		return wlan(b, room, b[1], b[0])
	}
	return wlan(b, room, b[0], b[1])
}

// readWLANPadded takes a header that the driver has padded.
func readWLANPadded(b []byte, room uint32) (header, Skip) {
	h, skip := wlan(b, room, b[0], b[1])
	if h.size = (h.size + 3) &^ 3; skip == SkipNone && h.size > len(b) {
		return header{}, SkipTruncated
	}
	return h, skip
}

const wlanData = 0x08 // the low four bits of a data frame's first octet

func wlan(b []byte, room uint32, kind, flags byte) (header, Skip) {
	const (
		noPayload, qos                       = 0x40, 0x80
		toDS, fromDS, more, protected, order = 0x01, 0x02, 0x04, 0x40, 0x80
	)
	if kind&0xf != wlanData || kind&noPayload != 0 {
		return header{}, SkipNotIP
	}
	h := header{next: protoLLC, size: 24}
	if flags&(toDS|fromDS) == toDS|fromDS {
		h.size += 6 // a fourth address: between bridges
	}
	control := h.size
	if kind&qos != 0 {
		h.size += 2
		if flags&order != 0 {
			h.size += 4 // high throughput control
		}
	}
	if uint32(h.size) > room {
		return header{}, SkipMalformed
	}
	if len(b) < h.size {
		return header{}, SkipTruncated
	}
	if flags&protected != 0 {
		return header{}, SkipEncrypted
	}
	// A piece of a packet. Radios cut up packets rarely, and no tap has all pieces.
	if flags&more != 0 || kind == b[0] && binary.LittleEndian.Uint16(b[22:])&0xf != 0 {
		return header{}, SkipNotIP
	}
	if kind&qos != 0 && b[control]&0x80 != 0 {
		h.next = protoAMSDU
	}
	return h, SkipNone
}
