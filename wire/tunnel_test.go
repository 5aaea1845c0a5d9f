package wire

import (
	"encoding/binary"
	"strings"
	"testing"
)

// A wrapping puts something around a packet.
type wrapping func([]byte) []byte

// before is a header whose octets do not depend on what follows.
func before(header string) wrapping {
	return func(b []byte) []byte { return append(fixture("x "+header), b...) }
}

// sized is a header with a 16-bit length of what follows, and more, at a place.
func sized(header string, at, more int) wrapping {
	return func(b []byte) []byte {
		h := fixture("x " + header)
		binary.BigEndian.PutUint16(h[at:], uint16(len(b)+more))
		return append(h, b...)
	}
}

// The outer headers have addresses of their own.
func inIPv4(protocol byte) wrapping {
	return func(b []byte) []byte {
		h := fixture("ip4 45 00 0000 0009 4000 ff 00 0000 c0000201 c0000202")
		binary.BigEndian.PutUint16(h[2:], uint16(len(h)+len(b)))
		h[9] = protocol
		return append(h, b...)
	}
}

func inIPv6(next byte) wrapping {
	return func(b []byte) []byte {
		h := fixture("ip6 60000000 0000 00 ff 20010db8000100000000000000000001 20010db8000100000000000000000002")
		binary.BigEndian.PutUint16(h[4:], uint16(len(b)))
		h[6] = next
		return append(h, b...)
	}
}

// inUDP is IPv4 and UDP to a port. IPv6 asks for a checksum, tunnels do not.
func inUDP(port uint16) wrapping {
	return func(b []byte) []byte {
		h := fixture("udp c000 0000 0000 0000")
		binary.BigEndian.PutUint16(h[2:], port)
		binary.BigEndian.PutUint16(h[4:], uint16(len(h)+len(b)))
		return inIPv4(ipUDP)(append(h, b...))
	}
}

func wrapped(b []byte, w ...wrapping) []byte {
	for i := len(w) - 1; i >= 0; i-- {
		b = w[i](b)
	}
	return b
}

var (
	eth4      = before("020000000002 020000000001 0800")
	eth6      = before("020000000002 020000000001 86dd")
	innerEth  = before("020000000012 020000000011 0800")
	innerVLAN = before("020000000012 020000000011 8100 0007 0800")
	innerWLAN = before("88 01 0000 020000000002 020000000001 020000000003 1000 0000 aa aa 03 000000 0800")
	swapped   = before("01 88 0000 020000000002 020000000001 020000000003 1000 0000 aa aa 03 000000 0800")
)

// tunnels carry an IPv4 packet. Their headers are those of the RFCs that the readers
// name; tshark confirms each in TestTunnelsTshark.
var tunnels = []struct {
	name    string
	path    string
	wrap    []wrapping
	library bool // goes through gopacket, and so allocates
	unread  bool // tshark has no dissector, or not on by itself
	sampled bool
}{
	{name: "IPv4 in IPv4", path: "ipip", wrap: []wrapping{eth4, inIPv4(4)}},
	{name: "IPv4 in IPv6", path: "ipip", wrap: []wrapping{eth6, inIPv6(4)}},
	{name: "AH", path: "ipip", wrap: []wrapping{eth4, inIPv4(51), before("04 04 0000 00000001 00000007 000000000000000000000000")}},
	{name: "AH in IPv6", path: "ipip", wrap: []wrapping{eth6, inIPv6(51), before("04 04 0000 00000001 00000007 000000000000000000000000")}},
	{name: "IPv4 in four", path: "ipip ipip ipip ipip", wrap: []wrapping{eth4, inIPv4(4), inIPv4(41), inIPv6(4), inIPv4(4)}},
	{name: "EtherIP", path: "etherip", wrap: []wrapping{eth4, inIPv4(97), before("3000"), innerEth}},
	{name: "Ethernet in IPv6", path: "ipip", wrap: []wrapping{eth6, inIPv6(143), innerEth}},
	{name: "MPLS in IP", path: "mpls:16", wrap: []wrapping{eth4, inIPv4(137), before("000101ff")}, library: true},

	{name: "GRE", path: "gre", wrap: []wrapping{eth4, inIPv4(47), before("0000 0800")}},
	{name: "GRE in IPv6", path: "gre", wrap: []wrapping{eth6, inIPv6(47), before("0000 0800")}},
	{name: "GRE with checksum, key and number", path: "gre:5001", wrap: []wrapping{eth4, inIPv4(47), before("b000 0800 1234 0000 00001389 00000001")}},
	{name: "GRE with routing", path: "gre", wrap: []wrapping{eth4, inIPv4(47), before("4000 0800 0000 0000 0800 0004 c0000203 0000 0000")}},
	{name: "GRE with Ethernet and a VLAN", path: "gre vlan:7", wrap: []wrapping{eth4, inIPv4(47), before("0000 6558"), innerVLAN}},
	{name: "NVGRE", path: "gre:1280266", wrap: []wrapping{eth4, inIPv4(47), before("2000 6558 0013890a"), innerEth}},
	{name: "GRE with MPLS", path: "gre mpls:16", wrap: []wrapping{eth4, inIPv4(47), before("0000 8847 000101ff")}, library: true},
	{name: "GRE with PPP", path: "gre", wrap: []wrapping{eth4, inIPv4(47), before("0000 880b ff03 0021")}, library: true},
	{name: "PPTP", path: "pptp", wrap: []wrapping{eth4, inIPv4(47), sized("3081 880b 0000 0007 00000001 00000002", 4, -16+16+4), before("ff03 0021")}, library: true},
	{name: "PPTP, compressed", path: "pptp", wrap: []wrapping{eth4, inIPv4(47), sized("3001 880b 0000 0007 00000001", 4, 0), before("21")}, library: true},
	{name: "EoIP", path: "eoip:7", wrap: []wrapping{eth4, inIPv4(47), sized("2001 6400 0000 0700", 4, 0), innerEth}, unread: true},
	{name: "WCCP", path: "wccp", wrap: []wrapping{eth4, inIPv4(47), before("0000 883e 01020000")}},
	{name: "WCCP, version 1", path: "wccp", wrap: []wrapping{eth4, inIPv4(47), before("0000 883e")}},
	{name: "ERSPAN I", path: "erspan", wrap: []wrapping{eth4, inIPv4(47), before("0000 88be"), innerEth}},
	{name: "ERSPAN II", path: "erspan", wrap: []wrapping{eth4, inIPv4(47), before("1000 88be 00000001 1007 0005 00000012"), innerEth}},
	{name: "ERSPAN III", path: "erspan", wrap: []wrapping{eth4, inIPv4(47), before("1000 22eb 00000001 2007 0005 00000001 0000 0000"), innerEth}},
	{name: "ERSPAN III, subheader", path: "erspan", wrap: []wrapping{eth4, inIPv4(47), before("1000 22eb 00000001 2007 0005 00000001 0000 0001 1400000000000000"), innerEth}},
	{name: "Aruba", path: "gre", wrap: []wrapping{eth4, inIPv4(47), before("0000 8200"), innerWLAN}, library: true},

	{name: "VXLAN", path: "vxlan:5001", wrap: []wrapping{eth4, inUDP(4789), before("08 000000 001389 00"), innerEth}},
	{name: "VXLAN, group policy, reserved bits", path: "vxlan:5001", wrap: []wrapping{eth4, inUDP(4789), before("88 000001 001389 ff"), innerEth}},
	{name: "VXLAN on Linux's port", path: "vxlan:5001", wrap: []wrapping{eth4, inUDP(8472), before("08 000000 001389 00"), innerEth}},
	{name: "VXLAN in VXLAN", path: "vxlan:1 vlan:7 vxlan:2", wrap: []wrapping{eth4, inUDP(4789), before("08 000000 000001 00"), innerVLAN, inUDP(4789), before("08 000000 000002 00"), innerEth}},
	{name: "VXLAN-GPE", path: "vxlan:5001", wrap: []wrapping{eth4, inUDP(4790), before("0c 0000 01 001389 00")}},
	{name: "VXLAN-GPE with a service header", path: "vxlan:5001", wrap: []wrapping{eth4, inUDP(4790), before("0c 0000 04 001389 00 0fc6 01 01 00000aff 00000000000000000000000000000000")}},
	{name: "GENEVE", path: "geneve:7", wrap: []wrapping{eth4, inUDP(6081), before("00 00 6558 000007 00"), innerEth}},
	{name: "GENEVE with options and IP", path: "geneve:7", wrap: []wrapping{eth4, inUDP(6081), before("02 40 0800 000007 00 0102 80 01 00000001")}},
	{name: "GTP-U", path: "gtp", wrap: []wrapping{eth4, inUDP(2152), sized("30 ff 0000 00000001", 2, 0)}},
	{name: "GTP-U with a number", path: "gtp", wrap: []wrapping{eth4, inUDP(2152), sized("32 ff 0000 00000001 0001 00 00", 2, 4)}},
	{name: "GTP-U with an extension", path: "gtp", wrap: []wrapping{eth4, inUDP(2152), sized("34 ff 0000 00000001 0000 00 85 01 0009 00", 2, 8)}},
	{name: "GTP version 0", path: "gtp", wrap: []wrapping{eth4, inUDP(3386), sized("1e ff 0000 0001 0001 ff ffffff 0000000000000001", 2, 0)}},
	{name: "Teredo", path: "teredo ipip", wrap: []wrapping{eth4, inUDP(3544), inIPv6(4)}},
	{name: "Teredo with indications", path: "teredo ipip", wrap: []wrapping{eth4, inUDP(3544), before("0001 00 00 0000000000000001 00 0000 1234 3ffffdfe"), inIPv6(4)}},
	{name: "AYIYA", path: "ayiya", wrap: []wrapping{eth4, inUDP(5072), before("42 52 11 04 00000001 " + strings.Repeat("00", 36))}},
	{name: "LISP", path: "lisp", wrap: []wrapping{eth4, inUDP(4341), before("c0 000001 00000001")}},
	{name: "LISP with an instance", path: "lisp:7", wrap: []wrapping{eth4, inUDP(4341), before("c8 000001 00000701")}},
	{name: "L2TP", path: "l2tp", wrap: []wrapping{eth4, inUDP(1701), before("0002 0002 0003 ff03 0021")}, library: true},
	{name: "L2TP with all fields", path: "l2tp", wrap: []wrapping{eth4, inUDP(1701), sized("4a02 0000 0002 0003 0001 0002 0002 0000", 2, 16), before("ff03 0021")}, library: true},
	{name: "L2TPv3", path: "l2tp", wrap: []wrapping{eth4, inIPv4(115), before("00000007"), innerEth}, unread: true},
	{name: "L2TPv3 in UDP, cookie and sublayer", path: "l2tp", wrap: []wrapping{eth4, inUDP(1701), before("0003 0000 00000007 0102030405060708 40000001"), innerEth}, unread: true},
	{name: "MPLS in UDP", path: "mpls:16", wrap: []wrapping{eth4, inUDP(6635), before("000101ff")}, library: true},
	{name: "GRE in UDP", path: "gre", wrap: []wrapping{eth4, inUDP(4754), before("0000 0800")}},
	{name: "CAPWAP", path: "capwap", wrap: []wrapping{eth4, inUDP(5247), before("00 10 02 00 0000 0000"), innerEth}},
	{name: "CAPWAP with 802.11", path: "capwap", wrap: []wrapping{eth4, inUDP(5247), before("00 20 03 20 0000 0000 04 bf230000 000000"), swapped}, library: true},
	{name: "LWAPP", path: "capwap", wrap: []wrapping{eth4, inUDP(12222), sized("00 00 0000 0000", 2, 0), innerWLAN}, library: true},
	{name: "TZSP", path: "tzsp", wrap: []wrapping{eth4, inUDP(37008), before("01 00 0001 00 0a 01 d8 01"), innerEth}},

	{name: "sFlow", path: "sflow", wrap: []wrapping{eth4, inUDP(6343), sflow("00000001"+agent4, flowSample, rawHeader(1)), innerEth}, sampled: true},
	{name: "sFlow, expanded, from an IPv6 agent", path: "sflow vlan:7", wrap: []wrapping{eth4, inUDP(6343), sflow("00000002"+agent6, expandedSample, rawHeader(1)), innerVLAN}, sampled: true},
	{name: "sFlow with IPv4", path: "sflow", wrap: []wrapping{eth4, inUDP(6343), sflow("00000001"+agent4, flowSample, rawHeader(11))}, sampled: true},
	{name: "sFlow, behind a counter sample", path: "sflow", wrap: []wrapping{eth4, inUDP(6343), sflow("00000001"+agent4, flowSample, rawHeader(1), counterSample), innerEth}, sampled: true},
	{name: "sFlow, behind another record", path: "sflow", wrap: []wrapping{eth4, inUDP(6343), sflow("00000001"+agent4, flowSample, switchRecord, rawHeader(1)), innerEth}, sampled: true},

	{name: "backbone bridge", path: "vlan:5 pbb:258", wrap: []wrapping{before("020000000002 020000000001 88a8 0005 88e7 00000102"), innerEth}},
	{name: "VN-tag", path: "vlan:7", wrap: []wrapping{before("020000000002 020000000001 8926 00010002 8100 0007 0800")}},
	{name: "E-tag", path: "", wrap: []wrapping{before("020000000002 020000000001 893f 0001 0002 0000 0800")}, unread: true},
	{name: "R-tag", path: "", wrap: []wrapping{before("020000000002 020000000001 f1c1 0000 0001 0800")}},
	{name: "HSR", path: "", wrap: []wrapping{before("020000000002 020000000001 892f 0034 0001 0800")}},
	{name: "security group", path: "", wrap: []wrapping{before("020000000002 020000000001 8909 01 01 0001 0007 0800")}},
	{name: "MACsec without encryption", path: "", wrap: []wrapping{before("020000000002 020000000001 88e5 20 00 00000001 0200000000010001 0800"), behind("00000000000000000000000000000000")}},
	{name: "MPLS with Ethernet", path: "mpls:16", wrap: []wrapping{before("020000000002 020000000001 8847 000101ff 00000000"), before("001b21000012 001b21000011 0800")}, library: true},
	{name: "MPLS with Ethernet, no control word", path: "mpls:16", wrap: []wrapping{before("020000000002 020000000001 8847 000101ff"), before("920000000012 020000000011 0800")}, library: true, unread: true},
	{name: "OSI's LLC", path: "", wrap: []wrapping{sized("020000000002 020000000001 0000 fe fe 03 cc", 12, 4)}, library: true},
}

// behind is what follows a packet.
func behind(trailer string) wrapping {
	return func(b []byte) []byte { return append(b, fixture("x "+trailer)...) }
}

// A packet in a tunnel is the segment that it is outside, but for the path.
func TestTunnels(t *testing.T) {
	inner := fixture(dataFixture)[:43]
	for _, c := range tunnels {
		t.Run(c.name, func(t *testing.T) {
			want := with(dataSegment(), func(s *Segment) {
				if c.path != "" {
					s.Tuple.Encap = 1
				}
				if c.sampled {
					s.Traits |= TraitSampled
				}
			})
			b := wrapped(inner, c.wrap...)
			f := Frame{ID: 7, At: 99, Link: LinkEthernet, Data: b, Length: uint32(len(b))}
			d := decodes(t, f, SkipNone, want)
			if got := strings.Join(d.Encap(1), " "); got != c.path {
				t.Errorf("path %q, want %q", got, c.path)
			}
			for n := range b {
				checkCut(t, c.name, f, n)
			}
			if !c.library {
				checkNoAllocations(t, c.name, f)
			}
			m := Decoder{MergeEncap: true}
			var s Segment
			skip := m.Decode(&f, &s)
			s.Carrier = 0
			if skip != SkipNone || s != with(want, func(s *Segment) { s.Tuple.Encap = 0 }) {
				t.Errorf("merged: %v %+v", skip, s)
			}
			// Trailers and padding are not payload.
			f.Data = append(append([]byte{}, b...), 1, 2, 3, 4)
			f.Length = uint32(len(f.Data))
			decodes(t, f, SkipNone, want)
		})
	}
}

// What only has a tunnel's port, or is not a tunnel's payload, is UDP like any
// other; and what is a tunnel without TCP says so.
func TestNoTunnels(t *testing.T) {
	inner := fixture(dataFixture)[:43]
	udp := fixture("ip4 45 00 001c 0001 0000 3f 11 0000 0a000002 0a000001 0035 0035 0008 0000")
	for _, c := range []struct {
		name string
		skip Skip
		b    []byte
	}{
		{"VXLAN without a valid VNI", SkipNotTCP, wrapped(inner, eth4, inUDP(4789), before("00 000000 001389 00"), innerEth)},
		{"VXLAN with ARP", SkipNotTCP, wrapped(nil, eth4, inUDP(4789), before("08 000000 001389 00 ffffffffffff 020000000001 0806 0001 0800 06 04 0001"))},
		{"VXLAN with UDP", SkipNotTCP, wrapped(udp, eth4, inUDP(4789), before("08 000000 001389 00"), innerEth)},
		{"VXLAN that ends in Ethernet", SkipNotTCP, wrapped(nil, eth4, inUDP(4789), before("08 000000 001389 00 ffffffffffff 02"))},
		{"VXLAN shorter than its header", SkipNotTCP, wrapped(nil, eth4, inUDP(4789), before("08 000000 0013"))},
		{"another port", SkipNotTCP, wrapped(inner, eth4, inUDP(4788), before("08 000000 001389 00"), innerEth)},
		{"VXLAN-GPE, version 1", SkipNotTCP, wrapped(inner, eth4, inUDP(4790), before("1c 0000 01 001389 00"))},
		{"VXLAN-GPE, unknown payload", SkipNotTCP, wrapped(inner, eth4, inUDP(4790), before("0c 0000 09 001389 00"))},
		{"GENEVE, version 1", SkipNotTCP, wrapped(inner, eth4, inUDP(6081), before("40 00 0800 000007 00"))},
		{"GENEVE control", SkipNotTCP, wrapped(inner, eth4, inUDP(6081), before("00 80 0800 000007 00"))},
		{"GENEVE, options beyond the datagram", SkipNotTCP, wrapped(nil, eth4, inUDP(6081), before("3f 00 0800 000007 00 00000000"))},
		{"GTP-U echo", SkipNotTCP, wrapped(nil, eth4, inUDP(2152), before("32 01 0004 00000000 0001 00 00"))},
		{"GTP-U, a length beyond the datagram", SkipNotTCP, wrapped(inner, eth4, inUDP(2152), before("30 ff 0100 00000001"))},
		{"GTP-U, version 2", SkipNotTCP, wrapped(inner, eth4, inUDP(2152), sized("50 ff 0000 00000001", 2, 0))},
		{"GTP-U, extension of no length", SkipNotTCP, wrapped(inner, eth4, inUDP(2152), sized("34 ff 0000 00000001 0000 00 85 00 0009 00", 2, 8))},
		{"GTP-U with PPP", SkipNotTCP, wrapped(inner, eth4, inUDP(2152), sized("30 ff 0000 00000001 ff03 0021", 2, 4))},
		{"Teredo, inner length beyond the datagram", SkipNotTCP, wrapped(nil, eth4, inUDP(3544), before("60000000 0100 04 40"+strings.Repeat("00", 32)))},
		{"L2TP control", SkipNotTCP, wrapped(nil, eth4, inUDP(1701), before("c802 000c 0001 0000 0000 0001"))},
		{"L2TP, another version", SkipNotTCP, wrapped(inner, eth4, inUDP(1701), before("0004 0002 0003 ff03 0021"))},
		{"L2TP, reserved bits", SkipNotTCP, wrapped(inner, eth4, inUDP(1701), before("1002 0002 0003 ff03 0021"))},
		{"CAPWAP with DTLS", SkipEncrypted, wrapped(inner, eth4, inUDP(5247), before("01 000000"))},
		{"CAPWAP keep-alive", SkipNotTCP, wrapped(nil, eth4, inUDP(5247), before("00 10 02 08 0000 0000 0016 0023"))},
		{"CAPWAP fragment", SkipNotTCP, wrapped(inner, eth4, inUDP(5247), before("00 10 02 80 0000 0000"), innerEth)},
		{"ESP in UDP", SkipEncrypted, wrapped(inner, eth4, inUDP(4500), before("00000001 00000001"))},
		{"IKE in UDP", SkipNotTCP, wrapped(inner, eth4, inUDP(4500), before("00000000 00000001 00000001"))},
		{"keep-alive of a translator", SkipNotTCP, wrapped(nil, eth4, inUDP(4500), before("ff"))},
		{"MPLS in UDP, unknown payload", SkipNotTCP, wrapped(nil, eth4, inUDP(6635), before("000101ff 1000 0007 00000000"))},
		{"GRE, version 2", SkipNotTCP, wrapped(inner, eth4, inIPv4(47), before("0002 0800"))},
		{"GRE with ARP", SkipNotTCP, wrapped(nil, eth4, inIPv4(47), before("0000 0806 0001 0800"))},
		{"GRE keepalive", SkipNotTCP, wrapped(nil, eth4, inIPv4(47), before("0000 0000"))},
		{"GRE that ends in its key", SkipMalformed, wrapped(nil, eth4, inIPv4(47), before("2000 0800 0000"))},
		{"GRE without payload", SkipMalformed, wrapped(nil, eth4, inIPv4(47), before("0000 0800"))},
		{"GRE whose route has no end", SkipMalformed, wrapped(nil, eth4, inIPv4(47), before("4000 0800 0000 0000 0800 00ff 00000000"))},
		{"PPTP acknowledgment", SkipNotTCP, wrapped(nil, eth4, inIPv4(47), before("2081 880b 0000 0007 00000001"))},
		{"PPTP with LCP", SkipNotTCP, wrapped(nil, eth4, inIPv4(47), sized("3001 880b 0000 0007 00000001", 4, 0), before("ff03 c021 0100 0004"))},
		{"PPTP without a key", SkipMalformed, wrapped(inner, eth4, inIPv4(47), before("1001 880b 00000001 ff03 0021"))},
		{"ERSPAN of another version", SkipNotTCP, wrapped(inner, eth4, inIPv4(47), before("1000 88be 00000001 3007 0005 00000012"), innerEth)},
		{"ESP in AH", SkipEncrypted, wrapped(inner, eth4, inIPv4(51), before("32 04 0000 00000001 00000007 000000000000000000000000"))},
		{"AH beyond the packet", SkipMalformed, wrapped(nil, eth4, inIPv4(51), before("04 40 0000 00000001 00000007"))},
		{"MACsec, encrypted", SkipEncrypted, wrapped(inner, before("020000000002 020000000001 88e5 2c 00 00000001 0200000000010001 0800"))},
		{"pseudowire's management", SkipNotIP, wrapped(nil, before("020000000002 020000000001 8847 000101ff 1000 0007 0000000000000000000000000000"))},
		{"pseudowire with something else", SkipNotIP, wrapped(nil, before("020000000002 020000000001 8847 000101ff 00000000 "+strings.Repeat("11", 30)))},
		{"802.11, encrypted", SkipEncrypted, wrapped(inner, eth4, inIPv4(47), before("0000 8200 88 41 0000 020000000002 020000000001 020000000003 1000 0000 00000000"))},
		{"802.11, a piece", SkipNotTCP, wrapped(inner, eth4, inIPv4(47), before("0000 8200 08 05 0000 020000000002 020000000001 020000000003 1000 aa aa 03 000000 0800"))},
		{"802.11, no data", SkipNotTCP, wrapped(nil, eth4, inIPv4(47), before("0000 8200 48 01 0000 020000000002 020000000001 020000000003 1000"))},
		{"sFlow, version 4", SkipNotTCP, wrapped(inner, eth4, inUDP(6343), before("00000004 00000001 c0000209 00000001 00000001 00000001 00000001"))},
		{"sFlow, another kind of address", SkipNotTCP, wrapped(inner, eth4, inUDP(6343), sflow("00000003"+agent4, flowSample, rawHeader(1)), innerEth)},
		{"sFlow, first sample beyond the datagram", SkipNotTCP, wrapped(inner, eth4, inUDP(6343), before("00000005 00000001 c0000209 00000000 00000001 00000001 00000001 00000001 00000100"))},
		{"sFlow, more samples than there is room for", SkipNotTCP, wrapped(inner, eth4, inUDP(6343), before("00000005 00000001 c0000209 00000000 00000001 00000001 00001000 00000001 00000020"))},
		{"sFlow with counters only", SkipNotTCP, wrapped(nil, eth4, inUDP(6343), before("00000005 00000001 c0000209 00000000 00000001 00000001 00000001"+counterSample))},
		{"sFlow with UDP", SkipNotTCP, wrapped(udp, eth4, inUDP(6343), sflow("00000001"+agent4, flowSample, rawHeader(1)), innerEth)},
		{"sFlow in sFlow in sFlow without end", SkipNotTCP, wrapped(udp, append([]wrapping{eth4}, repeated(func(b []byte) []byte {
			return inUDP(6343)(sflow("00000001"+agent4, flowSample, rawHeader(11))(b))
		}, 6)...)...)},
		{"too many tunnels", SkipMalformed, wrapped(inner, append([]wrapping{eth4}, repeated(inIPv4(4), 20)...)...)},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := Frame{ID: 7, At: 99, Link: LinkEthernet, Data: c.b, Length: uint32(len(c.b))}
			decodes(t, f, c.skip, Segment{})
			for n := range c.b {
				checkCut(t, c.name, f, n)
			}
		})
	}
}

func repeated(w wrapping, n int) []wrapping {
	var all []wrapping
	for range n {
		all = append(all, w)
	}
	return all
}

// A mirror may cut what it sends, and say so in its own headers only: the inner
// header knows how long the segment was.
func TestTunnelCutsShort(t *testing.T) {
	inner := fixture(strings.Replace(dataFixture, "002b", "05dc", 1))[:43]
	b := wrapped(inner, eth4, inUDP(4789), before("08 000000 001389 00"), innerEth)
	decodes(t, Frame{ID: 7, At: 99, Link: LinkEthernet, Data: b, Length: uint32(len(b))}, SkipNone,
		with(dataSegment(), func(s *Segment) { s.Tuple.Encap, s.Len, s.Traits = 1, 1460, TraitSnapped }))
}

// What the outer headers do not cover is none of the inner packet's: a packet that
// leaves its length to the network card ends with the tunnel, not with the frame.
func TestTunnelBounds(t *testing.T) {
	inner := fixture(strings.Replace(dataFixture, "002b", "0000", 1))[:43]
	b := wrapped(inner, eth4, inUDP(4789), before("08 000000 001389 00"), innerEth, behind("0000"))
	b = append(b, 1, 2, 3)
	decodes(t, Frame{ID: 7, At: 99, Link: LinkEthernet, Data: b, Length: uint32(len(b))}, SkipNone,
		with(dataSegment(), func(s *Segment) { s.Tuple.Encap, s.Len = 1, 5 }))
}

// A tunnel's packet that comes in fragments is put together first.
func TestFragmentedTunnels(t *testing.T) {
	inner := fixture(dataFixture)[:43]
	for _, c := range tunnels {
		b := wrapped(inner, c.wrap...)
		if len(c.wrap) < 2 || b[12] != 8 || b[13] != 0 {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			var d Decoder
			var s Segment
			frames := fragmentsOf(b[14:], 0, []int{16})
			for i, p := range frames {
				p = append(append([]byte{}, b[:14]...), p...)
				skip := d.Decode(&Frame{ID: 7, At: 99, Link: LinkEthernet, Data: p, Length: uint32(len(p))}, &s)
				if want := SkipFragment; i == 0 && skip != want || i == 1 && skip != SkipNone {
					t.Fatalf("fragment %d: %v", i, skip)
				}
			}
			want := with(dataSegment(), func(s *Segment) { s.Tuple.Encap, s.Traits = 1, TraitReassembled })
			s.Carrier = 0
			if c.sampled {
				want.Traits = TraitSampled // what it was sampled in came in fragments, not the segment
			}
			if s != want {
				t.Errorf("got  %+v\nwant %+v", s, want)
			}
		})
	}
	// Of UDP in general nothing is held.
	var d Decoder
	var s Segment
	for _, p := range fragmentsOf(inUDP(53)(make([]byte, 64)), 0, []int{32}) {
		if skip := d.Decode(&Frame{Link: LinkRaw, Data: p, Length: uint32(len(p))}, &s); skip != SkipNotTCP {
			t.Errorf("fragment of UDP: %v", skip)
		}
	}
	if len(d.fragments.datagrams) != 0 {
		t.Errorf("%d packets held", len(d.fragments.datagrams))
	}
}
