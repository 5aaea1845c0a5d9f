package wire

import "encoding/binary"

// Tags between Ethernet's addresses and the type of what is carried, and Ethernet
// in Ethernet.
const (
	protoVNTag    proto = 0x8926 // Cisco's virtual interfaces
	protoETag     proto = 0x893f // IEEE 802.1BR
	protoRTag     proto = 0xf1c1 // IEEE 802.1CB
	protoHSR      proto = 0x892f // IEC 62439-3
	protoMetadata proto = 0x8909 // Cisco's security groups
	protoMACsec   proto = 0x88e5 // IEEE 802.1AE
	protoBackbone proto = 0x88e7 // IEEE 802.1ah
	protoNSH      proto = 0x894f
)

// What these tags say concerns one frame, one direction or one path: a virtual
// interface's number is the sender's or the receiver's. None is a layer.
var (
	_ = reads(6, tag(6), protoVNTag, protoRTag, protoHSR)
	_ = reads(8, tag(8), protoETag)
	_ = reads(8, tag(8), protoMetadata)
)

// tag reads a tag of a fixed size, the type of what follows in its last octets.
func tag(size int) reader {
	return func(b []byte, _ uint32) (header, Skip) {
		return header{next: proto(binary.BigEndian.Uint16(b[size-2:])), size: size}, SkipNone
	}
}

// MACsec's tag has an octet of flags, one for short frames, and a packet number;
// then, if a flag says so, the channel's identifier. Only frames that are
// authenticated and not encrypted can be read. Their check value at the end is no
// payload: IP has a length of its own.
var _ = reads(6, func(b []byte, room uint32) (header, Skip) {
	const version, channel, encrypted, changed = 0x80, 0x20, 0x08, 0x04
	if b[0]&version != 0 {
		return header{}, SkipNotIP
	}
	if b[0]&(encrypted|changed) != 0 {
		return header{}, SkipEncrypted
	}
	size := 8
	if b[0]&channel != 0 {
		size += 8
	}
	if uint32(size) > room {
		return header{}, SkipMalformed
	}
	if size > len(b) {
		return header{}, SkipTruncated
	}
	return header{next: proto(binary.BigEndian.Uint16(b[size-2:])), size: size}, SkipNone
}, protoMACsec)

// A provider backbone bridge puts the customer's frame behind its own addresses
// and a service identifier, which names the customer's network.
var _ = reads(4, func(b []byte, _ uint32) (header, Skip) {
	return header{next: protoEthernet, size: 4, kind: layerBackbone, value: binary.BigEndian.Uint32(b) & 0xffffff}, SkipNone
}, protoBackbone)
