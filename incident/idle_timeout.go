package incident

import (
	"fmt"
	"time"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/wire"
)

var _ = register(Rule{
	ID:        "idle-timeout",
	Example:   "incidents/firewall-drops-idle.pcap",
	Catalogue: []string{"D07", "D08", "G09"},
	Title:     "Connections die when they have been idle",
	Severity:  finding.Error,
	RFC:       "5382 REQ-5; 7857 2.1",
	Folds:     []string{"retransmission-death", "icmp-refusal", "idle-reset", "no-socket-reset", "keepalive", "unacknowledged-tail", "reset-provenance"},
	Explains:  []string{"reset-share"},
	Check:     checkIdleTimeout,
	Meaning: `Several connections of one host or path died at the first segment after a silence, while
others went on: something between the hosts forgets connections that have been idle for too long.

- D07: it drops what comes for them, so data is repeated until the sender gives up.
- D08: it answers by RST.
- G09: both kinds, or one of them beside silences that were survived: the limit lies between the
  longest silence that a connection survived and the shortest after which one died. The message
  gives both.`,
	Signature: `    silence before the next segment
    5 s    ok ok ok ok ok
    60 s   ok ok
    240 s  dead dead        the limit lies between 60 and 240 s
    600 s  dead`,
	Alternatives: `A host that restarted: then its busy connections die too (host-silent). A server that
closes idle connections tells so by FIN; if its FINs are lost or filtered, this is what is left.
Silences inside runs of data are known from half a minute on only, so a shorter one that was
survived may be missing here.`,
	Advice: `Find the device: NAT, firewall, load balancer, cloud gateway (350 s and 4 min are common), a
container network's connection tracking. Then let the ends speak more often: TCP keepalive below
half the limit (SO_KEEPALIVE with TCP_KEEPIDLE), the protocol's own ping, or a pool that drops what
was idle for longer. Raising the device's limit helps for one device.`,
	Settings: `Linux: tcp_keepalive_time (7200 s: longer than most devices wait), TCP_KEEPIDLE,
TCP_KEEPINTVL per socket; on devices nf_conntrack_tcp_timeout_established (432000 s),
nf_conntrack_tcp_loose (1). FreeBSD: net.inet.tcp.keepidle (7200000 ms). Windows: KeepAliveTime
(7200000 ms), SIO_KEEPALIVE_VALS.`,
})

// idleLeast: one death after a silence is told on its connection; two make a limit.
const idleLeast = 2

// idleDeaths sums up the deaths of some paths.
type idleDeaths struct {
	in        Incident
	all       spread
	byReset   uint64
	reported  uint64 // by ICMP
	report    icmpSort
	longest   time.Duration // that was survived, shorter than the shortest death
	beyond    time.Duration // the longest that was survived in all
	survivors uint64
	lastHeard wire.Time
}

func checkIdleTimeout(s *Sums, report func(Incident)) {
	byServer, byClient := map[key][]key{}, map[key][]key{}
	for i, k := range s.paths.keys {
		if p := s.paths.rec(int32(i)); p.deaths[0] != nil || p.deaths[1] != nil {
			byServer[k.server()] = append(byServer[k.server()], k)
			byClient[k.client()] = append(byClient[k.client()], k)
		}
	}
	told := map[key]bool{}
	// One client to many servers: the device is near the client. Otherwise it is told
	// by server, and by path where there is one alone.
	for _, host := range sortedKeys(byClient) {
		if len(byClient[host]) > 2 {
			s.idleDied(host, byClient[host], told, report)
		}
	}
	for _, host := range sortedKeys(byServer) {
		var left []key
		for _, k := range byServer[host] {
			if !told[k] {
				left = append(left, k)
			}
		}
		if len(left) == 1 {
			host = left[0]
		}
		s.idleDied(host, left, told, report)
	}
}

func (s *Sums) idleDied(scope key, paths []key, done map[key]bool, report func(Incident)) {
	d := idleDeaths{in: Incident{key: scope, Severity: finding.Error, Confidence: finding.Likely}}
	among := map[key]bool{}
	var shown []*examples
	for _, k := range paths {
		p := s.paths.get(k)
		among[k] = true
		for byReset, x := range p.deaths {
			if x != nil {
				d.all.merge(x)
				d.byReset += uint64(byReset) * uint64(x.count)
			}
		}
		d.reported += uint64(p.reported)
		d.report.merge(p.report)
		d.lastHeard = max(d.lastHeard, p.lastHeard)
		d.in.First, d.in.Last = earliest(d.in.First, p.firstAsked), max(d.in.Last, p.lastAsked)
		d.in.tolds = append(d.in.tolds, p.told)
		shown = append(shown, p.dead)
	}
	if d.all.count < idleLeast {
		return
	}
	for i, k := range s.pairs.keys {
		if !among[k.path()] {
			continue
		}
		p := s.pairs.rec(int32(i))
		d.survivors += uint64(p.idles)
		d.beyond = max(d.beyond, p.longest)
		if p.longest < d.all.min {
			d.longest = max(d.longest, p.longest)
		}
	}
	for _, k := range paths {
		done[k] = true
	}
	in := &d.in
	in.Count = uint64(d.all.count)
	in.show(shown...)
	in.Falsify = "A connection that was idle for longer and went on."
	in.Reason = "the connections died at the first segment after a silence; what forgot them is not in the capture"
	how := "without an answer"
	in.Catalogue = "D07"
	switch {
	case d.reported > 0:
		how = fmt.Sprintf("%s of them with %s for an answer", num(d.reported), d.report.says(scope))
	case d.byReset == in.Count:
		in.Catalogue, how = "D08", "with RST for an answer"
	case d.byReset > 0:
		how = fmt.Sprintf("%s of them with RST for an answer", num(d.byReset))
	}
	who := "Connections to " + scope.scope().Server.String()
	if !scope.hasServer() {
		who = "Connections of " + scope.scope().Client.String()
	} else if scope.hasClient() {
		who = fmt.Sprintf("Connections of %s to %s", scope.scope().Client, scope.scope().Server)
	}
	limit := fmt.Sprintf("for %s or longer", span(d.all.min))
	if d.longest > 0 && d.beyond == d.longest {
		in.Catalogue = "G09"
		limit = fmt.Sprintf("for more than between %s and %s", span(d.longest), span(d.all.min))
	}
	forgets := "a device on the path forgets them"
	if d.lastHeard < d.in.First && s.outlived(among, d.lastHeard, d.in.First) <= in.Count {
		// No other connection is known to have been there all the while.
		from := d.lastHeard
		if heard := s.heard[paths[0].server()]; heard < d.in.First {
			from = max(from, heard)
		}
		forgets = fmt.Sprintf("a device on the path forgets idle connections, or lost all that it knew between %s and %s", clock(from), clock(d.in.First))
		in.Reason += "; all of them were silent at one moment, and no other connection is known to have outlived it"
	}
	in.Message = fmt.Sprintf("%s die when idle %s: %s died at the first segment after %s to %s of silence, %s; %s.",
		who, limit, num(in.Count), span(d.all.min), span(d.all.max), how, forgets)
	switch {
	case d.beyond > d.longest:
		in.Confidence = finding.Possible
		in.Reason = fmt.Sprintf("another connection survived a silence of %s, so idleness alone is not it", span(d.beyond))
	case d.longest > 0:
		in.Message += fmt.Sprintf(" The longest silence that one survived was %s (of %s that were idle for a second or longer).", span(d.longest), num(d.survivors))
	}
	in.Message += fmt.Sprintf(" Half of the deaths came after %s or less.", span(d.all.percentile(50)))
	report(*in)
}

// outlived returns how many connections on some paths were open at one time and at a
// later one, at least: those that ended in between may all have been there before.
func (s *Sums) outlived(paths map[key]bool, from, to wire.Time) uint64 {
	open := int64(0)
	for i, k := range s.pairs.keys {
		if !paths[k.path()] {
			continue
		}
		open += int64(s.pairs.series[i].count(met))
		s.pairs.series[i].moments(func(at, _ wire.Time, n *[kinds]uint32) {
			if at <= from {
				open += int64(n[opened])
			}
			if at > to {
				return
			}
			for _, e := range ends {
				open -= int64(n[e])
			}
		})
	}
	return uint64(max(open, 0))
}
