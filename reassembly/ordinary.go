package reassembly

import (
	"slices"
	"time"

	"github.com/tcplife/tcplife/wire"
)

// Nearly all short connections take one of three courses: a SYN that nothing answers, a
// handshake with data behind it and no end, and the same with an orderly close, one FIN
// after the other, each acknowledged at once. What account, note, inference and judge
// would find out step by step is known for these at a glance. Course.go looks, this file
// says it, and says exactly the same: ordinary_test.go holds the two side by side, on every short
// course of a few segments and on millions of random ones. Whatever is not quite
// ordinary is left to the others.

// ordinary describes in t.plain what a brief record holds, and reports whether it can. What
// is told of a connection that is not ordinary is the same, but for its states.
func (t *Tracker) ordinary(b *brief, why Ended, now wire.Time) bool {
	c := &t.course
	repeats := b.n>>briefRepeats > 0
	if repeats && !b.has(briefClosed) || !c.look(t, b) {
		return false
	}
	if b.wasReset() {
		c.end(t.endingOf(b))
	} else if repeats {
		plain := true
		t.repeats(b, func(x *briefEnd) { plain = plain && c.again(x) })
		if !plain {
			return false
		}
	}
	t.summarize(c)
	conn := &t.plain
	conn.Ended, conn.Until = why, max(now, b.last)
	profiles := [2]*Profile{t.cfg.profileOf(conn.Tuple.Src, conn.Tuple.V6), t.cfg.profileOf(conn.Tuple.Dst, conn.Tuple.V6)}
	switch {
	case c.odd || c.repeated || c.stage == 0 && b.n > 1 && !why.Early():
		t.odd(c, profiles)
		return true
	case b.n == 1:
		conn.Handshake, conn.Close = Handshake{SYNs: 1}, Close{}
		attempt(conn, moment{b.start, b.first}, profiles)
	default:
		t.opening(c)
		if c.stage > 0 {
			t.closed(c, profiles)
		}
	}
	if conn.Seen&^t.cfg.Unread != 0 || c.long || c.silences.For|c.silences.Closed != 0 {
		t.retell(c)
	} else {
		c.summarizeLog(conn)
	}
	return true
}

// summarize is describe.
func (t *Tracker) summarize(c *course) {
	b, conn := c.b, &t.plain
	fins := [2]bool{c.seen&SeenFINClient != 0, c.seen&SeenFINServer != 0}
	if c.seen&SeenSYNACK != 0 && c.seen&SeenData == 0 && c.seen&(SeenFINClient|SeenFINServer|SeenRST) != 0 {
		c.seen |= SeenNoData
	}
	// Field by field: a Conn takes a kilobyte, and most of it is never set for an ordinary
	// connection. What is set for one is set for each.
	conn.Tuple = b.tuple()
	conn.First, conn.Last, conn.Start, conn.End = b.first, b.lastFrame, b.start, b.last
	conn.Events, conn.Seen, conn.Quiet, conn.Idle = conn.Events[:0], c.seen, c.quiet, c.silences
	conn.Key.Tuple, conn.Key.Start, conn.Key.ISN = conn.Tuple, b.start, b.isn
	conn.Outcome, conn.View, conn.Whole = OutcomeUnknown, 0, nil
	for i := range conn.Ends {
		e, f := &conn.Ends[i], &c.ends[i]
		was := i == int(Client) || b.has(briefAnswered)
		// A brief record holds few segments of 64 KiB; what its numbers count beside octets is
		// SYN and FIN.
		octets := uint64(0)
		if was {
			octets = uint64(f.next - f.isn - 1)
		}
		if fins[i] {
			octets--
		}
		e.Packets, e.Bytes, e.UniqueBytes, e.Response, e.TTL = uint64(f.packets), octets, octets, 0, b.ttl[i]
		if !was && f.packets > 0 {
			e.TTL = t.retold.ending.segment.TTL // of all that it sent
		}
		e.ISN, e.First, e.Next, e.Acked, e.Gone = f.isn, f.isn, f.next, 0, 0
		e.HasISN, e.HasNext, e.HasSYN, e.HasAcked = was, was, was, int(b.n) > 1+i
		if e.HasAcked {
			e.Acked = c.ends[i^1].ack
		}
		e.SYN.Set, e.SYN.MSS, e.SYN.WindowScale = f.options, f.mss, f.scale
		e.FIN, e.HasFIN = 0, fins[i]
		if fins[i] {
			e.FIN = f.next
		}
		e.Retransmits, e.Repeated = uint64(f.repeats), e.Repeated[:0]
		if f.repeats > 0 {
			e.Repeated = append(e.Repeated, Range{f.next - 1, f.next})
		}
		e.Timeline = e.Timeline[:0]
	}
}

// attempt tells the states of a SYN that nothing answered, and what became of it.
func attempt(conn *Conn, syn moment, profiles [2]*Profile) {
	client := &conn.Ends[Client]
	client.Timeline = append(client.Timeline, Transition{State: SynSent, At: syn.at, Frame: syn.frame, Evidence: Sent, by: sndSYN})
	gaveUp := client.expire(profiles[Client].SYNSpan, profiles[Client], conn.Until, timeoutDead)
	if conn.Until.Sub(syn.at) < slowestReply(0) {
		// The capture ends before an answer could have come.
		server := &conn.Ends[Server]
		server.Timeline = append(server.Timeline, Transition{State: SynReceived, At: syn.at, Frame: syn.frame, Evidence: Passed, by: sndSYNACK})
		server.expire(profiles[Server].SYNACKSpan, profiles[Server], conn.Until, timeoutDead)
	}
	conn.Handshake.Outcome, conn.Close.Reason, conn.Outcome = HandshakePending, CloseOpenAtEnd, OutcomeUnknown
	if !conn.Ended.Early() || gaveUp {
		conn.Handshake.Outcome, conn.Close.Reason, conn.Outcome = HandshakeUnanswered, CloseUnanswered, OutcomeFailure
	}
}

// expire adds what a timer of that span did to a side's last state, if it must have
// fired.
func (e *Endpoint) expire(span time.Duration, p *Profile, until wire.Time, by Stimulus) bool {
	last := &e.Timeline[len(e.Timeline)-1]
	fired := last.At.Add(span)
	if fired.Add(min(p.TimerSlack, span/8)) > until {
		return false
	}
	e.Timeline = append(e.Timeline, Transition{State: Closed, At: fired, Evidence: Timer, by: by})
	return true
}

// opening tells the states of a handshake, and how long it took.
func (t *Tracker) opening(c *course) {
	b, conn := c.b, &t.plain
	syn := moment{b.start, b.first}
	client, server := &conn.Ends[Client], &conn.Ends[Server]
	client.Timeline = append(client.Timeline,
		Transition{State: SynSent, At: syn.at, Frame: syn.frame, Evidence: Sent, by: sndSYN},
		Transition{State: Established, At: c.answer.at, Frame: c.answer.frame, Proof: c.opening.frame, Evidence: Acked, by: rcvSYNACK})
	received := Transition{State: SynReceived, At: syn.at, Frame: syn.frame, Proof: c.answer.frame, Evidence: Acked, by: sndSYNACK}
	open := Transition{State: Established, At: c.opening.at, Frame: c.opening.frame, Evidence: Passed, by: rcvACKofSYN}
	until := conn.Until
	if c.talk.frame != 0 {
		open.Proof, open.Evidence = c.talk.frame, Acked
		until = c.talk.at
	}
	if until.Sub(c.answer.at) > synackRTO {
		received.Evidence = Passed // see maybeStateless
	}
	server.Timeline = append(server.Timeline, received, open)
	conn.Handshake = Handshake{
		Outcome: HandshakeComplete, SYNs: 1, SYNACKs: 1,
		ServerSide: c.answer.at.Sub(syn.at), ClientSide: c.opening.at.Sub(c.answer.at), RTT: c.opening.at.Sub(syn.at),
	}
	conn.Close = Close{Reason: CloseOpenAtEnd}
}

// closed tells the states of an orderly close.
func (t *Tracker) closed(c *course, profiles [2]*Profile) {
	conn := &t.plain
	first, ack, second, last := c.close[0], c.close[1], c.close[2], c.close[3]
	me, you := &conn.Ends[c.closer], &conn.Ends[c.closer.Peer()]
	me.Timeline = append(me.Timeline,
		Transition{State: FinWait1, At: first.at, Frame: first.frame, Evidence: Sent, by: sndFIN},
		Transition{State: FinWait2, At: ack.at, Frame: ack.frame, Proof: last.frame, Evidence: Acked, by: rcvACKofFIN},
		Transition{State: TimeWait, At: second.at, Frame: second.frame, Proof: last.frame, Evidence: Acked, by: rcvFIN})
	me.expire(profiles[c.closer].TimeWait, profiles[c.closer], conn.Until, timeout2MSL)
	you.Timeline = append(you.Timeline,
		Transition{State: CloseWait, At: first.at, Frame: first.frame, Proof: ack.frame, Evidence: Acked, by: rcvFIN},
		Transition{State: LastAck, At: second.at, Frame: second.frame, Evidence: Sent, by: sndFIN},
		Transition{State: Closed, At: last.at, Frame: last.frame, Evidence: Passed, by: rcvACKofFIN})
	conn.Close = Close{
		Reason: CloseOrderly, Closer: c.closer, HasCloser: true, By: "fin", At: first.at, Duration: last.at.Sub(first.at), IdleBefore: c.idle,
	}
	conn.Outcome = OutcomeSuccess
}

// retell writes the log, and for a watcher what the log does not hold. It measures how soon
// the sides respond: that matters to the log's readers alone.
func (t *Tracker) retell(c *course) {
	b, conn := c.b, &t.plain
	conn.Unlogged = Unlogged{}
	list := slices.Grow(conn.Events, int(b.counted())+1)
	list = append(list, Event{
		At: b.start, Frame: b.first, LastAt: b.start, LastFrame: b.first, Count: 1, Seq: b.isn, End: b.isn + 1, TSVal: b.stamps[Client], Flags: b.synFlags(),
		Window: b.window, IPID: b.ipid, TTL: b.ttl[Client], From: Client, Kind: KindSYN, Marks: marksOf(b.how), Traits: traitsOf(b.how),
	})
	var run [2]int // in list, plus one
	var talked [2]bool
	var held heldEvents
	var whole []Event
	closing := false
	waiting := [2]awaited{Client: {b.isn + 1, b.start, true}}
	r := t.reading(b) // outside of the loop, or each turn would have a copy
	for r.left > 0 {
		// Where it will be, unless it is held: there is room for all of them.
		v := &list[:len(list)+1][len(list)]
		r.next(v)
		from := v.From & 1
		plain := v.Kind <= KindData && talked[from] && !closing
		closing = closing || v.Kind == KindFIN
		waiting[from].next(&waiting[from^1], v, &conn.Ends[from])
		if plain && run[from] != 0 {
			if whole == nil && t.cfg.Watch != nil {
				whole = append(t.retold.whole[:0], list...)
			}
			if whole != nil {
				whole = append(whole, *v)
			}
			if old := &held.events[from]; old.Count > 0 {
				list[run[from]-1].join(old)
			}
			held.events[from], held.newest = *v, from
			continue
		}
		if whole != nil {
			whole = append(whole, *v)
		}
		if held.events[0].Count|held.events[1].Count != 0 {
			last := *v
			list = append(held.spill(list, &run), last)
		} else {
			list = list[:len(list)+1]
		}
		switch {
		case plain:
			run[from] = len(list)
		case v.Kind != KindSYNACK:
			run, talked[from] = [2]int{}, true
		}
	}
	conn.Events = held.spill(list, &run)
	told := len(conn.Events)
	if b.wasReset() {
		x := &t.retold.ending
		marks := Marks(0)
		if x.segment.Options.Set != 0 {
			marks = MarkTimestamp
		}
		conn.Events = append(conn.Events, eventOf(&x.segment, x.from, KindRST, marks))
	} else if b.n>>briefRepeats > 0 {
		t.repeats(b, func(x *briefEnd) {
			kind, marks := KindACK, Marks(0)
			if x.segment.Flags&wire.FIN != 0 {
				kind, marks = KindFIN, MarkRepeat
			}
			if x.segment.Options.Set != 0 {
				marks |= MarkTimestamp
			}
			conn.Events = append(conn.Events, eventOf(&x.segment, x.from, kind, marks))
		})
	}
	if whole != nil {
		conn.Whole = append(whole, conn.Events[told:]...)
		t.retold.whole = conn.Whole
	}
}

// spill is Tracker.spill for a log that is a list.
func (h *heldEvents) spill(list []Event, run *[2]int) []Event {
	for _, side := range [...]Side{h.newest.Peer(), h.newest} {
		if v := &h.events[side]; v.Count > 0 {
			list = append(list, *v)
			run[side] = len(list)
			v.Count = 0
		}
	}
	return list
}

// awaited is the newest segment of a side that is to be answered, if there is one.
type awaited struct {
	end  wire.Seq
	at   wire.Time
	some bool
}

// next is clockResponse for a segment of the side of w and e that goes on where that was.
func (w *awaited) next(peer *awaited, v *Event, e *Endpoint) {
	if peer.some && !v.Ack.Before(peer.end) {
		if d := v.At.Sub(peer.at); v.Ack == peer.end && d > 0 && (e.Response == 0 || d < e.Response) {
			e.Response = d
		}
		peer.some = false
	}
	if v.End != v.Seq {
		*w = awaited{v.End, v.At, true}
	}
}

func marksOf(how uint8) Marks {
	if how&howStamps != 0 {
		return MarkTimestamp
	}
	return 0
}
