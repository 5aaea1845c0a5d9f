package scenario

import (
	"encoding/binary"
	"fmt"
	"net"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"github.com/tcplife/tcplife/wire"
)

// This file is the border to google/gopacket, which builds the IP and TCP headers.

// segment is one packet with everything absolute.
type segment struct {
	src, dst         net.IP
	srcPort, dstPort uint16
	seq, ack         uint32
	window, urgent   uint16
	flags            wire.Flags
	options          []Option
	sackISN          uint32
	payload          []byte
	ttl              uint8
	ipID             uint16
}

// ipPacket returns the segment's octets from the IP header on, checksums set.
func (s *segment) ipPacket(v6 bool) ([]byte, error) {
	tcp := &layers.TCP{
		SrcPort: layers.TCPPort(s.srcPort), DstPort: layers.TCPPort(s.dstPort),
		Seq: s.seq, Ack: s.ack, Window: s.window, Urgent: s.urgent,
		FIN: s.flags.Has(wire.FIN), SYN: s.flags.Has(wire.SYN), RST: s.flags.Has(wire.RST),
		PSH: s.flags.Has(wire.PSH), ACK: s.flags.Has(wire.ACK), URG: s.flags.Has(wire.URG),
		ECE: s.flags.Has(wire.ECE), CWR: s.flags.Has(wire.CWR), NS: s.flags.Has(wire.AE),
	}
	for _, o := range s.options {
		kind, data := o.encode(s.sackISN)
		tcp.Options = append(tcp.Options, layers.TCPOption{
			OptionType: layers.TCPOptionKind(kind), OptionLength: uint8(2 + len(data)), OptionData: data,
		})
	}
	var ip gopacket.SerializableLayer
	var network gopacket.NetworkLayer
	if v6 {
		l := &layers.IPv6{Version: 6, HopLimit: s.ttl, NextHeader: layers.IPProtocolTCP, SrcIP: s.src, DstIP: s.dst}
		ip, network = l, l
	} else {
		l := &layers.IPv4{Version: 4, TTL: s.ttl, Id: s.ipID, Flags: layers.IPv4DontFragment,
			Protocol: layers.IPProtocolTCP, SrcIP: s.src, DstIP: s.dst}
		ip, network = l, l
	}
	if err := tcp.SetNetworkLayerForChecksum(network); err != nil {
		return nil, fmt.Errorf("checksum of a segment: %w", err)
	}
	buf := gopacket.NewSerializeBuffer()
	err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		ip, tcp, gopacket.Payload(s.payload))
	if err != nil {
		return nil, fmt.Errorf("building a segment: %w", err)
	}
	return buf.Bytes(), nil
}

// payload returns the octets start to start+n of the stream: the same octet
// wherever a segment repeats it, and readable in a dump.
func payload(start, n int64) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = 'a' + byte((start+int64(i))%26)
	}
	return b
}

// wrap puts an IP packet into a link's frame.
func (l Link) wrap(packet []byte, from int, v6 bool) []byte {
	b := l.header(nil, from, v6)
	if l.Type == wire.LinkPPPEthernet {
		// PPPoE's length counts what follows it: PPP's protocol field and the packet.
		binary.BigEndian.PutUint16(b[4:], uint16(2+len(packet)))
	}
	return append(b, packet...)
}
