package incident

import (
	"time"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// ordinarySeen is all that may happen on an ordinary connection.
const ordinarySeen = reassembly.SeenSYN | reassembly.SeenSYNACK | reassembly.SeenData | reassembly.SeenFINClient | reassembly.SeenFINServer |
	reassembly.SeenOpenFIN | reassembly.SeenOneFIN

// ordinary is what is counted of an ordinary connection: one of those that show nothing, opened
// at the first attempt, perhaps closed in order, and whatever else there is to know of it is 0.
// Nine of ten are such.
type ordinary struct {
	pair   key
	number uint32 // of pair, in the index of pairs
	port   uint16 // of the client
	// mute: the client's data got no octet in return, nor a FIN.
	mute bool
	// waited and open are those of facts and its waits; lag is how long a side was in
	// CLOSE_WAIT, heard when it was last heard, spoke when the server's program was.
	waited, open [2]bool
	lag          [2]time.Duration
	heard        [2]wire.Time
	spoke, last  wire.Time
	life         lifetime
	packets      uint64
	first        wire.FrameID
	// numbers are both initial sequence numbers, the client's first; octets and ttl are those
	// of a view.
	numbers uint64
	octets  [2]uint64
	ttl     [2]uint8
	// uid is what the uid is made of, which few are asked for.
	uid    reassembly.UIDKey
	layers []string
	named  reassembly.UID
	// guess is where the pair, and then the listener, seems to be counted, -1 if that is not
	// known.
	guess int32
}

// addOrdinary has a connection wait if it is ordinary. What is counted of it is what would be by
// addAny.
func (x *Counter) addOrdinary(c *reassembly.Conn, found []finding.Finding, layers []string) bool {
	if !c.Unlogged.Is || len(found) > 0 || c.Seen&^ordinarySeen != 0 {
		return false
	}
	h, cl := &c.Handshake, &c.Close
	if h.Outcome != reassembly.HandshakeComplete || h.SYNs != 1 || h.SYNACKs != 1 || c.Idle.For|c.Idle.Survived|c.Idle.Closed != 0 ||
		cl.HasCloser && (cl.By != "fin" || cl.Reason != reassembly.CloseOrderly && cl.Reason != reassembly.CloseOrderlyUnconfirmed) ||
		c.Previous.Frame|c.Next.Frame != 0 || c.Ends[0].MissingBytes|c.Ends[1].MissingBytes != 0 {
		return false
	}
	f := &x.facts
	f.c, f.timeWaits, f.waited = c, [2]bool{}, [2]bool{}
	f.standings()
	if f.waited[reassembly.Client] && f.waits[reassembly.Client].long() || f.waited[reassembly.Server] && f.waits[reassembly.Server].long() ||
		f.timeWaits[reassembly.Client] && f.timeWaits[reassembly.Server] {
		return false
	}
	f.isOver, f.end = cl.HasCloser, softClient
	if cl.Closer == reassembly.Server {
		f.end = softServer
	}
	x.ordinary = x.ordinary[:len(x.ordinary)+1]
	o := &x.ordinary[len(x.ordinary)-1]
	o.pair, o.port, o.life = pairKey(&c.Tuple), c.Tuple.SrcPort, f.lifetime()
	o.number = x.sums.pairs.index.number(&o.pair)
	client, server := &c.Ends[reassembly.Client], &c.Ends[reassembly.Server]
	o.mute = server.Bytes == 0 && client.Bytes > 0 && !server.HasFIN
	o.packets = client.Packets + server.Packets
	o.waited = f.waited
	for side := range o.lag {
		w := &f.waits[side]
		o.lag[side], o.open[side] = w.to.Sub(w.from), w.open
		o.heard[side] = max(0, c.Unlogged.Heard[side])
	}
	o.spoke = max(0, c.Unlogged.Spoke[reassembly.Server])
	o.last, o.first = c.End, c.First
	o.numbers, o.octets, o.ttl = numbersOf(c), [2]uint64{client.UniqueBytes, server.UniqueBytes}, [2]uint8{client.TTL, server.TTL}
	o.uid, o.layers, o.named = c.Key, layers, 0
	return true
}

// countOrdinary counts the ordinary connections that wait. First it asks for all that is
// needed, in as many rounds as one thing says where the next one is. What it finds there may be
// wrong, and does not matter.
func (x *Counter) countOrdinary() {
	s, all, looked := x.sums, x.ordinary, uint64(0)
	for i := range all {
		looked += uint64(s.pairs.index.approach(all[i].number))
	}
	for i := range all {
		o := &all[i]
		o.guess = s.pairs.index.guess(o.number)
		looked += s.lookPair(o.guess)
	}
	for i := range all {
		o := &all[i]
		var see uint64
		o.guess, see = s.lookPlaces(o.guess)
		looked += see
	}
	for i := range all {
		o := &all[i]
		if uint(o.guess) >= uint(s.listeners.recs.n) {
			continue
		}
		l := s.listeners.rec(o.guess)
		if l.some != nil {
			looked += uint64(l.some.n)
		}
		if l.held != nil && o.life.end == softServer {
			looked += uint64(l.held.n)
		}
		if l.closing.lags != nil && o.waited[reassembly.Server] {
			looked += uint64(l.closing.lags.count) + uint64(l.closing.lags.n.times(spreadOf(o.lag[reassembly.Server])))
		}
	}
	x.looked = looked
	for i := range all {
		s.countOrdinary(&all[i])
	}
	x.ordinary = all[:0]
	s.relieve()
}

// lookPair reads what is counted of the pair at a place, if there is one, and lookPlaces of its
// listener and client; it returns the listener's place, if there is one.
func (s *Sums) lookPair(at int32) uint64 {
	if uint(at) >= uint(len(s.pairs.keys)) {
		return 0
	}
	p, k := s.pairs.rec(at), &s.pairs.keys[at]
	return uint64(p.opened) + uint64(p.first) + k[clientHigh] + k[rest]
}

func (s *Sums) lookPlaces(at int32) (listener int32, looked uint64) {
	if uint(at) >= uint(s.pairs.recs.n) {
		return -1, 0
	}
	p := s.pairs.rec(at)
	listener = p.listener.at
	if at := listener; uint(at) < uint(s.listeners.recs.n) {
		l := s.listeners.rec(at)
		looked = uint64(l.complete) + l.packets + uint64(l.closing.young)
	}
	if at := p.client.at; uint(at) < uint(s.clients.recs.n) {
		looked += uint64(s.clients.rec(at).opened)
	}
	return listener, looked
}

// countOrdinary counts an ordinary connection.
func (s *Sums) countOrdinary(x *ordinary) {
	pair := s.pairs.atBy(&x.pair, x.number)
	listener, client := s.placesOf(&x.pair, pair)
	if pair >= 0 {
		s.pairs.rec(pair).addOrdinary(x)
	}
	if listener >= 0 {
		s.listeners.rec(listener).addOrdinary(x)
	}
	if client >= 0 {
		s.clients.rec(client).addOrdinary(x)
	}
	s.lives(&x.life, pair, listener)
	if x.numbers == 0 {
		return
	}
	if v := s.numbers.next(x.numbers); v != nil {
		*v = view{
			numbers: x.numbers, tuple: x.uid.Tuple, frame: x.first, start: x.life.start, last: x.last, octets: x.octets, ttl: x.ttl, isn: x.uid.ISN, began: x.uid.Start,
		}
	}
}

// placesOf returns where the listener and the client of a pair, which stands at a place, are
// counted, -1 if they are not. The pair knows that, as long as none of them had to go.
func (s *Sums) placesOf(k *key, pair int32) (listener, client int32) {
	if pair >= 0 {
		p := s.pairs.rec(pair)
		listener, here := s.listeners.recall(p.listener)
		client, there := s.clients.recall(p.client)
		if here && there {
			return listener, client
		}
	}
	of := k.listener()
	listener = s.listeners.at(&of)
	of = k.client()
	client = s.clients.at(&of)
	if pair >= 0 {
		p := s.pairs.rec(pair)
		p.listener, p.client = s.listeners.spot(listener), s.clients.spot(client)
	}
	return listener, client
}

func (p *pair) addOrdinary(x *ordinary) {
	p.use(x.port, x.life.start, x.last)
	x.show(&p.some)
	if x.life.end != 0 {
		p.over(x.life.end, x.life.over.Sub(x.life.start))
	}
	p.clientWaits += uint32(x.life.waits >> reassembly.Client & 1)
	p.serverWaits += uint32(x.life.waits >> reassembly.Server & 1)
}

func (l *listener) addOrdinary(x *ordinary) {
	l.complete++
	l.syns++
	l.synacks++
	l.firstOK, l.lastOK = earliest(l.firstOK, x.life.start), max(l.lastOK, x.life.start)
	l.heard, l.spoke = max(l.heard, x.heard[reassembly.Server]), max(l.spoke, x.spoke)
	l.packets += x.packets
	if l.some == nil {
		l.some = new(examples)
	}
	x.show(l.some)
	if x.waited[reassembly.Server] {
		l.closing.pass(x.lag[reassembly.Server], x.open[reassembly.Server])
	}
	if x.mute {
		l.mute++
	}
	if x.life.end == 0 {
		l.unclosed++
		return
	}
	if l.closed[x.life.end]++; x.life.end == softServer {
		if l.held == nil {
			l.held = new(examples)
		}
		x.show(l.held)
	}
}

func (c *client) addOrdinary(x *ordinary) {
	c.opened++
	c.heard = max(c.heard, x.heard[reassembly.Client])
	if x.waited[reassembly.Client] {
		c.closing.pass(x.lag[reassembly.Client], x.open[reassembly.Client])
	}
}

// show takes the connection as an example if it is one of the earliest.
func (x *ordinary) show(to *examples) {
	if !to.takes(x.first) {
		return
	}
	if x.named == 0 {
		x.named = x.uid.UID(x.layers)
	}
	to.insert(example{x.first, x.named})
}
