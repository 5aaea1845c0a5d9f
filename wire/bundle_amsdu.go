package wire

import "encoding/binary"

var _ = bundled(protoAMSDU, partAMSDU)

// partAMSDU reads the next subframe of an A-MSDU (IEEE 802.11 section 9.3.2.2):
// destination, source, length, LLC, with padding to four octets before the next.
func partAMSDU(b *bundle, p *place) Skip {
	const header = 14
	at := uint32(b.off)
	if skip := b.has(at, header); skip != SkipNone {
		if skip == skipEnd && at == 0 {
			return SkipMalformed
		}
		return skip // less than a header is the frame's check sequence
	}
	length := uint32(binary.BigEndian.Uint16(b.g.Data[at+header-2:]))
	room := min(length, wireLength(&b.g)-at-header)
	b.cut(p, protoLLC, at+header, room, room)
	b.off = int(at+header+length+3) &^ 3
	return SkipNone
}
