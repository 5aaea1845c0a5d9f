package wire

var _ = reads(1, readNLPID, protoNLPID)

// readNLPID reads the octet that names a protocol in frame relay (RFC 2427) and
// behind ISO's LLC addresses (RFC 2684 section 5.1).
func readNLPID(b []byte, _ uint32) (header, Skip) {
	h := header{size: 1}
	switch b[0] {
	case 0xcc:
		h.next = protoIPv4
	case 0x8e:
		h.next = protoIPv6
	case 0x80:
		h.next = protoSNAP
	case 0xcf:
		h.next = protoPPP
	default:
		return header{}, SkipNotIP
	}
	return h, SkipNone
}
