package finding

import (
	"fmt"
	"time"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

var _ = register(Rule{
	ID:        "handshake-given-up",
	Catalogue: []string{"C18", "H13", "H18", "H19"},
	Title:     "The client reset the server's SYN-ACK",
	Severity:  Warning,
	RFC:       "9293 3.5 figure 8, 3.5.2, 3.10.7.3",
	Triggers:  reassembly.SeenRST,
	resets:    isBare,
	Check:     checkHandshakeGivenUp,
	Meaning: `The SYN-ACK was answered by RST: the client's host had no use for it.

- C18: it had no such attempt any more. The program closed its socket while connecting, because
  its own limit for connecting was shorter than the way there and back.
- H13: the SYN has none of the options that today's stacks send. A scanner makes such SYNs itself,
  and the kernel, which knows nothing of them, resets the answer. The port is open.
- H18: the same ports have another attempt of the client beside this one: an old duplicate of a
  SYN arrived, and the RST clears it away, as RFC 9293 figure 8 shows.
- H19: the SYN-ACK acknowledges a number that the client never sent (warning): something on the
  path changes or invents sequence numbers.`,
	Signature: `    A                     B
    | SYN x ------------> |
    | <---- SYN-ACK x+1   |   H19: any other number
    | RST, seq x+1 -----> |   no ACK flag: no socket left to ask`,
	Alternatives: `One packet cannot tell C18 from H13: both are what a host without that socket sends.
A SYN whose sender address was forged is answered by its owner in the same way.`,
	Advice: `C18: compare the time from SYN to RST with the program's connect timeout; it should
survive one lost SYN, so more than 1 s, better more than 3 s. H13: list what else that source
tried. H19: look for a SYN proxy or a firewall that shifts numbers, and let it see both
directions.`,
	Settings: `Linux: no sysctl; close() during connect sends nothing, and the late SYN-ACK gets the RST.
iptables -m conntrack --ctstate INVALID shows what a firewall makes of such RSTs.`,
})

// attemptsApart is how far apart two attempts of one client may be of which one is
// an old duplicate of the other's time: the longest that a segment lives, RFC 9293's
// MSL of two minutes.
const attemptsApart = 2 * time.Minute

func checkHandshakeGivenUp(c *Case, report func(Finding)) {
	syn := firstOf(c, reassembly.Client, reassembly.KindSYN, 0)
	if syn < 0 || next(c, 0, func(e *reassembly.Event) bool {
		return e.From == reassembly.Client && genuine(e) && e.Kind != reassembly.KindSYN && e.Kind != reassembly.KindRST
	}) >= 0 {
		return
	}
	done := false
	for i := range c.resets() {
		r := &c.rsts[i]
		if done || r.from != reassembly.Client || r.event.Flags&wire.ACK != 0 {
			continue
		}
		synack := last(c, r.at, func(e *reassembly.Event) bool {
			return e.From == reassembly.Server && e.Kind == reassembly.KindSYNACK && e.Ack == r.event.Seq
		})
		if synack < 0 {
			continue
		}
		done = true
		f := Finding{
			Catalogue: "C18", Severity: Info, Confidence: Likely, Endpoint: Client,
			Frames: frames(c, syn, synack, r.at),
			Message: fmt.Sprintf("The client's host answered the SYN-ACK with RST, %s after the SYN: the program had given the attempt up.",
				span(r.event.At.Sub(c.Events[syn].At))),
			Falsify: "A capture at the client that shows the program still connecting at that time.",
			Reason:  "a forged SYN, or one that a program made without the kernel, is answered in the same way",
		}
		switch options := c.Ends[reassembly.Client].SYN.Set; {
		case !genuine(&c.Events[synack]):
			f.Catalogue, f.Severity, f.Confidence, f.Endpoint = "H19", Warning, Certain, Both
			f.Message = "The SYN-ACK acknowledges a number that the client had not sent, and the client's host reset it."
			f.Falsify = "A SYN with the number before the acknowledged one, missing from the capture."
			f.Reason = "the acknowledged number is not the one after the SYN, and the RST answers exactly that segment"
		case again(&c.Previous, c):
			f.Catalogue, f.Endpoint = "H18", Both
			f.Message = "The SYN of the connection before came once more, when that had ended, and the client's host reset the answer: an old duplicate, which the network had kept."
			f.Falsify = "A program that opens connections without the kernel, and gives each the same number."
			f.Reason = "no host begins two connections of a pair of ports with the same number"
		case beside(&c.Next, c, reassembly.Client), beside(&c.Previous, c, reassembly.Client):
			f.Catalogue, f.Endpoint = "H18", Both
			f.Message = "The client's host reset the answer to this SYN while it had another attempt from the same port: this SYN is an old duplicate."
			f.Reason = "a program that gives up and tries again from the same port looks the same"
		case options&(wire.OptWindowScale|wire.OptSACKPerm|wire.OptTimestamps) == 0:
			f.Catalogue, f.Confidence = "H13", Possible
			f.Message = "The client's host reset the SYN-ACK, and the SYN has none of the usual options: a scan that learns whether the port is open."
			f.Reason = "small devices send SYNs without options too, and programs give up"
		}
		report(f)
	}
}

// again reports whether the connection begins with the very SYN of an earlier one.
func again(other *reassembly.Incarnation, c *Case) bool {
	return *other != (reassembly.Incarnation{}) && other.Opener == reassembly.Client && other.Key.Tuple == c.Key.Tuple && other.Key.ISN == c.Key.ISN
}

// beside reports whether another incarnation, opened by side, is near enough in time
// to be the attempt that this one is a duplicate of.
func beside(other *reassembly.Incarnation, c *Case, side reassembly.Side) bool {
	return *other != (reassembly.Incarnation{}) && other.Opener == side && other.Key.Start.Sub(c.Start).Abs() < attemptsApart && other.Last.Sub(c.Start) > -attemptsApart &&
		(other.Key.Start > c.Start || other.Last > c.Start)
}
