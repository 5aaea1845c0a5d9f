package wire

import "encoding/binary"

// Decoder turns frames into segments. It holds the table of encapsulation paths
// met so far; the zero value is ready. It is not safe for concurrent use.
type Decoder struct {
	// MergeEncap leaves encapsulation paths out of a segment's identity: equal
	// tuples in different VLANs are one connection.
	MergeEncap bool

	path  path
	paths pathTable
}

// maxHeaders bounds how many headers may stand between the link layer and IP. A
// provider's label stack has about a dozen; more is a frame made to cost time.
const maxHeaders = 16

// Decode fills s from f, or says why f holds no TCP segment. It neither keeps f
// nor allocates on the fast path; what s held before is overwritten, also when
// the result is not SkipNone, and then s means nothing.
//
// Checksums are not verified: on the sending host the network card fills them in
// after the capture. A frame whose Length is less than its data is taken to be as
// long as its data.
func (d *Decoder) Decode(f *Frame, s *Segment) Skip {
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
		return ipv4(f, s, off)
	case protoIPv6:
		return ipv6(f, s, off)
	}
	return d.unwrap(f, s, next, off)
}

// unwrap walks the headers between the link layer and IP, one per round, and
// notes those that tell connections apart.
func (d *Decoder) unwrap(f *Frame, s *Segment, next proto, off int) Skip {
	d.path.reset()
	for range maxHeaders {
		b := f.Data[off:]
		switch next {
		case protoIPv4:
			return d.identify(s, ipv4(f, s, off))
		case protoIPv6:
			return d.identify(s, ipv6(f, s, off))
		case protoVLAN, protoServiceVLAN, protoOldVLAN:
			if len(b) < vlanHeader {
				return short(f)
			}
			// The priority bits differ between segments of one connection. Id 0
			// means "no VLAN, only a priority" (IEEE 802.1Q section 9.6).
			if id := binary.BigEndian.Uint16(b) & 0xfff; id != 0 {
				d.path.push(layerVLAN, uint32(id))
			}
			next = proto(binary.BigEndian.Uint16(b[2:]))
			off += vlanHeader
		default:
			h, skip := fallback(next, b)
			if skip == SkipTruncated {
				return short(f)
			}
			if skip != SkipNone {
				return skip
			}
			if h.kind != layerNone {
				d.path.push(h.kind, h.value)
			}
			next = h.next
			off += h.size
		}
	}
	return SkipMalformed
}

// identify completes a segment with the path that was walked. Only TCP segments
// put paths into the table: VLANs without TCP take no room there.
func (d *Decoder) identify(s *Segment, skip Skip) Skip {
	if skip == SkipNone && !d.MergeEncap {
		s.Tuple.Encap = d.paths.id(&d.path)
	}
	return skip
}

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
