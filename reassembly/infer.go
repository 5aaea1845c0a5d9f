package reassembly

import (
	"slices"
	"time"

	"github.com/tcplife/tcplife/wire"
)

// The tap sees that a segment passed, not that it arrived. What arrived is read
// from what its receiver sent later:
//
//   - The receiver's acknowledgments and its next steps prove an arrival.
//   - A repetition, or an acknowledgment that does not cover it, refutes the
//     arrival of every copy that passed early enough to have been known: segments
//     cross, so what passed less than the receiver's response time before says
//     nothing.
//
// For each thing an endpoint can receive that changes its state (the peer's SYN,
// the ACK of its SYN, the peer's FIN, the ACK of its FIN, a RST) the log gives the
// candidates that carry it, the own segments that show it lacking, and the first
// own segment that shows it known. The cause is the earliest candidate that is
// not refuted. All happenings of one endpoint, put in its own order, drive the
// table in arcs.go. The log is read once, when the connection leaves, so nothing
// written is ever taken back.

// happening is something that an endpoint did or that happened to it.
type happening struct {
	// pos orders the happenings of an endpoint; see posReceived and the like. Those
	// in one place go by cause, the index of the event that caused them.
	pos, cause int
	by         Stimulus
	at         wire.Time
	frame      wire.FrameID
	proof      wire.FrameID
	evidence   Evidence
	rewritten  bool
	// contested: it arrived, but whether before or after another is not proven; the
	// state that follows only if it was before is no more than Passed.
	contested bool
	// late: the peer's FIN arrived, by its acknowledgment, after the ACK of the own
	// FIN that passed the tap behind it; TIME_WAIT follows only if that arrived.
	late bool
	// answered, for a RST sent: the event, plus one, that it answers at once, where
	// that is the cause; 0: none. noSocket: it says that the host has no such
	// connection.
	answered int
	noSocket bool
}

// An endpoint's own order is that of the log, but for segments that crossed: what
// it received with event i comes where i passed, or, if its own event j shows that
// it did not know of it, behind j.
func posBefore(i int) int   { return 4 * i }
func posReceived(i int) int { return 4*i + 1 }
func posSent(i int) int     { return 4*i + 2 }
func posCrossed(j int) int  { return 4*j + 3 }

// inference reconstructs the timelines of one connection at a time. It keeps its
// scratch memory from one to the next.
type inference struct {
	c    *Conn
	me   Side
	roll roll
	list []happening
	// cands, lacks are event indices.
	cands, lacks []int
	fins         [2]finInfo
	// unordered: whether the endpoint sent its FIN before or after it received the
	// peer's cannot be told.
	unordered bool
	// vague: which of several copies of the peer's FIN arrived first cannot be told;
	// copies: nor does it matter but for when.
	vague, copies bool
	// behind is the peer's event, with a number behind its FIN, that the endpoint shows to
	// have accepted in sequence; -1: none.
	behind int
	// refilled is the event with which the peer sent data below its FIN again, -1 if
	// it did not: what the endpoint sent before was asking for it.
	refilled int
	// clock is the endpoint's timestamp clock, read when hasClock is set.
	clock    clock
	hasClock bool
}

// run fills in both timelines of c; profiles are its endpoints' hosts'.
func (in *inference) run(c *Conn, profiles [2]*Profile) {
	in.c = c
	in.roll.read(c)
	for side := range in.fins {
		in.fins[side] = in.findFIN(Side(side))
	}
	for side := range in.fins {
		in.fins[side].before = in.closedBefore(Side(side))
	}
	for side := range c.Ends {
		in.me = Side(side)
		in.list, in.unordered, in.vague, in.copies, in.hasClock = in.list[:0], false, false, false, false
		in.refilled, in.behind = -1, -1
		in.opening()
		in.closing()
		in.resets()
		in.unreachable()
		in.reopened()
		in.apply(profiles[side])
	}
}

func (in *inference) end() *Endpoint  { return &in.c.Ends[in.me] }
func (in *inference) peer() *Endpoint { return &in.c.Ends[in.me.Peer()] }

// genuine reports whether an event counts: a segment of another incarnation or
// with impossible numbers says nothing about this connection's endpoints.
func genuine(e *Event) bool { return e.Marks&(MarkOther|MarkOutside) == 0 }

// first returns the first genuine event from a side, at or after index i, for
// which ok holds; -1 if there is none.
func (in *inference) first(from Side, i int, ok func(e *Event) bool) int {
	for ; i < len(in.c.Events); i++ {
		if e := &in.c.Events[i]; e.From == from && genuine(e) && ok(e) {
			return i
		}
	}
	return -1
}

// roll says where in the log there is which kind of event: most of what is looked for is
// not there, or is the first of its kind.
type roll struct {
	// first is, by side and kind, the first genuine event, -1 if there is none; count is how
	// many there are.
	first, count [2][kinds]int16
	// plain is, by side, the first genuine plain event, rst the first RST of any, genuine or
	// not; -1 if there is none.
	plain [2]int16
	rst   int16
}

// kinds is how many there are.
const kinds = int(KindICMP) + 1

func (r *roll) read(c *Conn) {
	*r = roll{rst: -1}
	for i := len(c.Events) - 1; i >= 0; i-- {
		e := &c.Events[i]
		if e.Kind == KindRST {
			r.rst = int16(i)
		}
		if genuine(e) {
			r.first[e.From&1][e.Kind%Kind(kinds)] = int16(i)
			r.count[e.From&1][e.Kind%Kind(kinds)]++
		}
	}
	for side := range r.plain {
		r.plain[side] = -1
		for _, k := range [...]Kind{KindACK, KindData, KindFIN} {
			if n := r.first[side][k]; r.count[side][k] > 0 && (r.plain[side] < 0 || n < r.plain[side]) {
				r.plain[side] = n
			}
		}
	}
}

// firstOf returns the first genuine event of a kind from a side; -1 if there is none.
func (in *inference) firstOf(from Side, k Kind) int {
	if in.roll.count[from&1][k] == 0 {
		return -1
	}
	return int(in.roll.first[from&1][k])
}

// all puts all events of a kind from a side into dst.
func (in *inference) all(dst []int, from Side, k Kind) []int {
	i := in.firstOf(from, k)
	switch in.roll.count[from&1][k] {
	case 0:
		return dst
	case 1:
		return append(dst, i)
	}
	return in.gather(dst, from, i, isKind(k))
}

// firstPlain returns the first plain event from a side at or after index i; -1 if there is
// none.
func (in *inference) firstPlain(from Side, i int) int {
	first := int(in.roll.plain[from&1])
	if first < i && first >= 0 {
		return in.first(from, i, plain)
	}
	return first
}

// acks returns the first genuine event from a side, SYNs apart, at or after index i and
// before index n, that acknowledges everything below seq; -1 if there is none.
func (in *inference) acks(from Side, i, n int, seq wire.Seq) int {
	for ev := in.c.Events[:n]; i < n; i++ {
		if e := &ev[i]; e.From == from && e.Flags&wire.ACK != 0 && !e.Ack.Before(seq) && e.Kind != KindSYN && genuine(e) {
			return i
		}
	}
	return -1
}

// gather appends to dst the indices of such events from index i on.
func (in *inference) gather(dst []int, from Side, i int, ok func(e *Event) bool) []int {
	for ; i < len(in.c.Events); i++ {
		if e := &in.c.Events[i]; e.From == from && genuine(e) && ok(e) {
			dst = append(dst, i)
		}
	}
	return dst
}

func isKind(k Kind) func(*Event) bool { return func(e *Event) bool { return e.Kind == k } }

// plain reports a segment that only a synchronized endpoint sends.
func plain(e *Event) bool { return e.Kind == KindACK || e.Kind == KindData || e.Kind == KindFIN }

func (in *inference) did(i int, by Stimulus) {
	e := &in.c.Events[i]
	in.list = append(in.list, happening{pos: posSent(i), cause: i, by: by, at: e.At, frame: e.Frame, evidence: Sent})
}

// received decides whether and when something arrived that in.cands carry, given
// in.lacks and the index of the first own event that proves it (-1: none), and
// notes the happening. It returns the cause's index, -1 if it did not arrive.
func (in *inference) received(by Stimulus, proof int) int {
	ev := in.c.Events
	cause, fallback, refuted := -1, -1, false
	for _, c := range in.cands {
		if proof >= 0 && c > proof {
			break
		}
		if !in.refutes(c, proof) {
			cause = c
			break
		}
		fallback, refuted = c, true
	}
	if cause < 0 && proof >= 0 && fallback >= 0 {
		// It did arrive, only later than an undisturbed copy would have.
		cause, refuted = fallback, fallback != in.cands[0]
	}
	switch {
	case cause >= 0:
		h := happening{pos: posReceived(cause), cause: cause, by: by, at: ev[cause].At, frame: ev[cause].Frame, evidence: Passed, rewritten: refuted}
		if proof >= 0 {
			h.evidence, h.proof = Acked, ev[proof].Frame
		}
		// What was sent without knowing it was sent before it arrived, and so was what
		// followed it too soon to be sent after.
		for _, l := range in.lacks {
			if l > cause && (proof < 0 || l < proof) && in.sentAt(l) >= ev[cause].At {
				h.pos = max(h.pos, posCrossed(l))
			}
		}
		for l := cause + 1; l < len(ev) && (proof < 0 || l < proof) && ev[l].At.Sub(ev[cause].At) < in.tooSoon(); l++ {
			if ev[l].From == in.me && genuine(&ev[l]) {
				h.pos = max(h.pos, posCrossed(l))
			}
		}
		in.list = append(in.list, h)
	case proof >= 0:
		// The capture never held what arrived; the endpoint's own segment shows it.
		in.list = append(in.list, happening{pos: posReceived(proof), cause: proof, by: by, at: ev[proof].At, frame: ev[proof].Frame, evidence: Sent})
		cause = proof
	}
	return cause
}

// tooSoon is how long after a segment passed the endpoint cannot have sent anything
// that knows of it: its best response time, less what paths vary.
func (in *inference) tooSoon() time.Duration { return in.end().Response * 3 / 4 }

// refutes reports whether an own segment shows that candidate c had not arrived:
// it was sent late enough to know, and does not.
func (in *inference) refutes(c, proof int) bool {
	for _, l := range in.lacks {
		if l > c && (proof < 0 || l < proof) && in.lateEnough(c, l, proof) {
			return true
		}
	}
	return false
}

// lateEnough reports whether an own segment was sent late enough to know of candidate
// c, had that arrived.
func (in *inference) lateEnough(c, own, proof int) bool {
	ev := in.c.Events
	at := in.sentAt(own)
	switch {
	case own < in.refilled && in.refilled < proof:
		// It led the peer to send again, so it was no chance crossing.
		return at.Sub(ev[c].At) >= in.tooSoon()
	case at < ev[own].At:
		return at.Sub(ev[c].At) >= in.end().Response
	}
	return !in.c.MayCross(c, own)
}

// apply puts the happenings in order, drives the table with them, and adds what
// timers must have done.
func (in *inference) apply(p *Profile) {
	in.synchronizedFirst()
	in.arrange()
	e := in.end()
	e.Timeline = slices.Grow(e.Timeline, len(in.list)+1) // what timers do is one more
	state := Closed
	var at wire.Time
	for i := range in.list {
		h := &in.list[i]
		next, moves := state.next(h.by)
		if !moves {
			continue
		}
		if h.noSocket && in.timers(p, state, at, in.c.Events[h.answered-1].At, h.answered-1, h.frame) {
			return // it was gone when what the RST answers came
		}
		if (h.noSocket || h.by == reopened && h.evidence == Sent) && (state == Established || state == CloseWait) {
			// A socket that closes, or is aborted, in one of these says so with a FIN or
			// a RST of its own; its host has no use for another while it lasts.
			e.Gone = h.frame
			return
		}
		if h.answered > 0 && len(e.Timeline) > 0 {
			// The cause is what it answers, unless the states before it know better.
			if v := &in.c.Events[h.answered-1]; v.LastAt >= at && v.LastFrame > e.Timeline[len(e.Timeline)-1].Frame {
				h.at, h.frame, h.proof = v.LastAt, v.LastFrame, h.frame
				if h.evidence == Sent {
					h.evidence = Acked
				}
			}
		}
		at = max(at, h.at)
		if len(e.Timeline) == 0 {
			at = h.at
		}
		if h.contested && next == Closing || h.late && next == TimeWait {
			h.evidence = Passed
		}
		e.Timeline = append(e.Timeline, Transition{State: next, At: at, Frame: h.frame, Proof: h.proof, Evidence: h.evidence, Rewritten: h.rewritten, by: h.by})
		state = next
	}
	in.timers(p, state, at, in.c.Until, len(in.c.Events), 0)
	in.doubt()
}

// arrange puts the happenings in order. They are few, and mostly in order already.
func (in *inference) arrange() {
	for i := 1; i < len(in.list); i++ {
		for j := i; j > 0 && in.list[j].before(&in.list[j-1]); j-- {
			in.list[j], in.list[j-1] = in.list[j-1], in.list[j]
		}
	}
}

func (h *happening) before(g *happening) bool {
	if h.pos != g.pos {
		return h.pos < g.pos
	}
	if h.cause != g.cause {
		return h.cause < g.cause
	}
	return order[h.by] < order[g.by]
}

// synchronizedFirst lets nothing that needs a synchronized connection happen before
// the endpoint got there: a FIN may pass the tap before the segment that shows that
// the missing SYN-ACK had arrived.
func (in *inference) synchronizedFirst() {
	at, cause := -1, -1
	for i := range in.list {
		if h := &in.list[i]; (h.by == rcvSYNACK || h.by == rcvACKofSYN) && h.pos > at {
			at, cause = h.pos, h.cause
		}
	}
	for i := range in.list {
		if h := &in.list[i]; (h.by == rcvFIN || h.by == rcvACKofFIN) && h.pos <= at {
			h.pos, h.cause = at, max(h.cause, cause)
		}
	}
}

// order is that of RFC 9293 section 3.10.7.4 inside one segment, with the ACK of
// the SYN before everything that needs a synchronized connection.
var order = [stimulusEnd]uint8{
	midstream: 0, midstreamClosed: 0, midstreamPeer: 0, sndSYN: 1, sndSYNACK: 2, rcvSYNACK: 3, rcvACKofSYN: 4, rcvRST: 5, rcvICMP: 5, rcvACKofFIN: 6, rcvFIN: 7,
	sndFIN: 8, sndRST: 9, reopened: 10, timeout2MSL: 11, timeoutDead: 12,
}
