package finding

import (
	"fmt"

	"github.com/tcplife/tcplife/reassembly"
)

var _ = register(Rule{
	ID:        "reset-injected",
	Catalogue: []string{"R02"},
	Title:     "A RST that its supposed sender did not send",
	Severity:  Error,
	RFC:       "5961 3; 4953; 3360",
	Triggers:  reassembly.SeenRST,
	resets:    isPassed | otherHop,
	Check:     checkResetInjected,
	Meaning: `A RST passed in the name of a side that went on afterwards as if it had sent none, or
whose other segments look different. Somebody else made it: a device on the path that ends
connections by policy, or an attacker. The side that believed it has lost the connection, the other
finds out when it sends.`,
	Signature: `    A                 device          B
    | <---- RST ------- |               |  in B's name
    | <--------------------------- data |  B knows nothing of it
    | RST --------------------------->  |  A has no socket any more`,
	Alternatives: `Segments that were under way when the host itself sent the RST follow it by
milliseconds, which is allowed for. Load sharing over ways of different length changes the hop
limit of honest segments too.`,
	Advice: `The hop limit's distance from 64, 128 or 255 is the number of hops to whoever made it;
compare with traceroute. Ask those who run firewalls, intrusion prevention and content filters on
that part of the path. Capture at B: a RST that B did not send is not in it.`,
	Settings: `Linux follows RFC 5961 and takes a RST only at exactly the next number, otherwise it sends
a challenge ACK (tcp_challenge_ack_limit). TLS does not protect against this; TCP-AO, MD5 (BGP) and
QUIC do.`,
})

func checkResetInjected(c *Case, report func(Finding)) {
	for s := range c.Ends {
		side := reassembly.Side(s)
		var g group
		on := -1
		for i := range c.resets() {
			r := &c.rsts[i]
			if r.from != side || r.origin != foreign && !strange(c, r) || afterNext(c, r.at) {
				continue
			}
			if !r.goes && !otherTTL(c, r.at) {
				continue // a number that does not fit is not enough: the host may have it wrong
			}
			g.add(r)
			if on < 0 && r.goes {
				on = r.at
			}
		}
		if g.n == 0 {
			continue
		}
		r := g.first
		f := Finding{
			Catalogue: "R02", Severity: Error, Confidence: Likely, Endpoint: Both,
			Frames:  frames(c, g.events()...),
			Message: fmt.Sprintf("A RST in the %s's name passed at %s that the %s seems not to have sent: hop limit %d, its own is %d.", side, since(c, r.event.At), side, r.event.TTL, c.Ends[side].TTL),
			Falsify: fmt.Sprintf("A capture at the %s that shows it sending the RST.", side),
			Reason:  r.why(c),
		}
		if on >= 0 {
			then := next(c, on+1, func(e *reassembly.Event) bool {
				return e.From == side && genuine(e) && e.Kind != reassembly.KindRST && e.LastAt.Sub(c.Events[on].At) >= reassembly.Overtaking
			})
			f.Confidence, f.Reason = Certain, "a host that has reset a connection sends nothing new on it"
			f.Frames = frames(c, append(g.events(), on, then)...)
			f.Message = fmt.Sprintf("A RST in the %s's name passed at %s, and the %s went on afterwards as if it had sent none: somebody else made it, or it was not meant to arrive.", side, since(c, c.Events[on].At), side)
			if otherTTL(c, on) {
				f.Message = f.Message[:len(f.Message)-1] + fmt.Sprintf(" (hop limit %d, its own is %d).", r.event.TTL, c.Ends[side].TTL)
			}
		}
		if r.event.Marks.Has(reassembly.MarkOutside) && on < 0 {
			f.Confidence = Possible
		}
		if f.Reason == "" {
			f.Reason = "the RST is unlike the other segments of that side"
		}
		switch {
		case g.first.gone(c) || closedBefore(c, g.first.at):
			f.Severity = Info // there was nothing left to reset
		case !followed(c, side.Peer(), g.events()):
			f.Severity = Warning
		}
		report(f)
	}
}

// followed reports whether a side closed because of one of the RSTs.
func followed(c *Case, side reassembly.Side, rsts []int) bool {
	for _, t := range c.Ends[side].Timeline {
		for _, i := range rsts {
			if t.State == reassembly.Closed && i >= 0 && t.Frame == c.Events[i].Frame {
				return true
			}
		}
	}
	return false
}

// strange reports whether a RST stands alone and is unlike its side's segments: it
// answers nothing, and came over another number of hops.
func strange(c *Case, r *reset) bool {
	return r.trigger < 0 && r.origin != refusal && c.Ends[r.from].Packets > 1 && otherTTL(c, r.at)
}
