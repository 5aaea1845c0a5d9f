package finding

import (
	"fmt"
	"time"

	"github.com/tcplife/tcplife/reassembly"
)

var _ = register(Rule{
	ID:        "fin-answered-by-reset",
	Example:   "fin-answered-by-reset-prompt.pcap",
	Catalogue: []string{"C05c", "C15", "W11"},
	Title:     "The second FIN was answered by RST",
	Severity:  Warning,
	RFC:       "9293 3.5.2, 3.6; 1122 4.2.2.13",
	Triggers:  reassembly.SeenRST,
	resets:    closedBoth,
	Check:     checkFINAnsweredByReset,
	Meaning: `Both sides closed, but the FIN of the second (the endpoint named) met a RST instead
of the last ACK.

- C05c, W11: the RST has no ACK flag and takes its number from the FIN: the first closer's
  host had no socket any more. It had waited in FIN_WAIT_2 until its timer ran out
  (tcp_fin_timeout, 60 s), or went without TIME_WAIT because there were too many.
- C15: the RST carries an ACK: the first closer's socket was still there and aborted, for
  instance by SO_LINGER with time 0, to be spared TIME_WAIT.

Data is lost only if some was unacknowledged; the second closer sees ECONNRESET.`,
	Signature: `    A                               B
    | FIN ------------------------> |
    | <------------------------ ACK |  A: FIN_WAIT_2
    |        (short, or > 60 s)     |  A: socket gone
    | <------------------------ FIN |  B: LAST_ACK
    | RST, seq = B's ack ---------> |  B: CLOSED, with an error`,
	Alternatives: `A device that forgot the half-closed connection may answer for A: its RST has
another hop limit or comes faster than A's answers. A RST to a repeated FIN after the ACK
passed is the rule lost-final-ack.`,
	Advice: `Look at the time between the two FINs. About tcp_fin_timeout or more: B closes too
late; find out why B does not close when it reads the end of file (sockets in CLOSE_WAIT
there). Milliseconds: A skips TIME_WAIT (nstat TcpExtTCPTimeWaitOverflow counts it; raise
tcp_max_tw_buckets) or aborts on purpose. If B logs errors for these connections, they are
harmless as long as all data was acknowledged.`,
	Settings: `Linux: tcp_fin_timeout (60 s, for orphans in FIN_WAIT_2 only; TIME_WAIT is not
shortened by it), tcp_max_tw_buckets (by memory, up to 262144), TCP_LINGER2, SO_LINGER.
tcp_tw_recycle is gone since 4.12.`,
})

func checkFINAnsweredByReset(c *Case, report func(Finding)) {
	for s := range c.Ends {
		me := reassembly.Side(s) // sender of the FIN that met the RST
		fin := firstFIN(c, me)
		if fin < 0 {
			continue
		}
		theirs := finBefore(c, me.Peer(), fin)
		if theirs < 0 || !acknowledges(&c.Events[fin], c.Ends[me.Peer()].FIN) {
			continue
		}
		if a := ackOf(c, me.Peer(), fin, c.Ends[me].FIN); a >= 0 {
			continue // it was acknowledged; what came later is another story
		}
		var g group
		for i := range c.resets() {
			r := &c.rsts[i]
			if r.from == me || r.at < fin || r.origin != reply && r.origin != abort {
				continue
			}
			switch {
			case r.origin == reply && r.trigger != fin:
				continue // a repetition's: see lost-final-ack
			case r.lateData(c, theirs) >= 0:
				continue // data was refused, whatever FIN was with it: see late-data-reset
			case unaware(r.event, c.Ends[me].FIN):
				continue // it was sent before the FIN arrived: they crossed
			case r.origin == abort && r.event.At.Sub(c.Events[fin].At) > jitter(c.Ends[r.from].Response):
				continue // it did not answer the FIN
			}
			g.add(r, theirs, fin)
		}
		if g.n > 0 {
			reportFINReset(c, me, theirs, fin, &g, report)
		}
	}
}

func reportFINReset(c *Case, me reassembly.Side, theirs, fin int, g *group, report func(Finding)) {
	r, you := g.first, me.Peer()
	lost, _ := unacked(c, me, r.at)
	between := c.Events[fin].At.Sub(c.Events[theirs].At)
	f := Finding{
		Catalogue: "C05c", Severity: Info, Confidence: Certain, Endpoint: Endpoint(me),
		Frames: frames(c, g.events()...),
		Message: fmt.Sprintf("The %s's FIN, %s after the %s's, was answered by RST after %s instead of the last ACK: ", me, span(between), you,
			span(r.event.At.Sub(c.Events[fin].At))),
		Falsify: fmt.Sprintf("A RST that the %s's host did not send (another hop limit, or the host's socket still in TIME_WAIT).", you),
		Reason:  "the RST's number is the acknowledgment in that FIN, as a host without that socket makes it",
	}
	switch {
	case r.origin == abort:
		f.Catalogue, f.Confidence = "C15", Likely
		f.Message += fmt.Sprintf("the %s aborted its socket", you)
		f.Reason = "an abort on purpose and the end of a process look the same"
	case between >= shortestOrphan:
		f.Message += fmt.Sprintf("the %s had waited in FIN_WAIT_2 and given the connection up", you)
	default:
		f.Message += fmt.Sprintf("the %s had no socket any more and skipped TIME_WAIT", you)
	}
	if r.doubt != 0 && f.Confidence == Certain {
		f.Confidence, f.Reason = Likely, r.why(c)
	}
	switch {
	case lost == 0:
		f.Message += "; all data had been acknowledged."
	case c.Farewell(r.at):
		f.Message += fmt.Sprintf("; %s were never acknowledged.", plural(int(lost), "octet")) + farewell
	default:
		f.Severity = Warning
		f.Message += fmt.Sprintf("; %s were never acknowledged.", plural(int(lost), "octet"))
	}
	report(f)
}

// shortestOrphan is how long at least FIN_WAIT_2 lasts where it is bounded:
// tcp_fin_timeout is 60 s by default and lowered to a few seconds on busy hosts.
const shortestOrphan = 2 * time.Second
