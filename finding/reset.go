package finding

import (
	"fmt"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// origin is where a RST comes from, by its form (field guide R01).
type origin uint8

const (
	// The zero value has no form that a host gives it.
	_ origin = iota
	// refusal: RST and ACK of a SYN, from a side that sent nothing else.
	refusal
	// reply: without ACK, its number is the acknowledgment of a segment of the peer.
	// A host builds it from that segment alone, having no socket to ask (RFC 9293
	// section 3.5.2).
	reply
	// abort: RST and ACK with the sender's next number: a socket sent it.
	abort
	// foreign: its supposed sender went on as if it had not sent it, or its number
	// was impossible.
	foreign
)

// reset is one RST of a connection, with what can be told of it.
type reset struct {
	// at is its index in the log; trigger that of the peer's segment that it
	// answers, -1 if there is none or a socket sent the RST by itself.
	at, trigger int
	event       *reassembly.Event
	from        reassembly.Side
	origin      origin
	// doubt says what speaks against the origin; 0 if nothing does.
	doubt doubt
	// goes: see goesOn.
	goes bool
}

// doubt is why a RST may be another than it seems. It becomes words where it is told (see
// why): every rule about RSTs looks at each of them.
type doubt uint8

const (
	_ doubt = iota
	wentOn
	wasOpening
	hasWindow
	liesOutside
	lacksWindow
	lacksStamps
	offNumber
	standsAlone
	answersNothing
	otherHops
)

// why says the doubt in words; empty if there is none.
func (r *reset) why(c *Case) string {
	e, me := r.event, r.from
	switch r.doubt {
	case wentOn:
		return fmt.Sprintf("the %s went on afterwards as if it had sent no RST", me)
	case wasOpening:
		return fmt.Sprintf("the %s was opening a connection then: a host without that socket answers in the same way as one whose new SYN met an old acknowledgment", me)
	case hasWindow:
		return fmt.Sprintf("its window is %d, while a host without that socket sends 0", e.Window)
	case liesOutside:
		return fmt.Sprintf("its number lies where the %s could not have accepted it", me.Peer())
	case lacksWindow:
		return "its window is 0, while a Linux socket sends the window it had; Windows hosts and many devices send 0"
	case lacksStamps:
		return "it lacks the time stamps that the sender's other segments carry"
	case offNumber:
		return "its number is not the one after the last that the capture holds of its sender"
	case standsAlone:
		return fmt.Sprintf("the capture holds no other segment of the %s to compare it with", me)
	case answersNothing:
		return "the capture holds no segment that it could answer"
	case otherHops:
		return fmt.Sprintf("its hop limit is %d, that of the %s's first segment %d", e.TTL, me, c.Ends[me].TTL)
	}
	return ""
}

// unaware reports whether a RST says by its own acknowledgment that its sender had
// not received everything below seq.
func unaware(rst *reassembly.Event, seq wire.Seq) bool {
	return rst.Flags&wire.ACK != 0 && rst.Ack.Before(seq)
}

func classify(c *Case, i int) reset {
	e := &c.Events[i]
	r := reset{at: i, trigger: -1, event: e, from: e.From}
	me := e.From
	bare := e.Flags&wire.ACK == 0
	answered := -1
	if bare {
		answered = c.Trigger(i)
	}
	spoke := last(c, i, func(x *reassembly.Event) bool {
		return x.From == me && x.Kind != reassembly.KindRST && genuine(x)
	})
	switch {
	case goesOn(c, i):
		r.origin, r.trigger, r.doubt, r.goes = foreign, answered, wentOn, true
		return r
	case answered >= 0:
		r.origin, r.trigger = reply, answered
		if spoke >= 0 && c.Events[spoke].Kind == reassembly.KindSYN || afterNext(c, i) && c.Next.Opener == me {
			r.doubt = wasOpening
		} else if e.Window != 0 {
			r.doubt = hasWindow
		}
	case e.Marks.Has(reassembly.MarkOutside):
		r.origin, r.doubt = foreign, liesOutside
		return r
	case !bare && spoke < 0 && refused(c, i) >= 0:
		r.origin, r.trigger = refusal, refused(c, i)
	case !bare && spoke >= 0 && genuine(e):
		r.origin = abort
		switch was := &c.Events[spoke]; {
		case e.Window == 0 && was.Window != 0:
			r.doubt = lacksWindow
		case was.Marks.Has(reassembly.MarkTimestamp) && !e.Marks.Has(reassembly.MarkTimestamp) && was.Kind != reassembly.KindSYN && was.Kind != reassembly.KindSYNACK:
			r.doubt = lacksStamps
		default:
			if sent, ok := sentBefore(c, me, i); ok && e.Seq != sent {
				r.doubt = offNumber
			}
		}
	case !bare && spoke < 0 && genuine(e) && c.Seen&reassembly.SeenData != 0:
		// A host without the socket gives an ACK only to what has none, which data never is.
		r.origin, r.doubt = abort, standsAlone
	default:
		r.doubt = answersNothing
	}
	if spoke >= 0 && otherTTL(c, i) {
		// One difference may be the path's doing or the stack's; with a second one, or
		// with a RST of the same kind to the other end, the host is no longer the
		// likelier sender.
		if r.doubt != 0 && r.origin != reply || toBothEnds(c, i) {
			r.origin = foreign
		}
		r.doubt = otherHops
	}
	return r
}

// otherTTL reports whether no other segment of its sender had the hop limit of the
// RST with index i. Where routes alternate, some had it.
func otherTTL(c *Case, i int) bool {
	return c.OtherHops(&c.Events[i])
}

// toBothEnds reports whether somebody reset both ends at once: a RST of the other
// side, with a strange hop limit too, passed within the time of an overtaking.
func toBothEnds(c *Case, i int) bool {
	rst := &c.Events[i]
	twin := next(c, 0, func(e *reassembly.Event) bool {
		return e.From != rst.From && e.Kind == reassembly.KindRST && e.At.Sub(rst.At).Abs() < reassembly.Overtaking
	})
	return twin >= 0 && otherTTL(c, twin)
}

// refused returns the peer's SYN that the RST with index i acknowledges, -1 if
// there is none.
func refused(c *Case, i int) int {
	rst := &c.Events[i]
	return last(c, i, func(x *reassembly.Event) bool {
		// The whole of it or, on stacks that ignore data on a SYN, the flag alone.
		return x.From != rst.From && x.Kind == reassembly.KindSYN && genuine(x) && (rst.Ack == x.End || rst.Ack == x.Seq.Add(1))
	})
}

// goesOn reports whether the sender of the RST with index i sent something new
// afterwards: new data, or an acknowledgment of more than before. A segment
// overtaken by the RST, and copies of old ones, carry neither.
func goesOn(c *Case, i int) bool {
	if i == len(c.Events)-1 {
		return false
	}
	rst := &c.Events[i]
	acked, any := ackedBefore(c, rst.From, i)
	if rst.Flags&wire.ACK != 0 && any && rst.Ack.After(acked) {
		acked = rst.Ack // by then its sender had received that, if it was the sender
	}
	// A SYN-ACK opens another connection, whose SYN the capture lacks.
	again := next(c, i+1, func(e *reassembly.Event) bool {
		return e.From == rst.From && e.Kind == reassembly.KindSYNACK
	})
	return next(c, i+1, func(e *reassembly.Event) bool {
		if again >= 0 && e.At >= c.Events[again].At {
			return false
		}
		if e.From != rst.From || e.Kind == reassembly.KindRST || e.Kind == reassembly.KindSYN || !genuine(e) || e.LastAt.Sub(rst.At) < reassembly.Overtaking {
			return false
		}
		// A bare RST that answers an old segment has that segment's number.
		return consumes(e) && e.End.After(rst.Seq) && e.Marks&reassembly.MarkRepeat == 0 ||
			any && e.Flags&wire.ACK != 0 && e.Ack.After(acked)
	}) >= 0
}

// gone reports whether the RST's sender has shown before that it has no such
// connection any more, so that this RST says nothing new.
func (r *reset) gone(c *Case) bool {
	if c.OvertakenAbort(r.at) >= 0 {
		return true
	}
	return last(c, r.at, func(e *reassembly.Event) bool {
		return e.From == r.from && e.Kind == reassembly.KindRST && genuine(e)
	}) >= 0 && !r.overtaken(c)
}

// overtaken reports whether all RSTs that passed before an abort in its sender's name
// overtook it.
func (r *reset) overtaken(c *Case) bool {
	return r.origin == abort && last(c, r.at, func(e *reassembly.Event) bool {
		return e.From == r.from && e.Kind == reassembly.KindRST && genuine(e) && (e.Flags&wire.ACK != 0 || r.event.At.Sub(e.At) > reassembly.Overtaking)
	}) < 0
}

// closedBefore reports whether both FINs had been sent and acknowledged before
// event i.
func closedBefore(c *Case, i int) bool {
	for _, f := range c.closers() {
		if f.fin < 0 || f.fin >= i || f.acked < 0 || f.acked >= i {
			return false
		}
	}
	return true
}

// unacked returns how many of a side's octets nobody had acknowledged before event
// i; FIN and SYN are not counted. known is false if the capture does not show.
func unacked(c *Case, side reassembly.Side, i int) (octets uint32, known bool) {
	x := c.shownBefore(i)
	sent, acked, ok := x.sent[side&1], x.acked[side&1], x.hasAcked[side&1]
	if !x.hasSent[side&1] {
		return 0, false
	}
	if x.reset[side&1] {
		// A host that resets a connection says what it had received.
		for _, r := range c.resets() {
			if e := r.event; r.at < i && e.From != side && e.Flags&wire.ACK != 0 && genuine(e) && !e.Ack.After(sent) && (!ok || e.Ack.After(acked)) {
				acked, ok = e.Ack, true
			}
		}
	}
	if !ok {
		return 0, false
	}
	if !sent.After(acked) {
		return 0, true
	}
	n := uint32(sent.Sub(acked))
	if fin := finBefore(c, side, i); fin >= 0 {
		n--
	}
	return n, true
}

// shown is what events up to one show of both sides: the number after the highest that they
// sent, the highest that was acknowledged of that, RSTs apart, and whether they were reset.
type shown struct {
	before                   int // event; 0 for nothing
	sent, acked              [2]wire.Seq
	hasSent, hasAcked, reset [2]bool
}

// shownBefore returns what events before i show. Several rules ask, for both sides, and mostly of
// the same event.
func (c *Case) shownBefore(i int) *shown {
	x := &c.shown
	if x.before == i {
		return x
	}
	*x = shown{before: i}
	for j := range c.Events[:i] {
		e := &c.Events[j]
		if !genuine(e) {
			continue
		}
		me, you := e.From&1, (e.From^1)&1
		if e.Kind == reassembly.KindRST {
			x.reset[you] = true
			continue
		}
		if !x.hasSent[me] || e.End.After(x.sent[me]) {
			x.sent[me], x.hasSent[me] = e.End, true
		}
		if e.Flags&wire.ACK != 0 && (!x.hasAcked[you] || e.Ack.After(x.acked[you])) {
			x.acked[you], x.hasAcked[you] = e.Ack, true
		}
	}
	return x
}

// group collects the RSTs of one side that show the same thing.
type group struct {
	first *reset
	n     int
	shown [groupMax * groupEach]int
	names int // of shown
}

// groupMax is how many RSTs a finding names: the rest repeats them. groupEach is how many
// events it names for each.
const (
	groupMax  = 8
	groupEach = 4
)

func (g *group) add(r *reset, also ...int) {
	if g.n == 0 {
		g.first = r
	}
	if g.n++; g.n > groupMax {
		return
	}
	g.shown[g.names], g.shown[g.names+1] = r.at, r.trigger
	g.names += 2 + copy(g.shown[g.names+2:], also)
}

// events are those that a finding names.
func (g *group) events() []int { return g.shown[:g.names] }
