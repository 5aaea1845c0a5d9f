package finding

import (
	"fmt"

	"github.com/tcplife/tcplife/reassembly"
)

var _ = register(Rule{
	ID:        "no-socket-reset",
	Catalogue: []string{"C19", "D10"},
	Title:     "A host did not know its own connection any more",
	Severity:  Warning,
	RFC:       "9293 3.5.1 figure 10, 3.5.2",
	Triggers:  reassembly.SeenRST,
	resets:    replies,
	Check:     checkNoSocketReset,
	Meaning: `A segment of an established connection was answered by a RST without ACK flag whose
number is the acknowledgment of that segment. So answers a host that has no such socket:
it restarted, or its socket was closed by a RST that did not reach the peer (or was sent to
it by somebody else), or packets now reach another host behind the same address. The
segment's data is lost and the application sees ECONNRESET.

- D10: the first segment after the side's last one met the RST.
- C19: segments were sent in vain before, and repeated: the host was away for that time, which the
  message bounds, and then came back without memory of the connection.`,
	Signature: `    A                               B
    |  established, data both ways   |
    |            (silence)          X|  B restarts, or lost the socket
    | data, ack y ----------------> |
    | <------------- RST, seq = y   |  no ACK flag, window 0`,
	Alternatives: `A firewall or load balancer that forgot the connection sends the same segment in
the host's name. Hop limit and delay like the host's other segments speak for the host;
later SYNs from it with fresh time stamps speak for a restart. A RST of the host's own that
was lost before the capture point explains it without a restart.`,
	Advice: `Give the time between the last segment of that host and its RST to whoever runs it:
a restart, failover or deployment lies between. If a load balancer, NAT or VPN is on the
path and the connection was idle for minutes, compare the idle time with its idle timeout
and set keepalives below that.`,
	Settings: `Linux: tcp_keepalive_time (7200 s), tcp_keepalive_intvl (75 s), tcp_keepalive_probes
(9), per socket SO_KEEPALIVE and TCP_KEEPIDLE; TCP_USER_TIMEOUT. On a device in between:
nf_conntrack_tcp_timeout_established (5 days), nf_conntrack_tcp_be_liberal (0).`,
})

func checkNoSocketReset(c *Case, report func(Finding)) {
	for s := range c.Ends {
		side := reassembly.Side(s)
		var g group
		for i := range c.resets() {
			r := &c.rsts[i]
			if r.from == side && r.forgot(c) {
				g.add(r)
			}
		}
		if g.n == 0 {
			continue
		}
		r := g.first
		you := side.Peer()
		spoke := last(c, r.at, func(e *reassembly.Event) bool { return e.From == side && e.Kind != reassembly.KindRST })
		f := Finding{
			Catalogue: "D10", Severity: Warning, Confidence: Likely, Endpoint: Both,
			Frames: frames(c, g.events()...),
			Message: fmt.Sprintf("The %s answered the %s's segment at %s with RST as a host without that socket does",
				side, you, since(c, c.Events[r.trigger].LastAt)),
			Falsify: fmt.Sprintf("A RST or FIN that the %s sent earlier and the capture lacks, or a device on the path that answers in its name.", side),
			Reason:  "the form shows that whoever answered had no socket, not why it had none",
		}
		if spoke >= 0 {
			f.Message += fmt.Sprintf(", %s after its own last segment", span(r.event.At.Sub(c.Events[spoke].LastAt)))
		}
		if vain := inVain(c, side, spoke, r.trigger); len(vain) > 1 {
			f.Catalogue = "C19"
			f.Frames = frames(c, append(g.events(), first(vain, groupMax)...)...)
			f.Message += fmt.Sprintf(", after %d segments that met no answer from %s on: it was away and came back without the connection", len(vain), since(c, c.Events[vain[0]].At))
		}
		if n, _ := unacked(c, you, r.at); n > 0 {
			f.Message += fmt.Sprintf("; %s were not acknowledged.", plural(int(n), "octet"))
		} else {
			f.Message += "."
		}
		if r.doubt != 0 {
			f.Confidence, f.Reason = Possible, r.why(c)
		} else if why := gaps(c); why != "" {
			f.Confidence, f.Reason = Possible, why+"; the side's own FIN or RST may be among it"
		}
		report(f)
	}
}

// inVain returns the peer's segments that need an answer, between the last of a
// side and the one that its RST answers.
func inVain(c *Case, side reassembly.Side, spoke, trigger int) (all []int) {
	for i := spoke + 1; i < trigger; i++ {
		e := &c.Events[i]
		if e.From != side && genuine(e) && (consumes(e) || e.Marks.Has(reassembly.MarkKeepalive)) && c.Events[trigger].At.Sub(e.At) >= reassembly.ShortestRTO {
			all = append(all, i)
		}
	}
	return all
}

// forgot reports whether the RST shows that its sender lost a connection that it
// had: it neither closed nor reset it before, and the peer took it for established.
func (r *reset) forgot(c *Case) bool {
	if r.origin != reply || !genuine(r.event) || finBefore(c, r.from, r.at) >= 0 || r.gone(c) || afterNext(c, r.at) {
		return false
	}
	// What one processor sends may overtake what another one does: who sends a FIN had the
	// connection, and closed it.
	if next(c, r.at+1, func(e *reassembly.Event) bool {
		return e.From == r.from && genuine(e) && e.Kind == reassembly.KindFIN && e.At.Sub(r.event.At) <= reassembly.Overtaking
	}) >= 0 {
		return false
	}
	t := &c.Events[r.trigger]
	if t.Kind == reassembly.KindSYN || t.Kind == reassembly.KindSYNACK || !genuine(t) {
		return false
	}
	// The answer to the handshake's last ACK is a listener's (tcp_abort_on_overflow).
	return next(c, 0, func(e *reassembly.Event) bool {
		return e.From == t.From && e.Kind != reassembly.KindSYN && e.Kind != reassembly.KindSYNACK && genuine(e)
	}) < r.trigger || t.Count > 1
}
