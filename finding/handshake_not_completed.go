package finding

import (
	"fmt"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

var _ = register(Rule{
	ID:        "handshake-not-completed",
	Catalogue: []string{"H05", "H09", "H10"},
	Title:     "The server answered, and the opening was not completed",
	Severity:  Warning,
	RFC:       "9293 3.5, 3.8.1; 4987 2, 3.6",
	Triggers:  reassembly.SeenHalfOpen | reassembly.SeenRST,
	resets:    byServer,
	Check:     checkHandshakeNotCompleted,
	Meaning: `A SYN-ACK passed, and the server never got the ACK.

- H05: the server repeated its SYN-ACK and no ACK ever passed. It holds an entry in SYN_RECEIVED
  until its retries end, one minute by default.
- H09: the server did not repeat its SYN-ACK at all, for longer than any first timeout: it seems
  to keep no state (SYN cookies), which it does when its queue of half-open connections is full.
- H10: the client's ACK passed, both sides were silent, and when the client spoke the server's
  host knew no such connection: the ACK of a cookie was lost, and nothing repeats it.`,
	Signature: `    A                     B
    | SYN --------------> |
    | <---------- SYN-ACK |  B: SYN_RECEIVED
    |      (nothing)      |
    | <---------- SYN-ACK |  1, 3, 7, 15, 31 s later: H05; not at all: H09`,
	Alternatives: `H05: the client's ACK takes a way that the capture does not see, the SYN-ACK dies
behind the capture point (then the client repeats its SYN, which is said), or the SYN's sender
address was forged. H09: a capture that lost the repetitions. H10: a restart of the server.`,
	Advice: `One source: find where the SYN-ACK or the ACK is dropped: filters on the return path,
asymmetric routes through a firewall that wants to see both directions. Many sources that never
answer: a flood with forged addresses; leave SYN cookies on. H09 in ordinary times: the backlog
is too small; H10: let the client send keepalives, or speak first.`,
	Settings: `Linux: tcp_synack_retries (5: 63 s), tcp_max_syn_backlog, tcp_syncookies (1: only when the
queue is full). FreeBSD: net.inet.tcp.syncache.rexmtlimit (3), net.inet.tcp.syncookies (1).
Windows: TcpMaxConnectResponseRetransmissions (registry, 2).`,
})

func checkHandshakeNotCompleted(c *Case, report func(Finding)) {
	synack := firstOf(c, reassembly.Server, reassembly.KindSYNACK, 0)
	if synack < 0 || inside(c) {
		return
	}
	e := &c.Events[synack]
	spoke := next(c, 0, func(x *reassembly.Event) bool {
		return x.From == reassembly.Client && x.Kind != reassembly.KindSYN
	})
	if spoke >= 0 {
		cookieHang(c, synack, report)
		return
	}
	went := next(c, synack+1, func(x *reassembly.Event) bool { return x.From == reassembly.Server && x.Kind != reassembly.KindSYNACK })
	if went >= 0 && c.Events[went].Kind != reassembly.KindRST {
		return // it went on, so it had an answer
	}
	syn := firstOf(c, reassembly.Client, reassembly.KindSYN, 0)
	all := c.Transmissions(synack)
	if went >= 0 && len(all) == 1 {
		return // its listener was closed, or a device cut the attempt off
	}
	lastAt := c.Events[all[len(all)-1]].LastAt
	f := Finding{
		Catalogue: "H05", Severity: Warning, Confidence: Likely, Endpoint: Server,
		Frames: frames(c, append(first(all, groupMax), syn)...),
		Message: fmt.Sprintf("The server sent its SYN-ACK %s in %s; the client neither acknowledged nor reset it.",
			times(len(all)), span(lastAt.Sub(e.At))),
		Falsify: "The client's ACK in a capture made nearer to it.",
		Reason:  "the capture shows that no ACK passed, not whether one was sent",
	}
	again := next(c, synack+1, func(x *reassembly.Event) bool {
		return x.From == reassembly.Client && x.Kind == reassembly.KindSYN && x.At.Sub(e.At) >= c.Ends[reassembly.Client].Response
	})
	switch {
	case went >= 0:
		f.Frames = frames(c, append(first(all, groupMax), syn, went)...)
		f.Message += fmt.Sprintf(" It gave the attempt up by a RST %s after its last one.", span(c.Events[went].At.Sub(lastAt)))
	case again >= 0:
		f.Message += " The client repeated its SYN after it, so the SYN-ACK died behind the capture point."
	case len(all) > 1:
	case c.Stateless() >= 0:
		f.Catalogue, f.Severity, f.Confidence = "H09", Info, Possible
		f.Message = fmt.Sprintf("The server did not repeat its SYN-ACK in %s, though nothing answered it: it keeps no state of the attempt, as with SYN cookies.", span(c.Until.Sub(lastAt)))
		f.Falsify = "A repeated SYN-ACK that the capture lacks."
		f.Reason = "some stacks repeat their SYN-ACK late or never"
	default:
		return
	}
	report(f)
}

// cookieHang looks for H10: the handshake passed, and the server never had it.
func cookieHang(c *Case, synack int, report func(Finding)) {
	for i := range c.resets() {
		r := &c.rsts[i]
		if r.from != reassembly.Server || r.origin != reply || r.trigger < 0 || r.gone(c) {
			continue
		}
		if c.Seen&reassembly.SeenAckUnseen != 0 {
			continue // the client had more from the server than the capture has
		}
		before := last(c, r.at, func(x *reassembly.Event) bool { return x.From == reassembly.Server })
		ack := ackOf(c, reassembly.Client, synack, c.Events[synack].End)
		t := &c.Events[r.trigger]
		if before != synack || ack < 0 || ack >= r.trigger || t.Flags&wire.ACK == 0 || t.At.Sub(c.Events[ack].LastAt) < reassembly.SYNACKPatience { // it would have been repeated
			continue
		}
		report(Finding{
			Catalogue: "H10", Severity: Warning, Confidence: Possible, Endpoint: Both,
			Frames: frames(c, synack, ack, r.trigger, r.at),
			Message: fmt.Sprintf("The handshake passed, both sides were silent for %s, and the server's host did not know the connection: it kept nothing of it, and the client's ACK was lost.",
				span(t.At.Sub(c.Events[ack].LastAt))),
			Falsify: "A RST that closed the server's socket and is missing from the capture, or a restart of the server.",
			Reason:  "a connection that the server lost in that time looks the same",
		})
	}
}
