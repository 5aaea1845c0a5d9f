package wire

// Link types of rings: FDDI and IEEE 802.5.
const (
	LinkFDDI      LinkType = 10
	LinkTokenRing LinkType = 6
)

const (
	fddiHeader = 13
	ringHeader = 14
)

var (
	_ = register(LinkFDDI, "FDDI", fddiHeader, func(b []byte) (proto, int) {
		// Frame control: asynchronous or synchronous, with LLC.
		if b[0]&0x70 != 0x50 {
			return protoNone, fddiHeader
		}
		return protoLLC, fddiHeader
	})
	_ = register(LinkTokenRing, "IEEE802_5", ringHeader, func(b []byte) (proto, int) {
		if b[1]>>6 != 1 {
			return protoNone, ringHeader
		}
		// A source address of a group cannot be: the bit says that a route follows.
		if b[8]&0x80 == 0 {
			return protoLLC, ringHeader
		}
		if len(b) <= ringHeader {
			return protoLLC, ringHeader + 1
		}
		route := int(b[ringHeader] & 0x1f)
		if route < 2 {
			return protoDamaged, 0
		}
		return protoLLC, ringHeader + route
	})
)
