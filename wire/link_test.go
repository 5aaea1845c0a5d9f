package wire

import "testing"

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
