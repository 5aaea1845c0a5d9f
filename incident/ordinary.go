package incident

import (
	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/reassembly"
)

// ordinarySeen is all that may happen on an ordinary connection.
const ordinarySeen = reassembly.SeenSYN | reassembly.SeenSYNACK | reassembly.SeenData | reassembly.SeenFINClient | reassembly.SeenFINServer |
	reassembly.SeenOpenFIN | reassembly.SeenOneFIN

// addOrdinary counts a connection if it is one of those that show nothing: opened at the first
// attempt, perhaps closed in order, and whatever else there is to know of it is 0. Nine of ten
// are such. What it counts is what addAny would.
func (s *Sums) addOrdinary(c *reassembly.Conn, found []finding.Finding, layers []string) bool {
	if !c.Unlogged.Is || len(found) > 0 || c.Seen&^ordinarySeen != 0 {
		return false
	}
	h, cl := &c.Handshake, &c.Close
	if h.Outcome != reassembly.HandshakeComplete || h.SYNs != 1 || h.SYNACKs != 1 || c.Idle.For|c.Idle.Survived|c.Idle.Closed != 0 ||
		cl.HasCloser && (cl.By != "fin" || cl.Reason != reassembly.CloseOrderly && cl.Reason != reassembly.CloseOrderlyUnconfirmed) ||
		c.Previous.Frame|c.Next.Frame != 0 || c.Ends[0].MissingBytes|c.Ends[1].MissingBytes != 0 {
		return false
	}
	f := &s.facts
	f.c, f.layers, f.named = c, layers, 0
	f.timeWaits, f.waited = [2]bool{}, [2]bool{}
	f.standings()
	if f.waited[reassembly.Client] && f.waits[reassembly.Client].long() || f.waited[reassembly.Server] && f.waits[reassembly.Server].long() {
		return false
	}
	f.isOver, f.end = cl.HasCloser, softClient
	if cl.Closer == reassembly.Server {
		f.end = softServer
	}
	f.heard, f.spoke = max(0, c.Unlogged.Heard[reassembly.Server]), max(0, c.Unlogged.Spoke[reassembly.Server])
	// The pair knows where the others are counted, as long as none of them had to go.
	k := pairKey(&c.Tuple)
	listener, client := int32(-1), int32(-1)
	if i := s.pairs.at(&k); i < 0 {
		listener, client = s.placesOf(c)
	} else {
		p := &s.pairs.recs[i]
		var here, there bool
		listener, here = s.listeners.recall(p.listener)
		client, there = s.clients.recall(p.client)
		if !here || !there {
			listener, client = s.placesOf(c)
			p.listener, p.client = s.listeners.spot(listener), s.clients.spot(client)
		}
		p.use(f)
		if f.isOver {
			p.over(c, f.end)
		}
		if f.timeWaits[reassembly.Client] {
			p.clientWaits++
		}
		if f.timeWaits[reassembly.Server] {
			p.serverWaits++
		}
		s.pairs.ordinary(f, i, reassembly.Client)
	}
	if listener >= 0 {
		s.listeners.recs[listener].addOrdinary(f)
		s.listeners.ordinary(f, listener, reassembly.Server)
	}
	if client >= 0 {
		x := &s.clients.recs[client]
		x.opened++
		x.heard = max(x.heard, c.Unlogged.Heard[reassembly.Client])
		if f.waited[reassembly.Client] {
			x.closing.pass(&f.waits[reassembly.Client])
		}
	}
	s.numbered(c)
	return true
}

// placesOf returns where a connection's listener and client are counted, -1 if they are not.
func (s *Sums) placesOf(c *reassembly.Conn) (listener, client int32) {
	k := listenerKey(&c.Tuple)
	listener = s.listeners.at(&k)
	k = clientKey(&c.Tuple)
	return listener, s.clients.at(&k)
}

// ordinary counts over time what happens to an ordinary connection.
func (t *table[R, P]) ordinary(f *facts, i int32, side reassembly.Side) {
	t.note(i, f.c.Start, opened)
	if f.isOver {
		t.note(i, f.c.Close.At, f.end)
	}
	if f.timeWaits[side] {
		t.note(i, f.timeWait[side], timeWait)
	}
}

func (l *listener) addOrdinary(f *facts) {
	c := f.c
	cl, sv := &c.Ends[reassembly.Client], &c.Ends[reassembly.Server]
	l.complete++
	l.syns++
	l.synacks++
	l.firstOK, l.lastOK = earliest(l.firstOK, c.Start), max(l.lastOK, c.Start)
	l.heard, l.spoke = max(l.heard, f.heard), max(l.spoke, f.spoke)
	l.packets += cl.Packets + sv.Packets
	show(&l.some, c.First, f)
	if f.waited[reassembly.Server] {
		l.closing.pass(&f.waits[reassembly.Server])
	}
	if sv.Bytes == 0 && cl.Bytes > 0 && !sv.HasFIN {
		l.mute++
	}
	if !f.isOver {
		l.unclosed++
		return
	}
	if l.closed[f.end]++; f.end == softServer {
		show(&l.held, c.First, f)
	}
}
