package wire

// Link types of serial lines that begin with an octet for the direction, and
// SLIP as BSD captures it: the direction, then room for the compressed header.
const (
	LinkPPPDir       LinkType = 204
	LinkCiscoHDLCDir LinkType = 205
	LinkSLIP         LinkType = 8
)

var (
	_ = register(LinkPPPDir, "PPP_WITH_DIR", 2, func(b []byte) (proto, int) {
		next, off := serial(b[1:])
		return next, off + 1
	})
	_ = register(LinkCiscoHDLCDir, "C_HDLC_WITH_DIR", 1+chdlcHeader, func(b []byte) (proto, int) {
		return proto(b[3])<<8 | proto(b[4]), 1 + chdlcHeader
	})
	_ = register(LinkSLIP, "SLIP", 17, func(b []byte) (proto, int) { return ipVersion(b[16]), 16 })
)

// serial tells PPP from Cisco's framing, which share link types: the address octet
// is 0f or 8f with the latter.
func serial(b []byte) (proto, int) {
	if b[0] != 0x0f && b[0] != 0x8f {
		return protoPPP, 0
	}
	if len(b) < chdlcHeader {
		return protoNone, chdlcHeader
	}
	return proto(b[2])<<8 | proto(b[3]), chdlcHeader
}
