package incident

import (
	"time"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

const (
	// fullSegment is the least that fills a packet on the paths there are: who knows
	// nothing of the path sends no more (RFC 9293 section 3.7.1).
	fullSegment = 536
	// swallowedFor is how long it must have been missing, and swallowedLeast how often it
	// must have been repeated, if that is seen: a sender repeats it after 0.2, 0.6 and
	// 1.4 s (RFC 6298 section 5.5), and three losses in a row are no accident.
	swallowedFor   = 3 * time.Second
	swallowedLeast = 3
)

// swallowed finds out whether a side's full segments did not get through, while the
// path was there: the tap saw how they were repeated in vain and how the other side
// spoke all the while; or it never saw them, and what the side sent later without data.
func (f *facts) swallowed() {
	c := f.c
	for side := range c.Ends {
		e := &c.Ends[side]
		if e.Unacked() < fullSegment {
			continue
		}
		s := reassembly.Side(side)
		if e.HasHole && passedOver(c, s) {
			f.lacks[side], f.unseen[side] = e.Unacked(), true
		} else if repeatedInVain(c, s) {
			f.lacks[side] = e.Unacked()
			f.dead = f.dead && f.death.silent == s // the other side spoke
		}
	}
}

// passedOver reports whether a side's numbers jump over octets in a segment that carries
// none, long after anything else was sent.
func passedOver(c *reassembly.Conn, side reassembly.Side) bool {
	for i := 1; i < len(c.Events); i++ {
		x := &c.Events[i]
		if x.From == side && x.Marks.Has(reassembly.MarkGap) && x.Len == 0 && x.Kind != reassembly.KindRST {
			before := lastOf(c, side, i)
			return before < 0 || x.At.Sub(c.Events[before].LastAt) >= swallowedFor
		}
	}
	return false
}

// repeatedInVain reports whether a side repeated the first segment that was not
// acknowledged, a full one, and the other side spoke later and did not know of it.
func repeatedInVain(c *reassembly.Conn, side reassembly.Side) bool {
	e := &c.Ends[side]
	if !e.HasAcked {
		return false
	}
	times, from, to := uint32(0), wire.Time(0), wire.Time(0)
	for i := range c.Events {
		x := &c.Events[i]
		if x.From == side {
			if x.Seq == e.Acked && x.Marks.Has(reassembly.MarkRepeat) && x.Len >= fullSegment*x.Count {
				if times == 0 {
					from = x.At
				}
				times += x.Count
				to = x.LastAt
			}
			continue
		}
		// A receiver that has no room may wait, and lets the sender wait.
		if x.Kind == reassembly.KindRST || !x.Flags.Has(wire.ACK) || x.Window == 0 {
			continue
		}
		if times >= swallowedLeast && to.Sub(from) >= swallowedFor && x.LastAt > to && !x.Ack.After(e.Acked) {
			return true
		}
	}
	return false
}
