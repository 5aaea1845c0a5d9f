package finding

import (
	"fmt"
	"time"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

var _ = register(Rule{
	ID:        "keepalive",
	Catalogue: []string{"D05", "D06"},
	Title:     "Keepalive probes",
	Severity:  Error,
	RFC:       "9293 3.8.4; 1122 4.2.3.6",
	Triggers:  reassembly.SeenKeepalive,
	Check:     checkKeepalive,
	Meaning: `A side asked whether its idle peer is still there, with the octet before the next one.

- D05: the peer answered (info). The interval is what that side's program or kernel is set to.
- D06: probe after probe met no answer, and the prober gave up by a RST, or fell silent: the peer
  died without a word some time before the first probe.`,
	Signature: `    A                          B
    |      (idle)              |
    | ACK, seq = next - 1 ---> |  0 or 1 octet
    | <------------------- ACK |  D05
    | ACK, seq = next - 1 ---> ?
    | ACK, seq = next - 1 ---> ?  at one fixed interval
    | RST, ACK -------------->    D06: given up`,
	Alternatives: `A probe of a closed window looks the same but for the window that the peer advertised
before, and grows in interval; it is not reported here (see zero-window). For D06: answers that
the capture lacks.`,
	Advice: `D05: nothing; compare the interval with the idle timeouts of the devices on the path: it
must be shorter. D06: the peer was last heard where the message says; ask what happened to its
host, or to a NAT's or firewall's memory of the connection, between then and the first probe.`,
	Settings: `Linux: tcp_keepalive_time (7200 s), tcp_keepalive_intvl (75 s), tcp_keepalive_probes (9)
for sockets with SO_KEEPALIVE; TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT per socket. FreeBSD:
net.inet.tcp.keepidle (7200000 ms), keepintvl (75000), keepcnt (8), always_keepalive (1). Windows:
KeepAliveTime (7200000 ms), KeepAliveInterval (1000 ms), 10 probes.`,
})

// probeIdle is the least silence before a keepalive probe: intervals are set in
// seconds on every stack.
const probeIdle = 900 * time.Millisecond

func checkKeepalive(c *Case, report func(Finding)) {
	for s := range c.Ends {
		side := reassembly.Side(s)
		var answered, vain []int
		var answers []int
		for i := range c.Events {
			if !probe(c, side, i) {
				continue
			}
			a := next(c, i+1, func(e *reassembly.Event) bool { return e.From != side || probeMark(e, side) })
			if a >= 0 && c.Events[a].From != side && genuine(&c.Events[a]) && c.Events[a].Kind != reassembly.KindRST {
				answered, answers, vain = append(answered, i), append(answers, a), nil
			} else {
				vain = append(vain, i)
			}
		}
		if len(answered) > 0 {
			n := segments(c, answered)
			f := Finding{
				Catalogue: "D05", Severity: Info, Confidence: Certain, Endpoint: Endpoint(side),
				Frames:  frames(c, append(first(answered, groupMax), first(answers, groupMax)...)...),
				Message: fmt.Sprintf("The %s probed its idle peer %s, and was answered.", side, times(n)),
				Falsify: fmt.Sprintf("Data of the %s that the capture lacks, of which the probe is a late copy.", side),
				Reason:  "the segment has the number before the next one, and the peer acknowledged the next one",
			}
			if n > 1 {
				f.Message = fmt.Sprintf("The %s probed its idle peer %s, about every %s, and was answered.", side, times(n),
					span(c.Events[answered[len(answered)-1]].LastAt.Sub(c.Events[answered[0]].At)/time.Duration(n-1)))
			}
			report(f)
		}
		deadPeer(c, side, vain, report)
	}
}

// probeMark reports a segment in the form of a probe of a side.
func probeMark(e *reassembly.Event, side reassembly.Side) bool {
	return e.From == side && genuine(e) && e.Marks.Has(reassembly.MarkKeepalive)
}

// probe reports whether event i is a keepalive probe of a side: after a silence, to a
// peer whose window is open.
func probe(c *Case, side reassembly.Side, i int) bool {
	if !probeMark(&c.Events[i], side) || silence(c, i) < probeIdle {
		return false
	}
	before := last(c, i, func(e *reassembly.Event) bool { return e.From != side && genuine(e) && e.Flags&wire.ACK != 0 })
	return before >= 0 && !c.Events[before].Marks.Has(reassembly.MarkZeroWindow)
}

// deadPeer looks for D06.
func deadPeer(c *Case, side reassembly.Side, vain []int, report func(Finding)) {
	if len(vain) < 2 {
		return
	}
	rst := next(c, vain[len(vain)-1]+1, func(e *reassembly.Event) bool { return true })
	heard := last(c, vain[0], func(e *reassembly.Event) bool { return e.From != side })
	f := Finding{
		Catalogue: "D06", Severity: Error, Confidence: Certain, Endpoint: Endpoint(side),
		Frames: frames(c, append(first(vain, groupMax), rst)...),
		Message: fmt.Sprintf("The %s probed its peer %s without an answer and gave the connection up by RST; the %s was last heard at %s.",
			side, times(len(vain)), side.Peer(), since(c, c.Events[max(heard, 0)].LastAt)),
		Falsify: "An answer to one of the probes in another capture.",
		Reason:  "the probes, the silence and the RST are all in the capture",
	}
	switch {
	case rst >= 0 && c.Events[rst].Kind == reassembly.KindRST && c.Events[rst].From == side && c.Events[rst].Flags&wire.ACK != 0:
	case rst < 0 && gaveUp(c, side):
		f.Confidence = Likely
		f.Message = fmt.Sprintf("The %s probed its peer %s without an answer and fell silent: it has given up; the %s was last heard at %s.",
			side, times(len(vain)), side.Peer(), since(c, c.Events[max(heard, 0)].LastAt))
		f.Reason = "the probes have stopped; the RST with which most systems give up is not in the capture"
	case rst < 0 && len(vain) > 2:
		f.Severity, f.Confidence = Warning, Possible
		f.Message = fmt.Sprintf("The %s probed its peer %s without an answer; the %s was last heard at %s.",
			side, times(len(vain)), side.Peer(), since(c, c.Events[max(heard, 0)].LastAt))
		f.Reason = "the prober has not given up yet, and the peer may still answer"
	default:
		return
	}
	report(f)
}
