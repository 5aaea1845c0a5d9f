package reassembly

import (
	"time"

	"github.com/tcplife/tcplife/wire"
)

// What a brief record holds may also end in another way than the ordinary ones: by a RST, or
// by FINs that cross, or with one FIN alone. What account and note would find out is known at
// the same glance; only the states are not. Those of a RST, and of a FIN that came again behind
// the close, follow from the course (infer_course.go); for others the log is read as any other is.
// No full record is needed for that. A RST mostly ends a connection, and what follows it would
// have to be thought about: so that unfolds the record. What the ends repeat, when nothing has
// answered or behind the close, may need a full record to tell, but only for as long as that
// takes.

// holdEnd holds in a brief record what can come behind the segments that it counts: the RST
// that ends its connection, or what its ends repeat. It reports whether it could.
func (t *Tracker) holdEnd(id uint32, s *wire.Segment, swapped bool) bool {
	b := t.briefs.at(id &^ briefBit)
	from := b.side(swapped)
	o := &s.Options
	frames := uint64(s.Frame - b.first)
	if s.Len != 0 || s.At < b.last || frames>>32 != 0 || s.Carrier != b.carrier || s.Traits&^briefTraits != 0 || o.Set&wire.OptTimestamps == 0 && o.TSVal|o.TSEcr != 0 {
		return false
	}
	switch {
	case b.resetBy(s, from):
		// Without both FINs that says that it was reset.
		b.is |= briefOpen | briefClosed
	case b.repeatedBy(s, from) && b.n>>briefRepeats < briefMaxRepeats:
		b.n += 1 << briefRepeats
	default:
		return false
	}
	// It gets a block of its own.
	if b.tail.older != 0 {
		t.stow(b)
	}
	since := uint64(s.At - b.last)
	b.tail.list = [entryBlock]entry{
		{
			since: uint32(since), frames: uint16(s.Seq), behind: uint16(s.Seq >> 16), tsVal: uint16(o.TSVal), tsEcr: uint16(o.TSEcr),
			window: s.Window, ipid: s.IPID, len: uint16(s.TTL), is: howOf(s, from), more: uint8(s.Flags),
		},
		{
			since: uint32(since >> 32), frames: uint16(s.Ack), behind: uint16(s.Ack >> 16), tsVal: uint16(o.TSVal >> 16), tsEcr: uint16(o.TSEcr >> 16),
			window: o.MSS, ipid: uint16(o.Set),
		},
		{since: uint32(frames)},
	}
	b.tail.older = entryBlock
	b.last, b.lastFrame = s.At, s.Frame
	t.wheel.file(id, b.deadline(&t.patience), &b.turn)
	return true
}

// resetBy reports whether a segment is a RST that ends the connection: its number is the next of
// its side, or it acknowledges the SYN that nothing else has answered.
func (b *brief) resetBy(s *wire.Segment, from Side) bool {
	if s.Flags&^wire.ACK != wire.RST || s.Options.Set&^wire.OptTimestamps != 0 || b.n >= 1<<briefRepeats || b.has(briefClosed) || b.has(briefFIN|briefFIN<<1) {
		return false
	}
	if from == Server && !b.has(briefAnswered) {
		return s.Flags&wire.ACK != 0 && s.Ack == b.next[Client]
	}
	return s.Seq == b.next[from]
}

// repeatedBy reports whether a segment is of the sort that ends repeat, which changes nothing but
// when the connection leaves: the SYN that nothing has answered, or something without octets
// behind the close. What may be a doubled frame does not even do that.
func (b *brief) repeatedBy(s *wire.Segment, from Side) bool {
	o := &s.Options
	switch {
	case s.At.Sub(b.last) <= sureWindow:
		return false
	case b.has(briefClosed):
		return !b.wasReset() && s.Flags&^briefPlain == 0 && s.Flags&wire.ACK != 0 && o.Set&^wire.OptTimestamps == 0
	}
	return !b.has(briefAnswered) && from == Client && s.Flags&^briefWithSYN == wire.SYN && s.Seq == b.isn && s.Ack == 0 &&
		o.Set&^briefSYN == 0 && o.TSEcr == 0 && o.WindowScale < 16
}

// wasReset reports whether a brief record ends with a RST; b.n does not count it.
func (b *brief) wasReset() bool { return b.has(briefClosed) && !b.has(briefFIN|briefFIN<<1) }

// briefEnd is what comes behind the segments that a brief record counts.
type briefEnd struct {
	segment wire.Segment // without its tuple
	from    Side
	since   time.Duration // the segment before
}

// endingOf returns the RST that a brief record ends with. It is valid until the next call.
func (t *Tracker) endingOf(b *brief) *briefEnd {
	x := &t.retold.ending
	x.read(b, &b.tail)
	x.segment.At = b.last
	return x
}

// repeats calls do with what a brief record holds that was repeated, in order. It is valid until do
// returns.
func (t *Tracker) repeats(b *brief, do func(x *briefEnd)) {
	blocks, x := t.blocksOf(b), &t.retold.ending
	blocks = blocks[len(blocks)-int(b.n>>briefRepeats):] // each has one of its own
	at := b.last
	for _, blk := range blocks[1:] {
		x.read(b, blk)
		at = at.Add(-x.since)
	}
	for i, blk := range blocks {
		x.read(b, blk)
		if i > 0 {
			at = at.Add(x.since)
		}
		x.segment.At = at
		do(x)
	}
}

// again takes what was repeated behind the close, and reports whether what it notes of that is
// all that there is to say: a FIN once more, or an ACK, that say what they said before.
func (c *course) again(x *briefEnd) bool {
	s, f, p := &x.segment, &c.ends[x.from], &c.ends[x.from.Peer()]
	seq := f.next
	if s.Flags&wire.FIN != 0 {
		seq--
		c.seen |= SeenRepeatFIN
		f.repeats++
	}
	if s.Seq != seq || s.Ack != p.next || s.Window == 0 || s.TTL != c.b.ttl[x.from] {
		return false
	}
	if s.Options.Set != 0 {
		if f.hasTime && int32(s.Options.TSVal-f.tsMax) < 0 {
			return false
		}
		f.tsMax, f.hasTime = s.Options.TSVal, true
	}
	if s.Flags&wire.FIN == 0 && !f.offers(s.Ack, s.Window) {
		return false
	}
	if x.since >= c.still {
		c.silence(x.from, moment{s.At, s.Frame}, x.since)
	}
	f.packets++
	c.repeated = true
	return true
}

// read reads what has a block of its own, but for its time.
func (x *briefEnd) read(b *brief, blk *entries) {
	e := &blk.list
	x.from, x.since = Side(e[0].is&howServer), time.Duration(uint64(e[1].since)<<32|uint64(e[0].since))
	x.segment = wire.Segment{
		Frame: b.first + wire.FrameID(e[2].since), Seq: wire.Seq(e[0].frames) | wire.Seq(e[0].behind)<<16, Ack: wire.Seq(e[1].frames) | wire.Seq(e[1].behind)<<16,
		Flags: wire.Flags(e[0].more), Window: e[0].window, IPID: e[0].ipid, TTL: uint8(e[0].len), Carrier: b.carrier,
		Options: wire.Options{
			Set: wire.OptionSet(e[1].ipid), MSS: e[1].window, TSVal: uint32(e[0].tsVal) | uint32(e[1].tsVal)<<16, TSEcr: uint32(e[0].tsEcr) | uint32(e[1].tsEcr)<<16,
		},
	}
	setHow(&x.segment, e[0].is)
}

// end takes the RST.
func (c *course) end(x *briefEnd) {
	s, f := &x.segment, &c.ends[x.from]
	c.odd = true
	f.packets++
	c.seen |= SeenRSTClient << x.from
	if x.since >= idleMin {
		c.silences.broken(x.from, s.At, x.since, c.outstanding(x.from) || x.from == Client && c.b.n == 1)
	}
	if x.since >= quietMin {
		c.quiet = Quiet{s.At, s.Frame, x.since}
	}
}

// odd describes in t.plain, which summarize has filled, a connection whose course is none of
// the ordinary ones.
func (t *Tracker) odd(c *course, profiles [2]*Profile) {
	conn := &t.plain
	conn.Handshake, conn.Close = Handshake{}, Close{}
	if c.b.n == 2 {
		conn.Seen |= SeenHalfOpen
	}
	fins := 0
	for i := range conn.Ends {
		if e := &conn.Ends[i]; e.HasFIN {
			fins++
			if !e.HasAcked || e.Acked.Before(e.FIN) {
				conn.Seen |= SeenOpenFIN
			}
		}
	}
	if fins == 1 {
		conn.Seen |= SeenOneFIN
	}
	t.retell(c)
	if t.follows(c, profiles) {
		judgeEnd(conn)
		return
	}
	conn.Handshake, conn.Close = Handshake{}, Close{}
	for i := range conn.Ends {
		conn.Ends[i].Timeline = conn.Ends[i].Timeline[:0]
	}
	t.infer.run(conn, profiles)
	judge(conn)
}

// follows tells the states of a course that is not ordinary, and reports whether it could: see
// infer_course.go. What it leaves in the timelines otherwise is of no use.
func (t *Tracker) follows(c *course, profiles [2]*Profile) bool {
	conn := &t.plain
	reset := c.b.wasReset()
	if reset && c.b.n == 1 {
		return t.refused(c)
	}
	if c.talk.frame == 0 || !reset && (c.odd || c.stage != len(c.close)) {
		return false
	}
	t.opening(c)
	conn.Close = Close{}
	if reset {
		return t.infer.broken(conn, profiles)
	}
	return t.infer.closedAgain(conn, c, profiles)
}

// refused is follows for a SYN that met a RST and nothing else.
func (t *Tracker) refused(c *course) bool {
	conn := &t.plain
	rst := &conn.Events[1]
	if rst.From != Server || rst.Flags&wire.ACK == 0 {
		return false
	}
	client := &conn.Ends[Client]
	client.Timeline = append(client.Timeline,
		Transition{State: SynSent, At: c.b.start, Frame: c.b.first, Evidence: Sent, by: sndSYN},
		Transition{State: Closed, At: rst.At, Frame: rst.Frame, Evidence: Passed, by: rcvRST})
	conn.Handshake, conn.Close = Handshake{Outcome: HandshakeRefused, SYNs: 1}, Close{}
	return true
}
