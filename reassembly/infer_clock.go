package reassembly

import (
	"slices"
	"time"

	"github.com/tcplife/tcplife/wire"
)

// The tap's time says when a segment passed, its timestamp option when it was sent
// (RFC 7323 section 3.2: TSval is the sender's clock). Where both are known, a
// segment that was overtaken on its way, or that the network kept a copy of, is told
// from one that its sender sent just then.

// ticks are the units of the timestamp clocks in use: RFC 7323 section 5.4 allows 1 ms
// to 1 s. Linux ticks in ms or, on request of a route, in µs (tcp_usec_ts), at 4 or
// 10 ms before 4.13 (CONFIG_HZ); FreeBSD, Darwin and Windows since 2019 in ms;
// older Windows at 10 or 100 ms, old BSDs at 500.
var ticks = [...]time.Duration{time.Microsecond, time.Millisecond, 4 * time.Millisecond, 10 * time.Millisecond, 100 * time.Millisecond, 500 * time.Millisecond}

// enoughTicks is the least number of ticks over which a clock's unit is estimated:
// half of a tick at either end is then 1/16, and ticks differ by at least 2.5 times.
const enoughTicks = 16

// clock is what is known of a side's timestamp clock.
type clock struct {
	// tick is its unit, 0 if unknown.
	tick time.Duration
	// val and at are the value and passing time of the segment that came through
	// fastest, as far as can be told.
	val uint32
	at  wire.Time
}

// readClock estimates a side's timestamp clock from the events that carry one.
func (c *Conn) readClock(s Side) (k clock) {
	var first, last *Event
	for i := range c.Events {
		e := &c.Events[i]
		if e.From != s || !genuine(e) || e.Marks&MarkTimestamp == 0 {
			continue
		}
		if first == nil {
			first, last = e, e
		}
		if int32(e.TSVal-first.TSVal) < 0 {
			first = e
		}
		if int32(e.TSVal-last.TSVal) > 0 {
			last = e
		}
	}
	if first == nil {
		return k
	}
	n := last.TSVal - first.TSVal
	span := last.LastAt.Sub(first.LastAt)
	if n < enoughTicks || span <= 0 {
		return k
	}
	unit := span / time.Duration(n)
	for _, t := range ticks {
		if unit > t*3/4 && unit < t*5/4 {
			k.tick = t
		}
	}
	if k.tick == 0 {
		return k
	}
	k.val, k.at = first.TSVal, first.LastAt
	for i := range c.Events {
		e := &c.Events[i]
		if e.From == s && genuine(e) && e.Marks&MarkTimestamp != 0 && k.lag(e) < 0 {
			k.val, k.at = e.TSVal, e.LastAt
		}
	}
	return k
}

// lag returns how much longer than the fastest segment the event's last one was on
// its way to the tap.
func (k *clock) lag(e *Event) time.Duration {
	return e.LastAt.Sub(k.at) - time.Duration(int32(e.TSVal-k.val))*k.tick
}

// sentAt returns when an own event would have passed the tap, had nothing delayed it.
// Small delays are what paths do, and within what a clock of that unit can tell.
func (in *inference) sentAt(i int) wire.Time {
	e := &in.c.Events[i]
	if e.Marks.Has(MarkOldTime) {
		// At the latest when what overtook it was sent.
		for j := range in.c.Events[:i] {
			if v := &in.c.Events[j]; v.From == in.me && genuine(v) && v.Count == 1 && olderStamp(e, v) {
				return min(v.At, e.At)
			}
		}
	}
	k := in.ownClock()
	if k.tick == 0 || e.Marks&MarkTimestamp == 0 {
		return e.At
	}
	if lag := k.lag(e); lag > 2*k.tick+max(in.end().Response/2, 2*time.Millisecond) {
		return e.At.Add(-lag)
	}
	return e.At
}

// ownClock reads the endpoint's clock when it is first asked for.
func (in *inference) ownClock() *clock {
	if !in.hasClock {
		in.clock, in.hasClock = in.c.readClock(in.me), true
	}
	return &in.clock
}

// named returns the peer's event that event i names by echoing its time stamp; -1 if
// there is none, or if several carry the same.
func (in *inference) named(i int) int {
	ev := in.c.Events
	e := &ev[i]
	if e.Marks&MarkTimestamp == 0 {
		return -1
	}
	found := -1
	for j := range ev[:i] {
		if v := &ev[j]; v.From != in.me && v.Marks&MarkTimestamp != 0 && v.TSVal == e.TSEcr && genuine(v) {
			if found >= 0 {
				return -1
			}
			found = j
		}
	}
	if found >= 0 && ev[found].Count != 1 {
		return -1
	}
	return found
}

// echoed returns the place in list, of the peer's events, of the one that event i names;
// -1 if it names none of them. What is echoed was received in sequence: a copy that
// brings nothing new is not remembered (RFC 7323 section 4.3, R1 to R3).
func (in *inference) echoed(i int, list []int) int {
	if v := in.named(i); v >= 0 {
		return slices.Index(list, v)
	}
	return -1
}

// knownBehind returns the peer's event, with a number behind end, that event i names as
// received in sequence: all below end had arrived before it. -1 if it names none.
func (in *inference) knownBehind(i int, end wire.Seq) int {
	if v := in.named(i); v >= 0 && plain(&in.c.Events[v]) && !in.c.Events[v].Seq.Before(end) {
		return v
	}
	return -1
}
