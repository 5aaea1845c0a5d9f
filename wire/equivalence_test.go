package wire

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
)

// The generated packets: every link type with every kind of IP header, every set
// of TCP options and every length, whole and snapped. What each must give is known
// from how it was made; google/gopacket must say the same wherever it can.

// ipVariant is one way to write an IP header.
type ipVariant struct {
	name string
	v6   bool
	// headers are IPv4 options, or IPv6 extension headers without their first
	// octet: the type stands in types.
	types   []byte
	headers [][]byte
	// library: google/gopacket reads it too.
	library bool
}

var ipVariants = []ipVariant{
	{name: "v4", library: true},
	{name: "v4 one option", headers: [][]byte{{0x94, 4, 0, 0}}, library: true},
	{name: "v4 ten words", headers: [][]byte{append([]byte{7, 39, 4}, make([]byte, 37)...)}, library: true},
	{name: "v4 damaged option", headers: [][]byte{{7, 99, 4, 0}}},
	{name: "v6", v6: true, library: true},
	{name: "v6 hbh", v6: true, types: []byte{0}, headers: [][]byte{{0, 1, 4, 0, 0, 0, 0}}, library: true},
	{name: "v6 routing", v6: true, types: []byte{43}, headers: [][]byte{append([]byte{2}, make([]byte, 22)...)}, library: true},
	{name: "v6 srv6", v6: true, types: []byte{43}, headers: [][]byte{append([]byte{2, 4, 0}, make([]byte, 20)...)}},
	{name: "v6 dst", v6: true, types: []byte{60}, headers: [][]byte{append([]byte{1, 1, 12}, make([]byte, 12)...)}, library: true},
	{name: "v6 hbh dst routing dst", v6: true, types: []byte{0, 60, 43, 60}, library: true, headers: [][]byte{
		{0, 1, 4, 0, 0, 0, 0}, {0, 1, 4, 0, 0, 0, 0}, {0, 0, 0, 0, 0, 0, 0}, {0, 1, 4, 0, 0, 0, 0}}},
	{name: "v6 out of order", v6: true, types: []byte{60, 43, 0}, headers: [][]byte{
		{0, 1, 4, 0, 0, 0, 0}, {0, 0, 0, 0, 0, 0, 0}, {0, 1, 4, 0, 0, 0, 0}}, library: true},
	{name: "v6 atomic fragment", v6: true, types: []byte{44}, headers: [][]byte{{0, 0, 0, 1, 2, 3, 4}}},
}

// optionItem is one TCP option and what it does to the Options when it is whole.
type optionItem struct {
	octets []byte
	apply  func(*Options)
}

var (
	itemNop  = optionItem{[]byte{1}, func(*Options) {}}
	itemMSS  = optionItem{[]byte{2, 4, 5, 0xb4}, func(o *Options) { o.Set |= OptMSS; o.MSS = 1460 }}
	itemWS   = optionItem{[]byte{3, 3, 7}, func(o *Options) { o.Set |= OptWindowScale; o.WindowScale = 7 }}
	itemPerm = optionItem{[]byte{4, 2}, func(o *Options) { o.Set |= OptSACKPerm }}
	itemTS   = optionItem{[]byte{8, 10, 0, 0, 0, 1, 0, 0, 0, 2}, func(o *Options) {
		o.Set |= OptTimestamps
		o.TSVal, o.TSEcr = 1, 2
	}}
	itemMD5   = optionItem{append([]byte{19, 18}, make([]byte, 16)...), func(o *Options) { o.Set |= OptMD5 }}
	itemAO    = optionItem{append([]byte{29, 16}, make([]byte, 14)...), func(o *Options) { o.Set |= OptAO }}
	itemMPTCP = optionItem{[]byte{30, 4, 0x20, 0}, func(o *Options) { o.Set |= OptMPTCP; o.MPTCPSubtype = 2 }}
	itemUTO   = optionItem{[]byte{28, 4, 0x80, 5}, func(o *Options) { o.Set |= OptUserTimeout; o.UserTimeout = 0x8005 }}
	itemTFO   = optionItem{[]byte{34, 10, 1, 2, 3, 4, 5, 6, 7, 8}, func(o *Options) { o.Set |= OptFastOpen; o.FastOpenLen = 8 }}
	itemExp   = optionItem{[]byte{254, 8, 0xf9, 0x89, 1, 2, 3, 4}, func(o *Options) { o.Set |= OptFastOpen; o.FastOpenLen = 4 }}
	itemCC    = optionItem{[]byte{11, 6, 0, 0, 0, 1}, func(o *Options) { o.Set |= OptCC }}
	itemCCNew = optionItem{[]byte{12, 6, 0, 0, 0, 1}, func(o *Options) { o.Set |= OptCCNew }}
	itemEcho  = optionItem{[]byte{13, 6, 0, 0, 0, 1}, func(o *Options) { o.Set |= OptCCEcho }}
	itemOther = optionItem{[]byte{99, 3, 0}, func(o *Options) { o.Set |= OptOther }}
	itemWrong = optionItem{[]byte{2, 3, 0}, func(o *Options) { o.Set |= OptDamaged }}
)

func itemSACK(blocks int) optionItem {
	it := optionItem{octets: []byte{5, byte(2 + 8*blocks)}}
	var set [2]SACKBlock
	for i := range blocks {
		block := SACKBlock{Seq(1000 * (i + 1)), Seq(1000*(i+1) + 500)}
		if i < len(set) {
			set[i] = block
		}
		it.octets = binary.BigEndian.AppendUint32(it.octets, uint32(block.Left))
		it.octets = binary.BigEndian.AppendUint32(it.octets, uint32(block.Right))
	}
	it.apply = func(o *Options) { o.Set |= OptSACK; o.SACKs = uint8(blocks); o.SACK = set }
	return it
}

var optionLists = [][]optionItem{
	nil,
	{itemNop, itemNop, itemTS},
	{itemMSS, itemPerm, itemTS, itemNop, itemWS},
	{itemMSS, itemNop, itemWS, itemNop, itemNop, itemPerm},
	{itemMSS},
	{itemNop, itemNop, itemTS, itemNop, itemNop, itemSACK(3)},
	{itemNop, itemNop, itemSACK(1)},
	{itemNop, itemNop, itemSACK(2)},
	{itemNop, itemNop, itemSACK(4)},
	{itemMSS, itemMPTCP, itemPerm, itemNop, itemWS},
	{itemMD5, itemMSS, itemPerm},
	{itemAO, itemTS, itemPerm},
	{itemUTO, itemTFO, itemNop, itemNop},
	{itemExp, itemMSS},
	{itemCC, itemCCNew, itemEcho, itemNop, itemNop},
	{itemOther, itemNop, itemMSS},
	{itemWrong, itemNop, itemMSS},
	{itemTS, itemTS, itemTS, itemTS},
	{itemNop, itemNop, itemNop},
}

// packet is one generated packet with what it must give.
type packet struct {
	ip      *ipVariant
	options []optionItem
	payload int
}

// build writes the IP packet, and says where the TCP options begin in it and
// where each of them ends.
func (p *packet) build() (b []byte, optionsAt int, ends []int) {
	var opts []byte
	for _, it := range p.options {
		opts = append(opts, it.octets...)
		ends = append(ends, len(opts))
	}
	for len(opts)%4 != 0 {
		opts = append(opts, kindEnd)
	}
	extra := 0
	for _, h := range p.ip.headers {
		extra += len(h)
	}
	extra += len(p.ip.types)
	tcp := 20 + len(opts) + p.payload
	if p.ip.v6 {
		b = append(b, 0x60, 1, 2, 3)
		b = binary.BigEndian.AppendUint16(b, uint16(extra+tcp))
		next := append(slices.Clone(p.ip.types), ipTCP)
		b = append(b, next[0], 61)
		b = append(b, fixture("src 20010db8 00000000 00000000 00000001 20010db8 00000000 00000000 00000002")...)
		for i, h := range p.ip.headers {
			b = append(append(b, next[i+1]), h...)
		}
	} else {
		b = append(b, byte(0x45+extra/4), 0)
		b = binary.BigEndian.AppendUint16(b, uint16(20+extra+tcp))
		b = append(b, fixture("rest abcd 4000 3d 06 0000 0a000001 0a000002")...)
		for _, h := range p.ip.headers {
			b = append(b, h...)
		}
	}
	b = append(b, fixture("tcp 9c40 01bb fffffff0 80000001")...)
	b = append(b, byte(5+len(opts)/4)<<4|1, 0xd2, 0xfa, 0xf0, 0, 0, 0x12, 0x34)
	optionsAt = len(b)
	b = append(b, opts...)
	b = append(b, make([]byte, p.payload)...)
	return b, optionsAt, ends
}

// want is the segment that the packet gives when its options are captured up to n
// octets, and all when n is negative.
func (p *packet) want(n int, ends []int) Segment {
	s := Segment{
		Frame: 7, At: 99,
		Tuple: Tuple{Src: addrA, Dst: addrB, SrcPort: 40000, DstPort: 443},
		Seq:   0xfffffff0, Ack: 0x80000001, Flags: AE | CWR | ECE | ACK | SYN,
		Window: 0xfaf0, Urgent: 0x1234, Len: uint32(p.payload), IPID: 0xabcd, TTL: 61, Traits: TraitDF,
	}
	if p.ip.v6 {
		s.Tuple.Src, s.Tuple.Dst, s.Tuple.V6, s.IPID, s.Traits = addrC, addrD, true, 0, 0
	}
	size, last := 0, 0
	if len(ends) > 0 {
		last = ends[len(ends)-1]
		size = (last + 3) &^ 3
	}
	for i, it := range p.options {
		if n < 0 || ends[i] <= n {
			it.apply(&s.Options)
		}
	}
	// The first padding octet ends the list: behind it nothing is missing.
	if n >= 0 && n < size && n <= last {
		s.Options.Set |= OptCut
	}
	return s
}

// carry puts an IP packet behind a link type's header; nil when that cannot be.
func carry(link LinkType, v6 bool, ip []byte) []byte {
	h := linkHeaders[link].v4
	if v6 {
		h = linkHeaders[link].v6
	}
	if h == "-" {
		return nil
	}
	b := fixture(h)
	if link == LinkPPPEthernet {
		binary.BigEndian.PutUint16(b[4:], uint16(len(ip)+2))
	}
	return append(b, ip...)
}

func TestEquivalence(t *testing.T) {
	compared := 0
	for _, link := range LinkTypes() {
		// What stands behind a header does not depend on which one it is: for link types
		// that the library lacks a few combinations are enough.
		variants, lists, payloads := ipVariants, optionLists, []int{0, 1, 1400, 65000}
		if firstLayers[link] == nil && link != LinkLinuxSLL2 && link != LinkCiscoHDLC {
			variants, lists, payloads = variants[:5], lists[:5], []int{1, 1400}
		}
		for i := range variants {
			for _, options := range lists {
				for _, payload := range payloads {
					p := packet{&ipVariants[i], options, payload}
					ip, optionsAt, ends := p.build()
					b := carry(link, p.ip.v6, ip)
					if b == nil {
						continue
					}
					what := fmt.Sprintf("%v, %s, %d options, %d octets", link, p.ip.name, len(options), payload)
					f := Frame{ID: 7, At: 99, Link: link, Data: b, Length: uint32(len(b))}
					compared += p.check(t, what, f, -1, ends)

					// Padding behind the packet is not payload.
					f.Data = append(slices.Clip(b), 1, 1, 1, 1, 1, 1)
					if f.Length = uint32(len(f.Data)); link != LinkPPPEthernet {
						compared += p.check(t, what+", padded", f, -1, ends)
					}
					if payload == 1400 {
						for n := len(b) - payload; n >= 0; n-- {
							g := cut(Frame{ID: 7, At: 99, Link: link, Data: b, Length: uint32(len(b))}, n)
							compared += p.check(t, fmt.Sprintf("%s, cut to %d", what, n), g, n-(len(b)-len(ip))-optionsAt, ends)
						}
					}
					if t.Failed() {
						return
					}
				}
			}
		}
	}
	t.Logf("%d packets compared with google/gopacket", compared)
	if compared < 50000 {
		t.Errorf("only %d packets compared with google/gopacket", compared)
	}
}

// check decodes f and compares with what the packet is known to be, and with the
// oracle; it returns how many comparisons with the oracle there were. captured is
// the number of octets from the options on, when f is snapped.
func (p *packet) check(t *testing.T, what string, f Frame, captured int, ends []int) int {
	t.Helper()
	var d Decoder
	s := dirty()
	skip := d.Decode(&f, &s)
	snapped := f.Length > uint32(len(f.Data))
	if snapped && captured < 0 {
		if skip != SkipTruncated {
			t.Errorf("%s: %v, want truncated", what, skip)
		}
		return 0
	}
	want := encapsulated(f.Link, p.want(captured, ends))
	if snapped {
		want.Traits |= TraitSnapped
	}
	if skip != SkipNone || s != want {
		t.Errorf("%s: %v\ngot  %+v\nwant %+v\n%x", what, skip, s, want, f.Data[:min(len(f.Data), 150)])
		return 0
	}
	v, exempt := oracle(&f)
	if exempt || !v.found {
		// On a snapped PPPoE frame the library panics.
		if p.ip.library && !(f.Link == LinkPPPEthernet && snapped) {
			t.Errorf("%s: the library finds no TCP (exempt: %v)", what, exempt)
		}
		return 0
	}
	compareOracle(t, what, &f, &d, skip, s, v)
	return 1
}

// compareOracle fails unless a decoded segment is what the library found.
func compareOracle(t *testing.T, what string, f *Frame, d *Decoder, skip Skip, s Segment, v verdict) {
	t.Helper()
	if !v.valid {
		// Options beyond the packet cost the options only.
		if skip == SkipNone && s.Options.Set != OptDamaged {
			t.Fatalf("%s: a segment, where the lengths disagree: %+v\n%x", what, s, f.Data)
		}
		return
	}
	if skip != SkipNone {
		t.Fatalf("%s: %v, where the library finds %+v\n%x", what, skip, v.seg, f.Data)
	}
	if got := d.Encap(s.Tuple.Encap); !slices.Equal(got, v.path) {
		t.Fatalf("%s: path %v, library %v\n%x", what, got, v.path, f.Data)
	}
	s.Tuple.Encap = 0
	if v.cut {
		s.Options = Options{} // the library gives up on options that are not whole
	} else if s.Options.Set.Has(OptCut) {
		t.Fatalf("%s: options cut that are all there\n%x", what, f.Data)
	}
	if s != v.seg {
		t.Fatalf("%s:\ngot     %+v\nlibrary %+v\n%x", what, s, v.seg, f.Data)
	}
}

// TestEquivalenceFixtures does the same for every hand-made frame.
func TestEquivalenceFixtures(t *testing.T) {
	for name, f := range seedFrames() {
		checkOracle(t, name, f)
	}
}

func checkOracle(t *testing.T, what string, f Frame) {
	t.Helper()
	v, exempt := oracle(&f)
	if exempt || !v.found {
		return
	}
	var d Decoder
	s := dirty()
	skip := d.Decode(&f, &s)
	compareOracle(t, what, &f, &d, skip, s, v)
}
