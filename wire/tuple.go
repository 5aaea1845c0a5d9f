package wire

import (
	"encoding/binary"
	"net/netip"
)

// Addr is an IPv4 or IPv6 address as two words in network order: an IPv4 address
// a.b.c.d is held as ::ffff:a.b.c.d. Unlike netip.Addr it has no pointer, so
// tables of it cost the garbage collector nothing. Whether an address of the form
// ::ffff:0:0/96 came from an IPv4 or an IPv6 header is told by Tuple.V6.
type Addr struct{ Hi, Lo uint64 }

// AddrFrom4 returns the address in the first four octets of b.
func AddrFrom4(b []byte) Addr {
	return Addr{0, 0xffff<<32 | uint64(binary.BigEndian.Uint32(b))}
}

// AddrFrom16 returns the address in the first sixteen octets of b.
func AddrFrom16(b []byte) Addr {
	return Addr{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
}

// Is4 reports whether the address has the form of an IPv4 one.
func (a Addr) Is4() bool { return a.Hi == 0 && a.Lo>>32 == 0xffff }

// Netip returns the address as the standard library's type; an address of the
// IPv4 form comes back as IPv4 unless v6 is set.
func (a Addr) Netip(v6 bool) netip.Addr {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], a.Hi)
	binary.BigEndian.PutUint64(b[8:], a.Lo)
	n := netip.AddrFrom16(b)
	if v6 {
		return n
	}
	return n.Unmap()
}

// Less orders addresses as unsigned 128-bit numbers.
func (a Addr) Less(b Addr) bool { return a.Hi < b.Hi || a.Hi == b.Hi && a.Lo < b.Lo }

// EncapID names an encapsulation path (VLAN tags, labels, tunnels) in the
// Decoder's table; 0 is the empty path.
type EncapID uint32

// Tuple is a directed TCP 4-tuple together with what else tells connections
// apart: the IP version and the encapsulation path (field guide K14). It is
// comparable and holds no pointers.
type Tuple struct {
	Src, Dst         Addr
	SrcPort, DstPort uint16
	Encap            EncapID
	// V6 is set when the addresses came from an IPv6 header.
	V6 bool
}

// Reverse returns the tuple of the opposite direction.
func (t Tuple) Reverse() Tuple {
	t.Src, t.Dst, t.SrcPort, t.DstPort = t.Dst, t.Src, t.DstPort, t.SrcPort
	return t
}

// Key returns the tuple in the direction that is the same for both: the lower
// (address, port) first. swapped reports whether it had to be turned.
func (t Tuple) Key() (key Tuple, swapped bool) {
	if t.Dst.Less(t.Src) || t.Dst == t.Src && t.DstPort < t.SrcPort {
		return t.Reverse(), true
	}
	return t, false
}

// Source returns the sender's address and port.
func (t Tuple) Source() netip.AddrPort { return netip.AddrPortFrom(t.Src.Netip(t.V6), t.SrcPort) }

// Destination returns the receiver's address and port.
func (t Tuple) Destination() netip.AddrPort {
	return netip.AddrPortFrom(t.Dst.Netip(t.V6), t.DstPort)
}
