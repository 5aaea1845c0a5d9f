package wire

import "encoding/binary"

// ipPacket is what the walk needs of an IP packet that does not carry TCP straight
// above its header: fragments, ICMP, tunnels. The fast path stays free of them.
type ipPacket struct {
	src, dst   Addr // as in the header
	head       ipHead
	id         uint32
	proto      byte // IPv4's protocol
	next       byte // what the payload begins with, behind extension headers
	v6         bool
	fragmented bool
	more       bool
	from       uint32 // fragment offset in octets
	at         int    // where the payload begins in the frame
	length     uint32 // of the payload
	data       []byte // what was captured of it
}

// read reads the IP headers at off, up to a fragment header or to what is above.
// The version has been looked at, and IPv4's lengths.
func (p *ipPacket) read(f *Frame, off int) Skip {
	b := f.Data[off:]
	if b[0]>>4 == 6 {
		return p.read6(f, b, off)
	}
	header := int(b[0]&0xf) * 4
	if len(b) < header {
		return short(f)
	}
	length := uint32(binary.BigEndian.Uint16(b[2:]))
	if length == 0 {
		length = wireLength(f) - uint32(off)
	}
	flags := binary.BigEndian.Uint16(b[6:])
	p.src, p.dst = AddrFrom4(b[12:]), AddrFrom4(b[16:])
	p.id, p.proto, p.next = uint32(binary.BigEndian.Uint16(b[4:])), b[9], b[9]
	p.head = ipHead{
		src: p.src, dst: routed4(b[ipv4Header:header], p.dst), id: uint16(p.id), ttl: b[8],
		traits: Traits(flags>>14&1) * TraitDF, next: p.proto,
	}
	p.more, p.from = flags&0x2000 != 0, uint32(flags&0x1fff)*8
	p.fragmented = p.more || p.from != 0
	p.at, p.length = off+header, length-uint32(header)
	p.take(f)
	return SkipNone
}

func (p *ipPacket) read6(f *Frame, b []byte, off int) Skip {
	p.v6 = true
	p.src, p.dst = AddrFrom16(b[8:]), AddrFrom16(b[24:])
	p.head = ipHead{src: p.src, dst: p.dst, ttl: b[7]}
	p.next = b[6]
	p.at, p.length = off+ipv6Header, uint32(binary.BigEndian.Uint16(b[4:]))
	if p.length == 0 {
		p.length = wireLength(f) - uint32(p.at)
	}
	return p.extensions(f)
}

// extensions walks IPv6 extension headers from the payload's beginning on.
func (p *ipPacket) extensions(f *Frame) Skip {
	p.fragmented = false
	for {
		p.take(f)
		size := uint32(8)
		b := p.data
		switch p.next {
		case ipHopByHop, ipRouting, ipDestination, ipMobility, ipHIP, ipShim6, ipAH, ipFragment:
			if p.length < 8 {
				return SkipMalformed
			}
			if len(b) < 8 {
				return short(f)
			}
		default:
			return SkipNone
		}
		switch p.next {
		case ipFragment:
			field := binary.BigEndian.Uint16(b[2:])
			p.more, p.from = field&1 != 0, uint32(field&^7)
			p.fragmented = p.more || p.from != 0
			p.id = binary.BigEndian.Uint32(b[4:])
		case ipAH: // its length counts words, without two (RFC 4302 section 2.2)
			size = uint32(b[1])*4 + 8
		default:
			size = uint32(b[1])*8 + 8
		}
		if size > p.length {
			return SkipMalformed
		}
		if uint64(size) > uint64(len(b)) {
			return short(f)
		}
		switch p.next {
		case ipRouting:
			p.head.dst = routed6(b[:size], p.head.dst)
		case ipDestination:
			p.head.src = home6(b[:size], p.head.src)
		}
		p.next = b[0]
		p.at += int(size)
		p.length -= size
		if p.fragmented {
			p.head.next = p.next
			p.take(f)
			return SkipNone
		}
	}
}

// take finds what was captured of the payload.
func (p *ipPacket) take(f *Frame) {
	p.data = f.Data[p.at:]
	if uint64(p.length) < uint64(len(p.data)) {
		p.data = p.data[:p.length]
	}
}

// icmp returns the number of the ICMP that goes with the packet's version.
func (p *ipPacket) icmp() byte {
	if p.v6 {
		return ipICMP6
	}
	return ipICMP
}

// write enters the header into a segment.
func (h *ipHead) write(s *Segment, v6 bool) {
	s.Tuple.Src, s.Tuple.Dst, s.Tuple.V6 = h.src, h.dst, v6
	s.IPID, s.TTL, s.Traits = h.id, h.ttl, h.traits
}
