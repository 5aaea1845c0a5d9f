package wire

import (
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// This file is where gopacket comes in: its layers read the headers that
// the fast path declines, one header per call. IP and TCP never go through it, so
// whatever a frame is wrapped in, lengths and options are judged by one piece of
// code.
//
// To add a header: a line with reads, a case in describe, and a layerKind when it
// tells connections apart.

// library returns a reader that leaves the header to a layer of gopacket.
func library(layer gopacket.LayerType) reader {
	return func(b []byte, room uint32) (h header, skip Skip) {
		// The library slices by lengths that it finds, in places without a look at
		// what is there. On a hostile frame that panics.
		defer func() {
			if recover() != nil {
				h, skip = header{}, SkipMalformed
			}
		}()
		in := b
		if layer == layers.LayerTypePPPoE {
			// Its decoder also slices by the length field, and so fails on every
			// snapped frame. IP has a length of its own.
			in = []byte{b[0], b[1], b[2], b[3], 0, 0}
		}
		var one oneLayer
		if err := layer.Decode(in, &one); err != nil || one.layer == nil {
			return header{}, SkipMalformed
		}
		h.size = len(in) - len(one.layer.LayerPayload())
		return describe(h, one.layer, b[h.size:], room-uint32(h.size))
	}
}

// The numbers are how many octets a decoder reads without looking whether they are
// there.
var (
	_ = reads(4, library(layers.LayerTypeLLC), protoLLC)
	_ = reads(5, library(layers.LayerTypeSNAP), protoSNAP)
	_ = reads(4, library(layers.LayerTypeMPLS), protoMPLS, protoMPLSUp)
	_ = reads(6, library(layers.LayerTypePPPoE), protoPPPoE)
	_ = reads(4, library(layers.LayerTypePPP), protoPPP)
)

// describe says what a decoded header means; after holds the octets behind it, of
// room on the wire.
func describe(h header, layer gopacket.Layer, after []byte, room uint32) (header, Skip) {
	switch l := layer.(type) {
	case *layers.LLC:
		const snap, ip, osi = 0xaa, 0x06, 0xfe
		switch {
		case l.DSAP == osi && l.SSAP == osi:
			h.next = protoNLPID
		case l.DSAP == snap && l.SSAP == snap:
			h.next = protoSNAP
		case l.DSAP == ip && l.SSAP == ip:
			h.next = protoIPv4
		default:
			return h, SkipNotIP
		}
	case *layers.SNAP:
		// Only under these two does the number name an EtherType: RFC 1042, and
		// 802.1H's tunnel.
		oui := [3]byte(l.OrganizationalCode)
		if oui != [3]byte{} && oui != [3]byte{0, 0, 0xf8} || proto(l.Type) <= protoMaxLength {
			return h, SkipNotIP
		}
		h.next = proto(l.Type)
	case *layers.MPLS:
		h.kind, h.value = layerMPLS, l.Label
		if !l.StackBottom {
			h.next = protoMPLS
			return h, SkipNone
		}
		next, size, skip := afterLabels(after, room)
		h.next = next
		h.size += size
		return h, skip
	case *layers.PPPoE:
		if l.Code != layers.PPPoECodeSession {
			return h, SkipNotIP
		}
		h.kind, h.value = layerPPPoE, uint32(l.SessionId)
		h.next = protoPPP
	case *layers.PPP:
		switch l.PPPType {
		case layers.PPPTypeIPv4:
			h.next = protoIPv4
		case layers.PPPTypeIPv6:
			h.next = protoIPv6
		case layers.PPPTypeMPLSUnicast, layers.PPPTypeMPLSMulticast:
			h.next = protoMPLS
		default:
			return h, SkipNotIP
		}
	default:
		return h, SkipNotIP
	}
	return h, SkipNone
}

// oneLayer is a gopacket.PacketBuilder that takes the first layer and decodes no
// further, so that the walk, its bound and its meaning stay in this package.
type oneLayer struct{ layer gopacket.Layer }

func (o *oneLayer) AddLayer(l gopacket.Layer) {
	if o.layer == nil {
		o.layer = l
	}
}
func (o *oneLayer) NextDecoder(gopacket.Decoder) error            { return nil }
func (o *oneLayer) DecodeOptions() *gopacket.DecodeOptions        { return &gopacket.Default }
func (o *oneLayer) SetTruncated()                                 {}
func (o *oneLayer) SetLinkLayer(gopacket.LinkLayer)               {}
func (o *oneLayer) SetNetworkLayer(gopacket.NetworkLayer)         {}
func (o *oneLayer) SetTransportLayer(gopacket.TransportLayer)     {}
func (o *oneLayer) SetApplicationLayer(gopacket.ApplicationLayer) {}
func (o *oneLayer) SetErrorLayer(gopacket.ErrorLayer)             {}
func (o *oneLayer) DumpPacketData()                               {}
