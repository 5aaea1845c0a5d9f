package finding

import (
	"fmt"
	"time"

	"github.com/tcplife/tcplife/reassembly"
)

var _ = register(Rule{
	ID:        "ports-blocked",
	Catalogue: []string{"W03", "W10", "W12"},
	Title:     "Ports used before do not open again",
	Severity:  Info,
	RFC:       "7323 5.3, appendix B; 6191; 5382 REQ-5",
	Triggers:  reassembly.SeenReused,
	Check:     checkPortsBlocked,
	Meaning: `A SYN used the ports of a connection that had ended less than two minutes before, and
was not answered at first.

- W03: nothing came back until it was repeated, or never: something still holds the old
  connection and drops the SYN silently. A host that applies PAWS to TIME_WAIT does, and so does
  a firewall's table.
- W12: besides, the SYN's time stamp is older than the old connection's last one: PAWS would drop
  it. The two came from hosts with different clocks behind one address.
- W10: besides, the hop limit is another: another host, behind a NAT that freed the port early.`,
	Signature: `    old connection closes
    | SYN (TS val below the last) --> |  dropped
    | SYN again --------------------> |  dropped until TIME_WAIT is over
    | <----------------------- SYN-ACK|`,
	Alternatives: `A SYN or SYN-ACK lost by chance. Only SYNs of reused ports that are lost more often
than others prove it: compare.`,
	Advice: `On NAT devices keep a closed connection's port for at least two minutes, and switch on
random time-stamp offsets on the hosts behind it. On the server nothing helps but patience: do not
look for tcp_tw_recycle, which caused this and was removed.`,
	Settings: `Linux: tcp_timestamps (1: with a random offset for each peer), nf_conntrack_tcp_timeout_
time_wait (120 s) on NAT; TIME_WAIT itself is 60 s and fixed; tcp_tw_recycle is gone since 4.12.
FreeBSD: net.inet.tcp.msl. Windows: TcpTimedWaitDelay (registry).`,
})

// reuseSpan is how long after its end a connection may still be remembered by
// somebody: 2 minutes, the longest TIME_WAIT in use and conntrack's default.
const reuseSpan = 2 * time.Minute

func checkPortsBlocked(c *Case, report func(Finding)) {
	p := &c.Previous
	syn := firstOf(c, reassembly.Client, reassembly.KindSYN, 0)
	if syn != 0 || p.Opener != reassembly.Client || c.Seen&reassembly.SeenOlderLife != 0 {
		// What the old connection's host said to the SYN is port-reuse's to tell.
		return
	}
	ago := c.Start.Sub(p.Last)
	all := c.Transmissions(syn)
	answer := next(c, 0, func(e *reassembly.Event) bool { return e.From == reassembly.Server })
	if len(all) < 2 || ago < 0 || ago > reuseSpan || answer >= 0 && answer < all[1] {
		return
	}
	if rst := next(c, 0, func(e *reassembly.Event) bool { return e.From == reassembly.Client && e.Kind == reassembly.KindRST }); rst >= 0 {
		return
	}
	f := Finding{
		Catalogue: "W03", Severity: Info, Confidence: Possible, Endpoint: Both,
		Frames:  frames(c, append(first(all, groupMax), answer)...),
		Message: fmt.Sprintf("The ports' last connection had ended %s before; the new SYN was sent %s before anything answered it.", span(ago), times(len(all))),
		Falsify: "SYNs from ports that were not used before, to the same server, that are lost as often.",
		Reason:  "a SYN lost by chance looks the same",
	}
	switch e := &c.Events[syn]; {
	case p.TTL != 0 && e.TTL != p.TTL:
		f.Catalogue = "W10"
		f.Message += fmt.Sprintf(" Its hop limit is %d, where the old connection's client had %d: another host behind one address.", e.TTL, p.TTL)
	case e.Marks.Has(reassembly.MarkTimestamp) && p.HasTime && int32(e.TSVal-p.TSVal) < 0:
		f.Catalogue = "W12"
		f.Message += " Its time stamp is older than the old connection's last one."
	}
	report(f)
}
