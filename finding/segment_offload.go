package finding

import "fmt"

var _ = registerCapture(CaptureRule{
	ID:        "segment-offload",
	Catalogue: "K07",
	Title:     "Segments are longer than the wire's: the card cuts or merges them",
	Severity:  Info,
	Check:     checkOffload,
	Meaning: `Segments hold more octets than the receiver's MSS allows. They were captured on a host
whose card or driver cuts them into real ones after the capture point (TSO, GSO), or has merged
them before it (GRO, LRO).`,
	Signature: `    B: SYN-ACK, mss 1460
    A: 1:14481 (14480 octets) in one frame, on A's own interface`,
	Effect: `One frame stands for several segments: counts of packets are lower than on the wire, a
part that was lost and sent again shows as a repetition of less than the frame, and times are those
of the whole. States, closes and resets are not concerned. Checksums of sent frames are not filled
in yet, which is why tcplife does not verify them.`,
	Alternatives: `A device that lowers the MSS of the SYN between the capture point and the sender, so
that the sender was told more than the capture shows.`,
	Advice: `Usually none: it is the ordinary state of a host. For exact segments capture on the path,
or switch it off for the time of the test: ethtool -K IF tso off gso off gro off lro off.`,
})

func checkOffload(c *Capture) (f CaptureFinding, ok bool) {
	n := &c.Offloaded
	if n.Count == 0 {
		return f, false
	}
	return CaptureFinding{Severity: Info, Confidence: Likely, Connections: n.Count, Frames: n.Frames,
		Message: fmt.Sprintf("In %s segments are longer than their receiver's MSS.", plural(int(n.Count), "connection")),
		Reason:  "a host keeps to the MSS that it was told, which a device may have changed behind the capture point"}, true
}
