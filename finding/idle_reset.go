package finding

import (
	"fmt"

	"github.com/tcplife/tcplife/reassembly"
)

var _ = register(Rule{
	ID:        "idle-reset",
	Catalogue: []string{"D08"},
	Title:     "The first segment after a long silence met a RST",
	Severity:  Error,
	RFC:       "5382 REQ-5; 7857 2.1; 3360",
	Triggers:  reassembly.SeenRST,
	resets:    isBare,
	Check:     checkIdleReset,
	Meaning: `The connection had been idle for a minute or more, a side sent, and RST came back:
whoever answered did not know the connection any more. Most often a NAT, firewall or load balancer
forgot it while it was idle and says so (those that say nothing: retransmission-death, D07).`,
	Signature: `    A                          B
    |   (idle for minutes)     |
    | data ------------------> X  a device whose entry is gone
    | <-------------------- RST`,
	Alternatives: `The peer's host restarted in that time, or its program closed the connection and the
FIN or RST was lost. A hop limit unlike the host's, or a delay far below its usual one, speaks for
a device.`,
	Advice: `Compare the idle time with the timeouts on the path; several such findings have the
smallest idle time just above the timeout. Send keepalives at less than half of it, or let the
pool drop connections that were idle for longer.`,
	Settings: `Linux: tcp_keepalive_time (7200 s, more than most devices wait), TCP_KEEPIDLE;
nf_conntrack_tcp_timeout_established (432000 s) on devices. FreeBSD: net.inet.tcp.keepidle.
Windows: KeepAliveTime (registry) or SIO_KEEPALIVE_VALS.`,
})

func checkIdleReset(c *Case, report func(Finding)) {
	done := false
	for i := range c.resets() {
		r := &c.rsts[i]
		if done || r.trigger < 0 || r.origin == refusal || r.gone(c) || finBefore(c, r.from, r.at) >= 0 || afterNext(c, r.at) {
			continue
		}
		t := &c.Events[r.trigger]
		idle := quietBefore(c, r.from, r.at)
		if idle < longIdle || t.Kind == reassembly.KindSYN || t.Kind == reassembly.KindSYNACK || !genuine(t) {
			continue
		}
		if stateBefore(c, r.from, r.trigger) != reassembly.Established && stateBefore(c, r.from, r.trigger) != reassembly.CloseWait {
			continue // it had closed, in a segment that the capture lacks
		}
		done = true
		f := Finding{
			Catalogue: "D08", Severity: Error, Confidence: Likely, Endpoint: Both,
			Frames: frames(c, r.trigger-1, r.trigger, r.at),
			Message: fmt.Sprintf("After %s without a segment the %s sent %s, and RST came back in the %s's name: the connection had been forgotten.",
				span(idle), t.From, name(t), r.from),
			Falsify: fmt.Sprintf("A restart of the %s's host, or a FIN or RST of it, in that time.", r.from),
			Reason:  "a host that restarted answers in the same way as a device that forgot",
		}
		if otherTTL(c, r.at) {
			f.Reason = fmt.Sprintf("its hop limit is %d, the %s's own %d: a device answered", r.event.TTL, r.from, c.Ends[r.from].TTL)
		}
		report(f)
	}
}
