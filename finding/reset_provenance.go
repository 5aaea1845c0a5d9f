package finding

import (
	"fmt"
	"math/bits"
	"strconv"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

var _ = register(Rule{
	ID:        "reset-provenance",
	Example:   "reset-provenance-abort.pcap",
	Catalogue: []string{"R01"},
	Title:     "Where a RST comes from",
	Severity:  Info,
	RFC:       "9293 3.5.2, 3.10.7; 3360; 5961 3",
	Triggers:  reassembly.SeenRST,
	Check:     checkResetProvenance,
	Meaning: `Every RST has a form that tells who made it:

- (a) refused SYN: RST and ACK, number 0, acknowledging the SYN. No listener.
- (b) reply of a host without that socket: no ACK flag; its number is the acknowledgment of
  the segment that it answers, which is named too. Nothing but that segment was needed to
  make it.
- (c) abort of a socket: RST and ACK at the sender's next number, with its window and time
  stamps. Only a socket knows them.
- (d) perhaps not the host at all: its supposed sender goes on afterwards, or the number
  could not be accepted, or hop limit, window or options are unlike the host's.

RSTs of one side and form are put together in one finding.`,
	Signature: `    (a)  SYN x        ->   <-  RST, ACK 0, ack x+1
    (b)  data, ack y  ->   <-  RST, seq y
    (c)                    <-  RST, ACK, seq = next, ack = rcv_nxt, window as before
    (d)                    <-  RST ...   <-  data as if nothing had happened`,
	Alternatives: `The forms are those of Linux and of most stacks; Windows aborts with window 0.
Devices can copy every field, and then only the time or the other side's capture tells.
Load balancing over paths changes the hop limit without any device that forges.`,
	Advice: `Start from the class, then ask the right one: (a) who runs the service, (b) whoever
restarted that host or keeps state on the path, (c) the application on that side, (d) whoever
runs the firewalls. The hop limit's distance from a usual initial value (64, 128, 255)
is the number of hops to the device.`,
	Settings: `Linux: replies without a socket are not limited in rate; net.ipv4.ip_default_ttl
(64) is their hop limit.`,
})

func checkResetProvenance(c *Case, report func(Finding)) {
	all := c.resets()
	var kinds uint16 // a bit for each side and form that there are
	for i := range all {
		kinds |= 1 << all[i].kind()
	}
	for ; kinds != 0; kinds &= kinds - 1 {
		kind := bits.TrailingZeros16(kinds)
		var g group
		for i := range all {
			if r := &all[i]; r.kind() == kind {
				g.add(r)
			}
		}
		reportProvenance(c, &g, report)
	}
}

// kind numbers sides and forms.
func (r *reset) kind() int { return int(r.from)*(int(foreign)+1) + int(r.origin) }

func reportProvenance(c *Case, g *group, report func(Finding)) {
	r := g.first
	f := Finding{Catalogue: "R01", Severity: Info, Confidence: Certain, Endpoint: Endpoint(r.from), Frames: frames(c, g.events()...)}
	switch r.origin {
	case refusal, reply, abort:
		if r.doubt != 0 {
			f.Confidence = Likely
		}
	case foreign:
		f.Confidence = Likely
	default:
		f.Confidence = Possible
	}
	if c.Words() {
		f.Message, f.Falsify, f.Reason = r.provenance(c, g.n)
	}
	report(f)
}

// provenance says where a RST comes from, the first of so many of its form.
func (r *reset) provenance(c *Case, n int) (message, falsify, reason string) {
	what := "has no form that tells its origin"
	switch r.origin {
	case refusal:
		what = "is a refusal: it acknowledges the SYN, and nothing listens there"
	case reply:
		what = "is the reply of a host without that socket to the " + r.from.Peer().String() + "'s " + name(&c.Events[r.trigger])
	case abort:
		what = "is the abort of a socket: it carries the ACK and the number that come next"
	case foreign:
		what = "may come from a device on the path"
	}
	if reason = r.why(c); reason == "" {
		reason = "flags and number have this form and no other"
	}
	count := "RST"
	if n > 1 {
		count = fmt.Sprintf("first of %d RSTs of this form,", n)
	}
	// Every RST has these words: joined, they take a third of the time of package fmt.
	from := r.from.String()
	return "The " + from + "'s " + count + " at " + since(c, r.event.At) + " " + what + " (" + r.evidence(c) + ").",
		"A capture at the " + from + " that does not hold the RST, or holds it at another time.", reason
}

// name says what an event is, in a sentence.
func name(e *reassembly.Event) string {
	switch e.Kind {
	case reassembly.KindData:
		return "data"
	case reassembly.KindSYN:
		return "SYN"
	case reassembly.KindSYNACK:
		return "SYN-ACK"
	case reassembly.KindFIN:
		return "FIN"
	}
	return "ACK"
}

// evidence lists what can be compared: flags, window, hop limit, IP
// identification, and the delay against the side's usual one.
func (r *reset) evidence(c *Case) string {
	e := r.event
	var text [192]byte
	b := append(text[:0], "without ACK"...)
	if e.Flags&wire.ACK != 0 {
		b = append(text[:0], "with ACK"...)
	}
	b = strconv.AppendUint(append(b, ", window "...), uint64(e.Window), 10)
	b = strconv.AppendUint(append(b, ", hop limit "...), uint64(e.TTL), 10)
	own := &c.Ends[r.from]
	before := last(c, r.at, func(x *reassembly.Event) bool { return x.From == r.from && x.Kind != reassembly.KindRST })
	switch {
	case before < 0:
		b = append(b, " and no other segment of that side to compare it with"...)
	case e.TTL == own.TTL:
		b = append(b, " like its other segments"...)
	default:
		b = strconv.AppendUint(append(b, " where its first segment had "...), uint64(own.TTL), 10)
	}
	if before >= 0 && (e.IPID == 0) != (c.Events[before].IPID == 0) {
		b = fmt.Appendf(b, ", IP identification %d after %d", e.IPID, c.Events[before].IPID)
	}
	if r.trigger >= 0 {
		b = append(append(b, ", "...), span(e.At.Sub(c.Events[r.trigger].LastAt))...)
		b = append(b, " after what it answers"...)
		if own.Response > 0 {
			b = append(append(b, "; that side's best is "...), span(own.Response)...)
		}
	}
	return string(b)
}
