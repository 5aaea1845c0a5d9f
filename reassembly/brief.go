package reassembly

import (
	"math/bits"

	"github.com/tcplife/tcplife/wire"
)

// Most connections are short, and nothing happens on them that a tracker would have to
// think about when it passes. A brief record holds the segments of such a one as they
// came, a few words each, and thinks about them when the connection leaves: all at
// once, and mostly by one look (see ordinary.go). As soon as a segment comes that it
// cannot hold, or that does not simply go on where its side was, the segments are fed
// to a full record, as if that had been there from the beginning (see unfold).
//
// So a brief record says nothing that the segments do not say; what it keeps beside
// them is what tells whether the next segment goes on, and when the connection may
// leave.
//
// Every segment needs most of it: both lines of the cache (see Look).
type brief struct {
	key  tupleKey
	last wire.Time
	// next is, by side, the number that its next segment must have.
	next [2]wire.Seq
	tail uint32 // the last block of entries
	n    uint8  // segments, the SYN included, and repeats (see briefRepeats); 0: the place is free
	is   briefFlags
	ttl  [2]uint8

	start   wire.Time
	stamp   uint64
	first   wire.FrameID
	head    uint32 // the first block of entries
	turn    turn
	carrier uint32
	// The SYN, which has no entry.
	isn          wire.Seq
	window, ipid uint16
	mss, options uint16
	flags, how   uint8
	fill         uint8     // places taken in the last block of entries
	lastFrame    uint32    // since the first one
	stamps       [2]uint32 // by side, the time stamp of its SYN
	// That makes 128: no record lies in more than two lines of the cache.
}

type briefFlags uint8

const (
	briefClientIsLow briefFlags = 1 << iota // the client is the key's lower end
	briefAnswered                           // the SYN-ACK came
	briefOpen                               // and something behind it
	briefFIN                                // the client's FIN came; the server's is the next bit
	_
	briefFINAcked // the client's FIN was acknowledged; the server's is the next bit
	_
	briefChanged // see touch
	briefClosed  = briefFINAcked | briefFINAcked<<1
)

// The bits of brief.how. The upper four are the window scale of a SYN.
const (
	howServer = 1 << iota // the server sent it
	howStamps             // with timestamps
	_                     // with TraitDF
	_                     // with TraitSnapped
	howScale  = 4         // shift
	howTraits = 2         // shift: DF and snapped are those of wire.Traits
)

const (
	// briefBit marks the numbers of brief records.
	briefBit = 1 << 31
	// briefMax is how many segments a brief record holds; a connection with more is no
	// short one, and in a full record most of its segments take no room.
	briefMax = 25
	// briefRepeats is above which bits of brief.n there is how many segments it holds that its
	// ends repeat, briefMaxRepeats at most (see holdEnd). A record that has some takes no others.
	briefRepeats    = 5
	briefMaxRepeats = 1<<(8-briefRepeats) - 1
	// briefFar is how far behind the peer's numbers an acknowledgment may be: more than
	// briefMax segments hold.
	briefFar = briefMax << 16
)

// The count of segments leaves room for that of repeats.
var _ = [1]int{}[briefMax>>briefRepeats]

// A segment's traits are moved to where they belong, not looked at one by one.
var _ = [1]int{}[briefTraits<<howTraits^(isHow-howServer-howStamps)]

// What a brief record can hold of a segment.
const (
	briefTraits  = wire.TraitDF | wire.TraitSnapped
	briefSYN     = wire.OptMSS | wire.OptWindowScale | wire.OptSACKPerm | wire.OptTimestamps
	briefWithSYN = wire.ECE | wire.CWR
	briefPlain   = wire.ACK | wire.PSH | wire.FIN | wire.ECE | wire.CWR
)

// side returns who sent a segment whose tuple was, or was not, swapped by keyOf.
func (b *brief) side(swapped bool) Side {
	if b.has(briefClientIsLow) != swapped {
		return Client
	}
	return Server
}

// counted is how many segments there are, those apart that were repeated behind them.
func (b *brief) counted() uint8 { return b.n & (1<<briefRepeats - 1) }

func (b *brief) has(f briefFlags) bool { return b.is&f == f }

// deadline is when the connection leaves if nothing more comes; 0 is never. It is what
// reconsider would have said.
func (b *brief) deadline(p *Profile) wire.Time {
	switch {
	case b.has(briefClosed):
		return b.last.Add(p.TimeWait + p.TimerSlack)
	case b.has(briefOpen):
		return 0
	}
	return b.last.Add(p.SYNSpan + p.TimeWait)
}

// overdue reports whether the connection should have left before a time.
func (b *brief) overdue(now wire.Time, p *Profile) bool {
	if b.is&(briefOpen|briefClosed) == briefOpen {
		return false // most are, when they are asked
	}
	d := b.deadline(p)
	return d != 0 && d < now
}

// isBrief reports whether a connection that begins with s can be held in a brief
// record.
func (t *Tracker) isBrief(s *wire.Segment, key *tupleKey) bool {
	o := &s.Options
	return s.Flags&^briefWithSYN == wire.SYN && s.Len == 0 && s.Ack == 0 && o.Set&^briefSYN == 0 && o.TSEcr == 0 && o.WindowScale < 16 &&
		s.Traits&^briefTraits == 0 && !key.self() && t.cfg.Observed == nil && !t.cfg.full
}

// openBrief begins a connection with its SYN.
func (t *Tracker) openBrief(s *wire.Segment, key *tupleKey, hash uint64, swapped bool) {
	id := t.briefs.get()
	b := t.briefs.at(id)
	o := &s.Options
	// Field by field: it would be made elsewhere and copied.
	*b = brief{}
	b.key, b.last, b.start, b.first, b.carrier = *key, s.At, s.At, s.Frame, s.Carrier
	b.n, b.fill, b.next[Client], b.ttl[Client], b.stamps[Client] = 1, entryBlock, s.Seq+1, s.TTL, o.TSVal
	b.isn, b.window, b.ipid, b.mss, b.options, b.flags, b.how = s.Seq, s.Window, s.IPID, o.MSS, uint16(o.Set), uint8(s.Flags), howOf(s, Client)
	if !swapped {
		b.is = briefClientIsLow
	}
	id |= briefBit
	t.table.insert(hash, id)
	t.tag(id, &b.key, hash)
	b.stamp = t.cfg.Opened()
	t.wheel.file(id, b.deadline(&t.patience), &b.turn)
	if t.cfg.Follow {
		t.touch(id)
	}
}

// howOf returns what an entry's how says of a segment.
func howOf(s *wire.Segment, from Side) uint8 {
	how := uint8(from)*howServer | s.Options.WindowScale<<howScale
	if s.Options.Set&wire.OptTimestamps != 0 {
		how |= howStamps
	}
	return how | uint8(s.Traits&briefTraits)<<howTraits
}

// goOn adds a segment to a brief record, and reports whether it could: the record is of its
// tuple, it goes on where its side was, and there is nothing about it that the record cannot
// hold.
//
// Nearly all segments take this way, and nothing but it: so it is one function, and what is
// rare is left to others at its end.
func (t *Tracker) goOn(id uint32, b *brief, s *wire.Segment) bool {
	// Which way a segment goes cannot be predicted: both are compared, without a branch. No
	// brief record has a tuple whose ends are the same.
	k := &b.key
	ports := uint32(s.Tuple.SrcPort)<<16 | uint32(s.Tuple.DstPort)
	up := (s.Tuple.Src.Hi ^ k.low.Hi) | (s.Tuple.Src.Lo ^ k.low.Lo) | (s.Tuple.Dst.Hi ^ k.high.Hi) | (s.Tuple.Dst.Lo ^ k.high.Lo) | uint64(ports^k.ports)
	down := (s.Tuple.Src.Hi ^ k.high.Hi) | (s.Tuple.Src.Lo ^ k.high.Lo) | (s.Tuple.Dst.Hi ^ k.low.Hi) | (s.Tuple.Dst.Lo ^ k.low.Lo) | uint64(bits.RotateLeft32(ports, 16)^k.ports)
	// Behind the close only what is news to nobody can go on where its side was; whether
	// it moves the deadline is for a full record to say.
	if min(up, down) != 0 || s.Tuple.Encap != k.path() || s.Tuple.V6 != k.v6() || b.n-1 >= briefMax-1 || b.has(briefClosed) ||
		s.At < b.last || s.Carrier != b.carrier || s.Traits&^briefTraits != 0 || !b.has(briefOpen) && b.overdue(s.At, &t.patience) {
		return false
	}
	if b.fill == entryBlock {
		t.lengthen(b)
	}
	from := Side(b.is&briefClientIsLow) ^ 1 // of what comes from the lower end
	if up != 0 {
		from ^= 1
	}
	if s.Flags&^briefPlain != 0 || !b.has(briefAnswered) {
		return t.answer(b, s, from)
	}
	peer := from ^ 1
	how := uint8(from)*howServer | uint8(s.Traits)<<howTraits | isOf(s.Flags)
	var val, ecr uint32
	if s.Options.Set == wire.OptTimestamps {
		how |= howStamps
		val, ecr = s.Options.TSVal-b.stamps[from&1], s.Options.TSEcr-b.stamps[peer&1]
	} else if s.Options.Set != 0 || s.Options.TSVal|s.Options.TSEcr != 0 {
		return false
	}
	behind, fin := uint32(b.next[peer&1]-s.Ack), uint32(s.Flags&wire.FIN)
	if s.Flags&wire.ACK == 0 || s.TTL != b.ttl[from&1] || s.Len > 1<<16-1 || s.Seq != b.next[from&1] || behind > briefFar || b.has(briefFIN<<from) && s.Len+fin > 0 {
		return false
	}
	since, last := uint64(s.At-b.last), uint64(s.Frame-b.first)
	frames := last - uint64(b.lastFrame)
	if since>>32|last>>32|(frames|uint64(behind|val|ecr))>>16 != 0 && !t.widen(b, since, frames, behind, val, ecr) {
		return false
	}
	e := &t.entries.at(b.tail).list[b.fill]
	e.since, e.frames, e.behind, e.tsVal, e.tsEcr = uint32(since), uint16(frames), uint16(behind), uint16(val), uint16(ecr)
	e.window, e.ipid, e.len, e.is, e.more = s.Window, s.IPID, uint16(s.Len), how, 0
	b.fill++
	b.n++
	b.last, b.lastFrame = s.At, uint32(last)
	b.next[from&1] += wire.Seq(s.Len + fin)
	b.is |= briefOpen | briefFIN*briefFlags(fin)<<from
	if behind == 0 && b.is&((briefFIN|briefFINAcked)<<peer) == briefFIN<<peer {
		b.is |= briefFINAcked << peer
		if b.has(briefClosed) {
			t.wheel.file(id, b.deadline(&t.patience), &b.turn)
		}
	}
	return true
}

// answer adds the SYN-ACK, if the segment is one, and such as a brief record can hold.
func (t *Tracker) answer(b *brief, s *wire.Segment, from Side) bool {
	o := &s.Options
	if !b.answeredBy(s, from) || o.Set&wire.OptTimestamps == 0 && o.TSVal|o.TSEcr != 0 {
		return false
	}
	how := howOf(s, Server) & isHow
	var ecr uint32
	if how&howStamps != 0 {
		ecr = o.TSEcr - b.stamps[Client]
	}
	since, last := uint64(s.At-b.last), uint64(s.Frame-b.first)
	behind, val := uint32(s.Seq)&(1<<16-1), uint32(s.Seq)>>16
	if since>>32|(last|uint64(ecr))>>16 != 0 && !t.widen(b, since, last, 0, 0, ecr) {
		return false
	}
	t.entries.at(b.tail).list[b.fill] = entry{
		since: uint32(since), frames: uint16(last), behind: uint16(behind), tsVal: uint16(val), tsEcr: uint16(ecr), window: s.Window, ipid: s.IPID,
		len: o.MSS, is: isOf(s.Flags) | how, more: o.WindowScale<<howScale | uint8(o.Set&entryOptions)<<entryOption,
	}
	b.fill++
	b.n++
	b.last, b.lastFrame = s.At, uint32(last)
	b.stamps[Server] = o.TSVal
	b.next[Server], b.ttl[Server] = s.Seq+1, s.TTL
	b.is |= briefAnswered
	return true
}

// answeredBy reports whether a segment is the plain answer to the SYN.
func (b *brief) answeredBy(s *wire.Segment, from Side) bool {
	o := &s.Options
	return from == Server && b.n == 1 && s.Flags&^briefWithSYN == wire.SYN|wire.ACK && s.Ack == b.next[Client] && s.Len == 0 &&
		o.Set&^briefSYN == 0 && o.WindowScale < 16
}

// segments calls do with each segment of a brief record, as it was. The segment is
// valid until do returns.
func (t *Tracker) segments(b *brief, do func(s *wire.Segment, from Side)) {
	s := &t.retold.segment
	tuples := [2]wire.Tuple{b.key.tuple(b.has(briefClientIsLow)), b.key.tuple(!b.has(briefClientIsLow))}
	*s = wire.Segment{
		Frame: b.first, At: b.start, Tuple: tuples[Client], Seq: b.isn, Flags: wire.Flags(b.flags), Window: b.window, IPID: b.ipid, TTL: b.ttl[Client], Carrier: b.carrier,
		Options: wire.Options{Set: wire.OptionSet(b.options), TSVal: b.stamps[Client], MSS: b.mss},
	}
	setHow(s, b.how)
	do(s, Client)
	list := t.recall(b)
	for i := range list {
		e := &list[i]
		from := e.from()
		*s = wire.Segment{
			Frame: e.frame, At: e.at, Tuple: tuples[from], Seq: e.seq, Ack: e.ack, Flags: e.flags, Window: e.window, Len: e.len,
			IPID: e.ipid, TTL: b.ttl[from], Carrier: b.carrier, Options: wire.Options{Set: wire.OptionSet(e.options), TSVal: e.tsVal, TSEcr: e.tsEcr, MSS: e.mss},
		}
		setHow(s, e.how)
		do(s, from)
	}
	if b.wasReset() {
		x := t.endingOf(b)
		x.segment.Tuple = tuples[x.from]
		do(&x.segment, x.from)
	}
	if b.n>>briefRepeats > 0 {
		t.repeats(b, func(x *briefEnd) {
			x.segment.Tuple = tuples[x.from]
			do(&x.segment, x.from)
		})
	}
}

// setHow enters what an entry's how says into a segment.
func setHow(s *wire.Segment, how uint8) {
	s.Options.WindowScale = how >> howScale
	if how&howStamps != 0 {
		s.Options.Set |= wire.OptTimestamps
	}
	s.Traits = traitsOf(how)
}

func traitsOf(how uint8) wire.Traits { return wire.Traits(how>>howTraits) & briefTraits }

// unfold puts a full record in the place of a brief one, and returns it.
func (t *Tracker) unfold(id uint32) uint32 {
	b := t.briefs.at(id &^ briefBit)
	hash := t.cfg.Seed.hash(&b.key)
	rec := t.full(b, hash)
	if r := t.recs.at(rec); b.turn == 0 {
		r.turn = 0
	} else {
		r.turn = b.turn
		t.wheel.put(rec, uint64(b.turn)%wheelSlots)
	}
	if b.has(briefChanged) {
		t.touch(rec)
	}
	t.table.replace(hash, id, rec)
	t.retag(id, rec)
	t.dropBrief(id)
	return rec
}

// full makes a full record of a brief one, which stays. It is not in the wheel, but has a
// turn that comes before all others: so what is told it again does not file it there.
func (t *Tracker) full(b *brief, hash uint64) uint32 {
	rec := t.recs.get()
	r := t.recs.at(rec)
	*r = record{
		key: b.key, hash: hash, start: b.start, last: b.start, first: b.first, firstSeq: b.isn, carrier: b.carrier, stamp: b.stamp,
		roleBy: RoleBySYN, clientIsLow: b.has(briefClientIsLow), turn: turnOf(t.wheel.now),
	}
	clientSwapped := !r.clientIsLow
	t.segments(b, func(s *wire.Segment, from Side) { t.take(rec, s, clientSwapped != (from == Server)) })
	return rec
}

// whole returns the full record of a connection.
func (t *Tracker) whole(id uint32) uint32 {
	if id&briefBit != 0 {
		return t.unfold(id)
	}
	return id
}

// settleBrief lets a connection leave that has a brief record.
func (t *Tracker) settleBrief(id uint32, why Ended, now wire.Time) {
	b := t.briefs.at(id &^ briefBit)
	hash := t.cfg.Seed.hash(&b.key)
	t.unfile(id, hash)
	t.untag(id)
	t.emitBrief(b, why, now, true)
	t.dropBrief(id)
}

// emitBrief hands out a connection that has a brief record, and buries it if told so.
func (t *Tracker) emitBrief(b *brief, why Ended, now wire.Time, bury bool) {
	if !t.ordinary(b, why, now) {
		rec := t.full(b, t.cfg.Seed.hash(&b.key))
		t.emit(rec, why, now)
		if bury {
			t.bury(t.recs.at(rec), now)
		}
		t.release(rec)
		return
	}
	t.cfg.Settled(&t.plain, b.stamp)
	if !bury {
		return
	}
	end := now
	if d := b.deadline(&t.patience); d != 0 {
		end = min(end, d)
	}
	f := &t.course.ends[Client]
	life := incarnation{
		start: b.start, last: b.last, frame: b.first, seq: b.isn, clientIsLow: b.has(briefClientIsLow), openedByLow: b.has(briefClientIsLow),
		known: true, hasTime: f.hasTime, ttl: b.ttl[Client],
	}
	if f.hasTime {
		life.tsMax = f.tsMax
	}
	ends := [2]tombEnd{{b.isn, b.next[Client]}, {t.course.ends[Server].isn, b.next[Server]}}
	t.tombs.bury(&b.key, t.cfg.Seed.hash(&b.key), &life, ends, [2]bool{true, b.has(briefAnswered)}, end)
}

// dropBrief frees a brief record and its entries.
func (t *Tracker) dropBrief(id uint32) {
	b := t.briefs.at(id &^ briefBit)
	for blk := b.head; blk != 0; {
		next := t.entries.at(blk).next
		t.entries.put(blk)
		blk = next
	}
	b.turn, b.n = 0, 0 // the wheel may still name it
	t.briefs.put(id &^ briefBit)
}

// keyAt returns the key of a record of either sort.
func (t *Tracker) keyAt(id uint32) *tupleKey {
	if id&briefBit != 0 {
		return &t.briefs.at(id &^ briefBit).key
	}
	return &t.recs.at(id).key
}

// stampOf returns the stamp of a record of either sort.
func (t *Tracker) stampOf(id uint32) uint64 {
	if id&briefBit != 0 {
		return t.briefs.at(id &^ briefBit).stamp
	}
	return t.recs.at(id).stamp
}

// turnBrief is turn for a brief record.
func (t *Tracker) turnBrief(id uint32, slot uint64, now wire.Time) {
	b := t.briefs.at(id &^ briefBit)
	if !b.turn.in(slot) {
		return
	}
	b.turn = 0
	switch d := b.deadline(&t.patience); {
	case d == 0:
	case d > now:
		t.wheel.file(id, d, &b.turn)
	default:
		t.settleBrief(id, EndedSettled, now)
	}
}
