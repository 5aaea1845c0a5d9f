package wire

import (
	"encoding/binary"
	"fmt"
	"reflect"
	"slices"
	"testing"
)

// twoWays are decoders that are given the same frames: one by one, in runs, and by the way
// that is there for all.
type twoWays struct{ fast, run, slow Decoder }

// check decodes a frame in both ways, which must say the same, and reports whether it is
// TCP. what is put into words only where they differ.
func (w *twoWays) check(t *testing.T, f *Frame, what func() string) bool {
	t.Helper()
	got, want := dirty(), dirty()
	skip := w.fast.Decode(f, &got)
	w.slow.depth = 0
	if s := w.slow.decode(f, &want); s != skip || skip == SkipNone && got != want || w.fast.depth != w.slow.depth {
		t.Fatalf("%s:\nDecode %v %+v\ndecode %v %+v\n%x", what(), skip, got, s, want, f.Data)
	}
	segments := [1]Segment{dirty()}
	n, s := w.run.DecodeRun([]Frame{*f}, segments[:])
	if s != skip || n == 1 != (skip == SkipNone && w.slow.depth == 0) || skip == SkipNone && segments[0] != want || w.run.depth != w.slow.depth {
		t.Fatalf("%s:\nDecodeRun %v %+v\ndecode %v %+v\n%x", what(), s, segments[0], skip, want, f.Data)
	}
	if id := want.Tuple.Encap; skip == SkipNone && id != 0 && (!slices.Equal(w.fast.Encap(id), w.slow.Encap(id)) || !slices.Equal(w.run.Encap(id), w.slow.Encap(id))) {
		t.Fatalf("%s: Decode %v, DecodeRun %v, decode %v\n%x", what(), w.fast.Encap(id), w.run.Encap(id), w.slow.Encap(id), f.Data)
	}
	return skip == SkipNone
}

// TestPlain holds the two ways against each other: over every link type, whole, padded and
// cut anywhere, and with every octet and every bit of the headers altered.
func TestPlain(t *testing.T) {
	tcp := 0
	for _, link := range LinkTypes() {
		// What stands behind the link layer does not depend on which that is.
		variants, lists := ipVariants[:5], optionLists[:3]
		if link == LinkEthernet {
			variants, lists = ipVariants, optionLists
		}
		for i := range variants {
			for k, options := range lists {
				p := packet{&ipVariants[i], options, 40}
				ip, optionsAt, _ := p.build()
				b := carry(link, p.ip.v6, ip)
				if b == nil {
					continue
				}
				var w twoWays
				check := func(f Frame, how string, n int) {
					if w.check(t, &f, func() string { return fmt.Sprintf("%v, %s, options %d, %s %d", link, p.ip.name, k, how, n) }) {
						tcp++
					}
				}
				f := Frame{ID: 7, At: 99, Link: link, Data: b, Length: uint32(len(b))}
				check(f, "whole", 0)
				g := f
				g.Data = append(slices.Clip(b), 1, 2, 3, 4, 5, 6)
				g.Length = uint32(len(g.Data))
				check(g, "padded", 6)
				for n := range b {
					g := cut(f, n)
					check(g, "cut to", n)
					g.Length = uint32(n) // nobody says what the frame lacks then
					check(g, "ends at", n)
				}
				g.Data, g.Length = slices.Clone(b), f.Length
				for at := range min(len(b), len(b)-len(ip)+optionsAt+24) {
					was := g.Data[at]
					for _, x := range alterations {
						g.Data[at] = was ^ x
						check(g, "altered octet", at)
					}
					g.Data[at] = was
				}
			}
		}
	}
	if tcp < 100_000 {
		t.Errorf("only %d segments were compared", tcp)
	}
}

// TestPlainTags does the same behind VLAN tags, of which there may be more than are looked
// behind at once.
func TestPlainTags(t *testing.T) {
	tcp := 0
	for _, merge := range []bool{false, true} {
		w := twoWays{Decoder{MergeEncap: merge}, Decoder{MergeEncap: merge}, Decoder{MergeEncap: merge}}
		for _, tags := range []string{"8100 0005", "8100 e000", "88a8 0fff 8100 2005", "9100 0001 8100 0000", "8100 0001 8100 0002 8100 0003"} {
			for i := range ipVariants[:5] {
				for k, options := range optionLists[:3] {
					p := packet{&ipVariants[i], options, 40}
					ip, optionsAt, _ := p.build()
					announced := "0800"
					if p.ip.v6 {
						announced = "86dd"
					}
					b := append(fixture("mac 020000000001 020000000002 "+tags+" "+announced), ip...)
					check := func(b []byte, length int, how string, n int) {
						f := Frame{ID: 7, At: 99, Link: LinkEthernet, Data: b, Length: uint32(length)}
						if w.check(t, &f, func() string { return fmt.Sprintf("%s, %s, options %d, %s %d", tags, p.ip.name, k, how, n) }) {
							tcp++
						}
					}
					check(b, len(b), "whole", 0)
					for n := range b {
						check(b[:n:n], len(b), "cut to", n)
						check(b[:n:n], n, "ends at", n)
					}
					for at := range len(b) - len(ip) + optionsAt {
						was := b[at]
						for _, x := range alterations {
							b[at] = was ^ x
							check(b, len(b), "altered octet", at)
						}
						b[at] = was
					}
				}
			}
		}
	}
	if tcp < 40_000 {
		t.Errorf("only %d segments were compared", tcp)
	}
}

// alterations are what the octets of a header are altered by: each bit, and all.
var alterations = []byte{1, 2, 4, 8, 16, 32, 64, 128, 0xff}

// TestPlainLengths tries every value of the fields that say where something ends.
func TestPlainLengths(t *testing.T) {
	for i := range ipVariants[:5] {
		for _, options := range optionLists[:3] {
			p := packet{&ipVariants[i], options, 30}
			ip, optionsAt, _ := p.build()
			b := carry(LinkEthernet, p.ip.v6, ip)
			lengthAt := ethernetHeader + 2
			if p.ip.v6 {
				lengthAt = ethernetHeader + 4
			}
			offsetAt := ethernetHeader + optionsAt - 8
			var w twoWays
			for length := range 200 {
				binary.BigEndian.PutUint16(b[lengthAt:], uint16(length))
				for offset := range 16 {
					b[offsetAt] = byte(offset)<<4 | b[offsetAt]&0xf
					for _, captured := range []int{len(b), len(b) - 30, len(b) - 31, len(b) - 42, ethernetHeader + 40, ethernetHeader + 39} {
						for _, wire := range []uint32{0, uint32(captured), uint32(len(b)), 70000} {
							f := Frame{ID: 7, At: 99, Link: LinkEthernet, Data: b[:captured:captured], Length: wire}
							w.check(t, &f, func() string {
								return fmt.Sprintf("%s, length %d, offset %d, %d captured of %d", p.ip.name, length, offset, captured, wire)
							})
						}
					}
				}
			}
		}
	}
}

// TestPlainFixtures does the same for every hand-made frame.
func TestPlainFixtures(t *testing.T) {
	for name, f := range seedFrames() {
		new(twoWays).check(t, &f, func() string { return name })
	}
}

// TestOptionWords holds parse, which takes words, against each, which takes octets: every
// two words and a half of the octets that begin an option, whole and cut.
func TestOptionWords(t *testing.T) {
	words := [][]byte{
		{2, 4, 5, 0xb4}, {1, 3, 3, 7}, {4, 2, 8, 10}, {1, 1, 8, 10}, {1, 1, 4, 2}, {1, 1, 5, 10}, {0, 0, 0, 0}, {4, 2, 0, 0}, {1, 1, 1, 1}, {1, 2, 3, 4},
		{8, 10, 2, 4}, {3, 3, 9, 1}, {2, 3, 5, 0xb4}, {1, 3, 4, 7}, {4, 2, 8, 9}, {1, 4, 2, 8}, {30, 4, 2, 4}, {0xff, 0xff, 0xff, 0xff}, {4, 1, 8, 10}, {1, 4, 8, 10},
	}
	compared := 0
	check := func(b []byte, length int) {
		var got, want Options
		got.parse(b, uint32(length))
		want.each(b, length)
		if compared++; got != want {
			t.Fatalf("%x of %d:\nby words  %+v\nby octets %+v", b, length, got, want)
		}
	}
	for _, x := range words {
		for _, y := range words {
			for _, z := range words {
				for _, last := range [][]byte{nil, {1, 3}, {2, 4, 1, 1, 1, 1, 4, 2}} {
					b := slices.Concat(x, y, z, last)
					for n := range len(b) + 1 {
						check(b[:n:n], n)
						check(b[:n:n], len(b))
						check(b[:n:n], 40)
					}
				}
			}
		}
	}
	if compared < 100_000 {
		t.Errorf("only %d lists compared", compared)
	}
}

// FuzzPlain: any octets under any link type. What is plain reads the same in both ways.
func FuzzPlain(f *testing.F) {
	for _, fr := range seedFrames() {
		f.Add(uint16(fr.Link), fr.Data, fr.Length)
	}
	known := LinkTypes()
	f.Fuzz(func(t *testing.T, link uint16, b []byte, length uint32) {
		fr := Frame{ID: 7, At: 99, Link: LinkType(link), Data: b[:len(b):len(b)], Length: length}
		if fr.Link.decoder() == nil {
			fr.Link = known[int(link)%len(known)]
		}
		new(twoWays).check(t, &fr, func() string { return "fuzz" })
	})
}

// A segment lies in two lines of the cache, if the first one does.
func TestSegmentSize(t *testing.T) {
	if n := reflect.TypeFor[Segment]().Size(); n > 128 {
		t.Errorf("a segment takes %d octets", n)
	}
}
