package finding

import (
	"fmt"

	"github.com/tcplife/tcplife/reassembly"
)

var _ = register(Rule{
	ID:        "syn-unanswered",
	Catalogue: []string{"H02"},
	Title:     "Nobody answered the SYN",
	Severity:  Error,
	RFC:       "9293 3.8.3; 6298 2",
	// A SYN that comes alone is a scan's or a flood's, of which there may be millions: they
	// are counted together, not told one by one.
	Triggers: reassembly.SeenRepeatSYN,
	Check:    checkSYNUnanswered,
	Meaning: `The client sent its SYN, repeated it, and nothing came back: neither SYN-ACK nor RST.
The application waits until connect() fails with ETIMEDOUT, two minutes with the defaults. All
repetitions are one attempt.`,
	Signature: `    A                     B
    | SYN ------------>   ?  |
    | SYN ------------>   ?  |  1 s later, the same number
    | SYN ------------>   ?  |  gaps 1 1 1 1 1 2 4 8 16 32 s (Linux 6.5 and later),
                                1 2 4 8 16 32 s (before), 3 6 12 s (old stacks)`,
	Alternatives: `The SYN died before the server, the SYN-ACK behind the capture point, the capture
holds one direction only, the server's queue of connections not yet accepted was full, or an
ICMP error came that the capture's filter left out.`,
	Advice: `See first whether other clients reach the same address and port. If none do: dead host,
wrong address, or a firewall that drops (one that rejects would answer). If some do: filters
for this client, its return route, NAT. If all do but now and then: full queues on the server
(nstat TcpExtListenOverflows TcpExtListenDrops, ss -ltn). Capture at the server to see whether
the SYN arrives. A shorter limit is the application's to set; fewer retries only hide it.`,
	Settings: `Linux: tcp_syn_retries (6), tcp_syn_linear_timeouts (4): 131 s in all, 127 s before 6.5;
TCP_USER_TIMEOUT and TCP_SYNCNT per socket. FreeBSD: net.inet.tcp.keepinit (75000 ms). Windows:
MaxSynRetransmissions (2 to 4 by release; Get-NetTCPSetting shows it).`,
})

func checkSYNUnanswered(c *Case, report func(Finding)) {
	if c.Seen&reassembly.SeenUnanswered == 0 {
		return
	}
	syn := firstOf(c, reassembly.Client, reassembly.KindSYN, 0)
	if syn < 0 || c.Ends[reassembly.Server].Packets > 0 || next(c, 0, func(e *reassembly.Event) bool {
		return e.From == reassembly.Client && e.Kind != reassembly.KindSYN
	}) >= 0 {
		return // answered, given up with a RST, or seen from one side only
	}
	if refusedByICMP(c, reassembly.Client) != nil {
		return // something did come back: icmp-refusal says what
	}
	all := c.Transmissions(syn)
	if len(all) == 1 {
		return
	}
	lastAt := c.Events[all[len(all)-1]].LastAt
	f := Finding{
		Catalogue: "H02", Severity: Error, Confidence: Likely, Endpoint: Client,
		Frames:  frames(c, first(all, groupMax)...),
		Falsify: "An answer in a capture made nearer to the server, or one that comes later.",
		Reason:  "the attempt may still be answered: its retries are not over",
	}
	if c.Words() {
		f.Message = fmt.Sprintf("The client sent its SYN %s in %s and got no answer, neither SYN-ACK nor RST.",
			times(len(all)), span(lastAt.Sub(c.Events[syn].At)))
	}
	timeline := c.Ends[reassembly.Client].Timeline
	switch n := len(timeline); {
	case n > 0 && timeline[n-1].State == reassembly.Closed && timeline[n-1].Evidence == reassembly.Timer:
		f.Confidence, f.Reason = Certain, "the time of all retries has passed in the capture without an answer"
	case afterNextSYN(c):
		f.Confidence, f.Reason = Certain, "the client began another attempt from the same port, so it had given this one up"
	}
	if p := &c.Previous; *p != (reassembly.Incarnation{}) && c.Start.Sub(p.Last) < reuseSpan {
		doubted(&f, Possible, "the ports had a connection shortly before, whose memory may have answered with the old numbers")
	}
	report(f)
}

// afterNextSYN reports whether the same side opened the tuple anew.
func afterNextSYN(c *Case) bool {
	return c.Next.Frame != 0 && c.Next.Opener == reassembly.Client
}
