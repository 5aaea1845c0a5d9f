package incident

import (
	"time"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// pair is what is counted of a client and a listener with established connections. What every
// connection changes stands together, in front.
type pair struct {
	// opened counts connections, clientWaits and serverWaits the endpoints that came into
	// TIME_WAIT.
	opened, clientWaits, serverWaits uint32
	idles                            uint32
	// closed counts their ends by kind.
	closed [forgotten + 1]uint32
	// listener and client are where those are counted, while that is known.
	listener, client spot
	// lived is the time of all connections that are over from SYN to close, in
	// nanoseconds; first and last are the first SYN and the last segment.
	lived       uint64
	first, last wire.Time
	// low and high are the lowest and the highest of the client's even and odd ports,
	// with the first time each was used: Linux takes those of one parity first.
	low, high [2]portUse
	some      examples
	// reuses are the times from a connection's last segment to the next one's SYN from
	// the same port; refused counts those whose ports somebody still remembered.
	reuses  *spread
	refused uint32
	// longest is the longest silence that a connection survived, idles how many
	// survived one (see reassembly.Idle).
	longest time.Duration
}

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

// ports returns the lowest and the highest port of the client, and when it had
// reached both ends of what it uses, with ports of one parity or the other.
func (p *pair) ports() (low, high uint16, both wire.Time) {
	l, h := p.low[0].lower(p.low[1]), p.high[0].higher(p.high[1])
	lowAt, highAt := l.at, h.at
	for odd := range p.low {
		if x := p.low[odd]; x.port != 0 && x.port-l.port <= 1 {
			lowAt = min(lowAt, x.at)
		}
		if x := p.high[odd]; x.port != 0 && h.port-x.port <= 1 {
			highAt = min(highAt, x.at)
		}
	}
	return l.port, h.port, max(lowAt, highAt)
}

func (p *pair) add(f *facts) {
	c := f.c
	p.use(f)
	if f.timeWaits[reassembly.Client] {
		p.clientWaits++
	}
	if f.timeWaits[reassembly.Server] {
		p.serverWaits++
	}
	if f.isOver {
		p.over(c, f.end)
	}
	if q := &c.Previous; *q != (reassembly.Incarnation{}) && q.Opener == reassembly.Client {
		addSpread(&p.reuses, max(c.Start.Sub(q.Last), 0))
	}
	for i := range f.found {
		switch f.found[i].Catalogue {
		case "W02", "W03", "W08", "W10", "W12", "H20":
			p.refused++
		}
	}
	if d := c.Idle.Survived; d > 0 {
		p.longest = max(p.longest, d)
		p.idles++
	}
}

// use counts that the client opened a connection.
func (p *pair) use(f *facts) {
	c := f.c
	port := portUse{c.Tuple.SrcPort, c.Start}
	low, high := &p.low[port.port&1], &p.high[port.port&1]
	if low.port == 0 || port.port <= low.port {
		*low = low.lower(port)
	}
	if port.port >= high.port {
		*high = high.higher(port)
	}
	if p.opened == 0 {
		p.first = c.Start
	}
	p.opened++
	p.first, p.last = min(p.first, c.Start), max(p.last, c.End)
	p.some.add(c.First, f)
}

// over counts its end.
func (p *pair) over(c *reassembly.Conn, end kind) {
	p.closed[end]++
	p.lived += uint64(max(c.Close.At.Sub(c.Start), 0))
}

func (p *pair) merge(o *pair) {
	if o.opened > 0 {
		if p.opened == 0 {
			p.first = o.first
		}
		for odd := range p.low {
			p.low[odd], p.high[odd] = p.low[odd].lower(o.low[odd]), p.high[odd].higher(o.high[odd])
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

func (x *client) add(f *facts) {
	c := f.c
	if f.opening == open {
		x.opened++
		if f.waited[reassembly.Client] {
			server := listenerKey(&c.Tuple)
			x.closing.add(&f.waits[reassembly.Client], &server, f)
		}
	} else {
		x.failed++
	}
	if c.Unlogged.Is {
		x.heard = max(x.heard, c.Unlogged.Heard[reassembly.Client])
	}
	if at := lastOf(c, reassembly.Client, len(c.Events)); at >= 0 {
		x.heard = max(x.heard, c.Events[at].LastAt)
	}
	tell(&x.told, f.places)
}

func (x *client) merge(o *client) {
	x.heard = max(x.heard, o.heard)
	x.opened, x.failed = x.opened+o.opened, x.failed+o.failed
	x.closing.merge(&o.closing)
	mergeTold(&x.told, o.told)
}
