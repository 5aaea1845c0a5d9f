package incident

import (
	"fmt"

	"github.com/tcplife/tcplife/finding"
)

var _ = register(Rule{
	ID:        "slow-connects",
	Catalogue: []string{"H29"},
	Title:     "Connecting takes steps of a second",
	Severity:  finding.Warning,
	RFC:       "6298 2.1, 5.7",
	Folds:     []string{"slow-connect"},
	Check:     checkSlowConnects,
	Meaning: `Of the connections to one listener a part took about one, three or seven seconds to open:
the steps of the retransmission timer, one for each SYN or SYN-ACK that was lost. Between the steps
there is nothing, so averages hide it; users see every hundredth click hang.`,
	Signature: `    connect time
    0.01 s  ##################################
    1.01 s  ###      one SYN or SYN-ACK lost
    3.01 s  #        two`,
	Alternatives: `A full queue of the listener (accept-queue-full says so when the listener alone drops).
A path with loss: then data is repeated as often, and other listeners show the same.`,
	Advice: `Compare listeners and clients: one listener alone is its queue (ss -ltn, nstat
TcpExtListenDrops); one client alone its path; all of them the path to here. Rate limits of
firewalls for new connections drop SYNs too.`,
	Settings: `Linux: the first timeout of a SYN is 1 s and fixed; tcp_syn_linear_timeouts (4, since 6.5)
makes the steps 1, 2, 3, 4, 5 s. net.core.somaxconn (4096). FreeBSD: kern.ipc.soacceptqueue (128).
Windows: InitialRto (1000 or 3000 ms by release; Get-NetTCPSetting).`,
})

const (
	// slowLeast and slowShare: five connections, and one of a hundred; less is what
	// paths that are in order lose now and then.
	slowLeast, slowShare = 5, 100
	// One segment of lossySegments repeats what was sent: a path that loses so many is out
	// of order. One of calmSegments: it is in order.
	lossySegments, calmSegments = 50, 500
	// lossyMore: a handshake has two chances to lose a segment, and of the others half are
	// ACKs, which nobody repeats; so a path alone repeats SYNs some four times as often.
	lossyMore = 6
)

func checkSlowConnects(s *Sums, report func(Incident)) {
	for _, i := range s.listeners.sorted() {
		k, l := s.listeners.keys[i], s.listeners.rec(i)
		slow := uint64(0)
		for _, n := range l.steps {
			slow += uint64(n)
		}
		if slow < slowLeast || slow*slowShare < uint64(l.complete) {
			continue
		}
		in := Incident{
			key: k, Catalogue: "H29", Severity: finding.Warning, Confidence: finding.Certain, Count: slow, First: l.firstOK, Last: l.lastOK,
			Message: fmt.Sprintf("Connecting to %s took a second or more in %s of %s connections (%s)",
				k.scope(), num(slow), num(l.complete), percent(slow, uint64(l.complete))),
			Falsify: "Copies of one SYN made by the network instead of repetitions.",
			Reason:  "each of them repeated its SYN or its SYN-ACK",
			tolds:   []*told{l.told},
		}
		others := l.repeats - min(l.resyns, l.repeats)
		switch {
		case uint64(l.oneWay)*2 > l.opened():
			in.Message += "." // what was dropped, and by whom, is not seen from one side
		case others*lossySegments >= l.packets && slow*l.packets <= others*uint64(l.complete)*lossyMore:
			in.Message += ", and its other segments are lost as well: the path loses them."
		case others*calmSegments <= l.packets:
			in.Message += ", and hardly anything else is lost: something drops SYNs."
		default:
			in.Message += "."
		}
		var steps []string
		for i, n := range l.steps {
			if n > 0 {
				steps = append(steps, num(n)+[...]string{" about 1 s", " about 3 s", " about 7 s", " longer"}[i])
			}
		}
		in.Message += fmt.Sprintf(" It took %s. Of %s segments in all, %s (%s) repeated something else.", listed(steps), num(l.packets), num(others), percent(others, l.packets))
		in.show(l.slow)
		report(in)
	}
}
