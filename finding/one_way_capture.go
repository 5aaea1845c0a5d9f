package finding

import "fmt"

var _ = registerCapture(CaptureRule{
	ID:        "one-way-capture",
	Catalogue: "K04",
	Title:     "One direction is not in the capture",
	Severity:  Warning,
	Check:     checkOneWay,
	Meaning: `Of some connections only one side's segments were captured, though the other side must
have answered: what was captured acknowledges ever more. The other direction takes a path that
does not lead past the capture point, or a filter left it out.`,
	Signature: `    A                        B
    | SYN ------------------> |
    |   (nothing captured)    |
    | ACK ------------------> |  acknowledges a SYN-ACK
    | ACK ------------------> |  acknowledges data`,
	Effect: `States of the hidden side are inferred from what is acknowledged, with the evidence
"assumed" or "acked". Resets, closes and losses of that side are not seen, so who closed first may
be wrong, and no round trip is known.`,
	Alternatives: `A single segment without an answer need not have a hidden side: a stray, a scan, an
answer to a forged source. Attempts that nobody answered are not counted here.`,
	Advice: `Capture where both directions pass: on an end host, or before paths part (asymmetric
routing, ECMP, a bundle of links). Mirror both directions (rx and tx) of the port. A filter must
name the host, not "src host". With two capture points, give both files: tcplife analyze merges
them by time.`,
})

func checkOneWay(c *Capture) (f CaptureFinding, ok bool) {
	n := &c.OneWay
	if n.Count == 0 {
		return f, false
	}
	f = CaptureFinding{Severity: Info, Connections: n.Count, Frames: n.Frames,
		Message: fmt.Sprintf("Of %s of %d one direction only was captured.", plural(int(n.Count), "connection"), c.Connections)}
	f.Confidence, f.Reason = n.grade("the side that was captured acknowledges what the other one sent", "strays and answers to forged sources look the same")
	if n.Sure > 0 {
		f.Severity = Warning
	}
	return f, true
}
