package reassembly

// MayCross reports whether a segment, the event again, may have been under way when
// the peer's segment ack passed the tap: then it says nothing about whether ack
// arrived.
//
// What passes sooner than the side's best response time was sent without knowledge
// of ack. That time is the best of a few samples, though, and paths vary. Within a
// quarter of it the retransmission timer decides: it is longer than the round trip
// (RFC 6298 section 2.3), so an acknowledgment that came as promptly as the peer
// ever answers would have been there before the timer fired. Only one that was late
// can cross the repetition, or one whose segment is repeated for another reason,
// sooner than any timer.
func (c *Conn) MayCross(ack, again int) bool {
	a, e := &c.Events[ack], &c.Events[again]
	best := c.Ends[e.From].Response
	gap := e.At.Sub(a.LastAt)
	if e.Kind == KindSYN || e.Kind == KindSYNACK {
		return gap < best // their timer runs before any round trip was measured
	}
	return gap < best && (gap < best*3/4 || !c.prompt(ack, again))
}

// prompt reports whether ack followed what the event again repeats within a quarter
// more than its sender's best response time, and the repetition came late enough for
// a timer.
func (c *Conn) prompt(ack, again int) bool {
	a, e := &c.Events[ack], &c.Events[again]
	for i := ack - 1; i >= 0; i-- {
		if x := &c.Events[i]; x.From == e.From && x.End == e.End && x.End != x.Seq && genuine(x) {
			return e.At.Sub(x.At) >= minRTO && a.At.Sub(x.At) <= c.Ends[a.From].Response*5/4
		}
	}
	return false
}
