package incident

import (
	"time"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// heardOf returns when a side was last heard, but for a RST, 0 if it was not.
func heardOf(c *reassembly.Conn, side reassembly.Side) (at wire.Time) {
	if c.Unlogged.Is {
		at = max(at, c.Unlogged.Heard[side])
	}
	if i := lastOf(c, side, len(c.Events)); i >= 0 {
		at = max(at, c.Events[i].LastAt)
	}
	return at
}

// lastOf returns the last event before i that a side sent, but for a RST, -1 if there
// is none: a RST may come from anybody, also from a host that was away.
func lastOf(c *reassembly.Conn, side reassembly.Side, i int) int {
	for i--; i >= 0; i-- {
		if e := &c.Events[i]; e.From == side && e.Kind != reassembly.KindRST {
			return i
		}
	}
	return -1
}

// died is how a connection died whose peer did not answer any more.
type died struct {
	// silent is the side that did not answer, heard when it was last heard (0: not on this
	// connection, in this capture), asked when the other sent the first segment that it did
	// not answer.
	silent       reassembly.Side
	heard, asked wire.Time
	// idle is for how long nothing had passed before that segment.
	idle time.Duration
	// back is when the side's host answered that it knows no such connection; 0 if it
	// never did.
	back  wire.Time
	frame wire.FrameID
}

// death returns how a connection died whose peer fell silent or had lost it; ok is
// false for other ends.
func death(c *reassembly.Conn, signs []sign) (d died, ok bool) {
	for i := range signs {
		x := &signs[i]
		switch x.number {
		case "D01", "D06", "D07", "C06":
			if x.endpoint == finding.Both {
				continue
			}
			d.silent, ok = reassembly.Side(x.endpoint).Peer(), true
		case "D08", "D10", "C19":
			// Who answered by RST; a device may have done so in its name.
			switch {
			case c.Ends[reassembly.Server].Gone != 0:
				d.silent, ok = reassembly.Server, true
			case c.Ends[reassembly.Client].Gone != 0:
				d.silent, ok = reassembly.Client, true
			case c.Close.By == "rst":
				d.silent, d.back, ok = c.Close.Closer, c.Close.At, true
			default:
				continue
			}
		default:
			continue
		}
		d.frame = x.frame
		break
	}
	if !ok {
		return d, false
	}
	end := len(c.Events)
	if gone := c.Ends[d.silent].Gone; gone != 0 {
		for i := range c.Events {
			if c.Events[i].Frame == gone {
				d.back, end = c.Events[i].At, i
				break
			}
		}
	}
	at := lastOf(c, d.silent, end)
	if at < 0 {
		// Where the opening was captured and nothing of that side, the capture holds one
		// direction only. And FINs to clients that have left are everyday, above all to those
		// on a radio.
		d.asked = c.Start
		return d, d.back == 0 && c.Handshake.Outcome == reassembly.HandshakeUnseen && has(signs, "C06") == nil
	}
	d.heard = c.Events[at].LastAt
	d.idle = c.Idle.Pending(d.silent.Peer())
	if d.idle > 0 {
		d.asked = c.Idle.At
		return d, true
	}
	acked := &c.Ends[d.silent.Peer()]
	for i := range c.Events[:end] {
		e := &c.Events[i]
		// The log joins a side's segments to runs, of which those at the front were answered.
		if e.From == d.silent || e.LastAt <= d.heard || acked.HasAcked && !e.End.After(acked.Acked) && e.Marks&reassembly.MarkKeepalive == 0 {
			continue
		}
		if d.asked = e.At; e.At <= d.heard {
			d.asked = e.LastAt
		}
		break
	}
	return d, d.asked != 0
}

// deafProbes is how many segments that ask for an answer a side must have left without
// one at the end: three, seconds apart, are lost by chance one time in ten thousand even
// where one of twenty is.
const deafProbes = 3

// deaf reports whether a side was sent segment after segment at the end and answered none
// of them.
func deaf(c *reassembly.Conn, side reassembly.Side) bool {
	at := lastOf(c, side, len(c.Events))
	if at < 0 {
		return false
	}
	heard, n := c.Events[at].LastAt, uint32(0)
	for i := range c.Events {
		e := &c.Events[i]
		if e.From == side || e.Kind == reassembly.KindRST || e.Len == 0 && e.Marks&reassembly.MarkKeepalive == 0 {
			continue
		}
		if e.At > heard {
			n += e.Count
		} else if e.LastAt > heard {
			n++ // the end of a run
		}
	}
	return n >= deafProbes
}
