package finding

import (
	"fmt"
	"slices"

	"github.com/tcplife/tcplife/reassembly"
)

var _ = register(Rule{
	ID:        "slow-connect",
	Catalogue: []string{"H29"},
	Title:     "Connecting took a retransmission timeout",
	Severity:  Warning,
	RFC:       "6298 2.1, 5.7; 9293 3.8.1",
	Triggers:  reassembly.SeenRepeatSYN | reassembly.SeenRepeatSYNACK,
	Check:     checkSlowConnect,
	Meaning: `The connection came about, but only after a SYN or SYN-ACK had been sent again: the
application waited a second, or three, or seven, one step for each that was lost. No data is
lost; users see the delay.`,
	Signature: `    A                        tap          B
    | SYN ----------- x       |           |
    | SYN --------------------|---------> |  1 s later
    | <-----------------------|-- SYN-ACK |`,
	Alternatives: `The place of the loss follows from what the capture holds: a SYN that is not in it died
before the tap, one that is in it and got no SYN-ACK died behind it or was dropped by a server
whose queue was full, a SYN-ACK that is in it died on its way back. A server that sends its
SYN-ACK again although the ACK has passed is another matter (accept-queue-overflow).`,
	Advice: `Count such connections per path and server. A share like that of ordinary loss is the
path's; only connections to one listener, in bursts, are its queue: raise the application's
backlog and somaxconn, and look at TcpExtListenDrops in nstat.`,
	Settings: `Linux: the first timeout is 1 s and fixed; net.core.somaxconn (4096), tcp_max_syn_backlog.
FreeBSD: kern.ipc.soacceptqueue (128). Windows: InitialRto (1000 or 3000 ms by
release; Get-NetTCPSetting shows it).`,
})

func checkSlowConnect(c *Case, report func(Finding)) {
	syn := firstOf(c, reassembly.Client, reassembly.KindSYN, 0)
	if syn < 0 || c.Handshake.Outcome != reassembly.HandshakeComplete && c.Handshake.Outcome != reassembly.HandshakePending {
		return
	}
	synack := firstOf(c, reassembly.Server, reassembly.KindSYNACK, syn)
	talk := next(c, max(synack, 0), func(e *reassembly.Event) bool {
		return e.From == reassembly.Client && genuine(e) && e.Kind != reassembly.KindSYN && e.Kind != reassembly.KindRST
	})
	if synack < 0 || talk < 0 {
		return
	}
	var syns, synacks []int
	for _, i := range c.Transmissions(syn) {
		if i < talk {
			syns = append(syns, i)
		}
	}
	for _, i := range c.Transmissions(synack) {
		if i < talk {
			synacks = append(synacks, i)
		}
	}
	took := c.Events[talk].At.Sub(c.Events[syn].At)
	if len(syns)+len(synacks) <= 2 {
		return
	}
	f := Finding{
		Catalogue: "H29", Severity: Warning, Confidence: Certain, Endpoint: Both,
		Frames: frames(c, append(append(first(syns, groupMax), first(synacks, groupMax)...), talk)...),
		Message: fmt.Sprintf("Connecting took %s: the client sent its SYN %s, the server its SYN-ACK %s.",
			span(took), times(len(syns)), times(len(synacks))),
		Falsify: "Copies of one SYN made by the network, with one IP identification, instead of repetitions.",
		Reason:  "a client that is connected does not repeat its SYN",
	}
	switch {
	case len(syns) == 1:
		f.Confidence, f.Reason = Likely, "only the SYN-ACK was repeated: the client may have had the first one, and its ACK was lost"
	case len(synacks) > 1 && echoesEarlier(c, synacks, talk):
		f.Message += " The SYN-ACKs arrived, but late: the client's ACK has the time stamp of one that had been repeated already."
	case len(synacks) > 1 || c.Events[synack].At.Sub(c.Events[syns[len(syns)-1]].At) < 0:
		f.Message += " A SYN-ACK passed the capture point and was lost behind it."
	default:
		f.Message += " Nothing answered the first SYN at the capture point."
	}
	report(f)
}

// echoesEarlier reports whether the client's first ACK answers a SYN-ACK that had been
// repeated before the ACK passed: it echoes that one's time stamp (RFC 7323 section 3.2).
func echoesEarlier(c *Case, synacks []int, ack int) bool {
	a, newest := &c.Events[ack], &c.Events[synacks[len(synacks)-1]]
	return a.Marks.Has(reassembly.MarkTimestamp) && newest.Marks.Has(reassembly.MarkTimestamp) && a.TSEcr != newest.TSVal &&
		slices.ContainsFunc(synacks, func(i int) bool { return c.Events[i].TSVal == a.TSEcr })
}
