package wire

// IP in IP: RFC 2003 and RFC 2473, 6in4 (RFC 4213) and 4in6. One layer for all of
// them: which version the outer header has is the provider's matter. Its addresses
// are no part of the path (see docs/adr/0004-identity.md).
var (
	_ = reads(0, ipInIP(protoIPv4), protoIP+ipIPv4)
	_ = reads(0, ipInIP(protoIPv6), protoIP+ipIPv6)
)

func ipInIP(inner proto) reader {
	return func([]byte, uint32) (header, Skip) {
		return header{next: inner, kind: layerIPIP}, SkipNone
	}
}

// The authentication header (RFC 4302) is a header of the packet, not another
// packet around it, and so no layer. Its SPI is the receiver's, and a new one every
// few hours.
var _ = reads(8, func(b []byte, room uint32) (header, Skip) {
	// The length counts words, without two; there are three at least.
	size := int(b[1])*4 + 8
	if size < 12 || uint32(size) > room {
		return header{}, SkipMalformed
	}
	if size > len(b) {
		return header{}, SkipTruncated
	}
	return header{next: protoIP + proto(b[0]), size: size}, SkipNone
}, protoIP+ipAH)

var _ = reads(0, func([]byte, uint32) (header, Skip) { return header{}, SkipEncrypted }, protoIP+ipESP)

// EtherIP (RFC 3378) has two octets, of which four bits are the version.
var _ = reads(2, func(b []byte, _ uint32) (header, Skip) {
	if b[0]>>4 != 3 {
		return header{}, SkipNotTCP
	}
	return header{next: protoEthernet, size: 2, kind: layerEtherIP}, SkipNone
}, protoIP+ipEtherIP)

// Ethernet straight in IPv6 (RFC 8986 section 4.9), and MPLS in IP (RFC 4023).
var (
	_ = reads(0, func([]byte, uint32) (header, Skip) { return header{next: protoEthernet, kind: layerIPIP}, SkipNone }, protoIP+ipEthernet)
	_ = reads(0, func([]byte, uint32) (header, Skip) { return header{next: protoMPLS}, SkipNone }, protoIP+ipMPLS)
)
