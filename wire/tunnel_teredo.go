package wire

import "encoding/binary"

var _ = readsUDP(1, readTeredo, 3544)

// readTeredo reads what Teredo puts before an IPv6 packet: an authentication and
// an origin indication, in this order, or neither (RFC 4380 section 5.1.1).
func readTeredo(b []byte, room uint32) (header, Skip) {
	h := header{next: protoIPv6, kind: layerTeredo}
	const authentication, origin = 1, 0
	for _, indication := range [...]byte{authentication, origin} {
		if len(b) < h.size+4 {
			return header{}, cutOr(SkipNotTCP, h.size+4, room)
		}
		if b[h.size] != 0 || b[h.size+1] != indication {
			continue
		}
		if indication == authentication {
			// Client identifier and value of the given lengths, nonce, confirmation.
			h.size += 4 + int(b[h.size+2]) + int(b[h.size+3]) + 9
		} else {
			h.size += 8
		}
	}
	if uint32(h.size)+ipv6Header > room {
		return header{}, SkipNotTCP
	}
	if len(b) < h.size+6 {
		return header{}, SkipTruncated
	}
	packet := b[h.size:]
	if packet[0]>>4 != 6 || uint32(h.size)+ipv6Header+uint32(binary.BigEndian.Uint16(packet[4:])) > room {
		return header{}, SkipNotTCP
	}
	return h, SkipNone
}

// cutOr tells why size octets are not there: SkipTruncated when there are as many
// on the wire, otherwise what is given.
func cutOr(otherwise Skip, size int, room uint32) Skip {
	if uint32(size) <= room {
		return SkipTruncated
	}
	return otherwise
}
