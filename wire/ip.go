package wire

import "encoding/binary"

// proto names what a header announces as next: an EtherType, or one of the
// values above 16 bits for what has none.
type proto uint32

const (
	protoIPv4        proto = 0x0800
	protoIPv6        proto = 0x86dd
	protoVLAN        proto = 0x8100
	protoServiceVLAN proto = 0x88a8 // IEEE 802.1ad
	protoOldVLAN     proto = 0x9100 // stacked tags before 802.1ad
	protoPPP         proto = 0x880b
	protoMPLS        proto = 0x8847
	protoMPLSUp      proto = 0x8848 // upstream-assigned labels, RFC 5332
	protoPPPoE       proto = 0x8864 // the session stage

	// An Ethernet type field up to this is a length, and LLC follows.
	protoMaxLength proto = 1500

	protoLLC  proto = 1 << 16
	protoSNAP proto = 1<<16 + 1
	protoNone proto = 1<<16 + 2
)

// Numbers of the IP protocol and next-header fields.
const (
	ipHopByHop    = 0
	ipTCP         = 6
	ipRouting     = 43
	ipFragment    = 44
	ipESP         = 50
	ipDestination = 60
)

const (
	ethernetHeader = 14
	vlanHeader     = 4
	ipv4Header     = 20
	ipv6Header     = 40
	tcpHeader      = 20
)

// ipv4 decodes the IPv4 packet at off (RFC 791 section 3.1).
func ipv4(f *Frame, s *Segment, off int) Skip {
	b := f.Data[off:]
	if len(b) < ipv4Header {
		return short(f)
	}
	header := int(b[0]&0xf) * 4
	if b[0]>>4 != 4 || header < ipv4Header {
		return SkipMalformed
	}
	// A capture on the sending host sees segments that the network card has yet
	// to cut up. Beyond 65535 octets there is no total length to write (BIG TCP),
	// and some systems leave 0 for smaller ones too.
	total := uint32(binary.BigEndian.Uint16(b[2:]))
	if total == 0 {
		total = wireLength(f) - uint32(off)
	}
	if total < uint32(header) {
		return SkipMalformed
	}
	if p := b[9]; p != ipTCP {
		if p == ipESP {
			return SkipEncrypted
		}
		return SkipNotTCP
	}
	const moreFragments, fragmentOffset = 0x2000, 0x1fff
	fragment := binary.BigEndian.Uint16(b[6:])
	if fragment&(moreFragments|fragmentOffset) != 0 {
		return SkipFragment
	}
	if len(b) < header {
		return short(f)
	}

	s.Tuple.Src = AddrFrom4(b[12:])
	s.Tuple.Dst = AddrFrom4(b[16:])
	s.Tuple.V6 = false
	s.IPID = binary.BigEndian.Uint16(b[4:])
	s.TTL = b[8]
	s.Traits = Traits(fragment>>14&1) * TraitDF
	if total < uint32(len(b)) {
		b = b[:total] // Ethernet padding and trailers are not payload
	}
	return tcp(f, s, b[header:], total-uint32(header))
}

// ipv6 decodes the IPv6 packet at off (RFC 8200).
func ipv6(f *Frame, s *Segment, off int) Skip {
	b := f.Data[off:]
	if len(b) < ipv6Header {
		return short(f)
	}
	if b[0]>>4 != 6 {
		return SkipMalformed
	}
	// Length 0 is BIG TCP: a segment beyond 65535 octets on the sending host,
	// with a jumbo payload option (RFC 2675) or, on newer kernels, without. The
	// frame's length says the same as the option and is there for both.
	length := uint32(binary.BigEndian.Uint16(b[4:]))
	if length == 0 {
		length = wireLength(f) - uint32(off) - ipv6Header
	}

	s.Tuple.Src = AddrFrom16(b[8:])
	s.Tuple.Dst = AddrFrom16(b[24:])
	s.Tuple.V6 = true
	s.IPID = 0
	s.TTL = b[7]
	s.Traits = 0
	next := b[6]
	b = b[ipv6Header:]
	if length < uint32(len(b)) {
		b = b[:length]
	}
	if next == ipTCP {
		return tcp(f, s, b, length)
	}
	return extensions(f, s, b, length, next)
}

// extensions walks IPv6 extension headers up to TCP. RFC 8200 section 4.1 wants
// them in one order and asks receivers to take any.
func extensions(f *Frame, s *Segment, b []byte, length uint32, next byte) Skip {
	for {
		var size uint32
		switch next {
		case ipTCP:
			return tcp(f, s, b, length)
		case ipHopByHop, ipRouting, ipDestination:
			if length < 8 {
				return SkipMalformed
			}
			if len(b) < 2 {
				return short(f)
			}
			size = uint32(b[1])*8 + 8
		case ipFragment:
			if length < 8 {
				return SkipMalformed
			}
			if len(b) < 8 {
				return short(f)
			}
			// Offset 0 and no more to come: an atomic fragment, a whole packet
			// (RFC 6946).
			if binary.BigEndian.Uint16(b[2:])&0xfff9 != 0 {
				return fragmentOf(b[0])
			}
			size = 8
		case ipESP:
			return SkipEncrypted
		default:
			return SkipNotTCP
		}
		if size > length {
			return SkipMalformed
		}
		if uint64(size) > uint64(len(b)) {
			return short(f)
		}
		next = b[0]
		b = b[size:]
		length -= size
	}
}

// fragmentOf judges an IPv6 fragment by the header that its fragments begin with.
// What cannot carry TCP is not counted as a fragment, so that the count says how
// much TCP may have been missed.
func fragmentOf(next byte) Skip {
	switch next {
	case ipTCP, ipHopByHop, ipRouting, ipDestination, ipFragment:
		return SkipFragment
	case ipESP:
		return SkipEncrypted
	}
	return SkipNotTCP
}
