package reassembly

import "github.com/tcplife/tcplife/wire"

// tombs remembers connections that have left, so that what still comes for them
// (a FIN repeated long after, a RST) is told apart from a new connection.
type tombs struct {
	t     *Tracker
	slab  slab[tomb]
	lates slab[Late]
	table table
	// queue holds tombs in the order in which they are forgotten, which is that of
	// burying; those from fresh on were buried since the clock was last told.
	queue       []uint32
	head, fresh int
}

// tomb is what is kept of a connection, in few octets: a flood leaves as many as it
// sends SYNs.
type tomb struct {
	key      tupleKey
	expires  wire.Time // what comes later is not late any more
	gone     wire.Time // when the tomb is forgotten: no sooner
	start    wire.Time
	last     wire.Time
	frame    wire.FrameID
	ends     [2]tombEnd
	firstSeq wire.Seq
	tsMax    uint32
	late     uint32 // 0: nothing came
	ttl      uint8
	flags    tombFlags
	roleBy   RoleBy // if tombEvicted
}

// tombEnd is the part of a side's sequence space by which its segments are known.
type tombEnd struct{ from, next wire.Seq }

type tombFlags uint8

const (
	tombKnown       tombFlags = 1 << iota // from and next of the client are known, of the server shifted by one
	_                                     // the server's
	tombClientIsLow                       // the client is the key's lower end
	tombOpenedByLow                       // so is who began
	tombHasTime                           // tsMax is set
	tombReplaced                          // a newer connection of the tuple was buried since
	tombEvicted                           // it had to go early, and may go on
)

func (b *tomb) has(f tombFlags) bool { return b.flags&f != 0 }

// find returns the tomb of a tuple, and its slot.
func (ts *tombs) find(key *tupleKey, hash uint64) (uint32, place) {
	i, at := ts.table.first(hash)
	for i != 0 && !ts.slab.at(i).key.is(key) {
		i, at = ts.table.after(hash, at)
	}
	return i, at
}

// bury remembers a connection that leaves, as its neighbours would know it. The newest
// of a tuple counts. What is late goes by the connection's own end, not by when
// somebody noticed it.
func (ts *tombs) bury(key *tupleKey, hash uint64, life *incarnation, ends [2]tombEnd, known [2]bool, end wire.Time) {
	if ts.table.count != 0 {
		if old, at := ts.find(key, hash); old != 0 {
			ts.slab.at(old).flags |= tombReplaced
			ts.table.remove(at)
		}
	}
	i := ts.slab.get()
	b := ts.slab.at(i)
	*b = tomb{
		key: *key, expires: end.Add(ts.t.patience.FINRetrySpan), start: life.start, last: life.last, frame: life.frame,
		ends: ends, firstSeq: life.seq, tsMax: life.tsMax, ttl: life.ttl,
	}
	for _, f := range [...]struct {
		flag tombFlags
		set  bool
	}{{tombKnown, known[Client]}, {tombKnown << 1, known[Server]}, {tombClientIsLow, life.clientIsLow}, {tombOpenedByLow, life.openedByLow}, {tombHasTime, life.hasTime}} {
		if f.set {
			b.flags |= f.flag
		}
	}
	ts.table.insert(hash, i)
	ts.queue = append(ts.queue, i)
}

// life describes the buried connection to its successor.
func (b *tomb) life() incarnation {
	return incarnation{
		start: b.start, last: b.last, frame: b.frame, seq: b.firstSeq, clientIsLow: b.has(tombClientIsLow), openedByLow: b.has(tombOpenedByLow),
		known: true, hasTime: b.has(tombHasTime), ttl: b.ttl, tsMax: b.tsMax,
	}
}

// expire forgets the tombs whose time is over and tells what came late. A tomb's
// time counts from the clock, which is the same for all trackers: when its group is
// told must not depend on whose tombs stand before it.
func (ts *tombs) expire(now wire.Time) {
	for ; ts.fresh < len(ts.queue); ts.fresh++ {
		ts.slab.at(ts.queue[ts.fresh]).gone = now.Add(ts.t.patience.FINRetrySpan)
	}
	for awaited := 0; ts.head < len(ts.queue); awaited-- {
		i := ts.queue[ts.head]
		b := ts.slab.at(i)
		if b.gone > now {
			break
		}
		if awaited == 0 {
			awaited = min(len(ts.queue)-ts.head, awaitMost)
			ts.await(ts.queue[ts.head : ts.head+awaited])
		}
		ts.drop(i, b)
		ts.head++
	}
	// The queue is a window that moves through its array: moved to the front when
	// half of the array is behind it, a constant cost per tomb.
	if ts.head > 1024 && ts.head*2 > len(ts.queue) {
		ts.queue = append(ts.queue[:0], ts.queue[ts.head:]...)
		ts.fresh -= ts.head
		ts.head = 0
	}
}

func (ts *tombs) drop(i uint32, b *tomb) {
	if b.late != 0 {
		ts.t.cfg.Late(ts.lates.at(b.late))
		ts.lates.put(b.late)
	}
	if !b.has(tombReplaced) {
		ts.table.remove(ts.table.slot(ts.t.cfg.Seed.hash(&b.key), i))
	}
	ts.slab.put(i)
}

func (ts *tombs) flush() {
	for _, i := range ts.queue[ts.head:] {
		ts.drop(i, ts.slab.at(i))
	}
	ts.queue, ts.head, ts.fresh = nil, 0, 0
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
	b := ts.slab.at(i)
	from := b.side(swapped)
	if s.At > b.expires || s.Flags&wire.SYN != 0 && s.Seq != b.ends[from].from || !b.owns(s, from) {
		return false
	}
	if b.late == 0 {
		b.late = ts.lates.get()
		key := UIDKey{Tuple: b.key.tuple(b.has(tombClientIsLow)), Start: b.start, ISN: b.firstSeq}
		*ts.lates.at(b.late) = Late{Key: key, Tuple: key.Tuple, Start: s.At, First: s.Frame}
	}
	l := ts.lates.at(b.late)
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
	b := ts.slab.at(i)
	return b.owns(s, b.side(swapped))
}
