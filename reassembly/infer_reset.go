package reassembly

import (
	"slices"
	"time"

	"github.com/tcplife/tcplife/wire"
)

// resets finds the RSTs that the endpoint sent or accepted.
func (in *inference) resets() {
	if in.roll.rst < 0 {
		return
	}
	me, you := in.me, in.me.Peer()
	ev := in.c.Events
	first := int(in.roll.rst)
	for i := first; i < len(ev); i++ {
		// Also one whose number is old: it answers an old segment, and only a host
		// without the socket answers that with a RST.
		if e := &ev[i]; e.From == me && e.Kind == KindRST && e.Marks&MarkOther == 0 && e.Flags&wire.ACK == 0 && !in.goesOn(i) {
			in.neverArrived(i)
			break
		}
	}
	for i := in.firstOf(me, KindRST); i >= 0; i = in.first(me, i+1, isKind(KindRST)) {
		if !in.goesOn(i) {
			if j := in.c.OvertakenAbort(i); j >= 0 {
				i = j
			}
			in.did(i, sndRST)
			h := &in.list[len(in.list)-1]
			if in.c.OtherHops(&ev[i]) {
				h.evidence = Passed
			}
			if j := in.c.Trigger(i); j >= 0 {
				if !in.wentOn(j, i) {
					h.answered, h.noSocket = j+1, h.evidence == Sent
				}
			} else {
				h.answered = in.provoked(i) + 1
			}
			break
		}
	}
	in.cands = in.cands[:0]
	for i := first; i < len(ev); i++ {
		if e := &ev[i]; e.From == you && e.Kind == KindRST && genuine(e) && in.acceptable(i) {
			in.cands = append(in.cands, i)
		}
	}
	if len(in.cands) == 0 {
		return
	}
	in.lacks = in.gather(in.lacks[:0], me, in.cands[0], func(e *Event) bool { return e.Kind != KindRST })
	in.received(rcvRST, -1)
}

// wentOn reports whether the endpoint sent something else, with event j received,
// before the RST with index i: then j met a socket.
func (in *inference) wentOn(j, i int) bool {
	k := in.first(in.me, j+1, func(e *Event) bool { return e.Kind != KindRST && e.At.Sub(in.c.Events[j].LastAt) >= in.tooSoon() })
	return k >= 0 && k < i
}

// provoked returns the event that the endpoint answered with the RST,ACK of index i,
// -1 if it did not do so at once. The peer's last segment that the RST covers is it
// if the RST came back as fast as anything of this endpoint ever does: it met a
// socket that nobody reads from any more, or a program that aborts as soon as it has
// read it. An ACK on the way out ahead of the RST belongs to the same answer; other
// segments show that the endpoint had time to go on.
func (in *inference) provoked(i int) int {
	ev := in.c.Events
	rst := &ev[i]
	best := in.end().Response
	if rst.Flags&wire.ACK == 0 || best == 0 {
		return -1
	}
	for j := i - 1; j >= 0; j-- {
		e := &ev[j]
		switch {
		case !genuine(e):
		case e.From == in.me && e.Kind != KindACK:
			return -1
		case e.From != in.me && e.End != e.Seq && !rst.Ack.Before(e.End):
			if gap := rst.At.Sub(e.LastAt); gap < in.tooSoon() || gap > promptly(best) {
				return -1
			}
			return in.flight(j)
		}
	}
	return -1
}

// oneFlight is the most that segments may lie apart at the tap that reach their
// receiver back to back, before a program is woken to read the first: scheduling
// takes some 50 µs, and what passes within twice that comes to it as one.
const oneFlight = 100 * time.Microsecond

// flight returns the first of the peer's events that passed in one flight with event
// j: what a program did next answers all of them, and the kernel had changed nothing
// in between.
func (in *inference) flight(j int) int {
	ev := in.c.Events
	for i := j - 1; i >= 0 && ev[j].At.Sub(ev[i].At) <= oneFlight; i-- {
		if e := &ev[i]; e.From != in.me && genuine(e) && plain(e) && e.Count == 1 && e.Kind != KindFIN {
			j = i
		} else if e.From != in.me {
			break
		}
	}
	return j
}

// promptly is the longest that an answer given at once may take when the fastest
// took best: a quarter more (paths vary as they do for tooSoon) and a millisecond
// for the program to be woken.
func promptly(best time.Duration) time.Duration { return best + best/4 + time.Millisecond }

// Overtaking is how long after an endpoint's RST a segment that it had sent
// before may still pass the tap, overtaken on the way.
const Overtaking = 30 * time.Millisecond

// goesOn reports whether the sender of the RST with index i went on as if it had
// not sent it: then the RST was not its own.
func (in *inference) goesOn(i int) bool { return in.c.goesOn(i) }

func (c *Conn) goesOn(i int) bool {
	if i == len(c.Events)-1 {
		return false // most RSTs are the last that is heard
	}
	rst := &c.Events[i]
	sent := rst.Seq
	for j := range c.Events[:i] {
		if e := &c.Events[j]; e.From == rst.From && genuine(e) && e.End.After(sent) {
			sent = e.End
		}
	}
	return c.next(i+1, func(e *Event) bool {
		return e.From == rst.From && genuine(e) && e.Kind != KindRST && (e.LastAt.Sub(rst.At) > Overtaking && !olderStamp(e, rst) || e.End.After(sent))
	}) >= 0
}

// OvertakenAbort returns the RST,ACK of a socket that the bare RST with index i overtook
// on its way to the tap: once the socket was gone, its host answered the next segment
// without one. -1 if there is none.
func (c *Conn) OvertakenAbort(i int) int {
	rst := &c.Events[i]
	if rst.Flags&wire.ACK != 0 {
		return -1
	}
	j := c.next(i+1, func(e *Event) bool {
		return e.From == rst.From && genuine(e) && e.Kind == KindRST && e.Flags&wire.ACK != 0
	})
	if j >= 0 && c.Events[j].At.Sub(rst.At) <= Overtaking && !c.goesOn(j) {
		return j
	}
	return -1
}

// olderStamp reports whether an event's time stamps say that it was sent before another.
func olderStamp(e, than *Event) bool {
	return e.Marks.Has(MarkTimestamp) && than.Marks.Has(MarkTimestamp) && int32(e.TSVal-than.TSVal) < 0
}

// acceptable reports whether the endpoint would have followed the peer's RST with
// index i: exactly at its next number (RFC 5961 section 3.2), which lies between
// what it had acknowledged and what had been sent; in SYN-SENT by its ACK.
func (in *inference) acceptable(i int) bool {
	ev := in.c.Events
	rst := &ev[i]
	synced := false
	var acked, sent wire.Seq
	hasAcked, hasSent := false, false
	for j := range ev[:i] {
		e := &ev[j]
		if !genuine(e) || e.Kind == KindRST {
			continue
		}
		if e.From == in.me {
			synced = synced || e.Kind != KindSYN
			if e.Flags&wire.ACK != 0 && (!hasAcked || e.Ack.After(acked)) {
				acked, hasAcked = e.Ack, true
			}
		} else if !hasSent || e.End.After(sent) {
			sent, hasSent = e.End, true
		}
	}
	if !synced && (!hasSent || rst.Flags&wire.ACK != 0) {
		// SYN-SENT, as far as the own segments show.
		if rst.Flags&wire.ACK != 0 {
			return true // the tracker checked that it acknowledges the SYN
		}
		return false
	}
	if hasAcked && rst.Seq.Before(acked) {
		return false
	}
	if hasSent && rst.Seq.After(sent) && (!hasAcked || rst.Seq.After(acked)) {
		return false
	}
	return true
}

// neverArrived takes back what the RST with index i shows to have found no socket:
// a bare RST answers a segment for which there is none (RFC 9293 section 3.5.2), so
// the segment changed no state, whatever it passed the tap for. But the ACK that
// ends LAST_ACK leaves no socket behind it: a copy of it meets a RST too.
func (in *inference) neverArrived(i int) {
	t := in.c.Trigger(i)
	if t < 0 {
		return
	}
	lastACK := slices.ContainsFunc(in.list, func(h happening) bool { return h.by == rcvFIN && (h.cause < t || h.evidence != Passed) })
	ev := in.c.Events
	in.list = slices.DeleteFunc(in.list, func(h happening) bool {
		// An earlier copy of the FIN, which nobody answered, did no better.
		copied := h.by == rcvFIN && ev[h.cause].From == ev[t].From && ev[h.cause].End == ev[t].End && ev[t].End != ev[t].Seq
		return (h.cause >= t || copied) && h.evidence == Passed && !(h.by == rcvACKofFIN && lastACK)
	})
}

// OtherHops reports whether an event came over another number of hops than its sender's
// others: no segment of another kind has its hop limit, or one as far from the value
// that it began with. Somebody nearer or farther may have sent it in its name, so it
// proves nothing about the endpoint. Where paths change inside the connection the hop
// limit says nothing (field guide K13); and a host may give its RSTs another one of the
// usual values (64, 128, 255) than its other segments.
func (c *Conn) OtherHops(v *Event) bool {
	if v.TTL == c.Ends[v.From].TTL || hops(v.TTL) == hops(c.Ends[v.From].TTL) {
		return false
	}
	return c.next(0, func(e *Event) bool {
		return e.From == v.From && e.Kind != v.Kind && genuine(e) && hops(e.TTL) == hops(v.TTL)
	}) < 0
}

// hops returns how many routers a segment has passed, going by the usual initial values
// of the hop limit.
func hops(ttl uint8) uint8 {
	for _, initial := range [...]uint8{64, 128, 255} {
		if ttl <= initial {
			return initial - ttl
		}
	}
	return 0
}

// reopened notes that the next life of the tuple ended this one: its SYN comes
// from a host that has no use for the old connection any more, and its answer from
// one that gave it up too.
func (in *inference) reopened() {
	next := &in.c.Next
	switch {
	case next.Frame == 0:
		return
	case in.first(next.Opener, 0, func(e *Event) bool {
		return e.Kind != KindRST && e.At.Sub(next.Key.Start) > Overtaking && !in.repeated(e)
	}) >= 0:
		return // its sender goes on with this connection: the SYN was a stray one
	case in.me == next.Opener:
		in.list = append(in.list, happening{pos: in.posAt(next.Key.Start), cause: len(in.c.Events), by: reopened, at: next.Key.Start, frame: next.Frame, evidence: Sent})
	case next.Answer != 0:
		in.list = append(in.list, happening{pos: in.posAt(next.AnswerAt), cause: len(in.c.Events), by: reopened, at: next.Key.Start, frame: next.Frame, proof: next.Answer, evidence: Acked})
	}
}

// repeated reports whether an event brings nothing new, as an old duplicate would.
func (in *inference) repeated(e *Event) bool {
	peer := &in.c.Ends[e.From.Peer()]
	return e.Marks&MarkRepeat != 0 || e.End == e.Seq && e.Flags&wire.ACK != 0 && peer.HasNext && e.Ack.Before(peer.Next)
}

// posAt returns the place of something that happened at a time, behind all events
// up to then.
func (in *inference) posAt(at wire.Time) int {
	i := 0
	for ; i < len(in.c.Events) && in.c.Events[i].At <= at; i++ {
	}
	return posCrossed(i)
}
