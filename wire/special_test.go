package wire

import (
	"encoding/binary"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// fragmentsOf cuts an IP packet, as build makes it, into fragments at the given
// offsets of its payload. What stands before the cut part of an IPv6 packet is the
// fixed header and the first unfragmentable extension headers.
func fragmentsOf(ip []byte, unfragmentable int, cuts []int) [][]byte {
	v6 := ip[0]>>4 == 6
	head, next := int(ip[0]&0xf)*4, ip[9]
	nextAt := -1
	if v6 {
		head, next, nextAt = 40, ip[6], 6
		for range unfragmentable {
			nextAt = head
			next, head = ip[head], head+int(ip[head+1])*8+8
		}
	}
	var out [][]byte
	payload := ip[head:]
	cuts = append(slices.DeleteFunc(slices.Clone(cuts), func(at int) bool { return at >= len(payload) }), len(payload))
	from := 0
	for _, to := range cuts {
		b := slices.Clone(ip[:head])
		more := uint16(0)
		if to < len(payload) {
			more = 1
		}
		if v6 {
			b[nextAt] = ipFragment
			b = append(b, next, 0)
			b = binary.BigEndian.AppendUint16(b, uint16(from)|more)
			b = append(b, 0xde, 0xad, 0xbe, 0xef)
			b = append(b, payload[from:to]...)
			binary.BigEndian.PutUint16(b[4:], uint16(len(b)-40))
		} else {
			b = append(b, payload[from:to]...)
			binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
			binary.BigEndian.PutUint16(b[6:], 0x4000|more<<13|uint16(from/8))
		}
		out = append(out, b)
		from = to
	}
	return out
}

// However a packet is cut into fragments, in whatever order they come, over every
// link type: the segment is that of the packet in one piece, with the frame and
// the time of the fragment that came last.
func TestFragmentedAsWhole(t *testing.T) {
	links := LinkTypes()
	rapid.Check(t, func(t *rapid.T) {
		p := packet{&ipVariants[rapid.IntRange(0, len(ipVariants)-1).Draw(t, "ip")],
			optionLists[rapid.IntRange(0, len(optionLists)-1).Draw(t, "options")], rapid.SampledFrom([]int{0, 1, 700, 9000, 60000}).Draw(t, "payload")}
		ip, _, _ := p.build()
		link := rapid.SampledFrom(links).Draw(t, "link")
		b := carry(link, p.ip.v6, ip)
		if b == nil {
			return
		}
		unfragmentable := 0
		if p.ip.v6 {
			unfragmentable = rapid.IntRange(0, len(p.ip.types)).Draw(t, "unfragmentable")
			if slices.Contains(p.ip.types, ipFragment) {
				return
			}
		}
		whole := Frame{ID: 7, At: 99, Link: link, Data: b, Length: uint32(len(b))}
		var want Segment
		if skip := new(Decoder).Decode(&whole, &want); skip != SkipNone {
			t.Fatalf("whole: %v", skip)
		}
		want.Traits |= TraitReassembled

		var cuts []int
		for at := 0; at < len(ip) && len(cuts) < 100; {
			at += 8 * rapid.OneOf(rapid.IntRange(1, 4), rapid.IntRange(1, 1000)).Draw(t, "units")
			cuts = append(cuts, at)
		}
		frames := rapid.Permutation(fragmentsOf(ip, unfragmentable, cuts)).Draw(t, "order")
		if len(frames) == 1 {
			return
		}
		var d Decoder
		for i, fr := range frames {
			f := Frame{ID: 7, At: 99, Link: link, Data: carry(link, p.ip.v6, fr)}
			f.Length = uint32(len(f.Data))
			if i < len(frames)-1 {
				f.ID, f.At = 6, 98
			}
			got := dirty()
			skip := d.Decode(&f, &got)
			switch {
			case i < len(frames)-1 && skip != SkipFragment:
				t.Fatalf("fragment %d of %d: %v", i+1, len(frames), skip)
			case i == len(frames)-1 && (skip != SkipNone || got != want):
				t.Fatalf("%v\ngot  %+v\nwant %+v", skip, got, want)
			}
		}
		if c, want := d.Fragments(), (Fragments{Packets: 1, Frames: uint64(len(frames))}); c != want {
			t.Fatalf("%+v", c)
		}
	})
}

// A snapped fragment says less, not something else: lengths are the headers'.
func TestFragmentsSnapped(t *testing.T) {
	p := packet{&ipVariants[0], optionLists[2], 3000}
	ip, _, ends := p.build()
	frames := fragmentsOf(ip, 0, []int{1480, 2960})
	for n := 20; n <= 80; n++ {
		var d Decoder
		var s Segment
		var skip Skip
		for _, fr := range frames {
			f := Frame{ID: 7, At: 99, Link: LinkRaw, Data: fr[:min(n, len(fr))], Length: uint32(len(fr))}
			skip = d.Decode(&f, &s)
		}
		if n < 40 {
			if skip != SkipTruncated {
				t.Errorf("snapped to %d: %v", n, skip)
			}
			continue
		}
		want := p.want(n-40, ends)
		want.Traits |= TraitReassembled | TraitSnapped
		if skip != SkipNone || s != want {
			t.Errorf("snapped to %d: %v\ngot  %+v\nwant %+v", n, skip, s, want)
		}
	}
}

// Equal addresses and identifications in two VLANs are two packets.
func TestFragmentsOfTwoVLANs(t *testing.T) {
	p := packet{&ipVariants[0], nil, 100}
	ip, _, _ := p.build()
	frames := fragmentsOf(ip, 0, []int{48})
	var d Decoder
	var s Segment
	decode := func(vlan string, fragment int) Skip {
		b := append(fixture(macs+"8100 "+vlan+" 0800"), frames[fragment]...)
		return d.Decode(&Frame{Link: LinkEthernet, Data: b, Length: uint32(len(b))}, &s)
	}
	for i, step := range []struct {
		vlan     string
		fragment int
		want     Skip
	}{{"0001", 0, SkipFragment}, {"0002", 1, SkipFragment}, {"0001", 1, SkipNone}, {"0002", 0, SkipNone}} {
		if skip := decode(step.vlan, step.fragment); skip != step.want {
			t.Errorf("step %d: %v", i, skip)
		}
		if step.want == SkipNone && d.Encap(s.Tuple.Encap)[0] != "vlan:"+step.vlan[3:] {
			t.Errorf("step %d: %v", i, d.Encap(s.Tuple.Encap))
		}
	}
}

// A tunnel's packet in fragments, fragments in a tunnel, and both: IP in IP, whose
// inner packet is cut first, and then each of the outer ones.
func TestFragmentsAndTunnels(t *testing.T) {
	inner := func(v6 bool) []byte {
		p := packet{&ipVariants[0], optionLists[2], 900}
		if v6 {
			p.ip = &ipVariants[4]
		}
		ip, _, _ := p.build()
		return ip
	}
	outer := func(payload []byte) []byte {
		next, v6 := byte(ipIPv4), payload[0]>>4 == 6
		if v6 {
			next = ipIPv6
		}
		b := fixture("ip4 45 00 0000 0007 0000 40 00 0000 c0000201 c0000202")
		b[9] = next
		binary.BigEndian.PutUint16(b[2:], uint16(20+len(payload)))
		return append(b, payload...)
	}
	for _, v6 := range []bool{false, true} {
		var want Segment
		ip := outer(inner(v6))
		if skip := new(Decoder).Decode(&Frame{ID: 7, At: 99, Link: LinkRaw, Data: ip, Length: uint32(len(ip))}, &want); skip != SkipNone {
			t.Fatal(skip)
		}
		want.Traits |= TraitReassembled

		outside := fragmentsOf(outer(inner(v6)), 0, []int{8, 48, 400})
		var inside, both [][]byte
		for i, b := range fragmentsOf(inner(v6), 0, []int{16, 400}) {
			o := outer(b)
			binary.BigEndian.PutUint16(o[4:], uint16(100+i)) // each a packet of its own
			inside = append(inside, o)
			both = append(both, fragmentsOf(o, 0, []int{8, 24})...)
		}
		for name, frames := range map[string][][]byte{"outside": outside, "inside": inside, "both": both} {
			for _, backwards := range []bool{false, true} {
				if backwards {
					slices.Reverse(frames)
				}
				var d Decoder
				for i, b := range frames {
					f := Frame{ID: 7, At: 99, Link: LinkRaw, Data: b, Length: uint32(len(b))}
					got := dirty()
					skip := d.Decode(&f, &got)
					switch last := i == len(frames)-1; {
					case !last && skip != SkipFragment:
						t.Fatalf("%s, IPv6 %v: frame %d of %d: %v", name, v6, i+1, len(frames), skip)
					case last && (skip != SkipNone || got != want):
						t.Fatalf("%s, IPv6 %v: %v\ngot  %+v\nwant %+v", name, v6, skip, got, want)
					}
				}
				if c := d.Fragments(); c.Incomplete != 0 {
					t.Errorf("%s, IPv6 %v: %+v", name, v6, c)
				}
			}
		}
	}
}

// icmpFixtures are ICMP errors with what they say.
var icmpFixtures = []struct {
	name  string
	frame Frame
	want  ICMP
}{
	{"IPv4, the least quote", frame(101, `
		ip4   45 00 0038  0001 0000  3f 01 0000  c0000201 0a000001
		icmp  03 03 0000 00000000
		ip4   45 00 003c  1234 4000  40 06 0000  0a000001 0a000002
		tcp   9c40 01bb  00000001`),
		ICMP{Tuple: synSegment().Tuple, Reporter: AddrFrom4([]byte{192, 0, 2, 1}), Seq: 1, Type: 3, Code: 3}},
	{"IPv4, fragmentation needed, quote with flags", frame(101, `
		ip4   45 00 0040  0001 0000  3f 01 0000  c0000201 0a000001
		icmp  03 04 0000 00000578
		ip4   45 00 05dc  1234 4000  40 06 0000  0a000001 0a000002
		tcp   9c40 01bb  00000001 00000002 5018 0200`),
		ICMP{Tuple: synSegment().Tuple, Reporter: AddrFrom4([]byte{192, 0, 2, 1}), Seq: 1, Flags: PSH | ACK, HasFlags: true, Type: 3, Code: 4, MTU: 1400}},
	{"IPv4, time exceeded with extensions behind 32 octets", frame(101, `
		ip4   45 00 0044  0001 0000  3f 01 0000  c0000201 0a000001
		icmp  0b 00 0000 00080000
		ip4   45 00 003c  1234 4000  40 06 0000  0a000001 0a000002
		tcp   9c40 01bb  00000001 00000000
		ext   20000000 0008 0101 00010100`),
		ICMP{Tuple: synSegment().Tuple, Reporter: AddrFrom4([]byte{192, 0, 2, 1}), Seq: 1, Type: 11}},
	{"IPv4, a quoted source route", frame(101, `
		ip4   45 00 0040  0001 0000  3f 01 0000  c0000201 0a000001
		icmp  03 05 0000 00000000
		ip4   47 00 0044  1234 4000  40 06 0000  0a000001 0a000009
		lsrr  83 07 04 0a000002 00
		tcp   9c40 01bb  00000001`),
		ICMP{Tuple: synSegment().Tuple, Reporter: AddrFrom4([]byte{192, 0, 2, 1}), Seq: 1, Type: 3, Code: 5}},
	{"IPv6, packet too big, behind an extension header", frame(229, `
		ip6   60000000  0040 3a 40
		src   20010db8 00000000 00000000 00000009
		dst   20010db8 00000000 00000000 00000001
		icmp  02 00 0000 00000500
		ip6   60000000  002b 00 40
		src   20010db8 00000000 00000000 00000001
		dst   20010db8 00000000 00000000 00000002
		hbh   06 00 0104 00000000
		tcp   9c40 01bb  ffffffff`),
		ICMP{Tuple: data6Segment().Tuple, Reporter: AddrFrom16([]byte{0x20, 1, 0x0d, 0xb8, 15: 9}), Seq: 0xffffffff, Type: 2, MTU: 1280}},
}

func TestICMP(t *testing.T) {
	for _, c := range icmpFixtures {
		var d Decoder
		var s Segment
		if skip := d.Decode(&c.frame, &s); skip != SkipICMP {
			t.Errorf("%s: %v", c.name, skip)
			continue
		}
		c.want.Frame, c.want.At = c.frame.ID, c.frame.At
		if got := *d.ICMP(); got != c.want {
			t.Errorf("%s:\ngot  %+v\nwant %+v", c.name, got, c.want)
		}
		for n := range c.frame.Data {
			g := cut(c.frame, n)
			if skip := d.Decode(&g, &s); skip != SkipTruncated && skip != SkipICMP {
				t.Errorf("%s, cut to %d: %v", c.name, n, skip)
			}
		}
		// In a VLAN it has the path that a segment there has.
		if c.frame.Link == LinkRaw {
			seg := frame(LinkEthernet, macs+"8100 000c 0800\n"+dataFixture)
			d.Decode(&seg, &s)
			b := append(fixture(macs+"8100 000c 0800"), c.frame.Data...)
			if skip := d.Decode(&Frame{Link: LinkEthernet, Data: b, Length: uint32(len(b))}, &s); skip != SkipICMP || len(d.Encap(d.ICMP().Tuple.Encap)) != 1 {
				t.Errorf("%s in a VLAN: %v %v", c.name, skip, d.Encap(d.ICMP().Tuple.Encap))
			}
		}
	}
}

// RFC 792, RFC 1191, RFC 4443: which errors say that a destination cannot be
// reached, and which only that one segment did not get through.
func TestICMPMeaning(t *testing.T) {
	for _, c := range []struct {
		v6               bool
		kind, code       uint8
		unreachable, big bool
	}{
		{false, 3, 1, true, false}, {false, 3, 3, true, false}, {false, 3, 4, false, true}, {false, 3, 13, true, false},
		{false, 4, 0, false, false}, {false, 11, 0, true, false}, {false, 12, 0, true, false},
		{true, 1, 4, true, false}, {true, 2, 0, false, true}, {true, 3, 0, true, false}, {true, 4, 1, true, false},
	} {
		e := ICMP{Tuple: Tuple{V6: c.v6}, Type: c.kind, Code: c.code}
		if e.Unreachable() != c.unreachable || e.TooBig() != c.big {
			t.Errorf("IPv6 %v, type %d code %d: unreachable %v, too big %v", c.v6, c.kind, c.code, e.Unreachable(), e.TooBig())
		}
	}
}

// FuzzFragmented cuts any IPv6 payload in two: what comes of it is what comes of
// the packet in one piece.
func FuzzFragmented(f *testing.F) {
	f.Add(byte(ipTCP), fixture(data6Fixture)[40:], byte(1))
	f.Add(byte(ipDestination), fixture("dst 06 00 0104 00000000 9c40 01bb ffffffff 00000002 50 19 0200 0000 0000"), byte(2))
	f.Add(byte(ipRouting), fixture("rt 06 02 00 01 00000000 20010db8 00000000 00000000 00000002 9c40 01bb ffffffff 00000002 50 19 0200 0000 0000"), byte(1))
	f.Add(byte(ipAH), fixture("ah 06 01 0000 00000001 00000001 9c40 01bb ffffffff 00000002 50 19 0200 0000 0000"), byte(1))
	f.Fuzz(func(t *testing.T, next byte, payload []byte, units byte) {
		if len(payload) > 60000 || next == ipUDP || new(Decoder).carries(&ipPacket{next: next}) != SkipNone {
			return
		}
		ip := append(fixture("ip6 60000000 0000 00 40 20010db8 00000000 00000000 00000001 20010db8 00000000 00000000 00000002"), payload...)
		binary.BigEndian.PutUint16(ip[4:], uint16(len(payload)))
		ip[6] = next
		frames := fragmentsOf(ip, 0, []int{int(units)*8 + 8})
		if len(frames) != 2 || len(payload) > datagramHead {
			return
		}
		var whole, parts Decoder
		var want, got Segment
		skip := whole.Decode(&Frame{Link: LinkRaw, Data: ip, Length: uint32(len(ip))}, &want)
		if skip == SkipFragment || skip == SkipICMP {
			return // another fragment header, or an error that needs none
		}
		var gotSkip Skip
		for _, b := range frames {
			gotSkip = parts.Decode(&Frame{Link: LinkRaw, Data: b, Length: uint32(len(b))}, &got)
		}
		want.Traits |= TraitReassembled
		if gotSkip != skip || skip == SkipNone && got != want {
			t.Fatalf("%v, in one piece %v\ngot  %+v\nwant %+v", gotSkip, skip, got, want)
		}
	})
}
