package metrics

import (
	"cmp"
	"slices"
	"time"
)

// names says which keys the traffic chose have time series of their own. Each new name
// is a new series that Prometheus keeps for as long as it keeps anything, so names must
// be few at any moment and also change seldom: at most max at a time, and each stays for
// tenure at least. The busiest key gets in where a place is free; where none is, it takes
// that of the idlest, if it is more than twice as busy.
type names[K comparable] struct {
	max    int
	least  uint64 // below which nobody is named
	tenure time.Duration
	since  map[K]time.Time
}

// tenure is how long a name stays at least: with 20 of them, 2,880 series' names a day
// at the very most.
const tenure = 10 * time.Minute

// choose returns the keys that are named now, the busiest first; count is how busy each
// key is. Keys that are named and not in it are idle.
func (n *names[K]) choose(now time.Time, count map[K]uint64, compare func(a, b K) int) []K {
	if n.since == nil {
		n.since = map[K]time.Time{}
	}
	order := func(a, b K) int { return cmp.Or(cmp.Compare(count[b], count[a]), compare(a, b)) }
	var named, rest []K
	for k, since := range n.since {
		if count[k] == 0 && now.Sub(since) >= n.tenure {
			delete(n.since, k)
			continue
		}
		named = append(named, k)
	}
	for k, c := range count {
		if _, is := n.since[k]; !is && c >= n.least {
			rest = append(rest, k)
		}
	}
	slices.SortFunc(rest, order)
	for _, k := range rest {
		if len(named) < n.max {
			named = append(named, k)
			n.since[k] = now
			continue
		}
		// Those in tenure keep their places, however idle.
		i := -1
		for j, held := range named {
			if now.Sub(n.since[held]) >= n.tenure && (i < 0 || order(held, named[i]) > 0) {
				i = j
			}
		}
		if i < 0 || count[k] <= 2*count[named[i]] {
			break // nor is any of the following, which are idler
		}
		delete(n.since, named[i])
		n.since[k] = now
		named[i] = k
	}
	slices.SortFunc(named, order)
	return named
}
