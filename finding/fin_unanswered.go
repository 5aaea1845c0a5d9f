package finding

import (
	"fmt"

	"github.com/tcplife/tcplife/reassembly"
)

var _ = register(Rule{
	ID:        "fin-unanswered",
	Catalogue: []string{"C06", "C09", "C10"},
	Title:     "A side is stuck in its close",
	Severity:  Warning,
	RFC:       "9293 3.6, 3.8.1; 6298 5.5",
	Triggers:  reassembly.SeenRepeatFIN | reassembly.SeenOpenFIN,
	Check:     checkFINUnanswered,
	Meaning: `A side repeated its FIN time and again: no acknowledgment of it reached it.

- C06: it had closed first (FIN_WAIT_1). The peer, its host or the path died during the close, and
  what was sent before the FIN may be missing as well.
- C09: it had closed second (LAST_ACK). The data is safe, but the socket stays until the retries
  end.
- C10: both had closed at once (CLOSING).`,
	Signature: `    A                     B
    | FIN ------------> ?    |
    | FIN ------------> ?    |  after 0.2, 0.4, 0.8, 1.6 s ...
    | FIN ------------> ?    |  until tcp_orphan_retries; then silence`,
	Alternatives: `An ACK that passed the capture and died behind it (lost-final-ack tells, C05b): the side
is stuck all the same. A capture that lost the ACKs: then the FIN would not be repeated.`,
	Advice: `C06: as for a dead peer (retransmission-death): when was it last heard? C09, C10: the peer
has finished; look for a firewall that forgets the connection at the second FIN and drops what
follows, and compare its close timers. Many sockets in these states (ss -tan state last-ack) hold
memory; tcp_max_orphans bounds them.`,
	Settings: `Linux: tcp_orphan_retries (0 stands for 8; some 100 s at the smallest timer),
tcp_max_orphans; tcp_fin_timeout (60 s) is about FIN_WAIT_2 only. FreeBSD:
net.inet.tcp.finwait2_timeout is about FIN_WAIT_2 too; FINs are repeated 12 times. Windows:
TcpMaxDataRetransmissions (5).`,
})

// stuckCopies is how often a FIN must have been sent for its side to be stuck: four
// times takes 1.4 s at the smallest timer, and ordinary loss seldom hits three
// repetitions in a row. Three times is given as likely.
const stuckCopies = 4

func checkFINUnanswered(c *Case, report func(Finding)) {
	for s := range c.Ends {
		side := reassembly.Side(s)
		you := side.Peer()
		fin := firstFIN(c, side)
		if fin < 0 {
			continue
		}
		end := c.Ends[side].FIN
		var room [8]int
		copies := append(room[:0], fin)
		for i := fin + 1; i < len(c.Events); i++ {
			e := &c.Events[i]
			before := &c.Events[copies[len(copies)-1]]
			if e.From == side && e.Kind == reassembly.KindRST {
				break
			}
			if e.From != side || e.Kind != reassembly.KindFIN || e.End != end || !genuine(e) || reassembly.Copied(before, e) || e.At.Sub(before.At) < reassembly.ShortestRTO || knewAcked(c, side, i, end) {
				continue
			}
			copies = append(copies, i)
		}
		if len(copies) < stuckCopies-1 {
			continue
		}
		lastCopy := &c.Events[copies[len(copies)-1]]
		f := Finding{
			Catalogue: "C06", Severity: Warning, Confidence: Certain, Endpoint: Endpoint(side),
			Frames: frames(c, first(copies, 2*groupMax)...),
			Message: fmt.Sprintf("The %s sent its FIN %s in %s and no ACK of it arrived in that time: it was stuck in FIN_WAIT_1.",
				side, times(len(copies)), span(lastCopy.LastAt.Sub(c.Events[fin].At))),
			Falsify: fmt.Sprintf("The %s's record of an ACK that it got before it sent the last of these FINs.", side),
			Reason:  "a host that has the ACK does not send its FIN again",
		}
		where := ""
		switch final, crossed := finalFIN(c, fin); {
		case crossed || bothUnaware(c, fin):
			f.Catalogue, where = "C10", "CLOSING"
		case final:
			f.Catalogue, where = "C09", "LAST_ACK"
		case firstFIN(c, you) >= 0:
			if len(copies) < stuckCopies {
				continue
			}
		}
		if where != "" {
			f.Message = fmt.Sprintf("The %s sent its FIN %s in %s and no ACK of it arrived in that time: it was stuck in %s.",
				side, times(len(copies)), span(lastCopy.LastAt.Sub(c.Events[fin].At)), where)
		}
		if where == "" && inside(c) && last(c, fin, func(e *reassembly.Event) bool { return e.From == you && genuine(e) }) < 0 {
			doubted(&f, Likely, "the capture begins with the FIN, so the peer may have closed before: FIN_WAIT_1 and LAST_ACK look the same")
		}
		if len(copies) < stuckCopies {
			f.Severity, f.Confidence, f.Reason = Info, Likely, "two repetitions are within what ordinary loss does"
		}
		report(f)
	}
}

// bothUnaware reports whether the FIN at fin and the peer's were sent without
// knowledge of each other.
func bothUnaware(c *Case, fin int) bool {
	e := &c.Events[fin]
	theirs := firstFIN(c, e.From.Peer())
	return theirs >= 0 && !acknowledges(e, c.Ends[e.From.Peer()].FIN) && !acknowledges(&c.Events[theirs], c.Ends[e.From].FIN)
}
