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
	protoEthernet    proto = 0x6558 // transparent bridging: an Ethernet frame

	// An Ethernet type field up to this is a length, and LLC follows.
	protoMaxLength proto = 1500

	protoLLC   proto = 1 << 16
	protoSNAP  proto = 1<<16 + 1
	protoNone  proto = 1<<16 + 2
	protoNLPID proto = 1<<16 + 5 // ISO/IEC TR 9577: one octet names the protocol
	protoWLAN  proto = 1<<16 + 3
	// As Cisco's access points write it.
	protoWLANSwapped proto = 1<<16 + 4
	// With padding behind the header, to a multiple of four octets.
	protoWLANPadded proto = 1<<16 + 6
	// A link header that contradicts itself, or says that the frame came in damaged.
	protoDamaged proto = 1<<16 + 7
	// Several packets: behind an 802.11 header, and sFlow's samples.
	protoAMSDU proto = 1<<16 + 8
	protoSFlow proto = 1<<16 + 9

	// From here on, numbers of the IP protocol field.
	protoIP proto = 1 << 17
)

// Numbers of the IP protocol and next-header fields.
const (
	ipHopByHop    = 0
	ipICMP        = 1
	ipIPv4        = 4
	ipTCP         = 6
	ipUDP         = 17
	ipIPv6        = 41
	ipRouting     = 43
	ipFragment    = 44
	ipESP         = 50
	ipAH          = 51
	ipICMP6       = 58
	ipDestination = 60
	ipMobility    = 135
	ipHIP         = 139
	ipShim6       = 140
	ipGRE         = 47
	ipEtherIP     = 97
	ipL2TP        = 115
	ipMPLS        = 137
	ipEthernet    = 143
)

const (
	ethernetHeader = 14
	vlanHeader     = 4
	ipv4Header     = 20
	ipv6Header     = 40
	tcpHeader      = 20
)

// Of the IPv4 header's flags and fragment offset.
const (
	moreFragments  = 0x2000
	fragmentOffset = 0x1fff
)

// ipv4 decodes the IPv4 packet at off (RFC 791 section 3.1). skipCarried: it does
// not hold TCP straight above its header, or only a piece of it; the walk goes on.
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
	fragment := binary.BigEndian.Uint16(b[6:])
	if b[9] != ipTCP || fragment&(moreFragments|fragmentOffset) != 0 {
		if b[9] == ipUDP && fragment&(moreFragments|fragmentOffset) == 0 && len(b) > header && plainUDP(b[header:]) {
			return SkipNotTCP
		}
		return skipCarried
	}
	if len(b) < header {
		return short(f)
	}

	s.Tuple.Src = AddrFrom4(b[12:])
	s.Tuple.Dst = AddrFrom4(b[16:])
	if header > ipv4Header {
		s.Tuple.Dst = routed4(b[ipv4Header:header], s.Tuple.Dst)
	}
	s.Tuple.V6 = false
	s.IPID = binary.BigEndian.Uint16(b[4:])
	s.TTL = b[8]
	s.Traits = Traits(fragment>>14&1) * TraitDF
	s.Carrier = 0
	if total < uint32(len(b)) {
		b = b[:total] // Ethernet padding and trailers are not payload
	}
	return tcp(f, s, b[header:], total-uint32(header))
}

// ipv6 decodes the IPv6 packet at off (RFC 8200); skipCarried as of ipv4.
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
	jumbo := length == 0
	if jumbo {
		length = wireLength(f) - uint32(off) - ipv6Header
	}

	s.Tuple.Src = AddrFrom16(b[8:])
	s.Tuple.Dst = AddrFrom16(b[24:])
	s.Tuple.V6 = true
	s.IPID = 0
	s.TTL = b[7]
	s.Traits = 0
	s.Carrier = 0
	next := b[6]
	b = b[ipv6Header:]
	if length < uint32(len(b)) {
		b = b[:length]
	}
	switch {
	case next == ipTCP:
		return tcp(f, s, b, length)
	case next == ipUDP && plainUDP(b):
		return SkipNotTCP
	}
	return extensions(f, s, b, length, next, jumbo)
}

// extensions walks IPv6 extension headers up to TCP. RFC 8200 section 4.1 wants
// them in one order and asks receivers to take any. jumbo: the length is the
// frame's, and an option may know better.
func extensions(f *Frame, s *Segment, b []byte, length uint32, next byte, jumbo bool) Skip {
	for {
		var size uint32
		switch next {
		case ipTCP:
			return tcp(f, s, b, length)
		case ipHopByHop, ipRouting, ipDestination, ipMobility, ipHIP, ipShim6:
			if length < 8 {
				return SkipMalformed
			}
			if len(b) < 2 {
				return short(f)
			}
			size = uint32(b[1])*8 + 8
		case ipAH: // its length counts words, without two (RFC 4302 section 2.2)
			if length < 8 {
				return SkipMalformed
			}
			if len(b) < 2 {
				return short(f)
			}
			size = uint32(b[1])*4 + 8
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
				return skipCarried
			}
			size = 8
		default:
			return skipCarried
		}
		if size > length {
			return SkipMalformed
		}
		if uint64(size) > uint64(len(b)) {
			return short(f)
		}
		switch next {
		case ipHopByHop:
			if n := jumboLength(b[:size]); jumbo && n > maxDatagram && n < length {
				length = n
				b = b[:min(uint32(len(b)), length)]
			}
		case ipRouting:
			s.Tuple.Dst = routed6(b[:size], s.Tuple.Dst)
		case ipDestination:
			s.Tuple.Src = home6(b[:size], s.Tuple.Src)
		}
		jumbo = false
		next = b[0]
		b = b[size:]
		length -= size
	}
}
