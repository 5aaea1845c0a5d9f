package scenario

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"github.com/tcplife/tcplife/wire"
)

// TestLinksCoverDecoder fails when package wire learns a link type that scripts
// are not compiled to.
func TestLinksCoverDecoder(t *testing.T) {
	for _, l := range linkTypesWithout() {
		t.Errorf("wire decodes link type %s (%d): add an encoder to Links in link.go", l, l)
	}
}

// TestFramesDecode checks compiled frames against google/gopacket's decoder: the
// numbers are the script's, and both checksums are right.
func TestFramesDecode(t *testing.T) {
	for _, s := range load(t) {
		for _, v6 := range []bool{false, true} {
			c, err := s.Compile(Variant{V6: v6})
			if err != nil {
				t.Fatal(err)
			}
			for i, f := range s.plan.frames {
				sh := &s.plan.shots[f.shot]
				if sh.packet.Tap.Snap != 0 {
					continue
				}
				p := gopacket.NewPacket(c.Frames[i].Data, layers.LinkTypeEthernet, gopacket.Default)
				if q := sh.packet.Quote; q != nil {
					checkQuote(t, p, s.quoted(sh, Variant{V6: v6}), q)
					continue
				}
				tcp, ok := p.Layer(layers.LayerTypeTCP).(*layers.TCP)
				if !ok || p.ErrorLayer() != nil {
					t.Fatalf("%s:%d: frame %d does not decode: %v", s.File, sh.line, i+1, p.ErrorLayer())
				}
				want := s.segment(sh, Variant{V6: v6})
				if tcp.Seq != want.seq || tcp.Ack != want.ack || tcp.Window != want.window || len(tcp.Payload) != int(sh.packet.Len) {
					t.Errorf("%s:%d: frame %d is %d:%d ack %d win %d", s.File, sh.line, i+1, tcp.Seq, len(tcp.Payload), tcp.Ack, tcp.Window)
				}
				if err := tcp.SetNetworkLayerForChecksum(p.NetworkLayer()); err != nil {
					t.Fatal(err)
				}
				if sum, err := tcp.ComputeChecksum(); err != nil || sum != 0 {
					// Over a segment with its checksum in place the sum is 0.
					t.Errorf("%s:%d: frame %d: checksum %#x, computed %#x, %v", s.File, sh.line, i+1, tcp.Checksum, sum, err)
				}
			}
		}
	}
}

// checkQuote compares an ICMP error with what it was made from.
func checkQuote(t *testing.T, p gopacket.Packet, want *segment, q *Quote) {
	t.Helper()
	kind := kindByWord(q.Kind)
	var quoted gopacket.Packet
	var seq []byte
	if l, ok := p.Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4); ok {
		if l.TypeCode != layers.CreateICMPv4TypeCode(kind.v4[0], kind.v4[1]) || int64(l.Seq) != q.MTU {
			t.Errorf("%s: type and code %v, MTU %d", q, l.TypeCode, l.Seq)
		}
		quoted = gopacket.NewPacket(l.Payload, layers.LayerTypeIPv4, gopacket.Default)
		seq = l.Payload[24:]
	} else if l, ok := p.Layer(layers.LayerTypeICMPv6).(*layers.ICMPv6); ok {
		if l.TypeCode != layers.CreateICMPv6TypeCode(kind.v6[0], kind.v6[1]) || int64(binary.BigEndian.Uint32(l.Payload)) != q.MTU {
			t.Errorf("%s: type and code %v, MTU %x", q, l.TypeCode, l.Payload[:4])
		}
		quoted = gopacket.NewPacket(l.Payload[4:], layers.LayerTypeIPv6, gopacket.Default)
		seq = l.Payload[48:]
	} else {
		t.Fatalf("%s: no ICMP: %v", q, p)
	}
	src, dst := quoted.NetworkLayer().NetworkFlow().Endpoints()
	if !bytes.Equal(src.Raw(), want.src.To16()) && !bytes.Equal(src.Raw(), want.src.To4()) || bytes.Equal(src.Raw(), dst.Raw()) {
		t.Errorf("%s: quotes %v > %v, want %v > %v", q, src, dst, want.src, want.dst)
	}
	if got := binary.BigEndian.Uint32(seq); got != want.seq {
		t.Errorf("%s: quotes number %d, want %d", q, got, want.seq)
	}
}

// TestLinksDecode sends one segment through every link type: wire must find the
// same TCP header behind each.
func TestLinksDecode(t *testing.T) {
	s, err := Parse("links", []byte("x\n-- packets --\n"+
		"0 a > b S 0:10(10) win 777 <mss 1460,sackOK,TS val 5 ecr 0,nop,wscale 7> {ttl 9}\n-- states --\na SYN_SENT\n-- findings --\nnone\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range Links() {
		for _, v6 := range []bool{false, true} {
			if v6 && !l.V6 || !v6 && !l.V4 {
				continue
			}
			c, err := s.Compile(Variant{Link: l.Name, V6: v6})
			if err != nil {
				t.Fatal(err)
			}
			var d wire.Decoder
			var seg wire.Segment
			if skip := d.Decode(&c.Frames[0], &seg); skip != wire.SkipNone {
				t.Errorf("%s, IPv6 %v: %s", l.Name, v6, skip)
				continue
			}
			if seg.Seq != wire.Seq(ISNPlain.of(0)) || seg.Len != 10 || seg.Window != 777 || seg.TTL != 9 ||
				seg.Flags != wire.SYN || seg.Options.MSS != 1460 || seg.Tuple.DstPort != 443 || seg.Tuple.V6 != v6 {
				t.Errorf("%s, IPv6 %v: %+v", l.Name, v6, seg)
			}
		}
	}
}

// TestFormatsKeepFrames reads every container back.
func TestFormatsKeepFrames(t *testing.T) {
	s := load(t)[0]
	for format := range Format(len(formatNames)) {
		c, err := s.Compile(Variant{Format: format})
		if err != nil {
			t.Fatal(err)
		}
		file, err := c.File()
		if err != nil {
			t.Fatal(err)
		}
		frames, err := read(file, format)
		if err != nil {
			t.Fatal(err)
		}
		if len(frames) != len(c.Frames) {
			t.Fatalf("%s: %d frames, want %d", format, len(frames), len(c.Frames))
		}
		for i, f := range frames {
			w := c.Frames[i]
			if !bytes.Equal(f.Data, w.Data) || f.At != w.At || f.Length != w.Length || f.Link != w.Link || f.ID != w.ID {
				t.Errorf("%s: frame %d is %+v, want %+v", format, i+1, f, w)
			}
		}
	}
}

// TestDoubledFrames holds the copies of a doubled capture beside their frames.
func TestDoubledFrames(t *testing.T) {
	for _, s := range load(t) {
		v := Variant{Double: true}
		c, err := s.Compile(v)
		if err != nil {
			t.Fatal(err)
		}
		if len(c.Frames) != 2*len(s.plan.frames) {
			t.Fatalf("%s: %d frames, want twice %d", s.File, len(c.Frames), len(s.plan.frames))
		}
		for i, f := range c.Frames {
			if v.scriptFrame(f.ID.Number()) != i/2+1 {
				t.Errorf("%s: frame %d maps to %d", s.File, i+1, v.scriptFrame(f.ID.Number()))
			}
			if i%2 == 1 && !bytes.Equal(f.Data, c.Frames[i-1].Data) {
				t.Errorf("%s: frame %d is no copy", s.File, i+1)
			}
			if i > 0 && f.At < c.Frames[i-1].At {
				t.Errorf("%s: frame %d goes back in time", s.File, i+1)
			}
		}
	}
}

// TestMirrorTurnsKeys makes sure that the mirrored variant does what it is for:
// the other end of the tuple comes first in its key.
func TestMirrorTurnsKeys(t *testing.T) {
	s := load(t)[0]
	var swapped [2]bool
	for i, mirror := range []bool{false, true} {
		c, err := s.Compile(Variant{Mirror: mirror})
		if err != nil {
			t.Fatal(err)
		}
		var d wire.Decoder
		var seg wire.Segment
		if skip := d.Decode(&c.Frames[0], &seg); skip != wire.SkipNone {
			t.Fatal(skip)
		}
		_, swapped[i] = seg.Tuple.Key()
	}
	if swapped[0] == swapped[1] {
		t.Error("the mirrored tuple has its key in the same direction")
	}
}
