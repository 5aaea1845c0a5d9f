package finding

import (
	"fmt"

	"github.com/tcplife/tcplife/reassembly"
)

var _ = register(Rule{
	ID:        "window-shrunk",
	Catalogue: []string{"D12"},
	Title:     "A receiver took back window that it had offered",
	Severity:  Info,
	RFC:       "9293 3.8.6.2.1; 7323 2.4",
	Triggers:  reassembly.SeenShrink,
	Check:     checkWindowShrunk,
	Meaning: `The right edge of the window moved to the left: what the sender was allowed to send a
moment ago it may no longer. The standard advises strongly against it; data that is already under
way may be dropped and must be sent again.`,
	Signature: `    <- ACK 1000, window 8000       up to 9000
    <- ACK 1000, window 2000       up to 3000: 6000 octets are taken back`,
	Alternatives: `Rounding by the window scale moves the edge by less than one unit, which is not
counted. An ACK that was overtaken by a newer one is not either. A device that rewrites windows
(traffic shaping) does the same.`,
	Advice: `Look at memory on the receiver's host (ss -tm, nstat TcpExtTCPRcvCollapsed,
TcpExtPruneCalled); if that is at ease, look for a shaper on the path.`,
	Settings: `Linux: tcp_shrink_window (0; since 6.5 it allows this), tcp_rmem, tcp_mem. FreeBSD and
Windows have no such setting.`,
})

func checkWindowShrunk(c *Case, report func(Finding)) {
	for s := range c.Ends {
		side := reassembly.Side(s)
		var shown []int
		// After the peer's FIN nothing more can come, and the window says nothing.
		for i := range c.Events[:endOr(c, firstFIN(c, side.Peer()))] {
			if e := &c.Events[i]; e.From == side && genuine(e) && e.Marks.Has(reassembly.MarkShrink) {
				shown = append(shown, i)
			}
		}
		if len(shown) == 0 {
			continue
		}
		report(Finding{
			Catalogue: "D12", Severity: Info, Confidence: Likely, Endpoint: Endpoint(side),
			Frames:  frames(c, first(shown, groupMax)...),
			Message: fmt.Sprintf("The %s took back window that it had offered before, first at %s.", side, since(c, c.Events[shown[0]].At)),
			Falsify: "Another window scale than the one that the SYNs agreed on.",
			Reason:  "a device on the path may have rewritten the window",
		})
	}
}
