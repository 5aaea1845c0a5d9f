package incident

import (
	"time"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// pair is what is counted of a client and a listener with established connections. What every
// connection changes fills the first two lines of the cache, but for the examples, of which it
// needs no more than how they begin.
type pair struct {
	// opened counts connections, clientWaits and serverWaits the endpoints that came into
	// TIME_WAIT.
	opened, clientWaits, serverWaits uint32
	// closed counts their ends by kind.
	closed [forgotten + 1]uint32
	// listener and client are where those are counted, while that is known.
	listener, client spot
	// lived is the time of all connections that are over from SYN to close, in
	// nanoseconds; first and last are the first SYN and the last segment.
	lived       uint64
	first, last wire.Time
	// low and high are the lowest and the highest of the client's even and odd ports,
	// 0 before there is one: Linux takes those of one parity first.
	low, high [2]uint16
	// highAt and lowAt are when those ports were used first. Many hosts take one port after
	// the other, so that most are the highest so far.
	highAt [2]wire.Time
	some   examples
	lowAt  [2]wire.Time
	// idles is how many connections survived a silence (see reassembly.Idle), refused how
	// many there were whose ports somebody still remembered.
	idles, refused uint32
	// longest is the longest silence that a connection survived.
	longest time.Duration
	// reuses are the times from a connection's last segment to the next one's SYN from
	// the same port.
	reuses *spread
	// So that each pair begins where a line does.
	_ [pairSize - 320]byte
}

// pairSize is a multiple of a line of the cache.
const pairSize = 6 * 64

// portUse is a port and when it was used first; the zero value is none.
type portUse struct {
	port uint16
	at   wire.Time
}

// lower returns the lower port, at its first use.
func (a portUse) lower(b portUse) portUse {
	if a.port == 0 || b.port != 0 && b.port < a.port || b.port == a.port && b.at < a.at {
		return b
	}
	return a
}

// higher returns the higher port, at its first use.
func (a portUse) higher(b portUse) portUse {
	if b.port > a.port || b.port == a.port && b.at < a.at {
		return b
	}
	return a
}

// lowest and highest return the lowest and the highest of the client's even, or odd, ports.
func (p *pair) lowest(odd int) portUse  { return portUse{p.low[odd], p.lowAt[odd]} }
func (p *pair) highest(odd int) portUse { return portUse{p.high[odd], p.highAt[odd]} }

func (p *pair) setLowest(odd int, u portUse)  { p.low[odd], p.lowAt[odd] = u.port, u.at }
func (p *pair) setHighest(odd int, u portUse) { p.high[odd], p.highAt[odd] = u.port, u.at }

// ports returns the lowest and the highest port of the client, and when it had
// reached both ends of what it uses, with ports of one parity or the other.
func (p *pair) ports() (low, high uint16, both wire.Time) {
	l, h := p.lowest(0).lower(p.lowest(1)), p.highest(0).higher(p.highest(1))
	lowAt, highAt := l.at, h.at
	for odd := range p.low {
		if x := p.lowest(odd); x.port != 0 && x.port-l.port <= 1 {
			lowAt = min(lowAt, x.at)
		}
		if x := p.highest(odd); x.port != 0 && h.port-x.port <= 1 {
			highAt = min(highAt, x.at)
		}
	}
	return l.port, h.port, max(lowAt, highAt)
}

func (p *pair) add(f *facts) {
	c := f.c
	p.use(c.Tuple.SrcPort, c.Start, c.End)
	p.some.add(c.First, f)
	if f.timeWaits[reassembly.Client] {
		p.clientWaits++
	}
	if f.timeWaits[reassembly.Server] {
		p.serverWaits++
	}
	if f.isOver {
		p.over(f.end, c.Close.At.Sub(c.Start))
	}
	if q := &c.Previous; *q != (reassembly.Incarnation{}) && q.Opener == reassembly.Client {
		addSpread(&p.reuses, max(c.Start.Sub(q.Last), 0))
	}
	for i := range f.signs {
		switch f.signs[i].number {
		case "W02", "W03", "W08", "W10", "W12", "H20":
			p.refused++
		}
	}
	if d := c.Idle.Survived; d > 0 {
		p.longest = max(p.longest, d)
		p.idles++
	}
}

// use counts that the client opened a connection from a port, and when that began and ended.
func (p *pair) use(port uint16, from, to wire.Time) {
	odd := int(port & 1)
	if p.low[odd] == 0 || port <= p.low[odd] {
		p.setLowest(odd, p.lowest(odd).lower(portUse{port, from}))
	}
	if port >= p.high[odd] {
		p.setHighest(odd, p.highest(odd).higher(portUse{port, from}))
	}
	if p.opened == 0 {
		p.first = from
	}
	p.opened++
	p.first, p.last = min(p.first, from), max(p.last, to)
}

// over counts an end, and how long the connection had been there.
func (p *pair) over(end kind, lived time.Duration) {
	p.closed[end]++
	p.lived += uint64(max(lived, 0))
}

func (p *pair) merge(o *pair) {
	if o.opened > 0 {
		if p.opened == 0 {
			p.first = o.first
		}
		for odd := range p.low {
			p.setLowest(odd, p.lowest(odd).lower(o.lowest(odd)))
			p.setHighest(odd, p.highest(odd).higher(o.highest(odd)))
		}
		p.first, p.last = min(p.first, o.first), max(p.last, o.last)
	}
	p.opened += o.opened
	for i, n := range o.closed {
		p.closed[i] += n
	}
	p.clientWaits, p.serverWaits = p.clientWaits+o.clientWaits, p.serverWaits+o.serverWaits
	mergeSpread(&p.reuses, o.reuses)
	p.refused += o.refused
	p.lived += o.lived
	p.longest = max(p.longest, o.longest)
	p.idles += o.idles
	p.some.merge(&o.some)
}

// client is what is counted of a host that makes connections.
type client struct {
	opened, failed uint32
	// heard is when it was last heard.
	heard wire.Time
	// closing are its own endpoints.
	closing standing
	told    *told
}

// add counts a connection that came about, fail an attempt that did not.
func (x *client) add(f *facts) {
	x.opened++
	if f.waited[reassembly.Client] {
		server := listenerKey(&f.c.Tuple)
		x.closing.add(&f.waits[reassembly.Client], &server, f)
	}
	x.heard = max(x.heard, f.clientHeard)
	tell(&x.told, f.places)
}

func (x *client) fail(v *vain) {
	x.failed++
	x.heard = max(x.heard, v.heard)
	tell(&x.told, v.places)
}

func (x *client) merge(o *client) {
	x.heard = max(x.heard, o.heard)
	x.opened, x.failed = x.opened+o.opened, x.failed+o.failed
	x.closing.merge(&o.closing)
	mergeTold(&x.told, o.told)
}
