package finding

import (
	"fmt"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

var _ = register(Rule{
	ID:        "simultaneous-open",
	Catalogue: []string{"H15", "H17"},
	Title:     "Both sides sent a SYN",
	Severity:  Info,
	RFC:       "9293 3.5 figure 7, 3.10.7.3",
	Triggers:  reassembly.SeenBothSYN,
	Check:     checkSimultaneousOpen,
	Meaning: `The connection was opened by a SYN of each side, not by one SYN and its SYN-ACK.

- H15: the SYNs crossed. Both sides go from SYN_SENT through SYN_RECEIVED. Programs do that on
  purpose to open holes in NAT devices.
- H17: the server acknowledged the SYN by itself and sent its own SYN apart, or the client
  answered that SYN with a SYN-ACK: a split handshake. It is allowed, but no ordinary server
  does so, and devices that follow connections may take the roles for swapped.`,
	Signature: `    H15                                 H17
    A                 B                 A                 B
    | SYN ---.  .---- SYN |             | SYN ----------> |
    |    <---'  '--->     |             | <--------- ACK  |
    | SYN-ACK -> <- SYN-ACK             | <--------- SYN  |
    |                     |             | SYN-ACK ------> |`,
	Alternatives: `Where the server's SYN came alone and late, crossing and splitting look the same;
then H15 is given as likely.`,
	Advice: `H15: nothing, where it is meant. H17: find out what answers on that port: a crafted
server, a test tool or a load balancer; check that the firewalls on the path judge the
direction of such connections as they should.`,
	Settings: `Linux has no switch; nf_conntrack knows H15 as SYN_SENT2. Windows has none either.`,
})

func checkSimultaneousOpen(c *Case, report func(Finding)) {
	a, b := firstOf(c, reassembly.Client, reassembly.KindSYN, 0), firstOf(c, reassembly.Server, reassembly.KindSYN, 0)
	if a < 0 || b < 0 {
		return
	}
	lone := last(c, b, func(e *reassembly.Event) bool {
		return e.From == reassembly.Server && e.Kind == reassembly.KindACK && acknowledges(e, c.Events[a].Seq.Add(1))
	})
	ca := firstOf(c, reassembly.Client, reassembly.KindSYNACK, 0)
	sa := firstOf(c, reassembly.Server, reassembly.KindSYNACK, 0)
	f := Finding{
		Catalogue: "H15", Severity: Info, Confidence: Certain, Endpoint: Both,
		Frames:  frames(c, a, b, ca, sa),
		Message: fmt.Sprintf("Both sides opened: the client's SYN passed at %s, the server's at %s, and neither acknowledges the other.", since(c, c.Events[a].At), since(c, c.Events[b].At)),
		Falsify: "A SYN-ACK that the capture lacks and that came before the second SYN.",
		Reason:  "both SYNs were sent without ACK, and each side acknowledged the other's in a SYN-ACK",
	}
	switch {
	case lone > a || c.Events[b].Flags&wire.ACK != 0:
		f.Catalogue = "H17"
		f.Frames = frames(c, a, lone, b, ca)
		f.Message = fmt.Sprintf("The server acknowledged the client's SYN at %s by an ACK alone and sent its own SYN apart at %s: a split handshake.", since(c, c.Events[max(lone, 0)].At), since(c, c.Events[b].At))
		f.Reason = "the ACK of the SYN and the server's SYN are two segments"
	case ca < 0 || sa < 0:
		f.Confidence, f.Reason = Likely, "only one side, or none, sent a SYN-ACK; a server that splits its answer would do the same"
	}
	report(f)
}
