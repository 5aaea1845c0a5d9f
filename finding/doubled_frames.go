package finding

import "fmt"

var _ = registerCapture(CaptureRule{
	ID:        "doubled-frames",
	Catalogue: "K05",
	Title:     "The capture holds frames twice",
	Severity:  Info,
	Check:     checkDoubled,
	Meaning: `The same frame stands in the capture twice, microseconds apart: a mirror port that copies
what comes in and what goes out, a capture on all interfaces (-i any) that sees a bridge or a
tunnel twice, or two captures of one path merged.`,
	Signature: `    frame 1  SYN x, IP identification 4711
    frame 2  SYN x, IP identification 4711, some microseconds later
             (hop limit one less on the other side of a router)`,
	Effect: `None on states and findings: doubles are recognised and left out, and never taken for
retransmissions. They count in packets and bytes; duplicates says how many there are.`,
	Alternatives: `A network that doubles packets now and then (a loop, a fault in a bundle). It is told
from the capture's own doubles by their number: a capture doubles nearly every frame of a
connection.`,
	Advice: `Mirror one direction of each port (rx only) or the one port in question; capture on one
interface, not on "any". editcap -d removes doubles from a file, but is not needed here.`,
})

// A connection proves that the capture doubles, and not the network, if a third of its
// frames are doubles, and there are some: half of them are where each is there twice, and
// hop limits or lengths rewritten between the two hide a few. No network in working
// order doubles a tenth.
const (
	doubledShare = 3
	doubledLeast = 4
)

func checkDoubled(c *Capture) (f CaptureFinding, ok bool) {
	n := &c.Doubled
	if n.Count == 0 {
		return f, false
	}
	f = CaptureFinding{Severity: Info, Connections: n.Count, Frames: n.Frames,
		Message: fmt.Sprintf("%s in %s are there twice.", plural(int(c.DoubledFrames), "frame"), plural(int(n.Count), "connection"))}
	if c.DoubledFrames == 1 {
		f.Message = "1 frame is there twice."
	}
	f.Confidence, f.Reason = n.grade("more than a third of a connection's frames have a double", "the network may have doubled single packets")
	return f, true
}
