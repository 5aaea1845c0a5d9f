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
	return d.any(f, s)
}

// DecodeRun is Decode for frames in turn, into segments in turn, for as long as each gives
// one segment and nothing else, and there is room. n is how many did. If there are more
// frames and segments than that, the next frame was decoded too: skip and segments[n] are
// what Decode made of it, and More gives what else is in it.
func (d *Decoder) DecodeRun(frames []Frame, segments []Segment) (n int, skip Skip) {
	d.depth = 0
	frames = frames[:min(len(frames), len(segments))]
	segments = segments[:len(frames)]
	for n := range frames {
		f, s := &frames[n], &segments[n]
		if plainest(f, s) {
			continue
		}
		if skip = d.any(f, s); skip != SkipNone || d.depth > 0 {
			return n, skip
		}
	}
	return len(frames), SkipNone
}

// plainest is any for nearly all frames, which are of one sort: TCP straight above an IPv4
// header without options, straight above Ethernet, captured up to its payload. It knows where
// everything is, and reports whether that is so; if not, s means nothing.
func plainest(f *Frame, s *Segment) bool {
	const ip, tcp = ethernetHeader, ethernetHeader + ipv4Header
	b := f.Data
	if f.Link != LinkEthernet || len(b) < tcp+tcpHeader {
		return false
	}
	h := (*[tcp + tcpHeader]byte)(b)
	first, second := binary.BigEndian.Uint64(h[ip:]), binary.BigEndian.Uint64(h[ip+8:])
	if uint64(binary.BigEndian.Uint16(h[ip-2:])^uint16(protoIPv4))|odd4(first, second) != 0 {
		return false
	}
	rest := binary.BigEndian.Uint64(h[tcp+12:])
	length, header := int(first>>32&0xffff)-ipv4Header, int(rest>>60*4)
	if header < tcpHeader || header > length || header > len(b)-tcp {
		return false
	}
	s.ip4(first, second, binary.BigEndian.Uint64(h[ip+16:]), length > len(b)-tcp || snapped(f))
	s.tcp(f, binary.BigEndian.Uint64(h[tcp+4:]), rest, length-header)
	if header == tcpHeader || header == withTimestamps && s.Options.stamps((*[12]byte)(b[tcp+tcpHeader:])) {
		return true
	}
	s.Options.parse(b[tcp+tcpHeader:tcp+header], uint32(header-tcpHeader))
	return true
}

// Here is what plain headers have: TCP straight above an IPv4 header without options or an
// IPv6 header, captured up to its payload. They are read with as few looks as will do.
// decode, to which all others go, says the same of them (see plain_test.go).

// odd4 is 0 if the first two words of an IPv4 header are those of a plain one: version,
// header length, service, total length, identification, flags, offset; then hop limit,
// protocol, checksum, source.
func odd4(first, second uint64) uint64 {
	return first>>56 ^ 0x45 | first&(moreFragments|fragmentOffset) | (second>>48&0xff ^ ipTCP)
}

// ip4 enters them, and the word behind them: the destination, and TCP's ports.
func (s *Segment) ip4(first, second, ends uint64, snapped bool) {
	s.Tuple.Src = Addr{0, 0xffff<<32 | uint64(uint32(second))}
	s.Tuple.Dst = Addr{0, 0xffff<<32 | ends>>32}
	s.Tuple.SrcPort, s.Tuple.DstPort, s.Tuple.Encap, s.Tuple.V6 = uint16(ends>>16), uint16(ends), 0, false
	s.IPID, s.TTL, s.Traits = uint16(first>>16), uint8(second>>56), Traits(first>>14&1)*TraitDF
	if snapped {
		s.Traits |= TraitSnapped
	}
}

// tcp enters two words of a TCP header, and that it has no options: sequence number and
// acknowledgment; data offset, flags, window, checksum, urgent pointer.
func (s *Segment) tcp(f *Frame, numbers, rest uint64, length int) {
	s.Frame, s.At = f.ID, f.At
	s.Seq, s.Ack = Seq(numbers>>32), Seq(numbers)
	s.Flags, s.Window, s.Urgent = Flags(rest>>48&0x1ff), uint16(rest>>32), uint16(rest)
	s.Len = uint32(length)
	s.Carrier = 0
	s.Options = Options{}
}

// withTimestamps is the length of a header with nothing but timestamps behind two fillers.
// Nearly every segment of an established connection has this (RFC 7323 appendix A recommends
// the layout).
const withTimestamps = tcpHeader + 12

// stamps reads the options of a header of that length, if they are these.
func (o *Options) stamps(b *[withTimestamps - tcpHeader]byte) bool {
	if binary.BigEndian.Uint32(b[:]) != kindNop<<24|kindNop<<16|kindTimestamps<<8|10 {
		return false
	}
	both := binary.BigEndian.Uint64(b[4:])
	o.Set, o.TSVal, o.TSEcr = OptTimestamps, uint32(both>>32), uint32(both)
	return true
}

// plain4 reads an IPv4 packet and reports whether it is plain; if not, s means nothing.
func plain4(f *Frame, s *Segment, b []byte) bool {
	if len(b) < ipv4Header+tcpHeader {
		return false
	}
	first, second, rest := binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:]), binary.BigEndian.Uint64(b[32:])
	length, header := int(first>>32&0xffff)-ipv4Header, int(rest>>60*4)
	// A length of 0, which stands for one that has no room in its field, is not enough.
	if odd4(first, second) != 0 || header < tcpHeader || header > min(length, len(b)-ipv4Header) {
		return false
	}
	s.ip4(first, second, binary.BigEndian.Uint64(b[16:]), length > len(b)-ipv4Header || snapped(f))
	s.tcp(f, binary.BigEndian.Uint64(b[24:]), rest, length-header)
	s.Options.parse(b[ipv4Header+tcpHeader:ipv4Header+header], uint32(header-tcpHeader))
	return true
}

// plain6 is plain4 for IPv6.
func plain6(f *Frame, s *Segment, b []byte) bool {
	if len(b) < ipv6Header+tcpHeader {
		return false
	}
	// Version, class, flow, payload length, next header, hop limit.
	first, rest := binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[52:])
	length, header := int(first>>16&0xffff), int(rest>>60*4)
	if first>>60 != 6 || first>>8&0xff != ipTCP || header < tcpHeader || header > min(length, len(b)-ipv6Header) {
		return false
	}
	ports := binary.BigEndian.Uint32(b[40:])
	s.Tuple = Tuple{Src: AddrFrom16(b[8:]), Dst: AddrFrom16(b[24:]), SrcPort: uint16(ports >> 16), DstPort: uint16(ports), V6: true}
	s.IPID, s.TTL, s.Traits = 0, uint8(first), 0
	if length > len(b)-ipv6Header || snapped(f) {
		s.Traits = TraitSnapped
	}
	s.tcp(f, binary.BigEndian.Uint64(b[44:]), rest, length-header)
	s.Options.parse(b[ipv6Header+tcpHeader:ipv6Header+header], uint32(header-tcpHeader))
	return true
}

// mostTags is how many VLAN tags are looked behind at once: a customer's, and a provider's
// before it.
const mostTags = 2

// any decodes a frame of any sort, those with plain headers behind at most so many tags
// at once.
func (d *Decoder) any(f *Frame, s *Segment) Skip {
	var next proto
	b := f.Data
	if f.Link == LinkEthernet && len(b) >= ethernetHeader {
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
	d.path.reset()
	for n := 0; n < mostTags && isTag(next) && len(b) >= vlanHeader; n++ {
		next = d.vlan(b)
		b = b[vlanHeader:]
	}
	if next == protoIPv4 && plain4(f, s, b) || next == protoIPv6 && plain6(f, s, b) {
		return d.identify(s, SkipNone)
	}
	return d.decode(f, s)
}

// isTag reports whether a VLAN tag follows.
func isTag(next proto) bool {
	return next == protoVLAN || next == protoServiceVLAN || next == protoOldVLAN
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

// Encaps returns how many paths there are so far: the highest EncapID with layers of its own.
func (d *Decoder) Encaps() int { return len(d.paths.entries) }

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
