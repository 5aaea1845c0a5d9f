package reassembly

import "github.com/tcplife/tcplife/wire"

// tombs remembers connections that have left, so that what still comes for them
// (a FIN repeated long after, a RST) is told apart from a new connection.
type tombs struct {
	t     *Tracker
	queue fifo[tomb] // they are forgotten in the order in which they were buried
	mores slab[tombMore]
	lates slab[Late]
	table table
	// graves says when the tombs of the queue are forgotten, but for the fresh ones: those
	// buried since the clock was last told.
	graves fifo[Graves]
	fresh  int
}

// tomb is what is kept of a connection, in a line of the cache: a flood leaves as many as
// it sends SYNs. What most connections do not need of it, and what does not fit, is in a
// tombMore.
type tomb struct {
	low, high, ports uint32 // of the key; see nearKey
	more             uint32 // 0: none
	start            wire.Time
	// The first frame; how long it was from the first segment to the last; and from there to
	// the end, which may have been noticed later. The upper parts are behind.
	frame, lasted, rested  uint32
	frameHigh              uint16
	lastedHigh, restedHigh uint8
	ends                   [2]tombEnd
	tsMax                  uint32
	encap                  uint16
	ttl                    uint8
	flags                  tombFlags
}

// tombMore is the rest of a tomb, if there is one: of IPv6, of a connection that lasted for
// more than 18 minutes (2^40 ns), or of one for which something came late.
type tombMore struct {
	far                  farKey
	encap                wire.EncapID
	firstSeq             wire.Seq
	late                 uint32 // 0: nothing came
	lastedTop, restedTop uint32
	frameTop             uint16
}

// tombEnd is the part of a side's sequence space by which its segments are known.
type tombEnd struct{ from, next wire.Seq }

type tombFlags uint8

const (
	tombKnown       tombFlags = 1 << iota // from and next of the client are known, of the server shifted by one
	_                                     // the server's
	tombClientIsLow                       // the client is the key's lower end
	tombHasTime                           // tsMax is set
	tombReplaced                          // a newer connection of the tuple was buried since
	tombEvicted                           // it had to go early, and may go on
	tombRoleBy      = 6                   // shift: how its roles were known
)

// All ways to know them have room there.
var _ = [1]int{}[RoleByGuess>>(8-tombRoleBy)]

func (b *tomb) has(f tombFlags) bool { return b.flags&f != 0 }

func (b *tomb) roleBy() RoleBy { return RoleBy(b.flags >> tombRoleBy) }

// mostly is what of a tomb would be in a tombMore, if it has none: the first number is that
// of who began.
func (b *tomb) mostly() tombMore {
	return tombMore{far: farIPv4, encap: wire.EncapID(b.encap), firstSeq: b.ends[beganBy(b.roleBy())].from}
}

func beganBy(by RoleBy) Side {
	if by == RoleBySYNACK {
		return Server
	}
	return Client
}

// rest returns what a tombMore says of a tomb, or would say.
func (ts *tombs) rest(b *tomb) tombMore {
	if b.more != 0 {
		return *ts.mores.at(b.more)
	}
	return b.mostly()
}

// key returns the tuple of a tomb.
func (ts *tombs) key(b *tomb) tupleKey {
	near, far := nearKey{b.low, b.high, b.ports, wire.EncapID(b.encap)}, &farIPv4
	if b.more != 0 {
		m := ts.mores.at(b.more)
		near.encap, far = m.encap, &m.far
	}
	return wholeKey(&near, far)
}

// is reports whether a tomb is of a tuple.
func (ts *tombs) is(b *tomb, key *tupleKey) bool {
	if b.low != uint32(key.low.Lo) || b.high != uint32(key.high.Lo) || b.ports != key.ports {
		return false
	}
	if b.more == 0 {
		return key.encap == wire.EncapID(b.encap)
	}
	m := ts.mores.at(b.more)
	return m.encap == key.encap && (!key.v6() || m.far == key.far())
}

// lastAt is when the last segment came.
func (b *tomb) lastAt(m *tombMore) wire.Time {
	return b.start + wire.Time(uint64(b.lasted)|uint64(b.lastedHigh)<<32|uint64(m.lastedTop)<<40)
}

// expires is when what comes is not late any more. It goes by the connection's own end,
// not by when somebody noticed it.
func (ts *tombs) expires(b *tomb) wire.Time {
	m := ts.rest(b)
	end := b.lastAt(&m) + wire.Time(uint64(b.rested)|uint64(b.restedHigh)<<32|uint64(m.restedTop)<<40)
	return end.Add(ts.t.patience.FINRetrySpan)
}

// find returns the tomb of a tuple, and its slot.
func (ts *tombs) find(key *tupleKey, hash uint64) (uint32, place) {
	i, at := ts.table.first(hash)
	for i != 0 && !ts.is(ts.queue.at(i), key) {
		i, at = ts.table.after(hash, at)
	}
	return i, at
}

// bury remembers a connection that leaves, as its neighbours would know it, and how its
// roles were known. The newest of a tuple counts.
func (ts *tombs) bury(key *tupleKey, hash uint64, life *incarnation, by RoleBy, ends [2]tombEnd, known [2]bool, end wire.Time) {
	old, at := uint32(0), place(0)
	if ts.table.count != 0 {
		old, at = ts.find(key, hash)
	}
	i := ts.queue.push()
	if old != 0 {
		ts.queue.at(old).flags |= tombReplaced
		ts.table.at(at).rec = i
	} else {
		ts.table.insert(hash, i)
	}
	ts.fresh++
	lasted, rested := uint64(life.last-life.start), uint64(end-life.last)
	flags := tombFlags(by) << tombRoleBy
	for _, f := range [...]struct {
		flag tombFlags
		set  bool
	}{{tombKnown, known[Client]}, {tombKnown << 1, known[Server]}, {tombClientIsLow, life.clientIsLow}, {tombHasTime, life.hasTime}} {
		if f.set {
			flags |= f.flag
		}
	}
	b := ts.queue.at(i)
	*b = tomb{
		low: uint32(key.low.Lo), high: uint32(key.high.Lo), ports: key.ports, start: life.start,
		frame: uint32(life.frame), lasted: uint32(lasted), rested: uint32(rested),
		frameHigh: uint16(life.frame >> 32), lastedHigh: uint8(lasted >> 32), restedHigh: uint8(rested >> 32),
		ends: ends, tsMax: life.tsMax, encap: uint16(key.encap), ttl: life.ttl, flags: flags,
	}
	if (lasted|rested)>>40|uint64(life.frame)>>48|uint64(key.encap)>>16 != 0 || life.seq != ends[beganBy(by)].from {
		b.more = ts.mores.get()
		*ts.mores.at(b.more) = tombMore{
			far: key.far(), encap: key.encap, firstSeq: life.seq,
			lastedTop: uint32(lasted >> 40), restedTop: uint32(rested >> 40), frameTop: uint16(life.frame >> 48),
		}
	}
}

// life describes a buried connection to its successor.
func (ts *tombs) life(i uint32) incarnation {
	b := ts.queue.at(i)
	m := ts.rest(b)
	low := b.has(tombClientIsLow)
	return incarnation{
		start: b.start, last: b.lastAt(&m), frame: wire.FrameID(b.frame) | wire.FrameID(b.frameHigh)<<32 | wire.FrameID(m.frameTop)<<48,
		seq: m.firstSeq, clientIsLow: low, openedByLow: low == (b.roleBy() == RoleBySYN), known: true, hasTime: b.has(tombHasTime), ttl: b.ttl, tsMax: b.tsMax,
	}
}

// expire forgets the tombs whose time is over and tells what came late. A tomb's
// time counts from the clock, which is the same for all trackers: when its group is
// told must not depend on whose tombs stand before it.
func (ts *tombs) expire(now wire.Time) {
	if ts.fresh > 0 {
		until := now.Add(ts.t.patience.FINRetrySpan)
		if ts.graves.count == 0 || ts.graves.at(ts.graves.newest).Until != until {
			*ts.graves.at(ts.graves.push()) = Graves{Until: until}
		}
		ts.graves.at(ts.graves.newest).N += ts.fresh
		ts.fresh = 0
	}
	ts.forget(now)
}

// forget forgets the tombs of all graves up to a time, and returns how many.
func (ts *tombs) forget(until wire.Time) (n int) {
	for ts.graves.count > 0 {
		g := ts.graves.at(ts.graves.oldest)
		if g.Until > until {
			break
		}
		for left := g.N; left > 0; left -= awaitMost {
			ts.drop(min(left, awaitMost))
		}
		n += g.N
		ts.graves.pop()
	}
	return n
}

// drop forgets the oldest tombs, awaitMost at most, whose places in the table are waited for
// together.
func (ts *tombs) drop(n int) {
	var hashes [awaitMost]uint64
	read := uint64(0)
	for j, i := 0, ts.queue.oldest; j < n; j, i = j+1, ts.queue.after(i) {
		key := ts.key(ts.queue.at(i))
		hashes[j] = ts.t.cfg.Seed.hash(&key)
		read += ts.table.approach(hashes[j])
	}
	ts.t.awaited = read
	for _, hash := range hashes[:n] {
		b := ts.queue.at(ts.queue.oldest)
		if !b.has(tombReplaced) {
			ts.table.remove(ts.table.slot(hash, ts.queue.oldest))
		}
		if b.more != 0 {
			ts.tell(b)
			ts.mores.put(b.more)
		}
		ts.queue.pop()
	}
}

// tell tells what came late, if something did.
func (ts *tombs) tell(b *tomb) {
	if m := ts.mores.at(b.more); m.late != 0 {
		ts.t.cfg.Late(ts.lates.at(m.late))
		ts.lates.put(m.late)
	}
}

// flush tells all that came late: the input has ended.
func (ts *tombs) flush() {
	for i := ts.queue.oldest; ts.lates.live() > 0; i = ts.queue.after(i) {
		if b := ts.queue.at(i); b.more != 0 {
			ts.tell(b)
		}
	}
	*ts = tombs{t: ts.t}
}

// owns reports whether a segment's numbers lie in the buried connection.
func (b *tomb) owns(s *wire.Segment, from Side) bool {
	f, p := &b.ends[from], &b.ends[from.Peer()]
	return b.has(tombKnown<<from) && inside(s.Seq, f.from, f.next) &&
		(s.Flags&wire.ACK == 0 || !b.has(tombKnown<<from.Peer()) || inside(s.Ack, p.from, p.next))
}

// side returns who sent a segment of the buried connection's tuple.
func (b *tomb) side(swapped bool) Side {
	if b.has(tombClientIsLow) != swapped {
		return Client
	}
	return Server
}

// inside reports whether s lies between from and to, both included.
func inside(s, from, to wire.Seq) bool { return !s.Before(from) && !s.After(to) }

// claim takes a segment of a tuple that no connection holds, if it belongs to the one
// that is buried as i: a SYN only with the very same number, anything else if its
// numbers fit.
func (ts *tombs) claim(i uint32, s *wire.Segment, swapped bool) bool {
	b := ts.queue.at(i)
	from := b.side(swapped)
	if s.Flags&wire.SYN != 0 && s.Seq != b.ends[from].from || !b.owns(s, from) || s.At > ts.expires(b) {
		return false
	}
	l := ts.lateOf(b)
	if l.Packets == [2]uint64{} {
		whole := ts.key(b)
		key := UIDKey{Tuple: whole.tuple(b.has(tombClientIsLow)), Start: b.start, ISN: ts.mores.at(b.more).firstSeq}
		*l = Late{Key: key, Tuple: key.Tuple, Start: s.At, First: s.Frame}
	}
	l.End, l.Last = max(l.End, s.At), s.Frame
	l.Packets[from]++
	l.Bytes[from] += uint64(s.Len)
	if s.Flags&wire.SYN != 0 {
		l.SYNs++
	}
	if s.Flags&wire.FIN != 0 {
		l.FINs++
	}
	if s.Flags&wire.RST != 0 {
		l.RSTs++
	}
	return true
}

// lateOf returns the late group of a tomb; one without packets if nothing came yet.
func (ts *tombs) lateOf(b *tomb) *Late {
	if b.more == 0 {
		b.more = ts.mores.get()
		*ts.mores.at(b.more) = b.mostly()
	}
	m := ts.mores.at(b.more)
	if m.late == 0 {
		m.late = ts.lates.get()
		*ts.lates.at(m.late) = Late{}
	}
	return ts.lates.at(m.late)
}

// of returns the tomb of a tuple, 0 if there is none.
func (ts *tombs) of(key *tupleKey, hash uint64) uint32 {
	if ts.table.count == 0 {
		return 0
	}
	i, _ := ts.find(key, hash)
	return i
}

// isOld reports whether a segment's numbers lie in the buried connection of its
// tuple.
func (ts *tombs) isOld(s *wire.Segment, key *tupleKey, hash uint64, swapped bool) bool {
	i := ts.of(key, hash)
	if i == 0 {
		return false
	}
	b := ts.queue.at(i)
	return b.owns(s, b.side(swapped))
}
