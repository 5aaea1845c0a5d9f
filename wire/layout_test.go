package wire

import (
	"slices"
	"testing"
)

// bareFrame is what is left of a frame when of link layers, tags and tunnels only that is
// kept which Layout says is looked at.
func bareFrame(f Frame, l *Layout) Frame {
	out := make([]byte, len(f.Data))
	for _, h := range l.Headers {
		if h.Kind == HeaderOther {
			copy(out[h.At:], h.Bare)
			continue
		}
		copy(out[h.At:h.At+h.Size], f.Data[h.At:])
		if h.Kind == HeaderEthernet {
			clear(out[h.At : h.At+min(12, h.Size)])
		}
	}
	f.Data = out
	return f
}

// decodeAll is everything that is read from a frame.
func decodeAll(f Frame) (all []Segment, skips []Skip) {
	var d Decoder
	var s Segment
	for skip, ok := d.Decode(&f, &s), true; ok; skip, ok = d.More(&f, &s) {
		if skip != SkipNone {
			s = Segment{}
		}
		s.Carrier = 0
		all, skips = append(all, s), append(skips, skip)
	}
	return all, skips
}

// What Layout leaves out of any hand-made frame is of no account to the decoder, and
// where the decoder finds TCP, Layout finds its header.
func TestLayoutIsEnough(t *testing.T) {
	for name, f := range seedFrames() {
		var l Layout
		l.Read(&f)
		want, skips := decodeAll(f)
		got, gotSkips := decodeAll(bareFrame(f, &l))
		if !slices.Equal(skips, gotSkips) || !slices.Equal(want, got) {
			t.Errorf("%s: %v %+v, with everything %v %+v", name, gotSkips, got, skips, want)
		}
		found := 0
		for _, h := range l.Headers {
			if h.Kind == HeaderTCP {
				found++
			}
		}
		segments := 0
		for i, s := range want {
			if skips[i] == SkipNone {
				segments++
				if found > 0 && len(want) == 1 {
					h := l.Headers[len(l.Headers)-1]
					if h.Ports != [2]uint16{s.Tuple.SrcPort, s.Tuple.DstPort} || h.V6 != s.Tuple.V6 || h.Src != s.Tuple.Src || h.Dst != s.Tuple.Dst {
						t.Errorf("%s: %+v, and the segment is %+v", name, h, s)
					}
				}
			}
		}
		if segments > found {
			t.Errorf("%s: %d segments, and %d headers", name, segments, found)
		}
	}
}

// Nothing that names a network card, a tunnel's end or a station is left of a link
// layer's or tunnel's header.
func TestLayoutLeavesNamesOut(t *testing.T) {
	for name, b := range map[string][]byte{
		"sll":  frame(LinkLinuxSLL, linkHeaders[LinkLinuxSLL].v4+"\n"+synFixture).Data,
		"wlan": frame(LinkWLAN, linkHeaders[LinkWLAN].v4+"\n"+synFixture).Data,
	} {
		link := LinkLinuxSLL
		if name == "wlan" {
			link = LinkWLAN
		}
		f := Frame{Link: link, Data: b, Length: uint32(len(b))}
		var l Layout
		l.Read(&f)
		for i, x := range l.Headers[0].Bare {
			if x == 2 && b[i] == 2 { // all addresses begin so
				t.Errorf("%s: octet %d is %d", name, i, x)
			}
		}
	}
}

// FuzzLayout: any octets under any link type. No panic, headers inside the frame, and
// never less TCP than the decoder finds.
func FuzzLayout(f *testing.F) {
	for _, fr := range seedFrames() {
		f.Add(uint16(fr.Link), fr.Data, fr.Length)
	}
	known := LinkTypes()
	f.Fuzz(func(t *testing.T, link uint16, b []byte, length uint32) {
		fr := Frame{Link: LinkType(link), Data: b, Length: length}
		if fr.Link.decoder() == nil {
			fr.Link = known[int(link)%len(known)]
		}
		if len(b) > 4096 {
			t.Skip("takes long, and shows no more")
		}
		var l Layout
		l.Read(&fr)
		tcp := 0
		for _, h := range l.Headers {
			if h.At < 0 || h.Size < 0 || h.At+h.Size > len(b) || h.Kind == HeaderOther && len(h.Bare) < h.Size {
				t.Fatalf("%+v of %d octets", h, len(b))
			}
			if h.Kind == HeaderTCP {
				tcp++
			}
		}
		_, skips := decodeAll(fr)
		for _, s := range skips {
			if s == SkipNone {
				tcp--
			}
		}
		if tcp < 0 {
			t.Fatalf("%d segments more than headers", -tcp)
		}
	})
}
