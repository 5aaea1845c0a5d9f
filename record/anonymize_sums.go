package record

import (
	"encoding/binary"

	"github.com/tcplife/tcplife/wire"
)

// sum is a checksum that is to be made anew (RFC 1071).
type sum struct {
	h    *wire.Header
	kind sumKind
}

type sumKind uint8

const (
	sumIPv4 sumKind = iota
	sumUDP
	sumTCP
	sumICMP
)

// spoil turns a right checksum into a wrong one.
const spoil = 0x0101

// sum writes the checksum of a header. The original is checked first: what was right is
// right again, over a payload of zeros, so that nothing can be told of the one that was
// there; what was wrong is wrong, and what the network card was to fill in looks so.
// What was captured in part cannot be checked, and is taken to have been right.
func (a *Anonymizer) sum(f *wire.Frame, s sum) {
	h := s.h
	if s.kind == sumIPv4 {
		fill(f.Data[h.At:h.At+h.Size], a.out[h.At:h.At+h.Size], 10, 0, 0, h.Size)
		return
	}
	place, proto := 16, uint32(protoTCP)
	switch s.kind {
	case sumUDP:
		place, proto = 6, protoUDP
	case sumICMP:
		place, proto = 2, protoICMP6
	}
	length := int(h.Length)
	if h.At+place+2 > len(f.Data) || place+2 > length {
		return
	}
	end := min(h.At+length, len(f.Data))
	in, out := f.Data[h.At:end], a.out[h.At:end]
	was, is := pseudo(h.Src, h.Dst, h.V6, proto, h.Length), pseudo(a.Addr(h.Src, h.V6), a.Addr(h.Dst, h.V6), h.V6, proto, h.Length)
	switch {
	case s.kind == sumICMP && !h.V6:
		was, is = 0, 0 // ICMP has no pseudo header, ICMPv6 has (RFC 4443 section 2.3)
	case s.kind == sumUDP && in[place] == 0 && in[place+1] == 0:
		return // none
	}
	if h.Piece {
		// It reaches over all fragments, of which this is one. The payload's part of it
		// stays; all that changes here is accounted for (RFC 1624).
		old := fold(^uint64(binary.BigEndian.Uint16(in[place:]))&0xffff + invert(add(was, in[:place])) + invert(add(0, in[place+2:headerEnd(s.kind, in)])))
		now := fold(uint64(old) + add(is, out[:place]) + add(0, out[place+2:headerEnd(s.kind, in)]))
		binary.BigEndian.PutUint16(out[place:], ^now)
		return
	}
	fill(in, out, place, was, is, length)
}

// headerEnd returns how long a header is: of a fragment, what is behind it is unchanged
// as far as the sum goes.
func headerEnd(kind sumKind, in []byte) int {
	if kind == sumTCP && len(in) > 12 {
		return min(max(int(in[12]>>4)*4, 20), len(in))
	}
	return min(8, len(in))
}

// invert returns the ones' complement of a sum.
func invert(s uint64) uint64 { return uint64(^fold(s)) }

// fill writes the checksum at place in out, the image of in. was and is are the sums of
// what is not in them; length is how long in was on the wire.
func fill(in, out []byte, place int, was, is uint64, length int) {
	if len(in) < place+2 {
		return
	}
	original := binary.BigEndian.Uint16(in[place:])
	binary.BigEndian.PutUint16(out[place:], 0)
	right := ^fold(add(is, out))
	whole := len(in) >= length
	switch {
	case !whole, fold(add(was, in)) == 0xffff:
	case original == 0:
		right = 0 // the network card's, in IPv4
	case original == fold(was) && was != 0:
		right = fold(is) // the network card's: the sum so far
	default:
		right ^= spoil
	}
	binary.BigEndian.PutUint16(out[place:], right)
}

// pseudo returns the sum of a pseudo header (RFC 9293 section 3.1, RFC 8200 section 8.1).
func pseudo(src, dst wire.Addr, v6 bool, proto, length uint32) uint64 {
	s := uint64(proto) + uint64(length>>16) + uint64(length&0xffff)
	for _, a := range [...]wire.Addr{src, dst} {
		lo := a.Lo
		if !v6 {
			lo &= 0xffffffff
			a.Hi = 0
		}
		for _, w := range [...]uint64{a.Hi, lo} {
			s += w>>48 + w>>32&0xffff + w>>16&0xffff + w&0xffff
		}
	}
	return s
}

// add adds the 16-bit words of b to a sum.
func add(s uint64, b []byte) uint64 {
	for ; len(b) >= 2; b = b[2:] {
		s += uint64(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		s += uint64(b[0]) << 8
	}
	return s
}

func fold(s uint64) uint16 {
	for s>>16 != 0 {
		s = s&0xffff + s>>16
	}
	return uint16(s)
}
