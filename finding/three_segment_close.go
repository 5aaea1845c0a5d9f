package finding

import (
	"fmt"
	"time"

	"github.com/tcplife/tcplife/reassembly"
)

var _ = register(Rule{
	ID:        "three-segment-close",
	Catalogue: []string{"C02"},
	Title:     "The close took three segments",
	Severity:  Info,
	RFC:       "9293 3.6 figure 12",
	Triggers:  reassembly.SeenPromptFIN,
	Check:     checkThreeSegmentClose,
	Meaning: `The side that closed second sent its FIN in the very segment that acknowledges the
first FIN: it went through CLOSE_WAIT and LAST_ACK at once. It is the shortest orderly close,
and says that its application closed as soon as it read the end of file, or was closing
already.`,
	Signature: `    A                               B
    | FIN ------------------------> |  A: FIN_WAIT_1
    | <----------- FIN, ACK of FIN  |  B: CLOSE_WAIT and LAST_ACK in one
    | ACK ------------------------> |  A: TIME_WAIT`,
	Alternatives: `An ACK of the first FIN that the capture lost, or that died before it. Where the
second FIN came later than any ACK may be delayed (500 ms), or the first had to be repeated, that
is likelier, and nothing is reported.`,
	Advice:   `Nothing to do. The side that closed first holds TIME_WAIT.`,
	Settings: `Linux: delayed ACKs wait 40 to 200 ms (no sysctl), which lets a FIN take the ACK along.`,
})

// delayedACK is the longest time that an ACK may be held back (RFC 9293 section
// 3.8.6.3).
const delayedACK = 500 * time.Millisecond

func checkThreeSegmentClose(c *Case, report func(Finding)) {
	for s := range c.Ends {
		side := reassembly.Side(s)
		you := side.Peer()
		fin, answer := firstFIN(c, side), firstFIN(c, you)
		if fin < 0 || answer < fin || ackOf(c, you, -1, c.Ends[side].FIN) != answer {
			continue
		}
		last := ackOf(c, side, answer, c.Ends[you].FIN)
		again := next(c, fin+1, func(e *reassembly.Event) bool {
			return e.From == side && e.Kind == reassembly.KindFIN && e.Len == 0 && e.Marks.Has(reassembly.MarkRepeat)
		})
		if last < 0 || again >= 0 && again < answer {
			continue // not three segments, or one of them was lost
		}
		gap := c.Events[answer].At.Sub(c.Events[fin].At)
		if gap > delayedACK+jitter(c.Ends[you].Response) {
			continue
		}
		f := Finding{
			Catalogue: "C02", Severity: Info, Confidence: Certain, Endpoint: Both,
			Frames: frames(c, fin, answer, last),
			Reason: "the FIN is the first segment that acknowledges the other",
		}
		if c.Words() {
			f.Message = fmt.Sprintf("The %s answered the %s's FIN with its own %s later, in one segment with the ACK.",
				you, side, span(gap))
			f.Falsify = fmt.Sprintf("An ACK of the %s's FIN that came before and is missing from the capture.", side)
		}
		doubted(&f, Likely, gaps(c))
		report(f)
	}
}
