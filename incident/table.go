package incident

import (
	"math"
	"slices"

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

	level  int
	index  index
	keys   []key
	recs   []R
	series []chronicle
	// order are the places in the order of their keys, if they are known.
	order []int32
	// points is the number of instants, those not yet put in order too; beyond calm
	// all are put in order.
	points, calm int
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

// calmOf: one of so many of the instants that there is room for may come before all is put in
// order anew. That looks at each key once, and few of them have changed, so it costs little
// for each instant; to wait longer would cost memory.
const calmOf = 4

// newTable returns a table of at most keep keys and, if room is not 0, at most room
// instants; room is no less than fewest then.
func newTable[R any, P record[R]](keep, room, least int) table[R, P] {
	t := table[R, P]{keep: keep, room: room, least: max(least, fewest), calm: room + room/calmOf, drops: 1, lastAt: -1}
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

// at returns the place of a key's record, -1 if the key is not kept. Places change
// with every key that is added.
func (t *table[R, P]) at(k *key) int32 {
	if t.lastAt >= 0 && t.last.is(k) {
		return t.lastAt
	}
	if t.share() > 0 && !t.kept(k) {
		return -1
	}
	i := t.index.find(t.keys, k)
	if i < 0 {
		i = int32(len(t.keys))
		t.keys, t.order = append(t.keys, *k), nil
		var none R
		t.recs = append(t.recs, none)
		if t.room > 0 {
			t.series = append(t.series, chronicle{})
		}
		t.index.add(t.keys)
		if len(t.keys) > t.keep {
			t.settle()
			if i = t.index.find(t.keys, k); i < 0 {
				return -1
			}
		}
	}
	t.last, t.lastAt = *k, i
	return i
}

// note counts something that happened to the key at a place.
func (t *table[R, P]) note(i int32, at wire.Time, what kind) {
	s := &t.series[i]
	before := len(s.points)
	s.add(at, what, t.perKey())
	t.points += len(s.points) - before
	if t.points > t.calm {
		t.settle()
	}
}

// settle puts everything in order, and gives up as much detail as it must.
func (t *table[R, P]) settle() {
	for {
		for len(t.keys) > t.keep {
			t.level = max(t.level, t.steps) + 1
			t.drop()
		}
		t.points = 0
		cost, most := 0, t.perKey()
		for i := range t.series {
			t.series[i].settle(most)
			t.points += len(t.series[i].points)
			cost += t.series[i].cost(most)
		}
		if cost <= t.room {
			break
		}
		t.level++
		t.drop()
	}
	t.calm = t.points + max(t.room/calmOf, 1)
}

// drop lets the keys go that are not kept.
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
			t.keys[n], t.recs[n] = k, t.recs[i]
			if t.room > 0 {
				t.series[n], t.series[i] = t.series[i], chronicle{}
			}
		}
		n++
	}
	clear(t.recs[n:])
	t.keys, t.recs = t.keys[:n], t.recs[:n]
	if t.room > 0 {
		clear(t.series[n:])
		t.series = t.series[:n]
	}
	t.index.rebuild(t.keys)
	t.lastAt = -1
}

// merge adds what o holds.
func (t *table[R, P]) merge(o *table[R, P]) {
	if o.level > t.level {
		t.level = o.level
		t.drop()
	}
	for i := range o.keys {
		j := t.at(&o.keys[i])
		if j < 0 {
			continue
		}
		P(&t.recs[j]).merge(&o.recs[i])
		if t.room > 0 {
			before := len(t.series[j].points)
			t.series[j].merge(&o.series[i])
			t.points += len(t.series[j].points) - before
		}
	}
	t.settle()
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
		return &t.recs[i]
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
