package wire

import (
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

type benchmarkPacket struct {
	name  string
	frame Frame
	// library: goes through gopacket, and so allocates.
	library bool
	// parser: what DecodingLayerParser starts with; 0 when it cannot read it.
	parser gopacket.LayerType
}

func benchmarkPackets() []benchmarkPacket {
	eth := layers.LayerTypeEthernet
	const sack = `
		ip4   45 00 0048  0001 0000  3f 06 0000  0a000002 0a000001
		tcp   01bb 9c40  000003e8  00000002  d0 10 0200  0000 0000
		ts    01 01 08 0a 00000064 00000065
		sack  01 01 05 12 00000001 00000002 00000003 00000004`
	const ext = `
		ip6   60000000  002c 3c 40
		src   20010db8 00000000 00000000 00000001
		dst   20010db8 00000000 00000000 00000002
		dst   00 01 010c 00000000 00000000 00000000
		hbh   06 00 0104 00000000
		tcp   9c40 01bb  ffffffff  00000002  50 19 0200  0000 0000`
	const ts = `
		ip4   45 00 05dc  0001 4000  40 06 0000  0a000002 0a000001
		tcp   01bb 9c40  000003e8  00000002  80 18 0200  0000 0000
		ts    01 01 08 0a 00000064 00000065`
	return []benchmarkPacket{
		{"eth-ipv4", frame(1, ethFixture+dataFixture), false, eth},
		{"eth-ipv4-timestamps", longer(frame(1, ethFixture+ts), 1514), false, eth},
		{"eth-ipv4-syn", frame(1, ethFixture+synFixture), false, eth},
		{"eth-ipv4-sack", frame(1, ethFixture+sack), false, eth},
		{"eth-ipv6-timestamps", frame(1, eth6Fixture+data6Fixture), false, eth},
		{"eth-ipv6-extensions", frame(1, eth6Fixture+ext), false, eth},
		{"eth-vlan-ipv4", frame(1, macs+"8100 000c 0800\n"+dataFixture), false, eth},
		{"eth-qinq-ipv4", frame(1, macs+"88a8 0005 8100 000c 0800\n"+dataFixture), false, eth},
		{"eth-udp", frame(1, ethFixture+"ip4 45 00 001c 0001 0000 3f 11 0000 0a000002 0a000001\nudp 0035 0035 0008 0000"), false, eth},
		{"eth-arp", frame(1, "eth ffffffffffff 020000000001 0806\narp 0001 0800 06 04 0001"), false, 0},
		{"sll-ipv4", frame(LinkLinuxSLL, linkHeaders[LinkLinuxSLL].v4+"\n"+dataFixture), false, layers.LayerTypeLinuxSLL},
		{"sll2-ipv4", frame(LinkLinuxSLL2, linkHeaders[LinkLinuxSLL2].v4+"\n"+dataFixture), false, 0},
		{"raw-ipv4", frame(LinkRaw, dataFixture), false, layers.LayerTypeIPv4},
		{"null-ipv4", frame(LinkNull, linkHeaders[LinkNull].v4+"\n"+dataFixture), false, layers.LayerTypeLoopback},
		{"eth-vxlan-ipv4", tunnelFrame("VXLAN"), false, 0},
		{"eth-gre-ipv4", tunnelFrame("GRE"), false, 0},
		{"eth-gtp-ipv4", tunnelFrame("GTP-U"), false, 0},
		{"eth-geneve-ipv4", tunnelFrame("GENEVE"), false, 0},
		{"eth-mpls-ipv4", frame(1, macs+"8847 000101ff\n"+dataFixture), true, 0},
		{"eth-pppoe-ipv4", frame(1, macs+"8864 11 00 0003 002d 0021\n"+dataFixture), true, 0},
	}
}

// tunnelFrame is the frame of a row of tunnels.
func tunnelFrame(name string) Frame {
	for _, c := range tunnels {
		if c.name == name {
			b := wrapped(fixture(dataFixture)[:43], c.wrap...)
			return Frame{ID: 7, At: 99, Link: LinkEthernet, Data: b, Length: uint32(len(b))}
		}
	}
	panic("no tunnel " + name)
}

// BenchmarkDecode has one sub-benchmark per kind of packet, and beside it what
// google/gopacket's fastest interface takes for the same octets.
func BenchmarkDecode(b *testing.B) {
	for _, p := range benchmarkPackets() {
		b.Run(p.name+"/wire", func(b *testing.B) {
			var d Decoder
			var s Segment
			b.ReportAllocs()
			for b.Loop() {
				d.Decode(&p.frame, &s)
			}
		})
		if p.parser == 0 {
			continue
		}
		b.Run(p.name+"/DecodingLayerParser", func(b *testing.B) {
			var (
				eth  layers.Ethernet
				vlan layers.Dot1Q
				sll  layers.LinuxSLL
				loop layers.Loopback
				ip4  layers.IPv4
				ip6  layers.IPv6
				ext  layers.IPv6ExtensionSkipper
				tcp  layers.TCP
			)
			parser := gopacket.NewDecodingLayerParser(p.parser, &eth, &vlan, &sll, &loop, &ip4, &ip6, &ext, &tcp)
			parser.IgnoreUnsupported = true
			found := make([]gopacket.LayerType, 0, 8)
			b.ReportAllocs()
			for b.Loop() {
				_ = parser.DecodeLayers(p.frame.Data, &found)
			}
		})
	}
}

// BenchmarkDecodeVLANs alternates between paths, so that each frame needs a
// look-up in the table.
func BenchmarkDecodeVLANs(b *testing.B) {
	var frames [64]Frame
	for i := range frames {
		frames[i] = frame(1, macs+"8100 0000 0800\n"+dataFixture)
		frames[i].Data[15] = byte(i + 1)
	}
	var d Decoder
	var s Segment
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		d.Decode(&frames[i%len(frames)], &s)
		i++
	}
}
