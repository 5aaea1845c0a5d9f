package wire

import (
	"bytes"
	"encoding/binary"
)

// This file tells where the headers of a frame stand, for those who write frames anew:
// what is left of a capture when names, addresses and payload are taken out. The
// decoder itself does not use it.

// HeaderKind says what a Header is.
type HeaderKind uint8

// The kinds.
const (
	// HeaderOther is a link layer's, a tag's or a tunnel's: only Bare is known of it.
	HeaderOther HeaderKind = iota
	// HeaderEthernet has two addresses and a type.
	HeaderEthernet
	// HeaderIPv4 reaches up to the end of its options, HeaderIPv6 of its extension
	// headers (the header of a fragment being the last).
	HeaderIPv4
	HeaderIPv6
	// HeaderUDP is UDP's own; a tunnel behind it is a header of its own.
	HeaderUDP
	// HeaderTCP and HeaderICMP reach to the end of their packet, payload and quote
	// included.
	HeaderTCP
	HeaderICMP
)

// Header is one header of a frame, as Decoder.Decode goes through it.
type Header struct {
	Kind HeaderKind
	// At is where it begins in the frame, Size how much of it was captured, in octets.
	At, Size int
	// Length is how many octets there were on the wire from At to the end of what the
	// headers around it say is theirs.
	Length uint32
	// Bare is a header of kind HeaderOther with zeros wherever Decode does not look: of
	// names, addresses, keys and sums nothing is left. It is valid until the next Read.
	Bare []byte
	// Of an IP header, and of what stands right above one (HeaderTCP, HeaderUDP,
	// HeaderICMP): the packet's version and its addresses, which are those at the ends
	// of a source route. Piece says that the packet is a fragment; ID is then its
	// identification, and From where its octets belong.
	V6, Piece bool
	Src, Dst  Addr
	ID, From  uint32
	// Ports are those of a HeaderTCP, the sender's first; zero if they were not captured.
	Ports [2]uint16
}

// Layout finds the headers of frames. The zero value is ready; it is not safe for
// concurrent use. It keeps nothing from one frame to the next, so that of a fragmented
// packet it knows the first fragment's headers alone.
type Layout struct {
	Headers []Header
	room    []byte
	data    []byte // of the frame
	depth   int
}

// Read finds the headers of f, the outermost first. What is not in any of them, Decode
// does not look at.
func (l *Layout) Read(f *Frame) {
	l.Headers, l.room, l.data, l.depth = l.Headers[:0], l.room[:0], f.Data, 0
	if f.Link == LinkEthernet {
		l.walk(*f, protoEthernet, 0, 0)
		return
	}
	k := f.Link.decoder()
	if k == nil || len(f.Data) < k.size {
		return
	}
	next, off := k.next(f.Data)
	size := min(off, len(f.Data))
	l.bare(f.Data, size, func(b []byte) bool {
		n, o := k.next(b)
		return n == next && o == off
	}, wireLength(f))
	if off <= len(f.Data) {
		l.walk(*f, next, off, 0)
	}
}

// place returns where b begins in the frame, of whose octets it is a part.
func (l *Layout) place(b []byte) int { return cap(l.data) - cap(b) }

func (l *Layout) add(h Header) { l.Headers = append(l.Headers, h) }

// above adds a header at the start of b, of what stands right above IP.
func (l *Layout) above(h Header, kind HeaderKind, b []byte, size int, length uint32) {
	h.Kind, h.At, h.Size, h.Length = kind, l.place(b), size, length
	if kind == HeaderTCP && len(b) >= 4 {
		h.Ports = [2]uint16{binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])}
	}
	l.add(h)
}

// bare adds a header of size octets at the start of b, without the octets on which same
// does not depend. same gets b with some of them set to zero.
func (l *Layout) bare(b []byte, size int, same func(b []byte) bool, length uint32) {
	start := len(l.room)
	l.room = append(l.room, b...)
	try := l.room[start : start+len(b) : start+len(b)]
	for i := range size {
		if was := try[i]; was != 0 {
			if try[i] = 0; !same(try) {
				try[i] = was
			}
		}
	}
	l.room = l.room[:start+size]
	l.add(Header{Kind: HeaderOther, At: l.place(b), Size: size, Length: length, Bare: try[:size:size]})
}

// leastOther is how many octets of a header that leads nowhere may be looked at before
// that is clear.
const leastOther = 64

// walk goes the way of Decoder.walk.
func (l *Layout) walk(g Frame, next proto, off, n int) {
	var around Header // of the IP packet
	// The decoder takes the link layer for none, and IP with TCP for one.
	for ; n < maxHeaders+2; n++ {
		b := g.Data[off:]
		room := wireLength(&g) - uint32(off)
		switch next {
		case protoEthernet:
			l.add(Header{Kind: HeaderEthernet, At: l.place(b), Size: min(ethernetHeader, len(b)), Length: room})
			if len(b) < ethernetHeader {
				return
			}
			next = proto(binary.BigEndian.Uint16(b[12:]))
			off += ethernetHeader
		case protoVLAN, protoServiceVLAN, protoOldVLAN:
			size := min(vlanHeader, len(b))
			l.add(Header{Kind: HeaderOther, At: l.place(b), Size: size, Length: room, Bare: b[:size:size]})
			if len(b) < vlanHeader {
				return
			}
			next = proto(binary.BigEndian.Uint16(b[2:]))
			off += vlanHeader
		case protoIPv4, protoIPv6:
			p, ok := l.ip(&g, off, next == protoIPv6)
			if !ok {
				return
			}
			if p.fragmented && p.from != 0 {
				return
			}
			around = l.Headers[len(l.Headers)-1]
			next, off = protoIP+proto(p.next), p.at
			narrow(&g, off, p.length)
			if p.fragmented {
				g.Length = uint32(off) + maxDatagram // the rest is elsewhere
			}
			if p.next == p.icmp() && !p.fragmented {
				l.above(around, HeaderICMP, g.Data[off:], len(g.Data)-off, p.length)
				return
			}
		case protoIP + ipTCP:
			l.above(around, HeaderTCP, b, len(b), room)
			return
		default:
			read := func(b []byte) (header, Skip) { return readHeader(next, b, room) }
			h, skip := read(b)
			if skip == skipSeveral {
				l.several(&place{g: g, next: next, off: off, headers: n + 1})
				return
			}
			if next == protoIP+ipUDP {
				l.above(around, HeaderUDP, b, min(udpHeader, len(b)), room)
			}
			size := h.size
			if skip != SkipNone {
				size = leastOther
			}
			size = min(size, len(b))
			if next == protoIP+ipUDP {
				if skip == SkipNotTCP && plainUDP(b) || len(b) < udpHeader {
					return
				}
				// The ports stay, and the tunnel's reader is asked through them.
				whole := append([]byte(nil), b...)
				l.bare(b[udpHeader:], max(size-udpHeader, 0), func(t []byte) bool {
					copy(whole[udpHeader:], t)
					h2, skip2 := read(whole)
					return skip2 == skip && (skip != SkipNone || h2 == h)
				}, room-udpHeader)
			} else {
				l.bare(b, size, func(t []byte) bool {
					h2, skip2 := read(t)
					return skip2 == skip && (skip != SkipNone || h2 == h)
				}, room)
			}
			if skip != SkipNone {
				return
			}
			if h.reach != 0 && h.reach < room {
				narrow(&g, off, max(h.reach, uint32(h.size)))
			}
			next = h.next
			off += h.size
		}
	}
}

// ip adds the IP header at off and reports whether what is above it can be found.
func (l *Layout) ip(g *Frame, off int, v6 bool) (p ipPacket, ok bool) {
	b := g.Data[off:]
	h := Header{Kind: HeaderIPv4, At: l.place(b), Size: len(b), Length: wireLength(g) - uint32(off)}
	least, version := ipv4Header, byte(4)
	if v6 {
		h.Kind, least, version = HeaderIPv6, ipv6Header, 6
	}
	if len(b) < least || b[0]>>4 != version {
		h.Size = min(least, len(b))
		l.add(h)
		return p, false
	}
	if !v6 {
		header, total := int(b[0]&0xf)*4, uint32(binary.BigEndian.Uint16(b[2:]))
		h.Size = min(max(header, least), len(b))
		if header < least || total != 0 && total < uint32(header) {
			l.add(h)
			return p, false
		}
	}
	skip := p.read(g, off)
	h.V6, h.Src, h.Dst, h.Piece, h.ID, h.From = v6, p.head.src, p.head.dst, p.fragmented, p.id, p.from
	switch {
	case skip == SkipNone:
		h.Size = p.at - off
	case v6 && p.at > off:
		// An extension header that is cut or wrong: what there is of it belongs here.
		h.Size = min(p.at-off+leastOther, len(b))
	}
	l.add(h)
	return p, skip == SkipNone
}

// several goes through a frame with several packets. What stands between them is a
// header, and each of them a walk.
func (l *Layout) several(at *place) {
	if l.depth == maxBundles {
		return
	}
	l.depth++
	whole := at.g.Data[at.off:]
	length := wireLength(&at.g) - uint32(at.off)
	parts := func(b []byte) (all []place) {
		in := &bundle{place: *at, part: bundles[at.next]}
		in.g.Data, in.g.Length, in.off = b, length, 0
		var p place
		for in.part(in, &p) == SkipNone {
			all = append(all, p)
		}
		return all
	}
	packets := parts(whole)
	inside := func(b, of []byte) int { return cap(of) - cap(b) }
	start := len(l.Headers)
	l.bare(whole, len(whole), func(b []byte) bool {
		now := parts(b)
		if len(now) != len(packets) {
			return false
		}
		for i := range now {
			a, z := &now[i], &packets[i]
			// Packets may be long, and whatever is in them does not move the others.
			if a.next != z.next || a.g.Length != z.g.Length || len(a.g.Data) != len(z.g.Data) || inside(a.g.Data, b) != inside(z.g.Data, whole) {
				return false
			}
		}
		return true
	}, length)
	glue := l.Headers[start].Bare
	for i := range packets {
		from := inside(packets[i].g.Data, whole)
		clear(glue[from : from+len(packets[i].g.Data)])
	}
	l.Headers[start].Size = len(bytes.TrimRight(glue, "\x00"))
	for i := range packets {
		p := &packets[i]
		l.walk(p.g, p.next, p.off, p.headers)
	}
	l.depth--
}
