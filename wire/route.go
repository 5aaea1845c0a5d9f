package wire

import "encoding/binary"

// This file finds a source-routed packet's ends. Underway the IP header names the
// next hop that the sender chose; the connection is with the last one, by whose
// address its checksum is made (RFC 9293 section 3.9.2.1, RFC 8200 section 8.1).

// Numbers in IPv4 options, IPv6 routing headers and IPv6 destination options.
const (
	optionEnd         = 0
	optionNop         = 1
	optionLooseRoute  = 131
	optionStrictRoute = 137

	routeSource  = 0 // RFC 2460; RFC 5095 forbids it, and scanners try it
	routeMobile  = 2 // RFC 6275 section 6.4
	routeSegment = 4 // RFC 8754

	optionHomeAddress = 201 // RFC 6275 section 6.3
)

// routed4 returns where an IPv4 packet with these options goes in the end: dst,
// unless a source route has stops left. A route that is damaged is none; hosts
// drop the packet or ignore it.
func routed4(options []byte, dst Addr) Addr {
	for len(options) >= 2 && options[0] != optionEnd {
		if options[0] == optionNop {
			options = options[1:]
			continue
		}
		n := int(options[1])
		if n < 2 || n > len(options) {
			return dst
		}
		switch options[0] {
		case optionLooseRoute, optionStrictRoute:
			// Type, length, pointer, addresses; the pointer counts from 1 and stands
			// behind the end when the route is used up (RFC 791 section 3.1).
			if n < 7 || n%4 != 3 {
				return dst
			}
			if pointer := options[2]; pointer >= 4 && pointer%4 == 0 && int(pointer) <= n-3 {
				return AddrFrom4(options[n-4 : n])
			}
			return dst
		}
		options = options[n:]
	}
	return dst
}

// routed6 returns where an IPv6 packet with the routing header h goes in the end.
// h is whole.
func routed6(h []byte, dst Addr) Addr {
	kind, left := h[2], int(h[3])
	list := h[8:]
	if left == 0 {
		return dst
	}
	switch kind {
	case routeSource:
		if n := len(list) / 16; left <= n && len(list) == 16*n {
			return AddrFrom16(list[16*(n-1):])
		}
	case routeMobile:
		if left == 1 && len(list) == 16 {
			return AddrFrom16(list)
		}
	case routeSegment:
		// The list runs backwards, and options may follow it.
		if last := int(h[4]); left <= last+1 && len(list) >= 16*(last+1) {
			return AddrFrom16(list)
		}
	}
	return dst
}

// home6 returns the address that a mobile host is known by: the one in the home
// address option of a destination options header, which stands for src in
// everything above IP (RFC 6275 sections 6.3 and 11.3.1).
func home6(h []byte, src Addr) Addr {
	for o := h[2:]; len(o) >= 2; {
		if o[0] == 0 { // one octet of padding
			o = o[1:]
			continue
		}
		n := int(o[1]) + 2
		if n > len(o) {
			return src
		}
		if o[0] == optionHomeAddress && n == 18 {
			return AddrFrom16(o[2:])
		}
		o = o[n:]
	}
	return src
}

// jumboLength returns the payload length in a hop-by-hop header's jumbo payload
// option (RFC 2675 section 2), 0 if there is none.
func jumboLength(h []byte) uint32 {
	const jumbo = 0xc2
	for o := h[2:]; len(o) >= 2; {
		if o[0] == 0 {
			o = o[1:]
			continue
		}
		n := int(o[1]) + 2
		if n > len(o) {
			return 0
		}
		if o[0] == jumbo && n == 6 {
			return binary.BigEndian.Uint32(o[2:])
		}
		o = o[n:]
	}
	return 0
}
