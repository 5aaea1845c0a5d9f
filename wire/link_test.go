package wire

import (
	"strings"
	"testing"
)

const (
	snapFixture = "llc aa aa 03\nsnap 000000 ETHERTYPE"
	wlanFixture = "wlan 88 01 0000 020000000002 020000000001 020000000003 1000\nqos 0000\n" + snapFixture
)

var pktapFixture = "pktap 6c000000 01000000 01000000 656e3000 " + strings.Repeat("00000000", 23) +
	"\neth 020000000002 020000000001 ETHERTYPE"

// over is a header that names what follows by its EtherType.
func over(header string) struct{ v4, v6 string } {
	return struct{ v4, v6 string }{strings.ReplaceAll(header, "ETHERTYPE", "0800"), strings.ReplaceAll(header, "ETHERTYPE", "86dd")}
}

func pflog(family string) string {
	return "pflog 3d " + family + " 00 00 656d3000000000000000000000000000 " + strings.Repeat("00", 41) + " 000000"
}

// linkHeaders holds one header per link type, as it stands before an IPv4 and
// before an IPv6 packet; "-" where the link type cannot carry that one.
var linkHeaders = map[LinkType]struct{ v4, v6 string }{
	LinkEthernet:    {"eth 020000000002 020000000001 0800", "eth 020000000002 020000000001 86dd"},
	LinkLinuxSLL:    {"sll 0000 0001 0006 020000000001 0000 0800", "sll 0004 0001 0006 020000000001 0000 86dd"},
	LinkLinuxSLL2:   {"sll2 0800 0000 00000003 0001 00 06 020000000001 0000", "sll2 86dd 0000 00000003 0001 04 06 020000000001 0000"},
	LinkRaw:         {"", ""},
	LinkRaw12:       {"", ""},
	LinkRaw14:       {"", ""},
	LinkIPv4:        {"", "-"},
	LinkIPv6:        {"-", ""},
	LinkNull:        {"null 02000000", "null 1e000000"},
	LinkLoop:        {"loop 00000002", "loop 00000018"},
	LinkPPP:         {"ppp 0021", "ppp 0057"},
	LinkPPPHDLC:     {"hdlc ff03 0021", "hdlc ff03 0057"},
	LinkCiscoHDLC:   {"chdlc 0f00 0800", "chdlc 8f00 86dd"},
	LinkPPPEthernet: {"pppoe 11 00 0003 002d\nppp 0021", "pppoe 11 00 0003 004d\nppp 0057"},

	LinkWLAN:         over(wlanFixture),
	LinkWLANPrism:    over("prism 44000000 90000000" + strings.Repeat("00000000", 34) + "\n" + wlanFixture),
	LinkWLANAVS:      over("avs 80211001 00000040" + strings.Repeat("00000000", 14) + "\n" + wlanFixture),
	LinkWLANRadiotap: over("radiotap 00 00 1800 2f480000 0102030405060708 00 16 6c09 c000 dd 01\n" + wlanFixture),
	LinkPPI:          over("ppi 00 00 0800 69000000\n" + wlanFixture),
	LinkPKTAP:        over(pktapFixture),
	LinkUser2:        over(pktapFixture),
	LinkNFLOG: {"nflog 02 00 0000\nhook 0800 0100 0800 01 00\nprefix 0500 0a00 00 000000\npayload 2f00 0900",
		"nflog 0a 00 0000\nhook 0800 0100 86dd 01 00\nprefix 0500 0a00 00 000000\npayload 4f00 0900"},
	LinkFDDI:      over("fddi 50 020000000002 020000000001\n" + snapFixture),
	LinkTokenRing: over("ring 10 40 020000000002 820000000001\nroute 0690 0011 0020\n" + snapFixture),

	LinkARCNET:      {"arcnet 01 02 d4\nnew 00 0001", "-"},
	LinkARCNETLinux: {"arcnet 01 02 0000 f0", "-"},

	LinkFrameRelay:        {"fr 1841 03\nnlpid cc", "fr 1841 03\nnlpid 8e"},
	LinkFrameRelayDir:     over("dir 00\nfr 1841 03 00\nnlpid 80\nsnap 000000 ETHERTYPE"),
	LinkCiscoHDLCDir:      over("dir 01\nchdlc 0f00 ETHERTYPE"),
	LinkPPPDir:            {"dir 00\nhdlc ff03 0021", "dir 00\nhdlc ff03 0057"},
	LinkSLIP:              {"slip 00 000000000000000000000000000000", "slip 01 000000000000000000000000000000"},
	LinkATM1483:           over(snapFixture),
	LinkATM1483BSD:        {"llc fe fe 03\nnlpid cc", "llc fe fe 03\nnlpid 8e"},
	LinkATMCLIP:           over(snapFixture),
	LinkSunATM:            over("sunatm 02 00 0064\n" + snapFixture),
	LinkIPOverFC:          over("fc 1000020000000002 1000020000000001\n" + snapFixture),
	LinkIEEE1394:          over("fw 0200000000000002 0200000000000001 ETHERTYPE"),
	LinkIPNET:             {"ipnet 01 02 0000 0000002b 00000001 00000001 00000000 00000000", "ipnet 01 1a 0000 0000004b 00000001 00000001 00000000 00000000"},
	LinkIPoIB:             over("grh " + strings.Repeat("00000000", 10) + "\nipoib ETHERTYPE 0000"),
	LinkPFLog:             {pflog("02"), pflog("18")},
	LinkEnc:               {"enc 02000000 00000001 00000000", "enc 18000000 00000001 00000000"},
	LinkJuniperEthernet:   over("juniper 4d4743 80 0010 03010106010e01028c0004044c010000\neth 020000000002 020000000001 ETHERTYPE"),
	LinkJuniperPPP:        {"juniper 4d4743 00\nppp ff03 0021", "juniper 4d4743 00\nppp ff03 0057"},
	LinkJuniperFrameRelay: {"juniper 4d4743 01\nfr 1841 03\nnlpid cc", "juniper 4d4743 01\nfr 1841 03\nnlpid 8e"},
	LinkJuniperCiscoHDLC:  over("juniper 4d4743 00\nchdlc 0f00 ETHERTYPE"),

	LinkDSABroadcom:        over("eth 020000000002 020000000001\nbrcm 00000003\ntype ETHERTYPE"),
	LinkDSABroadcomPrepend: over("brcm 00000003\neth 020000000002 020000000001 ETHERTYPE"),
	LinkDSAMarvell:         over("eth 020000000002 020000000001\ndsa c0180001\ntype ETHERTYPE"),
	LinkDSAMarvellEther:    over("eth 020000000002 020000000001\nedsa dada 0000 c0180001\ntype ETHERTYPE"),
	LinkNetAnalyzer:        over("na 00440000\neth 020000000002 020000000001 ETHERTYPE"),
	LinkMPacket:            over("preamble 55555555555555d5\neth 020000000002 020000000001 ETHERTYPE"),
	LinkEPON:               over("preamble 5555d555550001aa\neth 020000000002 020000000001 ETHERTYPE"),
	LinkDOCSIS:             over("docsis 00 00 003b 0000\neth 020000000002 020000000001 ETHERTYPE"),
	LinkERF:                over("erf 0000000000000000 02 04 006d 0000 005b 0000\neth 020000000002 020000000001 ETHERTYPE"),
}

// Every registered link type carries the same packets to the same segments.
func TestLinkTypes(t *testing.T) {
	for _, l := range LinkTypes() {
		h, ok := linkHeaders[l]
		if !ok {
			t.Errorf("link type %v (%d) is registered and has no case here: add one to linkHeaders", l, uint16(l))
			continue
		}
		if h.v4 != "-" {
			decodes(t, frame(l, h.v4+"\n"+synFixture), SkipNone, encapsulated(l, synSegment()))
			decodes(t, frame(l, h.v4+"\n"+dataFixture), SkipNone, encapsulated(l, dataSegment()))
		}
		if h.v6 != "-" {
			decodes(t, frame(l, h.v6+"\n"+data6Fixture), SkipNone, encapsulated(l, data6Segment()))
		}
	}
	if len(linkHeaders) != len(LinkTypes()) {
		t.Errorf("%d cases for %d link types", len(linkHeaders), len(LinkTypes()))
	}
}

// encapsulated is s with the path that a link type's header above brings along.
func encapsulated(l LinkType, s Segment) Segment {
	if l == LinkPPPEthernet {
		s.Tuple.Encap = 1
	}
	return s
}

// The registry must say of Ethernet what Decode does without it.
func TestEthernetEntry(t *testing.T) {
	next, off := LinkEthernet.decoder().next(fixture(ethFixture))
	if next != protoIPv4 || off != 14 {
		t.Errorf("got %#x at %d", uint32(next), off)
	}
}

func TestLinkVariants(t *testing.T) {
	for _, c := range []struct {
		name   string
		link   LinkType
		header string
		skip   Skip
	}{
		{"NULL in network order", LinkNull, "null 00000002", SkipNone},
		{"LOOP in host order", LinkLoop, "loop 02000000", SkipNone},
		{"NULL, another family", LinkNull, "null 07000000", SkipNotIP},
		{"cooked ARP", LinkLinuxSLL, "sll 0000 0001 0006 020000000001 0000 0806", SkipNotIP},
		{"cooked netlink of family 0x800", LinkLinuxSLL, "sll 0000 0338 0006 020000000001 0000 0800", SkipNotIP},
		{"cooked 802.11", LinkLinuxSLL2, "sll2 0004 0000 00000003 0323 00 06 020000000001 0000", SkipNotIP},
		{"cooked raw 802.3", LinkLinuxSLL, "sll 0000 0001 0006 020000000001 0000 0001", SkipNotIP},
		{"cooked LLC and SNAP", LinkLinuxSLL, "sll 0000 0001 0006 020000000001 0000 0004\nllc aa aa 03\nsnap 000000 0800", SkipNone},
		{"cooked, long address", LinkLinuxSLL, "sll 0000 0001 000c 020000000001 0000 0800", SkipNone},
		{"cooked tunnel device", LinkLinuxSLL2, "sll2 0800 0000 00000003 fffe 00 00 0000000000000000", SkipNone},
		{"PPP with a compressed protocol", LinkPPP, "ppp 21", SkipNone},
		{"PPP control", LinkPPP, "ppp c021", SkipNotIP},
		{"PPP, neither form of a protocol", LinkPPP, "ppp 0000", SkipMalformed},
		{"PPPoE discovery", LinkPPPEthernet, "pppoe 11 09 0000 0028\nppp 0021", SkipNotIP},
	} {
		t.Run(c.name, func(t *testing.T) {
			decodes(t, frame(c.link, c.header+"\n"+dataFixture), c.skip, dataSegment())
		})
	}
	// Cooked captures keep a VLAN tag behind the protocol field.
	d := decodes(t, frame(LinkLinuxSLL, "sll 0000 0001 0006 020000000001 0000 8100\nvlan 000c 0800\n"+dataFixture),
		SkipNone, with(dataSegment(), func(s *Segment) { s.Tuple.Encap = 1 }))
	if got := d.Encap(1); len(got) != 1 || got[0] != "vlan:12" {
		t.Errorf("path %v", got)
	}
	decodes(t, frame(LinkRaw, "x 50000000"), SkipNotIP, Segment{})
	for _, family := range []string{"0a", "17", "18", "1c", "1e"} {
		decodes(t, frame(LinkNull, "null "+family+"000000\n"+data6Fixture), SkipNone, data6Segment())
	}
}

func TestLinkTypeString(t *testing.T) {
	for l, want := range map[LinkType]string{
		LinkNull: "NULL", LinkEthernet: "ETHERNET", LinkLinuxSLL2: "LINUX_SLL2", LinkPPP: "PPP",
		147: "LINKTYPE(147)", 65535: "LINKTYPE(65535)",
	} {
		if got := l.String(); got != want {
			t.Errorf("LinkType(%d) = %q, want %q", uint16(l), got, want)
		}
	}
	seen := map[string]LinkType{}
	for _, l := range LinkTypes() {
		if other, ok := seen[l.String()]; ok {
			t.Errorf("link types %d and %d are both called %v", uint16(l), uint16(other), l)
		}
		seen[l.String()] = l
	}
}

func TestRegisterPanics(t *testing.T) {
	for name, f := range map[string]func(){
		"twice":     func() { register(LinkEthernet, "AGAIN", 0, rawIP) },
		"too large": func() { register(linkTypes, "LARGE", 0, rawIP) },
		"nameless":  func() { register(linkTypes-1, "", 0, rawIP) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}
