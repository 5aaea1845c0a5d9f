package wire

// This file is the slow way through a frame: one header per round, from the link
// layer to TCP, through whatever lies between. decode.go and ip.go come here with
// everything that is not TCP straight above IP.

// maxHeaders bounds how many headers may stand before TCP. A provider's label
// stack has about a dozen, and a tunnel may carry another; more is a frame made to
// cost time.
const maxHeaders = 32

// header is what one header says.
type header struct {
	next proto // what follows
	size int   // how many octets it takes
	// reach is how many octets it and all that belongs to it take on the wire; 0
	// when it does not say. What lies behind is padding or somebody else's.
	reach uint32
	// kind and value are the layer that it adds to the path; layerNone: none.
	kind  layerKind
	value uint32
}

// reader reads the header at the start of b. room is how many octets there are on
// the wire, never fewer than in b. SkipTruncated means that b is too short to tell.
type reader func(b []byte, room uint32) (header, Skip)

// knownHeader is a reader with the least length of its header in octets; the
// reader gets at least that much.
type knownHeader struct {
	least int
	read  reader
}

var (
	headers = map[proto]knownHeader{}
	// ipHeaders are those of them that IP numbers name, once more: tunnels look them
	// up for every frame.
	ipHeaders [256]knownHeader
)

// reads says how to read the headers of that name. The file that knows a header
// calls it; nothing else needs to know of it.
func reads(least int, read reader, names ...proto) struct{} {
	for _, p := range names {
		if _, ok := headers[p]; ok {
			panic("wire: two readers of one header")
		}
		headers[p] = knownHeader{least, read}
		if p >= protoIP {
			ipHeaders[p-protoIP] = headers[p]
		}
	}
	return struct{}{}
}

// readHeader reads the header that next announces.
func readHeader(next proto, b []byte, room uint32) (header, Skip) {
	if next <= protoMaxLength {
		next = protoLLC
	}
	var k knownHeader
	if next >= protoIP {
		k = ipHeaders[next-protoIP]
	} else {
		k = headers[next]
	}
	if k.read == nil {
		return header{}, SkipNotIP
	}
	if len(b) < k.least {
		return header{}, SkipTruncated
	}
	return k.read(b, room)
}

// walk goes from the header that next announces, at off, to TCP. It notes the
// layers that tell connections apart. skipSeveral: it has come to several packets.
func (d *Decoder) walk(f *Frame, s *Segment, from *place) Skip {
	// The frame as far as the headers passed so far let it reach.
	g, next, off := from.g, from.next, from.off
	var (
		whole *datagram    // the packet that fragments made whole, if any was
		above = from.above // an IP header has been passed
		weak  = from.weak  // something was taken for a tunnel by its UDP port

		carrier = from.carrier // the IP packets that carry others, so far
	)
	for n := from.headers; n < maxHeaders; n++ {
		b := g.Data[off:]
		room := wireLength(&g) - uint32(off)
		skip := SkipNone
		switch next {
		case protoIPv4, protoIPv6:
			if next == protoIPv4 {
				skip = ipv4(&g, s, off)
			} else {
				skip = ipv6(&g, s, off)
			}
			if skip == SkipNone {
				return d.found(f, s, whole, carrier, from)
			}
			if skip != skipCarried {
				break
			}
			var p ipPacket
			if skip = p.read(&g, off); skip != SkipNone {
				break
			}
			if p.fragmented {
				if whole, skip = d.assemble(f.At, &p); whole == nil {
					break
				}
				g = Frame{ID: f.ID, At: f.At, Link: f.Link, Data: whole.kept(), Length: whole.total}
				p.head, p.at, p.next, p.length = whole.head, 0, whole.head.next, whole.total
				if p.v6 {
					skip = p.extensions(&g)
				}
				switch {
				case skip != SkipNone:
				case p.fragmented && p.v6: // no sender makes fragments of fragments
					if skip = d.carries(&p); skip == SkipNone {
						skip = SkipMalformed
					}
				case p.next == p.icmp(): // errors are too short for them (RFC 1122, RFC 4443)
					skip = SkipNotTCP
				}
				if skip != SkipNone {
					break
				}
			} else if p.next == p.icmp() {
				return d.identify(s, d.readICMP(&g, &p))
			}
			p.head.write(s, p.v6)
			if p.next != ipTCP {
				carrier = p.carrier(carrier, g.Data[p.at:])
			}
			next, off, above = protoIP+proto(p.next), p.at, true
			narrow(&g, off, p.length)
		case protoIP + ipTCP: // behind AH, or in a packet that was put together
			if skip = tcp(&g, s, b, room); skip == SkipNone {
				return d.found(f, s, whole, carrier, from)
			}
		case protoVLAN, protoServiceVLAN, protoOldVLAN:
			if len(b) < vlanHeader {
				skip = SkipTruncated
				break
			}
			next = d.vlan(b)
			off += vlanHeader
		case protoEthernet:
			if len(b) < ethernetHeader {
				skip = SkipTruncated
				break
			}
			next = proto(b[12])<<8 | proto(b[13])
			off += ethernetHeader
		default:
			var h header
			if h, skip = readHeader(next, b, room); skip != SkipNone {
				if skip == skipSeveral {
					return d.several(&place{g, next, off, n + 1, carrier, above, weak, from.sampled})
				}
				break
			}
			weak = weak || next == protoIP+ipUDP
			if h.kind != layerNone {
				d.path.push(h.kind, h.value)
			}
			if h.reach != 0 && h.reach < room {
				narrow(&g, off, max(h.reach, uint32(h.size)))
			}
			next = h.next
			off += h.size
		}
		if skip == SkipNone {
			continue
		}
		if skip == SkipTruncated {
			skip = short(&g)
		}
		// The frame did hold IP; and that a port is a tunnel's does not make a
		// payload malformed that is none.
		if above && skip == SkipNotIP || weak && skip == SkipMalformed {
			skip = SkipNotTCP
		}
		return skip
	}
	return SkipMalformed
}

// vlan reads a VLAN tag (IEEE 802.1Q section 9.6).
func (d *Decoder) vlan(b []byte) proto {
	// The priority bits differ between segments of one connection. Id 0 means "no
	// VLAN, only a priority".
	if id := uint32(b[0])<<8&0xf00 | uint32(b[1]); id != 0 {
		d.path.push(layerVLAN, id)
	}
	return proto(b[2])<<8 | proto(b[3])
}

// narrow lets a frame end length octets behind off. A length that goes beyond the
// frame's end is believed: captures whose payload was taken out often say that the
// frame was as long as what is left of it.
func narrow(g *Frame, off int, length uint32) {
	g.Length = uint32(off) + length
	if uint64(g.Length) < uint64(len(g.Data)) {
		g.Data = g.Data[:g.Length]
	}
}

// found completes a segment that the walk has come to.
func (d *Decoder) found(f *Frame, s *Segment, whole *datagram, carrier uint32, from *place) Skip {
	s.Carrier = carrier
	switch {
	case whole != nil && !whole.snapped():
		// What was not kept of a packet was captured all the same.
		s.Traits = s.Traits&^TraitSnapped | TraitReassembled
	case whole != nil:
		s.Traits |= TraitSnapped | TraitReassembled
	case snapped(f), snapped(&from.g):
		s.Traits |= TraitSnapped
	}
	if from.sampled {
		s.Traits |= TraitSampled
	}
	return d.identify(s, SkipNone)
}

// assemble takes a fragment in and returns the packet that it makes whole; without
// one, the skip is the fragment's.
func (d *Decoder) assemble(at Time, p *ipPacket) (*datagram, Skip) {
	if skip := d.carries(p); skip != SkipNone {
		return nil, skip
	}
	return d.fragments.add(&fragment{
		key: d.key(p), at: at, head: p.head, from: p.from, length: p.length, data: p.data, more: p.more,
	})
}

func (d *Decoder) key(p *ipPacket) datagramKey {
	return datagramKey{path: string(d.path.buf[:d.path.n]), src: p.src, dst: p.dst, id: p.id, proto: p.proto, v6: p.v6}
}

// carries returns SkipNone if TCP may be in the packet that a fragment is of. What
// cannot carry TCP is not counted as a fragment, so that the count says how much
// TCP may have been missed.
func (d *Decoder) carries(p *ipPacket) Skip {
	switch p.next {
	case ipTCP, ipHopByHop, ipRouting, ipDestination, ipFragment, ipAH, ipMobility, ipHIP, ipShim6:
		return SkipNone
	case ipESP:
		return SkipEncrypted
	case ipUDP:
		// Most fragments are of UDP, and few of those of tunnels. The first one
		// decides; later ones that come before it are given up.
		if p.from == 0 && len(p.data) < 4 && p.length >= 4 {
			return SkipTruncated // the ports are not there
		}
		if p.from == 0 && udpFragment(p.data) || p.from != 0 && d.fragments.holds(d.key(p)) {
			return SkipNone
		}
		return SkipNotTCP
	}
	if ipHeaders[p.next].read == nil {
		return SkipNotTCP
	}
	return SkipNone
}

// readICMP keeps an ICMP error that quotes a segment.
func (d *Decoder) readICMP(f *Frame, p *ipPacket) Skip {
	e := &d.icmp
	skip := e.decode(p.data, p.v6)
	if skip == SkipTruncated && !snapped(f) && uint32(len(p.data)) >= p.length {
		skip = SkipNotTCP // it quotes too little
	}
	e.Frame, e.At, e.Reporter = f.ID, f.At, p.src
	return skip
}

// identify completes a segment with the path that was walked. Only TCP segments
// put paths into the table: VLANs without TCP take no room there.
func (d *Decoder) identify(s *Segment, skip Skip) Skip {
	if !d.MergeEncap {
		switch skip {
		case SkipNone:
			s.Tuple.Encap = d.paths.id(&d.path)
		case SkipICMP:
			d.icmp.Tuple.Encap = d.paths.known(&d.path)
		}
	}
	return skip
}
