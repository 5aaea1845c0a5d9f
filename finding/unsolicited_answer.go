package finding

import (
	"fmt"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

var _ = register(Rule{
	ID:        "unsolicited-answer",
	Catalogue: []string{"H14", "R07"},
	Title:     "An answer to something that is not in the capture",
	Severity:  Info,
	RFC:       "4987 2; 9293 3.5.2",
	Triggers:  reassembly.SeenUnsolicited | reassembly.SeenRST,
	Check:     checkUnsolicitedAnswer,
	Meaning: `The first segment between these two is an answer, or is answered as one that belongs to
no connection.

- R07: a SYN-ACK or RST came to a host that had sent nothing: somebody uses that host's address as
  a forged sender elsewhere, and these are the echoes (backscatter).
- H14: a lone ACK was answered by RST: a probe for filters (ACK scan), or the rest of a connection
  from before the capture.`,
	Signature: `    R07                              H14
    B                 V              S               H
    | SYN-ACK ------> |              | ACK --------> |
    | <---------- RST |              | <-------- RST |  and nothing else`,
	Alternatives: `A capture that began after the SYN, or that holds one direction only, makes ordinary
answers look like this. Only the RST of the host that got the SYN-ACK shows that it had not asked.`,
	Advice: `R07: nothing to do on the victim's host; the port of the echoes names the service that
is being flooded in its name. H14: list what else the source sent.`,
	Settings: `None: every stack answers an unexpected SYN-ACK with RST (RFC 9293 section 3.10.7.3).`,
})

func checkUnsolicitedAnswer(c *Case, report func(Finding)) {
	if len(c.Events) == 0 {
		return
	}
	e := &c.Events[0]
	me := e.From
	if next(c, 1, func(x *reassembly.Event) bool { return x.Kind != e.Kind && x.Kind != reassembly.KindRST }) >= 0 {
		return
	}
	answer := next(c, 1, func(x *reassembly.Event) bool {
		return x.From != me && x.Kind == reassembly.KindRST && x.Flags&wire.ACK == 0 && x.Seq == e.Ack
	})
	f := Finding{
		Catalogue: "R07", Severity: Info, Confidence: Possible, Endpoint: Endpoint(me.Peer()),
		Frames:  frames(c, 0, answer),
		Falsify: "What it answers, in a capture that began earlier or holds both directions.",
		Reason:  "a capture that lacks the segment that was answered looks the same",
	}
	switch {
	case e.Kind == reassembly.KindSYNACK && answer >= 0:
		f.Confidence, f.Reason = Likely, "the host that got the SYN-ACK did not know of it; an attempt that it had given up looks the same"
		f.Message = fmt.Sprintf("A SYN-ACK came to the %s unasked, and its host reset it.", me.Peer())
	case e.Kind == reassembly.KindSYNACK, e.Kind == reassembly.KindRST && c.Ends[me.Peer()].Packets == 0:
		f.Message = fmt.Sprintf("Nothing but the %s's %s passed: an answer to segments that the capture does not hold, or that somebody forged.", me, map[bool]string{true: "RST", false: "SYN-ACK"}[e.Kind == reassembly.KindRST])
	case e.Kind == reassembly.KindACK && e.Count == 1 && answer >= 0 && c.Ends[me].Packets == c.Ends[me].Duplicates+1:
		f.Catalogue, f.Endpoint = "H14", Endpoint(me)
		f.Message = fmt.Sprintf("The %s sent a single ACK outside of any connection, and it was answered with RST.", me)
		f.Falsify = "The connection that the ACK belongs to, in an earlier capture."
	default:
		return
	}
	report(f)
}
