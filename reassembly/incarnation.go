package reassembly

import "github.com/tcplife/tcplife/wire"

// incarnationsMax bounds how many lives of one tuple are held at once. Two are
// ordinary (a new connection while old duplicates are about); more means that
// somebody plays with SYNs.
const incarnationsMax = 4

// incarnationOf finds which life of the tuple a segment belongs to, and begins a
// new one if it is a SYN that none of them sent. rec is the newest.
func (t *Tracker) incarnationOf(rec uint32, s *wire.Segment, swapped bool) uint32 {
	r := t.recs.at(rec)
	if s.Flags&(wire.SYN|wire.ACK|wire.RST) == wire.SYN {
		for i := rec; i != 0; i = t.recs.at(i).older {
			if o := t.recs.at(i); o.sentSYN(s, swapped) && (i == rec && !t.freed(o, o.side(swapped).Peer()) || !o.over() || o.took(s, o.side(swapped))) {
				return i
			}
		}
		return t.reopen(rec, s, swapped)
	}
	if r.older == 0 {
		return rec
	}
	if r.plausible(s, r.side(swapped)) && !t.goesOn(r, s, swapped) {
		return rec
	}
	for i := r.older; i != 0; i = t.recs.at(i).older {
		if o := t.recs.at(i); o.owns(s, o.side(swapped)) {
			return i
		}
	}
	// It fits none: it goes to the nearest of those that still live.
	best, gap := rec, r.distance(s, swapped)
	for i := r.older; i != 0; i = t.recs.at(i).older {
		o := t.recs.at(i)
		if g := o.distance(s, swapped); g < gap && o.state != stateReset {
			best, gap = i, g
		}
	}
	return best
}

// over reports whether an earlier life has ended. No host repeats the SYN of such a
// one: its number again is another attempt, by a sender that always takes the same
// one, or an old duplicate, for which the receiver makes a connection all the same
// (RFC 9293 figure 8).
func (r *record) over() bool {
	return r.replaced || r.state == stateClosed || r.state == stateReset
}

// freed reports whether a connection that came about has ended and a side keeps nothing
// of it, so that the first SYN once more, an old duplicate, opens another one there:
// in TIME_WAIT the side would only acknowledge it.
func (t *Tracker) freed(r *record, s Side) bool {
	if !r.half[Client].has(talked) || r.seen&SeenSYNACK == 0 {
		return false
	}
	return r.state == stateReset || r.state == stateClosed && t.closedFirst(r) != s
}

// closedFirst returns the side whose FIN came first.
func (t *Tracker) closedFirst(r *record) Side {
	for b, n := r.logHead, r.logLen; b != 0; b = t.blocks.at(b).next {
		blk := t.blocks.at(b)
		for i := range min(n, blockEvents) {
			if e := &blk.events[i]; e.Kind == KindFIN && genuine(e) {
				return e.From
			}
		}
		n -= min(n, blockEvents)
	}
	return Client
}

// goesOn reports whether a segment continues an older life of the tuple to the octet
// while the newest is a SYN that nobody answered: a forged one, that is, or an old
// duplicate, which the old connection outlives.
func (t *Tracker) goesOn(r *record, s *wire.Segment, swapped bool) bool {
	if r.state != stateAttempt || r.half[r.side(swapped).Peer()].has(hasNext) || s.Flags&wire.ACK == 0 {
		return false
	}
	for i := r.older; i != 0; i = t.recs.at(i).older {
		if o := t.recs.at(i); o.owns(s, o.side(swapped)) {
			return true
		}
	}
	return false
}

// sentSYN reports whether a SYN is one that this connection's side sent: with the
// number remembered for it, or implied by what was seen of it. With nothing
// remembered, as in a simultaneous open, it is.
func (r *record) sentSYN(s *wire.Segment, swapped bool) bool {
	from := r.side(swapped)
	f, p := &r.half[from], &r.half[from.Peer()]
	switch {
	case f.has(hasSYN):
		return s.Seq == f.isn
	case p.has(hasSYN) && !p.has(talked) && f.bytes == 0:
		// The opening is under way and the other side's SYN comes now: simultaneous
		// open, or a handshake split into ACK and SYN.
		return true
	case f.has(hasISN):
		return s.Seq == f.isn
	case f.has(hasNext):
		return s.Seq == f.first-1
	case f.has(hasAcked):
		return s.Seq == f.acked-1
	}
	return p.has(hasNext)
}

// youngSlack is how far beyond the highest number seen a segment may lie and
// still count as a young connection's next: one full initial window and more,
// while captures rarely miss that much at a stretch.
const youngSlack = 1 << 16

// plausible reports whether a segment may be the connection's next as far as its
// numbers go. It is asked only while another incarnation of the tuple is about.
func (r *record) plausible(s *wire.Segment, from Side) bool {
	f, p := &r.half[from], &r.half[from.Peer()]
	if f.has(hasNext) {
		low := f.first
		if f.has(hasISN) {
			low = f.isn
		}
		// What was sent so far bounds what may have been missed.
		slack := min(youngSlack, 4096+uint32(f.next-low))
		if s.Seq.Before(low) || s.Seq.After(f.next.Add(slack)) {
			return false
		}
	}
	if s.Flags&wire.ACK == 0 {
		return true
	}
	if !p.has(hasNext) {
		return true
	}
	low := p.first
	if p.has(hasISN) {
		low = p.isn.Add(1)
	}
	slack := min(youngSlack, uint32(p.next-low))
	return !s.Ack.Before(low) && !s.Ack.After(p.next.Add(slack))
}

// owns reports whether a segment's numbers lie inside what the connection has
// used already, or continue it exactly.
func (r *record) owns(s *wire.Segment, from Side) bool {
	f, p := &r.half[from], &r.half[from.Peer()]
	low := func(h *half) wire.Seq {
		if h.has(hasISN) {
			return h.isn
		}
		return h.first
	}
	seq, ack := f.has(hasNext), s.Flags&wire.ACK != 0 && p.has(hasNext)
	return (seq || ack) && (!seq || inside(s.Seq, low(f), f.next)) && (!ack || inside(s.Ack, low(p), p.next))
}

func (r *record) distance(s *wire.Segment, swapped bool) uint32 {
	f := &r.half[r.side(swapped)]
	if !f.has(hasNext) {
		return 1 << 31
	}
	d := s.Seq.Sub(f.next)
	if d < 0 {
		return uint32(-d)
	}
	return uint32(d)
}

// reopen begins a new incarnation of a tuple whose last one is still held.
func (t *Tracker) reopen(rec uint32, s *wire.Segment, swapped bool) uint32 {
	key := t.recs.at(rec).key
	hash := t.recs.at(rec).hash // the segment's own may be that of the other way
	n, oldest := 1, rec
	for ; t.recs.at(oldest).older != 0; n++ {
		oldest = t.recs.at(oldest).older
	}
	if n >= incarnationsMax {
		t.settle(oldest, EndedReused, s.At)
		// Settling an older one leaves the table as it is.
	}
	t.unfile(rec, hash)
	fresh := t.open(s, &key, hash, swapped)
	r, f := t.recs.at(rec), t.recs.at(fresh)
	f.older, r.newer = rec, fresh
	f.previous, r.next = t.neighbour(r), t.neighbour(f)
	r.listen()
	t.sibling(rec, fresh, s, swapped)
	return fresh
}

// superseded marks the older incarnations when a new one is answered: they are
// history, and leave when their last duplicates must have died.
func (t *Tracker) superseded(rec uint32, answer wire.FrameID, now wire.Time) {
	for i := t.recs.at(rec).older; i != 0; i = t.recs.at(i).older {
		o := t.recs.at(i)
		if !o.replaced {
			o.replaced = true
			o.next.answer, o.next.answerAt = answer, now
			o.deadline = now.Add(t.patience.TimeWait)
			t.wheel.file(i, o.deadline, &o.turn)
		}
	}
}

// otherWay finds the connection that a segment answers when its two directions are
// encapsulated differently: a tap that tags by port or direction, labels and
// tunnel identifiers that each receiver chooses for itself. Only the direction that
// the connection has not been seen to send in, with numbers that answer the other,
// is taken for its own. Of several connections of the tuple the one without
// encapsulation is asked, then the newest with one: enough for taps, and what is
// found depends on the tuple's own history alone.
func (t *Tracker) otherWay(s *wire.Segment, key *tupleKey, tuple uint64, swapped bool) uint32 {
	own, bare := key.path(), key.bare()
	if own != 0 {
		if rec := t.whole(t.find(&bare, tuple)); rec != 0 && t.recs.at(rec).answeredBy(s, own, swapped) {
			return rec
		}
	}
	if rec := t.whole(t.findTagged(&bare, tuple)); rec != 0 && t.recs.at(rec).answeredBy(s, own, swapped) {
		return rec
	}
	return 0
}

// answeredBy reports whether a segment under another encapsulation is the other
// direction of the connection, and remembers that.
func (r *record) answeredBy(s *wire.Segment, encap wire.EncapID, swapped bool) bool {
	if r.key.path() == encap {
		return false
	}
	from := r.side(swapped)
	f, p := &r.half[from], &r.half[from.Peer()]
	switch {
	case f.packets > 0:
		return r.hasOtherEncap && r.otherEncap == encap && r.otherFrom == from
	case s.Flags&wire.ACK != 0 && p.has(hasNext) && s.Ack.After(p.first) && !s.Ack.After(p.next),
		s.Flags&wire.RST != 0 && p.has(hasNext):
		r.otherEncap, r.otherFrom, r.hasOtherEncap = encap, from, true
		return true
	}
	return false
}

// tag files a record with an encapsulation under its tuple alone, in place of an
// older one.
func (t *Tracker) tag(rec uint32, key *tupleKey, hash uint64) {
	if key.path() == 0 {
		return
	}
	bare, tuple := key.bare(), tupleHash(key, hash)
	if held, at := t.tagAt(&bare, tuple); held != 0 {
		t.tagged.at(at).rec = rec
		return
	}
	t.tagged.insert(tuple, rec)
}

// untag takes a record out of that index, if it is the one filed there.
func (t *Tracker) untag(rec uint32) {
	if at := t.taggedAt(rec); at >= 0 {
		t.tagged.remove(at)
	}
}

// retag puts a record in the place of another one of the same connection.
func (t *Tracker) retag(old, rec uint32) {
	if at := t.taggedAt(old); at >= 0 {
		t.tagged.at(at).rec = rec
	}
}

// taggedAt returns where a record is filed under its tuple alone, -1 if it is not.
func (t *Tracker) taggedAt(rec uint32) place {
	key := t.keyAt(rec)
	if key.path() == 0 {
		return -1
	}
	bare := key.bare()
	if held, at := t.tagAt(&bare, t.cfg.Seed.hash(&bare)); held == rec {
		return at
	}
	return -1
}

// findTagged returns the record that is filed under a tuple alone, 0 if there is none.
func (t *Tracker) findTagged(bare *tupleKey, tuple uint64) uint32 {
	if t.tagged.count == 0 {
		return 0
	}
	rec, _ := t.tagAt(bare, tuple)
	return rec
}

func (t *Tracker) tagAt(bare *tupleKey, tuple uint64) (rec uint32, at place) {
	rec, at = t.tagged.first(tuple)
	for rec != 0 {
		if k := t.keyAt(rec); k.bare() == *bare {
			break
		}
		rec, at = t.tagged.after(tuple, at)
	}
	return rec, at
}

// tupleHash is the hash that a tuple has without its encapsulation.
func tupleHash(key *tupleKey, hash uint64) uint64 { return hash - slotHash(0, key.path()) }
