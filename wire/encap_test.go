package wire

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"
)

const macs = "eth 020000000002 020000000001 "

// encapFixtures are headers before an IPv4 packet, and the path that they give.
// They also seed the fuzz targets.
var encapFixtures = []struct {
	name    string
	headers string
	skip    Skip
	want    string // layers, separated by blanks
}{
	{"no tag", "0800", 0, ""},
	{"VLAN", "8100 000c 0800", 0, "vlan:12"},
	{"VLAN with priority", "8100 e00c 0800", 0, "vlan:12"},
	{"priority only", "8100 e000 0800", 0, ""},
	{"802.1ad stack", "88a8 0005 8100 000c 0800", 0, "vlan:5 vlan:12"},
	{"pre-standard stack", "9100 0005 8100 000c 0800", 0, "vlan:5 vlan:12"},
	{"priority tag in a VLAN", "8100 0005 8100 e000 0800", 0, "vlan:5"},
	{"three tags", "8100 0001 8100 0002 8100 0003 0800", 0, "vlan:1 vlan:2 vlan:3"},
	{"VLAN with ARP", "8100 000c 0806", SkipNotIP, ""},
	{"LLC and SNAP", "0033 aa aa 03 000000 0800", 0, ""},
	{"SNAP in a VLAN", "8100 000c 0033 aa aa 03 000000 0800", 0, "vlan:12"},
	{"SNAP, 802.1H", "0033 aa aa 03 0000f8 0800", 0, ""},
	{"SNAP of a vendor", "0033 aa aa 03 00000c 0800", SkipNotIP, ""},
	{"SNAP with a length", "0033 aa aa 03 000000 0010", SkipNotIP, ""},
	{"IP over LLC", "002e 06 06 03", 0, ""},
	{"LLC, spanning tree", "0026 42 42 03 00000000", SkipNotIP, ""},
	{"LLC, other", "002e e0 e0 03", SkipNotIP, ""},
	{"MPLS", "8847 000101ff", 0, "mpls:16"},
	{"MPLS stack", "8847 000100ff 000111ff", 0, "mpls:16 mpls:17"},
	{"MPLS, upstream labels", "8848 000101ff", 0, "mpls:16"},
	{"MPLS in a VLAN", "8100 000c 8847 000101ff", 0, "vlan:12 mpls:16"},
	{"MPLS, explicit null", "8847 000001ff", 0, "mpls:0"},
	{"MPLS with a control word", "8847 000101ff 00000000", SkipNotIP, ""},
	{"PPPoE", "8864 11 00 0003 002d 0021", 0, "pppoe:3"},
	{"PPPoE in two VLANs", "88a8 0005 8100 000c 8864 11 00 0003 002d 0021", 0, "vlan:5 vlan:12 pppoe:3"},
	{"PPPoE with MPLS", "8864 11 00 0003 0031 0281 000101ff", 0, "pppoe:3 mpls:16"},
	{"PPPoE discovery", "8863 11 09 0000 0000", SkipNotIP, ""},
	{"PPPoE with LCP", "8864 11 00 0003 002d c021", SkipNotIP, ""},
	{"32 headers", strings.Repeat("8100 0001 ", 31) + "0800", 0, strings.TrimSpace(strings.Repeat("vlan:1 ", 31))},
	{"too many headers", strings.Repeat("8100 0001 ", 32) + "0800", SkipMalformed, ""},
	{"too many labels", "8847 " + strings.Repeat("000100ff ", 40) + "000101ff", SkipMalformed, ""},
}

func TestEncap(t *testing.T) {
	for _, c := range encapFixtures {
		t.Run(c.name, func(t *testing.T) {
			want := with(dataSegment(), func(s *Segment) {
				if c.want != "" {
					s.Tuple.Encap = 1
				}
			})
			f := frame(LinkEthernet, macs+c.headers+"\n"+dataFixture)
			d := decodes(t, f, c.skip, want)
			if got := strings.Join(d.Encap(1), " "); got != c.want {
				t.Errorf("path %q, want %q", got, c.want)
			}
			for n := range f.Data {
				checkCut(t, c.name, f, n)
			}
			if c.skip == SkipNone {
				m := Decoder{MergeEncap: true}
				var s Segment
				if skip := m.Decode(&f, &s); skip != SkipNone || s != dataSegment() {
					t.Errorf("merged: %v %+v", skip, s)
				}
			}
		})
	}
}

// Paths are numbered by first appearance, and one content has one number.
func TestEncapIDs(t *testing.T) {
	var d Decoder
	var s Segment
	ids := map[string]EncapID{}
	for i, headers := range []string{"8100 000c 0800", "0800", "8100 0005 8100 000c 0800", "8100 0005 0800", "8847 000101ff"} {
		f := frame(LinkEthernet, macs+headers+"\n"+dataFixture)
		d.Decode(&f, &s)
		ids[headers] = s.Tuple.Encap
		if i == 3 && s.Tuple.Encap != 3 {
			t.Errorf("the third path with tags has number %d", s.Tuple.Encap)
		}
	}
	for range 2 {
		for headers, want := range ids {
			f := frame(LinkEthernet, macs+headers+"\n"+dataFixture)
			if d.Decode(&f, &s); s.Tuple.Encap != want {
				t.Errorf("%s: number %d, at first %d", headers, s.Tuple.Encap, want)
			}
		}
	}
	if d.Encap(0) != nil || d.Encap(5) != nil {
		t.Error("a number without path has layers")
	}
	if got := d.Encap(2); !slices.Equal(got, []string{"vlan:5", "vlan:12"}) {
		t.Errorf("second path %v", got)
	}
}

// A path that never carried TCP takes no number.
func TestEncapOnlyOfTCP(t *testing.T) {
	var d Decoder
	var s Segment
	f := frame(LinkEthernet, macs+"8100 0005 0800\nip4 45 00 0014  0001 0000  3f 11 0000  0a000002 0a000001")
	d.Decode(&f, &s)
	f = frame(LinkEthernet, macs+"8100 0006 0800\n"+dataFixture)
	d.Decode(&f, &s)
	if got := d.Encap(1); !slices.Equal(got, []string{"vlan:6"}) {
		t.Errorf("first path %v", got)
	}
}

// Beyond MaxEncaps, paths share one; those that have a number keep it.
func TestEncapBound(t *testing.T) {
	var d Decoder
	var s Segment
	f := frame(LinkEthernet, macs+"88a8 0000 8100 0000 0800\n"+dataFixture)
	decode := func(outer, inner int) EncapID {
		binary.BigEndian.PutUint16(f.Data[14:], uint16(outer))
		binary.BigEndian.PutUint16(f.Data[18:], uint16(inner))
		if skip := d.Decode(&f, &s); skip != SkipNone {
			t.Fatal(skip)
		}
		return s.Tuple.Encap
	}
	for i := range MaxEncaps {
		if id := decode(1+i>>12, i&0xfff); id != EncapID(i+1) {
			t.Fatalf("path %d has number %d", i, id)
		}
	}
	a, b := decode(4000, 1), decode(4000, 2)
	if a != b || a <= MaxEncaps {
		t.Errorf("paths beyond the bound have numbers %d and %d", a, b)
	}
	if got := d.Encap(a); !slices.Equal(got, []string{"other"}) {
		t.Errorf("path beyond the bound is %v", got)
	}
	if id := decode(1, 1); id != 2 {
		t.Errorf("an early path has number %d after the bound", id)
	}
	if n := testing.AllocsPerRun(10, func() { decode(4000, 3); decode(1, 2); decode(2, 2) }); n != 0 {
		t.Errorf("%v allocations at the bound", n)
	}
}

func TestEncapAllocations(t *testing.T) {
	checkNoAllocations(t, "several VLANs in turn",
		frame(LinkEthernet, macs+"8100 000c 0800\n"+dataFixture),
		frame(LinkEthernet, macs+"88a8 0005 8100 000c 0800\n"+dataFixture),
		frame(LinkEthernet, macs+"8100 0005 86dd\n"+data6Fixture),
		frame(LinkEthernet, macs+"0800\n"+dataFixture))
}

func TestLayerNames(t *testing.T) {
	for kind, name := range layerNames {
		if (name == "") != (layerKind(kind) == layerNone) {
			t.Errorf("layer kind %d is called %q", kind, name)
		}
	}
}

// The library's decoder of labels reads four octets without a look at how many
// there are. Without the least size it panics here; then the frame is malformed,
// and the program goes on.
func TestFallbackRecovers(t *testing.T) {
	h, skip := readHeader(protoPPP, []byte{0xff, 0x03, 0x00, 0x21}, 4)
	if skip != SkipNone || h.next != protoIPv4 || h.size != 4 {
		t.Fatalf("%+v %v", h, skip)
	}
	if _, skip := headers[protoMPLS].read([]byte{1}, 1); skip != SkipMalformed {
		t.Errorf("skip %v after a panic", skip)
	}
}
