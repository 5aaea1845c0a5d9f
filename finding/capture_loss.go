package finding

import "fmt"

var _ = registerCapture(CaptureRule{
	ID:        "capture-loss",
	Catalogue: "K03",
	Title:     "The capture lacks frames that were on the wire",
	Severity:  Warning,
	Check:     checkCaptureLoss,
	Meaning: `Receivers acknowledge octets that the capture does not hold and that nobody sends again:
they arrived, and the capture missed them. Or the capturing host itself counted frames that it
could not keep up with.`,
	Signature: `    A                                B
    | (1:1001, not in the capture) -> |
    | <-------------------- ACK 1001  |  and it is never sent again
    or: "dropped" in the statistics that a pcapng file ends with`,
	Effect: `Where frames are missing, "never seen" proves nothing. Findings on a connection are graded
by what that connection lacks, not by the rest of the capture: on those that lack nothing they
stand as they are. Frames without numbers of their own (pure ACKs) may be missing anywhere.`,
	Alternatives: `A receiver that acknowledges what was not sent yet (a fault, or an attack on the
congestion control); a second path past the capture point, which takes single packets.`,
	Advice: `Give the capture more room: tcpdump -B 65536 (KiB of buffer), -s 128 to store headers
only, a narrower filter, a file on a local disk, no name resolution (-n). tcpdump prints "packets
dropped by kernel" when it ends: it must be 0. A mirror port drops when both directions together
are faster than it: mirror fewer ports, or use a tap. Both directions may need both links of a
bundle.`,
})

func checkCaptureLoss(c *Capture) (f CaptureFinding, ok bool) {
	n := &c.Lossy
	if n.Count == 0 && c.Dropped == 0 || c.Dropped == 0 && controlOnly(c) {
		return f, false
	}
	f = CaptureFinding{Severity: Warning, Confidence: Certain, Connections: n.Count, Frames: n.Frames}
	lost := "1 octet was"
	if c.LostOctets != 1 {
		lost = fmt.Sprintf("%d octets were", c.LostOctets)
	}
	if c.LostOctets == 0 {
		lost = "a SYN-ACK was"
	}
	switch {
	case n.Count == 0:
		f.Message = fmt.Sprintf("The capturing host counted %d dropped frames.", c.Dropped)
		f.Reason = "the capture says so itself"
	case c.Dropped == 0:
		f.Message = fmt.Sprintf("In %s %s acknowledged that the capture does not hold.", plural(int(n.Count), "connection"), lost)
		f.Reason = "the receiver had what it acknowledged, and it was not sent again"
	default:
		f.Message = fmt.Sprintf("In %s %s acknowledged that the capture does not hold; the capturing host counted %d dropped frames.",
			plural(int(n.Count), "connection"), lost, c.Dropped)
		f.Reason = "the receiver had what it acknowledged, and the capture says so itself"
	}
	if n.Sure == 0 && c.Dropped == 0 {
		f.Confidence, f.Reason = Likely, "the connections began before the capture, so what they acknowledge may be older; or they end with it, and what is missing may follow"
	}
	return f, true
}
