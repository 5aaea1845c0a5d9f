package wire

import "encoding/binary"

// LinkLinuxSLL is Linux's "cooked" capture, from tcpdump -i any.
const LinkLinuxSLL LinkType = 113

const sllHeader = 16

var _ = register(LinkLinuxSLL, "LINUX_SLL", sllHeader, func(b []byte) (proto, int) {
	return cooked(binary.BigEndian.Uint16(b[14:]), binary.BigEndian.Uint16(b[2:])), sllHeader
})

// cooked tells what follows a cooked header from its protocol field and the kind
// of device (ARPHRD_ value) that the frame came from.
func cooked(protocol, device uint16) proto {
	const (
		deviceNetlink = 824 // the protocol is a netlink family
		protocolLLC   = 4   // ETH_P_802_2
	)
	// 801 to 803 are 802.11 devices: their own header comes first.
	if device == deviceNetlink || device >= 801 && device <= 803 {
		return protoNone
	}
	if protocol == protocolLLC {
		return protoLLC
	}
	if proto(protocol) <= protoMaxLength {
		return protoNone // other pseudo-protocols of Linux, not a length
	}
	return proto(protocol)
}
