package wire

import "encoding/binary"

// ICMP is an ICMP error that quotes a TCP segment: a host or router on the way
// tells the segment's sender what became of it (RFC 792, RFC 4443, RFC 5927).
type ICMP struct {
	Frame FrameID
	At    Time
	// Tuple is the quoted segment's, from its sender to its receiver. Encap is the
	// path of the error, which is that of the other direction; 0 if no segment took
	// it before.
	Tuple Tuple
	// Reporter is who sent the error: the receiver, or a router.
	Reporter Addr
	// Seq is the quoted segment's sequence number, Flags its flags. A quote of the
	// least length ends before the flags.
	Seq      Seq
	Flags    Flags
	HasFlags bool
	// Type and Code are those of ICMP, or of ICMPv6 if Tuple.V6.
	Type, Code uint8
	// MTU is the next hop's, in octets, of errors that tell it; otherwise 0.
	MTU uint32
}

// The types of errors that matter to a connection.
const (
	icmpUnreachable  = 3
	icmpSourceQuench = 4
	icmpTimeExceeded = 11
	icmpParameter    = 12

	icmp6Unreachable  = 1
	icmp6TooBig       = 2
	icmp6TimeExceeded = 3
	icmp6Parameter    = 4

	icmpHeader = 8
)

// Unreachable reports whether the error says that segments to this destination do
// not get there, now or at all. The others concern one segment: it was too large,
// or came too fast.
func (e *ICMP) Unreachable() bool {
	if e.Tuple.V6 {
		return e.Type != icmp6TooBig
	}
	return e.Type != icmpSourceQuench && !e.TooBig()
}

// TooBig reports whether the error asks for smaller segments: fragmentation needed
// and forbidden (RFC 1191), packet too big (RFC 8201).
func (e *ICMP) TooBig() bool {
	if e.Tuple.V6 {
		return e.Type == icmp6TooBig
	}
	const fragmentationNeeded = 4
	return e.Type == icmpUnreachable && e.Code == fragmentationNeeded
}

// decode reads the ICMP message b of the given IP version. SkipICMP is success;
// SkipTruncated means that b ends before it is clear. It leaves Frame, At, Reporter
// and Tuple.Encap to the caller.
func (e *ICMP) decode(b []byte, v6 bool) Skip {
	if len(b) < icmpHeader {
		return SkipTruncated
	}
	*e = ICMP{Type: b[0], Code: b[1]}
	e.Tuple.V6 = v6
	quoted := 0 // octets, where the header says so (RFC 4884 section 5)
	if v6 {
		switch e.Type {
		case icmp6Unreachable, icmp6TimeExceeded:
			quoted = int(b[4]) * 8
		case icmp6TooBig:
			e.MTU = binary.BigEndian.Uint32(b[4:])
		case icmp6Parameter:
		default:
			return SkipNotTCP
		}
	} else {
		switch e.Type {
		case icmpUnreachable, icmpTimeExceeded, icmpParameter:
			quoted = int(b[5]) * 4
		case icmpSourceQuench:
		default:
			return SkipNotTCP
		}
		if e.TooBig() {
			e.MTU = uint32(binary.BigEndian.Uint16(b[6:]))
		}
	}
	b = b[icmpHeader:]
	if quoted > 0 && quoted < len(b) {
		b = b[:quoted] // extensions follow, which are no part of the segment
	}
	var skip Skip
	if v6 {
		b, skip = e.quote6(b)
	} else {
		b, skip = e.quote4(b)
	}
	if skip != SkipNone {
		return skip
	}
	// The least quote has the ports and the sequence number (RFC 792).
	if len(b) < 8 {
		return SkipTruncated
	}
	e.Tuple.SrcPort = binary.BigEndian.Uint16(b)
	e.Tuple.DstPort = binary.BigEndian.Uint16(b[2:])
	e.Seq = Seq(binary.BigEndian.Uint32(b[4:]))
	if len(b) >= 14 {
		e.Flags, e.HasFlags = Flags(binary.BigEndian.Uint16(b[12:])&0x1ff), true
	}
	return SkipICMP
}

// quote4 reads a quoted IPv4 header and returns what there is of the TCP header.
// Lengths and checksum of a quote are not to be trusted: some systems write them
// in their own octet order, or as they were after a change underway.
func (e *ICMP) quote4(b []byte) ([]byte, Skip) {
	if len(b) < ipv4Header {
		return nil, SkipTruncated
	}
	header := int(b[0]&0xf) * 4
	later := binary.BigEndian.Uint16(b[6:])&0x1fff != 0
	if b[0]>>4 != 4 || header < ipv4Header || b[9] != ipTCP || later {
		return nil, SkipNotTCP
	}
	if len(b) < header {
		return nil, SkipTruncated
	}
	e.Tuple.Src = AddrFrom4(b[12:])
	e.Tuple.Dst = routed4(b[ipv4Header:header], AddrFrom4(b[16:]))
	return b[header:], SkipNone
}

// quote6 does the same for IPv6.
func (e *ICMP) quote6(b []byte) ([]byte, Skip) {
	if len(b) < ipv6Header {
		return nil, SkipTruncated
	}
	if b[0]>>4 != 6 {
		return nil, SkipNotTCP
	}
	e.Tuple.Src, e.Tuple.Dst = AddrFrom16(b[8:]), AddrFrom16(b[24:])
	next := b[6]
	b = b[ipv6Header:]
	for next != ipTCP {
		if len(b) < 8 {
			return nil, SkipTruncated
		}
		size := int(b[1])*8 + 8
		switch next {
		case ipFragment:
			if binary.BigEndian.Uint16(b[2:])>>3 != 0 {
				return nil, SkipNotTCP
			}
			size = 8
		case ipHopByHop, ipRouting, ipDestination, ipMobility, ipHIP, ipShim6:
		case ipAH:
			size = int(b[1])*4 + 8
		default:
			return nil, SkipNotTCP
		}
		if size > len(b) {
			return nil, SkipTruncated
		}
		switch next {
		case ipRouting:
			e.Tuple.Dst = routed6(b[:size], e.Tuple.Dst)
		case ipDestination:
			e.Tuple.Src = home6(b[:size], e.Tuple.Src)
		}
		next, b = b[0], b[size:]
	}
	return b, SkipNone
}
