package pipeline

import (
	"encoding/binary"
	"io"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"time"

	"github.com/tcplife/tcplife/capture"
	"github.com/tcplife/tcplife/wire"
)

// recorded is a source over frames in memory.
type recorded struct {
	frames []wire.Frame
	next   int
	// endless: after the last frame Next waits for Close.
	endless bool
	closed  atomic.Bool
	wake    chan struct{}
}

func play(frames []wire.Frame) *recorded {
	return &recorded{frames: frames, wake: make(chan struct{})}
}

func (s *recorded) Next(f *wire.Frame) error {
	if s.closed.Load() {
		return os.ErrClosed
	}
	if s.next == len(s.frames) {
		if s.endless {
			<-s.wake
			return os.ErrClosed
		}
		return io.EOF
	}
	*f = s.frames[s.next]
	s.next++
	return nil
}

func (s *recorded) Info() capture.Info {
	return capture.Info{Format: "memory", Frames: uint64(s.next)}
}

func (s *recorded) Close() error {
	if !s.closed.Swap(true) {
		close(s.wake)
	}
	return nil
}

// load reads a capture file into memory.
func load(path string) ([]wire.Frame, error) {
	src, err := capture.Open(path)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	var frames []wire.Frame
	for {
		var f wire.Frame
		if err := src.Next(&f); err == io.EOF {
			return frames, nil
		} else if err != nil {
			return nil, err
		}
		f.Data = append([]byte(nil), f.Data...)
		frames = append(frames, f)
	}
}

// number gives frames their identifiers, by their order.
func number(frames []wire.Frame) []wire.Frame {
	for i := range frames {
		frames[i].ID = wire.NewFrameID(0, uint64(i)+1)
	}
	return frames
}

// pcapBytes writes Ethernet frames as a pcap file with nanoseconds.
func pcapBytes(frames []wire.Frame) []byte {
	le := binary.LittleEndian
	b := le.AppendUint32(nil, 0xa1b23c4d)
	b = append(b, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	b = le.AppendUint32(b, 1<<18)
	b = le.AppendUint32(b, uint32(wire.LinkEthernet))
	for _, f := range frames {
		b = le.AppendUint32(b, uint32(f.At/1e9))
		b = le.AppendUint32(b, uint32(f.At%1e9))
		b = le.AppendUint32(b, uint32(len(f.Data)))
		b = le.AppendUint32(b, f.Length)
		b = append(b, f.Data...)
	}
	return b
}

// packet is what a test says of a frame.
type packet struct {
	src, dst         uint32
	srcPort, dstPort uint16
	seq, ack         uint32
	flags            wire.Flags
	payload          uint16
	vlans            []uint16
}

// append appends the packet as an Ethernet frame, IPv4, without payload octets: a
// capture with a short snapshot length.
func (p *packet) append(b []byte) (_ []byte, length uint32) {
	const ipTCP = 40
	from := len(b)
	b = append(b, 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2)
	for _, v := range p.vlans {
		b = append(b, 0x81, 0, byte(v>>8), byte(v))
	}
	be := binary.BigEndian
	b = append(b, 8, 0, 0x45, 0)
	b = be.AppendUint16(b, ipTCP+p.payload)
	b = append(b, 0, 0, 0x40, 0, 64, 6, 0, 0)
	b = be.AppendUint32(b, p.src)
	b = be.AppendUint32(b, p.dst)
	b = be.AppendUint16(b, p.srcPort)
	b = be.AppendUint16(b, p.dstPort)
	b = be.AppendUint32(b, p.seq)
	b = be.AppendUint32(b, p.ack)
	b = append(b, 5<<4, byte(p.flags), 0xfa, 0xf0, 0, 0, 0, 0)
	return b, uint32(len(b)-from) + uint32(p.payload)
}

// step is one packet of a plot: who sends it, its flags and payload.
type step struct {
	server  bool
	flags   wire.Flags
	payload uint16
}

const (
	syn = wire.SYN
	ack = wire.ACK
	fin = wire.FIN | wire.ACK
	rst = wire.RST
)

// plots are connections as they go by.
var plots = map[string][]step{
	"orderly": {
		{false, syn, 0}, {true, syn | ack, 0}, {false, ack, 0}, {false, ack, 200}, {true, ack, 0}, {true, ack, 1400}, {false, ack, 0},
		{false, fin, 0}, {true, fin, 0}, {false, ack, 0},
	},
	"three": {
		{false, syn, 0}, {true, syn | ack, 0}, {false, ack, 0}, {false, ack, 80}, {true, fin, 300}, {false, fin, 0}, {true, ack, 0},
	},
	"abort":      {{false, syn, 0}, {true, syn | ack, 0}, {false, ack, 0}, {true, ack, 100}, {false, rst | ack, 0}},
	"refused":    {{false, syn, 0}, {true, rst | ack, 0}},
	"unanswered": {{false, syn, 0}},
	"half":       {{false, syn, 0}, {true, syn | ack, 0}, {false, fin, 100}, {true, ack, 0}, {true, ack, 900}, {false, ack, 0}, {true, ack, 900}},
	"midstream":  {{true, ack, 1000}, {false, ack, 0}, {true, ack, 1000}, {false, ack, 0}},
	"late-data":  {{false, syn, 0}, {true, syn | ack, 0}, {false, ack, 0}, {true, fin, 0}, {false, ack, 300}, {true, rst, 0}},
}

var plotNames = []string{"orderly", "three", "abort", "refused", "unanswered", "half", "midstream", "late-data"}

// actor plays a plot.
type actor struct {
	packet // from the client's point of view
	steps  []step
	next   int
	seqs   [2]uint32 // client, server
}

func (a *actor) over() bool { return a.next == len(a.steps) }

// frame returns the next packet.
func (a *actor) frame() packet {
	st := a.steps[a.next]
	a.next++
	p := a.packet
	me, peer := 0, 1
	if st.server {
		me, peer = 1, 0
		p.src, p.dst, p.srcPort, p.dstPort = p.dst, p.src, p.dstPort, p.srcPort
	}
	p.flags, p.payload, p.seq = st.flags, st.payload, a.seqs[me]
	if st.flags&ack != 0 {
		p.ack = a.seqs[peer]
	}
	a.seqs[me] += uint32(st.payload)
	if st.flags&(wire.SYN|wire.FIN) != 0 {
		a.seqs[me]++
	}
	return p
}

// taste says what a generated capture is like.
type taste struct {
	Frames, Active int
	// Hosts bounds the endpoints: few make tuples return.
	Hosts int
	// Out of 1000 frames so many are lost, captured twice, repeated later, not TCP,
	// up to BackwardsSpan earlier than the one before, or follow after seconds or up
	// to an hour.
	Lost, Doubled, Repeated, Noise, Backwards, Pause, Leap int
	VLANs                                                  int
	BackwardsSpan                                          time.Duration
}

// generate makes a capture to somebody's taste; the same seed makes the same.
func generate(seed uint64, t taste) []wire.Frame {
	rng := rand.New(rand.NewPCG(seed, 1))
	chance := func(permille int) bool { return rng.IntN(1000) < permille }
	var actors []*actor
	at := wire.Time(1_700_000_000_000_000_000)
	var frames, old []wire.Frame
	record := func(f wire.Frame) {
		f.At = at
		if chance(t.Backwards) {
			f.At -= wire.Time(rng.Int64N(int64(t.BackwardsSpan)))
		}
		frames = append(frames, f)
	}
	for len(frames) < t.Frames {
		switch {
		case chance(t.Leap):
			at += wire.Time(rng.Int64N(int64(time.Hour)))
		case chance(t.Pause):
			at += wire.Time(rng.Int64N(int64(100 * time.Second)))
		default:
			at += wire.Time(rng.Int64N(int64(20 * time.Millisecond)))
		}
		if chance(t.Noise) {
			record(wire.Frame{Link: wire.LinkEthernet, Data: make([]byte, 60), Length: 60})
			continue
		}
		if len(old) > 0 && chance(t.Repeated) {
			record(old[rng.IntN(len(old))])
			continue
		}
		for len(actors) < t.Active {
			a := &actor{steps: plots[plotNames[rng.IntN(len(plotNames))]], seqs: [2]uint32{rng.Uint32(), rng.Uint32()}}
			a.src, a.dst = 0x0a000000+uint32(rng.IntN(t.Hosts)), 0x0a010000+uint32(rng.IntN(t.Hosts))
			a.srcPort, a.dstPort = uint16(40000+rng.IntN(t.Hosts)), 443
			if t.VLANs > 0 && chance(500) {
				a.vlans = []uint16{uint16(1 + rng.IntN(t.VLANs))}
			}
			actors = append(actors, a)
		}
		i := rng.IntN(len(actors))
		p := actors[i].frame()
		if actors[i].over() {
			actors = append(actors[:i], actors[i+1:]...)
		}
		data, length := p.append(nil)
		f := wire.Frame{Link: wire.LinkEthernet, Data: data, Length: length}
		if old = append(old, f); len(old) > 500 {
			old = old[1:]
		}
		if chance(t.Lost) {
			continue
		}
		record(f)
		if chance(t.Doubled) {
			record(f)
		}
	}
	return number(frames)
}
