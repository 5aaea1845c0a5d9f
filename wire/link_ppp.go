package wire

// Link types of PPP: with or without the HDLC octets ff 03 in front, and inside
// PPPoE without its Ethernet header.
const (
	LinkPPP         LinkType = 9
	LinkPPPHDLC     LinkType = 50
	LinkPPPEthernet LinkType = 51
)

var (
	_ = register(LinkPPP, "PPP", 1, serial)
	_ = register(LinkPPPHDLC, "PPP_HDLC", 1, serial)
	_ = register(LinkPPPEthernet, "PPP_ETHER", 0, func([]byte) (proto, int) { return protoPPPoE, 0 })
)
