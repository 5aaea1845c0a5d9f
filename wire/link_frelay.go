package wire

import "encoding/binary"

// Link types of frame relay, without and with an octet for the direction.
const (
	LinkFrameRelay    LinkType = 107
	LinkFrameRelayDir LinkType = 206
)

var (
	_ = register(LinkFrameRelay, "FRELAY", 4, func(b []byte) (proto, int) { return frameRelay(b, 0) })
	_ = register(LinkFrameRelayDir, "FRELAY_WITH_DIR", 5, func(b []byte) (proto, int) { return frameRelay(b, 1) })
)

// frameRelay reads Q.922's address and what RFC 2427 puts behind it, or Cisco an
// EtherType.
func frameRelay(b []byte, at int) (proto, int) {
	const unnumbered, last = 0x03, 0x01
	first := at
	for {
		if len(b) < at+3 {
			return protoNone, at + 3
		}
		at++
		if b[at-1]&last != 0 {
			break
		}
	}
	if n := at - first; n < 2 || n > 4 {
		return protoNone, at
	}
	if b[at] != unnumbered {
		return proto(binary.BigEndian.Uint16(b[at:])), at + 2
	}
	if at++; b[at] == 0 {
		at++ // padding
	}
	return protoNLPID, at
}
