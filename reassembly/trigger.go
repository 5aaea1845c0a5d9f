package reassembly

import (
	"time"

	"github.com/tcplife/tcplife/wire"
)

// Trigger returns the index of the event that the bare RST with index i answers, -1
// if the log holds none. A bare RST takes its number from the acknowledgment of the
// segment that it answers (RFC 9293 section 3.5.2), and each such segment gets one.
// So where several have that acknowledgment, the RSTs belong to the last of them:
// the earlier ones still met a socket.
func (c *Conn) Trigger(i int) int {
	rst := &c.Events[i]
	if rst.Flags&wire.ACK != 0 {
		return -1
	}
	fits := func(e *Event) bool {
		return e.From != rst.From && e.Kind != KindRST && e.Flags&wire.ACK != 0 && e.Ack == rst.Seq
	}
	best := c.Ends[rst.From].Response
	// RSTs that follow before another such segment does answer later ones of those
	// here.
	later := 0
	for j := i + 1; j < len(c.Events); j++ {
		e := &c.Events[j]
		if fits(e) {
			break
		}
		if e.From == rst.From && e.Kind == KindRST && e.Flags&wire.ACK == 0 && e.Seq == rst.Seq {
			later++
		}
	}
	found, soon := -1, -1
	for j := i - 1; j >= 0; j-- {
		e := &c.Events[j]
		if !fits(e) {
			continue
		}
		gap := rst.At.Sub(e.LastAt)
		if gap > slowestReply(best) {
			break
		}
		if c.met(j, i) {
			continue // received in the ordinary way
		}
		if gap < soonestReply(best) && e.Count == 1 {
			soon = max(soon, j)
			continue
		}
		found = j
		if later -= int(e.Count); later < 0 {
			break
		}
	}
	if found < 0 {
		return soon // nothing else fits, so what was taken for the best was not
	}
	return found
}

// soonestReply is how long after a segment its answer passes at the soonest: half of the
// best response seen, since that is the best of a few. Below a millisecond it is the
// scheduler's doing, and bounds nothing.
func soonestReply(best time.Duration) time.Duration {
	if best < time.Millisecond {
		return 0
	}
	return best / 2
}

// met reports whether segment j met a socket: its receiver acknowledged it before
// it sent the RST with index i, or was still alive when it must have arrived.
func (c *Conn) met(j, i int) bool {
	e := &c.Events[j]
	arrived := e.LastAt.Add(slowestPath(c.Ends[e.From.Peer()].Response))
	for k := range c.Events[:i] {
		x := &c.Events[k]
		if x.From == e.From || x.Kind == KindRST || !genuine(x) || x.Marks&MarkRepeat != 0 {
			continue
		}
		// An acknowledgment of it, or of what was sent after it, if it carries nothing.
		acks := x.Flags&wire.ACK != 0 && (x.Ack.After(e.Seq) && !x.Ack.Before(e.End))
		if x.LastAt > arrived || x.LastAt > e.LastAt && acks {
			return true
		}
	}
	return false
}

// slowestPath is how much longer than at its best a path may take before something
// must have arrived: twice as long and 20 ms more, a full queue of an access line.
func slowestPath(best time.Duration) time.Duration { return 2*best + 20*time.Millisecond }

// slowestReply is how long after a segment a RST may still be its answer. A kernel
// answers at once; what is longer than at best is the path's doing: four times the
// best (the margin of RFC 6298 for its timer) and 200 ms, the smallest such timer
// in use.
func slowestReply(best time.Duration) time.Duration { return 4*best + 200*time.Millisecond }
