package incident

import (
	"fmt"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/wire"
)

var _ = register(Rule{
	ID:        "graceful-drain",
	Catalogue: []string{"C21"},
	Title:     "A service stopped and let its connections end",
	Severity:  finding.Info,
	RFC:       "9293 3.6",
	Folds:     []string{"closed-port-reset"},
	Check:     checkGracefulDrain,
	Meaning: `From one moment on the listener took no new connection, and those that were open ended one
after the other, over more than a second, each by the server's FIN and none by RST: a deployment or
restart that lets requests come to their end.`,
	Signature: `    A, C, D                B:443
    | answer, FIN <------- |  one connection after the other
    | SYN ---------------> |
    | <--------- RST, ACK  |  it listens no more`,
	Alternatives: `Idle connections that run into their timeout one after the other, at a service that
was stopped in another way.`,
	Advice: `Nothing, if clients try another server or the same again at once. If they see errors: take
the server out of the balancer before it stops listening.`,
	Settings: `No sysctl: nginx worker_shutdown_timeout, HAProxy hard-stop-after, Kubernetes
terminationGracePeriodSeconds (30 s), systemd TimeoutStopSec (90 s).`,
})

// drainLeast is how many connections must end so.
const drainLeast = 10

func checkGracefulDrain(s *Sums, report func(Incident)) {
	for _, i := range s.listeners.sorted() {
		k, l := s.listeners.keys[i], s.listeners.rec(i)
		t := s.targets.get(k)
		if t == nil || t.refused == 0 || t.firstRefused <= l.lastOK {
			continue
		}
		// After the last that was opened.
		var n, others uint64
		open := int64(s.listeners.times(k).count(met))
		first, last := wire.Time(0), wire.Time(0)
		s.listeners.times(k).moments(func(from, to wire.Time, happened *[kinds]uint32) {
			open += int64(happened[opened])
			if from > l.lastOK {
				for _, e := range ends {
					if e == softServer {
						continue
					}
					others += uint64(happened[e])
				}
				if happened[softServer] > 0 {
					first, last = earliest(first, from), to
					n += uint64(happened[softServer])
				}
			}
			for _, e := range ends {
				open -= int64(happened[e])
			}
		})
		if n < drainLeast || others*10 > n || open > int64(n/10) || last.Sub(first) <= atOnce {
			continue
		}
		in := Incident{
			key: k, Catalogue: "C21", Severity: finding.Info, Confidence: finding.Likely, Count: n, First: first, Last: last,
			Message: fmt.Sprintf("%s took no connection after %s, and closed its %s by FIN within %s: it was stopped and let them end. It refused %s from %s on.",
				k.scope(), clock(l.lastOK), count(n, "open connection"), span(last.Sub(first)), count(t.refused, "attempt"), clock(t.firstRefused)),
			Falsify: "RSTs of the server, or requests without an answer, in that time.",
			Reason:  "idle connections that run into their timeouts end in the same way",
			tolds:   []*told{t.told},
		}
		in.show(l.held)
		report(in)
	}
}
