package reassembly

import (
	"cmp"
	"reflect"
	"slices"

	"github.com/tcplife/tcplife/wire"
)

// Memory that a tracker may take is bounded from outside: whoever holds several trackers
// knows how much all of them take, asks each for the standing of its connections, and has
// them let go of those that stand lowest. What a tracker tells for that depends on the
// connections alone, and not on where in memory they are.

// Standing says when a connection has to go, if there is no room for all: half-open ones
// before others, of the same sort those that were silent the longest, and of these the one
// that opened first.
type Standing struct {
	// Open: something has passed behind the opening.
	Open  bool
	Last  wire.Time
	Stamp uint64
}

// Compare orders standings: who must go first comes first. No two connections have the
// same.
func (s Standing) Compare(o Standing) int {
	if s.Open != o.Open {
		if o.Open {
			return -1
		}
		return 1
	}
	if s.Last != o.Last {
		return cmp.Compare(s.Last, o.Last)
	}
	return cmp.Compare(s.Stamp, o.Stamp)
}

// Standings appends that of every connection that is held. Evict goes by it, if nothing is
// fed in between.
func (t *Tracker) Standings(list []Standing) []Standing {
	t.look()
	list = slices.Grow(list, len(t.stood))
	for i := range t.stood {
		list = append(list, t.stood[i].Standing)
	}
	return list
}

// stood is a connection and its standing.
type stood struct {
	Standing
	id uint32
}

// look fills t.stood. Records are taken as they lie: in the order of the table each
// would be waited for.
func (t *Tracker) look() {
	t.stood = slices.Grow(t.stood[:0], t.Open())
	for id := uint32(1); id <= t.briefs.used; id++ {
		if b := t.briefs.at(id); b.n > 0 {
			t.stood = append(t.stood, stood{Standing{b.has(briefOpen), b.last, b.stamp}, id | briefBit})
		}
	}
	for id := uint32(1); id <= t.lones.used; id++ {
		if l := t.lones.at(id); l.is&loneHeld != 0 {
			t.stood = append(t.stood, stood{Standing{false, l.start, l.stamp}, id | loneBit})
		}
	}
	for id := uint32(1); id <= t.recs.used; id++ {
		if r := t.recs.at(id); r.released || r.newer != 0 {
			continue
		}
		// The lives of a tuple one after the other, the newest first: older ones go with it.
		for rec := id; rec != 0; rec = t.recs.at(rec).older {
			r := t.recs.at(rec)
			t.stood = append(t.stood, stood{Standing{r.state != stateAttempt, r.last, r.stamp}, rec})
		}
	}
}

// EvictUpTo lets all connections go that stand no higher than the given one, as of the
// time that Advance was told last; Standings must have been called before, and nothing else
// since.
func (t *Tracker) EvictUpTo(highest Standing) {
	for i := range t.stood {
		if t.stood[i].Compare(highest) <= 0 {
			t.evict(t.stood[i].id, t.clock)
		}
	}
	t.stood = t.stood[:0]
}

// evict lets a connection go early, if it has not gone with a newer life of its tuple. What
// still comes for one that was not closed goes on under its key, as a connection of its own
// (see Conn.Key).
func (t *Tracker) evict(id uint32, now wire.Time) {
	if id&shortBits != 0 {
		open := id&loneBit != 0 || !t.briefs.at(id&^briefBit).has(briefClosed)
		t.settleBrief(id, EndedEvicted, now)
		if open {
			t.tombs.evicted()
		}
		return
	}
	r := t.recs.at(id)
	if r.released {
		return
	}
	why, open := EndedEvicted, r.newer == 0 && (r.state == stateAttempt || r.state == stateOpen)
	if r.replaced {
		why = EndedReused
	}
	t.settle(id, why, now)
	if open {
		t.tombs.evicted()
	}
}

// Held is what a tracker holds.
type Held struct {
	// Open counts connections, Buried those that have left and are remembered.
	Open, Buried int
	// Octets is what both take, tables included.
	Octets int
}

// Add adds what another tracker holds.
func (h *Held) Add(o Held) {
	h.Open, h.Buried, h.Octets = h.Open+o.Open, h.Buried+o.Buried, h.Octets+o.Octets
}

// perSlot is what a connection takes of a table that is between a third and three quarters
// full, perName what it takes of lists that name it.
var perSlot, perName = 2 * octets[slot](), 2 * 4

// TombOctets is what is counted in Held for a connection that is only remembered, but for
// what few of them need.
var TombOctets = octets[tomb]() + perSlot

// octets is the size of a value.
func octets[T any]() int { return int(reflect.TypeFor[T]().Size()) }

// Held returns what the tracker holds. It goes by what is in use, so that it is the same
// however the connections are spread over trackers.
func (t *Tracker) Held() Held {
	h := Held{Open: t.Open(), Buried: t.tombs.queue.count}
	h.Octets = h.Open*(perSlot+perName) + h.Buried*TombOctets +
		t.recs.live()*octets[record]() + t.briefs.live()*octets[brief]() + t.lones.live()*octets[lone]() +
		t.entries.live()*octets[entries]() + t.blocks.live()*octets[block]() +
		t.helds.live()*octets[heldEvents]() + t.extents.live()*octets[extent]() + t.holeOctets +
		t.icmps.live()*octets[icmpNote]() + t.origins.live()*octets[origin]() +
		t.tombs.mores.live()*octets[tombMore]() + t.tombs.lates.live()*octets[Late]()
	return h
}

// Graves counts connections that are remembered until the same time.
type Graves struct {
	Until wire.Time
	N     int
}

// Graves appends how many connections that have left are remembered until when, the first
// first. Advance must have been told the time since they left.
func (t *Tracker) Graves(list []Graves) []Graves {
	q := &t.tombs.graves
	for n, i := q.count, q.oldest; n > 0; n, i = n-1, q.after(i) {
		list = append(list, *q.at(i))
	}
	return list
}

// Forget forgets all connections that would be remembered no longer than until. What comes
// for them is no more told apart from what comes for others. It returns how many.
func (t *Tracker) Forget(until wire.Time) (n int) { return t.tombs.forget(until) }

// evicted remembers of the connection buried last that it had not come to its end.
func (ts *tombs) evicted() { ts.queue.at(ts.queue.newest).flags |= tombEvicted }

// goesOn reports whether a segment of a tuple continues the connection that had to leave
// it early: everything does but the SYN of another one.
func (ts *tombs) goesOn(i uint32, s *wire.Segment, swapped bool) bool {
	b := ts.queue.at(i)
	if !b.has(tombEvicted) || s.At > ts.expires(b) {
		return false
	}
	return s.Flags&(wire.SYN|wire.ACK|wire.RST) != wire.SYN || b.side(swapped) == Client && s.Seq == ts.rest(b).firstSeq && b.roleBy() == RoleBySYN
}

// origin is what a connection is named by that goes on after it was evicted.
type origin struct {
	start wire.Time
	seq   wire.Seq
}

// resume begins the rest of a connection that had to leave early.
func (t *Tracker) resume(i uint32, s *wire.Segment, key *tupleKey, hash uint64) uint32 {
	b := t.tombs.queue.at(i)
	rec := t.recs.get()
	r := t.recs.at(rec)
	*r = record{key: *key, hash: hash, start: s.At, last: s.At, first: s.Frame, firstSeq: s.Seq, carrier: s.Carrier}
	r.roleBy, r.clientIsLow = b.roleBy(), b.has(tombClientIsLow)
	if s.Flags&wire.SYN == 0 {
		r.state = stateOpen
	}
	r.origin = t.origins.get()
	*t.origins.at(r.origin) = origin{b.start, t.tombs.rest(b).firstSeq}
	t.table.insert(hash, rec)
	t.tag(rec, key, hash)
	r.stamp = t.cfg.Opened()
	return rec
}

// named returns what the uid of a record's connection is made of, besides its tuple.
func (t *Tracker) named(r *record) origin {
	if r.origin != 0 {
		return *t.origins.at(r.origin)
	}
	return origin{r.start, r.firstSeq}
}
