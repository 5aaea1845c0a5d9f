package wire

// Link types of ARCNET: as BSD captures it, and as Linux does, with two octets
// more.
const (
	LinkARCNET      LinkType = 7
	LinkARCNETLinux LinkType = 129
)

var (
	_ = register(LinkARCNET, "ARCNET_BSD", 3, func(b []byte) (proto, int) { return arcnet(b, 2) })
	_ = register(LinkARCNETLinux, "ARCNET_LINUX", 5, func(b []byte) (proto, int) { return arcnet(b, 4) })
)

// arcnet reads from the protocol octet at on: RFC 1051's IP has no further header,
// RFC 1201's a flag and a number for packets that were cut up.
func arcnet(b []byte, at int) (proto, int) {
	const oldIP, ip, exception = 240, 212, 0xff
	switch b[at] {
	case oldIP:
		return protoIPv4, at + 1
	case ip:
		if len(b) < at+4 {
			return protoIPv4, at + 4
		}
		flag := b[at+1]
		if at++; flag == exception {
			// A length that the hardware cannot send is padded with another header.
			if at += 4; len(b) < at+3 {
				return protoIPv4, at + 3
			}
			flag = b[at]
		}
		if flag != 0 {
			return protoNone, at // a piece of a packet
		}
		return protoIPv4, at + 3
	}
	return protoNone, at + 1
}
