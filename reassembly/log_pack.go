package reassembly

import "github.com/tcplife/tcplife/wire"

// What kills a long connection stands at its end, so a log that fills up during the
// data phase keeps its first and last entries, and makes runs of those in between.
const (
	// packHead: the handshake, and the first exchange.
	packHead = 16
	// packTail: the last repetitions of a segment, with what came before them: a dozen
	// is more than the retries of most systems.
	packTail = 24
	// packGain: a pack that frees fewer entries is not worth its time.
	packGain = 8
)

// runKey is what events must share to become one: a run of probes says that there were
// probes, one of probes and data nothing.
type runKey struct {
	from  Side
	kind  Kind
	marks Marks
}

func (e *Event) runKey() runKey { return runKey{e.From, e.Kind, e.Marks &^ foldable} }

// hold keeps a plain segment apart, and folds the one before it of its side into the
// side's run. So the last segment of each side is known by itself, whatever ends the
// connection.
func (t *Tracker) hold(r *record, e *Event) {
	if r.held == 0 {
		r.held = t.helds.get()
		*t.helds.at(r.held) = heldEvents{}
	}
	h := t.helds.at(r.held)
	if old := &h.events[e.From]; old.Count > 0 {
		t.event(r.run[e.From]).join(old)
	}
	h.events[e.From], h.newest = *e, e.From
}

// spill enters the segments that were kept apart into the log, before something comes
// behind them that has an entry of its own.
func (t *Tracker) spill(r *record) {
	if r.held == 0 {
		return
	}
	h := t.helds.at(r.held)
	for _, side := range [...]Side{h.newest.Peer(), h.newest} {
		e := &h.events[side]
		switch {
		case e.Count == 0:
			continue
		case r.logLen < logMax:
			r.run[side] = t.append(r)
			*t.event(r.run[side]) = *e
		default:
			t.event(r.run[side]).join(e)
		}
		e.Count = 0
	}
}

// pack makes runs of the data phase's events in the middle of a log.
func (t *Tracker) pack(r *record) {
	t.spill(r)
	t.watchFrom(r)
	list := t.events(t.packed[:0], r)
	t.packed = list
	kept := list[:packHead]
	begin := packHead // what stands before is not changed any more
	for i := packHead; i < len(list); i++ {
		e := &list[i]
		if i < len(list)-packTail && (e.Kind == KindACK || e.Kind == KindData) && e.Marks&(MarkOther|MarkOutside) == 0 && e.Flags&wire.URG == 0 {
			if run := runOf(kept[begin:], e.runKey()); run != nil {
				run.join(e)
				continue
			}
		} else {
			begin = len(kept) + 1 // order against this one tells something
		}
		kept = append(kept, *e)
	}
	if len(list)-len(kept) < packGain {
		r.packAt = r.logLen + packTail
		return
	}
	t.rewrite(r, kept)
	r.run = [2]eventRef{}
	r.packAt = max(logPlain, r.logLen+packTail)
}

// runOf finds the event of a list that another one with that key may join.
func runOf(list []Event, key runKey) *Event {
	for i := range list {
		if list[i].runKey() == key {
			return &list[i]
		}
	}
	return nil
}

// join adds a later event of the same run.
func (e *Event) join(v *Event) {
	e.LastAt, e.LastFrame = v.LastAt, v.LastFrame
	e.Count += v.Count
	e.Len += v.Len
	e.End = later(e.End, v.End)
	if v.Flags&wire.ACK != 0 {
		e.Ack = v.Ack
	}
	e.TSVal, e.TSEcr, e.Window, e.IPID, e.TTL = v.TSVal, v.TSEcr, v.Window, v.IPID, v.TTL
	if v.Kind == KindData {
		e.Kind = KindData
	}
	e.Flags |= v.Flags
	e.Marks |= v.Marks
}

// rewrite replaces a record's log by a shorter one.
func (t *Tracker) rewrite(r *record, events []Event) {
	r.logLen = uint32(len(events))
	b := r.logHead
	for {
		blk := t.blocks.at(b)
		events = events[copy(blk.events[:], events):]
		if len(events) == 0 {
			break
		}
		b = blk.next
	}
	r.logTail = b
	rest := t.blocks.at(b).next
	t.blocks.at(b).next = 0
	for rest != 0 {
		next := t.blocks.at(rest).next
		t.blocks.put(rest)
		rest = next
	}
}
