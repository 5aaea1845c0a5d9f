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
// It takes three lines of the cache, and a segment needs the first two: there is no other
// place that it would have to wait for. The third is needed when the connection leaves. What
// has only sent its SYN takes less (see lone).
type brief struct {
	key  nearKey
	last wire.Time
	// next is, by side, the number that its next segment must have.
	next      [2]wire.Seq
	lastFrame wire.FrameID
	stamps    [2]uint32 // by side, the time stamp of its SYN
	carrier   uint32
	stowed    uint32 // the newest of the blocks of entries that are full; 0 none
	turn      turn
	n         uint8 // segments, the SYN included, and repeats (see briefRepeats); 0: the place is free
	is        briefFlags
	ttl       [2]uint8
	// That makes a line.

	tail entries // the last ones

	far   farKey
	start wire.Time
	stamp uint64
	first wire.FrameID
	// oldest is the first of the blocks that stowed leads to, if there is one.
	oldest uint32
	// The SYN, which has no entry.
	isn               wire.Seq
	window, ipid, mss uint16
	syn               uint8 // its flags, and below them its options; see synOf
	how               uint8
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
	briefFINs    = briefFIN | briefFIN<<1
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
	briefPlain   = wire.ACK | briefNews
	// briefNews are the flags that a segment may have beside ACK.
	briefNews = wire.PSH | wire.FIN | wire.ECE | wire.CWR
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

// synOf returns what brief.syn says of a SYN: the bits that entry.more has of a SYN-ACK's
// options, and the flags that may come with it, which are the upper two.
func synOf(s *wire.Segment) uint8 {
	return uint8(s.Options.Set&entryOptions) | uint8(s.Flags&briefWithSYN)
}

// synFlags and synOptions are those of the SYN.
func (b *brief) synFlags() wire.Flags { return wire.SYN | wire.Flags(b.syn)&briefWithSYN }

func (b *brief) synOptions() wire.OptionSet { return synOptions(b.syn, b.how) }

func synOptions(syn, how uint8) wire.OptionSet {
	set := wire.OptionSet(syn) & entryOptions
	if how&howStamps != 0 {
		set |= wire.OptTimestamps
	}
	return set
}

// wholeKey is the key of the record's tuple, which tuple returns from the client to the server.
func (b *brief) wholeKey() tupleKey { return wholeKey(&b.key, &b.far) }

func (b *brief) tuple() wire.Tuple { return b.key.tuple(&b.far, b.has(briefClientIsLow)) }

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
	ports := uint32(s.Tuple.SrcPort)<<16 | uint32(s.Tuple.DstPort)
	ends := s.Tuple.Src.Lo<<32 | s.Tuple.Dst.Lo&(1<<32-1)
	held := uint64(b.key.low)<<32 | uint64(b.key.high)
	up := (ends ^ held) | uint64(ports^b.key.ports)
	down := (bits.RotateLeft64(ends, 32) ^ held) | uint64(bits.RotateLeft32(ports, 16)^b.key.ports)
	encap := s.Tuple.Encap
	if s.Tuple.V6 {
		encap |= keyV6
	}
	if min(up, down)|uint64(encap^b.key.encap)|uint64(s.Carrier^b.carrier)|uint64(s.Traits&^briefTraits) != 0 || b.n-1 >= briefMax-1 {
		return false
	}
	if encap&keyV6 != 0 && !b.isFar(&s.Tuple, up == 0) {
		return false
	}
	from := Side(b.is&briefClientIsLow) ^ 1 // of what comes from the lower end
	if up != 0 {
		from ^= 1
	}
	if !b.has(briefOpen) {
		if b.overdue(s.At, &t.patience) {
			return false
		}
		if !b.has(briefAnswered) {
			return t.answer(id, b, s, from)
		}
	} else if b.has(briefClosed) {
		// Behind the close only what is news to nobody can go on where its side was; whether
		// it moves the deadline is for a full record to say.
		return false
	} else if b.tail.older == entryBlock {
		t.stow(b)
	}
	peer := from ^ 1
	how := uint8(from)*howServer | uint8(s.Traits)<<howTraits | isOf(s.Flags)
	var val, ecr uint32
	if s.Options.Set == wire.OptTimestamps {
		how |= howStamps
		val, ecr = s.Options.TSVal-b.stamps[from&1], s.Options.TSEcr-b.stamps[peer&1]
	} else if uint32(s.Options.Set)|s.Options.TSVal|s.Options.TSEcr != 0 {
		return false
	}
	behind := uint32(b.next[peer&1] - s.Ack)
	if uint32(s.Seq-b.next[from&1])|uint32(s.TTL^b.ttl[from&1])|uint32(s.Flags&^briefNews^wire.ACK)|s.Len>>16 != 0 || behind > briefFar ||
		b.is&briefFINs != 0 && b.is&(briefFIN<<from) != 0 && s.Len+uint32(s.Flags&wire.FIN) > 0 {
		return false
	}
	since, frames := uint64(s.At-b.last), uint64(s.Frame-b.lastFrame)
	if since>>32|(frames|uint64(behind|val|ecr))>>16 != 0 {
		return t.widen(b, since, frames, behind, val, ecr) && t.enter(id, b, s, from, how, behind, val, ecr)
	}
	return t.enter(id, b, s, from, how, behind, val, ecr)
}

// enter makes the entry of a segment that goes on, and says so to the record.
func (t *Tracker) enter(id uint32, b *brief, s *wire.Segment, from Side, how uint8, behind, val, ecr uint32) bool {
	e := &b.tail.list[b.tail.older:][0] // by a slice: the place is reckoned once, not for each field
	e.since, e.frames, e.behind, e.tsVal, e.tsEcr = uint32(s.At-b.last), uint16(s.Frame-b.lastFrame), uint16(behind), uint16(val), uint16(ecr)
	e.window, e.ipid, e.len, e.is, e.more = s.Window, s.IPID, uint16(s.Len), how, 0
	b.tail.older++
	b.n++
	b.last, b.lastFrame = s.At, s.Frame
	fin := uint32(s.Flags & wire.FIN)
	b.next[from&1] += wire.Seq(s.Len + fin)
	b.is |= briefOpen
	if b.is&briefFINs|briefFlags(fin) != 0 {
		t.closing(id, b, from, fin != 0, behind == 0)
	}
	t.passed(id, s)
	return true
}

// passed notes that a connection has one segment more.
func (t *Tracker) passed(id uint32, s *wire.Segment) {
	t.fed = max(t.fed, s.At)
	if t.cfg.Follow {
		t.touch(id)
	}
}

// closing notes what a segment says of the end of a connection: whether it has a FIN, and
// whether it acknowledges all that the peer has sent.
func (t *Tracker) closing(id uint32, b *brief, from Side, fin, all bool) {
	if fin {
		b.is |= briefFIN << from
	}
	if peer := from.Peer(); all && b.is&((briefFIN|briefFINAcked)<<peer) == briefFIN<<peer {
		b.is |= briefFINAcked << peer
		if b.has(briefClosed) {
			t.wheel.file(id, b.deadline(&t.patience), &b.turn)
		}
	}
}

// isFar reports whether the upper parts of a tuple's addresses are the record's.
func (b *brief) isFar(tuple *wire.Tuple, up bool) bool {
	low, high := &tuple.Src, &tuple.Dst
	if !up {
		low, high = high, low
	}
	return b.far == farOf(low, high)
}

// answer adds the SYN-ACK, if the segment is one, and such as a brief record can hold.
func (t *Tracker) answer(id uint32, b *brief, s *wire.Segment, from Side) bool {
	o := &s.Options
	if !b.answeredBy(s, from) || o.Set&wire.OptTimestamps == 0 && o.TSVal|o.TSEcr != 0 {
		return false
	}
	how := howOf(s, Server) & isHow
	var ecr uint32
	if how&howStamps != 0 {
		ecr = o.TSEcr - b.stamps[Client]
	}
	since, frames := uint64(s.At-b.last), uint64(s.Frame-b.lastFrame)
	behind, val := uint32(s.Seq)&(1<<16-1), uint32(s.Seq)>>16
	if since>>32|(frames|uint64(ecr))>>16 != 0 && !t.widen(b, since, frames, 0, 0, ecr) {
		return false
	}
	b.tail.list[b.tail.older] = entry{
		since: uint32(since), frames: uint16(frames), behind: uint16(behind), tsVal: uint16(val), tsEcr: uint16(ecr), window: s.Window, ipid: s.IPID,
		len: o.MSS, is: isOf(s.Flags) | how, more: o.WindowScale<<howScale | uint8(o.Set&entryOptions)<<entryOption,
	}
	b.tail.older++
	b.n++
	b.last, b.lastFrame = s.At, s.Frame
	b.stamps[Server] = o.TSVal
	b.next[Server], b.ttl[Server] = s.Seq+1, s.TTL
	b.is |= briefAnswered
	t.passed(id, s)
	return true
}

// answeredBy reports whether a segment is the plain answer to the SYN.
func (b *brief) answeredBy(s *wire.Segment, from Side) bool {
	o := &s.Options
	return from == Server && b.n == 1 && s.Flags&^briefWithSYN == wire.SYN|wire.ACK && s.Ack == b.next[Client] && s.Len == 0 &&
		o.Set&^briefSYN == 0 && o.WindowScale < 16
}

// segments calls do with each segment of a brief record, as it was. The segment is
// valid until do returns. do may feed it to a full record, which leaves the entries where
// they are; it must read no brief one.
func (t *Tracker) segments(b *brief, do func(s *wire.Segment, from Side)) {
	s := &t.retold.segment
	tuple := b.tuple()
	tuples := [2]wire.Tuple{tuple, tuple.Reverse()}
	*s = wire.Segment{
		Frame: b.first, At: b.start, Tuple: tuples[Client], Seq: b.isn, Flags: b.synFlags(), Window: b.window, IPID: b.ipid, TTL: b.ttl[Client], Carrier: b.carrier,
		Options: wire.Options{Set: b.synOptions(), TSVal: b.stamps[Client], MSS: b.mss},
	}
	setHow(s, b.how)
	do(s, Client)
	var v Event
	r := t.reading(b) // outside of the loop: see retell
	for r.left > 0 {
		r.next(&v)
		*s = wire.Segment{
			Frame: v.Frame, At: v.At, Tuple: tuples[v.From], Seq: v.Seq, Ack: v.Ack, Flags: v.Flags, Window: v.Window, Len: v.Len,
			IPID: v.IPID, TTL: v.TTL, Traits: v.Traits, Carrier: b.carrier, Options: wire.Options{TSVal: v.TSVal, TSEcr: v.TSEcr},
		}
		o := &s.Options
		if v.Marks&MarkTimestamp != 0 {
			o.Set = wire.OptTimestamps
		}
		if v.Kind == KindSYNACK {
			e := r.newest()
			o.Set, o.MSS, o.WindowScale = synOptions(e.more>>entryOption, e.is), e.len, e.more>>howScale
		}
		do(s, v.From)
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
	b := t.briefOf(id)
	key := b.wholeKey()
	hash := t.cfg.Seed.hash(&key)
	rec := t.full(b, hash)
	r := t.recs.at(rec)
	if r.turn = b.turn &^ turnLater; b.turn&turnLater != 0 && r.turn.comesFirst(turnOf(t.wheel.now)) {
		r.turn = 0 // see wheel.file
	}
	if r.turn != 0 {
		t.wheel.put(rec, uint64(r.turn)%wheelSlots)
	}
	if b.has(briefChanged) {
		t.touch(rec)
	}
	t.table.replace(hash, id, rec)
	t.retag(id, rec)
	t.drop(id)
	return rec
}

// full makes a full record of a brief one, which stays. It is not in the wheel, but has a
// turn that comes before all others: so what is told it again does not file it there.
func (t *Tracker) full(b *brief, hash uint64) uint32 {
	rec := t.recs.get()
	r := t.recs.at(rec)
	*r = record{
		key: b.wholeKey(), hash: hash, start: b.start, last: b.start, first: b.first, firstSeq: b.isn, carrier: b.carrier, stamp: b.stamp,
		roleBy: RoleBySYN, clientIsLow: b.has(briefClientIsLow), turn: turnOf(t.wheel.now),
	}
	clientSwapped := !r.clientIsLow
	t.segments(b, func(s *wire.Segment, from Side) { t.take(rec, s, clientSwapped != (from == Server)) })
	return rec
}

// whole returns the full record of a connection.
func (t *Tracker) whole(id uint32) uint32 {
	if id&shortBits != 0 {
		return t.unfold(id)
	}
	return id
}

// settleBrief lets a connection leave that has a brief record, or is a lone SYN.
func (t *Tracker) settleBrief(id uint32, why Ended, now wire.Time) {
	key := t.keyAt(id)
	hash := t.cfg.Seed.hash(&key)
	t.unfile(id, hash)
	t.untag(id)
	if t.tell(id, why, now) {
		t.buryBrief(id, &key, hash, now)
	} else {
		rec := t.full(t.briefOf(id), hash)
		t.emit(rec, why, now)
		t.bury(t.recs.at(rec), now)
		t.release(rec)
	}
	t.drop(id)
}

// emitBrief hands out such a connection at the end of the input.
func (t *Tracker) emitBrief(id uint32) {
	if t.tell(id, EndedInput, t.clock) {
		return
	}
	key := t.keyAt(id)
	rec := t.full(t.briefOf(id), t.cfg.Seed.hash(&key))
	t.emit(rec, EndedInput, t.clock)
	t.release(rec)
}

// tell hands out such a connection if it can be told without a full record, and reports
// whether it could.
func (t *Tracker) tell(id uint32, why Ended, now wire.Time) bool {
	if id&loneBit != 0 {
		if l := t.lones.at(id &^ loneBit); t.alone(l, why, now) {
			t.cfg.Settled(&t.lonely, l.stamp)
			return true
		}
	}
	b := t.briefOf(id)
	if !t.ordinary(b, why, now) {
		return false
	}
	t.cfg.Settled(&t.plain, b.stamp)
	return true
}

// buryBrief leaves a tomb of the connection that was just told.
func (t *Tracker) buryBrief(id uint32, key *tupleKey, hash uint64, now wire.Time) {
	b := t.briefOf(id)
	end := now
	if d := b.deadline(&t.patience); d != 0 {
		end = min(end, d)
	}
	life := incarnation{
		start: b.start, last: b.last, frame: b.first, seq: b.isn, clientIsLow: b.has(briefClientIsLow), openedByLow: b.has(briefClientIsLow),
		known: true, ttl: b.ttl[Client],
	}
	if b.how&howStamps != 0 {
		life.hasTime, life.tsMax = true, b.stamps[Client]
	}
	ends := [2]tombEnd{{b.isn, b.next[Client]}}
	if id&loneBit == 0 {
		if f := &t.course.ends[Client]; f.hasTime {
			life.hasTime, life.tsMax = true, f.tsMax
		}
		ends[Server] = tombEnd{t.course.ends[Server].isn, b.next[Server]}
	}
	t.tombs.bury(key, hash, &life, RoleBySYN, ends, [2]bool{true, b.has(briefAnswered)}, end)
}

// keyAt returns the key of a record of any sort.
func (t *Tracker) keyAt(id uint32) tupleKey {
	switch {
	case id&briefBit != 0:
		return t.briefs.at(id &^ briefBit).wholeKey()
	case id&loneBit != 0:
		return wholeKey(&t.lones.at(id&^loneBit).key, &farIPv4)
	}
	return t.recs.at(id).key
}

// holds reports whether a record of any sort is of a tuple.
func (t *Tracker) holds(id uint32, key *tupleKey) bool {
	switch {
	case id&briefBit != 0:
		b := t.briefs.at(id &^ briefBit)
		return b.key == key.near() && (!key.v6() || b.far == key.far())
	case id&loneBit != 0:
		return t.lones.at(id&^loneBit).key == key.near()
	}
	return t.recs.at(id).key.is(key)
}

// stampOf returns the stamp of a record of any sort.
func (t *Tracker) stampOf(id uint32) uint64 {
	switch {
	case id&briefBit != 0:
		return t.briefs.at(id &^ briefBit).stamp
	case id&loneBit != 0:
		return t.lones.at(id &^ loneBit).stamp
	}
	return t.recs.at(id).stamp
}

// drop frees the record of a connection that is no more, or has another record now.
func (t *Tracker) drop(id uint32) {
	if id&loneBit != 0 {
		l := t.lones.at(id &^ loneBit)
		l.turn, l.is = 0, 0 // the wheel may still name it
		t.lones.put(id &^ loneBit)
		return
	}
	b := t.briefs.at(id &^ briefBit)
	for blk := b.stowed; blk != 0; {
		next := t.entries.at(blk).older
		t.entries.put(blk)
		blk = next
	}
	b.turn, b.n = 0, 0
	t.briefs.put(id &^ briefBit)
}

// turnBrief is turn for a brief record, or a lone SYN.
func (t *Tracker) turnBrief(id uint32, slot uint64, now wire.Time) {
	filed := t.turnOf(id)
	if !filed.in(slot) {
		return
	}
	filed = 0
	switch d := t.deadlineOf(id); {
	case d == 0:
		t.setTurn(id, 0)
	case d > now:
		t.wheel.file(id, d, &filed)
		t.setTurn(id, filed)
	default:
		t.settleBrief(id, EndedSettled, now)
	}
}
