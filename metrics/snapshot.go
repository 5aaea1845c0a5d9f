package metrics

import (
	"cmp"
	"net/netip"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// Snapshot is how a run stands at one moment. Its states are provisional.
type Snapshot struct {
	// Opened counts the connections that have begun since the start.
	Opened uint64
	// Present is what is counted of the connections that are followed now.
	Present *Present
	// Sources are the inputs, in the order of the command line.
	Sources []Source
	// Dropped and Frozen are the kernel's counts of all sources; valid with Counted.
	Dropped, Frozen uint64
	Counted         bool
	// Gaps counts the gaps of all sources.
	Gaps uint64
}

// Source is what reading one input has shown since the start.
type Source struct {
	// Name is what the command line calls it: of several with one name, the first
	// counts.
	Name string
	// Frames and Bytes count what was read.
	Frames, Bytes uint64
	// Skipped counts frames without a segment, by reason.
	Skipped [wire.SkipCount]uint64
	// Last is the newest frame's time; 0 before the first.
	Last wire.Time
}

// Present counts the connections of one moment, one after the other, in any order.
type Present struct {
	// Hosts says which ports a client has, by its host's profile.
	Hosts Hosts

	connections uint64
	endpoints   [2]stateCounts
	listeners   map[netip.AddrPort]*stateCounts
	pairs       map[pair]*ports
	// Those that had to be summed up because there were too many.
	otherListeners stateCounts
	otherPairs     ports
}

// stateCounts counts endpoints, indexed by reassembly.State.
type stateCounts [reassembly.StateCount]uint64

// pair is a client and the listener that it is connected to.
type pair struct {
	client netip.Addr
	server netip.AddrPort
}

func (p pair) compare(q pair) int {
	return cmp.Or(p.client.Compare(q.client), p.server.Compare(q.server))
}

// ports counts the ports that a client holds.
type ports struct {
	held, waiting uint64
	low, high     uint16 // the lowest and the highest held
}

func (p *ports) add(q *ports) {
	p.held += q.held
	p.waiting += q.waiting
}

const (
	// keysKept bounds the listeners and pairs that are told apart while counting. Beyond
	// twice as many, those with fewer than the median go into one: of a million
	// connections to as many listeners, the busy ones are still told.
	keysKept = 1 << 14
	// namedListeners and namedPairs bound the time series: nine of each listener, three of
	// each pair.
	namedListeners, namedPairs = 20, 10
	// pairLeast is the smallest share of ports that cloud gateways give a host.
	pairLeast = 64
)

// Add counts a connection: its ends, and the states that they are in.
func (p *Present) Add(client, server netip.AddrPort, states [2]reassembly.State) {
	p.connections++
	for side, s := range states {
		p.endpoints[side][s]++
	}
	if s := states[reassembly.Server]; told(s) {
		if p.listeners == nil {
			p.listeners = map[netip.AddrPort]*stateCounts{}
		}
		l := p.listeners[server]
		if l == nil {
			if len(p.listeners) >= 2*keysKept {
				fold(p.listeners, (*stateCounts).sum, p.otherListeners.add)
			}
			l = &stateCounts{}
			p.listeners[server] = l
		}
		l[s]++
	}
	if s := states[reassembly.Client]; told(s) {
		if p.pairs == nil {
			p.pairs = map[pair]*ports{}
		}
		k := pair{client.Addr(), server}
		x := p.pairs[k]
		if x == nil {
			if len(p.pairs) >= 2*keysKept {
				fold(p.pairs, func(x *ports) uint64 { return x.held }, p.otherPairs.add)
			}
			x = &ports{low: client.Port(), high: client.Port()}
			p.pairs[k] = x
		}
		x.held++
		x.low, x.high = min(x.low, client.Port()), max(x.high, client.Port())
		if s == reassembly.TimeWait {
			x.waiting++
		}
	}
}

func (c *stateCounts) sum() (n uint64) {
	for s, x := range c {
		if told(reassembly.State(s)) {
			n += x
		}
	}
	return n
}

func (c *stateCounts) add(o *stateCounts) {
	for s, x := range o {
		c[s] += x
	}
}

// fold takes the smaller half, and at least half of all, out of a table that is full.
func fold[K comparable, V any](table map[K]*V, size func(*V) uint64, into func(*V)) {
	var bySize [64]int // by the logarithm: to find the median, sorting says too much
	log := func(v *V) int {
		n, l := size(v), 0
		for ; n > 1 && l < len(bySize)-1; n >>= 1 {
			l++
		}
		return l
	}
	for _, v := range table {
		bySize[log(v)]++
	}
	limit, below := 0, bySize[0]
	for below < len(table)/2 {
		limit++
		below += bySize[limit]
	}
	excess := len(table) / 2
	for k, v := range table {
		if l := log(v); l < limit || l == limit && excess > 0 {
			into(v)
			delete(table, k)
			excess--
		}
	}
}

// Hosts are the profiles of hosts: Profile is every host's, but for those of Networks,
// of which the one with the longest prefix counts.
type Hosts struct {
	Profile  reassembly.Profile
	Networks []reassembly.Network
}

// ports returns the first and the last of the ports that a client is given.
func (h *Hosts) ports(client netip.Addr) [2]uint16 {
	p, bits := &h.Profile, -1
	for i := range h.Networks {
		if n := &h.Networks[i]; n.Prefix.Bits() > bits && n.Prefix.Contains(client) {
			p, bits = &n.Profile, n.Prefix.Bits()
		}
	}
	if p.Ports == [2]uint16{} {
		return reassembly.Linux.Ports
	}
	return p.Ports
}

// left returns how many ports a client has left towards a listener: those of its
// profile's range less those held. A client that uses others has another range, of
// which no more is known than the lowest and the highest port seen.
func (p *Present) left(k pair, x *ports) uint64 {
	of := p.Hosts.ports(k.client)
	there := uint64(of[1]) - uint64(of[0]) + 1
	if x.low < of[0] || x.high > of[1] {
		there = max(there, uint64(x.high)-uint64(x.low)+1)
	}
	return there - min(x.held, there)
}
