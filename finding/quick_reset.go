package finding

import (
	"fmt"
	"time"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

var _ = register(Rule{
	ID:        "quick-reset",
	Catalogue: []string{"R08"},
	Title:     "A RST came sooner than its side can answer",
	Severity:  Warning,
	RFC:       "3360; 9293 3.5.2",
	Triggers:  reassembly.SeenRST,
	Check:     checkQuickReset,
	Meaning: `A RST that knows of a request (it acknowledges it, or takes its number from it) passed the
capture sooner after the request than that side ever answered. Somebody nearer to the capture made
it: a content filter, an intrusion prevention system, a censor.`,
	Signature: `    A         tap    device           B
    | request --|------|-------------> |
    | <---------|- RST |               |  after 1 ms; B answers in 30 ms`,
	Alternatives: `A server that is slower in everything else than in refusing; a response time that could
only be measured badly. Where the capture was made at the server itself both are alike.`,
	Advice: `Capture at the server: if it did not send the RST, go through the devices between; the hop
limit tells how far away it was made. Which request met it says what the filter looks for.`,
	Settings: `None on the hosts: it is the device's policy.`,
})

func checkQuickReset(c *Case, report func(Finding)) {
	for s := range c.Ends {
		side := reassembly.Side(s)
		best := c.Ends[side].Response
		if best < 2*time.Millisecond {
			continue // half of it is what one scheduling of a process takes
		}
		for _, r := range c.resets() {
			i, rst := r.at, r.event
			if r.from != side {
				continue
			}
			request := last(c, i, func(e *reassembly.Event) bool { return e.From != side && genuine(e) && e.Len > 0 })
			if request < 0 {
				continue
			}
			e := &c.Events[request]
			gap := rst.At.Sub(e.LastAt)
			knows := rst.Flags&wire.ACK != 0 && rst.Ack == e.End || rst.Flags&wire.ACK == 0 && rst.Seq == e.Ack && otherTTL(c, i)
			if !knows || gap < 0 || gap >= best/2 {
				continue
			}
			f := Finding{
				Catalogue: "R08", Severity: Warning, Confidence: Likely, Endpoint: Both,
				Frames:  frames(c, request, i),
				Message: fmt.Sprintf("A RST in the %s's name came %s after the %s's data; that side answers in %s at best.", side, span(gap), side.Peer(), span(best)),
				Falsify: fmt.Sprintf("A capture at the %s that shows it sending the RST.", side),
				Reason:  "it knows of the data and came in less than half of that side's best time",
			}
			report(f)
			break
		}
	}
}
