package wire

// This file goes through frames that hold several packets: those of an 802.11
// A-MSDU, and the sampled headers in an sFlow datagram. The walk stops where they
// begin; each of them is then a walk of its own, from there on.

// maxBundles bounds how deep bundles may stand in one another: an A-MSDU inside a
// sample is two.
const maxBundles = 4

// skipSeveral never leaves the package: the walk has come to several packets.
const skipSeveral = skipEnd + 1

// place is where a walk begins.
type place struct {
	g       Frame // the frame as far as it reaches
	next    proto // what stands at off
	off     int
	headers int    // how many headers have been passed
	carrier uint32 // the tunnels passed (see Segment.Carrier)
	above   bool
	weak    bool
	sampled bool
}

// bundle is what several packets stand in, and how far it has been read.
type bundle struct {
	place
	path int // how long the path is up to here
	// part reads the next packet. SkipNone: p is filled; else it has come to the
	// end, and to one that is missing if it is not skipEnd.
	part func(b *bundle, p *place) Skip
	// What sFlow has still to come: samples, and the records of the one that ends
	// at end.
	samples, records uint32
	end              uint32
}

// bundles holds the ways into several packets by the name of what they stand in.
var bundles = map[proto]func(b *bundle, p *place) Skip{}

// bundled says how to read the packets that stand in what has that name.
func bundled(name proto, part func(b *bundle, p *place) Skip) struct{} {
	bundles[name] = part
	return reads(0, func([]byte, uint32) (header, Skip) { return header{}, skipSeveral }, name)
}

// More gives the next segment or ICMP error of the frame that Decode was last
// called with, in the same way: the result is SkipNone or SkipICMP. ok is false when
// there is none, as in nearly every frame. f must still be what Decode was given.
func (d *Decoder) More(f *Frame, s *Segment) (skip Skip, ok bool) {
	if d.depth == 0 {
		return SkipNone, false
	}
	return d.more(f, s)
}

// first gives the first segment or error of several packets. If none has one, the
// reason is that of the first of them, or that the capture cut one off.
func (d *Decoder) first(f *Frame, s *Segment) Skip {
	d.without = SkipNone
	if skip, ok := d.more(f, s); ok {
		return skip
	}
	if d.without == SkipNone {
		return SkipNotTCP
	}
	return d.without
}

func (d *Decoder) more(f *Frame, s *Segment) (Skip, bool) {
	p := &d.at // on the stack it would not stay: parts are read through a variable
	for d.depth > 0 {
		b := &d.bundles[d.depth-1]
		skip := b.part(b, p)
		if skip != SkipNone {
			d.depth--
			if skip != skipEnd {
				d.pass(skip)
			}
			continue
		}
		d.path.n = b.path
		switch skip = d.walk(f, s, p); skip {
		case SkipNone, SkipICMP:
			return skip, true
		case skipSeveral:
		default:
			d.pass(skip)
		}
	}
	return SkipNone, false
}

// pass notes why a packet of several gave nothing.
func (d *Decoder) pass(skip Skip) {
	if d.without == SkipNone || skip == SkipTruncated {
		d.without = skip
	}
}

// several begins with several packets that stand at p.
func (d *Decoder) several(p *place) Skip {
	if d.depth == maxBundles {
		return SkipNotTCP // nobody does that: it is a frame made to cost time
	}
	b := &d.bundles[d.depth]
	*b = bundle{place: *p, path: d.path.n, part: bundles[p.next]}
	b.g.Data, b.g.Length, b.off = p.g.Data[p.off:], wireLength(&p.g)-uint32(p.off), 0
	d.depth++
	return skipSeveral
}

// has tells whether n octets from at on are there: skipEnd if they never were.
func (b *bundle) has(at, n uint32) Skip {
	switch length := wireLength(&b.g); {
	case at > length || n > length-at:
		return skipEnd
	case uint64(at)+uint64(n) > uint64(len(b.g.Data)):
		return SkipTruncated
	}
	return SkipNone
}

// cut makes p the packet at, of length octets on the wire, of which room may be
// there.
func (b *bundle) cut(p *place, next proto, at, room, length uint32) {
	*p = b.place
	captured := uint64(len(p.g.Data))
	from, to := min(uint64(at), captured), min(uint64(at)+uint64(room), captured)
	p.g.Data, p.g.Length = p.g.Data[from:to], max(length, room)
	p.next, p.off = next, 0
}
