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

// run is what events must share to become one: a run of probes says that there were
// probes, one of probes and data nothing.
type runKey struct {
	from  Side
	kind  Kind
	marks Marks
}

func (e *Event) runKey() runKey { return runKey{e.From, e.Kind, e.Marks &^ foldable} }

// pack makes runs of the data phase's events in the middle of a log, and reports
// whether that made room.
func (t *Tracker) pack(r *record) bool {
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
		return false
	}
	t.rewrite(r, kept)
	r.run = [2]eventRef{}
	r.packAt = max(logPlain, r.logLen+packTail)
	return true
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
