package finding

import (
	"fmt"
	"slices"
	"strconv"
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
func next(c *Case, i int, ok func(e *reassembly.Event) bool) int {
	for ; i < len(c.Events); i++ {
		if ok(&c.Events[i]) {
			return i
		}
	}
	return -1
}

// last returns the last event before i for which ok holds.
func last(c *Case, i int, ok func(e *reassembly.Event) bool) int {
	for i--; i >= 0; i-- {
		if ok(&c.Events[i]) {
			return i
		}
	}
	return -1
}

// firstFIN returns a side's first FIN.
func firstFIN(c *Case, side reassembly.Side) int { return c.closers()[side].fin }

// finBefore returns a side's first FIN if it stands before event i.
func finBefore(c *Case, side reassembly.Side, i int) int {
	if fin := firstFIN(c, side); fin < i {
		return fin
	}
	return -1
}

// ackOf returns a side's first segment after event i that acknowledges everything
// below seq.
func ackOf(c *Case, side reassembly.Side, i int, seq wire.Seq) int {
	return next(c, i+1, func(e *reassembly.Event) bool {
		return e.From == side && genuine(e) && acknowledges(e, seq)
	})
}

// ackedBefore returns the highest number that a side had acknowledged before
// event i, as far as the capture shows.
func ackedBefore(c *Case, side reassembly.Side, i int) (seq wire.Seq, ok bool) {
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
func sentBefore(c *Case, side reassembly.Side, i int) (seq wire.Seq, ok bool) {
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
func knewAcked(c *Case, side reassembly.Side, i int, seq wire.Seq) bool {
	told := next(c, 0, func(e *reassembly.Event) bool {
		return e.From != side && genuine(e) && consumes(e) && acknowledges(e, seq)
	})
	if told < 0 || told >= i {
		return false
	}
	shown := ackOf(c, side, told, c.Events[told].End)
	return shown >= 0 && shown < i
}

// stateBefore returns the state that an endpoint was in when event i passed.
func stateBefore(c *Case, side reassembly.Side, i int) reassembly.State {
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

// lastHeard returns the event with a side's last segment up to a time; -1 if there is
// none. Runs overlap, so it is not the one that stands last.
func lastHeard(c *Case, side reassembly.Side, until wire.Time) int {
	found := -1
	for i := range c.Events {
		if e := &c.Events[i]; e.From == side && genuine(e) && e.LastAt <= until && (found < 0 || e.LastAt >= c.Events[found].LastAt) {
			found = i
		}
	}
	return found
}

// proven reports whether a side's own segments show that it came into a state.
func proven(c *Case, side reassembly.Side, state reassembly.State) bool {
	for _, t := range c.Ends[side].Timeline {
		if t.State == state {
			return t.Evidence == reassembly.Sent || t.Evidence == reassembly.Acked
		}
	}
	return false
}

// had reports whether a side went through a state.
func had(c *Case, side reassembly.Side, state reassembly.State) bool {
	return slices.ContainsFunc(c.Ends[side].Timeline, func(t reassembly.Transition) bool { return t.State == state })
}

// gaveUp reports whether a side's timer ended the connection.
func gaveUp(c *Case, side reassembly.Side) bool {
	t := c.Ends[side].Timeline
	return len(t) > 0 && t[len(t)-1].State == reassembly.Closed && t[len(t)-1].Evidence == reassembly.Timer
}

// afterNext reports whether event i came when the tuple had opened anew.
func afterNext(c *Case, i int) bool {
	return c.Next.Frame != 0 && c.Events[i].LastAt > c.Next.Key.Start
}

// since says when something happened, counted from the connection's first frame.
func since(c *Case, at wire.Time) string { return span(at.Sub(c.Start)) }

// span says how long something took, with as many digits as matter.
func span(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		return fixed(d.Seconds(), 1, " s")
	case d >= time.Second:
		return fixed(d.Seconds(), 3, " s")
	case d >= time.Millisecond || d <= 0:
		return fixed(float64(d)/float64(time.Millisecond), 1, " ms")
	}
	return strconv.FormatInt(d.Microseconds(), 10) + " µs"
}

// fixed is a number with so many digits behind the point, and its unit. Nearly every
// message has one, and package fmt would take three times as long.
func fixed(x float64, digits int, unit string) string {
	var b [32]byte
	return string(append(strconv.AppendFloat(b[:0], x, 'f', digits, 64), unit...))
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
	return strconv.Itoa(n) + " " + noun + "s"
}

// gaps says why the capture itself may lack what a rule did not see on this
// connection; empty when nothing speaks for that.
func gaps(c *Case) string {
	for s := range c.Ends {
		if n := c.Ends[s].MissingBytes; n > 0 {
			if !c.Words() {
				return "octets"
			}
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
func inside(c *Case) bool {
	return c.RoleBy == reassembly.RoleByPort || c.RoleBy == reassembly.RoleByGuess
}

// endOr returns an index, or the end of the log for -1.
func endOr(c *Case, i int) int {
	if i < 0 {
		return len(c.Events)
	}
	return i
}

// firstOf returns a side's first event of a kind, at or after i.
func firstOf(c *Case, side reassembly.Side, kind reassembly.Kind, i int) int {
	return next(c, i, func(e *reassembly.Event) bool { return e.From == side && e.Kind == kind && genuine(e) })
}

// progress reports whether a side acknowledged, from event i on, anything beyond seq.
func progress(c *Case, side reassembly.Side, i int, seq wire.Seq) int {
	return next(c, i, func(e *reassembly.Event) bool {
		return e.From == side && genuine(e) && e.Kind != reassembly.KindRST && e.Flags&wire.ACK != 0 && e.Ack.After(seq)
	})
}

// quietBefore returns how long the connection had been silent before the segments
// that a side has not answered: whatever it sent came before the silence.
func quietBefore(c *Case, silent reassembly.Side, i int) time.Duration {
	q := &c.Quiet
	if q.For == 0 || c.Events[i].LastAt < q.At {
		return 0
	}
	heard := last(c, i, func(e *reassembly.Event) bool { return e.From == silent && e.LastAt >= q.At })
	if heard >= 0 {
		return 0
	}
	return q.For
}

// silence returns for how long before event i nothing passed in either direction.
func silence(c *Case, i int) time.Duration {
	if i == 0 {
		return 0
	}
	return c.Events[i].At.Sub(c.Events[i-1].LastAt)
}

// doubted lowers a finding's confidence to at most to, for a reason; without one it
// leaves it.
func doubted(f *Finding, to Confidence, why string) {
	if why != "" && f.Confidence > to {
		f.Confidence, f.Reason = to, why
	}
}

// segments counts the segments of events.
func segments(c *Case, indices []int) (n int) {
	for _, i := range indices {
		n += int(c.Events[i].Count)
	}
	return n
}

// first returns up to n of the indices.
func first(all []int, n int) []int { return all[:min(n, len(all))] }
