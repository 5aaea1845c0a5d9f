package reassembly

import (
	"time"

	"github.com/tcplife/tcplife/wire"
)

// finInfo says what is known of a side's FIN.
type finInfo struct {
	// first is the first captured copy's event; -1: none.
	first int
	// shown is the event that first shows that the FIN had been sent: a copy, or an
	// own segment with the number behind it, or, if hidden, the peer's
	// acknowledgment. -1: there was no FIN as far as can be told.
	shown int
	end   wire.Seq
	// hidden: no copy was captured, but the peer acknowledged one number more than
	// data explains, and nothing followed it.
	hidden bool
	// before: the side must be taken to have sent it before the capture began.
	before bool
	// forged: the side goes on as if it had not sent it. Its peer may follow it all
	// the same.
	forged bool
}

// findFIN looks for a side's FIN.
func (in *inference) findFIN(s Side) finInfo {
	e := &in.c.Ends[s]
	f := finInfo{first: in.firstOf(s, KindFIN), shown: -1, end: e.FIN}
	if f.first < 0 {
		if in.c.Seen&SeenAckUnseen != 0 {
			f.hiddenFIN(in, s)
		}
		if !f.hidden {
			f.stepOver(in, s)
		}
		return f
	}
	f.shown = f.first
	f.forged = in.forgedFIN(s, f.first)
	for i := max(in.firstOf(s, KindACK), 0); i < f.first; i++ {
		if v := &in.c.Events[i]; v.From == s && v.Kind == KindACK && v.Seq == e.FIN && genuine(v) {
			f.shown = i
			break
		}
	}
	return f
}

// forgedFIN reports whether the FIN with index i was somebody else's: what a side
// sends after its FIN has the number behind it, but here it answers, with the old
// number, even an acknowledgment of the FIN. A keepalive probe has the old number
// too; it comes after silence, not as an answer.
func (in *inference) forgedFIN(s Side, i int) bool {
	ev := in.c.Events
	e := &in.c.Ends[s]
	for j := i + 1; j < len(ev); j++ {
		v := &ev[j]
		if v.From != s || v.Kind != KindACK || !genuine(v) || !v.Seq.Before(e.FIN) || v.At.Sub(ev[i].At) <= Overtaking {
			continue
		}
		for k := j - 1; k > i; k-- {
			if ev[k].From != s && genuine(&ev[k]) {
				if v.At.Sub(ev[k].LastAt) <= e.Response+Overtaking {
					return true
				}
				break
			}
		}
	}
	return false
}

// hiddenFIN looks for the trace that a FIN leaves in the peer's acknowledgments
// when the capture missed it: a last step of exactly one number. A single octet of
// data would leave the same, so what follows from it is only assumed.
func (f *finInfo) hiddenFIN(in *inference, s Side) {
	var top wire.Seq // the highest number of the side that is accounted for
	known := false
	for i := range in.c.Events {
		v := &in.c.Events[i]
		if !genuine(v) || v.Kind == KindRST {
			continue
		}
		n := v.End
		if v.From != s {
			if v.Flags&wire.ACK == 0 {
				continue
			}
			n = v.Ack
		}
		if known && !n.After(top) {
			continue
		}
		f.shown, f.hidden = -1, false // it sent more, so an earlier step was data
		if known && v.From != s && n == top+1 && v.Count == 1 && v.Kind != KindSYNACK && v.Marks.Has(MarkAckUnseen) {
			f.shown, f.end, f.hidden = i, n, true
		}
		top, known = n, true
	}
}

// stepOver looks for the other trace of a FIN that the capture missed: a bare ACK of
// the side whose number is one beyond all that it is known to have sent, after
// which it sent nothing beyond. As above, one octet of data leaves the same.
func (f *finInfo) stepOver(in *inference, s Side) {
	e := &in.c.Ends[s]
	if !e.HasHole && len(e.Missing) == 0 || e.HasFIN {
		return
	}
	i := in.first(s, 0, func(v *Event) bool {
		return v.Kind == KindACK && v.Marks&MarkGap != 0 && v.Seq == e.Next && v.Count == 1
	})
	if i < 0 {
		return
	}
	var top wire.Seq
	known := false
	for j := range in.c.Events[:i] {
		if v := &in.c.Events[j]; v.From == s && genuine(v) && (!known || v.End.After(top)) {
			top, known = v.End, true
		}
	}
	if known && e.Next == top+1 {
		f.shown, f.end, f.hidden = i, e.Next, true
	}
}

// closing finds the endpoint's FIN, the arrival of its ACK and that of the peer's.
func (in *inference) closing() {
	me, you := in.me, in.me.Peer()
	ev := in.c.Events
	gotFIN := in.receivedFIN()
	fin := in.fins[me]
	if fin.shown < 0 || fin.forged {
		return
	}
	h := happening{pos: posSent(fin.shown), cause: fin.shown, by: sndFIN, at: ev[fin.shown].At, frame: ev[fin.shown].Frame, evidence: Sent}
	switch {
	case fin.hidden && ev[fin.shown].From == you:
		h.pos, h.evidence = posBefore(fin.shown), Assumed
		if gotFIN >= 0 && gotFIN < fin.shown && in.ackedBehind(me) >= 0 {
			h.pos = posBefore(gotFIN)
		}
	case fin.hidden || fin.shown < fin.first:
		// An own segment with the number behind the FIN passed before any copy of
		// it.
		h.pos = posSent(fin.shown) - 1
		if fin.hidden {
			h.evidence = Assumed
		}
		if gotFIN >= 0 && gotFIN < fin.shown && !in.acknowledged(in.fins[you].end, fin.shown) {
			// It is also the first that acknowledges the peer's FIN. If it answers
			// that, the own FIN came before; if it answers something later, who knows.
			theirs := max(in.fins[you].first, 0)
			if fin.first >= 0 && ev[fin.first].At.Sub(ev[fin.shown].At) < Overtaking {
				// Hardly a repetition: the FIN itself was overtaken on its way to the tap, and
				// says what its sender knew.
				in.unordered = true
				if ev[fin.first].Ack.Before(in.fins[you].end) {
					h.pos = posBefore(gotFIN)
				}
			} else if next := in.first(you, theirs+1, func(*Event) bool { return true }); next < 0 || next > fin.shown {
				h.pos = posBefore(gotFIN)
			} else {
				in.unordered = true
			}
		}
	case in.c.OtherHops(&ev[fin.shown]):
		h.evidence = Passed
	case gotFIN >= 0 && in.late(fin.shown):
		in.unordered = true
	}
	in.list = append(in.list, h)
	covers := func(e *Event) bool {
		return e.Kind != KindRST && e.Kind != KindSYN && e.Flags&wire.ACK != 0 && !e.Ack.Before(fin.end)
	}
	in.cands = in.gather(in.cands[:0], you, fin.shown, covers)
	if in.lacks = in.lacks[:0]; in.c.Seen&(SeenRepeatData|SeenRepeatFIN) != 0 {
		in.lacks = in.gather(in.lacks, me, fin.shown+1, func(e *Event) bool {
			return e.Marks&MarkRepeat != 0 && e.Marks&MarkKeepalive == 0 && plain(e) && in.current(e)
		})
	}
	// An own acknowledgment of a segment that carried it proves that it arrived.
	proof := -1
	for _, c := range in.cands {
		if ev[c].End == ev[c].Seq || in.acknowledged(ev[c].End, c) {
			continue // it carries nothing, or nothing that was not acknowledged before
		}
		p := in.first(me, c+1, func(e *Event) bool { return e.Flags&wire.ACK != 0 && !e.Ack.Before(ev[c].End) })
		if p >= 0 && (proof < 0 || p < proof) {
			proof = p
		}
	}
	n := len(in.list)
	ack := in.received(rcvACKofFIN, proof)
	if ack >= 0 && gotFIN >= 0 {
		for i := range in.list[:n] {
			if g, h := &in.list[i], &in.list[n]; g.by == rcvFIN && h.cause > g.cause {
				h.pos = max(h.pos, g.pos) // sent after the FIN, it arrived after it
			}
		}
	}
	if ack >= 0 && in.vague && in.fins[you].first < ack && in.list[n].evidence == Acked {
		// An earlier copy of the peer's FIN may have come before the ACK: then it was
		// CLOSING, not FIN_WAIT_2.
		in.list[n].evidence = Passed
	}
	if ack < 0 || gotFIN < 0 || ev[gotFIN].From != you || !covers(&ev[gotFIN]) {
		return
	}
	// The peer's FIN brought the ACK too, if nothing did before; and if only its
	// copies did, it was the copy that arrived.
	for i := range in.list[:n] {
		g := &in.list[i]
		if g.by != rcvFIN {
			continue
		}
		h := &in.list[n]
		if g.pos < h.pos || ev[ack].Kind == KindFIN {
			h.pos, h.cause = g.pos, g.cause
		}
		if ev[ack].Kind == KindFIN {
			h.at, h.frame, h.proof, h.evidence, h.rewritten = g.at, g.frame, g.proof, g.evidence, g.rewritten
			if in.copies && h.evidence == Acked {
				h.evidence = Passed
			}
		}
	}
}

// late reports whether the endpoint's first captured FIN may be a repetition: it is the
// first to acknowledge the peer's, which had come again for want of that, and the timer
// of a first copy, which died before the tap with an ACK of its own, may have fired since.
func (in *inference) late(i int) bool {
	ev := in.c.Events
	theirs := in.fins[in.me.Peer()]
	if theirs.first < 0 || in.acknowledged(theirs.end, i) || ev[i].At.Sub(ev[theirs.first].At) < ShortestRTO {
		return false
	}
	again := in.first(in.me.Peer(), theirs.first+1, func(e *Event) bool { return e.Kind == KindFIN && e.Marks.Has(MarkRepeat) })
	// With data below it missing, nobody could have acknowledged the first.
	return again >= 0 && again < i && in.acknowledged(theirs.end-1, again)
}

// ackedBehind returns the event with which a side first acknowledges the other's FIN, if
// that is a bare ACK with the number behind its own FIN, and answers no repetition: it
// sent its FIN, which it would otherwise have done this with, before it knew. -1: not so.
func (in *inference) ackedBehind(s Side) int {
	ev := in.c.Events
	own, theirs := in.fins[s], in.fins[s.Peer()]
	i := in.acks(s, 0, len(ev), theirs.end)
	if i < 0 || ev[i].Kind != KindACK || ev[i].Seq != own.end {
		return -1
	}
	copies := 0
	for j := range ev[:i] {
		if e := &ev[j]; e.From != s && genuine(e) && e.End != e.Seq && !e.End.Before(theirs.end) {
			copies++
		}
	}
	if copies > 1 {
		return -1
	}
	return i
}

// acknowledged reports whether the endpoint acknowledged everything below seq before
// event i.
func (in *inference) acknowledged(seq wire.Seq, i int) bool {
	return in.acks(in.me, 0, i, seq) >= 0
}

// current reports whether an own event belongs to this life of the tuple: its
// sender had not opened the next one.
func (in *inference) current(e *Event) bool {
	next := &in.c.Next
	return next.Frame == 0 || e.From != next.Opener || e.At < next.Key.Start
}

// receivedFIN finds the arrival of the peer's FIN with all that came before it,
// and returns its cause. Its carriers are the FIN's copies and what filled a hole
// below it.
func (in *inference) receivedFIN() int {
	me, you := in.me, in.me.Peer()
	fin := in.fins[you]
	if fin.shown < 0 {
		return -1
	}
	ev := in.c.Events
	proof := in.acks(me, 0, len(ev), fin.end)
	in.cands = in.cands[:0]
	if fin.first >= 0 {
		in.cands = in.gather(in.cands, you, fin.first, func(e *Event) bool { return e.End != e.Seq && e.Kind != KindRST })
		if ev[fin.first].Marks&MarkGap != 0 {
			// It overtook data; what filled the hole completed it.
			for i, c := range in.cands {
				if i > 0 && ev[c].Marks&MarkRepeat == 0 {
					in.cands = in.cands[i:]
					break
				}
			}
		}
	}
	in.lacks = in.gather(in.lacks[:0], me, max(fin.first, 0), func(e *Event) bool {
		return e.Flags&wire.ACK != 0 && e.Ack.Before(fin.end)
	})
	if proof < 0 && in.holeBelow(fin.end) {
		return -1
	}
	original := -1
	if len(in.cands) > 0 {
		original = in.cands[0]
	}
	in.behind = -1
	if in.c.Seen&SeenRepeatData != 0 {
		in.refilled = in.first(you, max(fin.first, 0)+1, func(e *Event) bool { return e.Kind == KindData && e.Marks&MarkRepeat != 0 && e.End.Before(fin.end) })
	}
	in.vague = in.chooseCopy(proof)
	n := len(in.list)
	cause := in.received(rcvFIN, proof)
	in.refilled = -1
	if cause >= 0 && original >= 0 && ev[cause].From == you {
		in.list[n].rewritten = cause != original && !in.vague
	}
	switch {
	case cause < 0:
	case in.vague && in.list[n].evidence == Acked:
		in.list[n].evidence = Passed
	case fin.hidden:
		in.list[n].evidence = Assumed
		if own := in.fins[me]; own.shown >= 0 && own.shown < cause && !own.hidden && ev[cause].At.Sub(ev[own.shown].At) > in.end().Response && in.ackedBehind(you) < 0 {
			// What the capture missed came after the own FIN, with time enough to
			// acknowledge it.
			in.list = append(in.list, happening{pos: in.list[n].pos, cause: in.list[n].cause, by: rcvACKofFIN, at: ev[cause].At, frame: ev[cause].Frame, evidence: Assumed})
		}
	case in.list[n].evidence == Acked && in.overtaken(cause, proof):
		in.contest(n, proof)
	}
	return cause
}

// chooseCopy cuts in.cands to the copies of the FIN that the proof of its arrival
// may answer, and reports whether the choice is no more than likely.
//
// A FIN is acknowledged at once, and a second copy, by a stack with SACK, with a
// D-SACK (RFC 2883). So a bare ACK that follows a repetition and has none answers
// that repetition: the earlier copies had died behind the tap. One with a D-SACK
// says that two had arrived. Anything else leaves open which copy it was.
func (in *inference) chooseCopy(proof int) (vague bool) {
	ev := in.c.Events
	if proof < 0 {
		return false
	}
	if in.behind = in.knownBehind(proof, in.fins[in.me.Peer()].end); in.behind >= 0 {
		// A copy that passed later than what was accepted behind the FIN brought nothing. Any other
		// may be what arrived, whether or not a timer sent it.
		n := len(in.cands)
		for n > 1 && in.cands[n-1] > in.behind {
			n--
		}
		in.cands = in.cands[:n]
		return false
	}
	n := 0
	for n < len(in.cands) && in.cands[n] < proof && ev[proof].At.Sub(ev[in.cands[n]].At) >= in.tooSoon() {
		n++
	}
	for n > 0 && !in.timedOut(in.cands[n-1], in.cands[0]) {
		n-- // only a FIN that was repeated for want of an ACK makes the choice
	}
	first := 0
	for first < n-1 && in.refutes(in.cands[first], proof) {
		first++
	}
	own := in.fins[in.me]
	switch {
	case n-first < 2:
		return false
	case in.echoed(proof, in.cands[:n]) == 0:
		// The echo of a later copy would leave open whether the first had arrived: some
		// stacks remember the time stamp of what only repeats the last number, too.
		in.cands = in.cands[:1]
		return false
	case own.shown >= 0 && own.shown < proof && !own.forged && !ev[in.cands[0]].Ack.Before(own.end):
		// It led to TIME_WAIT, which sends no D-SACK and lasts: the first copy will do.
		in.copies = true
		return false
	case ev[proof].Marks&MarkDSACK != 0:
		in.cands = in.cands[n-2:]
		return n-first > 2
	}
	in.cands = in.cands[n-1:]
	if ev[proof].Kind != KindACK {
		return true
	}
	if own.shown >= 0 && !own.forged {
		// Had the first copy arrived, an ACK of the own FIN would have led to TIME_WAIT
		// before the last: no D-SACK then either.
		a := in.first(in.me.Peer(), own.shown, func(e *Event) bool { return plain(e) && e.Flags&wire.ACK != 0 && !e.Ack.Before(own.end) })
		if a >= 0 && a < proof {
			return true
		}
	}
	for s := range in.c.Ends {
		if e := &in.c.Ends[s]; !e.HasSYN || !e.SYN.Set.Has(wire.OptSACKPerm) {
			return true
		}
	}
	return false
}

// minRTO is the smallest retransmission timeout in common use (Linux TCP_RTO_MIN);
// RFC 6298 section 2.4 asks for a second.
const minRTO = 200 * time.Millisecond

// timedOut reports whether event i repeats the FIN of event first because no ACK had
// come. Some stacks also send their FIN again, at once, to acknowledge the peer's.
func (in *inference) timedOut(i, first int) bool {
	e, f := &in.c.Events[i], &in.c.Events[first]
	return e.Kind == KindFIN && e.Marks&MarkRepeat != 0 && (e.Ack == f.Ack || e.At.Sub(f.At) >= minRTO)
}

// overtaken reports whether the ACK of the endpoint's own FIN passed between the
// peer's FIN and the proof that this had arrived, early enough to have arrived
// first: then the order of the two is not proven.
func (in *inference) overtaken(cause, proof int) bool {
	own := in.fins[in.me]
	if own.shown < 0 || proof < 0 {
		return false
	}
	i := in.first(in.me.Peer(), cause+1, func(e *Event) bool { return plain(e) && e.Flags&wire.ACK != 0 && !e.Ack.Before(own.end) })
	if i == in.behind {
		return false // it was accepted in sequence, so behind the FIN
	}
	return i >= 0 && i < proof && in.c.Events[proof].At.Sub(in.c.Events[i].At) > in.end().Response
}

// contest settles whether the peer's FIN, happening n, arrived before the ACK of the
// own FIN that overtakes it in the log before the proof. A FIN is acknowledged at
// once: if its acknowledgment left too late for an arrival before that ACK, by its
// sender's clock, the FIN was the one that had been held up.
func (in *inference) contest(n, proof int) {
	ev := in.c.Events
	h := &in.list[n]
	h.contested = true
	k := in.ownClock()
	if k.tick == 0 || ev[proof].Marks&MarkTimestamp == 0 || k.lag(&ev[proof]) > 2*k.tick+in.end().Response/2 {
		return
	}
	own := in.fins[in.me]
	if in.first(in.me.Peer(), h.cause+1, func(e *Event) bool { return e.Kind == KindFIN }) >= 0 {
		return // another copy may be the one that is acknowledged
	}
	for i := proof - 1; i > h.cause; i-- {
		e := &ev[i]
		if e.From == in.me || !genuine(e) || !plain(e) || e.Ack.Before(own.end) {
			continue
		}
		if ev[proof].At.Sub(e.At) > in.end().Response+busyHost {
			h.pos, h.cause, h.late = max(h.pos, posReceived(i)), i, true
		}
	}
}

// busyHost is what a host takes, beyond its best, for an answer that needs no program:
// its interrupts wait for each other.
const busyHost = 500 * time.Microsecond

// holeBelow reports whether some of the peer's numbers below end were neither
// captured nor acknowledged.
func (in *inference) holeBelow(end wire.Seq) bool {
	p := in.peer()
	return p.HasHole && (!p.HasAcked || p.Acked.Before(end))
}

// doubt lowers to Assumed what holds only if a side had not closed out of the
// capture's sight: before it began, or in a segment that it missed.
func (in *inference) doubt() {
	// The peer matters for what the own FIN led to, so only up to that.
	before := len(in.c.Events)
	if f := &in.fins[in.me]; f.shown >= 0 {
		before = f.shown
	}
	me, you := in.mayHaveClosed(in.me, len(in.c.Events)), in.mayHaveClosed(in.me.Peer(), before)
	if in.unordered || in.fins[Client].before || in.fins[Server].before {
		me, you = true, true
	}
	if !me && !you {
		return
	}
	t := in.end().Timeline
	for i := range t {
		doubtful := false
		switch t[i].State {
		case CloseWait, LastAck:
			doubtful = me
		case FinWait1, FinWait2:
			doubtful = you
		case Closing, TimeWait:
			doubtful = me || you
		}
		if doubtful && (t[i].Evidence == Sent || t[i].Evidence == Acked) {
			t[i].Evidence = Assumed
		}
	}
}

// mayHaveClosed reports whether a side may have sent, before event i, a FIN that
// the capture does not show.
func (in *inference) mayHaveClosed(s Side, i int) bool {
	e, f := &in.c.Ends[s], &in.fins[s]
	if in.c.RoleBy == RoleByPort || in.c.RoleBy == RoleByGuess {
		// New data, or a FIN that continues what it sent before, shows that it had
		// not closed when the capture began.
		return in.first(s, 0, func(v *Event) bool {
			return v.Len > 0 && v.Marks&(MarkKeepalive|MarkRepeat) == 0 ||
				f.first >= 0 && v.Kind != KindFIN && v.Kind != KindRST && v.Seq.Before(f.end)
		}) < 0
	}
	if f.shown >= 0 {
		return f.hidden && f.shown < i
	}
	if in.c.Seen&(SeenFINClient|SeenFINServer) == 0 {
		return false
	}
	if e.Packets == 0 {
		return true
	}
	// The highest numbers acknowledged were never captured: a FIN may be the last
	// of them.
	return len(e.Missing) > 0 && e.Missing[len(e.Missing)-1].To == e.Next && e.HasAcked && e.Acked == e.Next
}
