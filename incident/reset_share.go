package incident

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/reassembly"
)

var _ = register(Rule{
	ID:        "reset-share",
	Example:   "incidents/firewall-resets-idle.pcap",
	Catalogue: []string{"G03"},
	Title:     "Many connections of a listener end by RST",
	Severity:  finding.Info,
	RFC:       "9293 3.5.2, 3.10.4",
	Folds:     []string{"abort", "late-data-reset", "no-socket-reset", "reset-provenance", "unacknowledged-tail", "reset-injected", "reset-storm"},
	Check:     checkResetShare,
	Meaning: `A fifth or more of the connections to one listener ended by RST instead of FIN. The message
says who sent them and of which class they were: a socket that was aborted, one closed with data that
nobody had read, data that came after the close, a host without that socket, a device; and in how many
octets were lost with them. It is a measure and no fault: TLS clients that close without waiting for
the other's farewell make such numbers every day.`,
	Signature: `    100 connections    60 FIN, FIN
                       25 RST of the client   socket aborted
                       15 RST of the server   closed with unread data`,
	Alternatives: `Health checks and load tests abort on purpose, to save TIME_WAIT. Browsers and proxies
abort what the user has left.`,
	Advice: `Start with the largest class: tcplife explain abort (socket aborted, unread data),
late-data-reset, no-socket-reset, reset-injected (device). Everything acknowledged: a habit of the
program. Data not acknowledged: somebody misses it.`,
	Settings: `Linux: SO_LINGER with time 0 aborts; TcpExtTCPAbortOnData, TcpExtTCPAbortOnClose and TcpOutRsts
in nstat. FreeBSD: netstat -s -p tcp. Windows: Get-NetTCPStatistics (ConnectionsReset).`,
})

const (
	// resetLeast connections must have ended, and one of resetShareOf by RST.
	resetLeast, resetShareOf = 20, 5
)

func checkResetShare(s *Sums, report func(Incident)) {
	var pairs byListener
	for _, i := range s.listeners.sorted() {
		k, l := s.listeners.keys[i], s.listeners.rec(i)
		ended, reset := uint64(0), uint64(0)
		for _, e := range ends {
			ended += uint64(l.closed[e])
		}
		for side := range l.classes {
			for _, n := range l.classes[side] {
				reset += uint64(n)
			}
		}
		if ended < resetLeast || reset*resetShareOf < ended {
			continue
		}
		var parts []string
		type part struct {
			n    uint32
			what string
		}
		var classes []part
		for side := range l.classes {
			for class, n := range l.classes[side] {
				if n > 0 {
					who := reassembly.Side(side).String()
					if side == int(reassembly.Client) {
						if one, alone := s.onlyResetter(&pairs, k); alone {
							who += " " + one.clientAddr().String()
						}
					}
					classes = append(classes, part{n, fmt.Sprintf("%s %s (%s)", num(n), who, resetNames[class])})
				}
			}
		}
		slices.SortStableFunc(classes, func(a, b part) int { return cmp.Compare(b.n, a.n) })
		for _, c := range classes {
			parts = append(parts, c.what)
		}
		wasted := uint64(l.wasted[0]) + uint64(l.wasted[1])
		in := Incident{
			key: k, Catalogue: "G03", Severity: finding.Info, Confidence: finding.Likely, Count: reset, First: l.firstOK, Last: l.heard,
			Message: fmt.Sprintf("%s of %s connections of %s that ended did so by RST (%s): %s.",
				num(reset), num(ended), k.scope(), percent(reset, ended), strings.Join(parts, ", ")),
			Falsify: "FINs of the same connections that the capture lacks.",
			Reason:  "the RSTs are in the capture, and their classes are read from their form; their share is that up to its end",
			tolds:   []*told{l.told},
		}
		if wasted == 0 {
			in.Message += " Everything had been acknowledged: a habit of the program, such as SO_LINGER with time 0."
		} else {
			in.Message += fmt.Sprintf(" In %s of them octets stayed without acknowledgment.", num(wasted))
		}
		in.show(l.reset)
		report(in)
	}
}
