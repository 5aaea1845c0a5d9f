package incident

import (
	"fmt"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

var _ = register(Rule{
	ID:        "lossy-path",
	Example:   "incidents/last-acks-lost.pcap",
	Catalogue: []string{"C05a", "C05b"},
	Title:     "Last ACKs are lost in one direction",
	Severity:  finding.Warning,
	RFC:       "9293 3.6, 3.10.7.4",
	Folds:     []string{"lost-final-ack", "fin-in-time-wait", "fin-unanswered", "fin-answered-by-reset"},
	Check:     checkLossyPath,
	Meaning: `The ACK that ends a connection is the one segment whose loss shows by itself: the FIN comes
again. Counted over many connections it measures the loss of a path in one direction, on one side of
the capture point.

- C05b: the ACK passed the capture point and was lost behind it, on the way to the side named.
- C05a: the ACK never passed: it was lost before the capture point, or the FIN behind it.`,
	Signature: `    A                   tap                   B
    | ACK --------------|---- x               |  in 12 of 400 closes: 3 %
    | <-----------------|------- FIN again    |`,
	Alternatives: `A firewall that forgets connections at the second FIN drops exactly these ACKs, and
nothing else: then data is not lost as often. A host that limits how often it answers
(tcp_invalid_ratelimit).`,
	Advice: `Compare with how often data is repeated (packets and retransmits in the report): the same
share is loss; far less is a firewall. C05b: look at interfaces, queues and policers between the
capture point and the side named. C05a: capture nearer to the other side.`,
	Settings: `Linux: nf_conntrack_tcp_timeout_last_ack (30 s), _close (10 s) on devices; ip -s link,
tc -s qdisc, ethtool -S count drops. FreeBSD: netstat -I. Windows: Get-NetAdapterStatistics.`,
})

const (
	// lossLeast closes with a lost ACK on one path, of which one in lossShare: more than
	// a path loses that is in order.
	lossLeast, lossShare = 3, 100
	// lossWarn: from so many on it is no chance.
	lossWarn = 8
)

func checkLossyPath(s *Sums, report func(Incident)) {
	closes := make([]uint64, len(s.paths.keys)) // by path
	for i, k := range s.pairs.keys {
		path := k.path()
		if at := s.paths.index.find(s.paths.keys, &path); at >= 0 {
			p := s.pairs.rec(int32(i))
			closes[at] += uint64(p.closed[softClient]) + uint64(p.closed[softServer])
		}
	}
	for side := range 2 {
		var all []int32 // those with any loss, in the order of their keys
		var groups [][]int32
		for _, i := range s.paths.sorted() {
			p := s.paths.rec(i)
			n := max(p.lostTo[side], p.unseen[side])
			if n > 0 {
				all = append(all, i)
			}
			if n >= lossLeast && len(groups) <= maxScopes {
				groups = append(groups, []int32{i})
			}
		}
		// Many paths with a little each are one matter: what they share is said.
		if len(all) > 0 && (len(groups) > maxScopes || len(groups) == 0) {
			groups = [][]int32{all}
		}
		for _, g := range groups {
			var sum struct {
				k                    key
				lost, unseen, closes uint64
			}
			sum.k = shared(g, func(i int32) key { return s.paths.keys[i] })
			in := Incident{Severity: finding.Info, Confidence: finding.Likely, Falsify: "A capture behind the loss that holds these ACKs."}
			in.tolds = make([]*told, 0, len(g))
			shown := make([]*examples, 0, len(g))
			for _, i := range g {
				p := s.paths.rec(i)
				sum.lost, sum.unseen, sum.closes = sum.lost+uint64(p.lostTo[side]), sum.unseen+uint64(p.unseen[side]), sum.closes+closes[i]
				in.tolds = append(in.tolds, p.told)
				shown = append(shown, p.lost)
			}
			n := max(sum.lost, sum.unseen)
			if n < lossLeast || n*lossShare < sum.closes {
				continue
			}
			if n >= lossWarn {
				in.Severity = finding.Warning
			}
			in.show(shown...)
			in.key, in.Count = sum.k, n
			in.First, in.Last = s.spanOf(sum.k)
			to := reassembly.Side(side)
			between := pathName(sum.k, len(g))
			in.Catalogue, in.Reason = "C05b", "the ACKs passed the capture point, and the FINs came again too late to have crossed them"
			in.Message = fmt.Sprintf("Segments are lost behind the capture point on their way to the %s, %s: the last ACK of %s of %s closes (%s).",
				to, between, num(sum.lost), num(sum.closes), percent(sum.lost, sum.closes))
			if sum.unseen > sum.lost {
				in.Catalogue, in.Reason = "C05a", "the FINs themselves may have died behind the capture point instead"
				in.Message = fmt.Sprintf("Segments are lost before the capture point on their way to the %s, %s: the last ACK of %s of %s closes (%s) never passed.",
					to, between, num(sum.unseen), num(sum.closes), percent(sum.unseen, sum.closes))
			}
			report(in)
		}
	}
}

// shared returns the key of what all have in common: client, server, both or neither.
func shared[T any](all []T, of func(T) key) key {
	k := of(all[0])
	for _, x := range all[1:] {
		o := of(x)
		if k.client() != o.client() {
			k[clientHigh], k[clientLow] = 0, 0
		}
		if k.server() != o.server() {
			k[serverHigh], k[serverLow] = 0, 0
		}
		if k[rest] != o[rest] {
			k[rest] &= v6Bit & o[rest]
		}
	}
	return k
}

// pathName says between whom.
func pathName(k key, paths int) string {
	switch {
	case k.hasClient() && k.hasServer():
		return fmt.Sprintf("between %s and %s", k.clientAddr(), k.serverAddr())
	case k.hasClient():
		return fmt.Sprintf("on %s of %s", count(paths, "path"), k.clientAddr())
	case k.hasServer():
		return fmt.Sprintf("on %s to %s", count(paths, "path"), k.serverAddr())
	}
	return "on " + count(paths, "path")
}

// spanOf returns the first and the last time of connections between two hosts, or of
// one host.
func (s *Sums) spanOf(k key) (first, last wire.Time) {
	for i, q := range s.pairs.keys {
		if k.hasClient() && q.client() != k.client() || k.hasServer() && q.server() != k.server() {
			continue
		}
		p := s.pairs.rec(int32(i))
		first, last = earliest(first, p.first), max(last, p.last)
	}
	return first, last
}
