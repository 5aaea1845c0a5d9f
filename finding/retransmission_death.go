package finding

import (
	"fmt"
	"time"

	"github.com/tcplife/tcplife/reassembly"
)

var _ = register(Rule{
	ID:        "retransmission-death",
	Catalogue: []string{"D01", "D07"},
	Title:     "Data was sent again and again, and nothing came back",
	Severity:  Error,
	RFC:       "6298 5.5; 9293 3.8.1, 3.8.3; 5382 REQ-5",
	Triggers:  reassembly.SeenRepeatData,
	Check:     checkRetransmissionDeath,
	Meaning: `A side repeated the same data with growing gaps and no acknowledgment of it ever
passed: the peer, its host or the path is gone. The sender gives up after its last retry, without
a segment that would say so; the application learns of it (ETIMEDOUT) after about a quarter of an
hour with Linux's defaults.

- D01: it happened in the middle of the traffic.
- D07: before it, nothing had passed for minutes: a NAT or firewall on the path forgot the idle
  connection and drops its segments silently.`,
	Signature: `    A                     B
    | data -------------> ?  |
    | the same ---------> ?  |  after 0.2 s, 0.4, 0.8, 1.6 ... up to 120 s`,
	Alternatives: `The capture lost the acknowledgments or holds one direction only; it ended before an
answer came. Whether the peer died or the path cannot be told from here; a RST of the peer later
on tells (no-socket-reset).`,
	Advice: `Note when the peer was last heard, and ask what happened to its host or the path then.
D07: compare the idle time with the timeouts of NAT, firewall, load balancer and cloud gateway,
and send keepalives more often than that. To learn of a dead peer sooner set TCP_USER_TIMEOUT on
the socket rather than lowering tcp_retries2 for all.`,
	Settings: `Linux: tcp_retries2 (15: at least 924 s), TCP_USER_TIMEOUT, tcp_keepalive_time (7200 s);
nf_conntrack_tcp_timeout_established (5 days) and _max_retrans (300 s) on devices. FreeBSD:
net.inet.tcp.rexmit_drop_options (0), 12 retransmissions. Windows: TcpMaxDataRetransmissions (5).`,
})

// longIdle is the silence after which a device may have forgotten the connection. NAT
// devices in use keep idle connections from two minutes on (RFC 5382 REQ-5 demands
// 2 h 4 min).
const longIdle = time.Minute

func checkRetransmissionDeath(c *Case, report func(Finding)) {
	for s := range c.Ends {
		side := reassembly.Side(s)
		start, all := unansweredData(c, side)
		if start < 0 {
			continue
		}
		e := &c.Events[start]
		end := &c.Events[all[len(all)-1]]
		heard := lastHeard(c, side.Peer(), e.At)
		f := Finding{
			Catalogue: "D01", Severity: Error, Confidence: Likely, Endpoint: Endpoint(side),
			Frames:  frames(c, first(all, groupMax)...),
			Message: fmt.Sprintf("The %s sent the same data %s in %s and no ACK of it passed", side, times(len(all)), span(end.LastAt.Sub(e.At))),
			Falsify: "An ACK of the data in another capture, or one that comes later.",
			Reason:  "nothing shows whether the peer, its host or the path is gone, and an answer may still come",
		}
		if n, known := unacked(c, side, len(c.Events)); known {
			f.Message += fmt.Sprintf("; %s were waiting", plural(int(n), "octet"))
		}
		f.Message += "."
		if heard >= 0 {
			f.Message = f.Message[:len(f.Message)-1] + fmt.Sprintf("; the %s was last heard at %s.", side.Peer(), since(c, c.Events[heard].LastAt))
		}
		if idle := quietBefore(c, side.Peer(), all[len(all)-1]); idle >= longIdle {
			f.Catalogue = "D07"
			f.Message = f.Message[:len(f.Message)-1] + fmt.Sprintf(". Before it the connection had been idle for %s.", span(idle))
		}
		if gaveUp(c, side) {
			f.Message = f.Message[:len(f.Message)-1] + "; it has given up."
			f.Reason = "the repetitions have stopped; nothing shows whether the peer, its host or the path is gone"
		}
		doubted(&f, Possible, gaps(c))
		report(f)
	}
}

// unansweredData returns a side's data that was sent reassembly.DeathCopies times or more and
// never acknowledged, and all its transmissions; -1 if there is none.
func unansweredData(c *Case, side reassembly.Side) (int, []int) {
	e := &c.Ends[side]
	if !e.HasNext || e.HasAcked && !e.Next.After(e.Acked) {
		return -1, nil
	}
	i := next(c, 0, func(x *reassembly.Event) bool {
		return x.From == side && genuine(x) && x.Len > 0 && x.Kind == reassembly.KindData && x.Marks&reassembly.MarkKeepalive == 0 && (!e.HasAcked || x.End.After(e.Acked))
	})
	if i < 0 {
		return -1, nil
	}
	// A run's first octets may have been acknowledged; what is repeated is its rest. A
	// probe for a lost tail (RFC 8985 section 7) repeats the last segment once or twice
	// before the first one's timer expires.
	var all []int
	for again := i + 1; again < len(c.Events) && len(all) < reassembly.DeathCopies; again++ {
		x := &c.Events[again]
		if x.From != side || !genuine(x) || x.Len == 0 || x.Kind != reassembly.KindData || !x.Marks.Has(reassembly.MarkRepeat) || e.HasAcked && !x.End.After(e.Acked) {
			continue
		}
		if some := c.Transmissions(again); 1+len(some) >= reassembly.DeathCopies {
			all = append([]int{i}, some...)
		}
	}
	if all == nil {
		return -1, nil
	}
	// Where nothing of the peer passed here, its ACKs may not either; but who had one would
	// have gone on.
	if c.Ends[side.Peer()].Packets == 0 && last(c, len(c.Events), func(x *reassembly.Event) bool { return x.From == side }) != all[len(all)-1] {
		return -1, nil
	}
	return i, all
}
