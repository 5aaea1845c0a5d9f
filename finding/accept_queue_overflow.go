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

func checkAcceptQueueOverflow(c *reassembly.Conn, report func(Finding)) {
	synack := firstOf(c, reassembly.Server, reassembly.KindSYNACK, 0)
	if synack < 0 {
		return
	}
	ack := ackOf(c, reassembly.Client, synack, c.Events[synack].End)
	if ack < 0 {
		return
	}
	refusedACK(c, synack, ack, report)
	var again []int
	for _, i := range transmissions(c, synack)[1:] {
		if i > ack && !c.MayCross(ack, i) {
			again = append(again, i)
		}
	}
	if len(again) == 0 {
		return
	}
	final := again[len(again)-1]
	isData := func(e *reassembly.Event) bool {
		return e.From == reassembly.Client && genuine(e) && e.Len > 0 && e.Kind != reassembly.KindSYN
	}
	data := next(c, ack, isData)
	f := Finding{
		Catalogue: "H06", Severity: Warning, Confidence: Likely, Endpoint: Server,
		Frames: frames(c, append(first(again, groupMax), synack, ack, data)...),
		Message: fmt.Sprintf("The client's ACK passed at %s, and the server sent its SYN-ACK %s more, up to %s later: it did not take the connection.",
			since(c, c.Events[ack].At), times(len(again)), span(c.Events[final].LastAt.Sub(c.Events[ack].At))),
		Falsify: "A capture at the server that does not hold the client's ACK.",
		Reason:  "an ACK lost behind the capture point looks the same",
	}
	if len(again) > 1 || data >= 0 && data < final && c.Events[final].At.Sub(c.Events[data].At) > shortestRTO {
		f.Reason = "several segments of the client met no connection; all of them may have been lost instead"
	} else {
		f.Confidence = Possible
	}
	if data > final {
		// Once the data came the server knew the connection at once, without another
		// round of SYN-ACK and ACK.
		a := progress(c, reassembly.Server, data, c.Events[data].Seq)
		quiet := ackOf(c, reassembly.Client, final, c.Events[synack].End)
		if a >= 0 && quiet == data {
			f.Catalogue, f.Severity, f.Confidence = "H24", Info, Possible
			f.Frames = frames(c, append(first(again, groupMax), synack, ack, data, a)...)
			f.Message = fmt.Sprintf("The server repeated its SYN-ACK %s although the ACK had passed, until the client sent data, and acknowledged that at once: the listener defers accepting.", times(len(again)))
			f.Reason = "a lost ACK, or a queue that had room again, looks the same"
		}
	}
	report(f)
}

// refusedACK looks for H07: the handshake's ACK itself is answered by a RST.
func refusedACK(c *reassembly.Conn, synack, ack int, report func(Finding)) {
	resets(c, func(r *reset) {
		if r.from != reassembly.Server || r.origin != reply || !genuine(r.event) || r.gone(c) || r.trigger != ack && c.Events[r.trigger].Ack != c.Events[ack].Ack {
			return
		}
		before := last(c, r.at, func(e *reassembly.Event) bool { return e.From == reassembly.Server && e.Kind != reassembly.KindRST })
		if before < 0 || c.Events[before].Kind != reassembly.KindSYNACK || r.event.At.Sub(c.Events[ack].At) > cookieSilence {
			return
		}
		f := Finding{
			Catalogue: "H07", Severity: Warning, Confidence: Likely, Endpoint: Server,
			Frames:  frames(c, synack, ack, r.trigger, r.at),
			Message: fmt.Sprintf("The server answered the handshake's ACK with RST after %s: its queue was full and it is told to abort, or its listener went away.", span(r.event.At.Sub(c.Events[ack].At))),
			Falsify: "Another client's handshake with this listener that went through at that moment.",
			Reason:  "a listener that is closed just then, and a device that forbids the connection, do the same",
		}
		if r.doubt != "" {
			f.Confidence, f.Reason = Possible, r.doubt
		}
		report(f)
	})
}
