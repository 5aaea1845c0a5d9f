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

// opening finds how the endpoint came to be connected.
func (in *inference) opening() {
	if !in.plainOpening() {
		in.anyOpening()
	}
}

// plainOpening is anyOpening for what nearly all connections begin with: a SYN, a SYN-ACK, and the
// client's next segment, each the first of its sort and the SYNs alone of theirs. It reports
// whether that is so.
func (in *inference) plainOpening() bool {
	r, c, ev := &in.roll, in.c, in.c.Events
	if r.count[Client][KindSYN] != 1 || r.count[Client][KindSYNACK] != 0 || r.count[Server][KindSYN] != 0 || r.count[Server][KindSYNACK] != 1 ||
		r.first[Client][KindSYN] != 0 || r.first[Server][KindSYNACK] != 1 || r.plain[Client] != 2 ||
		ev[0].Len > 0 || c.RoleBy != RoleBySYN || c.Previous.Frame != 0 {
		return false
	}
	talk := int(r.plain[Server])
	if talk >= 0 && ev[talk].Kind == KindACK && ev[2].At > ev[talk].At {
		return false // see provesEstablished
	}
	if in.me == Client {
		in.did(0, sndSYN)
		in.cands, in.lacks = append(in.cands[:0], 1), in.lacks[:0]
		in.received(rcvSYNACK, 2)
		return true
	}
	made := len(in.list)
	in.list = append(in.list, happening{pos: posReceived(0), by: sndSYNACK, at: ev[0].At, frame: ev[0].Frame, proof: ev[1].Frame, evidence: Acked})
	in.cands, in.lacks = append(in.cands[:0], 2), append(in.lacks[:0], 1)
	in.received(rcvACKofSYN, talk)
	if in.maybeStateless(1, talk) {
		in.list[made].evidence = Passed
	}
	return true
}

// anyOpening is opening for every connection.
func (in *inference) anyOpening() {
	me, you := in.me, in.me.Peer()
	syn := in.firstOf(me, KindSYN)
	synack := in.firstOf(me, KindSYNACK)
	yourSYN := in.firstOf(you, KindSYN)
	yourSYNACK := in.firstOf(you, KindSYNACK)
	talk := in.firstPlain(me, in.opened(syn, synack))
	yourTalk := in.firstPlain(you, in.opened(yourSYN, yourSYNACK))
	ev := in.c.Events
	if synack < 0 && yourSYN >= 0 && syn > yourSYN && in.acksBefore(syn) {
		// A split handshake: the SYN,ACK came in two segments.
		syn, synack = -1, syn
	}

	if syn < 0 && synack < 0 && yourSYN < 0 && yourSYNACK < 0 || in.strayOpening(max(syn, synack, yourSYN, yourSYNACK)) {
		in.inside(in.firstPlain(me, 0), in.firstPlain(you, 0))
		return
	}
	if syn >= 0 && !in.replayed() {
		in.did(syn, sndSYN)
		if synack >= 0 && synack < syn { // overtaken on the way to the tap
			in.list[len(in.list)-1].pos = posBefore(0)
		}
	} else if yourSYNACK >= 0 && synack < 0 && yourSYN < 0 && syn < 0 {
		// The SYN is not in the capture; its answer is.
		in.list = append(in.list, happening{pos: posBefore(yourSYNACK), cause: yourSYNACK, by: sndSYN, at: ev[yourSYNACK].At, frame: ev[yourSYNACK].Frame, evidence: Assumed})
	}
	switch {
	case synack >= 0:
		h := happening{pos: posSent(synack), cause: synack, by: sndSYNACK, at: ev[synack].At, frame: ev[synack].Frame, evidence: Sent}
		if yourSYN >= 0 && yourSYN < synack {
			cause := yourSYN
			in.cands = in.all(in.cands[:0], you, KindSYN)
			for _, i := range in.cands {
				if i < synack {
					cause = i
				}
			}
			if n := in.echoed(synack, in.cands); n >= 0 {
				cause = in.cands[n]
			}
			h.at, h.frame, h.proof, h.evidence, h.rewritten = ev[cause].At, ev[cause].Frame, ev[synack].Frame, Acked, cause != yourSYN
			h.pos, h.cause = posReceived(cause), cause
			if syn > cause && syn < synack { // simultaneous open: the SYNs crossed
				h.pos = posCrossed(syn)
			}
		}
		in.list = append(in.list, h)
	case yourSYN >= 0 && (talk >= 0 && syn < 0 || yourTalk >= 0 && syn < 0 && ev[yourTalk].Flags&wire.ACK != 0 && in.end().HasISN):
		// The SYN-ACK is not in the capture; that it was sent shows in what came
		// after it.
		shown := yourTalk
		if talk >= 0 && (shown < 0 || talk < shown) {
			shown = talk
		}
		if shown < yourSYN {
			break // a SYN that comes after all that has nothing to do with it
		}
		in.list = append(in.list, happening{pos: posReceived(yourSYN), cause: yourSYN, by: sndSYNACK, at: ev[yourSYN].At, frame: ev[yourSYN].Frame, proof: ev[shown].Frame, evidence: Acked})
	case yourSYN >= 0 && len(ev) == 1 && in.c.Until.Sub(ev[yourSYN].At) < slowestReply(0):
		// The capture ends before an answer could have come.
		in.list = append(in.list, happening{pos: posReceived(yourSYN), cause: yourSYN, by: sndSYNACK, at: ev[yourSYN].At, frame: ev[yourSYN].Frame, evidence: Passed})
	}

	if syn >= 0 || yourSYNACK >= 0 {
		in.cands = in.all(in.cands[:0], you, KindSYNACK)
		in.lacks = in.all(in.lacks[:0], me, KindSYN)
		switch {
		case synack >= 0 && len(in.cands) == 0: // the peer completes with an ACK
		case synack >= 0 && talk >= 0:
			in.received(rcvSYNACK, in.provesEstablished(synack, talk))
		case talk >= 0 || synack < 0 && !in.unanswered():
			in.received(rcvSYNACK, talk)
		}
	}
	if synack >= 0 || syn < 0 && yourSYN >= 0 {
		made := len(in.list) - 1 // SYN_RECEIVED's
		from := max(synack, 0)
		completes := func(e *Event) bool { return (plain(e) || e.Kind == KindSYNACK) && e.Flags&wire.ACK != 0 }
		in.lacks = in.all(in.lacks[:0], me, KindSYNACK)
		if len(in.lacks) <= 1 {
			// Nothing can refute the first.
			in.cands = in.cands[:0]
			if i := in.first(you, from, completes); i >= 0 {
				in.cands = append(in.cands, i)
			}
		} else {
			in.cands = in.gather(in.cands[:0], you, from, completes)
		}
		proof := in.provesEstablished(from, talk)
		in.received(rcvACKofSYN, proof)
		if synack >= 0 && syn < 0 && in.maybeStateless(synack, proof) {
			in.list[made].evidence = Passed
		}
	}
}

// replayed reports whether the connection begins with the SYN of an earlier one, which
// the network had kept: its host did not send it again.
func (in *inference) replayed() bool {
	before := &in.c.Previous
	return before.Frame != 0 && in.me == Client && before.Opener == Client && before.Key.Tuple == in.c.Key.Tuple && before.Key.ISN == in.c.Key.ISN && in.c.RoleBy == RoleBySYN
}

// strayOpening reports whether the capture began inside the connection and the last
// of its SYNs, event i, came too late to have been overtaken by what it opened.
func (in *inference) strayOpening(i int) bool {
	return in.c.RoleBy >= RoleByPort && in.c.Events[i].At.Sub(in.c.Start) > Overtaking
}

// opened returns where in the log a side's own part of the opening begins: its
// SYN-ACK, or its SYN where it sent none.
func (in *inference) opened(syn, synack int) int {
	if synack >= 0 {
		return synack
	}
	return max(syn, 0)
}

// acksBefore reports whether the endpoint acknowledged something before event i.
func (in *inference) acksBefore(i int) bool {
	j := in.firstOf(in.me, KindACK)
	return j >= 0 && j < i
}

// unanswered reports whether the SYN-ACKs in in.cands, although repeated, never got
// an answer: an endpoint that has one acknowledges it at once.
func (in *inference) unanswered() bool {
	n := len(in.cands)
	return n > 1 && in.c.Events[in.cands[n-1]].At.Sub(in.c.Events[in.cands[0]].At) > synackRTO/2
}

// synackRTO is the first retransmission timeout of a SYN-ACK (RFC 6298 section 2),
// with a little more for the way.
const synackRTO = 1200 * time.Millisecond

// maybeStateless reports whether the server may have kept no state after its
// SYN-ACK (SYN cookies, RFC 4987 section 3.6): for longer than the first
// retransmission timeout it neither repeated it nor showed that the ACK had
// arrived.
func (in *inference) maybeStateless(synack, proof int) bool {
	ev := in.c.Events
	until := in.c.Until
	if proof >= 0 {
		until = ev[proof].At
	}
	return until.Sub(ev[synack].At) > synackRTO && len(in.lacks) <= 1
}

// provesEstablished returns the first own event that shows the handshake's last
// ACK to have arrived. After a Fast Open a server may send before that, so there
// only an acknowledgment beyond the SYN's data does.
func (in *inference) provesEstablished(from, talk int) int {
	if talk < 0 {
		return talk
	}
	if !in.fastOpen() {
		// In SYN-RECEIVED too a SYN that comes again is answered with a bare ACK, so one
		// that passed before any ACK towards the endpoint proves nothing.
		return in.first(in.me, talk, func(e *Event) bool {
			return plain(e) && (e.Kind != KindACK || in.acksData(e) || len(in.cands) > 0 && in.c.Events[in.cands[0]].At <= e.At)
		})
	}
	synack := &in.c.Events[from]
	return in.first(in.me, from, func(e *Event) bool { return plain(e) && e.Ack.After(synack.Ack) })
}

// acksData reports whether an own event acknowledges more than the peer's SYN.
func (in *inference) acksData(e *Event) bool {
	p := in.peer()
	return p.HasISN && e.Flags&wire.ACK != 0 && e.Ack.After(p.ISN.Add(1))
}

// fastOpen reports whether the server acknowledged data of the client's SYN.
func (in *inference) fastOpen() bool {
	syn, synack := in.firstOf(Client, KindSYN), in.firstOf(Server, KindSYNACK)
	return syn >= 0 && synack >= 0 && in.c.Events[syn].Len > 0 && in.c.Events[synack].Ack == in.c.Events[syn].End
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
