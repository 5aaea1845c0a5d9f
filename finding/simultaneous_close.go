package finding

import (
	"fmt"

	"github.com/tcplife/tcplife/reassembly"
)

var _ = register(Rule{
	ID:        "simultaneous-close",
	Catalogue: []string{"C04"},
	Title:     "Both sides closed at once",
	Severity:  Info,
	RFC:       "9293 3.6 figure 13",
	Triggers:  reassembly.SeenCrossedFIN,
	Check:     checkSimultaneousClose,
	Meaning: `Each side sent its FIN without having received the other's: the two crossed. Both pass
through CLOSING and both end in TIME_WAIT, so the pair of ports is held on both hosts. It is
no fault; the connection's data is not concerned.`,
	Signature: `    A                               B
    | FIN, seq x, ack y ----.       |  A: FIN_WAIT_1
    |       .-------------- | - FIN, seq y, ack x   B: FIN_WAIT_1
    | <----'                '-----> |  both: CLOSING
    | ACK y+1 ----.   .---- ACK x+1 |
    |        <----'   '---->        |  both: TIME_WAIT`,
	Alternatives: `The first FIN died on its way and the second side closed later by itself: then the
states are the same, though the two did not cross in time. What a side had received is read
from its acknowledgments, so the order of the frames, which depends on where the capture was
made, does not matter.`,
	Advice: `Nothing to do for one connection. Where ports run short, remember that both hosts hold
the pair for their TIME_WAIT; let one side wait for the other's FIN.`,
	Settings: `Linux: TIME_WAIT lasts 60 s and cannot be set (tcp_fin_timeout does not change it).
FreeBSD: 2 x net.inet.tcp.msl (30 s). Windows: TcpTimedWaitDelay (registry; 30 to 300
seconds, the default differs by release).`,
})

func checkSimultaneousClose(c *Case, report func(Finding)) {
	a, b := firstFIN(c, reassembly.Client), firstFIN(c, reassembly.Server)
	if a < 0 || b < 0 || acknowledges(&c.Events[a], c.Ends[reassembly.Server].FIN) || acknowledges(&c.Events[b], c.Ends[reassembly.Client].FIN) {
		return
	}
	f := Finding{
		Catalogue: "C04", Severity: Info, Confidence: Certain, Endpoint: Both,
		Frames:  frames(c, a, b),
		Falsify: "An earlier copy of either FIN, missing from the capture, that acknowledges the other.",
		Reason:  "neither FIN acknowledges the other, whatever the order in which they passed",
	}
	if c.Words() {
		f.Message = crossed(c, &c.Events[min(a, b)], &c.Events[max(a, b)])
	}
	report(f)
}

// crossed says that two FINs crossed, x before y.
func crossed(c *Case, x, y *reassembly.Event) string {
	through := " By what passed then, neither went through CLOSING."
	switch client, server := had(c, reassembly.Client, reassembly.Closing), had(c, reassembly.Server, reassembly.Closing); {
	case client && server:
		through = " Both went through CLOSING."
	case client:
		through = " The client went through CLOSING."
	case server:
		through = " The server went through CLOSING."
	}
	return fmt.Sprintf("Both sides sent a FIN before they had received the other's: the %s at %s, the %s %s later.",
		x.From, since(c, x.At), y.From, span(y.At.Sub(x.At))) + through
}
