package pipeline

import (
	"cmp"
	"slices"

	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/wire"
)

// contents counts what only an inventory asks for; ordinary reports do without.
type contents struct {
	encaps []uint64 // segments by EncapID
}

// count takes note of a frame, before the reader counts it.
func (c *contents) count(in *report.Input, f *wire.Frame) {
	in.Octets += uint64(f.Length)
	// Interfaces take turns, but few captures have more than two kinds of them.
	at := slices.IndexFunc(in.Links, func(l report.LinkCount) bool { return l.Link == f.Link })
	if at < 0 {
		at = len(in.Links)
		in.Links = append(in.Links, report.LinkCount{Link: f.Link})
	}
	in.Links[at].Frames++
}

// segments takes note of frames of an input that hold one segment each.
func (c *contents) segments(in *report.Input, run []wire.Frame, segments []wire.Segment) {
	for i := range run {
		in.TCPOctets += uint64(run[i].Length)
		c.segment(&segments[i])
	}
}

// segment takes note of a TCP segment.
func (c *contents) segment(s *wire.Segment) {
	id := int(s.Tuple.Encap)
	if id >= len(c.encaps) {
		c.encaps = append(c.encaps, make([]uint64, id+1-len(c.encaps))...)
	}
	c.encaps[id]++
}

// paths returns the encapsulation paths, the one with the most segments first, equal
// ones as they appeared.
func (c *contents) paths(dec *wire.Decoder) (all []report.EncapCount) {
	for id, n := range c.encaps {
		if n > 0 {
			all = append(all, report.EncapCount{Path: dec.Encap(wire.EncapID(id)), Segments: n})
		}
	}
	slices.SortStableFunc(all, func(a, b report.EncapCount) int { return cmp.Compare(b.Segments, a.Segments) })
	return all
}
