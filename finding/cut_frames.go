package finding

import (
	"fmt"

	"github.com/tcplife/tcplife/wire"
)

var _ = registerCapture(CaptureRule{
	ID:        "cut-frames",
	Catalogue: "K08",
	Title:     "The snap length cut frames",
	Severity:  Warning,
	Check:     checkCutFrames,
	Meaning: `Frames were stored shorter than they were on the wire (tcpdump -s). As long as the headers
are whole nothing is lost here: lengths come from the IP header.`,
	Signature: `    frame 4: 1514 octets on the wire, 64 captured`,
	Effect: `Payload is not needed, so cut payload changes no finding. Frames cut inside their headers
are skipped (truncated), and their segments are missing: findings near them are as doubtful as
under capture loss. TCP options that were cut off count as absent.`,
	Alternatives: `None: the capture gives both lengths.`,
	Advice: `tcpdump -s 0 stores whole frames, -s 128 keeps all headers of ordinary traffic; tunnels
and IPv6 extension headers need more, -s 256.`,
})

func checkCutFrames(c *Capture) (f CaptureFinding, ok bool) {
	if c.Snapped == 0 {
		return f, false
	}
	f = CaptureFinding{Severity: Info, Confidence: Certain, Frames: []wire.FrameID{c.SnappedAt},
		Message: fmt.Sprintf("%s been cut, payload only.", have(c.Snapped)),
		Reason:  "the capture gives both lengths"}
	if c.CutHeaders > 0 {
		f.Severity = Warning
		f.Message = fmt.Sprintf("%s been cut; %d inside the headers, so that they are of no use.", have(c.Snapped), c.CutHeaders)
	}
	return f, true
}
