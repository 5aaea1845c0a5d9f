package census

import (
	"cmp"
	"slices"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// series is the counts of each state over time.
type series [reassembly.StateCount]curve

// tally is what is counted of all endpoints, or of those of one host, listener, or
// client of a listener.
type tally struct {
	connections uint64
	// counts are those at the census's moments.
	counts []Counts
	// held is the number of sockets, of a listener and its clients that of open
	// connections.
	held   curve
	series *series // nil when nobody asked for it
	most   uint64  // held's peak, while sorting by it
}

// stay counts that one endpoint was in a state for some time.
func (t *tally) stay(c *Census, s reassembly.State, from, to wire.Time) {
	for i, at := range c.moments {
		if from <= at && (at < to || to == Forever) {
			t.counts[i][s]++
		}
	}
	if t.series != nil {
		t.series[s].span(from, to, &c.budget)
	}
}

func (t *tally) settle(b *budget) {
	t.held.settle(b)
	if t.series != nil {
		for i := range t.series {
			t.series[i].settle(b)
		}
	}
}

// absorb adds what o has counted and empties it.
func (t *tally) absorb(o *tally, every int64, b *budget) {
	t.connections += o.connections
	for i := range o.counts {
		for s, n := range o.counts[i] {
			t.counts[i][s] += n
		}
	}
	t.held.merge(&o.held, 0, b)
	if t.series != nil {
		for i := range t.series {
			t.series[i].merge(&o.series[i], every, b)
		}
	}
	o.connections = 0
	clear(o.counts)
}

// table is the tallies by some key. Its memory is bounded: when there are twice as
// many keys as it keeps, those with the fewest connections go into one. A key that
// comes again after that begins anew, so what is said of it is a part; the sums stay
// right, and so does everything as long as there are not so many keys.
type table[K comparable] struct {
	keep    int
	series  bool
	compare func(a, b K) int
	tallies map[K]*tally
	// others is what went into one, of how many tallies; nil if there was no need.
	// Once pruned, some of them may be one key's that came again.
	others *tally
	folded uint64
	pruned bool
	// spare are empty tallies: in a flood each address comes once.
	spare []*tally
}

// get returns a key's tally.
func (t *table[K]) get(c *Census, k K) *tally {
	x := t.tallies[k]
	if x == nil {
		if t.tallies == nil {
			t.tallies = map[K]*tally{}
		}
		x = t.empty(c)
		t.tallies[k] = x
	}
	return x
}

func (t *table[K]) empty(c *Census) *tally {
	if n := len(t.spare); n > 0 {
		x := t.spare[n-1]
		t.spare = t.spare[:n-1]
		return x
	}
	return &tally{counts: make([]Counts, len(c.moments)), series: c.newSeries(t.series)}
}

// prune folds the small ones when there are too many.
func (t *table[K]) prune(c *Census) {
	if len(t.tallies) < 2*t.keep {
		return
	}
	keys := t.sorted(func(a, b *tally) int { return cmp.Compare(b.connections, a.connections) })
	t.fold(c, keys[t.keep:])
	t.pruned = true
}

// fold puts the tallies of some keys into one.
func (t *table[K]) fold(c *Census, keys []K) {
	if len(keys) == 0 {
		return
	}
	if t.others == nil {
		t.others = t.empty(c)
	}
	for _, k := range keys {
		t.others.absorb(t.tallies[k], int64(c.cfg.Every), &c.budget)
		t.spare = append(t.spare, t.tallies[k])
		delete(t.tallies, k)
		t.folded++
	}
}

// sorted returns the keys in an order, equal ones by key.
func (t *table[K]) sorted(order func(a, b *tally) int) []K {
	type pair struct {
		k K
		t *tally
	}
	pairs := make([]pair, 0, len(t.tallies))
	for k, x := range t.tallies {
		pairs = append(pairs, pair{k, x})
	}
	slices.SortFunc(pairs, func(a, b pair) int { return cmp.Or(order(a.t, b.t), t.compare(a.k, b.k)) })
	keys := make([]K, len(pairs))
	for i := range pairs {
		keys[i] = pairs[i].k
	}
	return keys
}

func (t *table[K]) settle(b *budget) {
	for _, x := range t.tallies {
		x.settle(b)
	}
	if t.others != nil {
		t.others.settle(b)
	}
}
