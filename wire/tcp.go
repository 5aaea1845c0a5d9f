package wire

import "encoding/binary"

// tcp decodes the TCP header at the start of b (RFC 9293 section 3.1). length is
// the IP payload's length by the IP header, b what was captured of it; b may be
// shorter, never longer.
func tcp(f *Frame, s *Segment, b []byte, length uint32) Skip {
	if length < tcpHeader {
		return SkipMalformed
	}
	if len(b) < tcpHeader {
		return short(f)
	}
	h := b[:tcpHeader:tcpHeader]
	bits := binary.BigEndian.Uint16(h[12:])
	header := uint32(bits>>12) * 4

	s.Frame = f.ID
	s.At = f.At
	s.Tuple.SrcPort = binary.BigEndian.Uint16(h)
	s.Tuple.DstPort = binary.BigEndian.Uint16(h[2:])
	s.Tuple.Encap = 0
	s.Seq = Seq(binary.BigEndian.Uint32(h[4:]))
	s.Ack = Seq(binary.BigEndian.Uint32(h[8:]))
	s.Flags = Flags(bits & 0x1ff)
	s.Window = binary.BigEndian.Uint16(h[14:])
	s.Urgent = binary.BigEndian.Uint16(h[18:])
	s.Len = length - min(header, length)
	// Captures whose payload was taken out later often say that nothing is
	// missing; the IP header knows better.
	if uint64(length) > uint64(len(b)) || snapped(f) {
		s.Traits |= TraitSnapped
	}
	s.Options = Options{}
	if header == tcpHeader {
		return SkipNone
	}
	if header < tcpHeader || header > length {
		// A host drops it, but it was sent: scanners make such SYNs, and they are
		// attempts like others.
		s.Options.Set = OptDamaged
		return SkipNone
	}
	o := b[tcpHeader:]
	if uint64(header) <= uint64(len(b)) {
		o = b[tcpHeader:header]
	}
	s.Options.parse(o, header-tcpHeader)
	return SkipNone
}
