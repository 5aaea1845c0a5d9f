package finding

import (
	"fmt"

	"github.com/tcplife/tcplife/reassembly"
)

var _ = register(Rule{
	ID:        "half-close",
	Catalogue: []string{"C03"},
	Title:     "One side closed, the other went on sending",
	Severity:  Info,
	RFC:       "9293 3.6, 3.6.1",
	Triggers:  reassembly.SeenHalfClose,
	Check:     checkHalfClose,
	Meaning: `One side sent its FIN and went on receiving: the peer knew of the FIN, sent more
data, and the data was acknowledged. That is what shutdown() of the sending direction is
for, and no fault. While it lasts the closer stands in FIN_WAIT_2, the peer in CLOSE_WAIT.`,
	Signature: `    A                           B
    | FIN --------------------> |  A: FIN_WAIT_1, B: CLOSE_WAIT
    | <---- data, ACK of the FIN |  B still has something to say
    | ACK of the data --------> |  and A still listens
    | <-------------------- FIN |`,
	Alternatives: `A closer that had closed fully answers data with RST, not with an ACK (see
late-data-reset). Data that was under way before the FIN arrived does not count: here the
data's own acknowledgment covers the FIN.`,
	Advice: `Nothing to do where it is meant. Devices on the path often give half-closed
connections a short time: if such connections hang or are reset later, compare the time
between the FIN and the trouble with their timeouts.`,
	Settings: `Linux: FIN_WAIT_2 of a socket that is still open has no timeout; tcp_fin_timeout (60 s)
bounds it only after close(). nf_conntrack_tcp_timeout_close_wait (60 s) and
nf_conntrack_tcp_timeout_fin_wait (120 s) on devices that track connections.`,
})

func checkHalfClose(c *Case, report func(Finding)) {
	for s := range c.Ends {
		side := reassembly.Side(s)
		fin := firstFIN(c, side)
		if fin < 0 {
			continue
		}
		var octets uint32
		first, acked := -1, -1
		for i := fin + 1; i < len(c.Events); i++ {
			e := &c.Events[i]
			if e.From == side || !genuine(e) || e.Len == 0 || e.Marks&(reassembly.MarkRepeat|reassembly.MarkKeepalive) != 0 ||
				!acknowledges(e, c.Ends[side].FIN) {
				continue
			}
			a := ackOf(c, side, i, e.Seq.Add(1))
			if a < 0 {
				continue // nobody took it: see late-data-reset
			}
			if octets += e.Len; first < 0 {
				first, acked = i, a
			}
		}
		if first < 0 {
			continue
		}
		f := Finding{
			Catalogue: "C03", Severity: Info, Confidence: Certain, Endpoint: Both,
			Frames: frames(c, fin, first, acked),
			Message: fmt.Sprintf("The %s closed its half at %s and went on receiving: the %s sent it %s more, from %s after that FIN on.",
				side, since(c, c.Events[fin].At), side.Peer(), plural(int(octets), "octet"), span(c.Events[first].At.Sub(c.Events[fin].At))),
			Falsify: fmt.Sprintf("A RST of the %s in answer to that data.", side),
			Reason:  "the data acknowledges the FIN, and was acknowledged in turn",
		}
		if inside(c) {
			f.Confidence, f.Reason = Likely, "the capture begins inside the connection"
		}
		report(f)
	}
}
