package finding

import (
	"fmt"
	"slices"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

var _ = register(Rule{
	ID:        "icmp-refusal",
	Catalogue: []string{"H04"},
	Title:     "An ICMP error says that segments do not get there",
	Severity:  Warning,
	RFC:       "1122 4.2.3.9; 9293 3.9.2.2; 5461; 5927",
	Triggers:  reassembly.SeenICMP,
	Check:     checkICMPRefusal,
	Meaning: `A host or a router on the way answered a segment with an ICMP error: host or network
unreachable, port unreachable, prohibited by a filter, TTL exceeded. The error's source is the
device that knows why, and its code says what it knows. About a SYN it usually ends the attempt:
connect() fails at once with EHOSTUNREACH, ENETUNREACH, ECONNREFUSED (port unreachable) or EACCES
(prohibited, IPv6). About a connection that is open it is soft, and only information: the host
goes on sending until its own timers end, since a route may come back and the error may be forged.`,
	Signature: `    A                    router or B
    | SYN x ------------------> |
    | <-- ICMP, quotes SYN x -- |  type and code say why, the source says who
    | (no more from A: Linux)   |  a stack that takes it for soft repeats its SYN`,
	Alternatives: `Anybody who guesses ports and number can forge such an error, and a NAT may have
changed what it quotes. Routers limit how many they send, so the absence of errors on the other
attempts shows nothing. One error while a route changes is not an outage.`,
	Advice: `Go to the device that sent the error; its address is in the message. Host or address
unreachable: it is the last router and gets no ARP or neighbour answer, the host is down or not
there. Network unreachable, no route: its routing table. Prohibited: a filter rejects on purpose
(iptables -j REJECT, nft reject, a router's access list), ask for the rule. Port unreachable for
TCP: nearly always a filter's REJECT too, since a closed port answers with RST. TTL exceeded: a
routing loop, see traceroute -T -p PORT HOST.`,
	Settings: `Linux ends a connect() at any such error and so never uses tcp_syn_retries (6); with
the socket option IP_RECVERR it also takes errors on an open connection for fatal.
tcp_retries1 (3) asks for another route meanwhile. Routers limit their errors: Linux icmp_ratelimit
(1000 ms), icmp_ratemask (6168), icmp_msgs_per_sec.`,
})

// refusedByICMP returns the first ICMP error which says that a side's SYN or SYN-ACK
// did not get there, nil if there was none.
func refusedByICMP(c *Case, side reassembly.Side) *reassembly.ICMP {
	i := slices.IndexFunc(c.ICMP, func(e reassembly.ICMP) bool { return e.Unreachable && e.OfSYN && e.From == side })
	if i < 0 {
		return nil
	}
	return &c.ICMP[i]
}

func checkICMPRefusal(c *Case, report func(Finding)) {
	e := refusedByICMP(c, reassembly.Client)
	if e == nil {
		e = refusedByICMP(c, reassembly.Server)
	}
	if e == nil {
		// Of an open connection one is enough: the others stand in its events.
		i := slices.IndexFunc(c.ICMP, func(e reassembly.ICMP) bool { return e.Unreachable })
		if i < 0 {
			return // only too large, or too fast
		}
		e = &c.ICMP[i]
	}
	quoted := last(c, len(c.Events), func(x *reassembly.Event) bool {
		return x.From == e.From && genuine(x) && x.At <= e.At && x.Frame < e.Frame &&
			(x.Seq == e.Seq || !e.Seq.Before(x.Seq) && e.Seq.Before(x.End))
	})
	what, opened := "a segment", c.Handshake.Outcome == reassembly.HandshakeComplete
	switch {
	case e.OfSYN && quoted >= 0 && c.Events[quoted].Kind == reassembly.KindSYNACK:
		what = "the SYN-ACK"
	case e.OfSYN:
		what = "the SYN"
	}
	f := Finding{
		Catalogue: "H04", Severity: Warning, Confidence: Certain, Endpoint: Both,
		Falsify: "A device at that address that never sent the error: it was forged then, which takes the ports and a number of the connection.",
		Reason:  "the error quotes the ports and the sequence number of " + what,
	}
	// An endpoint may report for itself; a router is neither's.
	who := "a device on the path"
	for s := range c.Ends {
		if side := reassembly.Side(s); e.Reporter == address(c, side) {
			who, f.Endpoint = "the "+side.String()+" itself", Endpoint(side)
		}
	}
	// A segment may have been sent several times: the last before the error met it.
	if quoted >= 0 {
		f.Frames = append(f.Frames, c.Events[quoted].Frame)
	}
	f.Frames = append(f.Frames, e.Frame)
	if e.LastFrame != e.Frame {
		f.Frames = append(f.Frames, e.LastFrame)
	}

	f.Message = fmt.Sprintf("%s (%s) reported %s for %s of the %s", e.Reporter.Netip(c.Tuple.V6), who, icmpName(c, e), what, e.From)
	if e.Count > 1 {
		f.Message += ", " + times(int(e.Count))
	}
	switch {
	case !e.OfSYN:
		f.Severity = Info
		f.Message += ": soft once a connection is open, so the host goes on until its timers end."
	case opened:
		f.Severity = Info
		f.Message += "; the connection was opened all the same, by a later attempt or another path."
	case e.From == reassembly.Client && next(c, 0, func(x *reassembly.Event) bool {
		return x.From == reassembly.Client && x.Kind == reassembly.KindSYN && x.At > e.At
	}) >= 0:
		f.Message += "; the client went on trying, so its stack takes such errors as soft."
	case e.From == reassembly.Client && c.Ends[reassembly.Client].Final() == reassembly.Closed:
		f.Message += "; the client sent nothing more, its connect() failed."
	case c.Handshake.Outcome == reassembly.HandshakePending:
		f.Message += "; the attempt was still under way when the capture ended."
	default:
		f.Message += "; the handshake was not completed."
	}
	report(f)
}

// address returns a side's address.
func address(c *Case, side reassembly.Side) wire.Addr {
	if side == reassembly.Client {
		return c.Tuple.Src
	}
	return c.Tuple.Dst
}

// icmpName names an error, by its numbers if it has no name.
func icmpName(c *Case, e *reassembly.ICMP) string {
	if name := wire.ICMPName(c.Tuple.V6, e.Type, e.Code); name != "" {
		return name
	}
	return fmt.Sprintf("ICMP type %d code %d", e.Type, e.Code)
}
