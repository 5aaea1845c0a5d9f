package finding

import (
	"fmt"
	"slices"
	"strings"
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
	Alternatives: `None: the times stand in the file. A single frame whose time lies more than a day from
those of both its neighbours, which agree, and has not come yet, is damaged: it gets that of the
frame before. Whether a clock was set or queues were mixed shows in the size of the step
(--inventory prints the largest).`,
	Advice: `Sort the file with reordercap, or merge captures with mergecap instead of appending them.
For the next one: one queue, or a card that stamps in hardware (tcpdump -j adapter_unsynced), and a
clock that is slewed, not stepped (chronyd without makestep).`,
})

func checkDisorder(c *Capture) (f CaptureFinding, ok bool) {
	f = CaptureFinding{Severity: Warning, Confidence: Certain, Reason: "the times stand in the capture"}
	if c.Backwards > 0 {
		f.Frames = append(f.Frames, c.BackwardsAt)
		f.Message = have(c.Backwards) + " an earlier time than the frame before."
	}
	if c.Stray > 0 {
		f.Frames = append(f.Frames, c.StrayAt)
		f.Message = strings.TrimSpace(f.Message + " " + have(c.Stray) + " a time more than a day from those of the frames before and behind, and is taken to have that of the frame before.")
		if c.Stray > 1 {
			f.Message = strings.Replace(f.Message, "and is taken", "and are taken", 1)
		}
	}
	slices.Sort(f.Frames)
	return f, f.Message != ""
}

// have counts frames as the subject of a sentence.
func have(n uint64) string {
	if n == 1 {
		return "1 frame has"
	}
	return fmt.Sprintf("%d frames have", n)
}
