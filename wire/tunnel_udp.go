package wire

import "encoding/binary"

const udpHeader = 8

// tunnelPorts holds what may be in the payload of UDP by its port. A port is a
// weak reason: every reader here demands that the header which it finds is one
// that the tunnel's endpoint would accept, and else says SkipNotTCP.
var (
	tunnelPorts = map[uint16]knownHeader{}
	// tunnelPort answers for most of UDP, which is no tunnel.
	tunnelPort [1 << 16 / 64]uint64
)

// readsUDP says how to read what is sent to UDP ports.
func readsUDP(least int, read reader, ports ...uint16) struct{} {
	for _, p := range ports {
		if _, ok := tunnelPorts[p]; ok {
			panic("wire: two readers of one port")
		}
		tunnelPorts[p] = knownHeader{least, read}
		tunnelPort[p/64] |= 1 << (p % 64)
	}
	return struct{}{}
}

func isTunnelPort(p uint16) bool { return tunnelPort[p/64]>>(p%64)&1 != 0 }

var _ = reads(0, readUDP, protoIP+ipUDP)

// readUDP reads a UDP header (RFC 768) together with the tunnel's behind it.
func readUDP(b []byte, room uint32) (header, Skip) {
	if room < udpHeader {
		return header{}, SkipNotTCP
	}
	if len(b) < udpHeader {
		return header{}, SkipTruncated
	}
	if !udpFragment(b) {
		return header{}, SkipNotTCP
	}
	// 0 is a datagram beyond 65535 octets, or one that the network card has yet to
	// cut up.
	if length := uint32(binary.BigEndian.Uint16(b[4:])); length != 0 {
		if length < udpHeader {
			return header{}, SkipNotTCP
		}
		room = min(room, length)
		b = b[:min(len(b), int(room))]
	}
	// Mostly the receiver's port is the tunnel's, and the sender's is a hash of
	// what is carried (RFC 7348 section 5); some use the port at both ends.
	for _, port := range [...]uint16{binary.BigEndian.Uint16(b[2:]), binary.BigEndian.Uint16(b)} {
		if !isTunnelPort(port) {
			continue
		}
		k := tunnelPorts[port]
		if room-udpHeader < uint32(k.least) {
			continue
		}
		if len(b) < udpHeader+k.least {
			return header{}, SkipTruncated
		}
		h, skip := k.read(b[udpHeader:], room-udpHeader)
		switch skip {
		case SkipNone:
			h.size += udpHeader
			if h.reach == 0 {
				h.reach = room
			} else {
				h.reach += udpHeader
			}
			return h, SkipNone
		case SkipTruncated, SkipEncrypted:
			return header{}, skip
		}
	}
	return header{}, SkipNotTCP
}

// udpFragment reports whether a datagram that begins with b may be a tunnel's.
func udpFragment(b []byte) bool {
	return len(b) >= 4 && (isTunnelPort(binary.BigEndian.Uint16(b)) || isTunnelPort(binary.BigEndian.Uint16(b[2:])))
}

// plainUDP reports whether a datagram that begins with b is no tunnel's for sure. It
// spares most of UDP the walk.
func plainUDP(b []byte) bool { return len(b) >= udpHeader && !udpFragment(b) }

// MPLS in UDP (RFC 7510) and GRE in UDP (RFC 8086); their encrypted forms have
// ports of their own, and are UDP like any other here.
var (
	_ = readsUDP(4, func(b []byte, _ uint32) (header, Skip) { return header{next: protoMPLS}, SkipNone }, 6635)
	_ = readsUDP(greLeast, func(b []byte, room uint32) (header, Skip) {
		h, skip := readGRE(b, room)
		if skip == SkipMalformed {
			skip = SkipNotTCP
		}
		return h, skip
	}, greInUDPPort)
)

// ESP in UDP (RFC 3948): what begins with zeros there is IKE, and one octet keeps
// a translator's entry alive.
var _ = readsUDP(8, func(b []byte, _ uint32) (header, Skip) {
	if binary.BigEndian.Uint32(b) == 0 {
		return header{}, SkipNotTCP
	}
	return header{}, SkipEncrypted
}, 4500)
