package wire

import (
	"encoding/hex"
	"strings"
	"testing"
)

// fixture turns labelled hex into octets: each line is a header's name, then its
// octets, grouped as one likes.
func fixture(text string) []byte {
	var b []byte
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		octets, err := hex.DecodeString(strings.Join(words[1:], ""))
		if err != nil {
			panic(line + ": " + err.Error())
		}
		b = append(b, octets...)
	}
	return b
}

// frame is a fixture as it comes from a capture that was not snapped.
func frame(link LinkType, text string) Frame {
	b := fixture(text)
	return Frame{ID: 7, At: 99, Link: link, Data: b, Length: uint32(len(b))}
}

var (
	addrA = AddrFrom4([]byte{10, 0, 0, 1})
	addrB = AddrFrom4([]byte{10, 0, 0, 2})
	addrC = AddrFrom16([]byte{0x20, 0x01, 0x0d, 0xb8, 15: 1})
	addrD = AddrFrom16([]byte{0x20, 0x01, 0x0d, 0xb8, 15: 2})
)

const (
	ethFixture  = "eth 020000000002 020000000001 0800\n"
	eth6Fixture = "eth 020000000002 020000000001 86dd\n"

	// A SYN with the options of a Linux client.
	synFixture = `
		ip4   45 00 003c  1234 4000  40 06 0000  0a000001 0a000002
		tcp   9c40 01bb  00000001  00000000  a0 02 faf0  0000 0000
		mss   02 04 05b4
		sack  04 02
		ts    08 0a 00000064 00000000
		nop   01
		ws    03 03 07`

	// Three octets of payload, padded to Ethernet's least length.
	dataFixture = `
		ip4   45 00 002b  0001 0000  3f 06 0000  0a000002 0a000001
		tcp   01bb 9c40  000003e8  00000002  50 18 0200  0000 0000
		data  616263
		pad   000000`

	data6Fixture = `
		ip6   60000000  0023 06 40
		src   20010db8 00000000 00000000 00000001
		dst   20010db8 00000000 00000000 00000002
		tcp   9c40 01bb  ffffffff  00000002  80 19 0200  0000 0000
		ts    01 01 08 0a 00000064 00000065
		data  616263`
)

func synSegment() Segment {
	return Segment{
		Frame: 7, At: 99,
		Tuple: Tuple{Src: addrA, Dst: addrB, SrcPort: 40000, DstPort: 443},
		Seq:   1, Flags: SYN, Window: 64240, IPID: 0x1234, TTL: 64, Traits: TraitDF,
		Options: Options{
			Set: OptMSS | OptSACKPerm | OptTimestamps | OptWindowScale,
			MSS: 1460, TSVal: 100, WindowScale: 7,
		},
	}
}

func dataSegment() Segment {
	return Segment{
		Frame: 7, At: 99,
		Tuple: Tuple{Src: addrB, Dst: addrA, SrcPort: 443, DstPort: 40000},
		Seq:   1000, Ack: 2, Flags: PSH | ACK, Window: 512, Len: 3, IPID: 1, TTL: 63,
	}
}

func data6Segment() Segment {
	return Segment{
		Frame: 7, At: 99,
		Tuple: Tuple{Src: addrC, Dst: addrD, SrcPort: 40000, DstPort: 443, V6: true},
		Seq:   0xffffffff, Ack: 2, Flags: PSH | ACK | FIN, Window: 512, Len: 3, TTL: 64,
		Options: Options{Set: OptTimestamps, TSVal: 100, TSEcr: 101},
	}
}

// with returns s after f changed it; it keeps table rows to what is special.
func with(s Segment, f func(*Segment)) Segment {
	f(&s)
	return s
}

// decodes fails the test unless frame f gives want, and nothing else, whatever s
// held before. It returns the decoder for a look at the path.
func decodes(t *testing.T, f Frame, skip Skip, want Segment) *Decoder {
	t.Helper()
	d := new(Decoder)
	got := dirty()
	if g := d.Decode(&f, &got); g != skip {
		t.Fatalf("skip %v, want %v", g, skip)
	}
	want.Carrier = got.Carrier // TestCarrier looks at that
	if skip == SkipNone && got != want {
		t.Fatalf("got  %+v\nwant %+v", got, want)
	}
	return d
}

// dirty is a segment in which every field holds something of an earlier frame.
func dirty() Segment {
	a := Addr{^uint64(0), ^uint64(0)}
	s := Segment{
		Frame: 1 << 50, At: -1, Seq: 1, Ack: 1, Flags: 0x1ff, Window: 1, Urgent: 1,
		Tuple: Tuple{Src: a, Dst: a, SrcPort: 1, DstPort: 1, Encap: 1, V6: true},
		Len:   1, IPID: 1, TTL: 1, Traits: 0xff, Carrier: 1,
	}
	s.Options = Options{
		Set: ^OptionSet(0), TSVal: 1, TSEcr: 1, MSS: 1, UserTimeout: 1, WindowScale: 1,
		FastOpenLen: 1, MPTCPSubtype: 1, SACKs: 4,
		SACK: [2]SACKBlock{{1, 1}, {1, 1}},
	}
	return s
}
