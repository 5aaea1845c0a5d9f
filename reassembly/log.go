package reassembly

import (
	"time"

	"github.com/tcplife/tcplife/wire"
)

// The log's bounds. Handshake and close of a healthy connection are a dozen
// events; what goes beyond is repetition, and the first few of a kind prove as
// much as all of them.
const (
	// logPlain: when it is longer, the log is packed from time to time.
	logPlain = 64
	// logMax: if that makes no room, beyond this every segment joins the last event like
	// it, or is only counted.
	logMax = 192
	// closeSingles: after the first FIN this many segments are kept apart, because
	// their order tells who knew what; then data is folded again (a half-closed
	// connection may carry gigabytes).
	closeSingles = 24
)

// foldable are the marks with which a segment is still plain.
const foldable = MarkTimestamp

// note enters a segment into the log.
func (t *Tracker) note(r *record, s *wire.Segment, from Side, kind Kind, m Marks) {
	r.see(from, kind, m)
	f, p := &r.half[from], &r.half[from.Peer()]
	if s.Len > 0 && p.has(hasFIN) && s.Flags&wire.ACK != 0 && !s.Ack.Before(p.fin) && m&(MarkRepeat|MarkKeepalive|MarkOther|MarkOutside) == 0 {
		r.seen |= SeenHalfClose
	}
	if s.Flags&wire.URG != 0 {
		r.seen |= SeenUrgent
	}
	if kind == KindFIN && p.has(hasFIN) && m&(MarkOther|MarkOutside) == 0 {
		switch {
		case s.Ack.Before(p.fin):
			r.seen |= SeenCrossedFIN
		case !r.finAckNoted(from):
			r.seen |= SeenPromptFIN
		}
	}
	closing := f.has(hasFIN) || p.has(hasFIN)
	if closing && r.sinceFIN < 1<<15 {
		r.sinceFIN++
	}
	data := kind == KindACK || kind == KindData
	first := f.packets == uint64(f.dups)+1 || !r.talkedBefore(from)
	plain := data && !first && m&^foldable == 0 && s.Flags&wire.URG == 0 && (!closing || r.sinceFIN > closeSingles)
	if plain && p.has(hasFIN) && s.Flags&wire.ACK != 0 && !s.Ack.Before(p.fin) && !r.finAckNoted(from) {
		plain = false
	}
	e := eventOf(s, from, kind, m)
	if plain && r.run[from] != 0 {
		t.watchFrom(r)
		t.hold(r, &e)
		return
	}
	t.spill(r)
	if !plain {
		r.run = [2]eventRef{}
	}
	if r.full() {
		t.pack(r)
	}
	if r.logLen >= logMax {
		t.watchFrom(r)
		if old := t.lastLike(r, e.runKey()); old != nil {
			old.join(&e)
		} else {
			r.dropped++
		}
		return
	}
	ref := t.append(r)
	*t.event(ref) = e
	if plain {
		r.run[from] = ref
	}
	if !data || first {
		r.noteTalked(from, kind)
	}
	if kind == KindRST {
		r.listen()
	}
	if p.has(hasFIN) && s.Flags&wire.ACK != 0 && !s.Ack.Before(p.fin) {
		r.noteFinAck(from)
	}
}

func eventOf(s *wire.Segment, from Side, kind Kind, m Marks) Event {
	return Event{
		At: s.At, Frame: s.Frame, LastAt: s.At, LastFrame: s.Frame, Count: 1, Len: s.Len, Seq: s.Seq, End: s.End(), Ack: s.Ack,
		TSVal: s.Options.TSVal, TSEcr: s.Options.TSEcr, Flags: s.Flags, Window: s.Window, IPID: s.IPID, TTL: s.TTL, From: from, Kind: kind, Marks: m, Traits: s.Traits,
	}
}

// full reports whether the log has no more room for what could be told in a run.
func (r *record) full() bool { return r.logLen > max(r.packAt, logPlain) }

// append makes room for one more event.
func (t *Tracker) append(r *record) eventRef {
	place := r.logLen % blockEvents
	if place == 0 {
		b := t.blocks.get()
		t.blocks.at(b).next = 0
		if r.logTail == 0 {
			r.logHead = b
		} else {
			t.blocks.at(r.logTail).next = b
		}
		r.logTail = b
	}
	r.logLen++
	return refOf(r.logTail, place)
}

// lastLike finds the newest event in the log's last block that an event with the key may
// join.
func (t *Tracker) lastLike(r *record, key runKey) (found *Event) {
	b := t.blocks.at(r.logTail)
	for i := range b.events {
		if e := &b.events[i]; uint32(i) <= (r.logLen-1)%blockEvents && e.runKey() == key {
			found = e
		}
	}
	return found
}

func (r *record) see(from Side, kind Kind, m Marks) {
	switch kind {
	case KindSYN:
		if r.seen&SeenSYN != 0 && m&MarkRepeat != 0 {
			r.seen |= SeenRepeatSYN
		}
		if from == Server {
			r.seen |= SeenBothSYN
		}
		r.seen |= SeenSYN
	case KindSYNACK:
		if m&MarkRepeat != 0 {
			r.seen |= SeenRepeatSYNACK
		}
		r.seen |= SeenSYNACK
	case KindData:
		r.seen |= SeenData
		if m&MarkRepeat != 0 {
			r.seen |= SeenRepeatData
		}
	case KindFIN:
		if m&MarkRepeat != 0 {
			r.seen |= SeenRepeatFIN
		}
		r.seen |= SeenFINClient << from
	case KindRST:
		r.seen |= SeenRSTClient << from
	case KindOdd:
		r.seen |= SeenOdd
	}
	if m&^foldable == 0 {
		return // nearly all have none
	}
	for i := range seenByMark {
		if b := &seenByMark[i]; m&b.mark != 0 {
			r.seen |= b.seen
		}
	}
}

// seenByMark says which marks of a segment are remembered of its connection.
var seenByMark = [...]struct {
	mark Marks
	seen Seen
}{
	{MarkKeepalive, SeenKeepalive}, {MarkZeroWindow, SeenZeroWindow}, {MarkDSACK, SeenDSACK}, {MarkOther, SeenOther}, {MarkAckUnseen, SeenAckUnseen}, {MarkOutside, SeenOutside},
	{MarkShrink, SeenShrink}, {MarkOldTime, SeenOldTime}, {MarkHops, SeenHops}, {MarkEcho, SeenEcho},
}

// doubleWindow bounds the time between a frame and its double: a mirror that
// copies a port's ingress and egress, or two merged captures, write both within
// a switch's delay. sureWindow holds where the frame carries a number that a
// repetition would change (IPv4 identification, time stamp).
const (
	doubleWindow = 2 * time.Millisecond
	sureWindow   = 100 * time.Millisecond
)

// doubled reports whether the capture holds this frame a second time (field guide
// K05): the same in all that a retransmission would change.
func (r *record) doubled(s *wire.Segment, from Side) bool {
	mark, window := markOf(s, from)
	// RSTs that answer several segments are alike to the bit. Where nothing else of the
	// connection was doubled, they are not doubles; elsewhere each has one.
	alike := s.Flags&(wire.RST|wire.ACK) == wire.RST && window == doubleWindow
	if !alike || r.seen&SeenDuplicate != 0 {
		if e := r.recall(mark, window, s.At); e != nil {
			if alike {
				*e = recentFrame{}
			}
			return true
		}
	}
	// What is not compared takes its place all the same: how far back the others are
	// remembered must not depend on whether there were doubles.
	r.recent[r.recentN%recentMax] = recentFrame{mark, s.At}
	r.recentN++
	return false
}

// markOf returns what a frame is compared by, and the time within which an equal one is
// its double.
func markOf(s *wire.Segment, from Side) (mark uint64, window time.Duration) {
	ts := s.Options.Set.Has(wire.OptTimestamps)
	mark = mix(uint64(s.Seq)<<32|uint64(s.Ack), 0x9e3779b97f4a7c15)
	mark = mix(mark^(uint64(s.IPID)<<48|uint64(s.Flags)<<32|uint64(s.Window)<<16|uint64(from)), 0xbf58476d1ce4e5b9)
	mark = mix(mark^uint64(s.Len), 0x94d049bb133111eb)
	if ts {
		mark = mix(mark^(uint64(s.Options.TSVal)<<32|uint64(s.Options.TSEcr)), 0xd6e8feb86659fd93)
	}
	if s.IPID != 0 || ts && s.Span() > 0 {
		// A pure ACK is left out: several with one time stamp are ordinary.
		return mark, sureWindow
	}
	return mark, doubleWindow
}

// recall returns the frame of this mark that passed within the window, nil if there is
// none among the last.
func (r *record) recall(mark uint64, window time.Duration, at wire.Time) *recentFrame {
	for i := range r.recent {
		if e := &r.recent[i]; e.mark == mark && e.at != 0 {
			if d := at.Sub(e.at); d <= window && d >= -window {
				return e
			}
		}
	}
	return nil
}

// took reports whether the connection has taken this frame's double for its own. Where a
// frame belongs must not depend on what its double has changed.
func (r *record) took(s *wire.Segment, from Side) bool {
	mark, window := markOf(s, from)
	return r.recall(mark, window, s.At) != nil
}

// reconsider decides, without hindsight, whether and when the connection may
// leave.
func (t *Tracker) reconsider(rec uint32, s *wire.Segment, from Side, kind Kind, m Marks) {
	r := t.recs.at(rec)
	f, p := &r.half[from], &r.half[from.Peer()]
	if m&(MarkOutside|MarkOther) == 0 {
		switch {
		case kind == KindRST:
			r.state = stateReset
			r.aliveAfterRST = 0
		case r.state == stateReset:
			// Both sides go on: the RST was not theirs, or was refused.
			r.aliveAfterRST |= 1 << from
			if r.aliveAfterRST == 3 {
				r.state = stateOpen
			}
		case f.has(finAcked) && p.has(finAcked):
			r.state = stateClosed
		case r.state == stateAttempt && f.has(talked):
			r.state = stateOpen
		}
		if kind == KindSYNACK && r.older != 0 {
			t.superseded(rec, s.Frame, s.At)
		}
	}
	if r.replaced {
		return
	}
	pr := &t.patience
	switch r.state {
	case stateAttempt:
		r.deadline = r.last.Add(pr.SYNSpan + pr.TimeWait)
	case stateClosed, stateReset:
		r.deadline = r.last.Add(pr.TimeWait + pr.TimerSlack)
	default:
		r.deadline = 0
		return
	}
	t.wheel.file(rec, r.deadline, &r.turn)
}
