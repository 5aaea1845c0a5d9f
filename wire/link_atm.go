package wire

// Link types of IP over ATM: RFC 2684's LLC headers, Linux's classical IP, which
// may leave them out, and Sun's, with a header for the circuit.
const (
	LinkATM1483 LinkType = 100
	// LinkATM1483BSD is DLT_ATM_RFC1483, written to files as it is.
	LinkATM1483BSD LinkType = 11
	LinkATMCLIP    LinkType = 106
	LinkSunATM     LinkType = 123
)

var (
	_ = register(LinkATM1483, "ATM_RFC1483", 0, func([]byte) (proto, int) { return protoLLC, 0 })
	_ = register(LinkATM1483BSD, "ATM_RFC1483_11", 0, func([]byte) (proto, int) { return protoLLC, 0 })
	_ = register(LinkATMCLIP, "ATM_CLIP", 1, func(b []byte) (proto, int) {
		if b[0] == 0xaa {
			return protoLLC, 0
		}
		return rawIP(b)
	})
	_ = register(LinkSunATM, "SUNATM", 4, func(b []byte) (proto, int) {
		const lane, llc = 1, 2
		switch b[0] & 0xf {
		case llc:
			return protoLLC, 4
		case lane: // LAN emulation: two octets name the sending client
			return protoEthernet, 6
		}
		return protoNone, 4
	})
)
