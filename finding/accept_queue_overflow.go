package finding

import (
	"fmt"

	"github.com/tcplife/tcplife/reassembly"
)

var _ = register(Rule{
	ID:        "accept-queue-overflow",
	Catalogue: []string{"H06", "H07", "H24"},
	Title:     "The server did not take the handshake's ACK",
	Severity:  Warning,
	RFC:       "9293 3.5, 3.8.1",
	Triggers:  reassembly.SeenRepeatSYNACK | reassembly.SeenRST,
	resets:    replies,
	Check:     checkAcceptQueueOverflow,
	Meaning: `The client's ACK passed, and the server acted as if it had not come.

- H06: it sent the same SYN-ACK again. A Linux listener whose queue of connections waiting for
  accept() is full drops the ACK, and data behind it. The client takes itself for connected.
- H07: it answered the ACK with RST: the same with tcp_abort_on_overflow, or the listener was
  closed in that moment.
- H24: the repetition ended as soon as the client sent data, and the data was acknowledged: the
  listener asked for that (TCP_DEFER_ACCEPT). No fault.`,
	Signature: `    A                     B
    | SYN --------------> |
    | <---------- SYN-ACK |
    | ACK --------------> |  dropped: the queue is full
    | data -------------> |  dropped, repeated by A
    | <---------- SYN-ACK |  H06: 1, 3, 7 s later, the same number
    | <-------------- RST |  H07: seq = the ACK's ack`,
	Alternatives: `The ACK died behind the capture point: once in a while that is ordinary loss, many at
one listener are not. Deferred accept (H24) looks like H06 until the client has sent data.`,
	Advice: `On the server: ss -ltn shows the queue (Recv-Q) and its limit (Send-Q); nstat
TcpExtListenOverflows counts. Accept faster (more workers, no work before accept), and raise the
backlog that the program gives to listen() together with somaxconn: the smaller one holds.`,
	Settings: `Linux: net.core.somaxconn (4096), tcp_abort_on_overflow (0), tcp_synack_retries (5).
FreeBSD: kern.ipc.soacceptqueue (128). Windows: the backlog given to listen();
a full queue there answers with RST.`,
})

func checkAcceptQueueOverflow(c *Case, report func(Finding)) {
	refusedACK(c, report)
	g, ok := c.IgnoredACK()
	if !ok {
		return
	}
	ack, final := &c.Events[g.ACK], &c.Events[g.Again[len(g.Again)-1]]
	f := Finding{
		Catalogue: "H06", Severity: Warning, Confidence: Likely, Endpoint: Server,
		Frames: frames(c, append(first(g.Again, groupMax), g.SYNACK, g.ACK, g.Data)...),
		Message: fmt.Sprintf("The client's ACK passed at %s, and the server sent its SYN-ACK %s more, up to %s later: it did not take the connection.",
			since(c, ack.At), times(len(g.Again)), span(final.LastAt.Sub(ack.At))),
		Falsify: "A capture at the server that does not hold the client's ACK.",
		Reason:  "an ACK lost behind the capture point looks the same",
	}
	switch {
	case g.Deferred:
		f.Catalogue, f.Severity, f.Confidence = "H24", Info, Possible
		f.Frames = frames(c, append(first(g.Again, groupMax), g.SYNACK, g.ACK, g.Data, g.Taken)...)
		f.Message = fmt.Sprintf("The server repeated its SYN-ACK %s although the ACK had passed, until the client sent data, and acknowledged that at once: the listener defers accepting.", times(len(g.Again)))
		f.Reason = "a lost ACK, or a queue that had room again, looks the same"
	case len(g.Again) > 1 || g.Data >= 0 && c.Events[g.Data].At < final.At && final.At.Sub(c.Events[g.Data].At) > reassembly.ShortestRTO:
		f.Reason = "several segments of the client met no connection; all of them may have been lost instead"
	default:
		f.Confidence = Possible
	}
	report(f)
}

// refusedACK looks for H07: the handshake's ACK itself is answered by a RST.
func refusedACK(c *Case, report func(Finding)) {
	at, _ := c.RefusedACK()
	if at < 0 {
		return
	}
	r := classify(c, at)
	if r.origin != reply || r.gone(c) {
		return
	}
	synack := firstOf(c, reassembly.Server, reassembly.KindSYNACK, 0)
	ack := ackOf(c, reassembly.Client, synack, c.Events[synack].End)
	f := Finding{
		Catalogue: "H07", Severity: Warning, Confidence: Likely, Endpoint: Server,
		Frames:  frames(c, synack, ack, r.trigger, r.at),
		Message: fmt.Sprintf("The server answered the handshake's ACK with RST after %s: its queue was full and it is told to abort, or its listener went away.", span(r.event.At.Sub(c.Events[ack].At))),
		Falsify: "Another client's handshake with this listener that went through at that moment.",
		Reason:  "a listener that is closed just then, and a device that forbids the connection, do the same",
	}
	if r.doubt != 0 {
		f.Confidence, f.Reason = Possible, r.why(c)
	}
	report(f)
}
