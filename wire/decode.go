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
	var next proto
	var off int
	if f.Link == LinkEthernet {
		if len(f.Data) < ethernetHeader {
			return short(f)
		}
		next, off = proto(binary.BigEndian.Uint16(f.Data[12:])), ethernetHeader
	} else {
		l := f.Link.decoder()
		if l == nil {
			return SkipLinkType
		}
		if len(f.Data) < l.size {
			return short(f)
		}
		if next, off = l.next(f.Data); off > len(f.Data) {
			return short(f)
		}
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
