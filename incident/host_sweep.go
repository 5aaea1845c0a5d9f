package incident

import (
	"fmt"

	"github.com/tcplife/tcplife/finding"
)

var _ = register(Rule{
	ID:        "host-sweep",
	Catalogue: []string{"H12"},
	Title:     "One source tries many hosts",
	Severity:  finding.Warning,
	RFC:       "9293 3.5.2",
	Folds:     []string{"closed-port-reset", "syn-unanswered", "handshake-given-up", "odd-flags", "unsolicited-answer", "no-data", "icmp-refusal", "reset-provenance", "handshake-not-completed", "abort"},
	Explains:  []string{"service-unreachable", "reset-flood", "port-scan"},
	Check:     checkHostSweep,
	Meaning: `One client tried the same port of many hosts, and nearly all of them failed: it looks for
hosts where that port is open. On the client itself it shows as many sockets in SYN_SENT to many
addresses: the sign of a worm that looks for its next victims. The message says which hosts
answered.`,
	Signature: `    S
    | SYN -> 10.0.0.1:445   (nothing)
    | SYN -> 10.0.0.2:445   RST
    | SYN -> 10.0.0.3:445   SYN-ACK
    | SYN -> 10.0.0.4:445   (nothing)   ... many, seldom repeated`,
	Alternatives: `Monitoring, discovery of services, a crawler, a peer-to-peer program with a list of
peers that are gone; a client whose whole network is cut off: then everything it tries fails, not
one port only.`,
	Advice: `On the source: ss -tanp state syn-sent names the process. If it is not one that is meant to
search the network, cut the host off first and look after. See in this capture which hosts
answered: those it has reached.`,
	Settings: `Linux: nothing to set on the victims; on the way out of a network, limits of new connections
per host (nft limit, connlimit). FreeBSD: pf's max-src-conn-rate. Windows: its firewall blocks
outgoing ports by rule.`,
})

func checkHostSweep(s *Sums, report func(Incident)) {
	// By client and port: the server's address is what is tried.
	by := s.targetsOf(func(k key) key {
		k[serverHigh], k[serverLow] = 0, 0
		return k
	})
	for _, k := range sortedKeys(by) {
		g := by[k]
		if !g.scanned() {
			continue
		}
		in := s.scan(k, g)
		in.Catalogue = "H12"
		where := "none of them answered"
		if len(g.reached) > 0 {
			var hosts []string
			for _, r := range g.reached {
				hosts = append(hosts, r.serverAddr().String())
			}
			where = "reached " + few(hosts, portsShown)
		}
		in.Message = fmt.Sprintf("%s tried port %d of %s in %s%s, and %s: %s.", k.scope().Client, k.port(), count(s.fan(g.failed+len(g.reached)), "host"),
			span(g.attempts.last.Sub(g.attempts.first)), in.Message, where, outcomes(&g.attempts))
		if g.attempts.unanswered*2 > uint32(g.attempts.count()) {
			in.Message += " Most stay in SYN_SENT at the source: the pattern of a worm."
		}
		report(in)
	}
}
