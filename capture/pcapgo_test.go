package capture

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"pgregory.net/rapid"
)

// Where pcapgo v1.7.7 reads something else than is in the file. Each case shows
// what this package makes of it, and that pcapgo still differs: when one fails
// because pcapgo has changed, the exception for it in the fuzz test can go.
func TestWherePcapgoDiffers(t *testing.T) {
	o := binary.LittleEndian
	head := pcapHead(o, pcapMagicMicro, 2, 4, 0, 1)
	rec := pcapRec(o, now, 0, 4, 4, octets(4))
	frame := kept{now * 1e9, 1, 4, string(octets(4))}
	resolution := func(r byte, stamp uint64) []byte {
		w := newNG(o)
		return w.idb(1, 0, w.opt(9, []byte{r})).epb(0, stamp, octets(4)).Bytes()
	}
	ngWith := func(f func(w *ng)) []byte {
		w := newNG(o).idb(1, 0)
		f(w)
		return w.epb(0, now*1e6, octets(4)).Bytes()
	}
	for _, c := range []struct {
		name   string
		b      []byte
		want   []kept
		damage string // expected, "" for none
		// differs reports what pcapgo still does.
		differs func(frames []kept, err error) bool
	}{
		{"pcapng version 1.2 is refused", append(func() []byte {
			w := newNG(o)
			w.Reset()
			return w.shb(1, 2).idb(1, 0).epb(0, now*1e6, octets(4)).Bytes()
		}(), []byte{}...), []kept{frame}, "",
			func(frames []kept, err error) bool { return frames == nil && err != nil }},
		{"if_tsresol 0, whole seconds, is taken for microseconds", resolution(0, now), []kept{frame}, "",
			func(frames []kept, _ error) bool { return frames[0].At == now*1e3 }},
		{"if_tsresol 2^-29 loses almost half a second", resolution(0x80|29, now<<29|1<<29-1), []kept{{now*1e9 + 999999998, 1, 4, frame.Data}}, "",
			func(frames []kept, _ error) bool { return frames[0].At == now*1e9+1<<29-1 }},
		{"if_tsresol 2^-10 rounds each unit", resolution(0x80|10, now<<10|1023), []kept{{now*1e9 + 999023437, 1, 4, frame.Data}}, "",
			func(frames []kept, _ error) bool { return frames[0].At == now*1e9+1023*976562 }},
		{"if_tsresol 10^-20 overflows", resolution(20, 1<<63), []kept{{92233720, 1, 4, frame.Data}}, "",
			func(frames []kept, err error) bool { return err != nil || frames[0].At != 92233720 }},
		{"pcap microseconds above 4294967 wrap", append(head[:len(head):len(head)], pcapRec(o, 1, 5e6, 4, 4, octets(4))...), []kept{{6e9, 1, 4, frame.Data}}, "",
			func(frames []kept, _ error) bool { return frames[0].At == 1e9+705032704 }},
		{"a pcap file cut behind a record header ends well", bytes.Join([][]byte{head, rec, rec[:16]}, nil), []kept{frame}, "record of 20 octets cut off after 16",
			func(frames []kept, err error) bool { return len(frames) == 1 && err == nil }},
		{"captured more than the length is an error", bytes.Join([][]byte{head, pcapRec(o, now, 0, 4, 3, octets(4)), rec}, nil), []kept{frame, frame}, "",
			func(frames []kept, err error) bool { return len(frames) == 0 && err != nil }},
		{"a block's second length is not looked at", ngWith(func(w *ng) { w.raw(0xbad, 16, octets(4), 20) }), []kept{frame}, "block claims 16 octets at its begin and 20 at its end",
			func(frames []kept, err error) bool { return len(frames) == 1 && err == nil }},
		{"a block length of 0 swallows the rest", ngWith(func(w *ng) { w.raw(0xbad, 0, octets(4), 0) }), []kept{frame}, "block claims a length of 0 octets",
			func(frames []kept, err error) bool { return frames == nil && err != nil }},
		{"a packet of an unknown interface ends it", ngWith(func(w *ng) { w.epb(9, 0, nil) }), []kept{frame}, "packet of interface 9",
			func(frames []kept, err error) bool { return frames == nil && err != nil }},
		{"a padded block of unaligned length puts it out of step", ngWith(func(w *ng) { w.raw(0xbad, 13, octets(4), 13) }), []kept{frame}, "",
			func(frames []kept, err error) bool { return frames == nil && err != nil }},
		{"statistics of an unknown interface end it", ngWith(func(w *ng) { w.isb(9) }), []kept{frame}, "",
			func(frames []kept, err error) bool { return frames == nil && err != nil }},
	} {
		frames, damage, _ := read(t, c.b)
		if d := cmp.Diff(c.want, frames); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
		if c.damage == "" && damage != nil || c.damage != "" && (len(damage) != 1 || len(damage[0].What) < len(c.damage) || damage[0].What[:len(c.damage)] != c.damage) {
			t.Errorf("%s: damage %v, want %q", c.name, damage, c.damage)
		}
		if frames, err := pcapgoRead(c.b); !c.differs(frames, err) {
			t.Errorf("pcapgo has changed: %s: %v, %v", c.name, frames, err)
		}
	}
}

// With pcapgo's default options a frame of another link type vanishes, which is
// why pcapgoRead asks for mixed ones.
func TestPcapgoDropsOtherLinkTypes(t *testing.T) {
	b := newNG(binary.LittleEndian).idb(1, 0).idb(101, 0).epb(0, 0, octets(4)).epb(1, 0, octets(5)).Bytes()
	if frames, damage, _ := read(t, b); len(frames) != 2 || damage != nil {
		t.Errorf("%d frames, damage %v", len(frames), damage)
	}
	r, err := pcapgo.NewNgReader(bytes.NewReader(b), pcapgo.DefaultNgReaderOptions)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, _, err := r.ReadPacketData(); err == nil; _, _, err = r.ReadPacketData() {
		n++
	}
	if n != 1 {
		t.Errorf("pcapgo has changed: %d frames", n)
	}
}

// What pcapgo's writers write is read as pcapgo reads it, and as it was given.
func TestReadsWhatPcapgoWrites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		nano := rapid.Bool().Draw(t, "nano")
		links := rapid.SliceOfN(rapid.SampledFrom([]layers.LinkType{1, 101, 113, 228, 276}), 1, 4).Draw(t, "links")
		var want, wantNG []kept
		var b, bNG bytes.Buffer
		w := pcapgo.NewWriter(&b)
		if nano {
			w = pcapgo.NewWriterNanos(&b)
		}
		w.WriteFileHeader(65535, links[0])
		g, err := pcapgo.NewNgWriterInterface(&bNG, pcapgo.NgInterface{LinkType: links[0], Name: "i0", Comment: "c", TimestampResolution: 9}, pcapgo.DefaultNgWriterOptions)
		if err != nil {
			t.Fatal(err)
		}
		for i, l := range links[1:] {
			g.AddInterface(pcapgo.NgInterface{LinkType: l, Name: fmt.Sprint("i", i+1), Filter: "tcp", OS: "x", SnapLength: 9})
		}
		for range rapid.IntRange(0, 20).Draw(t, "frames") {
			data := octets(rapid.IntRange(0, 3000).Draw(t, "caplen"))
			length := len(data) + rapid.IntRange(0, 3).Draw(t, "cut")
			id := rapid.IntRange(0, len(links)-1).Draw(t, "interface")
			// Not the epoch itself: empty frames then are nothing but zeros, a hole. Nor a
			// time that has not come: see TestStrayTimes.
			at := time.Unix(rapid.Int64Range(1, 1_750_000_000).Draw(t, "sec"), rapid.Int64Range(0, 999999999).Draw(t, "nsec"))
			ci := gopacket.CaptureInfo{Timestamp: at, CaptureLength: len(data), Length: length, InterfaceIndex: id}
			k := kept{Length: uint32(length), Data: string(data)}
			k.At, k.Link = wireTime(at, nano), wireLink(links[0])
			want = append(want, k)
			k.At, k.Link = wireTime(at, true), wireLink(links[id])
			wantNG = append(wantNG, k)
			if err := w.WritePacket(ci, data); err != nil {
				t.Fatal(err)
			}
			opts := pcapgo.NgPacketOptions{}
			if rapid.Bool().Draw(t, "comment") {
				opts.Comments = []string{"one", "four"}
			}
			if err := g.WritePacketWithOptions(ci, data, opts); err != nil {
				t.Fatal(err)
			}
			if rapid.Bool().Draw(t, "statistics") {
				g.WriteInterfaceStats(id, pcapgo.NgInterfaceStatistics{PacketsReceived: 5, PacketsDropped: 1})
			}
		}
		g.Flush()
		for _, c := range []struct {
			b    []byte
			want []kept
		}{{b.Bytes(), want}, {bNG.Bytes(), wantNG}} {
			frames, damage, _ := read(t, c.b)
			if d := cmp.Diff(c.want, frames); d != "" || damage != nil {
				t.Fatalf("%v %s", damage, d)
			}
			if oracle, err := pcapgoRead(c.b); err != nil || !cmp.Equal(oracle, frames) {
				t.Fatalf("pcapgo: %v %s", err, cmp.Diff(oracle, frames))
			}
		}
	})
}
