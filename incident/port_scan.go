package incident

import (
	"fmt"

	"github.com/tcplife/tcplife/finding"
)

var _ = register(Rule{
	ID:        "port-scan",
	Catalogue: []string{"H12", "H13", "H14"},
	Title:     "One source tries the ports of a host",
	Severity:  finding.Warning,
	RFC:       "9293 3.5.2, 3.10.7.1",
	Folds:     []string{"closed-port-reset", "syn-unanswered", "handshake-given-up", "odd-flags", "unsolicited-answer", "no-data", "icmp-refusal", "reset-provenance", "handshake-not-completed", "abort"},
	Explains:  []string{"service-unreachable", "reset-flood", "reset-share"},
	Check:     checkPortScan,
	Meaning: `One client tried many ports of one host, and nearly all of them failed: it looks for what is
open there.

- H12: with whole connections, or SYNs.
- H13: it reset the SYN-ACK of open ports itself: its SYNs are made by a program, and the open ports
  see no connection (half-open scan).
- H14: with segments that belong to no connection: without flags, with FIN alone, with FIN, PSH and
  URG, or lone ACKs.

The message says which ports were found open.`,
	Signature: `    S                     B
    | SYN -> port 22     |  SYN-ACK: open
    | SYN -> port 23     |  RST: closed
    | SYN -> port 24     |  nothing: filtered
    | ...                |`,
	Alternatives: `Monitoring and inventory of one's own network do this on purpose. A client of a service
with many ports (passive FTP, RPC) tries several, and most of them succeed.`,
	Advice: `Ask whose host it is. If nobody knows: see what it reached (the open ports in the message, and
its other connections in this capture) and cut it off. If it is in one's own network, treat it as
taken over until it is known not to be. Filters that follow connections drop H14.`,
	Settings: `Linux: nothing to set on the victim; nft "ct state invalid drop" against H14, rate limits
for new connections per source (limit, connlimit). FreeBSD: net.inet.tcp.blackhole (0; 1 or 2: no
RST from closed ports). Windows: its firewall's stealth mode drops the RST.`,
})

func checkPortScan(s *Sums, report func(Incident)) {
	by := s.targetsOf(key.path)
	for _, k := range sortedKeys(by) {
		g := by[k]
		if !g.scanned() {
			continue
		}
		in := s.scan(k, g)
		in.Message = fmt.Sprintf("%s tried %s of %s in %s%s, and %s: %s.", k.scope().Client, count(s.fan(g.failed+len(g.reached)), "port"), k.scope().Server,
			span(g.attempts.last.Sub(g.attempts.first)), in.Message, openPorts(g.reached), outcomes(&g.attempts))
		report(in)
	}
}

// openPorts names the ports of listeners.
func openPorts(all []key) string {
	if len(all) == 0 {
		return "none of them was open"
	}
	var ports []string
	for _, k := range all {
		ports = append(ports, fmt.Sprint(k.port()))
	}
	return "found " + few(ports, portsShown) + " open"
}
