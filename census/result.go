package census

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// Result is what a census has counted.
type Result struct {
	// All counts every endpoint; its peak is that of sockets.
	All Tally
	// States are the peaks of each state; that of CLOSED means nothing.
	States [reassembly.StateCount]Peak
	// Hosts and Listeners are the busiest, by their peak; OtherHosts and
	// OtherListeners sum up those that were left out, nil if there were none.
	Hosts                      []Host
	Listeners                  []Listener
	OtherHosts, OtherListeners *Others
}

// Tally is what was counted of some endpoints.
type Tally struct {
	// Connections is how many connections had one of them.
	Connections uint64
	// At are the counts at the instants asked for, in the order of Config.At, and at
	// the end.
	At []Counts
	// Peak is the highest number of sockets or, of a listener and its clients, of
	// open connections.
	Peak Peak
	// Step is the time between the counts over time, 0 if there are none: what was
	// asked for, or a multiple of it where that was too fine to be kept.
	Step   time.Duration
	series *series
}

// Host is one address.
type Host struct {
	Addr netip.Addr
	Tally
}

// Listener is one socket that answered SYNs, or would have.
type Listener struct {
	Addr netip.AddrPort
	Tally
	// Clients are those with the most open connections at once; OtherClients sums up
	// the rest without a peak, nil if there is none. Their counts are those of the
	// listener's endpoints.
	Clients      []Host
	OtherClients *Others
}

// Others sums up what is not told apart.
type Others struct {
	Tally
	// Keys is how many hosts, listeners or clients these are; 0 when there were too
	// many to know.
	Keys uint64
}

// Result ends the census: the input covers the time from first to last. It can be
// called once.
func (c *Census) Result(first, last wire.Time) *Result {
	if c.cfg.Every > 0 {
		c.addListeners()
	}
	c.countListeners()
	c.settle()
	r := &Result{All: c.all.result(first, last)}
	for s := range c.states {
		r.States[s] = c.states[s].peak()
	}

	for _, k := range c.hosts.top(c) {
		r.Hosts = append(r.Hosts, Host{k, c.hosts.tallies[k].result(first, last)})
	}
	r.OtherHosts = c.hosts.rest(first, last)

	clients := map[netip.AddrPort][]clientOf{}
	for _, k := range c.listeners.top(c) {
		r.Listeners = append(r.Listeners, Listener{Addr: k, Tally: c.listeners.tallies[k].result(first, last)})
		clients[k] = nil
	}
	r.OtherListeners = c.listeners.rest(first, last)
	for _, k := range c.clients.busiest() {
		if of, wanted := clients[k.server]; wanted {
			clients[k.server] = append(of, k)
		}
	}
	for i := range r.Listeners {
		l := &r.Listeners[i]
		l.tellClients(clients[l.Addr], c, first, last)
	}
	return r
}

// tellClients fills in a listener's clients, the busiest first.
func (l *Listener) tellClients(keys []clientOf, c *Census, first, last wire.Time) {
	left := Others{Tally: Tally{Connections: l.Connections, At: slices.Clone(l.At)}}
	for i := range left.At {
		left.At[i][reassembly.Listen] = 0 // which is nobody's client
	}
	for i, k := range keys {
		if i == c.cfg.Top {
			if !c.clients.pruned {
				left.Keys = uint64(len(keys) - i)
			}
			break
		}
		t := c.clients.tallies[k].result(first, last)
		l.Clients = append(l.Clients, Host{k.client, t})
		// What is not told apart is what the listener has beyond these. Its peak would
		// need the others' own counts, which may be gone.
		left.Connections -= t.Connections
		for i := range t.At {
			for s, n := range t.At[i] {
				left.At[i][s] -= n
			}
		}
	}
	if left.Connections > 0 {
		l.OtherClients = &left
	}
}

// busiest returns the keys by the peaks of their settled curves, then by
// connections.
func (t *table[K]) busiest() []K {
	for _, x := range t.tallies {
		x.most = x.held.peak().Count
	}
	return t.sorted(func(a, b *tally) int {
		return cmp.Or(cmp.Compare(b.most, a.most), cmp.Compare(b.connections, a.connections))
	})
}

// top returns the busiest keys and folds the others into one.
func (t *table[K]) top(c *Census) []K {
	keys := t.busiest()
	n := min(len(keys), c.cfg.Top)
	t.fold(c, keys[n:])
	if t.others != nil {
		t.others.settle(&c.budget)
	}
	return keys[:n]
}

// rest returns what was folded, nil if nothing was.
func (t *table[K]) rest(first, last wire.Time) *Others {
	if t.others == nil {
		return nil
	}
	keys := t.folded
	if t.pruned {
		keys = 0
	}
	return &Others{t.others.result(first, last), keys}
}

// addListeners adds what listens to the counts over time. Those of hosts and
// listeners that are no longer kept apart have none.
func (c *Census) addListeners() {
	const s = reassembly.Listen
	for at, x := range c.listening {
		if !x.answers {
			continue
		}
		from, to := x.span()
		c.all.series[s].span(from, to, &c.budget)
		if t := c.hosts.tallies[at.Addr()]; t != nil {
			t.series[s].span(from, to, &c.budget)
		}
		if t := c.listeners.tallies[at]; t != nil {
			t.series[s].span(from, to, &c.budget)
		}
	}
}

// countListeners counts what listens at the census's moments, and its peak.
func (c *Census) countListeners() {
	const s = reassembly.Listen
	for addr, x := range c.listening {
		if !x.answers {
			continue
		}
		from, to := x.span()
		c.states[s].span(from, to, &c.budget)
		host, listener := c.hosts.tallies[addr.Addr()], c.listeners.tallies[addr]
		for i, at := range c.moments {
			if from > at || at >= to && to != Forever {
				continue
			}
			c.all.counts[i][s]++
			if host != nil {
				host.counts[i][s]++
			}
			if listener != nil {
				listener.counts[i][s]++
			}
		}
	}
}

func (t *tally) result(first, last wire.Time) Tally {
	r := Tally{Connections: t.connections, At: t.counts, Peak: t.held.peak(), series: t.series}
	if t.series == nil {
		return r
	}
	for i := range t.series {
		r.Step = max(r.Step, time.Duration(t.series[i].width))
	}
	for r.Step < 1<<61 && uint64(last-first)/uint64(r.Step) > maxRows {
		r.Step *= 2
	}
	return r
}

// Rows calls do with the counts at each multiple of Step from first to last.
func (t *Tally) Rows(first, last wire.Time, do func(at wire.Time, n *Counts)) {
	if t.Step <= 0 {
		return
	}
	var along [reassembly.StateCount]reading
	for s := range along {
		along[s].k = &t.series[s]
	}
	var n Counts
	for at := roundUp(first, int64(t.Step)); at <= last; at += wire.Time(t.Step) {
		for s := range along {
			n[s] = along[s].at(at)
		}
		do(at, &n)
		if at > Forever-1-wire.Time(t.Step) {
			return
		}
	}
}
