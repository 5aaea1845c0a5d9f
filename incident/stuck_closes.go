package incident

import (
	"fmt"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/reassembly"
)

var _ = register(Rule{
	ID:        "stuck-closes",
	Example:   "incidents/stale-pool.pcap",
	Catalogue: []string{"C06", "C07", "C09", "C10"},
	Title:     "Closes that get stuck",
	Severity:  finding.Warning,
	RFC:       "9293 3.6, 3.8.1; 1122 4.2.2.13",
	Folds:     []string{"fin-unanswered", "half-closed-for-long", "lost-final-ack"},
	Explains:  []string{"lossy-path"},
	Check:     checkStuckCloses,
	Meaning: `Many endpoints at one listener, or of its clients, repeat their FIN and nobody acknowledges
it, or find that the other side is gone.

- C09: they closed second and stand in LAST_ACK.
- C06: they closed first and stand in FIN_WAIT_1: data before the FIN may be missing too.
- C10: both closed at once, and they stand in CLOSING.
- C07: they had closed first, and when the other side spoke at last they were gone from FIN_WAIT_2,
  or nobody was left to read it: it goes on for longer than they care.

The number named is that of most of them.`,
	Signature: `    A                      B:80
    | FIN, ACK ------------> |
    | <------------ FIN, ACK |  B: LAST_ACK
    | <------------ FIN, ACK |  again and again, on many connections
    | <------------ FIN, ACK |`,
	Alternatives: `A path that loses in one direction (lossy-path tells when some get through); a peer host
that is gone (host-silent). A firewall that forgets a connection at the first or second FIN and
drops what follows does exactly this, at every connection.`,
	Advice: `Compare with what the other side sends: capture there. If its ACKs leave, look for a firewall
or NAT on the way whose time for closing connections is shorter than the close takes. On the host:
ss -tan state last-ack (or fin-wait-1, closing) counts them, with the retransmission timer (-o).`,
	Settings: `Linux: tcp_orphan_retries (0 stands for 8, some 100 s), tcp_max_orphans, tcp_fin_timeout
(60 s: FIN_WAIT_2 of closed sockets); nf_conntrack_tcp_timeout_last_ack (30 s), _fin_wait (120 s),
_close_wait (60 s) on devices. FreeBSD: net.inet.tcp.finwait2_timeout (60000 ms). Windows:
TcpMaxDataRetransmissions (5), TcpFinWait2Delay (registry).`,
})

const (
	// stuckLeast: one or two are ordinary losses; five at one listener are not.
	stuckLeast = 5
	// stuckShare: all but one of so many closes are nearly every one.
	stuckShare = 10
)

func checkStuckCloses(s *Sums, report func(Incident)) {
	for _, i := range s.listeners.sorted() {
		k, l := s.listeners.keys[i], s.listeners.rec(i)
		for side := range l.stuck {
			n := &l.stuck[side]
			if n.total() < stuckLeast {
				continue
			}
			// ACKs that were lost behind the tap, or came at last, are a matter of the path;
			// unless it is so at nearly every close: that is no chance.
			closes := uint64(0)
			for _, e := range ends {
				closes += uint64(l.closed[e])
			}
			if n.total()-uint64(n.acked) < stuckLeast && n.total()*stuckShare < closes*(stuckShare-1) {
				continue
			}
			in := Incident{
				key: k, Severity: finding.Warning, Confidence: finding.Likely, Count: n.total(), First: l.firstOK, Last: l.heard,
				Falsify: "ACKs of these FINs in a capture made nearer to the endpoint that repeats them.",
				Reason:  "a host that has the ACK does not repeat its FIN; where it was lost is not shown",
				tolds:   []*told{l.told},
			}
			who := k.scope().String()
			if reassembly.Side(side) == reassembly.Client {
				who = "the clients of " + who
			}
			most, unheard := uint32(0), "nobody acknowledged it"
			if n.acked > 0 {
				unheard = "no ACK of it arrived"
			}
			for _, x := range []struct {
				n         uint32
				catalogue string
				what      string
			}{
				{n.lastACK, "C09", "stood in LAST_ACK: their FIN was repeated and " + unheard},
				{n.finWait1, "C06", "stood in FIN_WAIT_1: their FIN was repeated and " + unheard},
				{n.closing, "C10", "stood in CLOSING: their FIN was repeated and " + unheard},
				{n.orphaned, "C07", "had closed and were gone from FIN_WAIT_2 when the other side spoke at last"},
				{n.late, "C07", "had closed, and what the other side sent a second or more after it knew that met a RST"},
			} {
				if x.n > most {
					most, in.Catalogue = x.n, x.catalogue
					in.Message = fmt.Sprintf("%s of %s of %s %s.", num(x.n), count(l.opened(), "connection"), who, x.what)
				}
			}
			in.doubted(finding.Possible, l.gaps())
			in.show(l.some)
			report(in)
		}
	}
}
