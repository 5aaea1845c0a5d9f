package finding

import (
	"fmt"

	"github.com/tcplife/tcplife/reassembly"
)

var _ = register(Rule{
	ID:        "odd-flags",
	Catalogue: []string{"H14"},
	Title:     "Flags that no connection has",
	Severity:  Warning,
	RFC:       "9293 3.10.7.1, 3.10.7.2",
	Triggers:  reassembly.SeenOdd,
	Check:     checkOddFlags,
	Meaning: `A segment without SYN, ACK and RST passed: no flags at all (NULL), FIN alone, or FIN with
PSH and URG (Xmas). No stack sends that. Scanners do: a closed port answers with RST, an open one
with silence (Windows answers with RST always). ACK scans are unsolicited-answer's.`,
	Signature: `    S                     H
    | FIN, PSH, URG ----> |
    | <-------- RST, ACK  |  closed; silence: open or filtered`,
	Alternatives: `Damaged headers, test tools, intrusion systems that probe.`,
	Advice: `List what else the source sent. Filters that follow connections drop such segments;
those that look at SYN alone let them pass.`,
	Settings: `Linux: nft/iptables "ct state invalid drop". Windows: the stealth mode of its firewall
drops the RST. FreeBSD: net.inet.tcp.blackhole (0; 1 keeps silent on SYNs, 2 on everything to a
closed port), net.inet.tcp.drop_synfin (0).`,
})

func checkOddFlags(c *Case, report func(Finding)) {
	odd := next(c, 0, func(e *reassembly.Event) bool { return e.Kind == reassembly.KindOdd })
	if odd < 0 {
		return
	}
	e := &c.Events[odd]
	answer := next(c, odd, func(x *reassembly.Event) bool { return x.From != e.From })
	f := Finding{
		Catalogue: "H14", Severity: Warning, Confidence: Certain, Endpoint: Endpoint(e.From),
		Frames:  frames(c, odd, answer),
		Message: fmt.Sprintf("The %s sent a segment with the flags %q outside of any connection.", e.From, e.Flags.String()),
		Falsify: "A damaged header: a wrong checksum in the frame.",
		Reason:  "every segment of a connection but its first has the ACK flag",
	}
	if odd > 0 {
		f.Severity, f.Confidence, f.Reason = Info, Likely, "a connection was open, so the segment may be damaged instead of a probe"
		f.Message = fmt.Sprintf("The %s sent a segment with the flags %q inside the connection.", e.From, e.Flags.String())
	}
	if answer >= 0 && c.Events[answer].Kind == reassembly.KindRST {
		f.Message = f.Message[:len(f.Message)-1] + ", and it was answered with RST."
	}
	report(f)
}
