package wire

import "encoding/binary"

const geneveHeader = 8

var _ = readsUDP(geneveHeader, readGeneve, 6081)

// readGeneve reads RFC 8926's header. Options are passed over, critical ones too: a
// tap is no tunnel endpoint, which would have to understand them.
func readGeneve(b []byte, room uint32) (header, Skip) {
	const control = 0x80
	size := geneveHeader + int(b[0]&0x3f)*4
	if b[0]>>6 != 0 || b[1]&control != 0 || uint32(size) > room {
		return header{}, SkipNotTCP
	}
	if size > len(b) {
		return header{}, SkipTruncated
	}
	next := proto(binary.BigEndian.Uint16(b[2:]))
	if next <= protoMaxLength {
		return header{}, SkipNotTCP
	}
	return header{next: next, size: size, kind: layerGeneve, value: vni(b[4:])}, SkipNone
}
