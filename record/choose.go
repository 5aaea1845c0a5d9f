package record

import (
	"errors"
	"io"

	"github.com/tcplife/tcplife/capture"
	"github.com/tcplife/tcplife/wire"
)

// Choice picks the frames of tuples: every segment between two ends, of whichever life
// and in whichever encapsulation, the ICMP errors that quote one, and the fragments that
// one came in. It is not safe for concurrent use.
type Choice struct {
	// Within, if set, says whether a segment or error of a tuple is wanted that passed at
	// some time.
	Within func(t wire.Tuple, at wire.Time) bool

	tuples    map[wire.Tuple]bool
	fragments map[wire.FrameID]bool
	dec       wire.Decoder
	seg       wire.Segment
	layout    wire.Layout
}

// NewChoice returns a Choice of no tuples.
func NewChoice() *Choice {
	return &Choice{tuples: map[wire.Tuple]bool{}, fragments: map[wire.FrameID]bool{}, dec: wire.Decoder{MergeEncap: true}}
}

// Add adds a tuple, in either direction; its encapsulation is of no account.
func (c *Choice) Add(t wire.Tuple) { c.tuples[Ends(t)] = true }

// Len returns the number of tuples.
func (c *Choice) Len() int { return len(c.tuples) }

// HasTuple reports whether the tuple was added.
func (c *Choice) HasTuple(t wire.Tuple) bool { return c.tuples[Ends(t)] }

// Ends returns a tuple in the direction that is the same for both, and without
// encapsulation, which each Decoder numbers anew.
func Ends(t wire.Tuple) wire.Tuple {
	k, _ := t.Key()
	k.Encap = 0
	return k
}

// Has reports whether a frame is picked. Frames must come in the order of the capture.
func (c *Choice) Has(f *wire.Frame) bool {
	skip, ok := c.dec.Decode(f, &c.seg), true
	picked := c.fragments[f.ID]
	for ; ok; skip, ok = c.dec.More(f, &c.seg) {
		picked = picked || c.of(skip, f.At)
	}
	return picked
}

// of reports whether what was decoded last belongs to a tuple.
func (c *Choice) of(skip wire.Skip, at wire.Time) bool {
	t := &c.seg.Tuple
	switch skip {
	case wire.SkipNone:
	case wire.SkipICMP:
		t = &c.dec.ICMP().Tuple
	default:
		return false
	}
	return c.HasTuple(*t) && (c.Within == nil || c.Within(*t, at))
}

// Bounds of what is remembered of fragments: a capture may be made of nothing else.
const (
	maxPending  = 1 << 16 // frames of packets that are not whole
	maxFragment = 1 << 20 // frames picked
)

// packet names the IP packet that a fragment is of.
type packet struct {
	src, dst wire.Addr
	id       uint32
	v6       bool
}

// Fragments reads a capture to its end for the fragments of the tuples' segments: which
// tuple a fragment is of is known only when another one has come. It is of use before
// the frames are picked, if the capture has fragments. An error is one of a source that
// was closed.
func (c *Choice) Fragments(src capture.Source) error {
	pending, held := map[packet][]wire.FrameID{}, 0
	wanted := map[packet]bool{} // not whole, and their first fragment says that they are ours
	take := func(p packet) {
		for _, id := range pending[p] {
			if len(c.fragments) < maxFragment {
				c.fragments[id] = true
			}
		}
		held -= len(pending[p])
		delete(pending, p)
		delete(wanted, p)
	}
	var f wire.Frame
	for {
		if err := src.Next(&f); err != nil {
			var damage *capture.DamageError
			if errors.As(err, &damage) {
				continue
			}
			for p := range wanted {
				take(p)
			}
			if err == io.EOF {
				err = nil
			}
			c.dec = wire.Decoder{MergeEncap: true} // the next reading begins anew
			return err
		}
		skip := c.dec.Decode(&f, &c.seg)
		whole := skip == wire.SkipNone && c.seg.Traits&wire.TraitReassembled != 0
		if skip != wire.SkipFragment && !whole {
			continue
		}
		c.layout.Read(&f)
		p, ports := c.piece()
		if whole {
			if c.HasTuple(c.seg.Tuple) {
				take(p)
			}
			held -= len(pending[p])
			delete(pending, p)
			delete(wanted, p)
			continue
		}
		if held >= maxPending {
			clear(pending)
			held = 0
		}
		pending[p] = append(pending[p], f.ID)
		held++
		if ports != nil && c.HasTuple(*ports) {
			wanted[p] = true
		}
	}
}

// piece returns the packet that the frame in layout holds a fragment of, and the tuple if
// it is the first fragment.
func (c *Choice) piece() (p packet, ports *wire.Tuple) {
	for i := range c.layout.Headers {
		h := &c.layout.Headers[i]
		if (h.Kind == wire.HeaderIPv4 || h.Kind == wire.HeaderIPv6) && h.Piece {
			p = packet{h.Src, h.Dst, h.ID, h.V6}
		}
		if h.Kind == wire.HeaderTCP && h.Ports != [2]uint16{} {
			ports = &wire.Tuple{Src: h.Src, Dst: h.Dst, SrcPort: h.Ports[0], DstPort: h.Ports[1], V6: h.V6}
		}
	}
	return p, ports
}
