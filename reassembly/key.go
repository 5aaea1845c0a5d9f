package reassembly

import (
	"math/bits"

	"github.com/tcplife/tcplife/wire"
)

// tupleKey is a tuple as tables keep it: the same for both directions, and without
// holes.
type tupleKey struct {
	low, high wire.Addr // the lower end by address and port comes first
	// ports holds the lower end's in the upper half.
	ports uint32
	// encap is the tuple's, with keyV6 where it is of IPv6.
	encap wire.EncapID
}

// keyV6 is a bit that no EncapID has: there are no more than wire.MaxEncaps.
const keyV6 wire.EncapID = 1 << 31

// keyOf returns the key of a tuple. swapped reports whether the tuple's source is the
// higher end.
func keyOf(t *wire.Tuple) (k tupleKey, swapped bool) {
	k.encap = t.Encap
	if t.V6 {
		k.encap |= keyV6
	}
	if t.Dst.Less(t.Src) || t.Dst == t.Src && t.DstPort < t.SrcPort {
		k.low, k.high, k.ports = t.Dst, t.Src, uint32(t.DstPort)<<16|uint32(t.SrcPort)
		return k, true
	}
	k.low, k.high, k.ports = t.Src, t.Dst, uint32(t.SrcPort)<<16|uint32(t.DstPort)
	return k, false
}

// nearKey is what tells tuples of IPv4 apart, farKey the rest: the upper parts of both
// addresses, which are the same for all of IPv4.
type nearKey struct {
	low, high, ports uint32
	encap            wire.EncapID
}

type farKey [3]uint64

var farIPv4 = farOf(&wire.Addr{Lo: 0xffff << 32}, &wire.Addr{Lo: 0xffff << 32})

func farOf(low, high *wire.Addr) farKey {
	return farKey{low.Hi, high.Hi, low.Lo>>32<<32 | high.Lo>>32}
}

func (k *tupleKey) near() nearKey {
	return nearKey{uint32(k.low.Lo), uint32(k.high.Lo), k.ports, k.encap}
}

func (k *tupleKey) far() farKey { return farOf(&k.low, &k.high) }

// wholeKey puts the two together.
func wholeKey(n *nearKey, f *farKey) tupleKey {
	return tupleKey{
		low: wire.Addr{Hi: f[0], Lo: f[2]>>32<<32 | uint64(n.low)}, high: wire.Addr{Hi: f[1], Lo: f[2]<<32 | uint64(n.high)},
		ports: n.ports, encap: n.encap,
	}
}

// tuple is tupleKey.tuple, without the way through a key.
func (n *nearKey) tuple(f *farKey, fromLow bool) wire.Tuple {
	low, high := wire.Addr{Hi: f[0], Lo: f[2]>>32<<32 | uint64(n.low)}, wire.Addr{Hi: f[1], Lo: f[2]<<32 | uint64(n.high)}
	ports := n.ports
	if !fromLow {
		low, high, ports = high, low, bits.RotateLeft32(ports, 16)
	}
	return wire.Tuple{Src: low, Dst: high, SrcPort: uint16(ports >> 16), DstPort: uint16(ports), Encap: n.encap &^ keyV6, V6: n.encap&keyV6 != 0}
}

// is reports whether two keys are equal; spelled out, because the compiler would call
// a function that compares octets.
func (k *tupleKey) is(l *tupleKey) bool {
	return k.low.Lo == l.low.Lo && k.high.Lo == l.high.Lo && k.ports == l.ports && k.encap == l.encap && k.low.Hi == l.low.Hi && k.high.Hi == l.high.Hi
}

// bare returns the key without encapsulation.
func (k tupleKey) bare() tupleKey {
	k.encap &= keyV6
	return k
}

// path returns the encapsulation path.
func (k *tupleKey) path() wire.EncapID { return k.encap &^ keyV6 }

// v6 reports whether it is of IPv6.
func (k *tupleKey) v6() bool { return k.encap&keyV6 != 0 }

// tuple returns the tuple from the lower end to the higher one, or the other way.
func (k *tupleKey) tuple(fromLow bool) wire.Tuple {
	t := wire.Tuple{Src: k.low, Dst: k.high, SrcPort: uint16(k.ports >> 16), DstPort: uint16(k.ports), Encap: k.path(), V6: k.v6()}
	if !fromLow {
		return t.Reverse()
	}
	return t
}

// self reports whether both ends are one address and port.
func (k *tupleKey) self() bool { return k.low == k.high && uint16(k.ports>>16) == uint16(k.ports) }
