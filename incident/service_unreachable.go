package incident

import (
	"fmt"
	"net/netip"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/wire"
)

var _ = register(Rule{
	ID:        "service-unreachable",
	Example:   "incidents/server-down-for-a-while.pcap",
	Catalogue: []string{"G04", "H02", "H03", "H04"},
	Title:     "A service cannot be reached",
	Severity:  finding.Error,
	RFC:       "9293 3.5.2, 3.8.3; 1122 4.2.3.9",
	Folds:     []string{"closed-port-reset", "syn-unanswered", "icmp-refusal", "reset-provenance"},
	Check:     checkServiceUnreachable,
	Meaning: `Attempts to connect to one address and port failed, one after the other. Where others
succeeded before or after, the message says from when to when it was down.

- H03: they were refused by RST: the host is there and nothing listens. The service is down, or its
  port another.
- H02: nothing came back: the host is down, or a filter drops.
- H04: an ICMP error came back.
- G04: some succeeded all the while: the share of failures is told.`,
	Signature: `    A, C, D                B:443
    | SYN -------------> |   up to 12:00:03  SYN-ACK
    | SYN -------------> |   from 12:00:04   RST, or nothing
    | SYN -------------> |   from 12:00:19   SYN-ACK again`,
	Alternatives: `Clients that are filtered one by one: then others succeed in the same time. A scan, which
tries what never was there (port-scan, host-sweep). A full queue (accept-queue-full). For H02 a
capture that holds one direction only.`,
	Advice: `H03: is the process running and listening, on this address (ss -ltn)? If it restarts, the
message's times are those of the restart: let clients retry, or start the new one before the old one
ends (SO_REUSEPORT, a balancer that drains). H02: does anything of that host answer? If it does, look
for a filter that drops; if not, for the host. H04: the device that sent the error says why.`,
	Settings: `Linux: no sysctl refuses; iptables/nft REJECT --reject-with tcp-reset answers as H03, DROP as
H02. tcp_syn_retries (6: connect() fails after two minutes). FreeBSD: net.inet.tcp.blackhole (0; 1:
H03 becomes H02). Windows: a filtered port is H02 (stealth mode).`,
})

const (
	// downLeast: three attempts in a row are no accident.
	downLeast = 3
	// downMany: from ten on it is an error, whether it ever was up or not.
	downMany = 10
	// downShare: where others succeed in the same time, a third must fail.
	downShare = 3
)

func checkServiceUnreachable(s *Sums, report func(Incident)) {
	var attempts byListener
	for _, i := range s.targets.sorted() {
		k, t := s.targets.keys[i], s.targets.rec(i)
		n := t.attempts()
		if n < downLeast {
			continue
		}
		l := s.listeners.get(k)
		from, to := t.first(), t.last()
		// What succeeded before, while and after.
		var before, while, after uint64
		lastBefore, firstAfter := wire.Time(0), wire.Time(0)
		if l != nil {
			times := s.listeners.times(k)
			for _, p := range times.points {
				if p.what() != opened {
					continue
				}
				switch at, ok := times.from(p), uint64(p.n()); {
				case at < from:
					before, lastBefore = before+ok, times.to(p)
				case at <= to:
					while += ok
				default:
					if after == 0 {
						firstAfter = at
					}
					after += ok
				}
			}
		}
		in := Incident{
			key: k, Severity: finding.Warning, Confidence: finding.Likely, Count: n, First: from, Last: to,
			Falsify: "Another attempt that succeeded in that time.",
			Reason:  "nothing in the capture shows whether the host or something before it answers so",
			tolds:   []*told{t.told},
		}
		in.show(&t.some)
		if t.low == t.high {
			in.key[clientHigh], in.key[clientLow] = t.low[clientHigh], t.low[clientLow]
		}
		how := fmt.Sprintf("%s refused by RST", are(n, "was", "were"))
		in.Catalogue = "H03"
		switch {
		case t.unreachable > t.refused && t.unanswered == 0:
			in.Catalogue, how = "H04", fmt.Sprintf("%s answered by %s", are(n, "was", "were"), t.reports.says(k))
		case t.unreachable > t.refused:
			// Routers and hosts limit the rate of their errors (RFC 1812 section 4.3.2.8),
			// and a SYN that got one once is not sent again.
			in.Catalogue, how = "H04", fmt.Sprintf("got no answer, but %s in %s of them", t.reports.says(k), num(t.unreachable))
		case t.unanswered >= t.refused:
			in.Catalogue, how = "H02", "got no answer"
			if heard := s.heard[k.server()]; heard > from {
				in.Reason = "the host itself was heard meanwhile: a filter drops, or its queue is full"
				how += ", though the host was heard on other connections meanwhile"
			} else if heard != 0 && before == 0 {
				how += ", though the host had been heard on other connections"
			}
		}
		// Where nothing of the host passes the tap, what it answered is not known.
		blind := l != nil && uint64(t.unanswered) == n && s.blind(k, l)
		if blind {
			how = "led to no connection, as far as one can see without the server's direction"
			in.Confidence, in.Reason = finding.Possible, "the capture holds nothing that the server sent: whether it refused or was silent is not seen"
		}
		clients := "of " + t.low.clientAddr().String()
		if inner, outer, twice := s.triedTwice(&attempts, k); twice {
			n /= 2
			in.Count = n
			clients = fmt.Sprintf("of %s, in the capture a second time as %s,", inner, outer)
		} else if t.low != t.high {
			clients = "of several clients"
		}
		if while > 0 {
			if n*downShare < n+while {
				continue
			}
			in.Catalogue = "G04"
			in.Message = fmt.Sprintf("%s of %s attempts to connect to %s failed from %s to %s (%s refused, %s not answered, %s by ICMP), and %s succeeded.",
				num(n), num(n+while), k.scope(), clock(from), clock(to), num(t.refused), num(t.unanswered), num(t.unreachable), num(while))
			in.Reason = "successes and failures alternate"
			report(in)
			continue
		}
		switch {
		case before > 0 && after > 0:
			in.Message = fmt.Sprintf("%s was down from %s to %s: %s in that time %s; %s had succeeded up to %s, and %s did again from %s on.",
				k.scope(), clock(from), clock(to), count(n, "attempt"), how, num(before), clock(lastBefore), num(after), clock(firstAfter))
		case before > 0:
			in.Message = fmt.Sprintf("%s went down: %s from %s on %s; %s had succeeded, the last at %s.",
				k.scope(), count(n, "attempt"), clock(from), how, num(before), clock(lastBefore))
		case after > 0:
			in.Message = fmt.Sprintf("%s was not up before %s: %s from %s on %s; %s succeeded afterwards.",
				k.scope(), clock(firstAfter), count(n, "attempt"), clock(from), how, num(after))
		default:
			in.Message = fmt.Sprintf("%s cannot be reached: all %s %s %s, from %s to %s.",
				k.scope(), count(n, "attempt"), clients, how, clock(from), clock(to))
		}
		if before > 0 || n >= downMany {
			in.Severity = finding.Error
		}
		report(in)
	}
}

// blind reports whether the capture holds nothing of a listener's host that must have
// sent something.
func (s *Sums) blind(k key, l *listener) bool {
	return s.heard[k.server()] == 0 && uint64(l.oneWay)*2 > l.opened()
}

// triedTwice returns the two addresses of a client whose attempts at a listener stand in
// the capture twice, before and behind a device that rewrites addresses; and no others do.
func (s *Sums) triedTwice(attempts *byListener, listener key) (inner, outer netip.Addr, twice bool) {
	by := attempts.of(s.attempts.keys, listener)
	if len(by) != 2 || s.attempts.share() > 0 {
		return inner, outer, false
	}
	one, two := s.attempts.keys[by[0]].client(), s.attempts.keys[by[1]].client()
	if n := s.attempts.rec(by[0]).failed(); n == 0 || n != s.attempts.rec(by[1]).failed() {
		return inner, outer, false
	}
	for _, i := range s.seenTwice {
		first := s.numbers.all.at(i)
		a, b := clientKey(&first.tuple), clientKey(&s.numbers.all.at(first.second-1).tuple)
		if a == one && b == two || a == two && b == one {
			return a.clientAddr(), b.clientAddr(), true
		}
	}
	return inner, outer, false
}
