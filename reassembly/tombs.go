package reassembly

import "github.com/tcplife/tcplife/wire"

// tombs remembers connections that have left, so that what still comes for them
// (a FIN repeated long after, a RST) is told apart from a new connection.
type tombs struct {
	t     *Tracker
	slab  slab[tomb]
	table table
	// queue holds tombs in the order in which they are forgotten, which is that of
	// burying; those from fresh on were buried since the clock was last told.
	queue       []uint32
	head, fresh int
	same        func(uint32) bool
}

type tomb struct {
	key      wire.Tuple
	hash     uint64
	expires  wire.Time // what comes later is not late any more
	gone     wire.Time // when the tomb is forgotten: no sooner
	life     incarnation
	previous incarnation
	ends     [2]tombEnd
	replaced bool // a newer connection of the tuple was buried since
	late     Late // Packets zero: nothing came
}

// tombEnd is the part of a side's sequence space by which its segments are known.
type tombEnd struct {
	from, next wire.Seq
	known      bool
}

func (ts *tombs) init(t *Tracker) {
	ts.t = t
	ts.same = func(i uint32) bool { return ts.slab.at(i).key == t.lookup }
}

func (ts *tombs) find(key wire.Tuple, hash uint64) (uint32, int) {
	ts.t.lookup = key
	return ts.table.find(hash, ts.same)
}

// bury remembers a connection that leaves. The newest of a tuple counts. What is
// late goes by the connection's own end, not by when somebody noticed it.
func (ts *tombs) bury(r *record, now wire.Time) {
	if r.deadline != 0 {
		now = min(now, r.deadline)
	}
	if old, at := ts.find(r.key, r.hash); old != 0 {
		ts.slab.at(old).replaced = true
		ts.table.remove(at)
	}
	i := ts.slab.get()
	b := ts.slab.at(i)
	*b = tomb{key: r.key, hash: r.hash, expires: now.Add(ts.t.patience.FINRetrySpan), life: r.neighbour(), previous: r.previous}
	for side := range r.half {
		h := &r.half[side]
		from := h.first
		if h.has(hasISN) {
			from = h.isn
		}
		b.ends[side] = tombEnd{from, h.next, h.has(hasNext)}
	}
	ts.table.insert(r.hash, i)
	ts.queue = append(ts.queue, i)
}

// expire forgets the tombs whose time is over and tells what came late. A tomb's
// time counts from the clock, which is the same for all shards: when its group is
// told must not depend on whose tombs stand before it.
func (ts *tombs) expire(now wire.Time) {
	for ; ts.fresh < len(ts.queue); ts.fresh++ {
		ts.slab.at(ts.queue[ts.fresh]).gone = now.Add(ts.t.patience.FINRetrySpan)
	}
	for ts.head < len(ts.queue) {
		i := ts.queue[ts.head]
		b := ts.slab.at(i)
		if b.gone > now {
			break
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
	if b.late.Packets != [2]uint64{} {
		ts.t.cfg.Late(&b.late)
	}
	if !b.replaced {
		if _, at := ts.find(b.key, b.hash); at >= 0 {
			ts.table.remove(at)
		}
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
	return f.known && inside(s.Seq, f.from, f.next) &&
		(s.Flags&wire.ACK == 0 || !p.known || inside(s.Ack, p.from, p.next))
}

// inside reports whether s lies between from and to, both included.
func inside(s, from, to wire.Seq) bool { return !s.Before(from) && !s.After(to) }

// claim takes a segment of a tuple that no connection holds, if it belongs to one
// that has left: a SYN only with the very same number, anything else if its
// numbers fit.
func (ts *tombs) claim(s *wire.Segment, key wire.Tuple, hash uint64, swapped bool) bool {
	if ts.table.count == 0 {
		return false
	}
	i, _ := ts.find(key, hash)
	if i == 0 {
		return false
	}
	b := ts.slab.at(i)
	from := Server
	if b.life.clientIsSrc != swapped {
		from = Client
	}
	if s.At > b.expires || s.Flags&wire.SYN != 0 && s.Seq != b.ends[from].from || !b.owns(s, from) {
		return false
	}
	l := &b.late
	if l.Packets == [2]uint64{} {
		in := b.life.public(b.key, b.life.clientIsSrc)
		*l = Late{Key: in.Key, Tuple: in.Key.Tuple, Start: s.At, First: s.Frame}
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

// neighbourOf returns the buried connection of a tuple, for its successor.
func (ts *tombs) neighbourOf(key wire.Tuple, hash uint64) incarnation {
	if ts.table.count != 0 {
		if i, _ := ts.find(key, hash); i != 0 {
			return ts.slab.at(i).life
		}
	}
	return incarnation{}
}

// isOld reports whether a segment's numbers lie in the buried connection of its
// tuple.
func (ts *tombs) isOld(s *wire.Segment, key wire.Tuple, hash uint64, swapped bool) bool {
	if ts.table.count == 0 {
		return false
	}
	i, _ := ts.find(key, hash)
	if i == 0 {
		return false
	}
	b := ts.slab.at(i)
	from := Server
	if b.life.clientIsSrc != swapped {
		from = Client
	}
	return b.owns(s, from)
}
