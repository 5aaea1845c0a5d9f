package reassembly

import "github.com/tcplife/tcplife/wire"

// wheel holds the records that have a deadline, in slots of one second. It is
// lazy: a segment that moves a deadline only writes the record; the slot's turn
// finds the record too early and files it again.
type wheel struct {
	slots [wheelSlots]uint32 // first record of each slot's list
	now   int64              // the second up to which slots were emptied
}

// wheelSlots reaches further than the longest ordinary deadline (an attempt's);
// what lies beyond is filed in the last slot and looked at again.
const wheelSlots = 256

func second(t wire.Time) int64 {
	s := int64(t) / 1e9
	if t < 0 {
		s--
	}
	return s
}

func (w *wheel) start(t wire.Time) { w.now = second(t) }

// file puts a record into the slot of its deadline, unless it is in one already.
func (w *wheel) file(t *Tracker, rec uint32) {
	r := t.recs.at(rec)
	if r.wheelSlot >= 0 {
		return
	}
	// A slot's turn comes when its second is over.
	at := second(r.deadline) + 1
	at = max(at, w.now+1)
	at = min(at, w.now+wheelSlots-1)
	i := int32(uint64(at) % wheelSlots)
	r.wheelSlot, r.wheelPrev, r.wheelNext = i, 0, w.slots[i]
	if r.wheelNext != 0 {
		t.recs.at(r.wheelNext).wheelPrev = rec
	}
	w.slots[i] = rec
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
	for steps := 0; w.now < to; steps++ {
		if steps == wheelSlots {
			// Every slot had its turn: nothing is left that could be due.
			w.now = to
			break
		}
		w.now++
		i := uint64(w.now) % wheelSlots
		rec := w.slots[i]
		w.slots[i] = 0
		for rec != 0 {
			r := t.recs.at(rec)
			next := r.wheelNext
			if next != 0 {
				t.recs.at(next).wheelPrev = 0
			}
			r.wheelSlot, r.wheelPrev, r.wheelNext = -1, 0, 0
			switch {
			case r.deadline == 0:
			case r.deadline <= now:
				// Settling takes older incarnations along, and one of them may be
				// next in this list.
				w.slots[i] = next
				if r.replaced {
					t.settle(rec, EndedReused, now)
				} else {
					t.settle(rec, EndedSettled, now)
				}
				next = w.slots[i]
				w.slots[i] = 0
			default:
				w.file(t, rec)
			}
			rec = next
		}
	}
}
