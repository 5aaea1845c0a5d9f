package scenario

import (
	"encoding/binary"
	"strings"

	"github.com/tcplife/tcplife/wire"
)

// Tunnel reports whether the packets travel in other packets.
func (l Link) Tunnel() bool { return strings.HasPrefix(l.Name, "in-") }

// tunnels put the packet into another one over Ethernet. What each end chooses for
// itself differs between the directions, as it does in practice.
func tunnels() []Link {
	const innerEther = " 020000000012 020000000011 TYPE"
	gre := func(octets string) func([]byte, int, bool) []byte { return tunnel(47, 0, octets) }
	udp := func(port uint16, octets string) func([]byte, int, bool) []byte { return tunnel(17, port, octets) }
	both := func(name string, wrap func([]byte, int, bool) []byte) Link {
		return Link{"in-" + name, wire.LinkEthernet, true, true, wrap}
	}
	return []Link{
		both("ip", func(packet []byte, from int, v6 bool) []byte {
			if v6 {
				return outer(packet, from, 41)
			}
			return outer(packet, from, 4)
		}),
		both("gre", gre("0000 TYPE")),
		both("gre-key", gre("2000 TYPE 00001389")),
		both("gre-ethernet", gre("0000 6558"+innerEther)),
		both("pptp", gre("3001 880b SIZE FROM 00000001 ff03 PPP")),
		both("eoip", gre("2001 6400 SIZE 0700"+innerEther)),
		both("erspan", gre("1000 88be 00000001 1007 0005 00000012"+innerEther)),
		both("wccp", gre("0000 883e 01020000")),
		both("etherip", tunnel(97, 0, "3000"+innerEther)),
		both("mpls-ip", tunnel(137, 0, "000101ff")),
		both("vxlan", udp(4789, "08000000 00138900"+innerEther)),
		both("vxlan-gpe", udp(4790, "08000000 00138900"+innerEther)),
		both("geneve", udp(6081, "0140 TYPE 00000700 01028000")),
		both("gtp", udp(2152, "30ff SIZE 0000 FROM")),
		both("l2tp", udp(1701, "0002 FROM FROM ff03 PPP")),
		both("l2tpv3", tunnel(115, 0, "0000 FROM"+innerEther)),
		both("lisp", udp(4341, "c8000001 00000701")),
		both("mpls-udp", udp(6635, "000101ff")),
		both("gre-udp", udp(4754, "0000 TYPE")),
		both("capwap", udp(5247, "00100200 00000000"+innerEther)),
		both("tzsp", udp(37008, "0100 0001 01"+innerEther)),
		{"in-teredo", wire.LinkEthernet, false, true, udp(3544, "")},
		both("ayiya", func(packet []byte, from int, v6 bool) []byte {
			h := octets("42521104 00000001" + strings.Repeat("00", 36))
			if v6 {
				h[3] = 41
			}
			return datagram(append(h, packet...), from, 5072)
		}),
		{"in-backbone", wire.LinkEthernet, true, true, hexHeader("020000000002 020000000001 88e7 00000102 020000000012 020000000011 0800",
			"020000000002 020000000001 88e7 00000102 020000000012 020000000011 86dd")},
		{"in-pseudowire", wire.LinkEthernet, true, true, hexHeader("020000000002 020000000001 8847 000101ff 00000000 020000000012 020000000011 0800",
			"020000000002 020000000001 8847 000101ff 00000000 020000000012 020000000011 86dd")},
	}
}

// tunnel wraps by a header in hex, in which stand for octets: TYPE for the packet's
// EtherType, PPP for its number there, FROM for two that differ between the
// directions, and SIZE for the length of what follows the fixed part of the header.
// The header stands in IPv4, above UDP if there is a port.
func tunnel(protocol byte, port uint16, text string) func([]byte, int, bool) []byte {
	return func(packet []byte, from int, v6 bool) []byte {
		etherType, pppType, side := "0800", "0021", "0001"
		if v6 {
			etherType, pppType = "86dd", "0057"
		}
		if from != 0 {
			side = "0002"
		}
		fill := strings.NewReplacer("TYPE", etherType, "PPP", pppType, "FROM", side, "SIZE", "0000")
		b := append(octets(fill.Replace(text)), packet...)
		if before, _, ok := strings.Cut(text, "SIZE"); ok {
			fixed := 8 // GTP, EoIP
			if strings.Contains(text, "880b") {
				fixed = 12 // PPTP
			}
			binary.BigEndian.PutUint16(b[len(octets(fill.Replace(before))):], uint16(len(b)-fixed))
		}
		if port != 0 {
			return datagram(b, from, port)
		}
		return outer(b, from, protocol)
	}
}

// datagram puts octets into UDP to a port.
func datagram(b []byte, from int, port uint16) []byte {
	h := []byte{0xc0, byte(from), byte(port >> 8), byte(port), 0, 0, 0, 0}
	binary.BigEndian.PutUint16(h[4:], uint16(len(h)+len(b)))
	return outer(append(h, b...), from, 17)
}

// outer puts octets into IPv4 between two routers, over Ethernet.
func outer(b []byte, from int, protocol byte) []byte {
	h := octets("4500 0000 0000 4000 ff00 0000 c0000201 c0000202")
	if from != 0 {
		h[15], h[19] = 2, 1
	}
	binary.BigEndian.PutUint16(h[2:], uint16(len(h)+len(b)))
	h[9] = protocol
	return append(ethernet(nil, from, false), append(h, b...)...)
}
