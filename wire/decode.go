package wire

import "encoding/binary"

// Decoder turns frames into segments. It holds the table of encapsulation paths
// met so far; the zero value is ready. It is not safe for concurrent use.
type Decoder struct {
	// MergeEncap leaves encapsulation paths out of a segment's identity: equal
	// tuples in different VLANs are one connection.
	MergeEncap bool

	path      path
	paths     pathTable
	fragments reassembler
	icmp      ICMP

	// Of a frame with several packets: what they stand in, outermost first, and why
	// those so far gave nothing.
	bundles [maxBundles]bundle
	depth   int
	at      place // where the packet at hand begins
	without Skip
}

// Decode fills s from f, or says why f holds no TCP segment. It neither keeps f
// nor allocates on the fast path; what s held before is overwritten, also when
// the result is not SkipNone, and then s means nothing. Few frames hold several
// packets; s is then the first segment among them, and More gives the others.
//
// Checksums are not verified: on the sending host the network card fills them in
// after the capture. A frame whose Length is less than its data is taken to be as
// long as its data.
func (d *Decoder) Decode(f *Frame, s *Segment) Skip {
	d.depth = 0
	// Nearly all frames are of one sort: TCP straight above an IPv4 header without options
	// or an IPv6 header, captured up to its payload. They are read here, with as few looks
	// as will do. decode, to which all others go, says the same of them (see plain_test.go).
	var next proto
	b := f.Data
	if f.Link == LinkEthernet {
		if len(b) < ethernetHeader+ipv4Header+tcpHeader {
			return d.decode(f, s)
		}
		next, b = proto(binary.BigEndian.Uint16(b[12:])), b[ethernetHeader:]
	} else {
		l := f.Link.decoder()
		if l == nil || len(b) < l.size {
			return d.decode(f, s)
		}
		var off int
		if next, off = l.next(b); off > len(b) {
			return d.decode(f, s)
		}
		b = b[off:]
	}
	var length int // of what follows the IP header, by that header
	switch {
	case next == protoIPv4 && len(b) >= ipv4Header+tcpHeader:
		h := (*[ipv4Header]byte)(b)
		// Version, header length, service, total length, identification, flags, offset;
		// then hop limit, protocol, checksum, source.
		first, second := binary.BigEndian.Uint64(h[:]), binary.BigEndian.Uint64(h[8:])
		if first>>56^0x45|first&(moreFragments|fragmentOffset)|(second>>48&0xff^ipTCP) != 0 {
			return d.decode(f, s)
		}
		length = int(first>>32&0xffff) - ipv4Header
		s.Tuple.Src = Addr{0, 0xffff<<32 | uint64(uint32(second))}
		s.Tuple.Dst = Addr{0, 0xffff<<32 | uint64(binary.BigEndian.Uint32(h[16:]))}
		s.Tuple.V6 = false
		s.IPID, s.TTL, s.Traits = uint16(first>>16), uint8(second>>56), Traits(first>>14&1)*TraitDF
		b = b[ipv4Header:]
	case next == protoIPv6 && len(b) >= ipv6Header+tcpHeader:
		h := (*[ipv6Header]byte)(b)
		// Version, class, flow, payload length, next header, hop limit.
		first := binary.BigEndian.Uint64(h[:])
		if first>>60^6|(first>>8&0xff^ipTCP) != 0 {
			return d.decode(f, s)
		}
		length = int(first >> 16 & 0xffff)
		s.Tuple.Src = Addr{binary.BigEndian.Uint64(h[8:]), binary.BigEndian.Uint64(h[16:])}
		s.Tuple.Dst = Addr{binary.BigEndian.Uint64(h[24:]), binary.BigEndian.Uint64(h[32:])}
		s.Tuple.V6 = true
		s.IPID, s.TTL, s.Traits = 0, uint8(first), 0
		b = b[ipv6Header:]
	default:
		return d.decode(f, s)
	}
	h := (*[tcpHeader]byte)(b)
	// Ports and sequence number; acknowledgment, data offset, flags, window.
	first, second := binary.BigEndian.Uint64(h[:]), binary.BigEndian.Uint64(h[8:])
	header := int(second >> 28 & 0xf * 4)
	// A length of 0, which stands for one that has no room in its field, is not enough.
	if header < tcpHeader || header > length || header > len(b) {
		return d.decode(f, s)
	}
	if length > len(b) || snapped(f) {
		s.Traits |= TraitSnapped
	}
	s.Frame, s.At = f.ID, f.At
	s.Tuple.SrcPort, s.Tuple.DstPort, s.Tuple.Encap = uint16(first>>48), uint16(first>>32), 0
	s.Seq, s.Ack = Seq(first), Seq(second>>32)
	s.Flags, s.Window, s.Urgent = Flags(second>>16&0x1ff), uint16(second), binary.BigEndian.Uint16(h[18:])
	s.Len = uint32(length - header)
	s.Carrier = 0
	s.Options = Options{}
	if header == tcpHeader {
		return SkipNone
	}
	// Nearly every segment of an established connection carries exactly this (RFC 7323
	// appendix A recommends the layout).
	const withTimestamps = tcpHeader + 12
	if header == withTimestamps {
		h := (*[withTimestamps]byte)(b)
		if binary.BigEndian.Uint32(h[20:]) == kindNop<<24|kindNop<<16|kindTimestamps<<8|10 {
			s.Options.Set = OptTimestamps
			s.Options.TSVal, s.Options.TSEcr = binary.BigEndian.Uint32(h[24:]), binary.BigEndian.Uint32(h[28:])
			return SkipNone
		}
	}
	s.Options.parse(b[tcpHeader:header], uint32(header-tcpHeader))
	return SkipNone
}

// DecodeRun is Decode for frames in turn, into segments in turn, for as long as each gives
// one segment and nothing else, and there is room. n is how many did. If there are more
// frames and segments than that, the next frame was decoded too: skip and segments[n] are
// what Decode made of it, and More gives what else is in it.
func (d *Decoder) DecodeRun(frames []Frame, segments []Segment) (n int, skip Skip) {
	most := min(len(frames), len(segments))
	frames, segments = frames[:most], segments[:most]
	for n < len(frames) && n < len(segments) {
		if skip = d.Decode(&frames[n], &segments[n]); skip != SkipNone || d.depth > 0 {
			return n, skip
		}
		n++
	}
	return n, SkipNone
}

// decode does what Decode does, for any frame.
func (d *Decoder) decode(f *Frame, s *Segment) Skip {
	l := f.Link.decoder()
	if l == nil {
		return SkipLinkType
	}
	if len(f.Data) < l.size {
		return short(f)
	}
	next, off := l.next(f.Data)
	if off > len(f.Data) {
		return short(f)
	}
	switch next {
	case protoIPv4:
		if skip := ipv4(f, s, off); skip != skipCarried {
			return skip
		}
	case protoIPv6:
		if skip := ipv6(f, s, off); skip != skipCarried {
			return skip
		}
	}
	d.path.reset()
	skip := d.walk(f, s, &place{g: *f, next: next, off: off})
	if skip == skipSeveral {
		skip = d.first(f, s)
	}
	return skip
}

// ICMP returns the error of the frame for which Decode has just returned SkipICMP.
// It is valid until the next call of Decode.
func (d *Decoder) ICMP() *ICMP { return &d.icmp }

// Fragments returns what became of the fragments so far.
func (d *Decoder) Fragments() Fragments { return d.fragments.count() }

// Encap returns the layers of a path, outermost first, as reports print them
// ("vlan:12"); nil for the empty path and for an id that Decode never gave. The
// path that all paths beyond MaxEncaps share is "other". The caller must not
// change what is returned.
func (d *Decoder) Encap(id EncapID) []string { return d.paths.layers(id) }

// short tells why a header's octets are not there: the capture left them out, or
// the frame never had them.
func short(f *Frame) Skip {
	if snapped(f) {
		return SkipTruncated
	}
	return SkipMalformed
}

func snapped(f *Frame) bool { return uint64(f.Length) > uint64(len(f.Data)) }

// wireLength returns the frame's length on the wire. It never is less than what
// was captured, so that a position inside the data can be taken off it.
func wireLength(f *Frame) uint32 {
	return max(f.Length, uint32(len(f.Data)))
}
