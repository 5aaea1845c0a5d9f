package wire

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
)

// Parts of an sFlow datagram (sflow.org/sflow_version_5.txt). A sample's length and
// a number of records are filled in; so are a raw header's lengths.
const (
	agent4         = "c0000209"
	agent6         = "20010db8000000000000000000000009"
	flowSample     = "00000001 SIZE 00000001 00000001 000003e8 000003e8 00000000 00000001 00000002"
	expandedSample = "00000003 SIZE 00000001 00000000 00000001 000003e8 000003e8 00000000 00000000 00000001 00000000 00000002"
	counterSample  = "00000002 0000000c 00000001 00000001 00000000"
	switchRecord   = "000003e9 00000010 00000001 00000000 00000001 00000000"
)

func rawHeader(protocol byte) string {
	return fmt.Sprintf("00000001 RECORD %08x FRAME 00000004 HEADER", protocol)
}

// sample puts a packet into the last of a flow sample's records.
func sample(head string, packet []byte, records ...string) []byte {
	padded := append(append([]byte{}, packet...), make([]byte, -len(packet)&3)...)
	text := strings.Join(records, " ")
	text = strings.NewReplacer("RECORD", fmt.Sprintf("%08x", 16+len(padded)), "FRAME", fmt.Sprintf("%08x", len(packet)+4),
		"HEADER", fmt.Sprintf("%08x", len(packet))).Replace(text)
	body := append(fixture("x "+text), padded...)
	b := fixture("x " + strings.Replace(head, "SIZE", "00000000", 1) + fmt.Sprintf("%08x", len(records)))
	binary.BigEndian.PutUint32(b[4:], uint32(len(b)-8+len(body)))
	return append(b, body...)
}

// datagram5 is a datagram of version 5.
func datagram5(agent string, samples ...[]byte) []byte {
	b := fixture("x 00000005" + agent + fmt.Sprintf("00000000 00000001 00000001 %08x", len(samples)))
	for _, s := range samples {
		b = append(b, s...)
	}
	return b
}

// sflow is a datagram with a packet in one sample, behind another if that is given.
func sflow(agent, head string, records ...string) wrapping {
	var first [][]byte
	if n := len(records) - 1; records[n] == counterSample {
		first, records = [][]byte{fixture("x " + counterSample)}, records[:n]
	}
	return func(b []byte) []byte { return datagram5(agent, append(first, sample(head, b, records...))...) }
}

// subframe is one packet of an A-MSDU (IEEE 802.11 section 9.3.2.2).
func subframe(packet []byte, last bool) []byte {
	b := sized("020000000002 020000000001 0000 aa aa 03 000000 0800", 12, 8)(packet)
	for !last && len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// numbered is the data segment with another sequence number.
func numbered(n byte) []byte {
	b := fixture(dataFixture)[:43]
	b[20+7] = n
	return b
}

func joined(parts ...[]byte) (all []byte) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

const amsduHeader = "88 01 0000 020000000002 020000000001 020000000003 1000 8000"

// severals are frames with several packets; the sequence numbers' last octets say
// which of them carry TCP.
func severals() []struct {
	name  string
	frame linkFrame
	seqs  []byte
} {
	udp := fixture("ip4 45 00 001c 0001 0000 3f 11 0000 0a000002 0a000001 0035 0035 0008 0000")
	ether := func(b []byte) []byte { return sample(flowSample, innerEth(b), rawHeader(1)) }
	one, two, three := numbered(1), numbered(2), numbered(3)
	inner := joined(fixture("x "+amsduHeader), subframe(one, false), subframe(two, true))
	return []struct {
		name  string
		frame linkFrame
		seqs  []byte
	}{
		{"A-MSDU", linkFrame{LinkWLAN, joined(fixture("x "+amsduHeader), subframe(one, false), subframe(udp, false), subframe(two, false), subframe(three, true))}, []byte{1, 2, 3}},
		{"A-MSDU, UDP first", linkFrame{LinkWLAN, joined(fixture("x "+amsduHeader), subframe(udp, false), subframe(two, true))}, []byte{2}},
		{"sFlow", linkFrame{LinkEthernet, wrapped(datagram5("00000001"+agent4, ether(one), ether(udp), fixture("x "+counterSample), ether(two)), eth4, inUDP(6343))}, []byte{1, 2}},
		{"three samples", linkFrame{LinkRaw, inUDP(6343)(datagram5("00000001"+agent4, ether(one), ether(two), ether(three)))}, []byte{1, 2, 3}},
		{"A-MSDU in sFlow", linkFrame{LinkRaw, inUDP(6343)(datagram5("00000001"+agent4, sample(flowSample, inner, rawHeader(15)), ether(three)))}, []byte{1, 2, 3}},
	}
}

// segmentsOf returns the last octets of the sequence numbers in a frame.
func segmentsOf(t *testing.T, d *Decoder, f *Frame) (seqs []byte, all []Segment) {
	t.Helper()
	s := dirty()
	skip, ok := d.Decode(f, &s), true
	for ; ok; skip, ok = d.More(f, &s) {
		if skip != SkipNone {
			continue
		}
		seqs, all = append(seqs, byte(s.Seq)), append(all, s)
		if len(all) > len(f.Data) {
			t.Fatal("no end of segments")
		}
	}
	return seqs, all
}

// Every packet of a frame that holds several is read, whatever stands between them.
func TestSeveral(t *testing.T) {
	for _, c := range severals() {
		t.Run(c.name, func(t *testing.T) {
			f := Frame{ID: 7, At: 99, Link: c.frame.link, Data: c.frame.frame, Length: uint32(len(c.frame.frame))}
			var d Decoder
			seqs, all := segmentsOf(t, &d, &f)
			if string(seqs) != string(c.seqs) {
				t.Fatalf("segments %v, want %v", seqs, c.seqs)
			}
			for i := range all {
				s := &all[i]
				if s.Len != 3 || s.Frame != 7 || s.At != 99 || s.Traits.has(TraitSnapped) {
					t.Errorf("segment %d: %+v", i, s)
				}
			}
			// Cut anywhere, the first of them are left.
			for n := range f.Data {
				checkCut(t, c.name, f, n)
				g := cut(f, n)
				if part, _ := segmentsOf(t, &d, &g); !strings.HasPrefix(string(seqs), string(part)) {
					t.Fatalf("cut to %d octets: segments %v of %v", n, part, seqs)
				}
			}
			// A frame that is not read to its end leaves nothing to the next.
			var s Segment
			d.Decode(&f, &s)
			plain := frame(LinkRaw, dataFixture)
			d.Decode(&plain, &s)
			if _, ok := d.More(&plain, &s); ok {
				t.Error("a plain frame has more")
			}
			if n := testing.AllocsPerRun(100, func() {
				for ok := d.Decode(&f, &s) == SkipNone; ok; _, ok = d.More(&f, &s) {
				}
			}); n != 0 && c.frame.link != LinkWLAN && c.name != "A-MSDU in sFlow" { // their LLC is the library's
				t.Errorf("%v allocations per frame", n)
			}
		})
	}
}

// A sampled header is as long as was sampled; how long the packet was, it says
// itself.
func TestSampledHeaderIsCut(t *testing.T) {
	packet := fixture(strings.Replace(dataFixture, "002b", "05dc", 1))[:43]
	b := inUDP(6343)(sflow("00000001"+agent4, flowSample, rawHeader(11))(packet))
	decodes(t, Frame{ID: 7, At: 99, Link: LinkRaw, Data: b, Length: uint32(len(b))}, SkipNone,
		with(dataSegment(), func(s *Segment) { s.Tuple.Encap, s.Len, s.Traits = 1, 1460, TraitSnapped|TraitSampled }))
}

// tshark finds the same segments in the same order.
func TestSeveralTshark(t *testing.T) {
	var frames []linkFrame
	for _, c := range severals() {
		if c.name != "A-MSDU in sFlow" { // tshark leaves samples of 802.11 alone
			frames = append(frames, c.frame)
		}
	}
	lines := tsharkValues(t, "a", []string{"tcp.seq"}, frames...)
	for i, line := range lines {
		f := Frame{Link: frames[i].link, Data: frames[i].frame, Length: uint32(len(frames[i].frame))}
		var d Decoder
		_, all := segmentsOf(t, &d, &f)
		var want []string
		for _, s := range all {
			want = append(want, fmt.Sprint(uint32(s.Seq)))
		}
		if line != strings.Join(want, ",") {
			t.Errorf("frame %d: tshark says %q, want %v", i, line, want)
		}
	}
}
