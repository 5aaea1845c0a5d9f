package incident

import (
	"time"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// Config says what hosts are like.
type Config struct {
	// Profile holds the timers and ports of hosts, Networks those of some; see
	// reassembly.Config.
	Profile  reassembly.Profile
	Networks []reassembly.Network
	// Part says how much is kept of what is counted: one in so many of the bounds; 0
	// stands for 1.
	Part int
	// Together, if set, calls functions that change nothing they have in common, as many at
	// once as it likes, and returns when all have returned.
	Together func(all ...func())
	// Seed makes the tables' hashes unpredictable; nothing else depends on it.
	Seed reassembly.Seed
}

// profile returns the profile of a host: that of the longest prefix that holds its
// address, or the default.
func (c *Config) profile(addr wire.Addr, v6 bool) *reassembly.Profile {
	p, bits := &c.Profile, -1
	if len(c.Networks) == 0 {
		return p
	}
	a := addr.Netip(v6)
	for i := range c.Networks {
		if n := &c.Networks[i]; n.Prefix.Bits() > bits && n.Prefix.Contains(a) {
			p, bits = &n.Profile, n.Prefix.Bits()
		}
	}
	return p
}

// Bounds of what is kept, for each of several Sums and for their sum. An ordinary
// capture takes a megabyte; one that is made to reach all of them at once some hundred.
// What is known of single clients of a listener is given up before what is known of the
// listener, because a flood brings as many of them as it likes.
const (
	mostListeners = 8192
	mostTargets   = 8192
	mostClients   = 8192
	mostPairs     = 16384
	mostAttempts  = 32768
	mostPaths     = 4096
	mostHosts     = 4096
	// mostNumbers is a sample that shows a translator: it need not hold all.
	mostNumbers = 8192
	// mostInstants is the number of points in time of all listeners, and of all pairs:
	// two and three for each connection, so some 80,000 connections are exact. At
	// least so many are left to each before keys go: an hour by the quarter of a
	// minute.
	mostInstants  = 1 << 18
	leastInstants = 1 << 9
)

// Sums is what many connections show together. Adding connections in another order, by
// several counters, or in parts that are merged, gives the same. It is not safe for concurrent
// use.
type Sums struct {
	cfg       Config
	own       *Counter // for those who have none
	listeners table[listener, *listener]
	targets   table[target, *target]
	clients   table[client, *client]
	pairs     table[pair, *pair]
	attempts  table[attempt, *attempt]
	paths     table[path, *path]
	hosts     table[host, *host]
	numbers   sample
	// log are lifetimes that the listeners or the pairs have not put in order.
	log lifetimes
	// Connections counts what was added; until is the latest time that any connection
	// was watched.
	connections uint64
	until       wire.Time
	// heard is when each host was last heard, in whichever role; settle finds it out.
	heard map[key]wire.Time
	// seenTwice are the places of those that stand in the capture twice; settle finds them too.
	seenTwice []int32
	// layers names an encapsulation path, while the rules run.
	layers func(wire.EncapID) []string
}

// New returns empty sums.
func New(cfg Config) *Sums { return newSums(cfg, max(cfg.Part, 1)) }

// newSums returns empty sums whose bounds are smaller by a divisor.
func newSums(cfg Config, by int) *Sums {
	s := &Sums{
		cfg:       cfg,
		listeners: newTable[listener](mostListeners/by, mostInstants/by, leastInstants/min(by, 64)),
		targets:   newTable[target](mostTargets/by, 0, 0),
		clients:   newTable[client](mostClients/by, 0, 0),
		pairs:     newTable[pair](mostPairs/by, mostInstants/by, leastInstants/min(by, 64)),
		attempts:  newTable[attempt](mostAttempts/by, 0, 0),
		paths:     newTable[path](mostPaths/by, 0, 0),
		hosts:     newTable[host](mostHosts/by, 0, 0),
		numbers:   sample{keep: mostNumbers / by, seed: cfg.Seed},
	}
	s.listeners.log, s.listeners.side = &s.log, reassembly.Server
	s.pairs.log, s.pairs.side = &s.log, reassembly.Client
	for _, x := range []*index{&s.listeners.index, &s.targets.index, &s.clients.index, &s.pairs.index, &s.attempts.index, &s.paths.index, &s.hosts.index} {
		x.seed = cfg.Seed
	}
	s.own = s.Counter()
	return s
}

// Add is Counter.Add for those who are alone.
func (s *Sums) Add(c *reassembly.Conn, found []finding.Finding, layers []string) {
	if s.own.Add(c, found, layers); s.own.Due() {
		s.own.Count()
	}
}

// relieve puts in order what was noted if that has become much. Keys may go.
func (s *Sums) relieve() {
	if s.listeners.full() || s.pairs.full() {
		s.listeners.settle()
		s.pairs.settle()
		s.forget()
	}
}

// forget lets lifetimes go that all have put in order, and keeps the room for some.
func (s *Sums) forget() {
	if s.listeners.taken == s.log.n && s.pairs.taken == s.log.n {
		s.log.clear(s.pairs.room / laterOf)
		s.listeners.taken, s.pairs.taken = 0, 0
	}
}

// answered counts a connection with its listener.
func (s *Sums) answered(f *facts) {
	k := listenerKey(&f.c.Tuple)
	if i := s.listeners.at(&k); i >= 0 {
		s.listeners.rec(i).add(f)
	}
}

// talked counts an established connection with its pair, listener and client, and over time.
func (s *Sums) talked(f *facts, k *key, number uint32) {
	c := f.c
	pair := s.pairs.atBy(k, number)
	listener, client := s.placesOf(k, pair)
	if listener >= 0 {
		s.listeners.rec(listener).add(f)
		s.listeners.notes(f, listener, reassembly.Server, s.cfg.profile(c.Tuple.Dst, c.Tuple.V6).TimeWait)
	}
	if pair >= 0 {
		s.pairs.rec(pair).add(f)
		s.pairs.notes(f, pair, reassembly.Client, s.cfg.profile(c.Tuple.Src, c.Tuple.V6).TimeWait)
	}
	if client >= 0 {
		s.clients.rec(client).add(f)
	}
	x := f.lifetime()
	s.lives(&x, pair, listener)
	if listener >= 0 && f.timeWaits == [2]bool{true, true} {
		s.listeners.note(listener, f.timeWait[reassembly.Server], timeWait)
	}
	if f.dead || f.stall.to != 0 {
		silent := f.stall.silent
		if f.dead {
			silent = f.death.silent
		}
		k := hostKey(&c.Tuple, silent)
		if i := s.hosts.at(&k); i >= 0 {
			s.hosts.rec(i).add(f)
		}
	}
	if f.concernsPath() {
		k := pathKey(&c.Tuple)
		if i := s.paths.at(&k); i >= 0 {
			s.paths.rec(i).add(f)
		}
	}
}

// lives counts over time what happens to nearly all connections: with the pair and the listener
// at two places, -1 for one that is not kept.
func (s *Sums) lives(x *lifetime, pair, listener int32) {
	if pair >= 0 || listener >= 0 {
		x.places = [2]uint16{reassembly.Client: placeOf(pair), reassembly.Server: placeOf(listener)}
		*s.log.next() = *x
	}
}

// notes counts over time what else happened to a connection and to the endpoint of one side,
// for the key at a place.
func (t *table[R, P]) notes(f *facts, i int32, side reassembly.Side, timeWaits time.Duration) {
	c := f.c
	if f.isOver {
		if f.too != 0 {
			t.note(i, f.tooAt, f.too)
		}
		if cl := &c.Close; cl.Closer == side && (f.crossed || cl.By == "fin" && c.Idle.Closed > 0) {
			t.note(i, cl.At, idled)
		}
	}
	if f.timeWaits[side] {
		from := f.timeWait[side]
		if next := f.reopened(side); next != 0 && next < from.Add(timeWaits) {
			t.note(i, next, reused)
			t.note(i, from.Add(timeWaits), due)
		}
	}
	if w := &f.waits[side]; f.waited[side] && w.long() {
		t.note(i, w.from, stood)
		if !w.open {
			t.note(i, w.to, leftCloseWait)
		}
	}
}

// reopened returns when a side in TIME_WAIT gave its ports to a new connection, 0 if it
// did not: a client when it sent the SYN, a server when it answered it.
func (f *facts) reopened(side reassembly.Side) wire.Time {
	n := &f.c.Next
	switch {
	case n.Frame == 0:
	case n.Opener == side:
		return n.Key.Start
	case n.Answer != 0:
		return n.AnswerAt
	}
	return 0
}

// Merge adds what o holds, and leaves o to be thrown away.
func (s *Sums) Merge(o *Sums) {
	s.own.Count()
	o.own.Count()
	// Where nothing is in order yet, it comes into order once, when all is there.
	begun := s.pairs.begun() || s.listeners.begun() || o.pairs.begun() || o.listeners.begun()
	var pairs, listeners []int32
	s.together(
		func() { pairs = s.pairs.merge(&o.pairs, begun) },
		func() { listeners = s.listeners.merge(&o.listeners, begun) },
		func() { s.attempts.merge(&o.attempts, false); s.attempts.settle() },
		func() { s.numbers.merge(&o.numbers) },
		func() { s.targets.merge(&o.targets, false); s.targets.settle() },
		func() { s.clients.merge(&o.clients, false); s.clients.settle() },
		func() { s.paths.merge(&o.paths, false); s.paths.settle() },
		func() { s.hosts.merge(&o.hosts, false); s.hosts.settle() },
	)
	if begun {
		s.forget()
	} else {
		s.log.join(&o.log, pairs, listeners)
	}
	if s.pairs.full() || s.listeners.full() {
		s.together(s.pairs.settle, s.listeners.settle)
		s.forget()
	}
	s.connections += o.connections
	s.until = max(s.until, o.until)
}

// settle puts everything in order.
func (s *Sums) settle() {
	s.own.Count()
	// The rules read, several at once: what they would find out is found out before.
	s.together(
		func() { s.pairs.settle(); s.pairs.sorted() },
		func() { s.listeners.settle(); s.listeners.sorted() },
		s.attempts.settle,
		func() { s.seenTwice = s.numbers.twice() },
		func() { s.targets.settle(); s.targets.sorted() },
		s.clients.settle,
		func() { s.paths.settle(); s.paths.sorted() },
		func() { s.hosts.settle(); s.hosts.sorted() },
	)
	s.forget()
	s.log.blocks = nil // what comes of them takes enough
	s.heard = map[key]wire.Time{}
	for i, k := range s.listeners.keys {
		s.heard[k.server()] = max(s.heard[k.server()], s.listeners.rec(int32(i)).heard)
	}
	for i, k := range s.clients.keys {
		s.heard[k.turned()] = max(s.heard[k.turned()], s.clients.rec(int32(i)).heard)
	}
}

// byListener is the places of keys by their listener, found out when somebody asks.
type byListener struct{ places map[key][]int32 }

// of returns the places of a listener's keys.
func (by *byListener) of(keys []key, listener key) []int32 {
	if by.places == nil {
		by.places = map[key][]int32{}
		for i, k := range keys {
			by.places[k.listener()] = append(by.places[k.listener()], int32(i))
		}
	}
	return by.places[listener]
}

// together calls functions that change nothing they have in common.
func (s *Sums) together(all ...func()) {
	if s.cfg.Together != nil {
		s.cfg.Together(all...)
		return
	}
	for _, do := range all {
		do()
	}
}
