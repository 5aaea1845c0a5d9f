package wire

import "encoding/binary"

// GTP carries a phone's packets between the stations of a mobile network. Its
// tunnel identifiers are no part of the path: each end chooses the one that is
// sent to it, and every handover changes them in the middle of connections.
var (
	_ = readsUDP(8, readGTP, 2152)
	_ = readsUDP(20, readGTP0, 3386)
)

// gtpPayload is the type of messages with a packet inside; all others are control.
const gtpPayload = 255

// readGTP reads the header of GTP-U version 1 (3GPP TS 29.281 section 5).
func readGTP(b []byte, room uint32) (header, Skip) {
	const extension, sequence, number = 4, 2, 1
	flags := b[0]
	if flags>>5 != 1 || flags&0x10 == 0 || b[1] != gtpPayload {
		return header{}, SkipNotTCP
	}
	h := header{size: 8, kind: layerGTP, reach: 8 + uint32(binary.BigEndian.Uint16(b[2:]))}
	if h.reach > room {
		return header{}, SkipNotTCP
	}
	if flags&(extension|sequence|number) != 0 {
		// All three fields are there when one of them is meant.
		h.size += 4
		if uint32(h.size) > h.reach {
			return header{}, SkipNotTCP
		}
		if len(b) < h.size {
			return header{}, SkipTruncated
		}
		kind := byte(0)
		if flags&extension != 0 {
			kind = b[h.size-1]
		}
		// Each extension header ends with the next one's type (section 5.2.1).
		for kind != 0 {
			if uint32(h.size) >= h.reach {
				return header{}, SkipNotTCP
			}
			if len(b) <= h.size {
				return header{}, SkipTruncated
			}
			size := int(b[h.size]) * 4
			if size == 0 || uint32(h.size+size) > h.reach {
				return header{}, SkipNotTCP
			}
			if h.size += size; len(b) < h.size {
				return header{}, SkipTruncated
			}
			kind = b[h.size-1]
		}
	}
	return carriesIP(h, b)
}

// readGTP0 reads version 0 (GSM 09.60 section 6).
func readGTP0(b []byte, room uint32) (header, Skip) {
	h := header{size: 20, kind: layerGTP, reach: 20 + uint32(binary.BigEndian.Uint16(b[2:]))}
	if b[0]>>5 != 0 || b[0]&0x10 == 0 || b[1] != gtpPayload || h.reach > room {
		return header{}, SkipNotTCP
	}
	return carriesIP(h, b)
}

// carriesIP finishes a header of a UDP tunnel behind which only IP is sensible.
func carriesIP(h header, b []byte) (header, Skip) {
	if len(b) <= h.size {
		if h.reach != 0 && h.reach <= uint32(h.size) {
			return header{}, SkipNotTCP
		}
		return header{}, SkipTruncated
	}
	if h.next = ipVersion(b[h.size]); h.next == protoNone {
		return header{}, SkipNotTCP
	}
	return h, SkipNone
}
