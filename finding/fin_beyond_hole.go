package finding

import (
	"fmt"

	"github.com/tcplife/tcplife/reassembly"
)

var _ = register(Rule{
	ID:        "fin-beyond-hole",
	Catalogue: []string{"C16"},
	Title:     "A FIN overtook data",
	Severity:  Info,
	RFC:       "9293 3.4, 3.10.7.4",
	Triggers:  reassembly.SeenGap,
	Check:     checkFINBeyondHole,
	Meaning: `A FIN passed the capture point while data before it was still missing. The receiver
cannot act on it until the hole is filled: it keeps the FIN in its queue, keeps
acknowledging the octet before the hole and stays in its state. The close began later than
the FIN's time.`,
	Signature: `    A                               B
    | FIN, seq = next + n --------> |  B: queued, state unchanged
    | <----------- ACK of next ---- |  the ACK stays below the hole
    | data, seq = next, n octets -> |  now B has the FIN too: CLOSE_WAIT
    | <----------- ACK of the FIN - |`,
	Alternatives: `If nothing fills the hole and the receiver still acknowledges the FIN, the data
arrived and the capture lost it. If the data came a moment before with its number repeated
later, the reordering lies behind the capture point instead.`,
	Advice: `Nothing to do for the connection. Frequent reordering points to parallel links or
several queues on the path; if the hole was a loss, see how long its filling delayed the
close.`,
	Settings: `Linux: tcp_reordering (3), tcp_recovery (1, RACK) decide how the sender tells
reordering from loss.`,
})

func checkFINBeyondHole(c *Case, report func(Finding)) {
	for s := range c.Ends {
		side := reassembly.Side(s)
		fin := firstFIN(c, side)
		if fin < 0 || !c.Events[fin].Marks.Has(reassembly.MarkGap) {
			continue
		}
		e := &c.Events[fin]
		low, ok := sentBefore(c, side, fin)
		if !ok || !e.Seq.After(low) {
			continue
		}
		fill := next(c, fin+1, func(x *reassembly.Event) bool {
			return x.From == side && genuine(x) && x.Len > 0 && x.Seq.Before(e.Seq) && x.End.After(low)
		})
		// What the peer acknowledged before the hole was filled says whether it had one.
		waits := next(c, fin+1, func(x *reassembly.Event) bool {
			return x.From != side && genuine(x) && acknowledges(x, c.Ends[side].First) && x.Ack.Before(e.End)
		})
		acked := ackOf(c, side.Peer(), fin, e.End)
		if acked >= 0 && (fill < 0 || acked < fill) {
			continue // the peer had it all: the capture lost the data, not the path
		}
		f := Finding{
			Catalogue: "C16", Severity: Info, Confidence: Certain, Endpoint: Endpoint(side),
			Frames:  frames(c, fin, waits, fill, acked),
			Message: fmt.Sprintf("The %s's FIN passed the capture point at %s ahead of %s of its data", side, since(c, e.At), plural(int(e.Seq.Sub(low)), "octet")),
			Falsify: fmt.Sprintf("The missing data in another capture, before the FIN, or an ACK of the FIN by the %s before the hole was filled.", side.Peer()),
			Reason:  "the data followed after the FIN, and the peer acknowledged the FIN only then",
		}
		if fill >= 0 {
			f.Message += fmt.Sprintf(", which followed %s later; until then the %s could not act on it.", span(c.Events[fill].At.Sub(e.At)), side.Peer())
		} else {
			f.Confidence, f.Reason = Possible, "nothing filled the hole up to the end, so the capture may have lost the data"
			f.Message += fmt.Sprintf(", which was not seen afterwards; the %s has not acknowledged the FIN.", side.Peer())
		}
		if why := gaps(c); why != "" && f.Confidence == Certain {
			f.Confidence, f.Reason = Likely, why
		}
		report(f)
	}
}
