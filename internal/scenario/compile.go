package scenario

import (
	"fmt"
	"net"

	"github.com/tcplife/tcplife/wire"
)

// Capture is a compiled script.
type Capture struct {
	Link wire.LinkType
	// Snap is the snap length that a file of it states.
	Snap   int
	Frames []wire.Frame
	format Format
}

// epoch is the capture time at which every script starts: 2026-01-02T03:04:05Z.
const epoch wire.Time = 1767323045_000_000_000

// snapAll is the snap length of files without one, as tcpdump writes it.
const snapAll = 262144

// Compile makes the frames of a capture.
func (s *Script) Compile(v Variant) (*Capture, error) {
	if v.Link == "" {
		v.Link = "ethernet"
	}
	link, err := LinkByName(v.Link)
	if err != nil {
		return nil, err
	}
	if v.V6 && !link.V6 || !v.V6 && !link.V4 {
		return nil, fmt.Errorf("link %s does not carry that IP version", v.Link)
	}
	c := &Capture{Link: link.Type, Snap: snapAll, format: v.Format}
	if v.Snap != 0 {
		c.Snap = v.Snap
	}
	ids := s.ipIDs()
	add := func(f frame, at int64) error {
		sh := &s.plan.shots[f.shot]
		var packet []byte
		var err error
		if sh.packet.Quote != nil {
			packet, err = s.errorPacket(sh, v, ids[f.shot])
		} else {
			seg := s.segment(sh, v)
			seg.ipID = ids[f.shot]
			packet, err = seg.ipPacket(v.V6)
		}
		if err != nil {
			return &Error{s.File, sh.line, err.Error()}
		}
		data := link.wrap(packet, s.hostIndex(sh.packet.Src.Host), v.V6)
		length := len(data)
		if n := int(sh.packet.Tap.Snap); n > 0 {
			data = data[:min(len(data), len(data)-len(packet)+ipHeader(v.V6)+n)]
		}
		if len(data) > c.Snap {
			data = data[:c.Snap]
		}
		c.Frames = append(c.Frames, wire.Frame{
			ID: wire.NewFrameID(0, uint64(len(c.Frames)+1)), At: epoch + wire.Time(at),
			Link: link.Type, Data: data, Length: uint32(length),
		})
		return nil
	}
	for i, f := range s.plan.frames {
		if err := add(f, f.at); err != nil {
			return nil, err
		}
		if !v.Double {
			continue
		}
		// The copy stays before the next frame: a mirror port does not reorder.
		at := f.at + dupAfter
		if i+1 < len(s.plan.frames) {
			at = min(at, max(f.at, s.plan.frames[i+1].at))
		}
		if err := add(f, at); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// scriptFrame turns a frame number of the compiled capture into the script's.
func (v Variant) scriptFrame(n uint64) int {
	if v.Double {
		return int(n+1) / 2
	}
	return int(n)
}

func (s *Script) hostIndex(name string) int {
	for i, h := range s.plan.hosts {
		if h.name == name {
			return i
		}
	}
	return -1
}

// place returns whose address and port a host has in a variant.
func (s *Script) place(name string, mirror bool) int {
	i := s.hostIndex(name)
	if mirror {
		return len(s.plan.hosts) - 1 - i
	}
	return i
}

// address returns the address and port of an endpoint.
func (s *Script) address(e Endpoint, v Variant) (net.IP, uint16) {
	i := s.place(e.Host, v.Mirror)
	port := uint16(s.plan.hosts[i].port + e.Port - 1)
	if v.V6 {
		return net.IP{0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, byte(i + 1)}, port
	}
	return net.IP{10, 0, 0, byte(i + 1)}, port
}

// ipIDs gives each packet an IP identification. A sender counts up, so that a
// repeated segment differs from a copy of the same frame (field guide K05); what
// a stranger forged does not fit the row.
func (s *Script) ipIDs() []uint16 {
	const forged = 0xd431
	ids := make([]uint16, len(s.plan.shots))
	next := make([]uint16, len(s.plan.hosts))
	for i, sh := range s.plan.shots {
		h := s.hostIndex(sh.packet.Src.Host)
		switch {
		case sh.packet.Tap.IPID != 0:
			ids[i] = uint16(sh.packet.Tap.IPID)
		case sh.packet.Tap.Forged:
			ids[i] = forged + uint16(i)
		default:
			next[h]++
			ids[i] = uint16(h+1)<<12 + next[h]
		}
	}
	return ids
}

// ipHeader is the length of the IP headers that scripts are compiled to.
func ipHeader(v6 bool) int {
	if v6 {
		return 40
	}
	return 20
}

// Default windows, where the script names none: an offered window on a SYN, a
// scaled one later, none on a RST that carries no acknowledgment.
const (
	windowSYN = 64240
	windowACK = 502
)

// segment makes the numbers of a packet absolute.
func (s *Script) segment(sh *shot, v Variant) *segment {
	p := sh.packet
	isn := v.ISN.of(s.hostIndex(p.Src.Host)) + uint32(sh.isn)
	peer := v.ISN.of(s.hostIndex(p.Dst.Host)) + uint32(sh.peerISN)
	first := p.Start
	if p.Flags.Has(wire.SYN) {
		first++ // the SYN takes the number before its data
	}
	seg := &segment{
		seq: isn + uint32(p.Start), flags: p.Flags, options: p.Options, sackISN: peer,
		payload: payload(first, p.Len), urgent: uint16(p.Urg),
		ttl: uint8(s.plan.hosts[s.hostIndex(p.Src.Host)].ttl),
	}
	seg.src, seg.srcPort = s.address(p.Src, v)
	seg.dst, seg.dstPort = s.address(p.Dst, v)
	if p.Tap.Abs {
		seg.seq = uint32(p.Start)
	}
	if p.HasAck {
		seg.ack = peer + uint32(p.Ack)
	}
	if p.Tap.TTL != 0 {
		seg.ttl = uint8(p.Tap.TTL)
	}
	switch {
	case p.HasWin:
		seg.window = uint16(p.Win)
	case p.Flags.Has(wire.RST):
	case p.Flags.Has(wire.SYN):
		seg.window = windowSYN
	default:
		seg.window = windowACK
	}
	return seg
}
