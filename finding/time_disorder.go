package finding

import (
	"fmt"
	"slices"
	"strings"
	"time"
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
(--inventory prints the largest); below a millisecond it is a race of two processors for the
capture's buffer, and no more than a remark.`,
	Advice: `Sort the file with reordercap, or merge captures with mergecap instead of appending them.
For the next one: one queue, or a card that stamps in hardware (tcpdump -j adapter_unsynced), and a
clock that is slewed, not stepped (chronyd without makestep).`,
})

// stampRace is by how much times may run back in a capture of one host in order: a
// processor stamps a frame before it lines up for the buffer, and another one passes it
// there. On two processors under load one frame in 10,000 comes so, 5 µs late as a rule
// and 0.1 ms at most; a virtual one may stand still for longer. What programs and timers
// do takes longer than a millisecond, queues and merged files mostly differ by more.
const stampRace = time.Millisecond

func checkDisorder(c *Capture) (f CaptureFinding, ok bool) {
	f = CaptureFinding{Severity: Warning, Confidence: Certain, Reason: "the times stand in the capture"}
	if c.Backwards > 0 {
		f.Frames = append(f.Frames, c.BackwardsAt)
		f.Message = have(c.Backwards) + " an earlier time than the frame before."
		if c.StepBack < stampRace {
			f.Severity = Info
			f.Message = have(c.Backwards) + " an earlier time than the frame before, by less than a millisecond: processors stamp frames before they line up for the buffer."
		}
	}
	if c.Stray > 0 {
		f.Severity = Warning
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
