package wire

// Link types of Ethernet with something more: the tag by which a switch chip tells
// its processor the port, and headers of capture cards.
const (
	LinkDSABroadcom        LinkType = 281
	LinkDSABroadcomPrepend LinkType = 282
	LinkDSAMarvell         LinkType = 284
	LinkDSAMarvellEther    LinkType = 285

	LinkNetAnalyzer LinkType = 240
	LinkMPacket     LinkType = 274
	LinkEPON        LinkType = 259
	LinkDOCSIS      LinkType = 143
	LinkERF         LinkType = 197
)

const preamble = 8

var (
	_ = register(LinkDSABroadcom, "DSA_TAG_BRCM", 18, etherTypeAt(16, 18))
	_ = register(LinkDSABroadcomPrepend, "DSA_TAG_BRCM_PREPEND", 18, etherTypeAt(16, 18))
	_ = register(LinkDSAMarvell, "DSA_TAG_DSA", 18, etherTypeAt(16, 18))
	_ = register(LinkDSAMarvellEther, "DSA_TAG_EDSA", 22, etherTypeAt(20, 22))

	_ = register(LinkNetAnalyzer, "NETANALYZER", 4, func([]byte) (proto, int) { return protoEthernet, 4 })
	_ = register(LinkEPON, "EPON", preamble, func([]byte) (proto, int) { return protoEthernet, preamble })
	_ = register(LinkMPacket, "ETHERNET_MPACKET", preamble, func(b []byte) (proto, int) {
		// The last octet tells a whole frame, and the first piece of a preempted one,
		// from what has no header (IEEE 802.3 clause 99).
		switch b[7] {
		case 0xd5, 0xe6, 0x4c, 0x7f, 0xb3:
			return protoEthernet, preamble
		}
		return protoNone, preamble
	})
	_ = register(LinkDOCSIS, "DOCSIS", 6, func(b []byte) (proto, int) {
		const packet, extended = 0, 1
		if b[0]>>6 != packet {
			return protoNone, 6
		}
		if b[0]&extended != 0 {
			return protoEthernet, 6 + int(b[1])
		}
		return protoEthernet, 6
	})
	_ = register(LinkERF, "ERF", erfHeader, erf)
)

const erfHeader = 16

// erf reads a record header of Endace's cards, and its extensions.
func erf(b []byte) (proto, int) {
	const more = 0x80
	at := erfHeader
	for extended := b[8]&more != 0; extended; at += 8 {
		if len(b) < at+8 {
			return protoNone, at + 8
		}
		extended = b[at]&more != 0
	}
	switch b[8] &^ more {
	case 2, 11, 16, 20: // Ethernet, coloured, steered, hashed: two octets first
		return protoEthernet, at + 2
	case 1, 10, 15, 17: // packet over SONET
		if len(b) <= at {
			return protoNone, at + 1
		}
		next, size := serial(b[at:])
		return next, at + size
	case 22:
		return protoIPv4, at
	case 23:
		return protoIPv6, at
	}
	return protoNone, at
}
