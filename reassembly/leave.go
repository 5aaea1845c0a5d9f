package reassembly

import (
	"math"

	"github.com/tcplife/tcplife/wire"
)

// How connections leave: when their time has come, and when the input has ended.

// Advance says that the capture's time has reached now: connections whose time
// has come leave.
func (t *Tracker) Advance(now wire.Time) {
	if !t.started {
		t.started, t.fed, t.clock = true, now, now
		t.wheel.start(now)
	}
	t.clock = max(t.clock, now)
	t.wheel.advance(t, t.clock)
	t.tombs.expire(t.clock)
}

// Flush hands out every connection that is left, in the order of their opening:
// the input has ended. The tracker is of no use afterwards.
func (t *Tracker) Flush() { t.FlushBefore(math.MaxUint64) }

// FlushBefore is Flush for the connections whose stamp is less than limit; called
// with growing limits it hands out all of them bit by bit.
func (t *Tracker) FlushBefore(limit uint64) {
	if t.rest == nil {
		t.clock = max(t.clock, t.fed)
		t.rest = t.inOrder()
	}
	for awaited := 0; len(t.rest) > 0; awaited-- {
		if awaited == 0 {
			awaited = min(len(t.rest), awaitMost)
			t.await(t.rest[:awaited], false, 0)
		}
		rec := t.rest[0]
		if t.stampOf(rec) >= limit {
			return
		}
		if rec&shortBits != 0 {
			t.emitBrief(rec)
			t.rest = t.rest[1:]
			continue
		}
		r := t.recs.at(rec)
		why := EndedInput
		if r.replaced {
			why = EndedReused
		}
		t.emit(rec, why, t.clock)
		t.rest = t.rest[1:]
	}
	if limit == math.MaxUint64 {
		t.tombs.flush()
	}
}

// settle lets a connection leave, and with it the older incarnations that wait
// for it.
func (t *Tracker) settle(rec uint32, why Ended, now wire.Time) {
	r := t.recs.at(rec)
	if r.older != 0 {
		t.settle(r.older, t.ended(r.older, now), now)
	}
	if r.newer != 0 {
		t.recs.at(r.newer).older = 0
	} else {
		t.unfile(rec, r.hash)
	}
	t.untag(rec)
	t.emit(rec, why, now)
	t.bury(r, now)
	t.release(rec)
}

// bury leaves a tomb of a connection.
func (t *Tracker) bury(r *record, now wire.Time) {
	if r.deadline != 0 {
		now = min(now, r.deadline)
	}
	var ends [2]tombEnd
	var known [2]bool
	for side := range r.half {
		h := &r.half[side]
		from := h.first
		if h.has(hasISN) {
			from = h.isn
		}
		ends[side], known[side] = tombEnd{from, h.next}, h.has(hasNext)
	}
	life := t.neighbour(r)
	t.tombs.bury(&r.key, r.hash, &life, r.roleBy, ends, known, now)
}

// turn is called by the wheel when a slot's turn has come in which a record was filed,
// if it still is.
func (t *Tracker) turn(rec uint32, slot uint64, now wire.Time) {
	if rec&shortBits != 0 {
		t.turnBrief(rec, slot, now)
		return
	}
	r := t.recs.at(rec)
	if !r.turn.in(slot) {
		return
	}
	r.turn = 0
	switch {
	case r.deadline == 0:
	case r.deadline > now:
		t.wheel.file(rec, r.deadline, &r.turn)
	default:
		t.settle(rec, t.ended(rec, now), now)
	}
}

// ended says why a life of a tuple leaves: by itself if its own time had come, and that of no newer
// one before, which it would have left with. When the clock is told, the time of several may have
// come; which of them the wheel finds first depends on where their records lie.
func (t *Tracker) ended(rec uint32, now wire.Time) Ended {
	r := t.recs.at(rec)
	if r.replaced || r.deadline == 0 || r.deadline > now {
		return EndedReused
	}
	for i := r.newer; i != 0; {
		n := t.recs.at(i)
		if n.deadline != 0 && n.deadline < r.deadline {
			return EndedReused
		}
		i = n.newer
	}
	return EndedSettled
}

// settleOverdue lets the older lives of a tuple go whose time is over, as Advance
// would have.
func (t *Tracker) settleOverdue(rec uint32, now wire.Time) {
	for rec != 0 {
		r := t.recs.at(rec)
		older := r.older
		if r.deadline != 0 && r.deadline < now {
			t.settle(rec, t.ended(rec, now), now)
			return // and all older ones with it
		}
		rec = older
	}
}

// release frees a record and all it holds.
func (t *Tracker) release(rec uint32) {
	r := t.recs.at(rec)
	for b := r.logHead; b != 0; {
		next := t.blocks.at(b).next
		t.blocks.put(b)
		b = next
	}
	for i := r.icmp; i != 0; {
		next := t.icmps.at(i).next
		t.icmps.put(i)
		i = next
	}
	if r.held != 0 {
		t.helds.put(r.held)
	}
	if r.origin != 0 {
		t.origins.put(r.origin)
	}
	for i := range r.half {
		if e := r.half[i].ext; e != 0 {
			t.holeOctets -= t.extents.at(e).missing.octets()
			t.extents.at(e).missing.many = nil
			t.extents.put(e)
		}
	}
	r.turn, r.changed, r.released = 0, false, true // the wheel may still name it, and so may changed
	t.recs.put(rec)
}
