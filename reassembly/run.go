package reassembly

import "github.com/tcplife/tcplife/wire"

// Nearly all segments of a long connection go on where their side was, and are folded into
// its run: takeRun takes those, in one go. What account, note and reconsider find out about
// such a one is little, and always the same; ordinary_test.go holds the two side by side.

// Of such a segment's flags.
const runFlags = wire.ACK | wire.PSH | wire.ECE | wire.CWR

// takeRun takes a segment if there is nothing to say of it but that its side's run has one
// more, and reports whether that is so; if not it has done nothing.
func (t *Tracker) takeRun(r *record, s *wire.Segment, from Side) bool {
	f, p := &r.half[from&1], &r.half[(from^1)&1]
	silence := s.At.Sub(r.last)
	// A connection that is open, both sides of which are known.
	if r.state != stateOpen || r.replaced || r.previous.known || r.run[from&1] == 0 || r.held == 0 || !r.talkedBefore(from) ||
		f.flags&(hasNext|talked|hasLast|hasFIN) != hasNext|talked|hasLast || p.flags&(hasNext|hasAcked|hasFIN) != hasNext|hasAcked ||
		t.cfg.full || t.cfg.Observed != nil || t.cfg.Watch != nil {
		return false
	}
	// A segment that goes on, acknowledges what was sent, and is like those before it.
	news := uint32(s.Ack - p.acked)
	if s.Flags&^runFlags != 0 || s.Flags&wire.ACK == 0 || s.Seq != f.next || news > acceptSpan || uint32(p.next-s.Ack) > acceptSpan ||
		silence >= idleMin || s.Window == 0 || s.TTL != f.hops || s.TTL == 0 || s.Carrier != r.carrier {
		return false
	}
	marks := Marks(0)
	switch s.Options.Set {
	case wire.OptTimestamps:
		if !f.has(hasTime) || int32(s.Options.TSVal-f.tsMax) < 0 {
			return false
		}
		marks = MarkTimestamp
	case 0:
	default:
		return false
	}
	edge, sized := f.edge, f.has(hasSYN) && p.has(hasSYN)
	if sized {
		window := uint32(s.Window)
		if f.optSet.Has(wire.OptWindowScale) && p.optSet.Has(wire.OptWindowScale) {
			window <<= min(f.wscale, 14)
		}
		edge = s.Ack.Add(window)
	}
	kind := KindData
	if s.Len == 0 {
		// One that says nothing new may be one of many that answer each other; and no window
		// is taken back.
		if kind = KindACK; s.Ack == f.lastAck || sized && f.has(hasOffered) && f.offered.Sub(edge) > 1<<min(f.wscale, 14) {
			return false
		}
	}
	mark, _ := markOf(s, from)
	for i := range r.recent {
		if r.recent[i].mark == mark {
			return false // perhaps a double
		}
	}

	r.recent[r.recentN%recentMax] = recentFrame{mark, s.At}
	r.recentN++
	f.packets++
	f.bytes += uint64(s.Len)
	f.unique += uint64(s.Len)
	r.last, r.lastFrame = max(r.last, s.At), s.Frame
	if r.idle.For != 0 {
		r.idle.answered(from, kind)
	}
	if s.Len > 0 {
		r.idle.said(from)
		r.seen |= SeenData
	}
	f.next = f.next.Add(s.Len)
	p.acked = s.Ack
	if sized {
		if !f.has(hasEdge) || edge.After(f.edge) {
			f.edge = edge
			f.flags |= hasEdge
		}
		if s.Len == 0 {
			f.offered = edge
			f.flags |= hasOffered
		}
	}
	clockResponse(f, p, s, marks)
	if marks != 0 {
		f.tsMax = s.Options.TSVal
	}
	f.echoes, p.echoes, f.lastAck = 0, 0, s.Ack

	h := t.helds.at(r.held)
	e := &h.events[from&1]
	if e.Count > 0 {
		t.event(r.run[from&1]).join(e)
	}
	h.newest = from
	e.At, e.Frame, e.LastAt, e.LastFrame, e.Count, e.Len = s.At, s.Frame, s.At, s.Frame, 1, s.Len
	e.Seq, e.End, e.Ack, e.TSVal, e.TSEcr = s.Seq, f.next, s.Ack, s.Options.TSVal, s.Options.TSEcr
	e.Flags, e.Window, e.IPID, e.TTL, e.From, e.Kind, e.Marks, e.Traits = s.Flags, s.Window, s.IPID, s.TTL, from, kind, marks, s.Traits
	return true
}

// runAt is takeRun for a segment whose connection may have the full record with that number:
// nothing else can have become of it if it still is of that tuple, and has only one life.
func (t *Tracker) runAt(id uint32, s *wire.Segment) bool {
	r := t.recs.at(id)
	key, swapped := keyOf(&s.Tuple)
	if r.released || !r.key.is(&key) || r.older|r.newer != 0 || r.deadline != 0 || !t.takeRun(r, s, r.side(swapped)) {
		return false
	}
	t.fed = max(t.fed, s.At)
	if t.cfg.Follow {
		t.touch(id)
	}
	return true
}
