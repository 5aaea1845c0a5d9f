package incident

import (
	"math"
	"slices"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// record is what is counted of one key; merge adds what another one of the same key
// has counted.
type record[R any] interface {
	*R
	merge(o *R)
}

// table holds a record for each key, and counts over time beside it if it is timed.
// It is a sum: what it holds in the end depends on what was added, and not on the
// order, or on which of several tables that are merged it was added to.
//
// That holds although its memory is bounded, because there is one order in which
// detail is given up, the level, and each level is a function of what was added: at
// first the busiest keys lose detail in time, down to a least number of instants
// each; then keys go, half of those that are left each time. How far that has to go is
// decided by a cost that adding more never makes less: the number of keys, and their
// instants, where a key that has lost detail costs as many as it may have, however few
// its wider intervals have left (see cost).
type table[R any, P record[R]] struct {
	// keep is the most keys, room the most instants of all keys together; room 0 is a
	// table without counts over time.
	keep, room int
	// least is the least number of instants that a key may have before keys go, steps
	// how many levels give up time and no keys.
	least, steps int

	level int
	index index
	keys  []key
	recs  slab[R]
	// series are the counts over time, by place. Their points lie in store, one key's behind
	// the other's; what was noted lately is in fresh, in the order in which it came, and
	// lifetimes of connections in log, of which taken are in store.
	series []chronicle
	store  []point
	fresh  []noted
	log    *lifetimes
	taken  int
	// side is that of connections by which lifetimes are counted.
	side reassembly.Side
	// byPlace and ends are what sortIn works with.
	byPlace []point
	ends    []uint32
	// order are the places in the order of their keys, if they are known.
	order []int32
	// drops is how often keys went, and those that stayed came to other places; from 1.
	drops uint32
	// last is the key that was asked for last, and its place: connections to one
	// listener come in runs.
	last   key
	lastAt int32
}

// spot is where a key stands, or -1 if it is not kept, until keys go.
type spot struct {
	at    int32
	drops uint32
}

// spot returns a place to be remembered.
func (t *table[R, P]) spot(at int32) spot { return spot{at, t.drops} }

// recall returns a place that was remembered, if it is still right. The zero spot is
// not.
func (t *table[R, P]) recall(p spot) (at int32, ok bool) { return p.at, p.drops == t.drops }

// fewest is the least bound that the widest intervals keep: two of them, before 1970 and
// after it, with every kind in each.
const fewest = 2 * int(kinds)

// noted is something that happened to the key at a place.
type noted struct {
	at    wire.Time
	place uint32
	what  kind
}

// freshOf: one of so many of the instants that there is room for, and at least leastFresh, are
// noted before they are put among the others. That moves all points, so that each is moved
// some four times on its way to a table that is full; to wait longer would cost memory.
const (
	freshOf    = 8
	leastFresh = 64
)

// newTable returns a table of at most keep keys and, if room is not 0, at most room
// instants; room is no less than fewest then.
func newTable[R any, P record[R]](keep, room, least int) table[R, P] {
	t := table[R, P]{keep: keep, room: room, least: max(least, fewest), drops: 1, lastAt: -1}
	for cap := room; cap > t.least; cap /= 2 {
		t.steps++
	}
	return t
}

// perKey is the most instants that one key may have.
func (t *table[R, P]) perKey() int { return max(t.room>>min(t.level, t.steps), t.least) }

// share says which part of the keys is kept: 1 of 1<<share.
func (t *table[R, P]) share() int { return max(t.level-t.steps, 0) }

// kept reports whether the key is one of those that are kept.
func (t *table[R, P]) kept(k *key) bool {
	switch n := t.share(); {
	case n == 0:
		return true
	case n <= 64:
		return k.hash() <= math.MaxUint64>>n
	}
	return false // too many of one hash: somebody made them so
}

// rec returns the record at a place. It stays where it is until keys go.
func (t *table[R, P]) rec(i int32) *R { return t.recs.at(i) }

// at returns the place of a key's record, -1 if the key is not kept. Places change
// with every key that is added.
func (t *table[R, P]) at(k *key) int32 {
	if t.lastAt >= 0 && t.last.is(k) {
		return t.lastAt
	}
	i := t.atBy(k, t.index.number(k))
	if i >= 0 {
		t.last, t.lastAt = *k, i
	}
	return i
}

// atBy is at for those who have the key's number already.
func (t *table[R, P]) atBy(k *key, number uint32) int32 {
	if t.share() > 0 && !t.kept(k) {
		return -1
	}
	i := t.index.findBy(t.keys, k, number)
	if i < 0 {
		i = t.enter(k)
		if len(t.keys) > t.keep {
			t.settle()
			i = t.index.findBy(t.keys, k, number)
		}
	}
	return i
}

// note counts something that happened to the key at a place.
func (t *table[R, P]) note(i int32, at wire.Time, what kind) {
	t.fresh = append(t.fresh, noted{at, uint32(i), what})
}

// full reports whether there are too many keys, or so much was noted that it should be put in
// order.
func (t *table[R, P]) full() bool {
	most := t.room / lifetimesOf
	if t.begun() {
		most = t.room / laterOf
	}
	return len(t.keys) > t.keep || len(t.fresh) >= max(t.room/freshOf, leastFresh) || t.log.len()-t.taken >= max(most, leastFresh)
}

// enter makes a record for a key that has none.
func (t *table[R, P]) enter(k *key) int32 {
	t.keys, t.order = append(t.keys, *k), nil
	t.recs.add()
	if t.room > 0 {
		t.series = append(t.series, chronicle{})
	}
	t.index.add(t.keys)
	return int32(len(t.keys) - 1)
}

// settle puts everything in order, and gives up as much detail as it must.
func (t *table[R, P]) settle() {
	t.sortIn()
	for {
		for len(t.keys) > t.keep {
			t.level = max(t.level, t.steps) + 1
			t.drop()
		}
		cost, most := 0, t.perKey()
		for i := range t.series {
			t.series[i].settle(most)
			cost += t.series[i].cost(most)
		}
		if cost <= t.room {
			break
		}
		t.level++
		t.drop()
	}
	t.pack()
}

// sortIn puts what was noted among the points of its keys: all at once where there are none
// yet, else some at a time, because that is moved once more.
func (t *table[R, P]) sortIn() {
	for {
		from, to := t.taken, t.log.len()
		if from == to && len(t.fresh) == 0 {
			return
		}
		if len(t.store) > 0 {
			to = min(to, from+max(t.room/laterOf, leastFresh))
		}
		t.taken = to
		t.sortPart(from, to)
	}
}

// sortPart puts lifetimes among the points of their keys, and all of fresh.
func (t *table[R, P]) sortPart(from, to int) {
	// By place: how many, where they begin, and there they go, in the order in which they came.
	side := t.side & 1
	t.ends = slices.Grow(t.ends[:0], len(t.keys)+1)
	ends := t.ends[:len(t.keys)+1]
	clear(ends)
	t.log.each(from, to, func(some []lifetime) {
		for i := range some {
			if x := &some[i]; x.places[side] != nowhere {
				ends[x.places[side]+1] += x.points(side)
			}
		}
	})
	for i := range t.fresh {
		ends[t.fresh[i].place+1]++
	}
	for i := range t.keys {
		ends[i+1] += ends[i]
	}
	many := int(ends[len(t.keys)])
	first := len(t.store) == 0
	if first && cap(t.store) < many {
		room := many
		if to-from >= t.room/lifetimesOf {
			// That is why it is done, and as much as there may be will come: at once what that
			// takes, and what is added to it at a time.
			room = max(room, t.room+t.room/laterOf*mostPoints)
		}
		t.store = make([]point, 0, room)
	} else if !first && cap(t.byPlace) < many {
		t.byPlace = make([]point, many+many/4) // the next time it may be a few more
	}
	sorted := t.byPlace
	if first {
		sorted = t.store
	}
	sorted = sorted[:many]
	t.log.each(from, to, func(some []lifetime) {
		for i := range some {
			x := &some[i]
			if x.places[side] == nowhere {
				continue
			}
			at := ends[x.places[side]]
			sorted[at] = pointOf(int64(x.start), x.first, 1)
			at++
			if x.end != 0 {
				sorted[at] = pointOf(int64(x.over), x.end, 1)
				at++
			}
			if x.waits>>side&1 != 0 {
				sorted[at] = pointOf(int64(x.timeWait), timeWait, 1)
				at++
			}
			ends[x.places[side]] = at
		}
	})
	for i := range t.fresh {
		x := &t.fresh[i]
		sorted[ends[x.place]] = pointOf(int64(x.at), x.what, 1)
		ends[x.place]++
	}
	t.fresh = t.fresh[:0]
	if first {
		t.store = sorted
		begin := uint32(0)
		for i, end := range ends[:len(t.keys)] {
			t.series[i].begin(sorted[begin:end:end])
			begin = end
		}
		return
	}
	// From the back, where there is room for them now: each key's points and those that are
	// new in one order.
	n := len(t.store)
	if cap(t.store)-n < many {
		store := make([]point, n, min(n+max(n, many), max(n, t.room)+many))
		copy(store, t.store)
		t.store = store
	}
	t.store = t.store[:n+many]
	back := len(t.store)
	for i := len(t.keys) - 1; i >= 0 && len(sorted) > 0; i-- {
		begin := uint32(0)
		if i > 0 {
			begin = ends[i-1]
		}
		c := &t.series[i]
		back = c.mergeInto(t.store[:back], sorted[begin:])
		sorted = sorted[:begin]
	}
}

// pack moves the points together, one key's behind the other's.
func (t *table[R, P]) pack() {
	n := 0
	for i := range t.series {
		c := &t.series[i]
		to := t.store[n : n+len(c.points) : n+len(c.points)]
		if len(to) > 0 && &to[0] != &c.points[0] {
			copy(to, c.points)
		}
		c.points = to
		n += len(to)
	}
	t.store = t.store[:n]
}

// drop lets the keys go that are not kept. Nothing may be noted that is not put in order.
func (t *table[R, P]) drop() {
	if t.share() == 0 {
		return
	}
	n := 0
	t.order = nil
	t.drops++
	for i := range t.keys {
		k := t.keys[i]
		if !t.kept(&k) {
			continue
		}
		if n != i {
			t.keys[n], *t.rec(int32(n)) = k, *t.rec(int32(i))
			if t.room > 0 {
				t.series[n], t.series[i] = t.series[i], chronicle{}
			}
		}
		n++
	}
	t.recs.cut(n)
	t.keys = t.keys[:n]
	if t.room > 0 {
		clear(t.series[n:])
		t.series = t.series[:n]
	}
	t.index.rebuild(t.keys)
	t.lastAt = -1
}

// begun reports whether anything was put in order.
func (t *table[R, P]) begun() bool { return len(t.store) > 0 || t.taken > 0 }

// merge adds what o holds, and leaves o to be thrown away; those have to settle who call it.
// Unless everything is to be sorted in, the lifetimes of o are left, and it returns the places
// of o's keys, -1 for those that are not kept.
func (t *table[R, P]) merge(o *table[R, P], sortIn bool) []int32 {
	if sortIn {
		o.sortIn()
	}
	if sortIn || o.level > t.level {
		t.sortIn()
	}
	if o.level > t.level {
		t.level = o.level
		t.drop()
	}
	places := make([]int32, len(o.keys))
	for i := range o.keys {
		k := &o.keys[i]
		if places[i] = -1; t.share() > 0 && !t.kept(k) {
			continue
		}
		j := t.index.find(t.keys, k)
		if j < 0 {
			j = t.enter(k)
		}
		places[i] = j
		P(t.rec(j)).merge(o.rec(int32(i)))
	}
	for _, x := range o.fresh {
		if j := places[x.place]; j >= 0 {
			t.fresh = append(t.fresh, noted{x.at, uint32(j), x.what})
		}
	}
	o.fresh, o.byPlace, o.ends = nil, nil, nil
	if len(o.store) == 0 {
		return places
	}
	// from are the places in o of the keys, plus 1.
	from := make([]int32, len(t.keys))
	for i, j := range places {
		if j >= 0 {
			from[j] = int32(i + 1)
		}
	}
	both := make([]point, 0, len(t.store)+len(o.store))
	for j := range t.series {
		c, n := &t.series[j], len(both)
		if from[j] == 0 {
			both = append(both, c.points...)
		} else {
			x := &o.series[from[j]-1]
			for c.shift < x.shift {
				c.widen()
			}
			for x.shift < c.shift {
				x.widen()
			}
			both = appendMerged(both, c.points, x.points)
			both = both[:n+len(unite(both[n:]))]
		}
		c.points = both[n:len(both):len(both)]
	}
	t.store, t.byPlace, t.ends = both, nil, nil
	return places
}

// sorted returns the places of all records, in the order of their keys. It is found out
// once, until keys come or go.
func (t *table[R, P]) sorted() []int32 {
	if len(t.order) == len(t.keys) {
		return t.order
	}
	order := make([]int32, len(t.keys))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int { return t.keys[a].compare(t.keys[b]) })
	t.order = order
	return order
}

// get returns the record of a key, nil if there is none.
func (t *table[R, P]) get(k key) *R {
	if i := t.index.find(t.keys, &k); i >= 0 {
		return t.rec(i)
	}
	return nil
}

// times returns the counts over time of a key, nil if there are none. The table must
// be settled.
func (t *table[R, P]) times(k key) *chronicle {
	if i := t.index.find(t.keys, &k); i >= 0 && t.room > 0 {
		return &t.series[i]
	}
	return nil
}
