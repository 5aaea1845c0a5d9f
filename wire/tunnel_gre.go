package wire

import "encoding/binary"

// Protocol types that only GRE has.
const (
	protoWCCP      proto = 0x883e // redirected by a router to a cache
	protoERSPAN    proto = 0x88be // types I and II
	protoERSPAN3   proto = 0x22eb
	protoEoIP      proto = 0x6400 // MikroTik
	protoAruba     proto = 0x8200 // an access point's traffic; the low bits say whose and how urgent
	protoArubaLast proto = 0x83ff
)

const (
	greChecksum = 0x80
	greRouting  = 0x40
	greKey      = 0x20
	greSequence = 0x10

	greLeast = 4
)

var _ = reads(greLeast, readGRE, protoIP+ipGRE)

// readGRE reads a GRE header: version 0 (RFC 2784, with RFC 2890's key and
// sequence number, and RFC 1701's routing) and version 1 (RFC 2637, PPTP). NVGRE
// (RFC 7637) is version 0 with a key.
func readGRE(b []byte, room uint32) (header, Skip) {
	flags, version := b[0], b[1]&7
	h := header{next: proto(binary.BigEndian.Uint16(b[2:])), size: greLeast, kind: layerGRE}
	if version > 1 {
		return header{}, SkipNotTCP
	}
	if version == 0 && flags&(greChecksum|greRouting) != 0 {
		h.size += 4 // checksum and offset stand there together
	}
	key := h.size
	if flags&greKey != 0 {
		h.size += 4
	}
	sequence := flags&greSequence != 0
	if sequence {
		h.size += 4
	}
	if version == 1 && b[1]&0x80 != 0 {
		h.size += 4 // acknowledgment number
	}
	if uint32(h.size) > room {
		return header{}, SkipMalformed
	}
	if len(b) < h.size {
		return header{}, SkipTruncated
	}
	if flags&greKey != 0 {
		h.kind, h.value = layerGREKey, binary.BigEndian.Uint32(b[key:])
	}
	if version == 1 {
		return greOne(h, b[key:], flags)
	}
	if flags&greRouting != 0 {
		// Source route entries, up to one without length (RFC 1701). What the route
		// says does not matter to what is carried.
		for {
			if uint32(h.size)+4 > room {
				return header{}, SkipMalformed
			}
			if len(b) < h.size+4 {
				return header{}, SkipTruncated
			}
			entry := b[h.size:]
			h.size += 4 + int(entry[3])
			if entry[0] == 0 && entry[1] == 0 && entry[3] == 0 {
				break
			}
		}
		if uint32(h.size) > room {
			return header{}, SkipMalformed
		}
		if len(b) < h.size {
			return header{}, SkipTruncated
		}
	}
	return greCarries(h, b[h.size:], sequence)
}

// greOne finishes a header of version 1, whose key field has two parts.
func greOne(h header, key []byte, flags byte) (header, Skip) {
	if flags&greKey == 0 {
		return header{}, SkipMalformed // the call cannot be told
	}
	length := binary.BigEndian.Uint16(key)
	switch h.next {
	case protoPPP:
		h.kind, h.value = layerPPTP, 0 // the call is its receiver's number
		if flags&greSequence == 0 {
			return header{}, SkipNotTCP // an acknowledgment only
		}
	case protoEoIP:
		h.next = protoEthernet
		h.kind, h.value = layerEoIP, uint32(binary.LittleEndian.Uint16(key[2:]))
		if length == 0 {
			return header{}, SkipNotTCP // a keepalive
		}
	default:
		return header{}, SkipNotTCP
	}
	h.reach = uint32(h.size) + uint32(length)
	return h, SkipNone
}

// greCarries finishes a header of version 0; b is what follows.
func greCarries(h header, b []byte, sequence bool) (header, Skip) {
	switch {
	case h.next == protoWCCP:
		// Version 2 puts a redirect header of four octets before the packet
		// (draft-wilson-wrec-wccp-v2), version 1 does not; IP's version tells.
		if len(b) == 0 {
			return header{}, SkipTruncated
		}
		if h.next = ipVersion(b[0]); h.next == protoNone {
			if len(b) < 5 {
				return header{}, SkipTruncated
			}
			h.size += 4
			h.next = ipVersion(b[4])
		}
		h.kind = layerWCCP
	case h.next == protoERSPAN && !sequence:
		// Type I has no header of its own, and no sequence number.
		h.next, h.kind = protoEthernet, layerERSPAN
	case h.next == protoERSPAN, h.next == protoERSPAN3:
		h.kind = layerNone // the next header names it
	case h.next >= protoAruba && h.next <= protoArubaLast:
		h.next = protoWLAN
	case h.next <= protoMaxLength:
		return header{}, SkipNotTCP // not an EtherType
	}
	return h, SkipNone
}

// Mirrored frames (draft-foschiano-erspan). The session names the mirror, not a
// network: two switches that mirror the same connection have one each.
var (
	_ = reads(8, readERSPAN, protoERSPAN)
	_ = reads(12, readERSPAN3, protoERSPAN3)
)

func readERSPAN(b []byte, _ uint32) (header, Skip) {
	if b[0]>>4 != 1 {
		return header{}, SkipNotTCP
	}
	return header{next: protoEthernet, size: 8, kind: layerERSPAN}, SkipNone
}

func readERSPAN3(b []byte, room uint32) (header, Skip) {
	if b[0]>>4 != 2 {
		return header{}, SkipNotTCP
	}
	h := header{next: protoEthernet, size: 12, kind: layerERSPAN}
	last := binary.BigEndian.Uint16(b[10:])
	if last&1 != 0 {
		h.size += 8 // a subheader of the platform
	}
	if uint32(h.size) > room {
		return header{}, SkipMalformed
	}
	if len(b) < h.size {
		return header{}, SkipTruncated
	}
	if frameType := last >> 10 & 0x1f; frameType == 2 {
		if len(b) == h.size {
			return header{}, SkipTruncated
		}
		h.next = ipVersion(b[h.size])
	}
	return h, SkipNone
}
