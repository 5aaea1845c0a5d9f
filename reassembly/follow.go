package reassembly

import "github.com/tcplife/tcplife/wire"

// A run that follows an interface wants to know how connections stand before they
// leave. A look at one infers its states as if the input ended now, and leaves it as it
// is: the log stays, so the connection settles later as if nobody had looked.

// touch notes that a connection has changed since it was last looked at. The list may
// name places that were given to others since; the mark in the record says what is true.
func (t *Tracker) touch(id uint32) {
	if id&briefBit != 0 {
		b := t.briefs.at(id &^ briefBit)
		if b.has(briefChanged) {
			return
		}
		b.is |= briefChanged
	} else if id&loneBit != 0 {
		l := t.lones.at(id &^ loneBit)
		if l.is&briefChanged != 0 {
			return
		}
		l.is |= briefChanged
	} else {
		r := t.recs.at(id)
		if r.changed {
			return
		}
		r.changed = true
	}
	t.changed = append(t.changed, id)
}

// touchLives touches all lives of a tuple that are held, from the newest on.
func (t *Tracker) touchLives(rec uint32) {
	for ; rec != 0; rec = t.recs.at(rec).older {
		t.touch(rec)
	}
}

// Changed calls do with connections that have changed since they were last handed to
// it, as they would be handed out if the input ended now, in the order in which they
// changed: at most so many, and it returns how many are left. c is valid until do
// returns. The tracker must have been told to keep them (Config.Follow).
func (t *Tracker) Changed(most int, do func(c *Conn, stamp uint64)) (left int) {
	n := 0
	for ; n < len(t.changed) && most > 0; n++ {
		id := t.changed[n]
		if id&briefBit != 0 {
			if b := t.briefs.at(id &^ briefBit); b.n == 0 || !b.has(briefChanged) {
				continue
			} else {
				b.is &^= briefChanged
			}
		} else if id&loneBit != 0 {
			l := t.lones.at(id &^ loneBit)
			if l.is&briefChanged == 0 {
				continue
			}
			l.is &^= briefChanged
		} else if r := t.recs.at(id); !r.changed {
			continue
		} else {
			r.changed = false
		}
		most--
		t.peek(id, do)
	}
	t.changed = t.changed[:copy(t.changed, t.changed[n:])]
	return len(t.changed)
}

// Peek calls do with one connection that is held, as Changed would, and reports whether
// it is. tuple runs either way.
func (t *Tracker) Peek(tuple *wire.Tuple, stamp uint64, do func(c *Conn, stamp uint64)) bool {
	key, _ := keyOf(tuple)
	for id := t.find(&key, t.cfg.Seed.hash(&key)); id != 0; id = t.recs.at(id).older {
		if t.stampOf(id) == stamp {
			t.peek(id, do)
			return true
		}
		if id&shortBits != 0 {
			break
		}
	}
	return false
}

// peek describes a connection as if the input ended now.
func (t *Tracker) peek(id uint32, do func(c *Conn, stamp uint64)) {
	now := max(t.clock, t.fed)
	if id&shortBits == 0 {
		t.peekRecord(id, now, do)
		return
	}
	b := t.briefOf(id)
	if t.ordinary(b, EndedInput, now) {
		do(&t.plain, b.stamp)
		return
	}
	// The watcher is not shown what it will see once more.
	watch := t.cfg.Watch
	t.cfg.Watch = nil
	key := b.wholeKey()
	rec := t.full(b, t.cfg.Seed.hash(&key))
	t.cfg.Watch = watch
	t.peekRecord(rec, now, do)
	t.release(rec)
}

func (t *Tracker) peekRecord(rec uint32, now wire.Time, do func(c *Conn, stamp uint64)) {
	r := t.recs.at(rec)
	seen := r.seen
	why := EndedInput
	if r.replaced {
		why = EndedReused
	}
	t.conclude(r, why, now)
	r.seen = seen // what shows only in the whole is not for good yet
	do(&t.conn, r.stamp)
}

// reserve makes memory for what ordinary traffic has on its way at once. That differs from
// minute to minute, and from tracker to tracker: a run that lasts for months meets the worst of
// it some time, and shall not creep until then.
func (t *Tracker) reserve() {
	if !t.cfg.Follow {
		return
	}
	const segments, filed = 16 << 10, 4096 * len(wheelChunk{}.ids)
	t.entries.reserve(segments / entryBlock)
	t.wheel.lists.reserve(filed / len(wheelChunk{}.ids))
}
