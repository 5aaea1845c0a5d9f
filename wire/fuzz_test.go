package wire

import "testing"

// seedFrames are all hand-made frames, by name.
func seedFrames() map[string]Frame {
	seeds := map[string]Frame{}
	for _, c := range special {
		seeds[c.name] = c.frame
	}
	for _, c := range encapFixtures {
		seeds["encap: "+c.name] = frame(LinkEthernet, macs+c.headers+"\n"+dataFixture)
	}
	for _, c := range tunnels {
		b := wrapped(fixture(dataFixture)[:43], c.wrap...)
		seeds["in a tunnel: "+c.name] = Frame{ID: 7, At: 99, Link: LinkEthernet, Data: b, Length: uint32(len(b))}
	}
	for _, c := range severals() {
		seeds["several: "+c.name] = Frame{ID: 7, At: 99, Link: c.frame.link, Data: c.frame.frame, Length: uint32(len(c.frame.frame))}
	}
	for _, l := range LinkTypes() {
		if h := linkHeaders[l]; h.v4 != "-" {
			seeds["v4 over "+l.String()] = frame(l, h.v4+"\n"+synFixture)
		}
		if h := linkHeaders[l]; h.v6 != "-" {
			seeds["v6 over "+l.String()] = frame(l, h.v6+"\n"+data6Fixture)
		}
	}
	return seeds
}

// FuzzDecode: any octets under any link type. No panic, no dependence on what the
// segment held before, lengths that headers or frame can account for, the same
// answer for the frame snapped, and google/gopacket's answer wherever it finds TCP.
func FuzzDecode(f *testing.F) {
	for _, fr := range seedFrames() {
		f.Add(uint16(fr.Link), fr.Data, fr.Length, uint16(len(fr.Data)/2))
	}
	known := LinkTypes()
	f.Fuzz(func(t *testing.T, link uint16, b []byte, length uint32, snap uint16) {
		fr := Frame{ID: 7, At: 99, Link: LinkType(link), Data: b[:len(b):len(b)], Length: length}
		if fr.Link.decoder() == nil {
			// Most numbers are no link type; let them stand for one.
			fr.Link = known[int(link)%len(known)]
		}
		var d Decoder
		var s Segment
		skip := d.Decode(&fr, &s)
		again := dirty()
		var e Decoder
		if got := e.Decode(&fr, &again); got != skip || skip == SkipNone && again != s {
			t.Fatalf("%v %+v, the second time %v %+v", skip, s, got, again)
		}
		if skip == SkipNone {
			checkSane(t, &fr, &s)
		} else if skip == SkipLinkType || int(skip) >= SkipCount {
			t.Fatalf("skip %v", skip)
		}
		for skip, ok := d.More(&fr, &s); ok; skip, ok = d.More(&fr, &s) {
			if skip == SkipNone {
				checkSane(t, &fr, &s)
			} else if skip != SkipICMP {
				t.Fatalf("skip %v of a further packet", skip)
			}
		}
		checkOracle(t, "fuzz", fr)
		if len(b) > 0 {
			checkCut(t, "fuzz", fr, int(snap)%len(b))
		}
	})
}

// checkSane fails when a segment says more than its headers can.
func checkSane(t *testing.T, f *Frame, s *Segment) {
	t.Helper()
	ip, tcp := uint32(20), uint32(tcpHeader)
	if s.Options.Set == OptDamaged {
		tcp = 0 // a data offset below 5 counts as it stands
	}
	if s.Len > 65535-tcp && s.Len > wireLength(f)-ip-tcp {
		t.Fatalf("payload of %d octets in a frame of %d", s.Len, wireLength(f))
	}
	if s.Frame != f.ID || s.At != f.At || s.Tuple.Encap > 1 || s.Flags > 0x1ff {
		t.Fatalf("%+v", s)
	}
	if s.Tuple.V6 && (s.IPID != 0 || s.Traits.has(TraitDF)) || !s.Tuple.V6 && !s.Tuple.Src.Is4() {
		t.Fatalf("IP versions mixed: %+v", s)
	}
	if o := s.Options; o.Set.Has(OptCut) && !s.Traits.has(TraitSnapped) {
		t.Fatalf("options cut in a whole frame: %+v", s)
	}
}

func (t Traits) has(u Traits) bool { return t&u == u }
