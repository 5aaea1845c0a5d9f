package census

import (
	"cmp"
	"net/netip"
	"time"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// Counts is how many endpoints stand in each state, indexed by reassembly.State.
// CLOSED counts those that were seen before and are no more; LISTEN counts
// listening sockets, an address and a port each.
type Counts [reassembly.StateCount]uint64

// Sockets returns how many endpoints have a peer: the lines that netstat prints
// without -l.
func (c *Counts) Sockets() (n uint64) {
	for s := range c {
		if socket(reassembly.State(s)) {
			n += c[s]
		}
	}
	return n
}

// Open returns how many endpoints are in the states that a server's application or
// its host still serves: synchronized, and not in TIME_WAIT.
func (c *Counts) Open() (n uint64) {
	for s := range c {
		if open(reassembly.State(s)) {
			n += c[s]
		}
	}
	return n
}

// Bounds of what a census keeps. Together they hold it below some 100 MB whatever
// the capture; an ordinary one takes a few.
const (
	// maxPoints is the number of changes, of all curves together, beyond which they
	// are coarsened: 16 octets each, and up to as much again unsorted.
	maxPoints = 1 << 20
	// maxCurve is the most changes that one curve keeps: those of 30,000 connections
	// are exact. minCurve is the least that it is coarsened to: more than a terminal
	// has columns.
	maxCurve, minCurve = 1 << 16, 64
	// keysKept is how many hosts, listeners and clients of listeners are kept apart
	// when there are twice as many, manyKept the same where each has eleven curves.
	keysKept, manyKept = 2048, 512
	// maxListeners bounds the sockets of which it is known that they listen.
	maxListeners = 1 << 16
	// MaxMoments is how many instants can be asked for: each costs 88 octets for each
	// host, listener and client.
	MaxMoments = 32
	// maxRows bounds the instants of a count over time; a longer one has its steps
	// doubled.
	maxRows = 100_000
)

// Config says what to count.
type Config struct {
	// At are the instants to count at, besides the end.
	At []wire.Time
	// Every is the step of counts over time, at its multiples since 1970; 0 for none.
	Every time.Duration
	// Top is how many hosts, listeners, and clients of a listener are told apart;
	// the others are summed up.
	Top int
}

// Census counts endpoints, one connection after the other, in any order.
type Census struct {
	cfg       Config
	moments   []wire.Time // cfg.At and Forever
	budget    budget
	calm      int // the number of points beyond which all curves are settled
	all       tally
	states    [reassembly.StateCount]curve // exact, for the peaks
	hosts     table[netip.Addr]
	listeners table[netip.AddrPort]
	clients   table[clientOf]
	listening map[netip.AddrPort]*listening
}

// clientOf is a host that talks to a listener.
type clientOf struct {
	client netip.Addr
	server netip.AddrPort
}

func (a clientOf) compare(b clientOf) int {
	return cmp.Or(a.server.Compare(b.server), a.client.Compare(b.client))
}

// listening says when a server was seen to answer SYNs, and to refuse them: the
// first and the last time of each.
type listening struct {
	first, last            wire.Time
	refusedFrom, refusedTo wire.Time
	answers, refusals      bool
}

// New returns an empty census.
func New(cfg Config) *Census {
	c := &Census{cfg: cfg, moments: append(append([]wire.Time{}, cfg.At...), Forever), budget: budget{limit: maxCurve}, calm: maxPoints,
		listening: map[netip.AddrPort]*listening{}}
	keep := keysKept
	if cfg.Every > 0 {
		keep = manyKept
	}
	series := cfg.Every > 0
	c.all.series = c.newSeries(series)
	c.all.counts = make([]Counts, len(c.moments))
	c.hosts = table[netip.Addr]{keep: keep, series: series, compare: netip.Addr.Compare}
	c.listeners = table[netip.AddrPort]{keep: keep, series: series, compare: netip.AddrPort.Compare}
	c.clients = table[clientOf]{keep: keep, compare: clientOf.compare}
	return c
}

func (c *Census) newSeries(wanted bool) *series {
	if !wanted {
		return nil
	}
	s := new(series)
	for i := range s {
		s[i].width = int64(c.cfg.Every)
	}
	return s
}

// Add counts one connection. It keeps nothing of l.
func (c *Census) Add(l *Life) {
	hosts := [2]*tally{c.hosts.get(c, l.Client.Addr()), c.hosts.get(c, l.Server.Addr())}
	var listener, client *tally
	if len(l.Sides[reassembly.Server]) > 0 {
		listener = c.listeners.get(c, l.Server)
		client = c.clients.get(c, clientOf{l.Client.Addr(), l.Server})
	}
	c.all.connections++
	for side, host := range hosts {
		if side == 0 || host != hosts[0] {
			host.connections++
		}
		sockets, opens := run{is: socket}, run{is: open}
		l.stays(reassembly.Side(side), func(s reassembly.State, from, to wire.Time) {
			if socket(s) {
				c.states[s].span(from, to, &c.budget)
			}
			c.all.stay(c, s, from, to)
			host.stay(c, s, from, to)
			c.held(sockets.next(s, from, to), &c.all, host)
			if side == int(reassembly.Server) {
				listener.stay(c, s, from, to)
				client.stay(c, s, from, to)
				c.held(opens.next(s, from, to), listener, client)
			}
		})
		c.held(sockets.interval, &c.all, host)
		if side == int(reassembly.Server) {
			c.held(opens.interval, listener, client)
		}
	}
	if listener != nil {
		listener.connections++
		client.connections++
	}
	c.listen(l)
	c.hosts.prune(c)
	c.listeners.prune(c)
	c.clients.prune(c)
	c.coarsen()
}

// interval is a span of time, without its end; the zero value is empty.
type interval struct{ from, to wire.Time }

// run joins the stays that follow each other in states of one kind: a connection
// changes its state ten times, and is a socket once.
type run struct {
	is func(s reassembly.State) bool
	interval
}

// next takes the next stay, and returns what was joined if that has come to its end.
func (r *run) next(s reassembly.State, from, to wire.Time) (over interval) {
	switch {
	case !r.is(s):
		over, r.interval = r.interval, interval{}
	case r.from < r.to && r.to == from:
		r.to = to
	default:
		over, r.interval = r.interval, interval{from, to}
	}
	return over
}

// held counts a socket, or an open connection.
func (c *Census) held(v interval, of ...*tally) {
	if v.from >= v.to {
		return
	}
	for _, t := range of {
		t.held.span(v.from, v.to, &c.budget)
	}
}

// listen takes note of what a connection shows of the socket it was meant for.
func (c *Census) listen(l *Life) {
	if l.Answered == Forever && l.Refused == Forever {
		return
	}
	x := c.listening[l.Server]
	if x == nil {
		if len(c.listening) >= maxListeners {
			// Of ports that only ever refused, as a scan shows them, nothing will be told.
			for k, y := range c.listening {
				if !y.answers {
					delete(c.listening, k)
				}
			}
			if len(c.listening) >= maxListeners {
				return
			}
		}
		x = &listening{}
		c.listening[l.Server] = x
	}
	if at := l.Answered; at != Forever {
		if !x.answers {
			x.first, x.last, x.answers = at, at, true
		}
		x.first, x.last = min(x.first, at), max(x.last, at)
	}
	if at := l.Refused; at != Forever {
		if !x.refusals {
			x.refusedFrom, x.refusedTo, x.refusals = at, at, true
		}
		x.refusedFrom, x.refusedTo = min(x.refusedFrom, at), max(x.refusedTo, at)
	}
}

// span returns from when up to when a socket is taken to listen: from the first SYN
// that it answered, to the end, or to the refusal that shows that it is closed.
func (x *listening) span() (from, to wire.Time) {
	switch {
	case !x.refusals || x.refusedTo <= x.last:
		return x.first, Forever
	case x.refusedFrom > x.last:
		return x.first, x.refusedFrom
	}
	// It was closed, opened and closed again: open at its last answer, and closed at
	// some time behind it.
	return x.first, x.last + 1
}

// coarsen keeps the curves within the budget.
func (c *Census) coarsen() {
	if c.budget.points <= c.calm {
		return
	}
	c.settle()
	for c.budget.points > maxPoints/2 && c.budget.limit > minCurve {
		c.budget.limit /= 2
		c.settle()
	}
	c.calm = max(maxPoints, 2*c.budget.points)
}

// settle puts all curves in order.
func (c *Census) settle() {
	for i := range c.states {
		c.states[i].settle(&c.budget)
	}
	c.all.settle(&c.budget)
	c.hosts.settle(&c.budget)
	c.listeners.settle(&c.budget)
	c.clients.settle(&c.budget)
}
