package finding

import "fmt"

var _ = registerCapture(CaptureRule{
	ID:        "control-only-capture",
	Catalogue: "K09",
	Title:     "Only SYN, FIN and RST were captured",
	Severity:  Info,
	Check:     checkControlOnly,
	Meaning: `The capture holds no data segment and no pure ACK, though the numbers of the FINs show that
data was sent: its filter kept SYN, FIN and RST only.`,
	Signature: `    A                    B
    | SYN --------------> |
    | <---------- SYN-ACK |
    | FIN 5001 ---------> |  nothing between 1 and 5001 in the capture
    | <-- FIN 90001 ----- |`,
	Effect: `Openings, closes and resets are told as usual, as far as FINs acknowledge each other.
What needs data or ACKs is not: retransmissions, stalls, the ACK that completes a handshake or a
close. Such closes are orderly-unconfirmed. capture-loss is not given on top of it.`,
	Alternatives: `A capture that lost everything but a few frames; connections of which only the ends
were captured.`,
	Advice: `Enough to count connections and who closes them. To see why one fails, capture its ACKs
and data too: tcpdump -s 128 'tcp port 443', without a condition on flags.`,
})

// controlOnly reports whether a filter on flags made the capture: connections lack
// their data, and none has a frame of it.
func controlOnly(c *Capture) bool {
	return c.Data == 0 && c.Controlled > 0 && c.Controlled == c.Lossy.Count
}

func checkControlOnly(c *Capture) (f CaptureFinding, ok bool) {
	if !controlOnly(c) {
		return f, false
	}
	return CaptureFinding{Severity: Info, Confidence: Likely, Connections: c.Controlled, Frames: c.Lossy.Frames,
		Message: fmt.Sprintf("In %s data was acknowledged, and the capture has nothing but SYN, FIN and RST.", plural(int(c.Controlled), "connection")),
		Reason:  "a capture that lost all the rest looks the same"}, true
}
