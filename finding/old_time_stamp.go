package finding

import (
	"fmt"

	"github.com/tcplife/tcplife/reassembly"
)

var _ = register(Rule{
	ID:        "old-time-stamp",
	Catalogue: []string{"D15"},
	Title:     "A segment was refused for its time stamp",
	Severity:  Warning,
	RFC:       "7323 5.2, 5.3",
	Triggers:  reassembly.SeenOldTime,
	Check:     checkOldTimeStamp,
	Meaning: `A segment's time stamp is older than one that its sender had used before, by more than
reordering explains, and the peer answered with an ACK that takes nothing of it: protection against
wrapped sequence numbers (PAWS) threw it away. The data in it is not received.`,
	Signature: `    data, TS val 5000   ->   <-  ACK
    data, TS val 3000   ->   <-  ACK of the octet before: refused`,
	Alternatives: `A segment that the network held back for long (an old duplicate) is refused in the same
way, and rightly. An ACK that crossed the segment says nothing about it.`,
	Advice: `If it happens again and again, several hosts with clocks of their own share one
connection's address: a NAT or load balancer that moves a live connection to another host, or one
that rewrites time stamps and lost its offset. nstat TcpExtPAWSEstab counts it on the receiver.`,
	Settings: `Linux: tcp_timestamps (1: a random offset for each pair of hosts; 2: none; 0: off).
FreeBSD: net.inet.tcp.rfc1323 (1), net.inet.tcp.tolerate_missing_ts (0). Windows:
Set-NetTCPSetting -Timestamps (disabled).`,
})

func checkOldTimeStamp(c *Case, report func(Finding)) {
	for s := range c.Ends {
		side := reassembly.Side(s)
		var shown []int
		for i := range c.Events {
			e := &c.Events[i]
			if e.From != side || !genuine(e) || !e.Marks.Has(reassembly.MarkOldTime) || e.Len == 0 || e.Count > 1 {
				continue
			}
			reordering := c.Ends[0].Response + c.Ends[1].Response + reassembly.Overtaking
			newer := last(c, i, func(x *reassembly.Event) bool {
				return x.From == side && genuine(x) && x.Marks.Has(reassembly.MarkTimestamp) && int32(x.TSVal-e.TSVal) > 0 && e.At.Sub(x.At) > reordering
			})
			a := next(c, i+1, func(x *reassembly.Event) bool { return x.From != side && genuine(x) })
			if newer < 0 || a < 0 || c.Events[a].Kind != reassembly.KindACK || acknowledges(&c.Events[a], e.End) ||
				c.Events[a].At.Sub(e.At) > jitter(c.Ends[side.Peer()].Response) {
				continue
			}
			shown = append(shown, newer, i, a)
		}
		if len(shown) == 0 {
			continue
		}
		e := &c.Events[shown[1]]
		report(Finding{
			Catalogue: "D15", Severity: Warning, Confidence: Likely, Endpoint: Endpoint(side),
			Frames:  frames(c, first(shown, groupMax)...),
			Message: fmt.Sprintf("The %s's data at %s has a time stamp older than one it had used %s before, and the %s's ACK takes nothing of it.", side, since(c, e.At), span(e.At.Sub(c.Events[shown[0]].At)), side.Peer()),
			Falsify: fmt.Sprintf("An ACK of that data by the %s before it was sent again.", side.Peer()),
			Reason:  "the ACK may answer something else that passed just before",
		})
	}
}
