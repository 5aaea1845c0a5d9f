package finding

import (
	"fmt"

	"github.com/tcplife/tcplife/reassembly"
)

var _ = register(Rule{
	ID:        "reset-ignored",
	Catalogue: []string{"R03", "R04"},
	Title:     "A RST or SYN was not believed",
	Severity:  Info,
	RFC:       "5961 3.2, 4.2; 9293 3.5.3, 3.10.7.4",
	Triggers:  reassembly.SeenRST | reassembly.SeenReopened,
	resets:    isPassed,
	Check:     checkResetIgnored,
	Meaning: `A RST whose number was not exactly the next one, or a SYN, came for an open connection.

- R04: the RST was ignored: the side that it was meant for went on.
- R03: that side answered at once with an ACK of its current numbers, a challenge: whoever has
  really lost the connection answers it with a RST at the exact number, whoever forged the segment
  cannot. It explains ACKs that otherwise make no sense.`,
	Signature: `    somebody                   B
    | RST, inside the window -> |  not at the next number
    | <--------- challenge ACK  |
    |                           |  and data goes on as before`,
	Alternatives: `A delayed ACK of earlier data that happens to follow. A RST that arrived after the data
it should have come before.`,
	Advice: `Nothing to do for the connection: the protection worked. Find out where the RST or SYN came
from (reset-injected, port-reuse).`,
	Settings: `Linux: tcp_challenge_ack_limit (unlimited since 6.x; 1000 per second before, 100 before
4.7), tcp_invalid_ratelimit (500 ms); nstat TcpExtTCPChallengeACK counts. FreeBSD:
net.inet.tcp.insecure_rst (0), insecure_syn (0).`,
})

func checkResetIgnored(c *Case, report func(Finding)) {
	for s := range c.Ends {
		side := reassembly.Side(s) // that did not believe it
		var ignored, challenged []int
		for _, r := range c.resets() {
			i, e := r.at, r.event
			if r.from == side || closedBefore(c, i) || afterNext(c, i) {
				continue
			}
			if a := challenge(c, side, i+1, e); a >= 0 {
				// One at exactly the next number is not challenged but obeyed (RFC 5961 section 3.2).
				if acked, _ := ackedBefore(c, side, i); e.Seq != acked {
					challenged = append(challenged, i, a)
				}
			}
			if !r.goes || believed(c, side, i) {
				continue // lost behind the capture, if its sender meant it
			}
			ignored = append(ignored, i)
		}
		if len(ignored) > 0 {
			report(Finding{
				Catalogue: "R04", Severity: Info, Confidence: Certain, Endpoint: Endpoint(side),
				Frames:  frames(c, first(ignored, groupMax)...),
				Message: fmt.Sprintf("The %s ignored a RST at %s and went on.", side, since(c, c.Events[ignored[0]].At)),
				Falsify: fmt.Sprintf("The RST missing from a capture at the %s: then it was lost, not ignored.", side),
				Reason:  "both sides sent or acknowledged something new after the RST had passed",
			})
		}
		confidence, why := Certain, "the ACK followed the RST at once, repeats what was acknowledged, and nothing else asked for it"
		if len(challenged) == 0 {
			if i := challengedSYN(c, side); i >= 0 {
				challenged, why = []int{i}, "the ACK followed the SYN at once, repeats what was acknowledged, and the connection went on"
				if next(c, i+1, func(e *reassembly.Event) bool { return e.From != side && genuine(e) && e.Kind != reassembly.KindRST }) < 0 {
					confidence, why = Possible, "whether the connection goes on, or a RST of somebody who forgot it follows, is not seen"
				}
			}
		}
		if len(challenged) == 0 {
			continue
		}
		f := Finding{
			Catalogue: "R03", Severity: Info, Confidence: confidence, Endpoint: Endpoint(side),
			Frames:  frames(c, first(challenged, groupMax)...),
			Message: fmt.Sprintf("The %s answered a segment that it did not believe with a challenge ACK.", side),
			Falsify: "A segment that the ACK answers and that the capture lacks.",
			Reason:  why,
		}
		if len(challenged) == 1 {
			f.Frames = with(f.Frames, c.Next.Frame)
		}
		report(f)
	}
}

// believed reports whether a side took the RST with index i, or may have: it did
// nothing new on the connection after the RST must have arrived.
func believed(c *Case, side reassembly.Side, i int) bool {
	rst := &c.Events[i]
	acked, known := ackedBefore(c, side, i)
	sent, _ := sentBefore(c, side, i)
	return next(c, i+1, func(e *reassembly.Event) bool {
		return e.From == side && genuine(e) && e.Kind != reassembly.KindRST && e.Kind != reassembly.KindSYN &&
			e.LastAt.Sub(rst.At) > jitter(c.Ends[side].Response) && (consumes(e) && e.End.After(sent) || known && e.Ack.After(acked)) && !afterNext(c, i)
	}) < 0
}

// challenge returns the pure ACK, from event i on, with which a side answers the
// segment e at once; -1 if there is none.
func challenge(c *Case, side reassembly.Side, i int, e *reassembly.Event) int {
	a := next(c, i, func(x *reassembly.Event) bool { return x.From == side })
	if a < 0 {
		return -1
	}
	x := &c.Events[a]
	gap := x.At.Sub(e.At)
	if x.Kind != reassembly.KindACK || !genuine(x) || x.Count > 1 || gap < c.Ends[side].Response/2 || gap > jitter(c.Ends[side].Response) {
		return -1
	}
	return repeatsAck(c, side, a, i)
}

// repeatsAck returns a if the pure ACK there acknowledges nothing new and nothing
// since event i or just before asked for it, -1 otherwise.
func repeatsAck(c *Case, side reassembly.Side, a, i int) int {
	x := &c.Events[a]
	acked, known := ackedBefore(c, side, a)
	sent, _ := sentBefore(c, side, a)
	asked := last(c, a, func(e *reassembly.Event) bool {
		return e.From != side && e.Kind != reassembly.KindRST && e.Kind != reassembly.KindSYN && (consumes(e) || e.Marks.Has(reassembly.MarkKeepalive))
	})
	// What was acknowledged before the segment came asks for nothing more.
	if !known || x.Ack != acked || x.Seq != sent || asked >= i || asked >= 0 && c.Events[asked].End.After(acked) {
		return -1
	}
	return a
}

// challengedSYN returns the ACK with which a side answered the SYN that opened the
// tuple anew, where no RST followed (port-reuse tells of those).
func challengedSYN(c *Case, side reassembly.Side) int {
	if c.Next.Frame == 0 || c.Next.Opener == side || closedBy(c, c.Next.Key.Start) {
		return -1
	}
	a := next(c, 0, func(e *reassembly.Event) bool { return e.From == side && e.At > c.Next.Key.Start })
	if a < 0 {
		return -1
	}
	x := &c.Events[a]
	gap := x.At.Sub(c.Next.Key.Start)
	if x.Kind != reassembly.KindACK || !genuine(x) || x.Count > 1 || gap < c.Ends[side].Response/2 || gap > jitter(c.Ends[side].Response) {
		return -1
	}
	if next(c, a, func(e *reassembly.Event) bool {
		return e.From != side && e.Kind == reassembly.KindRST && e.Seq == x.Ack
	}) >= 0 {
		return -1
	}
	return repeatsAck(c, side, a, a)
}
