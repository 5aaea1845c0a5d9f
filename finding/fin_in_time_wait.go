package finding

import (
	"fmt"

	"github.com/tcplife/tcplife/reassembly"
)

var _ = register(Rule{
	ID:        "fin-in-time-wait",
	Catalogue: []string{"W06"},
	Title:     "TIME_WAIT had to acknowledge the FIN again",
	Severity:  Info,
	RFC:       "9293 3.6, 3.10.7.4",
	Triggers:  reassembly.SeenRepeatFIN,
	Check:     checkFINInTimeWait,
	Meaning: `The endpoint named had acknowledged the peer's FIN and stood in TIME_WAIT when that
FIN came once more; it acknowledged it again, and its 2MSL timer began anew. This is what
TIME_WAIT is for. Whether the first ACK had been lost is another question, which
lost-final-ack answers where the times tell.`,
	Signature: `    A                           B
    | <-------------------- FIN |
    | ACK --------------------> |  A: TIME_WAIT
    | <--------- FIN once again |
    | ACK --------------------> |  2MSL begins anew`,
	Alternatives: `The ACK was lost behind the capture point (then lost-final-ack says so), the
repetition was already under way when the ACK passed, or the network made a copy of the
FIN.`,
	Advice: `Nothing to do. Many of them with lost-final-ack: look for the loss. Many without: the
peer repeats its FIN too soon, a retransmission timer below the path's round trip.`,
	Settings: `Linux: tcp_invalid_ratelimit (500 ms) spaces the ACKs that TIME_WAIT sends; TIME_WAIT
lasts 60 s from the last of these FINs on, and tcp_fin_timeout does not shorten it.`,
})

func checkFINInTimeWait(c *Case, report func(Finding)) {
	for s := range c.Ends {
		side := reassembly.Side(s) // who was in TIME_WAIT
		peer := side.Peer()
		end := c.Ends[peer].FIN
		fin := firstFIN(c, peer)
		if fin < 0 {
			continue
		}
		first := ackOf(c, side, fin, end)
		if first < 0 {
			continue
		}
		var room [2 * groupMax]int
		shown := room[:0]
		n, answered := 0, -1
		for i := first + 1; i < len(c.Events); i++ {
			e := &c.Events[i]
			if e.From != peer || e.Kind != reassembly.KindFIN || e.End != end || !genuine(e) || i < answered ||
				stateBefore(c, side, i) != reassembly.TimeWait {
				continue
			}
			answer := next(c, i+1, func(a *reassembly.Event) bool { return a.From == side })
			if answer < 0 || !acknowledges(&c.Events[answer], end) {
				continue // the capture ends here, or TIME_WAIT was over: a RST
			}
			if n++; n <= groupMax {
				shown = append(shown, i, answer)
			}
			answered = answer
		}
		if n == 0 {
			continue
		}
		f := Finding{
			Catalogue: "W06", Severity: Info, Confidence: Certain, Endpoint: Endpoint(side),
			Frames: frames(c, shown...),
			Reason: "the FIN had been acknowledged before, and so was its repetition",
		}
		if c.Words() {
			f.Message = fmt.Sprintf("The %s's FIN came again %s while the %s was in TIME_WAIT, first %s after its ACK, and was acknowledged again.",
				peer, times(n), side, span(c.Events[shown[0]].At.Sub(c.Events[first].At)))
			f.Falsify = fmt.Sprintf("A capture at the %s in which the repeated FIN does not arrive.", side)
		}
		switch {
		case gaps(c) != "" || inside(c):
			f.Confidence, f.Reason = Likely, "the capture does not hold all of the close"
		case !proven(c, side, reassembly.TimeWait):
			f.Confidence, f.Reason = Likely, "both closed at once, and that this side had the ACK of its own FIN by then is not shown: in CLOSING it would have answered in the same way"
		}
		report(f)
	}
}
