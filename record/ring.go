package record

import (
	"hash/maphash"
	"slices"
	"sync"

	"github.com/tcplife/tcplife/wire"
)

// RingHead is how much of a frame a Ring keeps, in octets: the headers, through a tunnel
// too, of nearly all traffic.
const RingHead = 192

// slotSize is what a Ring's notes on one frame take, in octets; meanHead how many octets
// of a frame it keeps at least, on the mean, before it forgets sooner than its room would
// allow (Ethernet, IPv4 and TCP without options).
const (
	slotSize = 56
	meanHead = 54
)

// Ring keeps the headers of the last frames in memory of a fixed size. Frames may be
// added by one goroutine and looked for by others. Nothing is allocated for a frame.
type Ring struct {
	mu   sync.Mutex
	seed maphash.Seed
	// octets and slots are used in a circle: first is the oldest of count slots, and end
	// where the next frame's octets go.
	octets       []byte
	slots        []slot
	first, count int
	end          int

	dec    wire.Decoder
	seg    wire.Segment
	layout wire.Layout
}

// slot is one frame.
type slot struct {
	id     wire.FrameID
	at     wire.Time
	tuple  uint64 // a hash of its ends; 0 for none
	packet uint64 // a hash of the IP packet that it is a fragment of; 0 for none
	from   uint32 // in octets
	length uint32 // on the wire
	size   uint16 // kept
	link   wire.LinkType
}

// NewRing returns a Ring that takes about so many octets of memory.
func NewRing(size int) *Ring {
	n := max(size/(slotSize+meanHead), 8)
	return &Ring{
		seed: maphash.MakeSeed(), slots: make([]slot, n), octets: make([]byte, max(size-n*slotSize, 8*RingHead)),
		dec: wire.Decoder{MergeEncap: true},
	}
}

// Add keeps a frame. Frames must come in the order of the capture.
func (r *Ring) Add(f *wire.Frame) {
	// Decoding is not for those who wait for the lock.
	s := slot{id: f.ID, at: f.At, link: f.Link, length: max(f.Length, uint32(len(f.Data)))}
	skip, ok := r.dec.Decode(f, &r.seg), true
	for ; ok && s.tuple == 0; skip, ok = r.dec.More(f, &r.seg) {
		switch skip {
		case wire.SkipNone:
			s.tuple = r.hash(r.seg.Tuple)
			if r.seg.Traits&wire.TraitReassembled != 0 {
				s.packet = r.fragment(f)
			}
		case wire.SkipICMP:
			s.tuple = r.hash(r.dec.ICMP().Tuple)
		case wire.SkipFragment:
			s.packet = r.fragment(f)
		}
	}
	head := f.Data[:min(len(f.Data), RingHead)]

	r.mu.Lock()
	defer r.mu.Unlock()
	if r.count == len(r.slots) {
		r.forget()
	}
	if r.end+len(head) > len(r.octets) {
		// What is left at the end is too little. The frames there go first.
		for r.count > 0 && int(r.slots[r.first].from) >= r.end {
			r.forget()
		}
		r.end = 0
	}
	for r.count > 0 {
		if o := &r.slots[r.first]; int(o.from) >= r.end+len(head) || int(o.from)+int(o.size) <= r.end {
			break
		}
		r.forget()
	}
	s.from, s.size = uint32(r.end), uint16(copy(r.octets[r.end:], head))
	r.end += len(head)
	r.slots[(r.first+r.count)%len(r.slots)] = s
	r.count++
}

// forget drops the oldest frame.
func (r *Ring) forget() {
	r.first = (r.first + 1) % len(r.slots)
	r.count--
}

func (r *Ring) hash(t wire.Tuple) uint64 { return max(maphash.Comparable(r.seed, Ends(t)), 1) }

// fragment returns the hash of the packet that a fragment is of.
func (r *Ring) fragment(f *wire.Frame) uint64 {
	r.layout.Read(f)
	for _, h := range slices.Backward(r.layout.Headers) {
		if h.Piece && (h.Kind == wire.HeaderIPv4 || h.Kind == wire.HeaderIPv6) {
			return max(maphash.Comparable(r.seed, packet{h.Src, h.Dst, h.ID, h.V6}), 1)
		}
	}
	return 0
}

// maxTaken bounds how many frames Take returns: the last of them, since the end of a
// connection says most.
const maxTaken = 20000

// Take returns copies of the frames of a tuple that are still there, in their order: its
// segments in either direction, ICMP errors about them, and the fragments that they came
// in. missing says how many more there were than it returns.
func (r *Ring) Take(t wire.Tuple) (frames []wire.Frame, missing int) {
	want := r.hash(t)
	r.mu.Lock()
	defer r.mu.Unlock()
	packets := map[uint64]bool{}
	n := 0
	for i := range r.count {
		if s := r.slot(i); s.tuple == want {
			n++
			if s.packet != 0 {
				packets[s.packet] = true
			}
		}
	}
	if len(packets) > 0 {
		n = 0
		for i := range r.count {
			if r.slot(i).of(want, packets) {
				n++
			}
		}
	}
	missing = max(n-maxTaken, 0)
	skip := missing
	for i := range r.count {
		s := r.slot(i)
		if !s.of(want, packets) {
			continue
		}
		if skip > 0 {
			skip--
			continue
		}
		frames = append(frames, wire.Frame{ID: s.id, At: s.at, Link: s.link, Length: s.length, Data: slices.Clone(r.octets[s.from : s.from+uint32(s.size)])})
	}
	return frames, missing
}

func (r *Ring) slot(i int) *slot { return &r.slots[(r.first+i)%len(r.slots)] }

// of reports whether the frame belongs to a tuple, or to one of the packets that a
// segment of it came in.
func (s *slot) of(tuple uint64, packets map[uint64]bool) bool {
	return s.tuple == tuple || s.tuple == 0 && s.packet != 0 && packets[s.packet]
}

// Frames returns how many frames are kept, and the time of the oldest.
func (r *Ring) Frames() (n int, oldest wire.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.count > 0 {
		oldest = r.slots[r.first].at
	}
	return r.count, oldest
}
