package wire

import "encoding/binary"

// Link types of wireless captures: the bare IEEE 802.11 header, and four kinds of
// what the radio said about the frame before it.
const (
	LinkWLAN         LinkType = 105
	LinkWLANPrism    LinkType = 119
	LinkWLANRadiotap LinkType = 127
	LinkWLANAVS      LinkType = 163
	LinkPPI          LinkType = 192
)

var (
	_ = register(LinkWLAN, "IEEE802_11", 0, func([]byte) (proto, int) { return protoWLAN, 0 })
	_ = register(LinkWLANPrism, "IEEE802_11_PRISM", 8, prism)
	_ = register(LinkWLANRadiotap, "IEEE802_11_RADIOTAP", 8, radiotap)
	_ = register(LinkWLANAVS, "IEEE802_11_AVS", 8, prism)
	_ = register(LinkPPI, "PPI", 8, ppi)
)

// prism takes both headers under both link types: drivers mix them up. AVS begins
// with its version and is in network order, Prism in that of the host.
func prism(b []byte) (proto, int) {
	const avs = 0x80211000
	length := binary.BigEndian.Uint32(b[4:])
	if binary.BigEndian.Uint32(b)&^0xfff != avs && length > 0xffff {
		length = binary.LittleEndian.Uint32(b[4:])
	}
	if length < 8 || length > 0xffff {
		return protoDamaged, 0
	}
	return protoWLAN, int(length)
}

// radiotap reads radiotap's header as far as it matters: its length, and the flags
// that say whether the frame arrived whole and whether the driver padded the
// 802.11 header to four octets.
func radiotap(b []byte) (proto, int) {
	const (
		more             = 1 << 31 // of a bitmap: another one follows
		hasTime, hasFlag = 1, 2
		padded, badCheck = 0x20, 0x40
	)
	length := int(binary.LittleEndian.Uint16(b[2:]))
	present := binary.LittleEndian.Uint32(b[4:])
	if b[0] != 0 || length < 8 {
		return protoDamaged, 0
	}
	if length > len(b) || present&hasFlag == 0 {
		return protoWLAN, length
	}
	at := 8
	for word := present; word&more != 0; at += 4 {
		if at+4 > length {
			return protoDamaged, 0
		}
		word = binary.LittleEndian.Uint32(b[at:])
	}
	if present&hasTime != 0 {
		at = (at+7)&^7 + 8 // aligned to its own size, counted from the header's start
	}
	if at >= length {
		return protoDamaged, 0
	}
	switch flags := b[at]; {
	case flags&badCheck != 0:
		return protoDamaged, 0
	case flags&padded != 0:
		return protoWLANPadded, length
	}
	return protoWLAN, length
}

// ppi reads CACE's per-packet information, which names the link type of what
// follows.
func ppi(b []byte) (proto, int) {
	length := int(binary.LittleEndian.Uint16(b[2:]))
	if length < 8 {
		return protoDamaged, 0
	}
	return within(LinkPPI, binary.LittleEndian.Uint32(b[4:]), b, length)
}

// within goes on with another link type's header at off. outer is the link type
// that names it, and cannot stand in itself.
func within(outer LinkType, inner uint32, b []byte, off int) (proto, int) {
	if inner > 0xffff || LinkType(inner) == outer {
		return protoNone, off
	}
	l := LinkType(inner).decoder()
	switch LinkType(inner) {
	case LinkPPI, LinkPKTAP, LinkUser2: // they would name another one
		l = nil
	}
	if l == nil {
		return protoNone, off
	}
	if len(b) < off+l.size {
		return protoNone, len(b) + 1
	}
	next, size := l.next(b[off:])
	return next, off + size
}
