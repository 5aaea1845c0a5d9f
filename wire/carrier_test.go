package wire

import "testing"

// A tunnel has one name in both directions, but where each direction has ports of its
// own; what is in no tunnel has none.
func TestCarrier(t *testing.T) {
	a, b := AddrFrom4([]byte{10, 0, 0, 1}), AddrFrom4([]byte{10, 0, 0, 2})
	name := func(src, dst Addr, next byte, payload string, outer uint32) uint32 {
		p := ipPacket{src: src, dst: dst, next: next}
		return p.carrier(outer, []byte(payload))
	}
	const gre = 47
	vxlan1, vxlan2 := "\x80\x01\x12\xb5", "\x90\x02\x12\xb5"
	gtp1, gtp2 := "\x08\x68\x08\x68", "\x08\x69\x08\x68"
	for _, c := range []struct {
		name string
		x, y uint32
		same bool
	}{
		{"GRE, the other way", name(a, b, gre, "", 0), name(b, a, gre, "", 0), true},
		{"GRE and IP in IP", name(a, b, gre, "", 0), name(a, b, 4, "", 0), false},
		{"inside another tunnel", name(a, b, gre, "", 0), name(a, b, gre, "", 7), false},
		{"VXLAN, another flow back", name(a, b, ipUDP, vxlan1, 0), name(b, a, ipUDP, vxlan2, 0), true},
		{"GTP, the other way", name(a, b, ipUDP, gtp1, 0), name(b, a, ipUDP, gtp1, 0), false},
		{"GTP, other ports", name(a, b, ipUDP, gtp1, 0), name(a, b, ipUDP, gtp2, 0), false},
	} {
		if (c.x == c.y) != c.same {
			t.Errorf("%s: %x and %x", c.name, c.x, c.y)
		}
		if c.x == 0 || c.y == 0 {
			t.Errorf("%s: no name", c.name)
		}
	}
	var d Decoder
	s := Segment{Carrier: 5}
	decode := frame(LinkEthernet, ethFixture+"\n"+synFixture)
	if skip := d.Decode(&decode, &s); skip != SkipNone || s.Carrier != 0 {
		t.Errorf("no tunnel: %v, carrier %x", skip, s.Carrier)
	}
}
