package reassembly

import (
	"time"

	"github.com/tcplife/tcplife/wire"
)

// A connection may end without a segment that says so: a side sends the same again and
// again, nobody answers, and its kernel gives up (RFC 9293 section 3.8.3, 3.8.4; RFC
// 1122 section 4.2.3.5).

// vainKind is what a side sends in vain.
type vainKind uint8

const (
	vainNothing vainKind = iota
	vainData             // data, or a FIN, that is never acknowledged
	vainProbe            // keepalive probes that are never answered
	vainWindow           // probes of a window that stays closed
)

// vain is what a side sent at the end of a connection without an answer.
type vain struct {
	kind vainKind
	// first and last are the times of the first transmission and of the last, count how
	// many there were.
	first, last wire.Time
	count       int
	// gap is the time between the last two, 0 if that is not known.
	gap time.Duration
}

// sentInVain returns what the side sent among the first n events, after the last
// segment of the peer there, that asked for an answer and got none. A peer that the
// capture does not hold at all may have answered, so there it is nothing.
func (c *Conn) sentInVain(s Side, n int) (v vain) {
	heard, silent := c.lastHeard(s.Peer(), n)
	if heard == nil {
		return v
	}
	// Its last segment may be a run that began before what the side sent.
	closed := heard.Window == 0 && heard.Flags&wire.SYN == 0
	unacked := c.Ends[s].Unacked() > 0
	for i := range c.Events[:n] {
		e := &c.Events[i]
		if e.From != s || !genuine(e) || e.LastAt < silent || e.Kind != KindACK && e.Kind != KindData && e.Kind != KindFIN {
			continue
		}
		kind := vainNothing
		switch asks := e.End != e.Seq; {
		case closed && (e.Marks.Has(MarkKeepalive) || asks && unacked):
			kind = vainWindow
		case e.Marks.Has(MarkKeepalive):
			kind = vainProbe
		case asks && unacked:
			kind = vainData
		}
		switch {
		case kind == vainNothing:
		case kind != v.kind:
			// Data to send takes the place of probes.
			v = vain{kind: kind, first: e.At, last: e.LastAt, count: 1}
		case kind != vainData || e.Marks.Has(MarkRepeat):
			v.again(e)
		}
	}
	return v
}

// lastHeard returns the last segment of a side among the first n events and its time;
// nil if there is none, or if it was a RST.
func (c *Conn) lastHeard(s Side, n int) (heard *Event, at wire.Time) {
	for i := range c.Events[:n] {
		if e := &c.Events[i]; e.From == s && genuine(e) && (heard == nil || e.LastAt >= at) {
			heard, at = e, e.LastAt
		}
	}
	if heard != nil && heard.Kind == KindRST {
		return nil, 0
	}
	return heard, at
}

// again counts one more transmission. What lies between the segments of a run is not
// known.
func (v *vain) again(e *Event) {
	v.gap = 0
	if e.Count == 1 {
		v.gap = e.At.Sub(v.last)
	}
	v.last = e.LastAt
	v.count += int(e.Count)
}

// due returns how long after the last transmission the next one was due, 0 if that
// does not show: probes of an idle peer keep one interval, everything else doubles it
// (RFC 6298 section 5.5).
func (v *vain) due(p *Profile) time.Duration {
	switch {
	case v.gap == 0 || v.count < vainLeast:
		return 0
	case v.kind == vainProbe:
		return v.gap
	}
	return max(min(2*v.gap, p.MaxRTO), minRTO)
}

// DeathCopies is how often a segment must have been sent without an answer for its
// sender to be talking to nobody: three repetitions need 1.4 s at the smallest timer,
// and a path that loses a tenth of all packets does that once in ten thousand.
const DeathCopies = 4

// vainLeast is how many transmissions show by which rule they are repeated.
const vainLeast = 3

// span returns how long after the first transmission a host of the profile gives up
// at the latest; 0 if the profile knows no limit.
func (v *vain) span(p *Profile) time.Duration {
	if v.kind == vainProbe {
		return p.KeepaliveSpan
	}
	return p.DataRetrySpan
}

// gaveUpAt returns when the host had given up, if it must have by until: it let two
// repetitions in a row that were due pass (one may have been lost before the tap), or
// the profile allows no longer. 0 if it may still be waiting, or if so few were captured
// that others are missing.
func (v *vain) gaveUpAt(p *Profile, until wire.Time) wire.Time {
	if v.kind == vainNothing {
		return 0
	}
	if due := v.due(p); due > 0 {
		after := due
		if v.kind != vainProbe {
			after = min(2*due, p.MaxRTO)
		}
		if v.last.Add(due+after+p.TimerSlack) <= until {
			return v.last.Add(due)
		}
	}
	if span := v.span(p); span > 0 && v.count >= DeathCopies && v.first.Add(span+p.TimerSlack) <= until && v.last <= v.first.Add(span) {
		return v.first.Add(span)
	}
	return 0
}
