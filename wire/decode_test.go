package wire

import (
	"strings"
	"testing"
)

// special are fixtures for one point each, beside the three plain ones. They also
// seed the fuzz targets.
var special = []struct {
	name  string
	frame Frame
	skip  Skip
	want  Segment
}{
	{"IPv4 SYN", frame(1, ethFixture+synFixture), 0, synSegment()},
	{"IPv4 data, Ethernet padding", frame(1, ethFixture+dataFixture), 0, dataSegment()},
	{"IPv6 data", frame(1, eth6Fixture+data6Fixture), 0, data6Segment()},
	{"IPv4 options", frame(1, ethFixture+`
		ip4   46 00 002c  0001 0000  3f 06 0000  0a000002 0a000001
		rralt 94 04 0000
		tcp   01bb 9c40  000003e8  00000002  50 18 0200  0000 0000`),
		0, with(dataSegment(), func(s *Segment) { s.Len = 0 })},
	{"all flags and the urgent pointer", frame(101, `
		ip4   45 00 0028  0001 0000  3f 06 0000  0a000002 0a000001
		tcp   01bb 9c40  000003e8  00000002  5f ff 0200  0000 1234`),
		0, with(dataSegment(), func(s *Segment) { s.Len, s.Flags, s.Urgent = 0, 0x1ff, 0x1234 })},
	{"IPv6 hop-by-hop, routing, destination, atomic fragment", frame(229, `
		ip6   60000000  0034 00 40
		src   20010db8 00000000 00000000 00000001
		dst   20010db8 00000000 00000000 00000002
		hbh   2b 00 0104 00000000
		rt    3c 00 fd00 00000000
		dst   2c 00 0104 00000000
		frag  06 00 0000 12345678
		tcp   9c40 01bb  ffffffff  00000002  50 19 0200  0000 0000`),
		0, with(data6Segment(), func(s *Segment) { s.Len, s.Options = 0, Options{} })},
	{"IPv6 extension headers out of order", frame(229, `
		ip6   60000000  002c 3c 40
		src   20010db8 00000000 00000000 00000001
		dst   20010db8 00000000 00000000 00000002
		dst   00 01 010c 00000000 00000000 00000000
		hbh   06 00 0104 00000000
		tcp   9c40 01bb  ffffffff  00000002  50 19 0200  0000 0000`),
		0, with(data6Segment(), func(s *Segment) { s.Len, s.Options = 0, Options{} })},
	{"IPv4 addresses in IPv6", frame(229, `
		ip6   60000000  0014 06 40
		src   00000000 00000000 0000ffff 0a000002
		dst   00000000 00000000 0000ffff 0a000001
		tcp   01bb 9c40  000003e8  00000002  50 18 0200  0000 0000`),
		0, with(dataSegment(), func(s *Segment) { s.Len, s.IPID, s.TTL, s.Tuple.V6 = 0, 0, 64, true })},
	{"no total length", frame(101, strings.Replace(dataFixture, "002b", "0000", 1)),
		0, with(dataSegment(), func(s *Segment) { s.Len = 6 })},
	{"no total length, BIG TCP, snapped", longer(frame(101, strings.Replace(dataFixture, "002b", "0000", 1)), 200000),
		0, with(dataSegment(), func(s *Segment) { s.Len, s.Traits = 200000-40, TraitSnapped })},
	{"IPv6 BIG TCP without an option", longer(frame(229, strings.Replace(data6Fixture, "0023", "0000", 1)), 185256),
		0, with(data6Segment(), func(s *Segment) { s.Len, s.Traits = 185256-40-32, TraitSnapped })},
	{"IPv6 BIG TCP with the jumbo option", longer(frame(1, eth6Fixture+`
		ip6   60000000  0000 00 40
		src   20010db8 00000000 00000000 00000001
		dst   20010db8 00000000 00000000 00000002
		hbh   06 00 c204 00030d40
		tcp   9c40 01bb  ffffffff  00000002  50 19 0200  0000 0000`), 14+40+200000),
		0, with(data6Segment(), func(s *Segment) {
			s.Len, s.Options, s.Traits = 200000-8-20, Options{}, TraitSnapped
		})},
	{"payload taken out, wire length too", frame(101, `
		ip4   45 00 05dc  0001 0000  3f 06 0000  0a000002 0a000001
		tcp   01bb 9c40  000003e8  00000002  50 18 0200  0000 0000`),
		0, with(dataSegment(), func(s *Segment) { s.Len, s.Traits = 1460, TraitSnapped })},
	{"wire length less than the data", longer(frame(101, dataFixture), 1), 0, dataSegment()},
	{"snapped inside the options", cut(frame(1, ethFixture+synFixture), 14+20+20+6+4),
		0, with(synSegment(), func(s *Segment) {
			s.Traits |= TraitSnapped
			s.Options = Options{Set: OptMSS | OptSACKPerm | OptCut, MSS: 1460}
		})},
	{"snapped behind the fixed header", cut(frame(1, ethFixture+synFixture), 14+20+20),
		0, with(synSegment(), func(s *Segment) {
			s.Traits |= TraitSnapped
			s.Options = Options{Set: OptCut}
		})},
	{"damaged options", frame(101, `
		ip4   45 00 0030  0001 0000  3f 06 0000  0a000002 0a000001
		tcp   01bb 9c40  000003e8  00000002  70 18 0200  0000 0000
		mss   02 04 05b4
		ts    08 0a 0102`),
		0, with(dataSegment(), func(s *Segment) {
			s.Len, s.Options = 0, Options{Set: OptMSS | OptDamaged, MSS: 1460}
		})},

	{"unknown link type", frame(147, ethFixture+dataFixture), SkipLinkType, Segment{}},
	{"link type beyond the registry", frame(60000, ethFixture+dataFixture), SkipLinkType, Segment{}},
	{"ARP", frame(1, "eth ffffffffffff 020000000001 0806\narp 0001 0800 06 04 0001"), SkipNotIP, Segment{}},
	{"neither type nor length", frame(1, "eth ffffffffffff 020000000001 05ff\nx 0001020304"), SkipNotIP, Segment{}},
	{"UDP", frame(101, "ip4 45 00 0014  0001 0000  3f 11 0000  0a000002 0a000001"), SkipNotTCP, Segment{}},
	{"IP in IP, nothing inside", frame(101, "ip4 45 00 0014  0001 0000  3f 04 0000  0a000002 0a000001"), SkipMalformed, Segment{}},
	{"AH, nothing inside", frame(101, "ip4 45 00 0014  0001 0000  3f 33 0000  0a000002 0a000001"), SkipMalformed, Segment{}},
	{"AH", frame(101, `
		ip4   45 00 0043  0001 0000  3f 33 0000  0a000002 0a000001
		ah    06 04 0000 00000001 00000007 000000000000000000000000
		tcp   01bb 9c40  000003e8  00000002  50 18 0200  0000 0000
		data  616263`), 0, dataSegment()},
	{"ESP", frame(101, "ip4 45 00 0014  0001 0000  3f 32 0000  0a000002 0a000001"), SkipEncrypted, Segment{}},
	{"ESP behind an extension header", frame(229, `
		ip6   60000000  0010 00 40
		src   20010db8 00000000 00000000 00000001
		dst   20010db8 00000000 00000000 00000002
		hbh   32 00 0104 00000000
		esp   00000000 00000000`), SkipEncrypted, Segment{}},
	{"loose source route", frame(101, `
		ip4   48 00 0034  0001 0000  3f 06 0000  0a000002 c0000201
		lsrr  83 0b 04 0a000003 0a000001 00
		tcp   01bb 9c40  000003e8  00000002  50 18 0200  0000 0000`),
		0, with(dataSegment(), func(s *Segment) { s.Len = 0 })},
	{"IPv6 source route and home address", frame(229, `
		ip6   60000000  0044 3c 40
		src   20010db8 00000000 00000000 00000099
		dst   20010db8 00000000 00000000 00000098
		hoa   2b 02 0102 0000 c910 20010db8 00000000 00000000 00000001
		rt    06 02 02 01 00000000 20010db8 00000000 00000000 00000002
		tcp   9c40 01bb  ffffffff  00000002  50 19 0200  0000 0000`),
		0, with(data6Segment(), func(s *Segment) { s.Len, s.Options = 0, Options{} })},
	{"IPv6 mobility, HIP, shim6 and AH before TCP", frame(229, `
		ip6   60000000  0044 87 40
		src   20010db8 00000000 00000000 00000001
		dst   20010db8 00000000 00000000 00000002
		mob   8b 00 00 00 0000 0000
		hip   8c 00 00 00 0000 0000
		shim  33 00 00 00 0000 0000
		ah    06 04 0000 00000001 00000001 00000000 00000000 00000000
		tcp   9c40 01bb  ffffffff  00000002  50 19 0200  0000 0000`),
		0, with(data6Segment(), func(s *Segment) { s.Len, s.Options = 0, Options{} })},
	{"IPv6 BIG TCP, longer frame than the jumbo option", longer(frame(1, eth6Fixture+`
		ip6   60000000  0000 00 40
		src   20010db8 00000000 00000000 00000001
		dst   20010db8 00000000 00000000 00000002
		hbh   06 00 c204 00030d40
		tcp   9c40 01bb  ffffffff  00000002  50 19 0200  0000 0000`), 14+40+200004),
		0, with(data6Segment(), func(s *Segment) {
			s.Len, s.Options, s.Traits = 200000-8-20, Options{}, TraitSnapped
		})},
	{"ICMP echo", frame(101, `
		ip4   45 00 001c  0001 0000  3f 01 0000  0a000002 0a000001
		icmp  08 00 0000 00010001`), SkipNotTCP, Segment{}},
	{"ICMP port unreachable, quoting UDP", frame(101, `
		ip4   45 00 0038  0001 0000  3f 01 0000  0a000002 0a000001
		icmp  03 03 0000 00000000
		ip4   45 00 003c  1234 4000  40 11 0000  0a000001 0a000002
		udp   9c40 01bb 0028 0000`), SkipNotTCP, Segment{}},
	{"ICMP port unreachable", frame(101, `
		ip4   45 00 0038  0001 0000  3f 01 0000  0a000002 0a000001
		icmp  03 03 0000 00000000
		ip4   45 00 003c  1234 4000  40 06 0000  0a000001 0a000002
		tcp   9c40 01bb  00000001`), SkipICMP, Segment{}},
	{"ICMPv6 packet too big", frame(229, `
		ip6   60000000  0038 3a 40
		src   20010db8 00000000 00000000 00000002
		dst   20010db8 00000000 00000000 00000001
		icmp  02 00 0000 00000500
		ip6   60000000  0023 06 40
		src   20010db8 00000000 00000000 00000001
		dst   20010db8 00000000 00000000 00000002
		tcp   9c40 01bb  ffffffff`), SkipICMP, Segment{}},
	{"no next header", frame(229, `
		ip6   60000000  0000 3b 40
		src   20010db8 00000000 00000000 00000001
		dst   20010db8 00000000 00000000 00000002`), SkipNotTCP, Segment{}},
	{"first fragment", frame(101, strings.Replace(dataFixture, "0001 0000", "0001 2000", 1)), SkipFragment, Segment{}},
	{"later fragment", frame(101, strings.Replace(dataFixture, "0001 0000", "0001 0001", 1)), SkipFragment, Segment{}},
	{"fragment of UDP", frame(101, "ip4 45 00 0014  0001 2000  3f 11 0000  0a000002 0a000001"), SkipNotTCP, Segment{}},
	{"IPv6 first fragment", frame(229, fragment6("06 00 0001 12345678")), SkipFragment, Segment{}},
	{"IPv6 later fragment", frame(229, fragment6("3c 00 0008 12345678")), SkipFragment, Segment{}},
	{"IPv6 fragment of UDP", frame(229, fragment6("11 00 0008 12345678")), SkipNotTCP, Segment{}},
	{"IPv6 fragment of ESP", frame(229, fragment6("32 00 0008 12345678")), SkipEncrypted, Segment{}},
	{"no Ethernet header", frame(1, "eth 020000000002"), SkipMalformed, Segment{}},
	{"snapped in the Ethernet header", longer(frame(1, "eth 020000000002"), 60), SkipTruncated, Segment{}},
	{"snapped in the cooked header", longer(frame(113, "sll 0000"), 60), SkipTruncated, Segment{}},
	{"empty raw frame", Frame{Link: 101}, SkipMalformed, Segment{}},
	{"only the ports", cut(frame(1, ethFixture+synFixture), 14+20+4), SkipTruncated, Segment{}},
	{"only the ports of a whole frame", Frame{Link: 101, Data: fixture(synFixture)[:24], Length: 24}, SkipMalformed, Segment{}},
	{"IP version", frame(1, ethFixture+strings.Replace(dataFixture, "45 00", "65 00", 1)), SkipMalformed, Segment{}},
	{"IPv6 version", frame(229, strings.Replace(data6Fixture, "60000000", "40000000", 1)), SkipMalformed, Segment{}},
	{"IP header length", frame(1, ethFixture+strings.Replace(dataFixture, "45 00", "44 00", 1)), SkipMalformed, Segment{}},
	{"IP total length", frame(1, ethFixture+strings.Replace(dataFixture, "002b", "0013", 1)), SkipMalformed, Segment{}},
	{"no room for TCP", frame(1, ethFixture+strings.Replace(dataFixture, "002b", "0027", 1)), SkipMalformed, Segment{}},
	{"data offset 4", frame(1, ethFixture+strings.Replace(dataFixture, "50 18", "40 18", 1)),
		0, with(dataSegment(), func(s *Segment) { s.Len, s.Options = 7, Options{Set: OptDamaged} })},
	{"data offset beyond the packet", frame(1, ethFixture+strings.Replace(dataFixture, "50 18", "60 18", 1)),
		0, with(dataSegment(), func(s *Segment) { s.Len, s.Options = 0, Options{Set: OptDamaged} })},
	{"extension header beyond the packet", frame(229, fragment6("06 00")), SkipMalformed, Segment{}},
}

// fragment6 is an IPv6 packet whose payload is a fragment header and 24 octets.
func fragment6(header string) string {
	length := "0020"
	if len(header) < 8 {
		length = "0002"
	}
	return "ip6 60000000 " + length + ` 2c 40
		src   20010db8 00000000 00000000 00000001
		dst   20010db8 00000000 00000000 00000002
		frag  ` + header + `
		data  00000000 00000000 00000000 00000000 00000000 00000000`
}

// longer is f as it was n octets long on the wire.
func longer(f Frame, n uint32) Frame {
	f.Length = n
	return f
}

// cut is f snapped after n octets.
func cut(f Frame, n int) Frame {
	f.Data = f.Data[:n:n]
	return f
}

func TestDecode(t *testing.T) {
	for _, c := range special {
		t.Run(c.name, func(t *testing.T) { decodes(t, c.frame, c.skip, c.want) })
	}
}

// Wherever a frame is snapped, what is left of it decodes to the same segment,
// less options, or is truncated; never to another segment.
func TestDecodeCutAnywhere(t *testing.T) {
	for _, c := range special {
		for n := range c.frame.Data {
			checkCut(t, c.name, c.frame, n)
		}
	}
}

func checkCut(t *testing.T, name string, f Frame, n int) {
	t.Helper()
	var d Decoder
	whole, part := dirty(), dirty()
	f.Length = wireLength(&f)
	skip := d.Decode(&f, &whole)
	g := cut(f, n)
	got := d.Decode(&g, &part)
	if got == SkipTruncated {
		return
	}
	if got != skip {
		t.Fatalf("%s: %v, but %v when cut to %d octets of\n%x", name, skip, got, n, f.Data)
	}
	if skip != SkipNone {
		return
	}
	if extra := part.Options.Set &^ whole.Options.Set &^ OptCut; extra != 0 {
		t.Fatalf("%s: options %x out of nothing when cut to %d octets of\n%x", name, extra, n, f.Data)
	}
	if part.Options.Set.Has(OptCut) {
		part.Options = whole.Options
	}
	whole.Traits |= TraitSnapped
	if part != whole {
		t.Fatalf("%s: cut to %d octets\ngot  %+v\nwant %+v", name, n, part, whole)
	}
}

func TestDecodeAllocations(t *testing.T) {
	for _, c := range special {
		checkNoAllocations(t, c.name, c.frame)
	}
	for _, p := range benchmarkPackets() {
		if !p.library {
			checkNoAllocations(t, p.name, p.frame)
		}
	}
}

func checkNoAllocations(t *testing.T, name string, frames ...Frame) {
	t.Helper()
	var d Decoder
	var s Segment
	for i := range frames { // a path's first appearance may allocate
		d.Decode(&frames[i], &s)
	}
	n := testing.AllocsPerRun(100, func() {
		for i := range frames {
			d.Decode(&frames[i], &s)
		}
	})
	if n != 0 {
		t.Errorf("%s: %v allocations per run, want none", name, n)
	}
}

func TestFlagsString(t *testing.T) {
	for _, c := range []struct {
		flags Flags
		want  string
	}{
		{0, "none"},
		{SYN, "S"},
		{SYN | ACK, "S."},
		{FIN | ACK, "F."},
		{PSH | ACK, "P."},
		{RST, "R"},
		{SYN | ECE | CWR | AE, "SEWA"},
		{0x1ff, "FSRP.UEWA"},
		{0xfe00, "none"},
	} {
		if got := c.flags.String(); got != c.want {
			t.Errorf("Flags(%#x) = %q, want %q", uint16(c.flags), got, c.want)
		}
	}
}

func TestSkipString(t *testing.T) {
	seen := map[string]bool{}
	for i := range SkipCount {
		name := Skip(i).String()
		if name == "" || name == "unknown" || seen[name] {
			t.Errorf("Skip(%d) is called %q", i, name)
		}
		seen[name] = true
	}
	if len(skipNames) != SkipCount {
		t.Errorf("%d names for %d skips", len(skipNames), SkipCount)
	}
	if got := Skip(SkipCount).String(); got != "unknown" {
		t.Errorf("a skip without name is called %q", got)
	}
}
