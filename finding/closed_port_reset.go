package finding

import (
	"fmt"

	"github.com/tcplife/tcplife/reassembly"
)

var _ = register(Rule{
	ID:        "closed-port-reset",
	Catalogue: []string{"H03"},
	Title:     "The connection attempt was refused",
	Severity:  Warning,
	RFC:       "9293 3.5.2 group 1, 3.10.7.1",
	Triggers:  reassembly.SeenRST,
	resets:    refuses,
	Check:     checkClosedPortReset,
	Meaning: `A SYN was answered by RST and ACK. Nothing listens on that address and port: the
service is down, still starting, bound to another address, or the port is wrong. The
client's connect() failed at once with ECONNREFUSED; nothing was sent.`,
	Signature: `    client                          server
    | SYN x ------------------------> |
    | <---- RST, ACK 0, ack x+1 ----- |  sequence 0, window 0, no options`,
	Alternatives: `A firewall or a container network without an endpoint may send the same segment
(iptables -j REJECT --reject-with tcp-reset). It is told by the time: a device nearer than
the host answers faster than the host's own SYN-ACKs or with another hop limit.`,
	Advice: `On the host: is the process running and listening (ss -ltn), on this address or only
on 127.0.0.1, on IPv6 or IPv4 only? If it restarts, the refusals end with its start. If a
listener is there, look for a REJECT rule, and for a load balancer or service without
healthy endpoints.`,
	Settings: `None on the way: a Linux host refuses by RST whenever no listener matches. A full
accept queue does not refuse unless tcp_abort_on_overflow (0) is set.`,
})

func checkClosedPortReset(c *Case, report func(Finding)) {
	var g group
	for i := range c.resets() {
		r := &c.rsts[i]
		if r.origin == refusal && r.trigger >= 0 {
			g.add(r)
		}
	}
	if g.n == 0 {
		return
	}
	r := g.first
	by, to := r.from, r.from.Peer()
	f := Finding{
		Catalogue: "H03", Severity: Warning, Confidence: Certain, Endpoint: Endpoint(by),
		Frames:  frames(c, g.events()...),
		Falsify: "The RST comes from a device if the host has a listener on that port, or if its answers on other ports take longer or have another hop limit.",
		Reason:  "the RST acknowledges the SYN, and the side sent nothing else",
	}
	if c.Words() {
		port := c.Tuple.DstPort
		if by == reassembly.Client {
			port = c.Tuple.SrcPort
		}
		f.Message = fmt.Sprintf("The %s refused the %s's SYN by RST after %s (%s): no listener on port %d, or a firewall that rejects.",
			by, to, span(r.event.At.Sub(c.Events[r.trigger].LastAt)), plural(g.n, "RST"), port)
	}
	report(f)
}
