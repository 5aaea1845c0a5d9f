package reassembly

import (
	"github.com/tcplife/tcplife/wire"
)

// judge sums the connection up: how it opened, how it ended, whether that was
// what its users wanted.
func judge(c *Conn) {
	judgeHandshake(c)
	judgeEnd(c)
}

// judgeEnd is judge for a connection whose opening is known.
func judgeEnd(c *Conn) {
	sampled := c.Sampled()
	if h := &c.Handshake; sampled && (h.Outcome == HandshakeUnanswered || h.Outcome == HandshakeAbandoned) {
		h.Outcome = HandshakePending
	}
	judgeClose(c)
	if sampled {
		switch c.Close.Reason {
		case CloseKeepaliveDead, CloseRetransmitDead, CloseZeroWindowDead, CloseHalfClosed, CloseOrderlyUnconfirmed:
			c.Close.Reason = CloseUnknown // the answers may have been left out
		}
	}
	switch {
	case c.Handshake.Outcome == HandshakeRefused, c.Handshake.Outcome == HandshakeUnanswered, c.Handshake.Outcome == HandshakeReset,
		c.Handshake.Outcome == HandshakeAbandoned, c.Handshake.Outcome == HandshakeICMP:
		c.Outcome = OutcomeFailure
	case c.Handshake.Outcome == HandshakePending:
		c.Outcome = OutcomeUnknown
	default:
		switch c.Close.Reason {
		case CloseOrderly:
			c.Outcome = OutcomeSuccess
		case CloseOrderlyUnconfirmed:
			// A FIN may have stayed without its ACK, but not data.
			if c.Outcome = OutcomeSuccess; c.Ends[Client].Unacked() > 1 || c.Ends[Server].Unacked() > 1 {
				c.Outcome = OutcomeUnknown
			}
		case CloseUnknown, CloseOpenAtEnd, CloseHalfClosed, CloseReplaced:
			c.Outcome = OutcomeUnknown
		case CloseLateDataReset, CloseAbort, CloseNoSocketReset:
			// Nobody lost anything by a RST behind a FIN when all data had arrived, or all but
			// a farewell.
			c.Outcome = OutcomeFailure
			if c.tookLeave() {
				c.Outcome = OutcomeSuccess
			}
		default:
			c.Outcome = OutcomeFailure
		}
	}
}

// Sampled reports whether segments of the connection were picked by a switch, one in
// many (sFlow): then that something was not seen does not say that it was not there.
func (c *Conn) Sampled() bool {
	for i := range c.Events {
		if c.Events[i].Traits&wire.TraitSampled != 0 {
			return true
		}
	}
	return false
}

// judgeClose finds who ended the connection, how and why.
func judgeClose(c *Conn) {
	cl := &c.Close
	first := -1
	for i := range c.Events {
		if e := &c.Events[i]; genuine(e) && (e.Kind == KindFIN || e.Kind == KindRST && ended(c, e)) {
			first = i
			break
		}
	}
	if first >= 0 {
		e := &c.Events[first]
		cl.Closer, cl.HasCloser, cl.At = e.From, true, e.At
		cl.By = "fin"
		if e.Kind == KindRST {
			cl.By = "rst"
		}
		if first > 0 {
			cl.IdleBefore = positive(e.At.Sub(c.Events[first-1].LastAt))
		}
		for i := first; i < len(c.Events); i++ {
			if l := &c.Events[i]; genuine(l) {
				cl.Duration = max(cl.Duration, l.LastAt.Sub(e.At))
			}
		}
	}
	cl.Reason = closeReason(c, first)
}

// ended reports whether somebody closed by the RST, or its sender had closed
// before: one that neither side followed ended nothing.
func ended(c *Conn, rst *Event) bool {
	for s := range c.Ends {
		for _, t := range c.Ends[s].Timeline {
			if t.State == Closed && (t.Frame == rst.Frame || Side(s) == rst.From && t.At <= rst.At) {
				return true
			}
		}
	}
	// A refused SYN, or a host that has no such connection, or never had.
	return len(c.Ends[rst.From].Timeline) == 0 || c.Ends[rst.From].Gone == rst.Frame
}

func closeReason(c *Conn, first int) CloseReason {
	switch c.Handshake.Outcome {
	case HandshakeRefused:
		return CloseRefused
	case HandshakeUnanswered:
		return CloseUnanswered
	case HandshakeICMP:
		return CloseICMP
	case HandshakeAbandoned:
		return CloseHandshakeAbandoned
	case HandshakePending:
		if first < 0 {
			return CloseOpenAtEnd
		}
	}
	fins := [2]bool{c.Ends[Client].HasFIN, c.Ends[Server].HasFIN}
	rst := -1
	for i := range c.Events {
		if e := &c.Events[i]; e.Kind == KindRST && genuine(e) && ended(c, e) {
			rst = i
			break
		}
	}
	acked := func(s Side) bool {
		e := &c.Ends[s]
		return e.HasFIN && e.HasAcked && !e.Acked.Before(e.FIN)
	}
	if fins[0] && fins[1] {
		if acked(Client) && acked(Server) {
			return CloseOrderly
		}
		if rst < 0 {
			return CloseOrderlyUnconfirmed
		}
	}
	if rst < 0 {
		if dead := deathOf(c); dead != CloseUnknown {
			return dead
		}
		switch {
		case c.Ended == EndedReused && c.Replaced:
			return CloseReplaced
		case (fins[0] || fins[1]) && past(c, Client) && past(c, Server):
			return CloseOrderlyUnconfirmed // the other FIN shows only in what followed it
		case fins[0] || fins[1]:
			return CloseHalfClosed
		case first < 0 && c.Ended.Early():
			return CloseOpenAtEnd
		}
		return CloseUnknown
	}
	c.Close.Reset, c.Close.ResetBy = rst+1, c.Events[rst].From
	return resetReason(c, rst)
}

// deathOf says what ended a connection that a timer ended, after its opening and
// before both sides had closed; CloseUnknown if none did.
func deathOf(c *Conn) CloseReason {
	for s := range c.Ends {
		t := c.Ends[s].Timeline
		if n := len(t); n < 2 || !gaveUp(c, Side(s)) || t[n-2].State != Established && t[n-2].State != CloseWait && t[n-2].State != FinWait1 {
			continue
		}
		if v := c.sentInVain(Side(s), len(c.Events)); v.kind != vainNothing {
			return v.kind.death()
		}
		return CloseRetransmitDead // a FIN to a peer that is not silent
	}
	return CloseUnknown
}

// givenUp says what a side had tried in vain before it sent the RST with index i;
// CloseUnknown if nothing.
func (c *Conn) givenUp(s Side, i int) CloseReason {
	if c.Seen&(SeenKeepalive|SeenRepeatData|SeenRepeatFIN) == 0 {
		return CloseUnknown // who tries in vain probes, or repeats what it sent
	}
	v := c.sentInVain(s, i)
	switch {
	case v.kind == vainProbe && v.count >= 2, v.kind == vainData && v.count >= DeathCopies:
		return v.kind.death()
	case c.stalled(s, i):
		return CloseZeroWindowDead
	}
	return CloseUnknown
}

// stalled reports whether a side had been probing the peer's closed window when it sent
// event i.
func (c *Conn) stalled(s Side, i int) bool {
	heard, _ := c.lastHeard(s.Peer(), i)
	if heard == nil || !heard.Marks.Has(MarkZeroWindow) {
		return false
	}
	for j := i - 1; j >= 0; j-- {
		switch e := &c.Events[j]; {
		case !genuine(e):
		case e.From == s && e.Marks.Has(MarkKeepalive):
			return true
		case e.From != s && !e.Marks.Has(MarkZeroWindow):
			return false
		}
	}
	return false
}

// death is the reason of a close after such attempts.
func (k vainKind) death() CloseReason {
	switch k {
	case vainProbe:
		return CloseKeepaliveDead
	case vainWindow:
		return CloseZeroWindowDead
	}
	return CloseRetransmitDead
}

// past reports whether a side has both sent and received a FIN, by its timeline.
func past(c *Conn, s Side) bool {
	t := c.Ends[s].Timeline
	if len(t) == 0 {
		return false
	}
	switch t[len(t)-1].State {
	case Closing, LastAck, TimeWait:
		return true
	case Closed:
		return len(t) > 1 && (t[len(t)-2].State == LastAck || t[len(t)-2].State == TimeWait)
	}
	return false
}
