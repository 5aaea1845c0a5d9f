package reassembly

import (
	"slices"

	"github.com/tcplife/tcplife/wire"
)

// An ICMP error is no segment: it opens no connection, counts in no side's packets
// and moves no sequence numbers. It is kept with the connection whose segment it
// quotes, if its numbers are that connection's. In SYN_SENT it may end the attempt;
// in a synchronized state it changes nothing (RFC 1122 section 4.2.3.9 and RFC 5461
// call it soft, RFC 5927 says why), but it tells why segments do not get through.

// ICMP is one sort of ICMP error that a connection met: who reported what about
// which side's segments, how often.
type ICMP struct {
	// At and Frame are those of the first such error, LastAt and LastFrame those of
	// the last; Count is how many frames there were.
	At, LastAt       wire.Time
	Frame, LastFrame wire.FrameID
	Count            uint32
	// From is the side whose segment is quoted: the error is on its way there.
	From Side
	// Reporter is who sent the error; Tuple.V6 of the connection says how to print it.
	Reporter wire.Addr
	// Seq is the sequence number that the first of them quotes.
	Seq wire.Seq
	// Type and Code are ICMP's, or ICMPv6's in an IPv6 connection; MTU is the next
	// hop's in octets, 0 where the error tells none.
	Type, Code uint8
	MTU        uint32
	// Unreachable: the error says that segments do not get there, and not only that
	// one was too large.
	Unreachable bool
	// OfSYN: the first of them quotes the side's SYN.
	OfSYN bool
}

// icmpMax bounds the sorts of errors kept for one connection; a path that gives
// more reports the same from many routers.
const icmpMax = 8

// icmpNote is an ICMP in a record's list.
type icmpNote struct {
	ICMP
	next uint32
}

// Quoted takes an ICMP error that quotes a segment, and reports whether it belongs
// to a connection that is held. e is not kept.
func (t *Tracker) Quoted(e *wire.ICMP) bool { return t.QuotedHashed(e, t.cfg.Seed.Hash(&e.Tuple)) }

// QuotedHashed is Quoted for callers that know Seed.Hash of the quoted tuple already.
func (t *Tracker) QuotedHashed(e *wire.ICMP, hash uint64) bool {
	key, swapped := keyOf(&e.Tuple)
	rec := t.find(&key, slotHash(hash, key.path()))
	if rec == 0 {
		// On the way back it may be encapsulated as the other direction is.
		bare := key.bare()
		if rec = t.find(&bare, hash); rec == 0 {
			rec = t.findTagged(&bare, hash)
		}
	}
	for rec = t.whole(rec); rec != 0; rec = t.recs.at(rec).older {
		r := t.recs.at(rec)
		if from := r.side(swapped); (r.deadline == 0 || r.deadline >= e.At) && r.sent(e, from) {
			t.keep(r, e, from)
			if t.cfg.Follow {
				t.touch(rec)
			}
			return true
		}
	}
	return false
}

// sent reports whether the quoted segment may be one that the side sent: errors
// are easily forged, and those about an earlier life of the tuple may be late.
func (r *record) sent(e *wire.ICMP, from Side) bool {
	f, p := &r.half[from], &r.half[from.Peer()]
	if !f.has(hasNext) {
		return false
	}
	low, high := f.first, f.next
	if f.has(hasISN) {
		low = f.isn
	}
	// The tap may have missed what was sent, up to the window.
	if p.has(hasEdge) && p.edge.After(high) {
		high = p.edge
	}
	return inside(e.Seq, low, high)
}

// keep enters an error into the record's list.
func (t *Tracker) keep(r *record, e *wire.ICMP, from Side) {
	r.seen |= SeenICMP
	n, last := 0, uint32(0)
	for i := r.icmp; i != 0; i = t.icmps.at(i).next {
		c := &t.icmps.at(i).ICMP
		if c.From == from && c.Type == e.Type && c.Code == e.Code && c.Reporter == e.Reporter && c.MTU == e.MTU {
			c.LastAt, c.LastFrame = e.At, e.Frame
			c.Count++
			return
		}
		n, last = n+1, i
	}
	if n == icmpMax {
		r.dropped++
		return
	}
	place := t.icmps.get()
	f := &r.half[from]
	*t.icmps.at(place) = icmpNote{ICMP: ICMP{
		At: e.At, LastAt: e.At, Frame: e.Frame, LastFrame: e.Frame, Count: 1, From: from, Reporter: e.Reporter, Seq: e.Seq,
		Type: e.Type, Code: e.Code, MTU: e.MTU, Unreachable: e.Unreachable(), OfSYN: f.has(hasSYN) && e.Seq == f.isn,
	}}
	if last == 0 {
		r.icmp = place
	} else {
		t.icmps.at(last).next = place
	}
}

// refusal returns the error that ended the endpoint's attempt, as far as can be
// told, with its time and frame: one about its SYN, after which it sent nothing.
// Linux gives up at any such error (tcp_v4_err, tcp_v6_err); a system that takes
// them for soft repeats its SYN, and so contradicts.
func (in *inference) refusal() (at wire.Time, frame wire.FrameID, ok bool) {
	if len(in.c.ICMP) == 0 {
		return 0, 0, false
	}
	last := wire.Time(0)
	sent := false
	for i := range in.c.Events {
		if e := &in.c.Events[i]; e.From == in.me && genuine(e) {
			last, sent = max(last, e.LastAt), true
		}
	}
	for i := range in.c.ICMP {
		e := &in.c.ICMP[i]
		if !sent || e.From != in.me || !e.Unreachable || !e.OfSYN || e.LastAt < last {
			continue
		}
		a, f := e.At, e.Frame
		if a < last {
			a, f = e.LastAt, e.LastFrame
		}
		if !ok || a < at {
			at, frame, ok = a, f, true
		}
	}
	return at, frame, ok
}

// unreachable notes an attempt's end by an ICMP error.
func (in *inference) unreachable() {
	if at, frame, ok := in.refusal(); ok {
		in.list = append(in.list, happening{pos: in.posAt(at), cause: len(in.c.Events), by: rcvICMP, at: at, frame: frame, evidence: Passed})
	}
}

// metICMP reports whether an ICMP error said that the client's SYN did not get
// through.
func metICMP(c *Conn) bool {
	return slices.ContainsFunc(c.ICMP, func(e ICMP) bool { return e.From == Client && e.Unreachable && e.OfSYN })
}
