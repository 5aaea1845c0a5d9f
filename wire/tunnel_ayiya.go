package wire

import "encoding/binary"

var _ = readsUDP(8, readAYIYA, 5072)

// readAYIYA reads "anything in anything" (draft-massar-v6ops-ayiya-02 section 3),
// by which IPv6 went through address translators.
func readAYIYA(b []byte, room uint32) (header, Skip) {
	const forward = 1
	size := 8 + 1<<(b[0]>>4) + int(b[1]>>4)*4 // identity and signature are of given lengths
	if b[2]&0xf != forward || uint32(size) >= room {
		return header{}, SkipNotTCP
	}
	h := header{size: size, kind: layerAYIYA}
	switch b[3] {
	case ipIPv4, ipIPv6:
		if h, skip := carriesIP(h, b); skip != SkipNone || (h.next == protoIPv4) == (b[3] == ipIPv4) {
			return h, skip
		}
	}
	return header{}, SkipNotTCP
}

var _ = readsUDP(8, readLISP, 4341)

// readLISP reads LISP's data header (RFC 9300 section 5.1). The instance names the
// address space (RFC 8060).
func readLISP(b []byte, room uint32) (header, Skip) {
	const instance = 0x08
	h := header{size: 8, kind: layerLISP}
	if b[0]&instance != 0 {
		h.kind, h.value = layerLISPInstance, binary.BigEndian.Uint32(b[4:])>>8
	}
	if room < 8+ipv4Header {
		return header{}, SkipNotTCP
	}
	return carriesIP(h, b)
}
