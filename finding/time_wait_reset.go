package finding

import (
	"fmt"

	"github.com/tcplife/tcplife/reassembly"
)

var _ = register(Rule{
	ID:        "time-wait-reset",
	Catalogue: []string{"W04"},
	Title:     "TIME_WAIT was ended by a RST",
	Severity:  Info,
	RFC:       "1337; 9293 3.10.7.4",
	Triggers:  reassembly.SeenRST,
	resets:    closedSelf,
	Check:     checkTimeWaitReset,
	Meaning: `A RST with exactly the next number reached the endpoint named while it was in
TIME_WAIT, and (unless its host follows RFC 1337) ended that state early: "TIME-WAIT
assassination". It usually goes like this: an old duplicate arrives, TIME_WAIT answers it
with its last ACK, and the peer, which has no socket any more, answers the ACK with RST.
The connection itself was over and complete. From then on old duplicates may meet a new
connection on the same ports.`,
	Signature: `    A  TIME_WAIT                    B  CLOSED
    | <------- old duplicate ------ |  (a SYN, data or FIN from before)
    | ACK of everything ----------> |
    | <---- RST, seq = A's rcv_nxt - |
    A  CLOSED, too early`,
	Alternatives: `A RST that B sent while it still had the connection and that was overtaken looks
the same; so does one that a device sends at the end of a connection. Whether the host
ignores it (tcp_rfc1337) is not visible.`,
	Advice: `Harmless one by one. If there are many, find out where the duplicates come from: a
path that duplicates or delays packets by seconds, or ports that are reused within a
minute. tcp_rfc1337 makes TIME_WAIT ignore RSTs.`,
	Settings: `Linux: tcp_rfc1337 (0: a RST at the exact number ends TIME_WAIT; 1: it is ignored),
tcp_invalid_ratelimit (500 ms between the ACKs that TIME_WAIT sends).`,
})

func checkTimeWaitReset(c *Case, report func(Finding)) {
	for s := range c.Ends {
		side := reassembly.Side(s) // who was in TIME_WAIT
		peer := &c.Ends[side.Peer()]
		var g group
		for i := range c.resets() {
			r := &c.rsts[i]
			if r.from != side && peer.HasFIN && r.event.Seq == peer.FIN && !r.event.Marks.Has(reassembly.MarkOutside) &&
				stateBefore(c, side, r.at) == reassembly.TimeWait {
				g.add(r)
			}
		}
		if g.n == 0 {
			continue
		}
		r := g.first
		entered := r.event.At
		for _, t := range c.Ends[side].Timeline {
			if t.State == reassembly.TimeWait {
				entered = t.At
			}
		}
		report(Finding{
			Catalogue: "W04", Severity: Info, Confidence: Likely, Endpoint: Endpoint(side),
			Frames: frames(c, g.events()...),
			Message: fmt.Sprintf("A RST of the %s with exactly the next number met the %s in TIME_WAIT at %s, %s after it got there, and ends that state unless the host follows RFC 1337.",
				side.Peer(), side, since(c, r.event.At), span(r.event.At.Sub(entered))),
			Falsify: fmt.Sprintf("The %s still answers from TIME_WAIT afterwards.", side),
			Reason:  "whether the RST arrived and whether the host ignores it is not visible",
		})
	}
}
