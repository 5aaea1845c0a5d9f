package scenario

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync"

	"github.com/tcplife/tcplife/wire"
)

// Link says how IP packets are wrapped in a capture.
type Link struct {
	Name string
	Type wire.LinkType
	// V4 and V6 say which IP versions the link type carries.
	V4, V6 bool
	// wrap puts an IP packet into a frame. from is the number of the sending host,
	// v6 the packet's version.
	wrap func(packet []byte, from int, v6 bool) []byte
}

// Links lists every encapsulation that scripts are compiled to, Ethernet first. A
// test demands at least one for each link type that package wire registers.
func Links() []Link { return slices.Clone(allLinks()) }

// allLinks is made once: every variant of every script asks for its link by name.
var allLinks = sync.OnceValue(func() []Link {
	links := []Link{
		{"ethernet", wire.LinkEthernet, true, true, prefixed(ethernet)},
		{"vlan", wire.LinkEthernet, true, true, prefixed(vlan)},
		{"sll", wire.LinkLinuxSLL, true, true, prefixed(sll)},
		{"sll2", wire.LinkLinuxSLL2, true, true, prefixed(sll2)},
		{"raw", wire.LinkRaw, true, true, prefixed(bare)},
		{"raw12", wire.LinkRaw12, true, true, prefixed(bare)},
		{"raw14", wire.LinkRaw14, true, true, prefixed(bare)},
		{"ipv4", wire.LinkIPv4, true, false, prefixed(bare)},
		{"ipv6", wire.LinkIPv6, false, true, prefixed(bare)},
		{"null", wire.LinkNull, true, true, prefixed(null)},
		{"loop", wire.LinkLoop, true, true, prefixed(loop)},
		{"ppp", wire.LinkPPP, true, true, prefixed(ppp)},
		{"ppp-hdlc", wire.LinkPPPHDLC, true, true, prefixed(pppHDLC)},
		{"pppoe", wire.LinkPPPEthernet, true, true, pppoe},
		{"chdlc", wire.LinkCiscoHDLC, true, true, prefixed(chdlc)},
	}
	return append(append(links, otherLinks()...), tunnels()...)
})

// prefixed makes a wrapping of a header that does not know the packet's length.
func prefixed(write func(b []byte, from int, v6 bool) []byte) func([]byte, int, bool) []byte {
	return func(packet []byte, from int, v6 bool) []byte { return append(write(nil, from, v6), packet...) }
}

// LinkByName returns the entry of Links with that name.
func LinkByName(name string) (Link, error) {
	for _, l := range allLinks() {
		if l.Name == name {
			return l, nil
		}
	}
	return Link{}, fmt.Errorf("no link %q", name)
}

const (
	etherIPv4 = 0x0800
	etherVLAN = 0x8100
	etherIPv6 = 0x86dd
)

func etherType(v6 bool) uint16 {
	if v6 {
		return etherIPv6
	}
	return etherIPv4
}

// mac returns the locally administered address of a host.
func mac(host int) []byte { return []byte{0x02, 0, 0, 0, 0, byte(host + 1)} }

// addresses writes the destination and source of an Ethernet header. The receiver
// is the host's router: with more than two hosts one address is enough.
func addresses(b []byte, from int) []byte {
	return append(append(b, mac(0xfe-from)...), mac(from)...)
}

func ethernet(b []byte, from int, v6 bool) []byte {
	return binary.BigEndian.AppendUint16(addresses(b, from), etherType(v6))
}

func vlan(b []byte, from int, v6 bool) []byte {
	b = binary.BigEndian.AppendUint16(addresses(b, from), etherVLAN)
	b = binary.BigEndian.AppendUint16(b, 12)
	return binary.BigEndian.AppendUint16(b, etherType(v6))
}

// cookedKind is the packet type of cooked captures: the first host is the one
// that captures (4 is outgoing, 0 is to us).
func cookedKind(from int) byte {
	if from == 0 {
		return 4
	}
	return 0
}

func sll(b []byte, from int, v6 bool) []byte {
	b = append(b, 0, cookedKind(from), 0, 1, 0, 6)
	b = append(append(b, mac(from)...), 0, 0)
	return binary.BigEndian.AppendUint16(b, etherType(v6))
}

func sll2(b []byte, from int, v6 bool) []byte {
	b = binary.BigEndian.AppendUint16(b, etherType(v6))
	b = append(b, 0, 0, 0, 0, 0, 2, 0, 1, cookedKind(from), 6)
	return append(append(b, mac(from)...), 0, 0)
}

func bare(b []byte, _ int, _ bool) []byte { return b }

// family is the address family of BSD loopback headers; 30 is macOS's AF_INET6.
func family(v6 bool) uint32 {
	if v6 {
		return 30
	}
	return 2
}

func null(b []byte, _ int, v6 bool) []byte {
	return binary.LittleEndian.AppendUint32(b, family(v6))
}

func loop(b []byte, _ int, v6 bool) []byte {
	return binary.BigEndian.AppendUint32(b, family(v6))
}

// ppp writes PPP's protocol field (RFC 1661), pppHDLC the octets of RFC 1662 too.
func ppp(b []byte, _ int, v6 bool) []byte {
	if v6 {
		return append(b, 0x00, 0x57)
	}
	return append(b, 0x00, 0x21)
}

func pppHDLC(b []byte, from int, v6 bool) []byte {
	return ppp(append(b, 0xff, 0x03), from, v6)
}

// pppoe writes a session header (RFC 2516). Its length counts what follows it: PPP's
// protocol field and the packet.
func pppoe(packet []byte, from int, v6 bool) []byte {
	b := binary.BigEndian.AppendUint16([]byte{0x11, 0x00, 0x00, 0x01}, uint16(2+len(packet)))
	return append(ppp(b, from, v6), packet...)
}

// chdlc writes a Cisco HDLC header to a unicast address.
func chdlc(b []byte, _ int, v6 bool) []byte {
	return binary.BigEndian.AppendUint16(append(b, 0x0f, 0), etherType(v6))
}
