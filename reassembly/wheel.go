package reassembly

import "github.com/tcplife/tcplife/wire"

// wheel holds the records that have a deadline, in slots of one second. It is
// lazy: a segment that moves a deadline back only writes the record; the slot's turn
// finds the record too early and files it again.
type wheel struct {
	slots [wheelSlots + 1]uint32 // first record of each slot's list; the last is of what is due
	now   int64                  // the second up to which slots were emptied
}

// wheelSlots reaches further than the longest ordinary deadline (an attempt's);
// what lies beyond is filed in the last slot and looked at again.
const wheelSlots = 256

const dueSlot = wheelSlots

func second(t wire.Time) int64 {
	s := int64(t) / 1e9
	if t < 0 {
		s--
	}
	return s
}

func (w *wheel) start(t wire.Time) { w.now = second(t) }

// file puts a record into the slot of its deadline, unless it is in one whose turn
// comes no later.
func (w *wheel) file(t *Tracker, rec uint32) {
	r := t.recs.at(rec)
	// A slot's turn comes when its second is over.
	at := second(r.deadline) + 1
	at = max(at, w.now+1)
	at = min(at, w.now+wheelSlots-1)
	if r.wheelSlot >= 0 {
		if r.wheelAt <= at {
			return
		}
		w.remove(t, rec)
	}
	w.push(t, rec, int32(uint64(at)%wheelSlots))
	r.wheelAt = at
}

func (w *wheel) push(t *Tracker, rec uint32, slot int32) {
	r := t.recs.at(rec)
	r.wheelSlot, r.wheelPrev, r.wheelNext = slot, 0, w.slots[slot]
	if r.wheelNext != 0 {
		t.recs.at(r.wheelNext).wheelPrev = rec
	}
	w.slots[slot] = rec
}

func (w *wheel) remove(t *Tracker, rec uint32) {
	r := t.recs.at(rec)
	if r.wheelSlot < 0 {
		return
	}
	if r.wheelPrev != 0 {
		t.recs.at(r.wheelPrev).wheelNext = r.wheelNext
	} else {
		w.slots[r.wheelSlot] = r.wheelNext
	}
	if r.wheelNext != 0 {
		t.recs.at(r.wheelNext).wheelPrev = r.wheelPrev
	}
	r.wheelSlot, r.wheelPrev, r.wheelNext = -1, 0, 0
}

// advance settles what is due at now.
func (w *wheel) advance(t *Tracker, now wire.Time) {
	to := second(now)
	if to <= w.now {
		return
	}
	// After wheelSlots steps every slot had its turn. What is filed again meanwhile
	// is filed as of the end of the way.
	from := max(w.now, to-wheelSlots)
	w.now = to
	for at := from + 1; at <= to; at++ {
		i := uint64(at) % wheelSlots
		next := w.slots[i]
		w.slots[i] = 0
		for next != 0 {
			rec := next
			r := t.recs.at(rec)
			next = r.wheelNext
			r.wheelSlot = -1
			switch {
			case r.deadline == 0:
			case r.deadline <= now:
				w.push(t, rec, dueSlot)
			default:
				w.file(t, rec)
			}
		}
	}
	// Settling takes a connection out of here, and its older incarnations with it.
	for w.slots[dueSlot] != 0 {
		rec := w.slots[dueSlot]
		if t.recs.at(rec).replaced {
			t.settle(rec, EndedReused, now)
		} else {
			t.settle(rec, EndedSettled, now)
		}
	}
}
