package reassembly

import "github.com/tcplife/tcplife/wire"

// Most connections that are not ordinary open in the ordinary way, go on in order, and end by a
// RST, behind one FIN or none. What inference gathers of a log, several times for each side, is
// known of these beforehand: what segments there are, that none came again and none is missing,
// and so who knew what. What remains to be found stands behind the FIN, or is the RST. Where
// segments crossed, so that their order has to be weighed, that is left to inference.
// ordinary_test.go holds the two side by side.

// broken adds to the timelines, which hold the opening, the states of a connection that a RST ended,
// its log's last event, and reports whether it could. The log has no other RST, and one FIN at most.
func (in *inference) broken(c *Conn, profiles [2]*Profile) bool {
	ev := c.Events
	last := len(ev) - 1
	rst := &ev[last]
	in.begin(c)
	closed := c.Seen&(SeenFINClient|SeenFINServer) != 0
	closer := Client
	if c.Seen&SeenFINServer != 0 {
		closer = Server
	}
	trigger := -1
	if rst.Flags&wire.ACK == 0 {
		// Without that flag it says that there is no socket. Of a side that has not closed it
		// says that it lost the connection, and then its state is the question.
		if !closed || closer != rst.From {
			return false
		}
		trigger = c.Trigger(last)
	}
	if closed && !in.halfClosed(closer, last, trigger) {
		return false
	}
	in.brokeOff(last, trigger, profiles[rst.From])
	you := &c.Ends[rst.From.Peer()]
	you.Timeline = append(you.Timeline, Transition{State: Closed, At: rst.At, Frame: rst.Frame, Evidence: Passed, by: rcvRST})
	return true
}

// begin has inference look at a connection of which nothing is found yet.
func (in *inference) begin(c *Conn) {
	in.c, in.roll, in.refilled, in.behind = c, roll{rst: -1}, -1, -1
	in.fins = [2]finInfo{{first: -1, shown: -1}, {first: -1, shown: -1}}
	in.unordered, in.vague, in.copies, in.hasClock = false, false, false, false
}

// halfClosed adds what a side's FIN led to before the RST, the last event, that answers event
// trigger if that is not -1. It reports whether it could; if not, it added nothing.
func (in *inference) halfClosed(closer Side, last, trigger int) bool {
	ev := in.c.Events
	me, you := &in.c.Ends[closer], &in.c.Ends[closer.Peer()]
	fin := last - 1
	for fin > 0 && ev[fin].Kind != KindFIN {
		fin--
	}
	// ack is the first segment of the peer that acknowledges the FIN, if it is no RST, and proof
	// the first that does, which shows that the FIN had arrived. told shows that an ACK had: the
	// closer acknowledges what came with it.
	ack, proof, told := -1, -1, -1
	var asked wire.Seq // what told acknowledges
	asking := false
	for i := fin + 1; i <= last; i++ {
		e := &ev[i]
		switch {
		case e.From == closer:
			if proof < 0 && i < last {
				return false // an acknowledgment may name it, and come before the FIN's
			}
			if asking && told < 0 && e.Flags&wire.ACK != 0 && !e.Ack.Before(asked) {
				told = i
			}
			continue
		case e.Ack.Before(me.FIN):
			if i == last || !in.c.MayCross(fin, i) {
				return false // else it was sent before the FIN arrived
			}
			continue
		}
		if proof < 0 {
			proof = i
		}
		if i == last {
			break
		}
		if ack < 0 {
			ack = i
		}
		if !asking && e.End != e.Seq {
			asking, asked = true, e.End
		}
	}
	rst := &ev[last]
	if rst.From == closer && ack >= 0 && told < 0 && rst.At.Sub(ev[ack].At) < me.Response*3/4 {
		return false // the RST was sent before its sender knew of that; see tooSoon
	}
	in.fins[closer] = finInfo{first: fin, shown: fin, end: me.FIN}
	me.Timeline = append(me.Timeline, Transition{State: FinWait1, At: ev[fin].At, Frame: ev[fin].Frame, Evidence: Sent, by: sndFIN})
	known := Transition{State: CloseWait, At: ev[fin].At, Frame: ev[fin].Frame, Evidence: Passed, by: rcvFIN}
	if proof >= 0 {
		known.Evidence, known.Proof = Acked, ev[proof].Frame
	}
	you.Timeline = append(you.Timeline, known)
	switch {
	case ack < 0:
	case told >= 0:
		me.Timeline = append(me.Timeline, Transition{State: FinWait2, At: ev[ack].At, Frame: ev[ack].Frame, Proof: ev[told].Frame, Evidence: Acked, by: rcvACKofFIN})
	case trigger < 0 || ack < trigger:
		// Otherwise it found no socket: see neverArrived.
		me.Timeline = append(me.Timeline, Transition{State: FinWait2, At: ev[ack].At, Frame: ev[ack].Frame, Evidence: Passed, by: rcvACKofFIN})
	}
	return true
}

// brokeOff adds what the sender of the RST, the last event, came to by it. See resets and apply.
func (in *inference) brokeOff(last, trigger int, p *Profile) {
	ev := in.c.Events
	rst := &ev[last]
	in.me = rst.From
	e := in.end()
	h := Transition{State: Closed, At: rst.At, Frame: rst.Frame, Evidence: Sent, by: sndRST}
	if in.c.OtherHops(rst) {
		h.Evidence = Passed
	}
	before := &e.Timeline[len(e.Timeline)-1]
	answered := -1
	switch {
	case rst.Flags&wire.ACK != 0:
		answered = in.provoked(last)
	case trigger >= 0 && !in.wentOn(trigger, last):
		answered = trigger
		if h.Evidence == Sent && in.timers(p, before.State, before.At, ev[answered].At, answered, rst.Frame) {
			return // it was gone when what the RST answers came
		}
	}
	if answered >= 0 {
		if v := &ev[answered]; v.LastAt >= before.At && v.LastFrame > before.Frame {
			h.At, h.Frame, h.Proof = v.LastAt, v.LastFrame, rst.Frame
			if h.Evidence == Sent {
				h.Evidence = Acked
			}
		}
	}
	h.At = max(h.At, before.At)
	e.Timeline = append(e.Timeline, h)
}

// closedAgain adds to the timelines, which hold the opening, the states of an orderly close behind
// which the second FIN came again, and the ACKs of it: which of these arrived shows in the FINs that
// followed. It reports whether it could.
func (in *inference) closedAgain(c *Conn, course *course, profiles [2]*Profile) bool {
	ev := c.Events
	closer := course.closer
	second := len(ev) - 1
	for second > 0 && ev[second].Frame != course.close[2].frame {
		second--
	}
	in.begin(c)
	in.me = closer.Peer()
	in.cands, in.lacks = in.cands[:0], in.lacks[:0]
	for i := second + 1; i < len(ev); i++ {
		switch e := &ev[i]; {
		case e.From == closer && e.Kind == KindFIN:
			return false // what both repeat says more: see chooseCopy
		case e.From == closer:
			in.cands = append(in.cands, i)
		case e.Kind == KindFIN:
			in.lacks = append(in.lacks, i)
		}
	}
	first, ack, answer, last := course.close[0], course.close[1], course.close[2], course.close[3]
	me, you := &c.Ends[closer], &c.Ends[closer.Peer()]
	in.fins[in.me] = finInfo{first: second, shown: second, end: you.FIN}
	you.Timeline = append(you.Timeline,
		Transition{State: CloseWait, At: first.at, Frame: first.frame, Proof: ack.frame, Evidence: Acked, by: rcvFIN},
		Transition{State: LastAck, At: answer.at, Frame: answer.frame, Evidence: Sent, by: sndFIN})
	in.list = in.list[:0]
	if in.received(rcvACKofFIN, -1) >= 0 {
		h := &in.list[0]
		you.Timeline = append(you.Timeline, Transition{State: Closed, At: h.at, Frame: h.frame, Evidence: Passed, Rewritten: h.rewritten, by: rcvACKofFIN})
	} else {
		in.timers(profiles[in.me], LastAck, answer.at, c.Until, len(ev), 0)
	}
	in.me = closer
	me.Timeline = append(me.Timeline,
		Transition{State: FinWait1, At: first.at, Frame: first.frame, Evidence: Sent, by: sndFIN},
		Transition{State: FinWait2, At: ack.at, Frame: ack.frame, Proof: last.frame, Evidence: Acked, by: rcvACKofFIN},
		Transition{State: TimeWait, At: answer.at, Frame: answer.frame, Proof: last.frame, Evidence: Acked, by: rcvFIN})
	in.timers(profiles[closer], TimeWait, answer.at, c.Until, len(ev), 0)
	return true
}
