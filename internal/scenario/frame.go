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

// errorPacket returns the octets of an ICMP error from the IP header on. It quotes
// what RFC 792 asks for at least, eight octets of the segment, and in IPv6 the
// whole TCP header.
func (s *Script) errorPacket(sh *shot, v Variant, ipID uint16) ([]byte, error) {
	q := sh.packet.Quote
	quote, err := s.quoted(sh, v).ipPacket(v.V6)
	if err != nil {
		return nil, err
	}
	src, _ := s.address(sh.packet.Src, v)
	dst, _ := s.address(sh.packet.Dst, v)
	ttl := uint8(s.plan.hosts[s.hostIndex(sh.packet.Src.Host)].ttl)
	kind := kindByWord(q.Kind).numbers(v.V6)
	var stack []gopacket.SerializableLayer
	if v.V6 {
		ip := &layers.IPv6{Version: 6, HopLimit: ttl, NextHeader: layers.IPProtocolICMPv6, SrcIP: src, DstIP: dst}
		icmp := &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(kind[0], kind[1])}
		if err := icmp.SetNetworkLayerForChecksum(ip); err != nil {
			return nil, fmt.Errorf("checksum of an ICMP error: %w", err)
		}
		stack = append(stack, ip, icmp, gopacket.Payload(binary.BigEndian.AppendUint32(nil, uint32(q.MTU))))
	} else {
		ip := &layers.IPv4{Version: 4, TTL: ttl, Id: ipID, Protocol: layers.IPProtocolICMPv4, SrcIP: src, DstIP: dst}
		icmp := &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(kind[0], kind[1]), Seq: uint16(q.MTU)}
		stack = append(stack, ip, icmp)
		quote = quote[:20+8]
	}
	buf := gopacket.NewSerializeBuffer()
	err = gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		append(stack, gopacket.Payload(quote))...)
	if err != nil {
		return nil, fmt.Errorf("building an ICMP error: %w", err)
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
