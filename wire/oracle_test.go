package wire

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// The oracle reads a frame with google/gopacket alone and makes a Segment from its
// layers. It shares no code with the decoder but the types. Lengths it takes from
// the header octets, because the library's own fields are cut to 16 bits.

// firstLayers are the decoders of the link types that the library knows; SLL2 it
// does not, so that the oracle takes that header off itself.
var firstLayers = map[LinkType]gopacket.Decoder{
	LinkEthernet: layers.LayerTypeEthernet, LinkLinuxSLL: layers.LayerTypeLinuxSLL,
	LinkRaw: layers.LinkTypeRaw, LinkRaw12: layers.LinkTypeRaw, LinkRaw14: layers.LinkTypeRaw,
	LinkIPv4: layers.LayerTypeIPv4, LinkIPv6: layers.LayerTypeIPv6,
	LinkNull: layers.LayerTypeLoopback, LinkLoop: layers.LayerTypeLoopback,
	LinkPPP: layers.LayerTypePPP, LinkPPPHDLC: layers.LayerTypePPP, LinkPPPEthernet: layers.LayerTypePPPoE,
}

// verdict is what the oracle makes of a frame.
type verdict struct {
	seg  Segment
	path []string
	// found: the library decoded a TCP header straight above the first IP header.
	found bool
	// valid: the lengths around that header agree, by the rules of this package.
	valid bool
	// cut: the capture lacks a part of the TCP options.
	cut bool
}

// oracle decodes f with the library. It looks only at what both sides mean to
// read in the same way; exempt says when a frame is not such a one.
func oracle(f *Frame) (v verdict, exempt bool) {
	data := slices.Clip(f.Data) // below, capacity tells where a layer stands
	first := firstLayers[f.Link]
	if f.Link == LinkLinuxSLL2 {
		if len(data) < sll2Header {
			return v, false
		}
		kind := binary.BigEndian.Uint16(data[8:])
		if kind == 824 || kind >= 801 && kind <= 803 {
			return v, true
		}
		first = layers.EthernetType(binary.BigEndian.Uint16(data))
		if first.(layers.EthernetType) <= 1500 {
			return v, true
		}
		data = data[sll2Header:]
	}
	if f.Link == LinkCiscoHDLC { // the library has no decoder for it
		if len(data) < chdlcHeader {
			return v, false
		}
		first = layers.EthernetType(binary.BigEndian.Uint16(data[2:]))
		if first.(layers.EthernetType) <= 1500 {
			return v, true
		}
		data = data[chdlcHeader:]
	}
	if first == nil {
		// A link type that the library lacks: the header's octets are taken off as
		// they stand in the table, and it reads the rest.
		h := linkHeaders[f.Link]
		for _, version := range [...]struct {
			header string
			layer  gopacket.LayerType
		}{{h.v4, layers.LayerTypeIPv4}, {h.v6, layers.LayerTypeIPv6}} {
			if version.header == "-" {
				continue
			}
			if b := fixture(version.header); bytes.HasPrefix(data, b) {
				first, data = version.layer, data[len(b):]
				break
			}
		}
	}
	if first == nil {
		return v, true
	}
	p := gopacket.NewPacket(data, first, gopacket.DecodeOptions{NoCopy: true})
	v.seg = Segment{Frame: f.ID, At: f.At}
	wire := max(f.Length, uint32(len(f.Data)))
	var room uint32 // octets of the IP payload that are left
	seen := p.Layers()
	if len(seen) > maxHeaders {
		return v, true
	}
	ip, jumbo := false, false
	for _, layer := range seen {
		// NoCopy: a layer's place in the frame is the capacity that it lacks.
		at := uint32(len(f.Data) - cap(layer.LayerContents()))
		switch l := layer.(type) {
		case *layers.Ethernet:
			// A length that cuts the payload off is honoured by the library only.
			if at != 0 || l.Length != 0 && int(l.Length) < len(f.Data)-ethernetHeader {
				return v, true
			}
		case *layers.LinuxSLL:
			if l.EthernetType <= 1500 || l.AddrType == 824 || l.AddrType >= 801 && l.AddrType <= 803 {
				return v, true
			}
		case *layers.Loopback, *layers.PPP, *layers.LLC:
		case *layers.SNAP:
			if !slices.Equal(l.OrganizationalCode, []byte{0, 0, 0}) || l.Type <= 1500 {
				return v, true
			}
		case *layers.Dot1Q:
			if l.VLANIdentifier != 0 {
				v.path = append(v.path, libraryLayer("vlan", uint32(l.VLANIdentifier)))
			}
		case *layers.MPLS:
			v.path = append(v.path, libraryLayer("mpls", l.Label))
		case *layers.PPPoE:
			// The length as with Ethernet's. The library also takes the EtherType of
			// the discovery stage for a session.
			if int(l.Length) != cap(l.Contents)-6 || at >= 2 && binary.BigEndian.Uint16(f.Data[at-2:]) == uint16(layers.EthernetTypePPPoEDiscovery) {
				return v, true
			}
			v.path = append(v.path, libraryLayer("pppoe", uint32(l.SessionId)))
		case *layers.IPv4:
			if ip || l.Version != 4 || l.Flags&layers.IPv4MoreFragments != 0 || l.FragOffset != 0 {
				return v, false
			}
			ip = true
			total := uint32(binary.BigEndian.Uint16(l.Contents[2:]))
			if total == 0 {
				total = wire - at
			}
			if total < uint32(l.IHL)*4 {
				return v, false
			}
			room = total - uint32(l.IHL)*4
			v.seg.Tuple.Src, v.seg.Tuple.Dst = AddrFrom4(l.SrcIP), AddrFrom4(l.DstIP)
			v.seg.IPID, v.seg.TTL = l.Id, l.TTL
			if l.Flags&layers.IPv4DontFragment != 0 {
				v.seg.Traits = TraitDF
			}
			for _, o := range l.Options {
				// Loose and strict source route: a pointer that counts from the type
				// octet on, then addresses.
				if n := len(o.OptionData) - 1; (o.OptionType == 131 || o.OptionType == 137) && n >= 4 && n%4 == 0 {
					if at := int(o.OptionData[0]) - 4; at >= 0 && at%4 == 0 && at < n {
						v.seg.Tuple.Dst = AddrFrom4(o.OptionData[n-3:])
					}
					break
				}
			}
		case *layers.IPv6:
			if ip || l.Version != 6 {
				return v, false
			}
			ip = true
			if room = uint32(l.Length); room == 0 {
				room = wire - at - 40
			}
			v.seg.Tuple.Src, v.seg.Tuple.Dst = AddrFrom16(l.SrcIP), AddrFrom16(l.DstIP)
			v.seg.Tuple.V6, v.seg.TTL = true, l.HopLimit
			jumbo = l.Length == 0
		case *layers.IPv6HopByHop, *layers.IPv6Routing, *layers.IPv6Destination:
			n := uint32(len(layer.LayerContents()))
			if !ip || n > room {
				return v, false
			}
			if h, ok := layer.(*layers.IPv6HopByHop); ok && jumbo {
				for _, o := range h.Options {
					if o.OptionType == 0xc2 && len(o.OptionData) == 4 {
						if says := binary.BigEndian.Uint32(o.OptionData); says > 65535 {
							room = min(room, says)
						}
						break
					}
				}
			}
			jumbo = false
			room -= n
			v.ends(layer)
		case *layers.TCP:
			if !ip {
				return v, false
			}
			v.tcp(f, l, room)
			return v, false
		default:
			return v, !ip
		}
	}
	return v, false
}

// ends notes the addresses that extension headers put in the place of the IPv6
// header's: a mobile host's, and the last of a source route. They are taken from
// the octets: the library does not read every kind.
func (v *verdict) ends(layer gopacket.Layer) {
	b := layer.LayerContents()
	switch l := layer.(type) {
	case *layers.IPv6Routing:
		addresses := (len(b) - 8) / 16
		left, fits := int(l.SegmentsLeft), (len(b)-8)%16 == 0
		switch {
		case left == 0:
		case l.RoutingType == 0 && fits && left <= addresses:
			v.seg.Tuple.Dst = AddrFrom16(b[len(b)-16:])
		case l.RoutingType == 2 && fits && left == 1 && addresses == 1,
			l.RoutingType == 4 && left <= int(b[4])+1 && int(b[4])+1 <= addresses:
			v.seg.Tuple.Dst = AddrFrom16(b[8:])
		}
	case *layers.IPv6Destination:
		for _, o := range l.Options {
			if o.OptionType == 201 && len(o.OptionData) == 16 {
				v.seg.Tuple.Src = AddrFrom16(o.OptionData)
				break
			}
		}
	}
}

func libraryLayer(kind string, n uint32) string {
	digits := []byte{}
	for ; n > 0 || len(digits) == 0; n /= 10 {
		digits = append([]byte{byte('0' + n%10)}, digits...)
	}
	return kind + ":" + string(digits)
}

func (v *verdict) tcp(f *Frame, l *layers.TCP, room uint32) {
	header := uint32(l.DataOffset) * 4
	v.found = true
	v.valid = header >= 20 && header <= room
	if !v.valid {
		return
	}
	s := &v.seg
	s.Tuple.SrcPort, s.Tuple.DstPort = uint16(l.SrcPort), uint16(l.DstPort)
	s.Seq, s.Ack = Seq(l.Seq), Seq(l.Ack)
	for _, bit := range []struct {
		set  bool
		flag Flags
	}{
		{l.FIN, FIN}, {l.SYN, SYN}, {l.RST, RST}, {l.PSH, PSH}, {l.ACK, ACK},
		{l.URG, URG}, {l.ECE, ECE}, {l.CWR, CWR}, {l.NS, AE},
	} {
		if bit.set {
			s.Flags |= bit.flag
		}
	}
	s.Window, s.Urgent = l.Window, l.Urgent
	s.Len = room - header
	captured := uint32(cap(l.Contents))
	if f.Length > uint32(len(f.Data)) || captured < room {
		s.Traits |= TraitSnapped
	}
	if v.cut = captured < header; !v.cut {
		s.Options = libraryOptions(l.Contents[20:header])
	}
}

// libraryOptions reads TCP options with the library, and judges their lengths by a
// table of its own.
func libraryOptions(b []byte) Options {
	h := make([]byte, 20, 60)
	h[12] = byte(5+(len(b)+3)/4) << 4
	h = append(h, b...)
	for len(h)%4 != 0 {
		h = append(h, 0)
	}
	var l layers.TCP
	err := l.DecodeFromBytes(h, gopacket.NilDecodeFeedback)
	list := l.Options
	var o Options
	if err != nil {
		o.Set = OptDamaged
		list = list[:len(list)-1] // the one that failed
	}
	type rule struct {
		ok  bool
		bit OptionSet
	}
	for _, opt := range list {
		b := opt.OptionData
		if k := opt.OptionType; (k == 253 || k == 254) && len(b) >= 2 && b[0] == 0xf9 && b[1] == 0x89 {
			opt.OptionType, b = 34, b[2:]
		}
		n := len(b)
		r := map[layers.TCPOptionKind]rule{
			0: {true, 0}, 1: {true, 0},
			2: {n == 2, OptMSS}, 3: {n == 1, OptWindowScale}, 4: {n == 0, OptSACKPerm},
			5: {n > 0 && n%8 == 0, OptSACK}, 8: {n == 8, OptTimestamps},
			11: {n == 4, OptCC}, 12: {n == 4, OptCCNew}, 13: {n == 4, OptCCEcho},
			19: {n == 16, OptMD5}, 28: {n == 2, OptUserTimeout}, 29: {n >= 2, OptAO},
			30: {n >= 1, OptMPTCP}, 34: {n == 0 || n >= 4 && n <= 16 && n%2 == 0, OptFastOpen},
		}
		rule, known := r[opt.OptionType]
		switch {
		case !known:
			o.Set |= OptOther
			continue
		case !rule.ok:
			o.Set |= OptDamaged
			continue
		}
		switch rule.bit {
		case OptMSS:
			o.MSS = binary.BigEndian.Uint16(b)
		case OptWindowScale:
			o.WindowScale = b[0]
		case OptTimestamps:
			o.TSVal, o.TSEcr = binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
		case OptUserTimeout:
			o.UserTimeout = binary.BigEndian.Uint16(b)
		case OptFastOpen:
			o.FastOpenLen = uint8(n)
		case OptMPTCP:
			if o.Set&OptMPTCP == 0 {
				o.MPTCPSubtype = b[0] >> 4
			}
		case OptSACK:
			o.SACK, o.SACKs = [2]SACKBlock{}, uint8(n/8)
			for i := range min(n/8, len(o.SACK)) {
				o.SACK[i].Left = Seq(binary.BigEndian.Uint32(b[8*i:]))
				o.SACK[i].Right = Seq(binary.BigEndian.Uint32(b[8*i+4:]))
			}
		}
		o.Set |= rule.bit
	}
	return o
}
