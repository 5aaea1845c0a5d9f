package incident

import (
	"fmt"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/reassembly"
)

var _ = register(Rule{
	ID:        "reset-flood",
	Catalogue: []string{"R05"},
	Title:     "A host sends RSTs by the thousand",
	Severity:  finding.Warning,
	RFC:       "9293 3.5.2",
	Folds:     []string{"reset-storm", "reset-provenance"},
	Check:     checkResetFlood,
	Meaning: `A listener's host, or its clients, sent a thousand RSTs or more, and more than ninety for each
connection: one for each segment that met no socket. Somebody goes on sending to connections that are
gone.`,
	Signature: `    A                      B
    | data --------------> |
    | <---------------- RST|
    | data --------------> |  goes on
    | <---------------- RST|  a thousand times`,
	Alternatives: `Frames that are in the capture twice (doubled-frames) are not counted. Refused attempts are
told as such (service-unreachable, port-scan).`,
	Advice: `Find out who sends to a host that does not want it: the connections in the message, by their
other end. A program that does not look at what write() returns goes on like this, and so does a
device that lost what it translates.`,
	Settings: `Linux: RSTs without a socket are not limited in rate; nstat TcpOutRsts, TcpExtTCPAbortOnData.
FreeBSD: net.inet.icmp.icmplim (200 a second) limits them. Windows: none.`,
})

const (
	// resetFlood is Zeek's threshold for a storm of RSTs.
	resetFlood = 1000
	// resetsEach: each segment under way may meet a RST, and a window of 64 KiB, the most
	// without scaling, holds 45; twice that to each connection is somebody who does not
	// heed them.
	resetsEach = 90
)

func checkResetFlood(s *Sums, report func(Incident)) {
	for _, i := range s.listeners.sorted() {
		k, l := s.listeners.keys[i], s.listeners.rec(i)
		for side, n := range l.resets {
			if n < resetFlood || n < resetsEach*uint64(l.resetters[side]) {
				continue
			}
			who := k.scope().String()
			if reassembly.Side(side) == reassembly.Client {
				who = "The clients of " + who
			}
			in := Incident{
				key: k, Catalogue: "R05", Severity: finding.Warning, Confidence: finding.Certain, Count: uint64(l.resetters[side]), First: l.firstOK, Last: l.heard,
				Message: fmt.Sprintf("%s sent %s RSTs on %s: the other side goes on sending to what is closed.", who, num(n), count(l.resetters[side], "connection")),
				Falsify: "The same RST captured several times.",
				Reason:  "the RSTs are in the capture",
				tolds:   []*told{l.told},
			}
			in.show(l.reset)
			report(in)
		}
	}
}
