package wire

// Link types of frames that begin with the IP header.
const (
	LinkRaw LinkType = 101
	// LinkRaw12 and LinkRaw14 are DLT_RAW of two families of systems; files that
	// were written with it, not with LINKTYPE_RAW, have these numbers.
	LinkRaw12 LinkType = 12
	LinkRaw14 LinkType = 14
	LinkIPv4  LinkType = 228
	LinkIPv6  LinkType = 229
)

var (
	_ = register(LinkRaw, "RAW", 1, rawIP)
	_ = register(LinkRaw12, "RAW_12", 1, rawIP)
	_ = register(LinkRaw14, "RAW_14", 1, rawIP)
	_ = register(LinkIPv4, "IPV4", 0, func([]byte) (proto, int) { return protoIPv4, 0 })
	_ = register(LinkIPv6, "IPV6", 0, func([]byte) (proto, int) { return protoIPv6, 0 })
)

// rawIP tells the IP version from the packet.
func rawIP(b []byte) (proto, int) { return ipVersion(b[0]), 0 }

// ipVersion tells by its first octet which IP a packet is of.
func ipVersion(first byte) proto {
	switch first >> 4 {
	case 4:
		return protoIPv4
	case 6:
		return protoIPv6
	}
	return protoNone
}
