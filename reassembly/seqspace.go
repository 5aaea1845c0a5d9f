package reassembly

import "github.com/tcplife/tcplife/wire"

// acceptSpan is the farthest that a segment may lie from what is known of its
// sender and still belong to its sequence space: the largest window (RFC 7323
// section 2.3: 2^30). What lies farther is a stray or a forgery.
const acceptSpan = 1 << 30

// finSlack is how far beyond the peer's window a FIN may lie and still count: the
// capture may have missed a window's worth of data and its update. Data farther
// out only shows a larger gap; a FIN would end the sequence space.
const finSlack = 1 << 20

// account enters a segment into both sides' sequence spaces and says what is
// remarkable about it.
func (t *Tracker) account(r *record, s *wire.Segment, from Side, kind Kind) (m Marks) {
	f, p := &r.half[from], &r.half[from.Peer()]
	if s.Options.Set.Has(wire.OptTimestamps) {
		m |= MarkTimestamp
	}
	if r.previous.known && !r.plausible(s, from) && t.tombs.isOld(s, &r.key, r.hash, r.clientIsLow != (from == Client)) {
		return m | MarkOther
	}
	if s.DSACK() {
		m |= MarkDSACK
	}
	if kind == KindRST {
		return m | r.judgeRST(s, f, p)
	}
	if f.hops != s.TTL {
		if f.hops != 0 {
			m |= MarkHops
		}
		f.hops = s.TTL
	}
	if s.Window == 0 && s.Flags&wire.SYN == 0 {
		m |= MarkZeroWindow
	}
	if s.Flags&wire.SYN != 0 {
		m |= f.takeSYN(s, p)
		r.seen |= f.synSeen(s, p)
	} else {
		f.flags |= talked
	}
	if s.Flags&wire.ACK != 0 && f.impossibleAck(p, s) && !f.insists(s) {
		m |= MarkOutside
	}
	if m&MarkOutside == 0 {
		m |= t.takeSeq(r, f, p, s, kind)
	}
	if s.Flags&wire.ACK != 0 && m&MarkOutside == 0 {
		m |= t.takeAck(r, f, p, s, kind)
	}
	if m&MarkOutside == 0 {
		clockResponse(f, p, s, m)
		m |= f.takeTime(s)
		if f.echo(p, s, kind, m) {
			m |= MarkEcho
		}
	}
	return m
}

// takeTime enters a segment's time stamp and says whether it is older than one that
// its sender had used before.
func (f *half) takeTime(s *wire.Segment) Marks {
	switch {
	case !s.Options.Set.Has(wire.OptTimestamps):
	case !f.has(hasTime), int32(s.Options.TSVal-f.tsMax) >= 0, s.Flags&wire.SYN != 0:
		f.tsMax = s.Options.TSVal
		f.flags |= hasTime
	default:
		return MarkOldTime
	}
	return 0
}

// echoesMin is how many ACKs without news each side must send in a row for the two
// to be answering each other: window updates and the duplicate ACKs of a loss come
// from one side, and the other sends data then.
const echoesMin = 4

// echo counts the ACKs that neither carry nor acknowledge anything new, and reports
// whether both sides send them now. Blocks of SACK are news.
func (f *half) echo(p *half, s *wire.Segment, kind Kind, m Marks) bool {
	if kind != KindACK || m&(MarkKeepalive|MarkZeroWindow|MarkAckUnseen) != 0 || s.Options.Set.Has(wire.OptSACK) || !f.has(hasLast) || s.Ack != f.lastAck {
		f.echoes, p.echoes = 0, 0
		f.lastAck = s.Ack
		f.flags |= hasLast
		return false
	}
	if f.echoes < 255 {
		f.echoes++
	}
	return f.echoes >= echoesMin && p.echoes >= echoesMin
}

// judgeRST says whether a RST's number could have been accepted: it must lie
// between what the receiver has acknowledged and the end of its window (RFC 9293
// section 3.10.7.4). In SYN-SENT the ACK decides, and it is 0 anyway.
func (r *record) judgeRST(s *wire.Segment, f, p *half) Marks {
	if !f.has(hasNext) {
		if p.has(hasISN|hasNext) && s.Flags&wire.ACK != 0 && !inside(s.Ack, p.isn, p.next) {
			return MarkOutside
		}
		return 0
	}
	low := f.first
	if f.has(hasISN) {
		low = f.isn
	}
	if f.has(hasAcked) && f.acked.After(low) {
		low = f.acked
	}
	high := f.next
	if p.has(hasEdge) && p.edge.After(high) {
		high = p.edge
	}
	if inside(s.Seq, low, high) {
		return 0
	}
	return MarkOutside
}

func (f *half) takeSYN(s *wire.Segment, p *half) Marks {
	if s.Flags&wire.ACK != 0 {
		if p.has(hasISN|hasNext) && (!s.Ack.After(p.isn) || s.Ack.After(p.next)) {
			return MarkOutside // it answers another SYN (RFC 9293 section 3.10.7.3)
		}
		f.flags |= answeredSYN
	}
	if f.has(hasISN) && s.Seq != f.isn {
		if f.has(hasAcked) && f.acked.After(f.isn) {
			return MarkOutside
		}
		// The earlier one was never acknowledged: a server without memory of it (SYN
		// cookies, a restart) chose again.
		f.flags &^= hasNext | hasAcked
	}
	f.isn = s.Seq
	o := &s.Options
	f.flags |= hasISN | hasSYN
	f.optSet, f.mss, f.wscale, f.fastOpenLen, f.mptcp, f.userTimeout = o.Set, o.MSS, o.WindowScale, o.FastOpenLen, o.MPTCPSubtype, o.UserTimeout
	return 0
}

// offered are the options that a SYN offers and whose absence from the SYN-ACK costs
// something. Time stamps are not among them: half of all servers do without.
const offered = wire.OptWindowScale | wire.OptSACKPerm | wire.OptMPTCP

// synSeen says what rules look for on a SYN.
func (f *half) synSeen(s *wire.Segment, p *half) (seen Seen) {
	set := s.Options.Set
	if s.Flags&wire.ACK == 0 && (s.Len > 0 || set&(wire.OptFastOpen|wire.OptCC|wire.OptCCNew|wire.OptCCEcho) != 0) {
		seen |= SeenSYNData
	}
	if set.Has(wire.OptUserTimeout) {
		seen |= SeenUserTimeout
	}
	if s.Flags&wire.ACK != 0 && p.has(hasSYN) && p.optSet&offered&^set != 0 {
		seen |= SeenLessOptions
	}
	return seen
}

// takeSeq enters the numbers that a segment uses.
func (t *Tracker) takeSeq(r *record, f, p *half, s *wire.Segment, kind Kind) (m Marks) {
	span, end := s.Span(), s.End()
	fresh := s.Len
	if !f.has(hasNext) {
		t.begin(f)
		f.flags |= hasNext
		f.first, f.next = s.Seq, end
		if f.has(hasAcked) && f.acked.After(s.Seq) && f.acked.Sub(s.Seq) < acceptSpan {
			f.next = later(f.next, f.acked)
		}
	} else {
		switch d := s.Seq.Sub(f.next); {
		case d == 0:
			f.next = end
		case d > 0:
			if d > acceptSpan || s.Flags&wire.FIN != 0 && p.has(hasEdge) && s.Seq.After(p.edge.Add(finSlack)) {
				return MarkOutside
			}
			m |= MarkGap
			t.lacks(f, s.Seq)
			f.next = end
			r.seen |= SeenGap
		case d < -acceptSpan:
			return MarkOutside
		case d == -1 && s.Len <= 1 && s.Flags&(wire.SYN|wire.FIN) == 0 && !f.has(hasFIN) && f.has(talked):
			m |= MarkKeepalive
			fresh = 0
		case span > 0:
			known := earlier(end, f.next)
			var filled uint32
			if f.ext != 0 {
				filled = t.fills(f, s.Seq, known)
			}
			payloadEnd := end
			if s.Flags&wire.FIN != 0 {
				payloadEnd--
			}
			fresh = filled + uint32(max(0, payloadEnd.Sub(f.next)))
			if again := uint32(known - s.Seq); filled < again {
				m |= MarkRepeat
				f.rexmits++
				t.extent(f).repeated.Add(s.Seq, known)
			}
			f.next = later(f.next, end)
			fresh = min(fresh, s.Len)
		}
	}
	f.unique += uint64(fresh)
	if kind == KindFIN && !f.has(hasFIN) {
		f.flags |= hasFIN
		f.fin = end
	}
	return m
}

// impossibleAck reports whether a segment acknowledges what the peer cannot have
// sent: the receiver ignores all of it (RFC 9293 section 3.10.7.4), so it is looked
// at before anything is entered.
func (f *half) impossibleAck(p *half, s *wire.Segment) bool {
	if p.has(hasAcked) && s.Ack.After(p.acked) && uint32(s.Ack-p.acked) > acceptSpan {
		return true
	}
	if !p.has(hasNext) || !s.Ack.After(p.next) {
		return false
	}
	d := uint32(s.Ack - p.next)
	return d > acceptSpan || f.has(hasEdge) && s.Ack.After(f.edge) && d > youngSlack
}

// insists reports whether a side acknowledges once more what seemed impossible, or a
// little more: then the capture lacks much of what the other side sent.
func (f *half) insists(s *wire.Segment) bool {
	again := f.has(hasStray) && s.Ack.Sub(f.stray) >= 0 && s.Ack.Sub(f.stray) < finSlack
	f.stray = s.Ack
	f.flags |= hasStray
	return again
}

// takeAck enters what a segment acknowledges into the peer's space.
func (t *Tracker) takeAck(r *record, f, p *half, s *wire.Segment, kind Kind) (m Marks) {
	switch {
	case !p.has(hasNext):
		// The peer's segments are not in the capture, or not yet: what is
		// acknowledged must have been sent.
		if !p.has(hasISN) && !p.has(hasAcked) && (kind == KindSYNACK || f.has(hasSYN)) {
			p.isn = s.Ack - 1
			p.flags |= hasISN
		}
		if p.has(hasAcked) && s.Ack.After(p.acked) || !p.has(hasAcked) && !p.has(hasISN) {
			m |= MarkAckUnseen
		}
	case f.answersProbe(p, s, kind):
		p.next = s.Ack
	case s.Ack.After(p.next):
		m |= MarkAckUnseen
		t.lacks(p, s.Ack)
		p.next = s.Ack
	}
	if !p.has(hasAcked) || s.Ack.After(p.acked) {
		p.acked = s.Ack
		p.flags |= hasAcked
	}
	if p.has(hasFIN) && !p.acked.Before(p.fin) {
		p.flags |= finAcked
	}
	if f.has(hasSYN) && p.has(hasSYN) {
		window := uint32(s.Window)
		if s.Flags&wire.SYN == 0 && f.optSet.Has(wire.OptWindowScale) && p.optSet.Has(wire.OptWindowScale) {
			window <<= min(f.wscale, 14)
		}
		edge := s.Ack.Add(window)
		if !f.has(hasEdge) || edge.After(f.edge) {
			f.edge = edge
			f.flags |= hasEdge
		}
		if s.Flags&wire.SYN == 0 && s.Ack == p.acked && s.Seq == f.next {
			// A segment that a newer one overtook has an older number. Up to one unit of the
			// scale is rounding (RFC 7323 section 2.4); a window of 0 has a mark of its own.
			if f.has(hasOffered) && s.Window != 0 && f.offered.Sub(edge) > 1<<min(f.wscale, 14) {
				m |= MarkShrink
			}
			f.offered = edge
			f.flags |= hasOffered
		}
	}
	return m
}

// answersProbe reports whether an ACK shows that the only thing the capture holds of the
// peer, an ACK without data, was a keepalive probe: its number is one too low, and it is
// answered, which no other ACK is (RFC 9293 section 3.8.4). The one octet between the two
// is no FIN that the capture lacks.
func (f *half) answersProbe(p *half, s *wire.Segment, kind Kind) bool {
	return kind == KindACK && !p.has(hasISN) && !f.has(hasISN) && !p.has(hasFIN) && !p.has(hasAcked) && p.first == p.next && s.Ack == p.next+1
}

// clockResponse takes a sample of a side's response time: from the passing of a
// segment towards it to the passing of the answer that acknowledges exactly that.
// Repeated segments give none (Karn; RFC 6298 section 3).
func clockResponse(f, p *half, s *wire.Segment, m Marks) {
	if p.has(hasPend) && s.Flags&wire.ACK != 0 && !s.Ack.Before(p.pendEnd) {
		if d := s.At.Sub(p.pendAt); s.Ack == p.pendEnd && d > 0 && (f.response == 0 || d < f.response) {
			f.response = d
		}
		p.flags &^= hasPend
	}
	switch {
	case m&MarkRepeat != 0:
		f.flags &^= hasPend
	case s.Span() > 0 && m&MarkKeepalive == 0 && s.End() == f.next:
		// The newest segment is the one to be answered; an older one still waiting
		// would measure a delayed ACK.
		f.pendAt, f.pendEnd = s.At, s.End()
		f.flags |= hasPend
	}
}

// extent returns a side's ranges, making them when they are first needed.
func (t *Tracker) extent(h *half) *extent {
	if h.ext == 0 {
		h.ext = t.extents.get()
		*t.extents.at(h.ext) = extent{}
	}
	return t.extents.at(h.ext)
}

// lacks notes that the capture lacks what a side sent from the end of what is known of it
// up to a number.
func (t *Tracker) lacks(h *half, to wire.Seq) {
	x := &t.extent(h).missing
	t.holeOctets -= x.octets()
	x.add(h.next, to)
	x.bound(to, h.acked, h.has(hasAcked))
	t.holeOctets += x.octets()
}

// begin lets go of the holes of a sequence space that another one replaces (see takeSYN).
func (t *Tracker) begin(h *half) {
	if h.ext != 0 {
		x := &t.extents.at(h.ext).missing
		t.holeOctets -= x.octets()
		*x = holes{}
	}
}

// fills notes that a segment brings what the capture lacked, and returns how much.
func (t *Tracker) fills(h *half, from, to wire.Seq) (filled uint32) {
	x := &t.extents.at(h.ext).missing
	t.holeOctets -= x.octets()
	filled = x.remove(from, to)
	x.bound(h.next, h.acked, h.has(hasAcked))
	t.holeOctets += x.octets()
	return filled
}

func later(a, b wire.Seq) wire.Seq {
	if b.After(a) {
		return b
	}
	return a
}

func earlier(a, b wire.Seq) wire.Seq {
	if b.Before(a) {
		return b
	}
	return a
}
