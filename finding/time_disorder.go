package finding

import (
	"fmt"

	"github.com/tcplife/tcplife/wire"
)

var _ = registerCapture(CaptureRule{
	ID:        "time-disorder",
	Catalogue: "K06",
	Title:     "Times in the capture run backwards",
	Severity:  Warning,
	Check:     checkDisorder,
	Meaning: `Frames have an earlier time than the frame before them: a card with several queues, files
that were put together without sorting, or a clock that was set during the capture.`,
	Signature: `    frame 7   12:00:00.000300  SYN-ACK
    frame 8   12:00:00.000200  SYN       written later, stamped earlier`,
	Effect: `The order of the file holds, and time does not run back in the analysis: durations and
round trips around such frames are not exact. What depends on the order of two segments within
that span may be told the wrong way round.`,
	Alternatives: `None: the times stand in the file. Whether a clock was set or queues were mixed shows
in the size of the step (--inventory prints the largest).`,
	Advice: `Sort the file with reordercap, or merge captures with mergecap instead of appending them.
For the next one: one queue, or a card that stamps in hardware (tcpdump -j adapter_unsynced), and a
clock that is slewed, not stepped (chronyd without makestep).`,
})

func checkDisorder(c *Capture) (f CaptureFinding, ok bool) {
	if c.Backwards == 0 {
		return f, false
	}
	return CaptureFinding{Severity: Warning, Confidence: Certain, Frames: []wire.FrameID{c.BackwardsAt},
		Message: fmt.Sprintf("%s an earlier time than the frame before.", have(c.Backwards)),
		Reason:  "the times stand in the capture"}, true
}

// have counts frames as the subject of a sentence.
func have(n uint64) string {
	if n == 1 {
		return "1 frame has"
	}
	return fmt.Sprintf("%d frames have", n)
}
