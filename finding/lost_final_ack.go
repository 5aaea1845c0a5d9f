package finding

import (
	"fmt"
	"time"

	"github.com/tcplife/tcplife/reassembly"
)

var _ = register(Rule{
	ID:        "lost-final-ack",
	Catalogue: []string{"C05a", "C05b", "C05c", "C05d"},
	Title:     "The last ACK of the close did not arrive",
	Severity:  Warning,
	RFC:       "9293 3.6, 3.10.7.4; 6298 5",
	Triggers:  reassembly.SeenRepeatFIN | reassembly.SeenOpenFIN | reassembly.SeenAckUnseen,
	Check:     checkLostFinalAck,
	Meaning: `The side that closed second (or, when both closed at once, either side) sent its FIN
and had to send it again: the ACK that ends the connection did not reach it. The
endpoint named is that side. It stays in LAST_ACK until an ACK or a RST arrives or its
retries run out, and holds memory so long; no data is lost.

- C05a: no ACK passed the capture point before the FIN was repeated. Either the ACK died
  between the peer and the capture point, or the FIN died behind it.
- C05b: the ACK passed, and the FIN came again too late to have crossed it. The ACK died
  between the capture point and the sender of the FIN: the fault lies on that part of the
  path, in that direction.
- C05c: when the FIN came again the peer answered with RST: it had left TIME_WAIT early.
- C05d: the capture ends before an answer was due. Nothing can be said.`,
	Signature: `    A                    tap                     B
    | FIN ------------------|----------------------> |  B: CLOSE_WAIT
    | <---------------------|------------------- FIN |  B: LAST_ACK
    | ACK ------------------|---- x                  |  C05b: lost behind the tap
    | ACK ----- x           |                        |  C05a: lost before the tap
    | <---------------------|------- FIN, once again |  after the RTO, 200 ms or more
    | ACK ------------------|----------------------> |  from TIME_WAIT; B: CLOSED
    | RST ------------------|----------------------> |  or C05c: TIME_WAIT is gone`,
	Alternatives: `A FIN that is already under way when its ACK passes (they cross) is no loss: it
follows the ACK by less than the sender's response time, and is left out, unless the ACK
was prompt and the time is short by less than a quarter. A segment that
the network duplicated has the IP identification or time stamp of the first copy, or
comes after its sender is known to have had the ACK; it is left out too. An ACK held up
for longer than the retransmission timeout looks like a lost one. For C05a: the capture
lost the ACK, the peer's host is gone, or a one-way capture.`,
	Advice: `One case is an ordinary lost packet. Many of them on one path: C05b counts its loss
in one direction, behind the capture point; look at the interface counters and queues
between the capture point and the named endpoint. C05a: capture nearer to the peer to see
whether it sends the ACK at all; a firewall that forgets a connection at the first or
second FIN drops exactly this ACK (compare its close timers with the FIN's time). C05c:
see the rule fin-answered-by-reset. On the named host, sockets in LAST_ACK
(ss -tan state last-ack) show how many wait.`,
	Settings: `Linux: tcp_orphan_retries (0, which stands for 8 repetitions of a FIN whose socket is
closed), tcp_max_tw_buckets (above it TIME_WAIT is skipped), tcp_rfc1337 (0).
tcp_fin_timeout (60 s) is about FIN_WAIT_2 and does not shorten TIME_WAIT, which lasts
60 s and is fixed; tcp_tw_recycle is gone since 4.12. tcp_invalid_ratelimit (500 ms)
spaces the ACKs that TIME_WAIT sends.`,
})

func checkLostFinalAck(c *Case, report func(Finding)) {
	for s := range c.Ends {
		side := reassembly.Side(s)
		fin := firstFIN(c, side)
		if fin < 0 {
			continue
		}
		if last, crossed := finalFIN(c, fin); last {
			l := &c.lost
			*l = lostAck{c: c, side: side, fin: fin, crossed: crossed, ack: ackOf(c, side.Peer(), fin, c.Ends[side].FIN)}
			l.judge(report)
		}
	}
}

// finalFIN reports whether the ACK of a FIN ends the connection: the FIN answers
// the peer's, or the two crossed.
func finalFIN(c *Case, fin int) (final, crossed bool) {
	e := &c.Events[fin]
	peer := e.From.Peer()
	theirs := firstFIN(c, peer)
	switch {
	case theirs < 0:
		return false, false
	case acknowledges(e, c.Ends[peer].FIN):
		return true, false
	case acknowledges(&c.Events[theirs], c.Ends[e.From].FIN):
		return false, false
	}
	// Neither knew of the other. Crossing takes less than both ways together; what
	// is further apart did not cross, the earlier one was lost.
	apart := e.At.Sub(c.Events[theirs].At)
	return apart.Abs() <= c.Ends[0].Response+c.Ends[1].Response, true
}

// lostAck looks at what became of one FIN.
type lostAck struct {
	c       *Case
	side    reassembly.Side
	fin     int
	crossed bool
	ack     int // the first that covers it, or -1
	// copies are the FIN and its repetitions; acks those that passed and are proved
	// lost by a repetition; reset a RST that answers a repetition, or -1.
	copies, acks []int
	reset        int
	// gap is the longest time from an ACK to the repetition that shows it lost.
	gap time.Duration
	few [2][8]int // memory of copies and acks, which are seldom more
}

// staleFIN is how long after a FIN its first repetition may come: three seconds is
// the longest first timeout in use (RFC 1122 section 4.2.3.1), and up to two
// repetitions may be missing from the capture. Later ones double at most, so four
// times the interval before allows for one that is missing.
const staleFIN = 12 * time.Second

// jitter is how much longer than at its best a path may take, for a claim that
// shall be certain: twice as long and 20 ms more, a full queue of an access line.
func jitter(best time.Duration) time.Duration { return 2*best + 20*time.Millisecond }

// unknownResponse stands for a response time that could not be measured: the
// smallest retransmission timeout of common stacks, which no shorter round trip
// exceeds.
const unknownResponse = 200 * time.Millisecond

func (l *lostAck) judge(report func(Finding)) {
	c, you := l.c, l.side.Peer()
	end := c.Ends[l.side].FIN
	l.copies, l.acks, l.reset = append(l.few[0][:0], l.fin), l.few[1][:0], -1
	gone, spare := false, -1
	for i := range c.resets() {
		r := &c.rsts[i]
		switch {
		case r.from == you && genuine(r.event) && (r.at < l.fin || r.origin == reply && r.trigger <= l.fin):
			gone = true // the peer had no socket left that could acknowledge anything
		case r.from == you:
		case r.origin == reply && r.trigger > l.fin && acknowledges(&c.Events[r.trigger], end):
			spare = r.trigger // it met no socket: one before it had arrived
		}
	}
	if gone {
		return
	}
	unseen := 0
	interval := staleFIN / 4
	if a := l.missedCopy(); a >= 0 {
		l.acks, l.gap = append(l.acks, a), c.Events[l.fin].At.Sub(c.Events[a].LastAt)
	}
	for i := l.fin + 1; i < len(c.Events); i++ {
		e := &c.Events[i]
		if e.From != l.side || !genuine(e) {
			continue
		}
		if e.Kind == reassembly.KindRST {
			break // it has no socket any more, and repeats nothing
		}
		before := &c.Events[l.copies[len(l.copies)-1]]
		if e.Kind != reassembly.KindFIN || e.End != end || reassembly.Copied(before, e) || knewAcked(c, l.side, i, end) {
			continue
		}
		if you := l.side.Peer(); l.crossed && acknowledges(e, c.Ends[you].FIN) && !acknowledges(before, c.Ends[you].FIN) && e.At.Sub(before.At) < unknownResponse {
			continue // some stacks acknowledge the peer's FIN by sending theirs once more
		}
		if e.At.Sub(before.At) > 4*interval {
			break
		}
		interval = max(interval, e.At.Sub(before.At))
		l.copies = append(l.copies, i)
		if l.ack >= 0 && l.ack < i {
			for a := l.ack; a >= 0 && a < i; a = ackOf(c, you, a, end) {
				if gap := e.At.Sub(c.Events[a].LastAt); !l.mayCross(a, i) && !l.heldUp(a, i) && (len(l.acks) == 0 || a > l.acks[len(l.acks)-1]) {
					l.acks = append(l.acks, a)
					l.gap = max(l.gap, gap)
				}
			}
		} else if a := ackOf(c, you, i, end); e.At.Sub(before.At) >= reassembly.ShortestRTO && (a < 0 || c.Events[a].At.Sub(e.At) >= c.Ends[you].Response/2) {
			// An ACK right behind the repetition answers the first copy: it was late. A
			// probe for a lost tail comes too soon to tell.
			unseen++
		}
		// A RST of the peer's host without a socket that answers it.
		for _, r := range c.resets() {
			if r.from == you && r.origin == reply && r.trigger == i {
				l.reset = r.at
			}
		}
	}
	if n := len(l.acks); n > 0 && spare > l.acks[n-1] {
		l.acks = l.acks[:n-1]
	}
	if l.answered() >= len(l.copies) {
		unseen = 0
	}
	switch {
	case len(l.acks) > 0:
		l.lostBehind(report)
	case unseen > 0:
		l.neverSeen(report)
	case len(l.copies) == 1 && l.ack < 0:
		l.pending(report)
	}
	if l.reset >= 0 {
		l.timeWaitGone(report)
	}
}

// answered counts the ACKs that the peer sent for the FIN: where there is one for each
// copy, all copies and all ACKs arrived, some of them late.
func (l *lostAck) answered() (n int) {
	for i := l.fin + 1; i < len(l.c.Events); i++ {
		e := &l.c.Events[i]
		if e.From != l.side && genuine(e) && e.Kind == reassembly.KindACK && acknowledges(e, l.c.Ends[l.side].FIN) {
			n += int(e.Count)
		}
	}
	return n
}

// missedCopy returns the peer's ACK of the FIN that passed before any copy of it was
// captured, if it did so too early to cross the copy that was: the capture missed
// the first copy, and what it holds is a repetition. -1: there is none.
func (l *lostAck) missedCopy() int {
	a := ackOf(l.c, l.side.Peer(), -1, l.c.Ends[l.side].FIN)
	if a < 0 || a > l.fin || l.mayCross(a, l.fin) {
		return -1
	}
	return a
}

// mayCross reports whether a copy of the FIN may have been under way when the ACK
// passed.
func (l *lostAck) mayCross(ack, again int) bool {
	c := l.c
	if c.Ends[l.side].Response == 0 {
		return c.Events[again].At.Sub(c.Events[ack].LastAt) < unknownResponse
	}
	return c.MayCross(ack, again)
}

// heldUp reports whether the peer's FIN, which went before its ACK of this one, arrived
// only after this one had been repeated: the copy does not acknowledge it, and what the
// side sent next does, too soon for an answer to anything later. Then the path was slow
// for both, and the ACK behind it was late, not lost.
func (l *lostAck) heldUp(ack, again int) bool {
	c, you := l.c, l.side.Peer()
	theirs := firstFIN(c, you)
	if theirs < 0 || theirs >= ack || acknowledges(&c.Events[again], c.Ends[you].FIN) {
		return false
	}
	known := ackOf(c, l.side, again, c.Ends[you].FIN)
	repeated := firstOf(c, you, reassembly.KindFIN, theirs+1)
	best := c.Ends[l.side].Response
	return known >= 0 && c.Events[known].At.Sub(c.Events[again].At) < best && (repeated < 0 || repeated > known || c.Events[known].At.Sub(c.Events[repeated].At) < best)
}

// where is the endpoint's state while it waits for the ACK.
func (l *lostAck) where() string {
	if l.crossed {
		return "CLOSING"
	}
	return "LAST_ACK"
}

func (l *lostAck) lostBehind(report func(Finding)) {
	c, you := l.c, l.side.Peer()
	repeats := l.copies
	if l.acks[0] > l.fin {
		repeats = l.copies[1:]
	}
	again := ackOf(c, you, repeats[len(repeats)-1], c.Ends[l.side].FIN)
	shown := next(c, l.acks[0]+1, func(e *reassembly.Event) bool { return e.From == l.side && e.Kind == reassembly.KindFIN })
	var room [16]int
	named := append(append(append(room[:0], again), l.copies...), l.acks...)
	f := Finding{Catalogue: "C05b", Severity: Warning, Confidence: Certain, Endpoint: Endpoint(l.side), Frames: frames(c, named...)}
	best := c.Ends[l.side].Response
	if l.acks[0] < l.fin || best == 0 || l.gap < best || l.gap <= jitter(best) {
		f.Confidence = Likely
	}
	if c.Words() {
		count := ""
		if len(l.acks) > 1 {
			count = fmt.Sprintf(", like %d more,", len(l.acks)-1)
		}
		f.Message = fmt.Sprintf("The %s's ACK of the %s's FIN passed the capture point at %s%s and did not arrive: the %s repeated its FIN %s, %s after that ACK, and was in %s for %s.",
			you, l.side, since(c, c.Events[l.acks[0]].At), count, l.side, times(len(repeats)), span(c.Events[shown].At.Sub(c.Events[l.acks[0]].At)), l.where(), l.waited(again))
		f.Falsify = fmt.Sprintf("The ACK was held up, not lost, if a capture at the %s shows it arriving late; the repeated FIN is a copy made by the network if the %s did not send it twice.", l.side, l.side)
		switch {
		case l.acks[0] < l.fin:
			f.Reason = "the capture missed the FIN's first copy; that there was one shows only in its ACK"
		case best == 0:
			f.Reason = fmt.Sprintf("the %s's response time is unknown, so an ACK that crossed the repeated FIN cannot be ruled out", l.side)
		case l.gap < best:
			f.Reason = fmt.Sprintf("the FIN followed its ACK by %s, and the %s answers in %s at best; but the ACK was as prompt as ever, and a retransmission timer is longer than a round trip", span(l.gap), l.side, span(best))
		case l.gap <= jitter(best):
			f.Reason = fmt.Sprintf("the FIN followed its ACK by %s; the %s answers in %s at best, and a slow path might let the two cross", span(l.gap), l.side, span(best))
		default:
			f.Reason = fmt.Sprintf("the FIN followed its ACK by %s, more than crossing segments explain (the %s answers in %s)", span(l.gap), l.side, span(c.Ends[l.side].Response))
		}
	}
	report(f)
}

func (l *lostAck) neverSeen(report func(Finding)) {
	c, you := l.c, l.side.Peer()
	f := Finding{
		Catalogue: "C05a", Severity: Warning, Confidence: Likely, Endpoint: Endpoint(l.side),
		Frames: frames(c, append([]int{l.ack}, l.copies...)...),
		Message: fmt.Sprintf("The %s sent its FIN at %s and repeated it %s; no ACK of it passed the capture point", l.side, since(c, c.Events[l.fin].At),
			times(len(l.copies)-1)),
		Falsify: fmt.Sprintf("A capture at the %s that shows the ACK arriving before the FIN was repeated, or the ACK in another capture of this path.", l.side),
		Reason:  "the FIN itself may have died behind the capture point instead of its ACK before it",
	}
	if l.ack >= 0 {
		f.Message += fmt.Sprintf(" until %s, %s after the first FIN.", since(c, c.Events[l.ack].At), span(c.Events[l.ack].At.Sub(c.Events[l.fin].At)))
	} else {
		end := c.Events[l.copies[len(l.copies)-1]].LastAt
		f.Message += fmt.Sprintf(" up to the last of them at %s: the %s stayed in %s.", since(c, end), l.side, l.where())
	}
	// The peer's own repetition says what it had not received when it sent it.
	unaware := next(c, l.fin+1, func(e *reassembly.Event) bool {
		return e.From == you && genuine(e) && e.Kind == reassembly.KindFIN && !acknowledges(e, c.Ends[l.side].FIN) &&
			e.At.Sub(c.Events[l.fin].At) > jitter(c.Ends[you].Response)
	})
	if l.ack < 0 && len(l.copies) >= stuckCopies {
		f.Severity = Info // the same as fin-unanswered, which says how long it went on
	}
	switch why := gaps(c); {
	case unaware >= 0:
		f.Reason = fmt.Sprintf("the %s repeated its own FIN %s after without acknowledging this one, so the FIN had died before its ACK could", you, span(c.Events[unaware].At.Sub(c.Events[l.fin].At)))
	case why != "":
		f.Confidence, f.Reason = Possible, why+"; the ACK may have passed unseen"
	}
	report(f)
}

// pendingTime is how long the ACK of a FIN may be awaited without a word: the longest
// first timeout in use (RFC 1122 section 4.2.3.1). Within it the FIN need not have been
// repeated yet.
const pendingTime = staleFIN / 4

func (l *lostAck) pending(report func(Finding)) {
	c := l.c
	left := c.Until.Sub(c.Events[l.fin].At)
	answered := next(c, l.fin+1, func(e *reassembly.Event) bool {
		return e.From != l.side && e.Kind == reassembly.KindRST && genuine(e)
	}) >= 0
	if c.Ended != reassembly.EndedInput || left > pendingTime || answered || l.crossed {
		return
	}
	// Likely, not certain, although it says no more than the capture shows: a longer one
	// would take it back, as a rule.
	report(Finding{
		Catalogue: "C05d", Severity: Info, Confidence: Likely, Endpoint: Endpoint(l.side),
		Frames: frames(c, l.fin),
		Message: fmt.Sprintf("The capture ends %s after the %s's FIN, before its ACK was seen: whether the close was completed is unknown, nothing is known to be lost.",
			span(left), l.side),
		Falsify: "A capture that goes on for some seconds.",
		Reason:  "a FIN need not be repeated within the first three seconds, so that it was not says nothing either way",
	})
}

func (l *lostAck) timeWaitGone(report func(Finding)) {
	c, you := l.c, l.side.Peer()
	report(Finding{
		Catalogue: "C05c", Severity: Warning, Confidence: Certain, Endpoint: Endpoint(l.side),
		Frames: frames(c, append([]int{l.reset}, l.copies...)...),
		Message: fmt.Sprintf("The %s repeated its FIN and met a RST at %s, %s after the first one: the %s had no socket left, not even in TIME_WAIT, so the %s's close ends in an error.",
			l.side, since(c, c.Events[l.reset].At), span(c.Events[l.reset].At.Sub(c.Events[l.fin].At)), you, l.side),
		Falsify: fmt.Sprintf("A RST that the %s's host did not send, for instance one of a firewall that had forgotten the connection.", you),
		Reason:  "the RST's number is the acknowledgment in the repeated FIN, as a host without that socket makes it",
	})
}

// waited says how long the endpoint waited for its ACK, from its FIN to the ACK
// that ended it or to the last repetition.
func (l *lostAck) waited(again int) string {
	from := l.c.Events[l.fin].At
	if again >= 0 {
		return span(l.c.Events[again].At.Sub(from))
	}
	return span(l.c.Events[l.copies[len(l.copies)-1]].At.Sub(from)) + " or more"
}
