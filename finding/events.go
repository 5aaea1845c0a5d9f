package finding

import (
	"fmt"
	"slices"
	"time"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// Rules read a connection's log through these helpers. An index of -1 is no event.

// genuine reports whether an event counts as the connection's own: the numbers of
// another incarnation, or impossible ones, say nothing about its endpoints.
func genuine(e *reassembly.Event) bool {
	return e.Marks&(reassembly.MarkOther|reassembly.MarkOutside) == 0
}

// consumes reports whether an event uses sequence numbers: data, SYN or FIN.
func consumes(e *reassembly.Event) bool { return e.End != e.Seq }

// acknowledges reports whether an event carries an acknowledgment of everything
// below seq. A RST's is not counted: its sender had no use for the numbers.
func acknowledges(e *reassembly.Event, seq wire.Seq) bool {
	return e.Flags&wire.ACK != 0 && e.Kind != reassembly.KindRST && !e.Ack.Before(seq)
}

// next returns the first event at or after i for which ok holds.
func next(c *reassembly.Conn, i int, ok func(e *reassembly.Event) bool) int {
	for ; i < len(c.Events); i++ {
		if ok(&c.Events[i]) {
			return i
		}
	}
	return -1
}

// last returns the last event before i for which ok holds.
func last(c *reassembly.Conn, i int, ok func(e *reassembly.Event) bool) int {
	for i--; i >= 0; i-- {
		if ok(&c.Events[i]) {
			return i
		}
	}
	return -1
}

// firstFIN returns a side's first FIN.
func firstFIN(c *reassembly.Conn, side reassembly.Side) int {
	return next(c, 0, func(e *reassembly.Event) bool {
		return e.From == side && e.Kind == reassembly.KindFIN && genuine(e)
	})
}

// finBefore returns a side's first FIN if it stands before event i.
func finBefore(c *reassembly.Conn, side reassembly.Side, i int) int {
	if fin := firstFIN(c, side); fin < i {
		return fin
	}
	return -1
}

// ackOf returns a side's first segment after event i that acknowledges everything
// below seq.
func ackOf(c *reassembly.Conn, side reassembly.Side, i int, seq wire.Seq) int {
	return next(c, i+1, func(e *reassembly.Event) bool {
		return e.From == side && genuine(e) && acknowledges(e, seq)
	})
}

// ackedBefore returns the highest number that a side had acknowledged before
// event i, as far as the capture shows.
func ackedBefore(c *reassembly.Conn, side reassembly.Side, i int) (seq wire.Seq, ok bool) {
	for j := range c.Events[:i] {
		e := &c.Events[j]
		if e.From == side && genuine(e) && e.Flags&wire.ACK != 0 && e.Kind != reassembly.KindRST && (!ok || e.Ack.After(seq)) {
			seq, ok = e.Ack, true
		}
	}
	return seq, ok
}

// sentBefore returns the number after the highest that a side had sent before
// event i, as far as the capture shows.
func sentBefore(c *reassembly.Conn, side reassembly.Side, i int) (seq wire.Seq, ok bool) {
	for j := range c.Events[:i] {
		e := &c.Events[j]
		if e.From == side && genuine(e) && e.Kind != reassembly.KindRST && (!ok || e.End.After(seq)) {
			seq, ok = e.End, true
		}
	}
	return seq, ok
}

// knewAcked reports whether a side had shown before event i that it knew its
// numbers below seq to be acknowledged: it had acknowledged a segment of the peer
// that said so. From then on it has nothing to retransmit there.
func knewAcked(c *reassembly.Conn, side reassembly.Side, i int, seq wire.Seq) bool {
	told := next(c, 0, func(e *reassembly.Event) bool {
		return e.From != side && genuine(e) && consumes(e) && acknowledges(e, seq)
	})
	if told < 0 || told >= i {
		return false
	}
	shown := ackOf(c, side, told, c.Events[told].End)
	return shown >= 0 && shown < i
}

// copyGap is the time after which a sender's clock for TSval has moved for sure:
// the slowest in use ticks every 100 ms (RFC 7323 section 5.4 allows 1 s, which no
// known stack takes).
const copyGap = 150 * time.Millisecond

// copied reports whether event b is the very segment a once more, and not a
// retransmission: a host numbers and stamps what it sends again anew.
func copied(a, b *reassembly.Event) bool {
	if a.IPID != 0 && b.IPID != 0 {
		return a.IPID == b.IPID
	}
	return a.Marks.Has(reassembly.MarkTimestamp) && b.Marks.Has(reassembly.MarkTimestamp) &&
		a.TSVal == b.TSVal && b.At.Sub(a.LastAt) > copyGap
}

// stateBefore returns the state that an endpoint was in when event i passed.
func stateBefore(c *reassembly.Conn, side reassembly.Side, i int) reassembly.State {
	e := &c.Events[i]
	s := reassembly.Closed
	for _, t := range c.Ends[side].Timeline {
		if t.At > e.At || t.Frame == e.Frame {
			break
		}
		s = t.State
	}
	return s
}

// afterNext reports whether event i came when the tuple had opened anew.
func afterNext(c *reassembly.Conn, i int) bool {
	return c.Next != (reassembly.Incarnation{}) && c.Events[i].LastAt > c.Next.Key.Start
}

// frames returns the frames of events, in capture order, without repetition.
func frames(c *reassembly.Conn, indices ...int) []wire.FrameID {
	indices = slices.Clone(indices)
	slices.Sort(indices)
	var ids []wire.FrameID
	for n, i := range indices {
		if i < 0 || n > 0 && indices[n-1] == i {
			continue
		}
		if ids = append(ids, c.Events[i].Frame); c.Events[i].LastFrame != c.Events[i].Frame {
			ids = append(ids, c.Events[i].LastFrame)
		}
	}
	return ids
}

// since says when something happened, counted from the connection's first frame.
func since(c *reassembly.Conn, at wire.Time) string { return span(at.Sub(c.Start)) }

// span says how long something took, with as many digits as matter.
func span(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d >= time.Second:
		return fmt.Sprintf("%.3f s", d.Seconds())
	case d >= time.Millisecond || d <= 0:
		return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
	}
	return fmt.Sprintf("%d µs", d.Microseconds())
}

// times says how often.
func times(n int) string {
	switch n {
	case 1:
		return "once"
	case 2:
		return "twice"
	}
	return fmt.Sprintf("%d times", n)
}

// plural gives a number its noun.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// gaps says why the capture itself may lack what a rule did not see on this
// connection; empty when nothing speaks for that.
func gaps(c *reassembly.Conn) string {
	for s := range c.Ends {
		if n := c.Ends[s].MissingBytes; n > 0 {
			return fmt.Sprintf("the capture lacks %s of the %s that the %s acknowledged", plural(int(min(n, 1<<30)), "octet"), reassembly.Side(s), reassembly.Side(s).Peer())
		}
	}
	switch {
	case c.Seen&reassembly.SeenAckUnseen != 0:
		return "the capture lacks segments of this connection that were acknowledged"
	case c.Ends[0].Packets == 0 || c.Ends[1].Packets == 0:
		return "the capture holds one direction only"
	case c.Dropped > 0:
		return "the connection's log is full, segments were left out"
	}
	return ""
}

// inside reports whether the capture began inside the connection, so that what
// came before is unknown.
func inside(c *reassembly.Conn) bool {
	return c.RoleBy == reassembly.RoleByPort || c.RoleBy == reassembly.RoleByGuess
}
