package finding

import (
	"fmt"

	"github.com/tcplife/tcplife/reassembly"
)

var _ = register(Rule{
	ID:        "ack-loop",
	Catalogue: []string{"D13"},
	Title:     "The two sides answer each other's ACKs",
	Severity:  Error,
	RFC:       "5961 7; 9293 3.10.7.4",
	Triggers:  reassembly.SeenEcho,
	Check:     checkAckLoop,
	Meaning: `Both sides send ACKs in turn that carry nothing and acknowledge nothing new. Each takes the
other's for a segment outside of its window and answers it, as the standard demands: a loop that
uses the line and the processors and never ends by itself. Neither side can send data any more.`,
	Signature: `    ACK, seq a, ack b  ->
                        <-  ACK, seq c, ack d
    ACK, seq a, ack b  ->       and so on, no data, no progress`,
	Alternatives: `A capture that holds every frame twice (such frames are taken out before). Keepalive
probes and their answers repeat too, but seconds apart, and are not counted.`,
	Advice: `The two disagree about the sequence numbers: look for a firewall, NAT or load balancer
that rewrites them and lost its state, or for somebody who injected data. Restart the connection;
the loop is broken by a limit on such ACKs at either end.`,
	Settings: `Linux: tcp_invalid_ratelimit (500 ms between such ACKs), tcp_challenge_ack_limit
(unlimited since 6.x, 1000 per second before). FreeBSD: net.inet.tcp.ack_war_cnt (5) and
ack_war_timewindow (1000 ms).`,
})

func checkAckLoop(c *Case, report func(Finding)) {
	var shown []int
	n := uint32(0)
	for i := range c.Events {
		if e := &c.Events[i]; genuine(e) && e.Marks.Has(reassembly.MarkEcho) {
			shown = append(shown, i)
			n += e.Count
		}
	}
	if len(shown) == 0 {
		return
	}
	a, b := &c.Events[shown[0]], &c.Events[shown[len(shown)-1]]
	report(Finding{
		Catalogue: "D13", Severity: Error, Confidence: Likely, Endpoint: Both,
		Frames:  frames(c, first(shown, groupMax)...),
		Message: fmt.Sprintf("From %s on the two sides answered each other's ACKs without data or progress, %s for %s.", since(c, a.At), times(int(n)), span(b.LastAt.Sub(a.At))),
		Falsify: "Options in these ACKs that carry something (Multipath TCP).",
		Reason:  "signals of a layer that the ACKs carry in options would look the same",
	})
}
